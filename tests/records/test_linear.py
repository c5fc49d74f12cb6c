"""No text in a file can hold the program up: all reading is linear in the length of the text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.records.wfdb_header import MAX_COMMENT, MAX_FIELD, MAX_LINE, parse_header
from tests.records.long_texts import HEADER

REPO = Path(__file__).resolve().parents[2]
SECONDS = 0.75
"""Processor time of one case; the slowest needs a fifth of it, a quadratic pattern far more."""
HARD_LIMIT_SECONDS = 900


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, float, str]]:
    """Name, seconds and outcome of every case; a case that hangs is named by the last line."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "tests.records.long_texts"],
            capture_output=True, text=True, cwd=REPO, timeout=HARD_LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        done = (error.stdout or b"").decode().splitlines()
        pytest.fail(f"the case after {done[-1] if done else 'the imports'} never ended")
    assert child.returncode == 0, child.stderr[-2000:]
    return [tuple(json.loads(line)) for line in child.stdout.splitlines()]


@pytest.mark.slow
def test_long_texts_are_read_or_refused_at_once(answers: list[tuple[str, float, str]]) -> None:
    assert len(answers) > 2500
    assert {name.split()[0] for name, _, _ in answers} == {
        "comment", "configuration", "dicom", "header", "lead", "manifest", "module", "npy",
        "pattern", "scp_codes",
    }  # fmt: skip
    slow = [(name, seconds) for name, seconds, _ in answers if seconds > SECONDS]
    assert slow == []


@pytest.mark.slow
def test_long_texts_raise_no_other_error(answers: list[tuple[str, float, str]]) -> None:
    odd = [(name, outcome) for name, _, outcome in answers if outcome not in ("read", "refused")]
    assert odd == []


def test_every_pattern_that_reads_a_file_has_a_name() -> None:
    """So that the cases above find it: no pattern is written where it is used."""
    inline = re.compile(r"\bre\.(match|fullmatch|search|split|sub|findall|finditer)\(")
    folders = [REPO / "ecgxai_core" / part for part in ("records", "models", "store")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    files += [REPO / "ecgxai_core" / "diagnoses.py", REPO / "app" / "data" / "uploads.py"]
    assert [path.name for path in files if inline.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"#Age: 60", b"#" + b"x" * (MAX_COMMENT + 1), "characters"),
        (b"rec 2", b"rec 2" + b" " * MAX_LINE, "characters"),
        (b"500/100(0)", b"5" * (MAX_FIELD + 1), "line 1, field 3"),
        (b" I\n", b" " + b"I" * (MAX_FIELD + 1) + b"\n", "line 2, field 9"),
        (b"500/100(0)", b"5" * 100, "rate"),
    ],
)
def test_the_error_names_what_is_too_long(old: bytes, new: bytes, said: str) -> None:
    from ecgxai_core.errors import RecordError

    with pytest.raises(RecordError, match=said):
        parse_header(HEADER.replace(old, new, 1), "rec.hea")


def test_the_limits_leave_room_for_real_headers(data_dir: Path) -> None:
    longest: dict[str, Any] = {"line": 0, "comment": 0, "field": 0}
    for path in data_dir.rglob("*.hea"):
        for line in path.read_text("utf-8", "replace").splitlines():
            kind = "comment" if line.startswith("#") else "line"
            longest[kind] = max(longest[kind], len(line))
            if kind == "line":
                longest["field"] = max([longest["field"], *map(len, line.split())])
    assert longest["line"] * 4 < MAX_LINE
    assert longest["comment"] * 4 < MAX_COMMENT
    assert longest["field"] * 4 < MAX_FIELD
