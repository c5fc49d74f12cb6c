"""Tables in documents that are made from the registries.

A document holds a table between two marks, ``<!-- table: NAME -->`` and ``<!-- end of table -->``.
``python -m ecgxai_core.report.documents FILE...`` updates the tables of some files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.explainers import METHODS
from ecgxai_core.metrics import METRICS, NEEDS
from ecgxai_core.params import SelectionParams, profile

__all__ = ["TABLES", "with_tables"]

_MARKED = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _methods() -> str:
    return _markdown(
        ("`--method`", "name", "family", "signed", "what it asks"),
        [
            (f"`{m.name}`", m.title, m.family, "yes" if m.signed else "no", m.description)
            for m in METHODS.values()
        ],
    )


def _aggregations() -> str:
    return _markdown(
        ("`agg`", "name", "what it gives to a cell"),
        [(f"`{a.name}`", a.title, a.description) for a in AGGREGATIONS.values()],
    )


def _metrics() -> str:
    return _markdown(
        ("column", "metric", "category", "better", "chance", "needs", "undefined when", "source"),
        [
            (
                f"`{m.name}`", m.title, m.category, m.direction, m.chance,
                "; ".join(NEEDS[need] for need in m.needs), m.undefined, m.source or "-",
            )
            for m in METRICS.values()
        ],
    )  # fmt: skip


def _parameters() -> str:
    usual = profile("default")
    groups = (SelectionParams(), usual.explain, usual.fusion, usual.evaluation, usual.stability)
    rows = [
        (
            f"`{name}`",
            type(group).__name__.removesuffix("Params").lower(),
            "none" if getattr(group, name) is None else f"`{getattr(group, name)}`",
            field.description or "",
        )
        for group in groups
        for name, field in type(group).model_fields.items()
    ]
    return _markdown(("name", "group", "default", "what it is"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "methods": _methods,
    "aggregations": _aggregations,
    "metrics": _metrics,
    "parameters": _parameters,
}
"""Names of the tables."""


def with_tables(text: str) -> str:
    """The text with every marked table remade; an unknown table is left as it is."""

    def made(found: re.Match[str]) -> str:
        table = TABLES.get(found[2])
        return found[1] + (found[3] if table is None else table()) + found[4]

    return _MARKED.sub(made, text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(with_tables(file.read_text("utf-8")), "utf-8")
