"""What every test shares: where the real data is, if it is anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# As import_keras sets it: some tests import keras first, and their processes must do the same sums.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

REPO = Path(__file__).resolve().parent.parent
DATA_HINT = "real ECG data is not here: set ECGXAI_TEST_DATA or put it in ../shared/data"

# The same examples at every run, so that a change never fails for what it did not touch;
# HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis.settings.register_profile("repeat", derandomize=True, database=None)
hypothesis.settings.register_profile("explore", max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


def _data_dir() -> Path | None:
    for candidate in (os.environ.get("ECGXAI_TEST_DATA"), REPO.parent / "shared" / "data"):
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data; the test is skipped, with a reason, where it is absent."""
    folder = _data_dir()
    if folder is None:
        pytest.skip(DATA_HINT)
    return folder


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """A page under test takes the place of the main script; spawned processes would run it."""
    kept = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = kept
