"""Faithfulness: deletion and insertion (Petsiuk et al. 2018) against random orders.

Cells are removed by falling density; the axis is the share of the record (lead-seconds) removed, so
cells may differ in length. Grid, random orders and ties: :mod:`ecgxai_core.metrics.orders`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.games.players import Game
from ecgxai_core.metrics.base import SIDES, Curves, Direction, Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.orders import Cells, Removals, player_rows
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, Map, Score, Segmentation

__all__ = ["GROUP", "Faithfulness", "faithfulness"]

_Values = Sequence[tuple[FloatArray, float]]
"""Probabilities along each order, and the area under them."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Scores and curves of one map; ``random_aucs`` are the AUCs of the random orders."""

    scores: tuple[Score, ...]
    curves: Curves
    random_aucs: tuple[float, ...]


def faithfulness(
    maps: Mapping[str, Map],
    game: Game,
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
        Any segmentation of this record for this model; it maps seconds to samples.
    params
        ``deletion_steps``, ``n_random``, ``seed``.

    Returns
    -------
    For every map ``deletion_auc`` (lower is better) and ``insertion_auc`` (higher is better), both
    also divided by the intact probability (``_normalised``); ``deletion_gain`` and
    ``insertion_gain``: how much better they are than the mean random order; ``deletion_rank`` and
    ``insertion_rank``: the share of random orders that are worse. ``empty`` is the all-zero map:
    all cells are tied, so it is the mean random order.

    Notes
    -----
    Forward passes: ``n_random (steps - 1)`` once, and at most ``4 (steps - 1)`` per map (half of
    that without ties), 290 for three maps and default parameters. The random orders serve for
    insertion too: it shows the records that deletion in the reversed order leaves.
    """
    players = player_rows(game)
    plan = Removals(Cells.of(maps, game.leads, segmentation, params, "faithfulness", players))
    random, asked = plan.curves(maps, params.deletion_steps)
    values = game.probabilities(plan.keep(), plan.cells.grid)
    chance = [curve.values(values) for curve in random]
    return {
        name: _evaluated(
            [curve.values(values) for curve in best],
            [curve.values(values) for curve in worst],
            chance,
        )
        for name, (best, worst) in asked.items()
    }


def _evaluated(deletion: _Values, insertion: _Values, chance: _Values) -> Faithfulness:
    """Scores of one map against the random orders.

    Inserting the best first is deleting the worst first, read from the other end.
    """
    removed = float(np.mean([auc for _, auc in deletion]))
    inserted = float(np.mean([auc for _, auc in insertion]))
    random = np.array([auc for _, auc in chance])
    mean = float(random.mean())
    intact = float(deletion[0][0][0])
    scale = 1 / intact if intact > 0 else np.nan
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

_METRICS = tuple(
    Metric(
        name, title, direction, "faithfulness", chance, _UNDEFINED, _SOURCE,
        sides=SIDES if name.endswith("_rank") else ("random", "empty"),
    )
    for name, title, direction, chance in _DESCRIBED
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.whole is not None
    found: dict[str, Faithfulness] = {}
    for maps, game in subject.played():
        found |= faithfulness(maps, game, subject.whole, subject.params)
    return Outcome(
        {name: item.scores for name, item in found.items()},
        {name: item.curves for name, item in found.items()},
    )


GROUP = MetricGroup(
    "faithfulness", _METRICS, ("game",), _of,
    "n_random (steps - 1) forward passes per record, 4 (steps - 1) per map",
)  # fmt: skip
