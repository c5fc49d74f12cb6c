"""Data sets by their official layouts, as catalogues: what is in them, without reading a signal.

An :class:`Entry` knows where its record is, its labels, its patient and its fold. Reading happens
one record at a time (:func:`read_entry`), so a catalogue of a hundred thousand records is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from ecgxai_core.types import Record

__all__ = ["Catalogue", "Entry", "read_entry"]


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
    """

    name: str
    path: Path
    patient: str
    labels: tuple[str, ...] | None = None
    fold: int | None = None
    age: float | None = None
    sex: str | None = None
    quality: tuple[str, ...] = ()


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


def read_entry(entry: Entry) -> Record:
    """Read the record of an entry.

    Raises
    ------
    RecordError
        The record is refused by its reader.
    """
    from ecgxai_core.records import read_record

    return read_record(entry.path)
