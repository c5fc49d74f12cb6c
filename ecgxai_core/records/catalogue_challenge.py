"""Folders of the PhysioNet/CinC Challenges 2020 and 2021: headers with ``#Dx`` lines.

Perez Alday et al., Physiol. Meas. 41:124003 (2020); Reyna et al., CinC 2021. The Challenges do not
say which records are of one patient, so a split of them is a split of records; the ``HR`` records
are PTB-XL's, numbered by its ``ecg_id``: PTB-XL's table gives their patients and folds.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogue import Catalogue, Entry
from ecgxai_core.records.metadata import parse_comments
from ecgxai_core.records.read import find_records
from ecgxai_core.records.wfdb_header import read_header

__all__ = ["ptbxl_number", "read_challenge"]

_PTBXL_NAME = re.compile(r"HR(\d{5})")


def ptbxl_number(name: str) -> int | None:
    """PTB-XL's ``ecg_id`` of a Challenge record, or ``None``."""
    match = _PTBXL_NAME.fullmatch(name)
    return int(match[1]) if match else None


def read_challenge(folder: Path, ptbxl: Catalogue | None = None) -> Catalogue:
    """Catalogue of every record below a folder; refused headers are named in ``skipped``.

    Parameters
    ----------
    folder
        Flat (2020 samples) or with a folder per source and group (``training/ptb-xl/g1/``).
    ptbxl
        PTB-XL's catalogue, from which ``HR`` records take patient and fold.

    Raises
    ------
    RecordError
        No record in the folder.
    """
    known = {} if ptbxl is None else {_number(entry): entry for entry in ptbxl}
    entries: list[Entry] = []
    skipped: list[str] = []
    for path in find_records([folder]):
        try:
            header = read_header(path)
        except RecordError:
            skipped.append(path.name)
            continue
        about = parse_comments(header.comments)
        entry = Entry(
            name=header.name,
            path=path,
            patient=header.name,
            labels=about.labels,
            age=about.age,
            sex=about.sex,
        )
        same = known.get(ptbxl_number(header.name) or -1)
        if same is not None:
            entry = dataclasses.replace(
                entry, patient=f"ptb-xl {same.patient}", fold=same.fold, quality=same.quality
            )
        entries.append(entry)
    return Catalogue(
        name="PhysioNet/CinC Challenge",
        entries=tuple(entries),
        licence="CC BY 4.0",
        citation="Perez Alday et al., Physiol. Meas. 41:124003 (2020)",
        skipped=tuple(skipped),
    )


def _number(entry: Entry) -> int:
    return int(entry.name.split("_")[0])
