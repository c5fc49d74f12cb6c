"""Values and hostile things that the tests of the store share."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.store import Store


class Planted:
    """Unpickling this makes a file: the proof that something was unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def bomb(tmp_path: Path) -> tuple[bytes, Callable[[], bool]]:
    """A pickle with a side effect, and whether it went off."""
    trace = tmp_path / "unpickled"
    return pickle.dumps(Planted(trace)), trace.exists


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Arrays the size of one attribution."""
    rng = np.random.default_rng(7)
    return {
        "weights": rng.normal(size=(12, 40)).astype(np.float32),
        "explored": rng.random((12, 40)) < 0.9,
        "edges_sec": np.linspace(0.0, 10.0, 41),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache folder that does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture
def store(folder: Path) -> Store:
    """A store on an empty folder."""
    return Store(folder, 1 << 28)


@pytest.fixture
def database() -> Callable[[Path], Path]:
    """Path of the database of a cache folder."""

    def find(folder: Path) -> Path:
        return folder / "cache.db"

    return find
