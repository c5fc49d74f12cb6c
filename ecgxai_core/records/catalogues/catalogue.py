"""Data sets in their official layouts, as catalogues.

An :class:`Entry` states where its record is, its labels, patient and fold. Signals are read one
record at a time (:func:`read_entry`), so a catalogue of a hundred thousand records is cheap.

- Folders of the PhysioNet/CinC Challenges 2020 and 2021: headers with ``#Dx`` lines (Perez Alday et
  al., Physiol. Meas. 41:124003, 2020; Reyna et al., CinC 2021). The Challenges do not identify
  patients, so they can only be split by record. The ``HR`` records are from PTB-XL, numbered by
  ``ecg_id``; PTB-XL's table gives their patients and folds.
- LUDB: ``ludb.csv`` and ``data/N.hea`` with annotations per lead (Kalyakulina et al., "LUDB: A New
  Open-Access Validation Tool for Electrocardiogram Delineation Algorithms", IEEE Access 8:186181,
  2020). Every record is from a different patient.
- MIT-BIH (two leads; Moody & Mark, IEEE Eng. Med. Biol. 20:45, 2001) and PhysioNet/CinC 2017 (one
  lead; Clifford et al., CinC 2017): ambulatory. Their leads are not those of the 12-lead ECG, so
  the records are for training and single-lead models, not for the 12-lead pages; they are read with
  ``wfdb``.
- PTB-XL: see :mod:`ecgxai_core.records.catalogues.ptbxl`.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogues.entry import Catalogue, Entry, header_entries
from ecgxai_core.records.catalogues.ptbxl import read_ptbxl
from ecgxai_core.records.files import open_regular, open_table
from ecgxai_core.records.metadata import Metadata, parse_comments
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.records.wfdb_header import MAX_HEADER_BYTES
from ecgxai_core.types import Record

__all__ = [
    "IN_HEADERS",
    "LAYOUTS",
    "Catalogue",
    "Entry",
    "find_layout",
    "ludb_labels",
    "mit_bih_labels",
    "open_catalogue",
    "ptbxl_number",
    "read_challenge",
    "read_cinc2017",
    "read_entry",
    "read_ludb",
    "read_mit_bih",
]

_PTBXL_NAME = re.compile(r"HR(\d{5})", re.ASCII)


def ptbxl_number(name: str) -> int | None:
    """PTB-XL's ``ecg_id`` of a Challenge record, or ``None``."""
    match = _PTBXL_NAME.fullmatch(name)
    return int(match[1]) if match else None


def read_challenge(folder: Path, ptbxl: Catalogue | None = None) -> Catalogue:
    """Catalogue of all records in a folder and its subfolders.

    Parameters
    ----------
    folder
        Flat (2020 samples), or with a folder per source and group (``training/ptb-xl/g1/``).
    ptbxl
        Catalogue of PTB-XL, from which ``HR`` records take patient, fold and quality.

    Raises
    ------
    RecordError
        The folder contains no record.
    """
    known = {int(entry.name.split("_")[0]): entry for entry in ptbxl or ()}
    found, refused = header_entries(find_records([folder]))
    entries: list[Entry] = []
    for entry, _ in found:
        same = known.get(ptbxl_number(entry.name) or -1)
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
        skipped=tuple(path.name for path in refused),
        unreadable=tuple(path for path in refused if path.suffix.lower() == ".hea"),  # no DICOM
    )


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
"""Start of a line below ``#<diagnoses>`` (lower case, spelt as in the files) -> SNOMED-CT code."""


def ludb_labels(comments: Sequence[str]) -> tuple[str, ...]:
    """SNOMED-CT codes of the diagnosis lines, sorted; lines without a code are ignored."""
    lines = [comment.strip().rstrip(".").lower() for comment in comments]
    found = {
        code
        for line in lines
        for start, code in LUDB_SNOMED.items()
        if line == start or line.startswith(f"{start},")
    }
    return tuple(sorted(found))


