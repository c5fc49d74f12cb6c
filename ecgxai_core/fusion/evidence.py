"""Methods that found nothing: named and left out, so that they never erase what others found.

A map of zeros is no vote. In a geometric mean or a minimum it would turn every cell into zero, in
a mean it would halve the rest, and a method that explored nothing would still count among the
weights; each time the fused map would look as if the other methods had found less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecgxai_core.explain import METHODS
from ecgxai_core.types import Attribution, QualityWarning

__all__ = ["NOTHING", "Silent", "silent", "silent_warnings"]

NOTHING = 1e-12
"""Weights of which none is larger are rounding, on any scale on which values are explained."""


class Silent(NamedTuple):
    """A method whose map says nothing: its place among the attributions, name and why."""

    place: int
    method: str
    why: str


def silent(attributions: Sequence[Attribution]) -> tuple[Silent, ...]:
    """Attributions that explored no cell, or found no weight beyond rounding."""
    found = []
    for place, item in enumerate(attributions):
        sizes = np.abs(item.weights[item.explored])
        if not sizes.size:
            found.append(Silent(place, item.method, "explored nothing"))
        elif sizes.max() <= NOTHING:
            found.append(Silent(place, item.method, "is zero everywhere"))
    return tuple(found)


def silent_warnings(found: Sequence[Silent], outcome: str) -> tuple[QualityWarning, ...]:
    """One warning a method, ``no_evidence``, with what became of it."""
    return tuple(
        QualityWarning("no_evidence", f"the map of {_title(row.method)} {row.why}; {outcome}")
        for row in found
    )


def _title(method: str) -> str:
    return METHODS[method].title if method in METHODS else method
