"""What a catalogue contains: a data set's records with labels, patients and folds, not signals."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from ecgxai_core.errors import ParameterError, RecordError
from ecgxai_core.records.metadata import parse_comments
from ecgxai_core.records.wfdb_header import Header, read_header
from ecgxai_core.types import content_seed

__all__ = ["Catalogue", "Entry", "header_entries", "with_folds"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a data set.

    Attributes
    ----------
    name, path
        Record name; its header (or single data file).
    patient
        Identifier of the patient, unique in the data set; the record name if unknown.
    labels
        SNOMED-CT codes and superclass names; ``None`` if the record is not labelled.
    fold
        Fold defined by the data set, or ``None``.
    age, sex
        Years; ``"female"`` or ``"male"``.
    quality
        Names of quality flags defined by the data set.
    standard_leads
        Whether it has leads of the 12-lead ECG; ambulatory records (MIT-BIH, CinC 2017) do not.
    statements
        The data set's own statements where they are finer than the labels (PTB-XL: ``scp:NAME``).
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
    statements: tuple[str, ...] = ()

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Labels and statements; empty where the record is not labelled."""
        return () if self.labels is None else (*self.labels, *self.statements)


@dataclass(frozen=True, slots=True)
class Catalogue(Sequence[Entry]):
    """A data set.

    ``fs`` is the sampling rate in Hz, if the layout defines one. ``patients_known`` states whether
    ``patient`` comes from the data set; otherwise a split by patient is a split by record.
    ``skipped`` names records that could not be read; ``unreadable`` are the headers among them
    that are there (the files of others are not, as where a part of PTB-XL was downloaded).
    ``tasks`` are groups of classes for which results are published: task -> class -> the statements
    that make it present.
    """

    name: str
    entries: tuple[Entry, ...]
    fs: float | None = None
    licence: str = ""
    citation: str = ""
    patients_known: bool = False
    skipped: tuple[str, ...] = ()
    unreadable: tuple[Path, ...] = ()
    tasks: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict, hash=False)

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
        counts = Counter(label for entry in self.entries for label in entry.labels or ())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def header_entries(
    paths: Iterable[Path],
) -> tuple[list[tuple[Entry, Header]], tuple[Path, ...]]:
    """Entries of WFDB headers, with their headers, and what was refused."""
    found: list[tuple[Entry, Header]] = []
    refused: list[Path] = []
    for path in paths:
        try:
            header = read_header(path)
        except RecordError:
            refused.append(path)
            continue
        about = parse_comments(header.comments)
        name = header.name
        entry = Entry(name, path, name, labels=about.labels, age=about.age, sex=about.sex)
        found.append((entry, header))
    return found, tuple(refused)


def with_folds(catalogue: Catalogue, folds: int | Sequence[float], seed: int = 0) -> Catalogue:
    """Assign the patients to folds, numbered from 1 and balanced over labels.

    Greedy stratification after Sechidis et al. (ECML PKDD 2011): patients with the rarest label
    come first, and each goes to the fold that lacks most records of that label. Ties are broken by
    the seed and the patient.

    Parameters
    ----------
    folds
        How many, all of the same size; or the share of each, such as ``(0.7, 0.15, 0.15)``.

    Raises
    ------
    ParameterError
        A share is not positive, or there are fewer patients than folds.
    """
    shares = [1.0] * folds if isinstance(folds, int) else list(folds)
    if any(share <= 0 for share in shares):
        raise ParameterError("folds", shares, "are not all positive", "give positive shares")
    members: dict[str, list[int]] = {}
    for i, entry in enumerate(catalogue):
        members.setdefault(entry.patient, []).append(i)
    if not shares or len(members) < len(shares):
        problem = f"there are only {len(members)} patients"
        raise ParameterError("folds", len(shares), problem, "ask for fewer")
    counts = catalogue.label_counts()
    columns = {label: number for number, label in enumerate(counts)}
    share = np.array(shares, np.float64) / sum(shares)
    # Wanted records of each label and fold; the last column counts records of any label.
    wanted = share[:, None] * np.array([*counts.values(), len(catalogue)], np.float64)
    chosen: dict[str, int] = {}
    for patient in _rarest_first(catalogue, members, counts, seed):
        own = np.zeros(len(counts) + 1)
        for i in members[patient]:
            own[-1] += 1
            for label in catalogue[i].labels or ():
                own[columns[label]] += 1
        rare = _rarest(own, counts)
        fold = max(range(len(share)), key=lambda f: (wanted[f, rare], wanted[f, -1], -f))
        chosen[patient] = fold + 1
        wanted[fold] -= own
    folded = (dataclasses.replace(entry, fold=chosen[entry.patient]) for entry in catalogue)
    return dataclasses.replace(catalogue, entries=tuple(folded))


def _rarest(own: np.ndarray[tuple[int], np.dtype[np.float64]], counts: Mapping[str, int]) -> int:
    """Column of the patient's rarest label; the last column if there is none."""
    numbers = list(counts.values())
    present = [number for number in range(len(numbers)) if own[number]]
    return min(present, key=lambda number: numbers[number], default=len(numbers))


def _rarest_first(
    catalogue: Catalogue, members: Mapping[str, list[int]], counts: Mapping[str, int], seed: int
) -> list[str]:
    def rank(patient: str) -> tuple[int, int]:
        labels = (label for i in members[patient] for label in catalogue[i].labels or ())
        rarest = min((counts[label] for label in labels), default=len(catalogue) + 1)
        return rarest, content_seed("fold of patient", seed, patient)

    return sorted(members, key=rank)
