"""No text in a CSV that this program writes is a formula to a spreadsheet."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecgxai_core.store.atomic import csv_bytes
from ecgxai_core.store.csv_cells import harmless, harmless_frame, original, read_csv

REPO = Path(__file__).resolve().parents[2]
STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
TEXTS = st.text(st.sampled_from(list("=+-@\t\r\n';, 1.ax\uff1d\"")), max_size=8)
PLAIN_NUMBERS = ("-1.5", "+3", "-.5", "-2e-3", "-0")


@given(TEXTS)
@example("'=1")
@example("\t\t=")
@example(";=;'-")
def test_texts_come_back(text: str) -> None:
    assert original(harmless(text)) == text


@given(TEXTS)
def test_no_cell_begins_a_formula(text: str) -> None:
    written = harmless(text)
    if written == text and _is_number(text):
        return
    cells = written.replace("\t", "\x00\t").replace(";", "\x00;").split("\x00")
    starts = [cells[0], *(cell[1:] for cell in cells[1:])]
    assert not any(start[:1] in set(STARTS) - {"\t", ""} for start in starts)
    assert written[:1] not in set(STARTS)


def _is_number(text: str) -> bool:
    try:
        return bool(float(text)) or True
    except ValueError:
        return False


@pytest.mark.parametrize("text", ["", "a=b", "I, II", "426783006", "1-2", "\u2212", *PLAIN_NUMBERS])
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_a_table_is_written_harmlessly_and_read_back() -> None:
    frame = pd.DataFrame(
        {
            "record": ["@SUM(1+1)", "=cmd|' /C calc'!A0", "plain", "'=x", "a;=b"],
            "=HYPERLINK(1)": [-1.5, 2, 3, -4, 5],
            "text": ["-0.5", "+x", "\tx", "''=", "-"],
        }
    )
    data = csv_bytes(frame)
    for row in csv.reader(io.StringIO(data.decode(), newline="")):
        for cell in row:
            assert cell[:1] not in set(STARTS) or _is_number(cell)
    assert b"-1.5" in data
    back = read_csv(io.BytesIO(data), dtype={"record": str, "text": str})
    pd.testing.assert_frame_equal(back, frame)
    shown = harmless_frame(frame)
    assert shown["'=HYPERLINK(1)"].tolist() == frame["=HYPERLINK(1)"].tolist()
    assert shown["record"][0] == "'@SUM(1+1)"
    assert frame["record"][0] == "@SUM(1+1)"


def test_csv_is_written_in_one_place() -> None:
    """Whoever writes a table calls ``csv_bytes`` or ``write_csv_atomic``; whoever reads one of
    ours, ``read_csv``."""
    found = []
    for folder in ("ecgxai_core", "app", "pages"):
        for path in (REPO / folder).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            ours = path.name == "csv_cells.py"
            bad = called & {"to_csv", "writer", "DictWriter", "read_csv"} - (
                {"read_csv"} if ours else set()
            )
            found += [f"{path.name}: {name}" for name in sorted(bad)]
            shown = called & {"dataframe", "data_editor"}
            if shown and "harmless_frame" not in path.read_text("utf-8"):
                found.append(f"{path.name}: {shown}")
    assert found == []
