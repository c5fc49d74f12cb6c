"""Rules of the house that no linter knows."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import REPO

HEAVY = ("tensorflow", "keras", "shap", "lime", "neurokit2", "streamlit", "plotly", "matplotlib")
FORBIDDEN = re.compile(
    r"^\s*(import|from)\s+(pickle|joblib|dill|cloudpickle|shelve|marshal)\b"
    r"|allow_pickle\s*=\s*True|unsafe_allow_html\s*=\s*True|\bread_pickle\b|\bloadmat\b",
    re.MULTILINE,
)


def modules_after(code: str) -> set[str]:
    """Top-level modules that are loaded after running some code in a fresh process."""
    script = f"{code}\nimport sys\nprint(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPO
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import ecgxai_core",
        "import ecgxai_core.cli.main",
        "import ecgxai_core.explainers, ecgxai_core.fusion, ecgxai_core.metrics",
        "import ecgxai_core.pipeline.run.run, ecgxai_core.store, ecgxai_core.records",
    ],
)
def test_heavy_libraries_wait_until_they_are_needed(code):
    assert modules_after(code).isdisjoint(HEAVY)


def test_nothing_that_a_user_may_open_can_run_code():
    found = [
        f"{path.relative_to(REPO)}: {match.group().strip()}"
        for folder in ("ecgxai_core", "app", "pages")
        for path in (REPO / folder).rglob("*.py")
        for match in FORBIDDEN.finditer(path.read_text("utf-8"))
    ]
    assert found == []


def test_no_module_is_called_utils():
    names = {path.stem for path in (REPO / "ecgxai_core").rglob("*.py")}
    assert names.isdisjoint({"utils", "util", "helpers", "misc", "common"})


def test_every_module_says_what_it_is_for():
    bare = [
        str(path.relative_to(REPO))
        for path in (REPO / "ecgxai_core").rglob("*.py")
        if not path.read_text("utf-8").lstrip().startswith('"""')
    ]
    assert bare == []
