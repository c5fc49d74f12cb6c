"""Shared training arrays."""

from __future__ import annotations

import pytest

from ecgxai_core.training.arrays import EcgArrays
from tests.training.small_data import small_arrays


@pytest.fixture(scope="session")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> EcgArrays:
    """Eighty small records in five folds."""
    return small_arrays(tmp_path_factory.mktemp("arrays"))
