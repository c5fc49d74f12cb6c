"""Splits of a data set by patient, never by record or segment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.records.catalogue import Catalogue
from ecgxai_core.types import content_seed

__all__ = ["split_by_patient", "with_folds"]


def with_folds(catalogue: Catalogue, n: int, seed: int = 0) -> Catalogue:
    """The catalogue with ``n`` folds of its patients, balanced over labels; folds count from 1.

    Greedy stratification after Sechidis et al. (ECML PKDD 2011): patients of the rarest label
    first, each to the fold that wants most of that label. Ties go by the seed and the patient.

    Raises
    ------
    ParameterError
        Fewer patients than folds.
    """
    return _assign(catalogue, [1.0] * n, seed)


def split_by_patient(
    catalogue: Catalogue, shares: Mapping[str, float], seed: int = 0
) -> dict[str, tuple[int, ...]]:
    """Numbers of the entries of each part, such as ``{"train": 0.7, "tune": 0.15, "test": 0.15}``.

    Raises
    ------
    ParameterError
        A share that is not positive, or fewer patients than parts.
    """
    if any(share <= 0 for share in shares.values()):
        raise ParameterError("shares", dict(shares), "are not all positive", "give positive shares")
    folded = _assign(catalogue, list(shares.values()), seed)
    return {
        name: tuple(i for i, entry in enumerate(folded) if entry.fold == part)
        for part, name in enumerate(shares, start=1)
    }


def _assign(catalogue: Catalogue, shares: Sequence[float], seed: int) -> Catalogue:
    members: dict[str, list[int]] = {}
    for i, entry in enumerate(catalogue):
        members.setdefault(entry.patient, []).append(i)
    if not shares or len(members) < len(shares):
        raise ParameterError(
            "folds", len(shares), f"do not suit {len(members)} patients", "ask for fewer"
        )
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
    """Column of the patient's rarest label; the last column where there is none."""
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
