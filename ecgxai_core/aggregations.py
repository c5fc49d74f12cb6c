"""The ways in which fusion combines the weights that several methods give to one cell.

A new one is a function of :class:`Weighted` and an entry in :data:`AGGREGATIONS`; parameters,
forms, sweeps, errors and tests read that registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["AGGREGATIONS", "Aggregation", "Weighted", "find_aggregation"]


class Weighted(NamedTuple):
    """What N methods give to every cell.

    ``size`` ``float64[method, ...]``: magnitudes in [0, 1], 0 where not explored; ``share``,
    ``relative`` ``float64[method, ...]``: weight of a method over the sum, and over the largest, of
    those that explored the cell; ``there`` ``bool[method, ...]``: which explored it.
    """

    size: FloatArray
    share: FloatArray
    relative: FloatArray
    there: BoolArray


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One entry of the registry.

    Attributes
    ----------
    name
        Value of the parameter ``agg``.
    title, description
        Name for people, and what it does in a few words.
    combine
        Magnitude of each cell, ``float64[...]``, in [0, 1]. What it gives to a cell that no method
        explored is never used. Methods in another order give the same, a method whose weight goes
        to 0 has no effect, and methods that agree on a magnitude give that magnitude.
    """

    name: str
    title: str
    description: str
    combine: Callable[[Weighted], FloatArray]


def _geomean(of: Weighted) -> FloatArray:
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(of.there, of.size, 1.0))
    # a share so small that it rounds to zero has no effect, not even on cells that are zero
    parts = np.multiply(of.share, logs, where=of.share > 0, out=np.zeros_like(of.share))
    return np.asarray(np.exp(parts.sum(axis=0)))


def _mean(of: Weighted) -> FloatArray:
    return np.asarray((of.share * of.size).sum(axis=0))


def _min(of: Weighted) -> FloatArray:
    sizes = np.where(of.there, 1.0 - of.relative * (1.0 - of.size), np.inf)
    return np.asarray(sizes.min(axis=0))


def _max(of: Weighted) -> FloatArray:
    return np.asarray((of.relative * of.size).max(axis=0))


AGGREGATIONS: Mapping[str, Aggregation] = {
    entry.name: entry
    for entry in (
        Aggregation("geomean", "geometric mean", "near zero unless all agree", _geomean),
        Aggregation("mean", "mean", "weighted average", _mean),
        # the product forms of the weighted minimum and maximum: Dubois and Prade, Fuzzy Sets
        # and Systems 24:279, 1987
        Aggregation("min", "minimum", "the least that any method gives", _min),
        Aggregation("max", "maximum", "the most that any method gives", _max),
    )
}
"""Every aggregation by its name."""


def find_aggregation(name: str) -> Aggregation:
    """The aggregation of that name.

    Raises
    ------
    ParameterError
        There is none.
    """
    if name not in AGGREGATIONS:
        raise ParameterError(
            "agg", name, "no such aggregation", f"use one of {', '.join(AGGREGATIONS)}"
        )
    return AGGREGATIONS[name]
