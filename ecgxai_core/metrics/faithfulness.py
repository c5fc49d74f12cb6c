"""Faithfulness: does a map name what the model uses?

Deletion and insertion over the full range of cells (Petsiuk et al. 2018), against random orders.

All maps of one record and target are judged on one grid, the union of their edges, so the random
orders are evaluated once and shared. Cells leave by falling density, because the axis is the share
of the record (lead-seconds) that is gone. The curve passes through the true share removed, so
cells of unequal length are no problem.

Ties (cells not explored, or of equal weight) leave in a seeded random order and, in a second
draw, in its reverse: every tied cell has the same mean place, so position has no say. Both draws
are averaged; where nothing is tied they are the same evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.grid import density_on, union_edges
from ecgxai_core.metrics.base import Direction, Map, Metric
from ecgxai_core.metrics.ranking import settled
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import (
    BoolArray,
    FloatArray,
    IntArray,
    Score,
    Segmentation,
    content_seed,
    frozen_array,
)

__all__ = ["METRICS", "CellGame", "Curves", "Faithfulness", "faithfulness", "removal_curve"]

_NAN = float("nan")


class CellGame(Protocol):
    """What is asked of :class:`ecgxai_core.games.masked.MaskedModel`."""

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the lead axis of ``keep``."""

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """``float64[n]``: the target's probability for coalitions ``bool[n, lead, segment]``."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves at equal shares of the record, ends included, for plots.

    ``share`` ``float64[step + 1]``; ``deletion`` (after removing that share of top cells) and
    ``insertion`` (with only that share shown); ``random_low``, ``random_mean``, ``random_high``:
    5th percentile, mean and 95th percentile of deletion in random order (insertion in random order
    is the same seen from the other end).
    """

    share: FloatArray
    deletion: FloatArray
    insertion: FloatArray
    random_low: FloatArray
    random_mean: FloatArray
    random_high: FloatArray

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Scores and curves of one map; ``random_aucs`` are the AUCs of the random orders."""

    scores: tuple[Score, ...]
    curves: Curves
    random_aucs: tuple[float, ...]


def faithfulness(
    maps: Mapping[str, Map],
    game: CellGame,
    segmentation: Segmentation,
    params: EvaluationParams,
) -> dict[str, Faithfulness]:
    """Deletion and insertion of several maps of one record and target.

    Parameters
    ----------
    maps
        By name, for instance ``lime``, ``timeshap`` and ``fused``.
    game
        Gives the target's probability with cells masked.
    segmentation
        Any segmentation of this record for this model: it says how seconds become samples.
    params
        ``deletion_steps``, ``n_random``, ``seed``.

    Returns
    -------
    For every map ``deletion_auc`` (lower is better) and ``insertion_auc`` (higher is better), both
    also divided by the intact probability (``_normalised``); ``deletion_gain`` and
    ``insertion_gain``: how far they are on the good side of the mean random order; and
    ``deletion_rank``, ``insertion_rank``: the share of random orders that they beat.
    ``empty`` is the all-zero map: all tied, so the mean random order.

    Notes
    -----
    Forward passes: ``n_random (steps - 1)`` once, and at most ``4 (steps - 1)`` a map (half of
    that without ties), 290 for three maps and default parameters. The random orders serve twice:
    inserting in one order shows the records that deleting in the reversed order leaves.
    """
    if not maps:
        raise ParameterError("faithfulness", "maps", "there are none", "give at least one")
    grid = _grid(maps, game, segmentation)
    rng = np.random.default_rng(_seed(maps, grid, params))
    n_cells = len(game.leads) * len(grid)
    area = np.tile(grid.durations, len(game.leads))
    plan = _Plan(area, params.deletion_steps)
    random = [plan.add(rng.permutation(n_cells)) for _ in range(params.n_random)]
    ties = rng.permutation(n_cells)
    asked = {name: _MapOrders(plan, _order_scores(maps[name], game, grid), ties) for name in maps}
    values = game.probabilities(plan.keep((len(game.leads), len(grid))), grid)
    chance = [plan.curve(order, values) for order in random]
    return {name: _judged(orders, plan, values, chance) for name, orders in asked.items()}


def removal_curve(order: IntArray, area: FloatArray, steps: int) -> tuple[IntArray, FloatArray]:
    """How many cells of an order are gone at every step, and which share of the record that is.

    Parameters
    ----------
    order
        ``int64[cell]``, first removed first.
    area
        ``float64[cell]``: seconds of each cell.
    steps
        Number of equal steps from 0 to 1.

    Returns
    -------
    ``int64[step + 1]`` counts, nearest to the nominal share, and ``float64[step + 1]`` shares.
    """
    gone = np.concatenate(([0.0], np.cumsum(area[order])))
    gone /= gone[-1]
    nominal = np.arange(steps + 1) / steps
    after = np.searchsorted(gone, nominal - 1e-9).clip(1, len(gone) - 1)
    before = after - 1
    nearer = nominal - gone[before] < gone[after] - nominal - 1e-9
    count = np.where(nearer, before, after)
    count[0], count[-1] = 0, len(order)
    return count.astype(np.int64), gone[count]


class _Plan:
    """Collects every masked record that is needed, so all go through the model together."""

    def __init__(self, area: FloatArray, steps: int) -> None:
        self.area = area
        self.steps = steps
        self._removed: list[BoolArray] = []
        self._index: dict[bytes, int] = {}

    def add(self, order: IntArray) -> tuple[IntArray, FloatArray]:
        """Plan the removal curve of an order: places in the results, and shares removed."""
        count, share = removal_curve(order, self.area, self.steps)
        places = []
        for n in count:
            removed = np.zeros(len(order), dtype=np.bool_)
            removed[order[:n]] = True
            key = np.packbits(removed).tobytes()
            if key not in self._index:
                self._index[key] = len(self._removed)
                self._removed.append(removed)
            places.append(self._index[key])
        return np.array(places, dtype=np.int64), share

    def keep(self, shape: tuple[int, int]) -> BoolArray:
        """``bool[n, lead, segment]`` of all planned records."""
        return ~np.stack(self._removed).reshape(-1, *shape)

    @staticmethod
    def curve(order: tuple[IntArray, FloatArray], values: FloatArray) -> tuple[FloatArray, float]:
        """Probabilities along a planned order, and the area under them."""
        places, share = order
        return values[places], float(np.trapezoid(values[places], share))


class _MapOrders:
    """The two deletion orders of a map, and the two that its insertion curve deletes in.

    Inserting the best first is deleting the worst first, read from the other end.
    """

    def __init__(self, plan: _Plan, scores: FloatArray, ties: IntArray) -> None:
        place = np.argsort(ties)
        self.deletion = [plan.add(np.lexsort((tie, -scores))) for tie in (place, -place)]
        self.insertion = [plan.add(np.lexsort((tie, scores))) for tie in (place, -place)]


def _judged(
    orders: _MapOrders,
    plan: _Plan,
    values: FloatArray,
    chance: Sequence[tuple[FloatArray, float]],
) -> Faithfulness:
    """Scores of one map against the random orders."""
    deletion = [plan.curve(order, values) for order in orders.deletion]
    insertion = [plan.curve(order, values) for order in orders.insertion]
    removed = float(np.mean([auc for _, auc in deletion]))
    inserted = float(np.mean([auc for _, auc in insertion]))
    random = np.array([auc for _, auc in chance])
    mean = float(random.mean())
    intact = float(deletion[0][0][0])
    scale = 1 / intact if intact > 0 else _NAN
    scores = (
        Score("deletion_auc", removed, mean, mean),
        Score("insertion_auc", inserted, mean, mean),
        Score("deletion_auc_normalised", removed * scale, mean * scale, mean * scale),
        Score("insertion_auc_normalised", inserted * scale, mean * scale, mean * scale),
        Score("deletion_gain", mean - removed, 0.0, 0.0),
        Score("insertion_gain", inserted - mean, 0.0, 0.0),
        Score("deletion_rank", _beaten(random, removed), 0.5, 0.5, 1.0),
        Score("insertion_rank", _beaten(-random, -inserted), 0.5, 0.5, 1.0),
    )
    by_order = np.stack([curve for curve, _ in chance])
    low, high = np.quantile(by_order, [0.05, 0.95], axis=0)
    curves = Curves(
        share=np.arange(plan.steps + 1) / plan.steps,
        deletion=np.mean([curve for curve, _ in deletion], axis=0),
        insertion=np.mean([curve for curve, _ in insertion], axis=0)[::-1],
        random_low=low,
        random_mean=by_order.mean(axis=0),
        random_high=high,
    )
    return Faithfulness(scores, curves, tuple(float(auc) for auc in random))


def _beaten(random: FloatArray, value: float) -> float:
    """Share of random orders with a larger AUC, ties counting half."""
    return float(np.mean((random > value) + 0.5 * (random == value)))


def _grid(maps: Mapping[str, Map], game: CellGame, segmentation: Segmentation) -> Segmentation:
    """The union of all edges as samples of the model input."""
    edges = union_edges([item.edges_sec for item in maps.values()])
    samples = np.round((edges - segmentation.origin_sec) * segmentation.fs).astype(np.int64)
    if samples[0] < segmentation.edges[0] or samples[-1] > segmentation.edges[-1]:
        raise ParameterError(
            "faithfulness",
            "maps",
            "a map covers more than the model saw of the record",
            "judge a map on the same part of the record that was explained",
        )
    unknown = {lead for item in maps.values() for lead in item.leads} - set(game.leads)
    if unknown:
        raise ParameterError(
            "faithfulness", "maps", f"the model has no lead {sorted(unknown)}", "use its own leads"
        )
    return Segmentation(
        "union", np.unique(samples), fs=segmentation.fs, origin_sec=segmentation.origin_sec
    )


def _order_scores(item: Map, game: CellGame, grid: Segmentation) -> FloatArray:
    """``float64[cell]``: density by cell of the grid, 0 where not explored, rounding settled."""
    return np.nan_to_num(settled(density_on(item, game.leads, grid.edges_sec))).reshape(-1)


def _seed(maps: Mapping[str, Map], grid: Segmentation, params: EvaluationParams) -> int:
    """Seed of the random orders: record, model, target, grid and user seed; never a method."""
    first = next(iter(maps.values()))
    return content_seed(
        "faithfulness",
        first.provenance.record_digest,
        first.provenance.model_digest,
        first.target,
        [int(edge) for edge in grid.edges],
        params.seed,
    )


_UNDEFINED = "never (normalised: the intact probability is 0)"
_SOURCE = "Petsiuk et al. 2018 (RISE), arXiv 1806.07421"

_DESCRIBED: tuple[tuple[str, str, Direction, str], ...] = (
    ("deletion_auc", "Deletion AUC", "lower", "mean of the random orders"),
    ("insertion_auc", "Insertion AUC", "higher", "mean of the random orders"),
    ("deletion_auc_normalised", "Deletion AUC / f(x)", "lower", "mean of the random orders"),
    ("insertion_auc_normalised", "Insertion AUC / f(x)", "higher", "mean of the random orders"),
    ("deletion_gain", "Deletion: random minus map", "higher", "0"),
    ("insertion_gain", "Insertion: map minus random", "higher", "0"),
    ("deletion_rank", "Deletion: random orders beaten", "higher", "0.5"),
    ("insertion_rank", "Insertion: random orders beaten", "higher", "0.5"),
)

METRICS = tuple(
    Metric(name, title, direction, "faithfulness", chance, _UNDEFINED, _SOURCE)
    for name, title, direction, chance in _DESCRIBED
)
