"""PTB-XL in its official layout: ``ptbxl_database.csv``, ``scp_statements.csv``, ``records100/``.

Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data
7:154 (2020). All records of a patient are in one fold; fold 9 is for tuning, fold 10 for testing.

SCP-ECG statements become SNOMED-CT codes as in the PhysioNet/CinC Challenge 2020, which contains
PTB-XL under those codes (Perez Alday et al., Physiol. Meas. 41:124003, 2020). The five diagnostic
superclasses are PTB-XL's own: the column ``diagnostic_class`` of ``scp_statements.csv``. A
statement counts when it is present, whatever its likelihood, as in both sources. The statements
themselves are kept beside the labels as ``scp:NAME``, for models that are trained on all 71.
"""

from __future__ import annotations

import ast
import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ecgxai_core.diagnoses import terms
from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogues.entry import Catalogue, Entry
from ecgxai_core.records.files import open_table

__all__ = [
    "STATEMENT",
    "SUPERCLASSES",
    "Tasks",
    "clinical_classes",
    "frequent_classes",
    "output_groups",
    "parse_scp_codes",
    "read_ptbxl",
    "read_superclass_table",
    "read_tasks",
    "scp_snomed",
    "snomed_labels",
    "statement_labels",
    "superclass_labels",
]

SUPERCLASSES: tuple[str, ...] = ("NORM", "MI", "STTC", "CD", "HYP")
"""Names of the superclass outputs; they are not SNOMED-CT codes and have no evidence rows."""

STATEMENT = "scp:"
"""Before the name of a statement where it is a label or the name of an output."""

Tasks = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Name of a task -> class -> the statements (``scp:NAME``) of which any makes it present."""

_MOST_CHARACTERS = 2000
"""Of one ``scp_codes`` field; the longest of PTB-XL has 128."""


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
        short = text if len(text) <= _MOST_CHARACTERS else ""  # not a dict
        value = ast.literal_eval(short)  # literals only: nothing in the file can run
        return {str(name): float(likelihood) for name, likelihood in value.items()}
    except (ArithmeticError, AttributeError, MemoryError, RecursionError, SyntaxError, TypeError,
            ValueError):  # fmt: skip
        problem = "is not a dict of statements"
        raise RecordError(where, "scp_codes", problem, "download the file again") from None


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
    table = {row[""]: row["diagnostic_class"] for row in _statement_rows(path)}
    return {name: kind for name, kind in table.items() if kind in SUPERCLASSES}


def _statement_rows(path: Path) -> list[dict[str, str]]:
    with open_table(path) as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "diagnostic_class" not in rows[0] or "" not in rows[0]:
        problem = "column is missing"
        raise RecordError(path.name, "diagnostic_class", problem, "use the official file")
    return rows


def read_tasks(path: Path) -> Tasks:
    """The tasks on which results on PTB-XL are published, from ``scp_statements.csv``.

    All statements, diagnostic ones, their sub- and superclasses, form, rhythm: Strodthoff et al.,
    "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", IEEE J. Biomed. Health
    Inform. 25:1519 (2021). Subclasses are called ``sub:NAME``, because some are called as a
    superclass is.

    Raises
    ------
    RecordError
        As :func:`read_superclass_table`.
    """
    rows = _statement_rows(path)
    tasks: dict[str, dict[str, tuple[str, ...]]] = {
        task: {} for task in ("all", "diagnostic", "subdiagnostic", "superdiagnostic")
    }
    for row in rows:
        name = STATEMENT + row[""]
        tasks["all"][name] = (name,)
        for task in ("diagnostic", "form", "rhythm"):
            if (row.get(task) or "").strip():
                tasks.setdefault(task, {})[name] = (name,)
        sub, kind = (row.get("diagnostic_subclass") or "").strip(), row["diagnostic_class"]
        if sub:
            of_sub = tasks["subdiagnostic"]
            of_sub[f"sub:{sub}"] = (*of_sub.get(f"sub:{sub}", ()), name)
        if kind in SUPERCLASSES:
            of_super = tasks["superdiagnostic"]
            of_super[kind] = (*of_super.get(kind, ()), name)
    return {task: classes for task, classes in tasks.items() if classes}


def statement_labels(statements: Iterable[str]) -> tuple[str, ...]:
    """The statements of one record as labels, ``scp:NAME``, sorted."""
    return tuple(sorted(STATEMENT + name for name in statements))


def output_groups(classes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Positions of a model's ``codes``, ``superclasses`` and ``statements``; groups that it has."""
    places: dict[str, list[int]] = {"codes": [], "superclasses": [], "statements": []}
    for place, name in enumerate(classes):
        group = "superclasses" if name in SUPERCLASSES else "codes"
        places["statements" if name.startswith(STATEMENT) else group].append(place)
    return {group: tuple(found) for group, found in places.items() if found}


