"""Which source a result names, and that what is left out cannot shape a cached number."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ecgxai_core
from ecgxai_core.settings import assets_dir
from ecgxai_core.version import APART, code_version, source_digest

PACKAGE = Path(ecgxai_core.__file__).resolve().parent
MODULES = {
    ".".join(("ecgxai_core", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in PACKAGE.rglob("*.py")
}
KEYS = "ecgxai_core.pipeline.keys"


def imported(path: Path) -> set[str]:
    """Modules of ours that a file names in any import, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name in MODULES}


def reached() -> set[str]:
    """All modules that those which make cache keys import, at any depth."""
    seen: set[str] = set()
    todo = {name for name, path in MODULES.items() if KEYS in imported(path)}
    assert todo
    while todo:
        name = todo.pop()
        seen.add(name)
        parents = {name.rpartition(".")[0]} - {""}
        todo |= (imported(MODULES[name]) | parents) - seen
    return seen


def test_what_is_left_out_is_reached_by_nothing_that_is_cached() -> None:
    files = {MODULES[name].relative_to(PACKAGE).as_posix() for name in reached()}
    assert "explain/lime.py" in files
    assert "beats.py" in files
    for part in APART:
        assert (PACKAGE / part).is_dir()
        assert not {name for name in files if name.startswith(f"{part}/")}


def copied(tmp_path: Path) -> tuple[Path, Path]:
    package = tmp_path / "ecgxai_core"
    for part in ("benchmark", "explain", "games", "models/zoo", "plots", "simulate", "store"):
        (package / part).mkdir(parents=True)
        (package / part / "one.py").write_text(f"x = '{part}'\n")
    (package / "beats.py").write_text("x = 1\n")
    (tmp_path / "diagnoses.toml").write_text("schema = 1\n")
    return package, tmp_path / "diagnoses.toml"


@pytest.mark.parametrize("part", ["benchmark", "models/zoo", "plots"])
def test_a_change_that_shapes_no_number_keeps_the_digest(tmp_path: Path, part: str) -> None:
    package, table = copied(tmp_path)
    before = source_digest(package, table)
    (package / part / "one.py").write_text("x = 2\n")
    (package / part / "new.py").write_text("x = 2\n")
    assert source_digest(package, table) == before


@pytest.mark.parametrize("name", ["explain/one.py", "beats.py", "simulate/one.py", "store/one.py"])
def test_a_change_that_may_shape_a_number_changes_the_digest(tmp_path: Path, name: str) -> None:
    package, table = copied(tmp_path)
    before = source_digest(package, table)
    (package / name).write_text("x = 2\n")
    changed = source_digest(package, table)
    assert changed != before
    table.write_text("schema = 2\n")
    assert source_digest(package, table) not in {before, changed}


def test_text_moved_between_files_changes_the_digest(tmp_path: Path) -> None:
    package, table = copied(tmp_path)
    one, two = package / "explain" / "one.py", package / "games" / "one.py"
    before = source_digest(package, table)
    one_text, two_text = one.read_text(), two.read_text()
    one.write_text(two_text)
    two.write_text(one_text)
    assert source_digest(package, table) != before


def test_the_code_version_is_that_of_this_package() -> None:
    digest = source_digest(PACKAGE, assets_dir() / "diagnoses.toml")
    assert code_version() == f"{ecgxai_core.__version__}+{digest[:12]}"
