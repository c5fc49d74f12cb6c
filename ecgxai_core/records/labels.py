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
from pathlib import Path

from ecgxai_core.errors import RecordError

__all__ = [
    "AXIS_SNOMED",
    "SCP_SNOMED",
    "SUPERCLASSES",
    "frequent_classes",
    "parse_scp_codes",
    "read_superclass_table",
    "snomed_labels",
    "superclass_labels",
]

SUPERCLASSES: tuple[str, ...] = ("NORM", "MI", "STTC", "CD", "HYP")
"""Names of the superclass outputs; they are not SNOMED-CT codes and have no evidence rows."""

SCP_SNOMED: Mapping[str, str] = {
    "SR": "426783006",
    "NORM": "426783006",
    "AFIB": "164889003",
    "AFLT": "164890007",
    "SBRAD": "426177001",
    "STACH": "427084000",
    "SARRH": "427393009",
    "CRBBB": "713427006",
    "IRBBB": "713426002",
    "CLBBB": "164909002",
    "LAFB": "445118002",
    "IVCD": "698252002",
    "1AVB": "270492004",
    "LPR": "164947007",
    "LNGQT": "111975006",
    "PAC": "284470004",
    "SVARR": "63593006",
    "PVC": "427172004",
    "PACE": "10370003",
    "QWAVE": "164917005",
    "INVT": "59931005",
    "NDT": "164934002",
    "NT_": "164934002",
    "LOWT": "164934002",
    "TAB_": "164934002",
    "LVOLT": "251146004",
}
"""SCP-ECG statement -> SNOMED-CT code; statements that are not here have no code."""

AXIS_SNOMED: Mapping[str, str] = {
    "LAD": "39732003",
    "ALAD": "39732003",
    "RAD": "47665007",
    "ARAD": "47665007",
}
"""PTB-XL's ``heart_axis`` -> SNOMED-CT code of left and right axis deviation."""


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
    codes = {SCP_SNOMED[name] for name in statements if name in SCP_SNOMED}
    if heart_axis is not None and heart_axis in AXIS_SNOMED:
        codes.add(AXIS_SNOMED[heart_axis])
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
