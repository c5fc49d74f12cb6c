"""Faithfulness: does a map name what the model uses?

Deletion and insertion over the full range of cells (Petsiuk et al. 2018), against random orders.

Cells leave by falling density, because the axis is the share of the record (lead-seconds) that is
gone. The curve passes through the true share removed, so cells of unequal length are no problem.
Grid, random orders and ties: :mod:`ecgxai_core.metrics.orders`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.metrics.base import SIDES, Direction, Map, Metric
from ecgxai_core.metrics.orders import CellGame, Cells, Removals, player_rows
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, Score, Segmentation, frozen_array

__all__ = ["METRICS", "Curves", "Faithfulness", "faithfulness"]

_NAN = float("nan")
_Values = Sequence[tuple[FloatArray, float]]
"""Probabilities along each order, and the area under them."""


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
    players = player_rows(game)
    plan = Removals(Cells.of(maps, game.leads, segmentation, params, "faithfulness", players))
    random, asked = plan.curves(maps, params.deletion_steps)
    values = game.probabilities(plan.keep(), plan.cells.grid)
    chance = [curve.values(values) for curve in random]
    return {
        name: _judged(
            [curve.values(values) for curve in best],
            [curve.values(values) for curve in worst],
            chance,
        )
        for name, (best, worst) in asked.items()
    }


def _judged(deletion: _Values, insertion: _Values, chance: _Values) -> Faithfulness:
    """Scores of one map against the random orders.

    Inserting the best first is deleting the worst first, read from the other end.
    """
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
    steps = by_order.shape[1] - 1
    curves = Curves(
        share=np.arange(steps + 1) / steps,
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
    Metric(
        name, title, direction, "faithfulness", chance, _UNDEFINED, _SOURCE,
        sides=SIDES if name.endswith("_rank") else ("random", "empty"),
    )
    for name, title, direction, chance in _DESCRIBED
)  # fmt: skip
