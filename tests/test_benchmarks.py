"""Benchmarks are not run by the tests, but what they import of this program must be there."""

from __future__ import annotations

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "benchmarks"
OURS = ("ecgxai_core", "app", "tests")


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.py")))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    assert importlib.import_module(f"tests.benchmarks.{name}").__doc__, "it says how it is started"
    for node in ast.walk(ast.parse((HERE / f"{name}.py").read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] not in OURS:
            continue
        module = importlib.import_module(str(node.module))  # inside of functions too
        for item in node.names:
            there = hasattr(module, item.name) or find_spec(f"{node.module}.{item.name}")
            assert there, f"{node.module} has no {item.name}"
