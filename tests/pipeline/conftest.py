"""A data set, a model and quick parameters that the tests of the pipeline share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgxai_core.settings import settings
from tests.small import write_data, write_model

QUICK = ["n_coalitions=32", "n_lead_coalitions=16", "top_events=2", "deletion_steps=4"]
"""Parameters that keep a unit under a second or two; what is tested does not depend on them."""


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("tiny") / "data", 4)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own, so nothing passes because another test ran before."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()
