"""PTB-XL's SCP-ECG statements as SNOMED-CT codes and as the five diagnostic superclasses.

The mapping is the one of the PhysioNet/CinC Challenge 2020, which contains PTB-XL under SNOMED-CT
codes (Perez Alday et al., Physiol. Meas. 41:124003, 2020). The superclasses are PTB-XL's own
(Wagner et al., Scientific Data 7:154, 2020): the column ``diagnostic_class`` of
``scp_statements.csv``. A statement counts when it is present, whatever its likelihood, as in both
sources.
"""

from __future__ import annotations

import ast
import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from ecgxai_core.diagnoses import terms
from ecgxai_core.errors import RecordError

__all__ = [
    "SUPERCLASSES",
    "axis_snomed",
    "frequent_classes",
    "parse_scp_codes",
    "read_superclass_table",
    "scp_snomed",
    "snomed_labels",
    "superclass_labels",
]

SUPERCLASSES: tuple[str, ...] = ("NORM", "MI", "STTC", "CD", "HYP")
"""Names of the superclass outputs; they are not SNOMED-CT codes and have no evidence rows."""


@lru_cache(maxsize=1)
def scp_snomed() -> Mapping[str, str]:
    """SCP-ECG statement -> SNOMED-CT code, from the table of diagnoses; others have no code."""
    return {statement: term.code for term in terms() for statement in term.ptbxl}


@lru_cache(maxsize=1)
def axis_snomed() -> Mapping[str, str]:
    """PTB-XL's ``heart_axis`` -> SNOMED-CT code of left and right axis deviation."""
    return {axis: term.code for term in terms() for axis in term.ptbxl_axis}


def parse_scp_codes(text: str, where: str = "ptbxl_database.csv") -> dict[str, float]:
    """Statements and likelihoods of one ``scp_codes`` field, a Python dict literal.

    Raises
    ------
    RecordError
        The field is not a dict of names to numbers.
    """
    try:
        value = ast.literal_eval(text)  # literals only: nothing in the file can run
        return {str(name): float(likelihood) for name, likelihood in value.items()}
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError):
        raise RecordError(
            where, "scp_codes", "is not a dict of statements", "download the file again"
        ) from None


def snomed_labels(statements: Iterable[str], heart_axis: str | None = None) -> tuple[str, ...]:
    """SNOMED-CT codes of one record, sorted, each once."""
    known, axes = scp_snomed(), axis_snomed()
    codes = {known[name] for name in statements if name in known}
    if heart_axis is not None and heart_axis in axes:
        codes.add(axes[heart_axis])
    return tuple(sorted(codes))


def read_superclass_table(path: Path) -> dict[str, str]:
    """Statement -> superclass, from ``scp_statements.csv``; statements without one are left out.

    Raises
    ------
    RecordError
        The file is not readable or has no ``diagnostic_class`` column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RecordError(
            path.name, "", "cannot be read", "put the official file beside the records"
        ) from None
    if not rows or "diagnostic_class" not in rows[0] or "" not in rows[0]:
        raise RecordError(
            path.name, "diagnostic_class", "column is missing", "use the official file"
        )
    table = {row[""]: row["diagnostic_class"] for row in rows}
    return {name: kind for name, kind in table.items() if kind in SUPERCLASSES}


def superclass_labels(statements: Iterable[str], table: Mapping[str, str]) -> tuple[str, ...]:
    """Superclasses of one record, in the order of :data:`SUPERCLASSES`."""
    found = {table[name] for name in statements if name in table}
    return tuple(name for name in SUPERCLASSES if name in found)


def frequent_classes(labels: Sequence[Sequence[str]], least: int = 100) -> tuple[str, ...]:
    """Classes that at least ``least`` records carry: codes by number, superclasses last."""
    counts = Counter(name for record in labels for name in record)
    codes = [name for name in counts if name not in SUPERCLASSES and counts[name] >= least]
    supers = [name for name in SUPERCLASSES if counts[name] >= least]
    return (*sorted(codes, key=lambda code: (len(code), code)), *supers)
