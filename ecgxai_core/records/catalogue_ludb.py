"""LUDB by its official layout: ``ludb.csv`` and ``data/N.hea`` with annotations per lead.

Kalyakulina et al., "LUDB: A New Open-Access Validation Tool for Electrocardiogram Delineation
Algorithms", IEEE Access 8:186181 (2020). Every record is of another person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogue import Catalogue, Entry
from ecgxai_core.records.metadata import parse_comments
from ecgxai_core.records.wfdb_header import read_header

__all__ = ["LUDB_SNOMED", "ludb_labels", "read_ludb"]

LUDB_SNOMED: Mapping[str, str] = {
    "rhythm: sinus rhythm": "426783006",
    "rhythm: sinus bradycardia": "426177001",
    "rhythm: sinus tachycardia": "427084000",
    "rhythm: sinus arrhythmia": "427393009",
    "rhythm: atrial fibrillation": "164889003",
    "rhythm: atrial flutter": "164890007",
    "electric axis of the heart: left axis deviation": "39732003",
    "electric axis of the heart: right axis deviation": "47665007",
    "incomplete right bundle branch block": "713426002",
    "complete right bundle branch block": "713427006",
    "complete left bundle branch block": "164909002",
    "left anterior hemiblock": "445118002",
    "non-specific intravintricular conduction delay": "698252002",
    "i degree av block": "270492004",
    "atrial extrasystole": "284470004",
    "ventricular extrasystole": "427172004",
    "unipolar ventricular pacing": "10370003",
    "unipolar atrial pacing": "10370003",
    "bipolar ventricular pacing": "10370003",
    "biventricular pacing": "10370003",
}
"""Start of a line under ``#<diagnoses>`` (lower case) -> SNOMED-CT code, spelt as in the files."""


def ludb_labels(comments: Sequence[str]) -> tuple[str, ...]:
    """SNOMED-CT codes of the diagnosis lines, sorted; lines without a code are left out."""
    lines = [comment.strip().rstrip(".").lower() for comment in comments]
    found = {
        code
        for line in lines
        for start, code in LUDB_SNOMED.items()
        if line == start or line.startswith(f"{start},")
    }
    return tuple(sorted(found))


def read_ludb(folder: Path) -> Catalogue:
    """Catalogue of LUDB; refused headers are named in ``skipped``.

    Raises
    ------
    RecordError
        No ``data`` folder with headers.
    """
    paths = sorted((folder / "data").glob("*.hea"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise RecordError(folder.name, "data", "holds no header", "give the folder of LUDB")
    entries: list[Entry] = []
    skipped: list[str] = []
    for path in paths:
        try:
            header = read_header(path)
        except RecordError:
            skipped.append(path.name)
            continue
        about = parse_comments(header.comments)
        entries.append(
            Entry(
                name=header.name,
                path=path,
                patient=header.name,
                labels=ludb_labels(header.comments),
                age=about.age,
                sex=about.sex,
            )
        )
    return Catalogue(
        name="LUDB",
        entries=tuple(entries),
        fs=500.0,
        licence="ODC-By 1.0",
        citation="Kalyakulina et al., IEEE Access 8:186181 (2020)",
        patients_known=True,
        skipped=tuple(skipped),
    )
