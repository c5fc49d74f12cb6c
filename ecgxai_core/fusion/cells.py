"""How the values that several methods give to one cell become one value: the core of fusion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["CONFLICT_FACTOR", "Cells", "combine"]

CONFLICT_FACTOR = 0.5
"""What is left of the weighted mean where methods disagree in sign under ``penalize``: for two
methods of equal weight this is the published 0.25 (w1 + w2)."""


class Cells(NamedTuple):
    """Combined cells.

    ``values`` is ``float64[...]``, 0 where no method is present; ``agreement`` ``int8[...]``: 2 =
    at least two methods give a weight and all agree in sign, 1 = a single method gives one, -1 =
    conflict, 0 = none; ``present`` ``int64[...]``: how many methods explored the cell.
    """

    values: FloatArray
    agreement: npt.NDArray[np.int8]
    present: npt.NDArray[np.int64]


def combine(
    values: FloatArray, weights: FloatArray, *, agg: str, beta: float, sign_policy: str
) -> Cells:
    """Combine N methods cell by cell.

    Parameters
    ----------
    values
        ``float64[method, ...]``, signed; NaN where a method did not explore a cell. Weighted
        ``min`` expects magnitudes of at most 1.
    weights
        ``float64[method]``, positive; only their ratios matter.
    agg
        ``geomean``, ``mean``: weighted over the methods present. ``max``: largest r |a|, ``min``:
        least 1 - r (1 - |a|), with r a method's weight over the largest weight present, so that a
        method of vanishing weight has no say (the product forms of the weighted maximum and
        minimum: Dubois and Prade, Fuzzy Sets and Systems 24:279, 1987).
    beta
        Factor on cells that a single method explored, while another could have.
    sign_policy
        Where methods disagree in sign: ``penalize`` gives half their weighted signed mean
        (``CONFLICT_FACTOR``), ``drop`` gives 0, ``abs`` gives the plain magnitude; under ``abs``
        every cell that two methods explored is a magnitude, whatever the signs.

    Notes
    -----
    Weights reach every cell: one that only lesser methods explored is scaled by the largest
    weight among those present over the largest of all, which is 1 for equal weights.
    """
    there = ~np.isnan(values)
    signed = np.where(there, values, 0.0)
    size = np.abs(signed)
    column = weights.reshape((-1,) + (1,) * (values.ndim - 1))
    share = np.where(there, column, 0.0)
    top = share.max(axis=0)
    total = share.sum(axis=0)
    covered = top > 0
    share = share / np.where(covered, total, 1.0)
    relative = np.where(there, column, 0.0) / np.where(covered, top, 1.0)
    magnitude = np.where(covered, _aggregate(size, share, relative, there, agg), 0.0)

    positive, negative = (signed > 0).sum(axis=0), (signed < 0).sum(axis=0)
    present = there.sum(axis=0)
    conflict = (positive > 0) & (negative > 0)
    sign = np.sign(positive - negative.astype(np.float64))
    if sign_policy == "abs":
        combined = np.where(present > 1, magnitude, magnitude * sign)
    elif sign_policy == "drop":
        combined = np.where(conflict, 0.0, magnitude * sign)
    else:
        mean = (share * signed).sum(axis=0)
        combined = np.where(conflict, CONFLICT_FACTOR * mean, magnitude * sign)
    combined = combined * top / weights.max()
    if len(values) > 1:
        combined = np.where(present == 1, beta * combined, combined)

    givers = positive + negative
    agreement = np.select([conflict, givers > 1, givers == 1], [-1, 2, 1], 0).astype(np.int8)
    return Cells(np.where(covered, combined, 0.0), agreement, present)


def _aggregate(
    size: FloatArray, share: FloatArray, relative: FloatArray, there: BoolArray, agg: str
) -> FloatArray:
    """Weighted magnitude of each cell over the methods that are ``there``."""
    if agg == "mean":
        return np.asarray((share * size).sum(axis=0))
    if agg == "max":
        return np.asarray((relative * size).max(axis=0))
    if agg == "min":
        return np.asarray(np.where(there, 1.0 - relative * (1.0 - size), np.inf).min(axis=0))
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(there, size, 1.0))
    # a share so small that it rounds to zero has no say, on cells that are zero either
    return np.asarray(
        np.exp(np.multiply(share, logs, where=share > 0, out=np.zeros_like(share)).sum(axis=0))
    )
