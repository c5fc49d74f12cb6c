"""Who sees what, when: arms by a Latin square, orders seeded per rater, repeats far apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.study.protocol import Protocol, StudyError
from ecgxai_core.types import content_seed

__all__ = ["Showing", "schedule"]

_TRIES = 2000


@dataclass(frozen=True, slots=True)
class Showing:
    """One case before one rater.

    Attributes
    ----------
    token
        What the page calls it: it tells nothing of case, arm or repeat.
    rater, position
        Who sees it, and the place in the rater's order, from 0.
    case, arm
        Number of the case, and what is shown of it.
    again
        Whether the rater has seen the case before.
    """

    token: str
    rater: str
    position: int
    case: int
    arm: str
    again: bool


def schedule(protocol: Protocol, strata: Sequence[object]) -> tuple[Showing, ...]:
    """Every showing of a study, by rater and position.

    Cases are shuffled within their stratum, and the arm of case ``i`` for rater ``j`` is number
    ``i + j`` modulo the number of arms: a Latin square (Fisher, The Design of Experiments, 1935,
    chapter V). Each rater sees every arm equally often, each case is seen equally often in every
    arm, as far as their numbers can be divided. Repeated cases have the same arm both times.

    Parameters
    ----------
    protocol
        Raters, arms, ``repeated``, ``apart``, ``seed``.
    strata
        One per case, such as target and reference; arms are balanced within.

    Raises
    ------
    StudyError
        Repeated cases cannot be kept as far apart as asked.
    """
    n, arms = len(strata), protocol.arms
    if protocol.repeated > n:
        problem = f"{protocol.repeated} cases cannot be repeated of {n}"
        raise StudyError("study", "repeated", problem, "repeat fewer")
    places = _places(strata, protocol.seed)
    rng = np.random.default_rng(content_seed("study repeats", protocol.seed))
    again = sorted(int(i) for i in rng.permutation(n)[: protocol.repeated])
    found: list[Showing] = []
    for number, rater in enumerate(protocol.raters):
        order = _order(n, again, protocol, rater)
        seen: set[int] = set()
        for position, case in enumerate(order):
            token = f"{content_seed('showing', protocol.as_key(), rater, position):016x}"[-12:]
            arm = arms[(places[case] + number) % len(arms)]
            found.append(Showing(token, rater, position, case, arm, case in seen))
            seen.add(case)
    return tuple(found)


def _places(strata: Sequence[object], seed: int) -> Mapping[int, int]:
    """Place of each case when strata follow each other and are shuffled within."""
    rng = np.random.default_rng(content_seed("study arms", seed))
    drawn = rng.permutation(len(strata))
    order = sorted(range(len(strata)), key=lambda i: (str(strata[i]), drawn[i]))
    return {case: place for place, case in enumerate(order)}


def _order(n: int, again: Sequence[int], protocol: Protocol, rater: str) -> list[int]:
    """The rater's order: repeated cases once in each half, at least ``apart`` others between."""
    rng = np.random.default_rng(content_seed("study order", rater, protocol.seed))
    others = [int(i) for i in rng.permutation(n) if i not in again]
    if not again:
        return others
    half = len(others) // 2
    for _ in range(_TRIES):
        parts = (others[:half] + list(again), others[half:] + list(again))
        first, second = (list(map(int, rng.permutation(part))) for part in parts)
        gaps = [len(first) - first.index(i) + second.index(i) - 1 for i in again]
        if min(gaps) >= protocol.apart:
            return first + second
    problem = f"repeated cases cannot be kept {protocol.apart} others apart"
    raise StudyError("study", "apart", problem, "repeat fewer, or ask for less distance")
