"""Tables of documents are what the registries say."""

from __future__ import annotations

import re

import pytest

from ecgxai_core.explainers import METHODS
from ecgxai_core.report.documents import TABLES, with_tables
from tests.conftest import REPO

DOCUMENTS = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_up_to_date(path):
    text = path.read_text("utf-8")
    remedy = f"python -m ecgxai_core.report.documents {path.relative_to(REPO)}"
    assert with_tables(text) == text, f"run: {remedy}"
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) <= set(TABLES)


def test_a_document_somewhere_lists_every_method():
    everything = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    assert "<!-- table: methods -->" in everything
    for method in METHODS.values():
        assert f"| `{method.name}` | {method.title} |" in everything


def test_only_what_is_marked_is_replaced():
    text = "a\n<!-- table: methods -->\nstale\n<!-- end of table -->\nb <!-- table: methods -->\n"
    made = with_tables(text)
    assert made.startswith("a\n<!-- table: methods -->\n| `--method` |")
    assert made.endswith("|\n<!-- end of table -->\nb <!-- table: methods -->\n")
    assert "stale" not in made
