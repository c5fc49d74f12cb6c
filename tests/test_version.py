"""Which source a result names, and that what is left out cannot shape a cached number."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

import ecgxai_core
from ecgxai_core.settings import assets_dir
from ecgxai_core.version import (
    APART,
    LIBRARIES,
    code_version,
    library_versions,
    source_digest,
)

PACKAGE = Path(ecgxai_core.__file__).resolve().parent
MODULES = {
    ".".join(("ecgxai_core", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in PACKAGE.rglob("*.py")
}
KEYS = "ecgxai_core.pipeline.keys"
FACE = {"ecgxai_core", "ecgxai_core.api", "ecgxai_core.map_face"}
"""The public face: it draws and writes what was computed, and no computation calls it."""
NO_NUMBERS = {
    # Storage and formats: what they give is bytes that a digest covers.
    "diskcache", "h5py", "pyarrow", "pydicom", "safetensors", "wfdb",
    # Drawing.
    "matplotlib", "plotly", "tsdownsample",
    # Parameters and console.
    "pydantic", "pydantic_core", "pydantic_settings", "rich", "typer",
    # Other forms of finished results, and what is said of raters.
    "IPython", "krippendorff", "xarray",
    # Where units run: what they give does not depend on it.
    "dask", "distributed",
    # It exports a network once; the digest covers the bytes.
    "torch",
}  # fmt: skip
"""Imported libraries that compute no number."""


def named(path: Path) -> set[str]:
    """Modules that a file names in any import, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported(path: Path) -> set[str]:
    """Modules of this package that a file imports."""
    return {name for name in named(path) if name in MODULES}


def reached() -> set[str]:
    """All modules that those which make cache keys import, at any depth."""
    seen: set[str] = set()
    todo = {name for name, path in MODULES.items() if KEYS in imported(path)}
    assert todo
    while todo:
        name = todo.pop()
        seen.add(name)
        parents = {name.rpartition(".")[0]} - {""}
        todo |= (imported(MODULES[name]) | parents) - seen - FACE
    return seen


def test_what_is_left_out_is_reached_by_nothing_that_is_cached() -> None:
    files = {MODULES[name].relative_to(PACKAGE).as_posix() for name in reached()}
    for name in ("signal/beats.py", "games/masked.py"):
        assert name in files
    assert any(name.endswith("/lime.py") for name in files)
    for part in APART:
        assert (PACKAGE / part).is_dir()
        assert not {name for name in files if name.startswith(f"{part}/")}


def copied(tmp_path: Path) -> tuple[Path, Path]:
    package = tmp_path / "ecgxai_core"
    for part in ("explain", "games", "plots", "signal", "store", "training/zoo"):
        (package / part).mkdir(parents=True)
        (package / part / "one.py").write_text(f"x = '{part}'\n")
    (tmp_path / "diagnoses.toml").write_text("schema = 1\n")
    return package, tmp_path / "diagnoses.toml"


@pytest.mark.parametrize("part", ["plots", "training/zoo"])
def test_a_change_that_shapes_no_number_keeps_the_digest(tmp_path: Path, part: str) -> None:
    package, table = copied(tmp_path)
    before = source_digest(package, table)
    (package / part / "one.py").write_text("x = 2\n")
    (package / part / "new.py").write_text("x = 2\n")
    assert source_digest(package, table) == before


@pytest.mark.parametrize("name", ["explain/one.py", "signal/one.py", "store/one.py"])
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


def test_every_imported_library_that_computes_is_in_the_version() -> None:
    top = {name.partition(".")[0] for path in MODULES.values() for name in named(path)}
    foreign = top - set(sys.stdlib_module_names) - {"ecgxai_core"} - NO_NUMBERS
    distributions = packages_distributions()
    assert {one for name in foreign for one in distributions[name]} == set(LIBRARIES)


def test_the_versions_are_those_installed() -> None:
    assert library_versions() == {name: version(name) for name in LIBRARIES}
