"""Benchmarks are not run by the tests, but what they import and ask for must be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.py")))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    assert module.__doc__, "it says how it is started"
