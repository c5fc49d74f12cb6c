"""More of faithfulness: what removing, keeping and singly masking cells does to the prediction.

Everything is asked of the game in one batch: f(x) with sets of cells masked. Ties leave in a
seeded random order and in its reverse, as in :mod:`ecgxai_core.metrics.faithfulness`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.grid import density_on, union_edges
from ecgxai_core.metrics.base import Map, Metric
from ecgxai_core.metrics.faithfulness import CellGame
from ecgxai_core.metrics.ranking import settled, spearman
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import (
    BoolArray,
    FloatArray,
    IntArray,
    Score,
    Segmentation,
    content_seed,
)

__all__ = ["METRICS", "SHARES", "infidelity", "removal", "top_cells"]

SHARES: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the record (lead-seconds) that are removed or kept (DeYoung et al. 2020)."""

MOST_SINGLE = 128
"""Cells that are masked singly, drawn at random where a grid has more."""

N_SETS = 64
"""Random sets of cells of the infidelity."""

_NAN = float("nan")
_PERMUTATIONS = 100


def removal(
    maps: Mapping[str, Map],
    game: CellGame,
    segmentation: Segmentation,
    params: EvaluationParams,
) -> dict[str, tuple[Score, ...]]:
    """Comprehensiveness, sufficiency, monotonicity and infidelity of several maps of one record.

    Parameters
    ----------
    maps
        By name; judged on one grid, the union of their edges.
    game
        Gives the target's probability with cells masked.
    segmentation
        Any segmentation of this record for this model: it says how seconds become samples.
    params
        ``n_random``, ``seed``.

    Returns
    -------
    For every map ``comprehensiveness``: mean over :data:`SHARES` of f(x) - f(x without the top
    share); ``sufficiency``: the same with only the top share shown (lower is better);
    ``monotonicity``: Spearman correlation of the weights with the loss when a cell is masked alone
    (Nguyen and Martinez 2020, with signs); ``infidelity`` (:func:`infidelity`) over random sets.
    ``random`` is the mean over ``n_random`` orders, or over permuted weights; ``empty`` the
    all-zero map, whose order is random.

    Notes
    -----
    Forward passes: ``10 n_random + 65 + min(cells, 128)`` once, at most 20 a map.
    """
    if not maps:
        raise ParameterError("removal", "maps", "there are none", "give at least one")
    grid = _grid(maps, segmentation)
    n_cells = len(game.leads) * len(grid)
    first = next(iter(maps.values()))
    seed = content_seed(
        "removal", first.provenance.record_digest, first.provenance.model_digest,
        first.target, [int(edge) for edge in grid.edges], params.seed,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    area = np.tile(grid.durations, len(game.leads))
    asked = _Asked(n_cells)
    orders = [rng.permutation(n_cells) for _ in range(params.n_random)]
    ties = np.argsort(rng.permutation(n_cells))
    single = rng.permutation(n_cells)[:MOST_SINGLE]
    sets = rng.random((N_SETS, n_cells)) < rng.random((N_SETS, 1))
    random = [_Plan.of(order, area, asked) for order in orders]
    plans, weights = {}, {}
    for name, item in maps.items():
        density = settled(density_on(item, game.leads, grid.edges_sec))
        density = np.nan_to_num(density).reshape(-1)
        weights[name] = density * area
        plans[name] = [_Plan.of(np.lexsort((tie, -density)), area, asked) for tie in (ties, -ties)]
    alone = [asked.without([cell]) for cell in single]
    drawn = [asked.without(np.flatnonzero(row)) for row in sets]
    whole = asked.without([])
    values = game.probabilities(asked.keep((len(game.leads), len(grid))), grid)
    chance = np.mean([plan.scores(values, whole) for plan in random], axis=0)
    loss_alone, loss_drawn = values[whole] - values[alone], values[whole] - values[drawn]
    found: dict[str, tuple[Score, ...]] = {}
    for name, phi in weights.items():
        own = np.mean([plan.scores(values, whole) for plan in plans[name]], axis=0)
        found[name] = (
            Score("comprehensiveness", float(own[0]), float(chance[0]), float(chance[0])),
            Score("sufficiency", float(own[1]), float(chance[1]), float(chance[1])),
            Score("monotonicity", spearman(phi[single], loss_alone), 0.0, ceiling=1.0),
            _infidelity_score(phi, sets, loss_drawn, seed),
        )
    return found


def infidelity(sums: FloatArray, losses: FloatArray) -> float:
    """E[(b I.phi - (f(x) - f(x - I)))^2] / E[(f(x) - f(x - I))^2] with the best b >= 0.

    Yeh et al. 2019, with their optimal scale b, since maps come on scales of their own (logit,
    probability, dimensionless), and over the mean square of what is to be explained: 0 is perfect,
    1 is what the all-zero map has. NaN where nothing changes the prediction.

    Parameters
    ----------
    sums
        ``float64[set]``: I.phi, the summed weights of the masked cells.
    losses
        ``float64[set]``: f(x) - f(x - I).
    """
    worth = float(losses @ losses)
    if worth <= 0:
        return _NAN
    own, shared = float(sums @ sums), float(sums @ losses)
    if own <= 0 or shared <= 0:
        return 1.0
    return max(0.0, 1.0 - shared**2 / (own * worth))


def top_cells(order: IntArray, area: FloatArray, share: float) -> IntArray:
    """The first cells of an order whose area is nearest to a share of the whole; at least one."""
    gone = np.cumsum(area[order])
    wanted = share * gone[-1]
    after = int(np.searchsorted(gone, wanted - 1e-9))
    nearer = after > 0 and wanted - gone[after - 1] < gone[after] - wanted - 1e-9
    return order[: max(1, after if nearer else after + 1)]


class _Asked:
    """Collects sets of removed cells, each once."""

    def __init__(self, n_cells: int) -> None:
        self.n_cells = n_cells
        self._rows: list[BoolArray] = []
        self._known: dict[bytes, int] = {}

    def without(self, cells: IntArray | Sequence[int]) -> int:
        """Place in the results of f(x without these cells)."""
        removed = np.zeros(self.n_cells, dtype=np.bool_)
        removed[np.asarray(cells, np.int64)] = True
        key = np.packbits(removed).tobytes()
        if key not in self._known:
            self._known[key] = len(self._rows)
            self._rows.append(removed)
        return self._known[key]

    def keep(self, shape: tuple[int, int]) -> BoolArray:
        """``bool[n, lead, segment]`` of everything asked for."""
        return ~np.stack(self._rows).reshape(-1, *shape)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Places of f(x without the top share) and f(only the top share) by share."""

    without: list[int]
    only: list[int]

    @classmethod
    def of(cls, order: IntArray, area: FloatArray, asked: _Asked) -> _Plan:
        tops = [top_cells(order, area, share) for share in SHARES]
        everything = np.arange(len(order))
        return cls(
            [asked.without(top) for top in tops],
            [asked.without(np.setdiff1d(everything, top)) for top in tops],
        )

    def scores(self, values: FloatArray, whole: int) -> tuple[float, float]:
        """Comprehensiveness and sufficiency."""
        intact = values[whole]
        return float(intact - values[self.without].mean()), float(intact - values[self.only].mean())


def _infidelity_score(phi: FloatArray, sets: BoolArray, losses: FloatArray, seed: int) -> Score:
    rng = np.random.default_rng(seed)  # the same permutations for every map
    permuted = [infidelity(sets @ rng.permutation(phi), losses) for _ in range(_PERMUTATIONS)]
    empty = infidelity(np.zeros(len(sets)), losses)
    return Score("infidelity", infidelity(sets @ phi, losses), float(np.mean(permuted)), empty)


def _grid(maps: Mapping[str, Map], segmentation: Segmentation) -> Segmentation:
    """The union of all edges as samples of the model input."""
    edges = union_edges([item.edges_sec for item in maps.values()])
    samples = np.round((edges - segmentation.origin_sec) * segmentation.fs).astype(np.int64)
    if samples[0] < segmentation.edges[0] or samples[-1] > segmentation.edges[-1]:
        raise ParameterError(
            "removal", "maps", "a map covers more than the model saw of the record",
            "judge a map on the same part of the record that was explained",
        )  # fmt: skip
    return Segmentation("union", np.unique(samples), segmentation.fs, segmentation.origin_sec)


_NO_CHANGE = "no set of cells changes the prediction"

METRICS = (
    Metric(
        "comprehensiveness", "Comprehensiveness", "higher", "faithfulness",
        "mean of the random orders", "never", "DeYoung et al. 2020 (ERASER), arXiv 1911.03429",
        "10 n_random forward passes a record, 20 a map",
    ),
    Metric(
        "sufficiency", "Sufficiency", "lower", "faithfulness",
        "mean of the random orders", "never", "DeYoung et al. 2020 (ERASER), arXiv 1911.03429",
        "as comprehensiveness, the same passes",
    ),
    Metric(
        "monotonicity", "Monotonicity (single cells)", "higher", "faithfulness", "0",
        "a map without any order, or no single cell changes the prediction",
        "Nguyen and Martinez 2020, arXiv 2007.07584", "up to 128 forward passes a record",
    ),
    Metric(
        "infidelity", "Infidelity (best scale)", "lower", "faithfulness",
        "mean over permuted weights; 1 for the empty map", _NO_CHANGE,
        "Yeh et al. 2019, arXiv 1901.09392", "64 forward passes a record",
    ),
)  # fmt: skip
