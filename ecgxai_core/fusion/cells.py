"""How the weights of several methods in one cell become one: the core of fusion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecgxai_core.aggregations import Weighted, find_aggregation
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["Cells", "combine"]

DISAGREEMENT_FACTOR = 0.5
"""Factor of the weighted mean where methods disagree in sign (``penalize``): the published
0.25 (w1 + w2) for two methods of equal weight."""


class Cells(NamedTuple):
    """Combined cells.

    ``values`` is ``float64[...]``, 0 where no method explored the cell; ``agreement``
    ``int8[...]``:
    2 = at least two methods have a weight and all agree in sign, 1 = a single method has one, -1 =
    disagreement, 0 = none; ``present`` ``int64[...]``: how many methods explored the cell.
    """

    values: FloatArray
    agreement: npt.NDArray[np.int8]
    present: npt.NDArray[np.int64]


def combine(
    values: FloatArray,
    weights: FloatArray,
    *,
    agg: str,
    beta: float,
    sign_policy: str,
    found: BoolArray | None = None,
) -> Cells:
    """Combine N methods cell by cell.

    Parameters
    ----------
    values
        ``float64[method, ...]``, signed, in [-1, 1]; NaN where a method did not explore a cell.
    weights
        ``float64[method]``, positive; only their ratios matter.
    agg
        Name in :data:`ecgxai_core.aggregations.AGGREGATIONS`: how magnitudes combine.
    beta
        Factor on cells that fewer than two of several methods found.
    sign_policy
        Where methods disagree in sign: ``penalize`` gives half their weighted signed mean
        (``DISAGREEMENT_FACTOR``), ``drop`` gives 0, ``abs`` the magnitude. Under ``abs`` every cell
        that two methods explored is a magnitude, even if their signs agree.
    found
        ``bool[method, ...]``: which cells each method found; ``None`` = all that it explored.

    Notes
    -----
    A cell that only methods of lesser weight explored is scaled by the largest weight among them
    over the largest of all, which is 1 for equal weights.

    Raises
    ------
    ParameterError
        There is no such aggregation.
    """
    how = find_aggregation(agg).combine
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
    magnitude = np.where(covered, how(Weighted(size, share, relative, there)), 0.0)

    positive, negative = (signed > 0).sum(axis=0), (signed < 0).sum(axis=0)
    present = there.sum(axis=0)
    disagreement = (positive > 0) & (negative > 0)
    sign = np.sign(positive - negative.astype(np.float64))
    if sign_policy == "abs":
        combined = np.where(present > 1, magnitude, magnitude * sign)
    elif sign_policy == "drop":
        combined = np.where(disagreement, 0.0, magnitude * sign)
    else:
        mean = (share * signed).sum(axis=0)
        combined = np.where(disagreement, DISAGREEMENT_FACTOR * mean, magnitude * sign)
    combined = combined * top / weights.max()
    if len(values) > 1:
        finders = present if found is None else (found & there).sum(axis=0)
        combined = np.where(finders < 2, beta * combined, combined)

    givers = positive + negative
    agreement = np.select([disagreement, givers > 1, givers == 1], [-1, 2, 1], 0).astype(np.int8)
    return Cells(np.where(covered, combined, 0.0), agreement, present)
