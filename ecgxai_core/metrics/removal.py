"""Faithfulness: the prediction when cells are removed, kept, or masked singly.

All masked records are evaluated in one batch. It begins with that of
:func:`ecgxai_core.metrics.faithfulness.faithfulness`, so that a game with a memory has most of it
already. Grid, random orders and ties: :mod:`ecgxai_core.metrics.orders`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ecgxai_core.games.players import Game
from ecgxai_core.metrics.base import Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.orders import Cells, Removals, player_rows
from ecgxai_core.metrics.ranking import spearman
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import (
    BoolArray,
    FloatArray,
    Map,
    Score,
    Segmentation,
    content_seed,
)

__all__ = ["GROUP", "SHARES", "infidelity", "removal"]

SHARES: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the record (lead-seconds) that are removed or kept (DeYoung et al. 2020)."""

MOST_SINGLE = 128
"""Cells that are masked singly, drawn at random where a grid has more."""

_PERMUTATIONS = 100


def removal(
    maps: Mapping[str, Map],
    game: Game,
    segmentation: Segmentation,
    params: EvaluationParams,
) -> dict[str, tuple[Score, ...]]:
    """Comprehensiveness, sufficiency, monotonicity and infidelity of several maps of one record.

    Parameters as in :func:`ecgxai_core.metrics.faithfulness.faithfulness`.

    Returns
    -------
    For every map ``comprehensiveness``: mean over :data:`SHARES` of f(x) - f(x without the top
    share); ``sufficiency``: the same with only the top share shown (lower is better);
    ``monotonicity``: Spearman correlation of the weights with the loss when a cell is masked alone
    (Nguyen and Martinez 2020, with signs); ``infidelity`` (:func:`infidelity`) over the sets of
    cells that the random orders have removed at each step. ``random`` is the mean over ``n_random``
    orders, or over permuted weights; ``empty`` the all-zero map, whose order is random.

    Comprehensiveness and sufficiency are plain means over the five shares. ERASER's AOPC divides by
    one more and adds a term for nothing removed (kept), so published figures are on another scale:
    that term is 0 for comprehensiveness, whose AOPC is 5/6 of ours, and f(x) - f(nothing) for
    sufficiency.

    Notes
    -----
    Forward passes beyond those of the deletion curves, with ten steps: ``2 n_random`` and
    ``min(cells, 128)`` once, and at most 8 per map. Both chance levels come from the same orders,
    read from either end; shares that the deletion curves do not pass use half of the orders.
    """
    players = player_rows(game)
    plan = Removals(Cells.of(maps, game.leads, segmentation, params, "removal", players))
    cells = plan.cells
    steps, _ = plan.curves(maps, params.deletion_steps)
    sets = np.unique(np.concatenate([curve.places[1:-1] for curve in steps]))
    random = _random_places(plan, params.deletion_steps)
    density = {name: cells.density(item) for name, item in maps.items()}
    own = {
        name: [(plan.top(orders, share), plan.rest(orders, share)) for share in SHARES]
        for name, scores in density.items()
        for orders in [cells.falling(scores)]
    }
    single = _rng("single cells", cells).permutation(len(plan.area))[:MOST_SINGLE]
    alone = [plan.without(single[i : i + 1]) for i in range(len(single))]
    values = game.probabilities(plan.keep(), cells.grid)
    intact = values[plan.without(single[:0])]
    alone_loss, set_loss = intact - values[alone], intact - values[sets]
    removed = plan.removed[sets]
    chance = _left(values, random)
    found: dict[str, tuple[Score, ...]] = {}
    for name, scores in density.items():
        without, only = _left(values, own[name])
        phi = scores * plan.area
        found[name] = (
            Score("comprehensiveness", intact - without, *(2 * [intact - chance[0]])),
            Score("sufficiency", intact - only, *(2 * [intact - chance[1]])),
            Score("monotonicity", spearman(phi[single], alone_loss), 0.0, ceiling=1.0),
            _infidelity_score(phi, removed, set_loss, cells),
        )
    return found


