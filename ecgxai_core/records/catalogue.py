"""Data sets by their official layouts, as catalogues: what is in them, without reading a signal.

An :class:`Entry` knows where its record is, its labels, its patient and its fold. Reading happens
one record at a time (:func:`read_entry`), so a catalogue of a hundred thousand records is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ecgxai_core.errors import RecordError

if TYPE_CHECKING:
    from ecgxai_core.types import Record

__all__ = ["LAYOUTS", "Catalogue", "Entry", "open_catalogue", "read_entry"]

LAYOUTS: tuple[str, ...] = (
    "ptb-xl",
    "ptb-xl-500",
    "cinc",
    "cinc2020",
    "cinc2021",
    "ludb",
    "mit-bih",
    "cinc2017",
)
"""Official layouts that :func:`open_catalogue` reads."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a data set.

    Attributes
    ----------
    name, path
        Record name; its header (or single data file).
    patient
        Who it is from, unique in the data set; where the data set does not say, the record itself.
    labels
        SNOMED-CT codes and superclass names; ``None`` where the data set has no label for it.
    fold
        The data set's own fold, or ``None``.
    age, sex
        Years; ``"female"`` or ``"male"``.
    quality
        Names of the quality flags that the data set gives.
    standard_leads
        Whether it has leads of the 12-lead ECG; ambulatory records (MIT-BIH, CinC 2017) have not.
    """

    name: str
    path: Path
    patient: str
    labels: tuple[str, ...] | None = None
    fold: int | None = None
    age: float | None = None
    sex: str | None = None
    quality: tuple[str, ...] = ()
    standard_leads: bool = True


@dataclass(frozen=True, slots=True)
class Catalogue(Sequence[Entry]):
    """A data set.

    ``fs`` is the sampling rate in Hz where the layout fixes it. ``patients_known`` says whether
    ``patient`` comes from the data set; where it does not, a split by patient is one by record.
    """

    name: str
    entries: tuple[Entry, ...]
    fs: float | None = None
    licence: str = ""
    citation: str = ""
    patients_known: bool = False
    skipped: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, place: int | slice) -> Entry | tuple[Entry, ...]:
        return self.entries[place]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def label_counts(self) -> dict[str, int]:
        """Records per label, most frequent first."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            for label in entry.labels or ():
                counts[label] = counts.get(label, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def open_catalogue(folder: Path, layout: str | None = None) -> Catalogue:
    """Open a data set by its layout, or by what the folder holds where none is given.

    Raises
    ------
    RecordError
        No such layout, or no data set of it in the folder.
    """
    if not folder.is_dir():
        raise RecordError(
            folder.name or "folder", "folder", "does not exist", "give the folder of the data set"
        )
    name = layout or _layout_of(folder)
    if name in ("ptb-xl", "ptb-xl-500"):
        from ecgxai_core.records.catalogue_ptbxl import read_ptbxl

        return read_ptbxl(folder, 100 if name == "ptb-xl" else 500)
    if name == "ludb":
        from ecgxai_core.records.catalogue_ludb import read_ludb

        return read_ludb(folder)
    if name in ("cinc", "cinc2020", "cinc2021"):
        from ecgxai_core.records.catalogue_challenge import read_challenge

        return read_challenge(folder)
    if name in ("mit-bih", "cinc2017"):
        from ecgxai_core.records.catalogue_single import read_cinc2017, read_mit_bih

        return read_mit_bih(folder) if name == "mit-bih" else read_cinc2017(folder)
    raise RecordError(folder.name, "layout", name, f"use one of {', '.join(LAYOUTS)}")


def _layout_of(folder: Path) -> str:
    marks = {
        "ptb-xl": "ptbxl_database.csv",
        "ludb": "ludb.csv",
        "cinc2017": "REFERENCE*.csv",
        "mit-bih": "*.atr",
    }
    for name, pattern in marks.items():
        if next(iter(folder.glob(pattern)), None) is not None:
            return name
    return "cinc"


def read_entry(entry: Entry) -> Record:
    """Read the record of an entry.

    Raises
    ------
    RecordError
        The record is refused by its reader.
    """
    if entry.standard_leads:
        from ecgxai_core.records.read import read_record

        return read_record(entry.path)
    from ecgxai_core.records.catalogue_single import read_ambulatory

    return read_ambulatory(entry)
