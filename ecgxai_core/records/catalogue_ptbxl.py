"""PTB-XL by its official layout: ``ptbxl_database.csv``, ``scp_statements.csv``, ``records100/``.

Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data
7:154 (2020). Its folds never divide a patient; fold 10 is the test fold, fold 9 the tuning fold.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Literal

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogue import Catalogue, Entry
from ecgxai_core.records.labels import (
    parse_scp_codes,
    read_superclass_table,
    snomed_labels,
    superclass_labels,
)

__all__ = ["QUALITY_FLAGS", "read_ptbxl"]

QUALITY_FLAGS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")
"""Columns in which PTB-XL's technical validation notes the leads concerned."""

_OLDEST = 120.0  # releases after 1.0.1 write 300 for "over 89"


def read_ptbxl(folder: Path, fs: Literal[100, 500] = 100, *, check_files: bool = True) -> Catalogue:
    """Catalogue of PTB-XL at 100 or 500 Hz; records whose header is not there are left out.

    Raises
    ------
    RecordError
        A table is missing or has no such column or value.
    """
    database = folder / "ptbxl_database.csv"
    table = read_superclass_table(folder / "scp_statements.csv")
    column = "filename_lr" if fs == 100 else "filename_hr"
    entries: list[Entry] = []
    skipped: list[str] = []
    try:
        with database.open(newline="", encoding="utf-8") as stream:
            for number, row in enumerate(csv.DictReader(stream), start=2):
                entry = _entry(folder, row, column, table, f"{database.name} line {number}")
                if check_files and not entry.path.is_file():
                    skipped.append(entry.name)
                else:
                    entries.append(entry)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RecordError(
            database.name, "", "cannot be read", "put the official file beside records100"
        ) from None
    return Catalogue(
        name="PTB-XL",
        entries=tuple(entries),
        fs=float(fs),
        licence="CC BY 4.0",
        citation="Wagner et al., Scientific Data 7:154 (2020)",
        patients_known=True,
        skipped=tuple(skipped),
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
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RecordError(
            where, error, "is missing or no number", "use the official file"
        ) from None
    if relative.is_absolute() or ".." in relative.parts:
        raise RecordError(where, column, "leads out of the folder", "use the official file")
    return Entry(
        name=relative.name,
        path=folder / relative.with_suffix(".hea"),
        patient=str(patient),
        labels=(*labels, *superclass_labels(statements, table)),
        fold=fold,
        age=age if age < _OLDEST else None,
        sex={"0": "male", "1": "female"}.get(sex),
        quality=tuple(flag for flag in QUALITY_FLAGS if (row.get(flag) or "").strip()),
    )