def infidelity(sums: FloatArray, losses: FloatArray) -> float:
    """E[(b I.phi - (f(x) - f(x - I)))^2] / E[(f(x) - f(x - I))^2] with the best b >= 0.

    Yeh et al. 2019, with their optimal scale b, since maps come on scales of their own (logit,
    probability, dimensionless), and over the mean square of what is to be explained: 0 is perfect,
    1 is what the all-zero map has. NaN where nothing changes the prediction.

    ``sums`` ``float64[set]``: I.phi, the summed weights of the masked cells; ``losses``
    ``float64[set]``: f(x) - f(x - I).
    """
    worth = float(losses @ losses)
    if worth <= 0:
        return np.nan
    own, shared = float(sums @ sums), float(sums @ losses)
    if own <= 0 or shared <= 0:
        return 1.0
    return max(0.0, 1.0 - shared**2 / (own * worth))


_Places = tuple[list[int], list[int]]
"""Of f(x without the top share) and of f(only the top share), by order."""


def _random_places(plan: Removals, steps: int) -> list[_Places]:
    """By share; the other end of a random order is as random as its beginning."""
    found = []
    for share in SHARES:
        on_curve = abs(share * steps - round(share * steps)) < 1e-9
        orders = plan.cells.random
        orders = orders if on_curve else orders[: (len(orders) + 1) // 2]
        turned = [order[::-1] for order in orders]
        found.append((plan.top(orders, share), plan.rest(turned, share)))
    return found


def _left(values: FloatArray, by_share: Sequence[_Places]) -> tuple[float, float]:
    """Mean probability without the top shares, and with only them."""
    without = np.mean([values[places].mean() for places, _ in by_share])
    only = np.mean([values[places].mean() for _, places in by_share])
    return float(without), float(only)


def _infidelity_score(phi: FloatArray, sets: BoolArray, losses: FloatArray, cells: Cells) -> Score:
    rng = _rng("permuted weights", cells)  # the same permutations for every map
    permuted = [infidelity(sets @ rng.permutation(phi), losses) for _ in range(_PERMUTATIONS)]
    empty = infidelity(np.zeros(len(sets)), losses)
    return Score("infidelity", infidelity(sets @ phi, losses), float(np.mean(permuted)), empty)


def _rng(what: str, cells: Cells) -> np.random.Generator:
    return np.random.default_rng(content_seed(what, cells.seed))


_NO_CHANGE = "no set of cells changes the prediction"

_METRICS = (
    Metric(
        "comprehensiveness", "Comprehensiveness", "higher", "faithfulness",
        "mean of the random orders", "never", "DeYoung et al. 2020 (ERASER), arXiv 1911.03429",
        "2 n_random forward passes per record and 8 per map beyond the deletion curves",
    ),
    Metric(
        "sufficiency", "Sufficiency", "lower", "faithfulness",
        "mean of the random orders", "never", "DeYoung et al. 2020 (ERASER), arXiv 1911.03429",
        "as comprehensiveness, the same passes",
    ),
    Metric(
        "monotonicity", "Monotonicity (single cells)", "higher", "faithfulness", "0",
        "a map without any order, or no single cell changes the prediction",
        "Nguyen and Martinez 2020, arXiv 2007.07584", "up to 128 forward passes per record",
        sides=("random", "ceiling"),
    ),
    Metric(
        "infidelity", "Infidelity (best scale)", "lower", "faithfulness",
        "mean over permuted weights; 1 for the empty map", _NO_CHANGE,
        "Yeh et al. 2019, arXiv 1901.09392", "none beyond the deletion curves",
    ),
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.whole is not None
    scores: dict[str, tuple[Score, ...]] = {}
    for maps, game in subject.played():
        scores |= removal(maps, game, subject.whole, subject.params)
    return Outcome(scores)


GROUP = MetricGroup("removal", _METRICS, ("game",), _of)