def superclass_labels(statements: Iterable[str], table: Mapping[str, str]) -> tuple[str, ...]:
    """Superclasses of one record, in the order of :data:`SUPERCLASSES`."""
    found = {table[name] for name in statements if name in table}
    return tuple(name for name in SUPERCLASSES if name in found)


def clinical_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Classes that are shown where nobody asked for statements: codes and superclasses. All of
    them, where a model has only statements."""
    kept = tuple(name for name in classes if not name.startswith(STATEMENT))
    return kept or tuple(classes)


def frequent_classes(labels: Sequence[Sequence[str]], least: int = 100) -> tuple[str, ...]:
    """Classes that at least ``least`` records carry: codes by number, superclasses last.

    Statements (``scp:NAME``) are not among them.
    """
    counts = Counter(name for record in labels for name in record if not name.startswith(STATEMENT))
    codes = [name for name in counts if name not in SUPERCLASSES and counts[name] >= least]
    supers = [name for name in SUPERCLASSES if counts[name] >= least]
    return (*sorted(codes, key=lambda code: (len(code), code)), *supers)


QUALITY_FLAGS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")
"""Columns in which PTB-XL's technical validation lists the affected leads."""

_OLDEST = 120.0  # releases after 1.0.1 write 300 for "over 89"


def read_ptbxl(folder: Path, fs: Literal[100, 500] = 100, *, check_files: bool = True) -> Catalogue:
    """Catalogue of PTB-XL at 100 or 500 Hz; records without a header file are skipped.

    Raises
    ------
    RecordError
        A table is missing, or lacks a column or value.
    """
    database = folder / "ptbxl_database.csv"
    table = read_superclass_table(folder / "scp_statements.csv")
    column = "filename_lr" if fs == 100 else "filename_hr"
    entries: list[Entry] = []
    skipped: list[str] = []
    with open_table(database) as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            entry = _entry(folder, row, column, table, f"{database.name} line {number}")
            if check_files and not entry.path.is_file():
                skipped.append(entry.name)
            else:
                entries.append(entry)
    return Catalogue(
        name="PTB-XL",
        entries=tuple(entries),
        fs=float(fs),
        licence="CC BY 4.0",
        citation="Wagner et al., Scientific Data 7:154 (2020)",
        patients_known=True,
        skipped=tuple(skipped),
        tasks=read_tasks(folder / "scp_statements.csv"),
    )


def _entry(
    folder: Path, row: dict[str, str], column: str, table: dict[str, str], where: str
) -> Entry:
    try:
        relative = Path(row[column])
        statements = parse_scp_codes(row["scp_codes"], where)
        labels = snomed_labels(statements, row["heart_axis"].strip() or None)
        fold, patient, sex = int(row["strat_fold"]), int(float(row["patient_id"])), row["sex"]
        age = float(row["age"]) if row["age"] else math.nan
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        problem = "is missing or no number"
        raise RecordError(where, error, problem, "use the official file") from None
    if relative.is_absolute() or ".." in relative.parts:
        raise RecordError(where, column, "points outside the folder", "use the official file")
    return Entry(
        name=relative.name,
        path=folder / relative.with_suffix(".hea"),
        patient=str(patient),
        labels=(*labels, *superclass_labels(statements, table)),
        fold=fold,
        age=age if age < _OLDEST else None,
        sex={"0": "male", "1": "female"}.get(sex),
        quality=tuple(flag for flag in QUALITY_FLAGS if (row.get(flag) or "").strip()),
        statements=statement_labels(statements),
    )
