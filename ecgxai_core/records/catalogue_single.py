"""Ambulatory data sets: MIT-BIH (two leads) and PhysioNet/CinC 2017 (one lead).

Moody & Mark, IEEE Eng. Med. Biol. 20:45 (2001); Clifford et al., CinC 2017. Their leads are not
those of the 12-lead ECG, so their records serve training and single-lead models, not the 12-lead
pages; they are read with ``wfdb``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogue import Catalogue, Entry
from ecgxai_core.types import Record

__all__ = ["CINC2017_SNOMED", "mit_bih_labels", "read_ambulatory", "read_cinc2017", "read_mit_bih"]

CINC2017_SNOMED: Mapping[str, tuple[str, ...]] = {
    "N": ("426783006",),
    "A": ("164889003",),
    "O": (),
    "~": (),
}
"""Challenge 2017: normal, atrial fibrillation, other rhythm (no code), too noisy (flagged)."""

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
_SAME_PERSON = {"202": "201"}  # the only two MIT-BIH records of one person


def mit_bih_labels(symbols: Iterable[str], notes: Iterable[str]) -> tuple[str, ...]:
    """SNOMED-CT codes of the beats and rhythms that are annotated anywhere in a record."""
    beats = {_BEATS[symbol] for symbol in symbols if symbol in _BEATS}
    plain = (note.strip().strip("\x00") for note in notes)
    return tuple(sorted(beats | {_RHYTHMS[note] for note in plain if note in _RHYTHMS}))


def read_mit_bih(folder: Path) -> Catalogue:
    """Catalogue of an MIT-BIH folder: ``100.hea``, ``100.dat``, ``100.atr``, ...

    Raises
    ------
    RecordError
        No header in the folder, or an annotation file that cannot be read.
    """
    paths = sorted(folder.glob("*.hea"))
    if not paths:
        raise RecordError(folder.name, "", "holds no header", "give the folder of the records")
    entries = tuple(
        Entry(
            name=path.stem,
            path=path,
            patient=_SAME_PERSON.get(path.stem, path.stem),
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
        patients_known=True,
    )


def _annotated(header: Path) -> tuple[str, ...] | None:
    import wfdb

    if not header.with_suffix(".atr").is_file():
        return None
    try:
        found = wfdb.rdann(str(header.with_suffix("")), "atr")
        return mit_bih_labels(found.symbol, found.aux_note)
    except Exception as error:  # wfdb raises whatever its parsing meets
        raise RecordError(
            f"{header.stem}.atr", "", f"cannot be read ({type(error).__name__})", "fetch it again"
        ) from None


def read_cinc2017(folder: Path) -> Catalogue:
    """Catalogue of a ``training2017`` folder; the newest ``REFERENCE*.csv`` gives the labels.

    Raises
    ------
    RecordError
        No reference file, or a label that is none of N, A, O, ~.
    """
    references = sorted(folder.glob("REFERENCE*.csv"))
    if not references:
        raise RecordError(folder.name, "REFERENCE.csv", "is missing", "give training2017")
    reference = max(references, key=lambda path: (path.stem != "REFERENCE-original", path.name))
    entries: list[Entry] = []
    skipped: list[str] = []
    with reference.open(newline="", encoding="utf-8") as stream:
        for name, label, *_ in csv.reader(stream):
            if label not in CINC2017_SNOMED or Path(name).name != name:
                raise RecordError(reference.name, name, "has no known label", "fetch it again")
            path = folder / f"{name}.hea"
            if not path.is_file():
                skipped.append(name)
                continue
            quality = ("too_noisy",) if label == "~" else ()
            codes = CINC2017_SNOMED[label]
            entries.append(
                Entry(name, path, name, labels=codes, quality=quality, standard_leads=False)
            )
    return Catalogue(
        name="PhysioNet/CinC 2017",
        entries=tuple(entries),
        fs=300.0,
        licence="ODC-By 1.0",
        citation="Clifford et al., Computing in Cardiology 44 (2017)",
        skipped=tuple(skipped),
    )


def read_ambulatory(entry: Entry) -> Record:
    """Read a record whose leads may have any name, all of them, in file order.

    Raises
    ------
    RecordError
        It cannot be read, or is not in millivolt.
    """
    import wfdb

    try:
        found = wfdb.rdrecord(str(entry.path.with_suffix("")))
        signal = np.asarray(found.p_signal, np.float32).T
    except Exception as error:  # wfdb raises whatever its parsing meets
        raise RecordError(
            entry.path.name, "", f"cannot be read ({type(error).__name__})", "fetch it again"
        ) from None
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