def read_ludb(folder: Path) -> Catalogue:
    """Catalogue of LUDB.

    Raises
    ------
    RecordError
        There is no ``data`` folder with headers.
    """
    paths = sorted((folder / "data").glob("*.hea"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise RecordError(folder.name, "data", "contains no header", "give the folder of LUDB")
    found, refused = header_entries(paths)
    return Catalogue(
        name="LUDB",
        entries=tuple(replace(entry, labels=ludb_labels(h.comments)) for entry, h in found),
        fs=500.0,
        licence="ODC-By 1.0",
        citation="Kalyakulina et al., IEEE Access 8:186181 (2020)",
        patients_known=True,
        skipped=tuple(path.name for path in refused),
        unreadable=refused,
    )


CINC2017_SNOMED: Mapping[str, tuple[str, ...]] = {
    "N": ("426783006",),
    "A": ("164889003",),
    "O": (),
    "~": (),
}
"""Normal, atrial fibrillation, other rhythm (no code), too noisy (quality flag)."""

_BEATS: Mapping[str, str] = {
    "A": "284470004",
    "V": "427172004",
    "L": "164909002",
    "R": "59118001",
    "/": "10370003",
}
_RHYTHMS: Mapping[str, str] = {
    "(N": "426783006",
    "(AFIB": "164889003",
    "(AFL": "164890007",
    "(SBR": "426177001",
    "(P": "10370003",
}
_MIT_BIH = "[12][0-3][0-9]"
"""Names of the MIT-BIH records, 100 to 234; other sets have ``.atr`` files too."""
_SAME_PATIENT = {"202": "201"}  # the only two MIT-BIH records of the same patient


def mit_bih_labels(symbols: Iterable[str], notes: Iterable[str]) -> tuple[str, ...]:
    """SNOMED-CT codes of the beats and rhythms annotated in a record."""
    beats = {_BEATS[symbol] for symbol in symbols if symbol in _BEATS}
    plain = (note.strip().strip("\x00") for note in notes)
    return tuple(sorted(beats | {_RHYTHMS[note] for note in plain if note in _RHYTHMS}))


def read_mit_bih(folder: Path) -> Catalogue:
    """Catalogue of an MIT-BIH folder: ``100.hea``, ``100.dat``, ``100.atr``, ...

    Labels are those of a ``#Dx`` line, else of the annotations. Patients are known by the names of
    MIT-BIH; other sets in this layout (INCART) have several records of a patient.

    Raises
    ------
    RecordError
        The folder contains no header, or an annotation file cannot be read.
    """
    paths = sorted(folder.glob("*.hea"))
    if not paths:
        raise RecordError(folder.name, "", "contains no header", "give the folder of the records")
    entries = tuple(
        Entry(
            name=path.stem,
            path=path,
            patient=_SAME_PATIENT.get(path.stem, path.stem),
            labels=_annotated(path),
            standard_leads=False,
        )
        for path in paths
    )
    return Catalogue(
        name="MIT-BIH",
        entries=entries,
        fs=360.0,
        licence="ODC-By 1.0",
        citation="Moody & Mark, IEEE Eng. Med. Biol. 20:45 (2001)",
        patients_known=all(fnmatchcase(path.stem, _MIT_BIH) for path in paths),
    )


def _annotated(header: Path) -> tuple[str, ...] | None:
    import wfdb

    said = _said(header)
    if said.labels is not None or any(w.code == "unreadable_dx" for w in said.warnings):
        return said.labels
    if not header.with_suffix(".atr").is_file():
        return None
    try:
        found = wfdb.rdann(str(header.with_suffix("")), "atr")
        return mit_bih_labels(found.symbol, found.aux_note)
    except Exception as error:  # wfdb raises errors of any type on damaged files
        raise _unreadable(f"{header.stem}.atr", error) from None


def _said(header: Path) -> Metadata:
    """What the comments of a header say, whatever its leads are called."""
    try:
        with open_regular(header, MAX_HEADER_BYTES) as (file, size):
            lines = file.read(size).decode("utf-8", "replace").splitlines()
    except RecordError:  # said when the record is read
        return Metadata()
    return parse_comments([line[1:].strip() for line in lines if line.startswith("#")])


def _unreadable(name: str, error: Exception) -> RecordError:
    return RecordError(name, "", f"cannot be read ({type(error).__name__})", "fetch it again")


def read_cinc2017(folder: Path) -> Catalogue:
    """Catalogue of a ``training2017`` folder, with labels from the newest ``REFERENCE*.csv``.

    Raises
    ------
    RecordError
        There is no reference file, or a label is not N, A, O or ~.
    """
    references = sorted(folder.glob("REFERENCE*.csv"))
    if not references:
        raise RecordError(folder.name, "REFERENCE.csv", "is missing", "give training2017")
    reference = max(references, key=lambda path: (path.stem != "REFERENCE-original", path.name))
    entries: list[Entry] = []
    skipped: list[str] = []
    for name, label in _reference_rows(reference):
        path = folder / f"{name}.hea"
        if not path.is_file():
            skipped.append(name)
            continue
        quality = ("too_noisy",) if label == "~" else ()
        codes = CINC2017_SNOMED[label]
        entries.append(Entry(name, path, name, labels=codes, quality=quality, standard_leads=False))
    return Catalogue(
        name="PhysioNet/CinC 2017",
        entries=tuple(entries),
        fs=300.0,
        licence="ODC-By 1.0",
        citation="Clifford et al., Computing in Cardiology 44 (2017)",
        skipped=tuple(skipped),
    )


def _reference_rows(path: Path) -> list[tuple[str, str]]:
    """Record name and label of each row of a ``REFERENCE.csv``."""
    with open_table(path) as stream:
        rows = [row for row in csv.reader(stream) if row]
    found = []
    for number, row in enumerate(rows, start=1):
        name, label = row[0], row[1] if len(row) > 1 else ""
        if label not in CINC2017_SNOMED or not name or Path(name).name != name:
            raise RecordError(path.name, f"row {number}", "has no known label", "fetch it again")
        found.append((name, label))
    return found


def read_ambulatory(entry: Entry) -> Record:
    """Read a record with leads of any name, in file order.

    Raises
    ------
    RecordError
        The record cannot be read, or is not in mV.
    """
    import wfdb

    try:
        found = wfdb.rdrecord(str(entry.path.with_suffix("")))
        signal = np.asarray(found.p_signal, np.float32).T
    except Exception as error:  # wfdb raises errors of any type on damaged files
        raise _unreadable(entry.path.name, error) from None
    if not found.fs or any(unit.lower() != "mv" for unit in found.units):
        raise RecordError(entry.path.name, "fs, units", "are not Hz and mV", "use the original")
    return Record(
        name=entry.name,
        signal=signal,
        fs=float(found.fs),
        leads=tuple(found.sig_name),
        labels=entry.labels,
        age=entry.age,
        sex=entry.sex,
    )


LAYOUTS: Mapping[str, Callable[[Path], Catalogue]] = {
    "ptb-xl": read_ptbxl,
    "ptb-xl-500": partial(read_ptbxl, fs=500),
    "cinc": read_challenge,
    "cinc2020": read_challenge,
    "cinc2021": read_challenge,
    "ludb": read_ludb,
    "mit-bih": read_mit_bih,
    "cinc2017": read_cinc2017,
}
"""Official layouts -> reader."""

_MARKS = {
    "ptb-xl": "ptbxl_database.csv",
    "ludb": "ludb.csv",
    "cinc2017": "REFERENCE*.csv",
    "mit-bih": f"{_MIT_BIH}.atr",
}
"""Layout -> files that only this layout has; a folder without any of them is ``cinc``."""


IN_HEADERS = "cinc"
"""The layout of folders whose labels stand in the headers."""


def find_layout(folder: Path) -> str:
    """The layout whose files a folder has; :data:`IN_HEADERS` if none's."""
    found = (name for name, pattern in _MARKS.items() if any(folder.glob(pattern)))
    return next(found, IN_HEADERS)


def open_catalogue(folder: Path, layout: str | None = None) -> Catalogue:
    """Open a data set in the given layout; without one, the layout is detected from its files.

    Raises
    ------
    RecordError
        The layout is unknown, or the folder contains no data set in it.
    """
    if not folder.is_dir():
        name, fix = folder.name or "folder", "give the folder of the data set"
        raise RecordError(name, "folder", "does not exist", fix)
    chosen = layout or find_layout(folder)
    if chosen not in LAYOUTS:
        raise RecordError(folder.name, "layout", chosen, f"use one of {', '.join(LAYOUTS)}")
    return LAYOUTS[chosen](folder)


def read_entry(entry: Entry) -> Record:
    """Read the record of an entry.

    Raises
    ------
    RecordError
        The record is refused by its reader.
    """
    return read_record(entry.path) if entry.standard_leads else read_ambulatory(entry)
