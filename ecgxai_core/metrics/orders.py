"""Orders in which the cells of a record are removed, and the masked records that they need.

All maps of one record and target are evaluated on one grid, the union of their edges, by the same
random orders, which depend on no map. Only what the game masks by itself is a cell: not III, aVR,
aVL and aVF where they follow I and II. Deletion curves, comprehensiveness, infidelity and ROAD take
their sets of removed cells from here, so that a masked record is predicted once for all.

Tied cells (not explored, or of equal weight) are removed in a seeded random order and, in a second
draw, in its reverse: every tied cell has the same mean rank, whatever its position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.grid import density_on, union_edges
from ecgxai_core.games.players import Game
from ecgxai_core.metrics.ranking import settled
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import BoolArray, FloatArray, IntArray, Map, Segmentation, content_seed

__all__ = ["Cells", "Removals", "player_rows", "removal_curve", "top_cells"]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells that maps are evaluated on, and the orders that know nothing of them.

    ``leads`` and ``grid`` are rows and columns; cells are counted row by row. ``rows``
    ``int64[lead]``: positions of these leads among the ``n_rows`` of the game. ``random``:
    ``int64[cell]`` random orders, first removed first; ``ties`` ``int64[cell]``: rank of each cell
    among cells of equal weight; ``seed`` for other draws, the same for all maps of this record,
    model, target and grid.
    """

    leads: tuple[str, ...]
    grid: Segmentation
    rows: IntArray
    n_rows: int
    random: tuple[IntArray, ...]
    ties: IntArray
    seed: int

    @classmethod
    def of(
        cls,
        maps: Mapping[str, Map],
        leads: Sequence[str],
        segmentation: Segmentation,
        params: EvaluationParams,
        metric: str,
        players: IntArray | None = None,
    ) -> Cells:
        """The cells of several maps of one record and target.

        Parameters
        ----------
        maps, segmentation, params
            As in :func:`ecgxai_core.metrics.faithfulness.faithfulness`.
        leads
            Leads of the model.
        metric
            Name of the metric, for errors.
        players
            Rows of ``leads`` that have cells (:func:`player_rows`); all by default.

        Raises
        ------
        ParameterError
            There are no maps, or one covers what the model did not see.
        """
        if not maps:
            raise ParameterError(metric, "maps", "there are none", "give at least one")
        grid = _union(maps, leads, segmentation, metric)
        first = next(iter(maps.values()))
        seed = content_seed(
            "faithfulness", first.provenance.record_digest, first.provenance.model_digest,
            first.target, [int(edge) for edge in grid.edges], params.seed,
        )  # fmt: skip
        rng = np.random.default_rng(seed)
        rows = np.arange(len(leads)) if players is None else players
        n_cells = len(rows) * len(grid)
        random = tuple(rng.permutation(n_cells) for _ in range(params.n_random))
        ties = np.argsort(rng.permutation(n_cells))
        own = tuple(leads[row] for row in rows)
        return cls(own, grid, rows, len(leads), random, ties, seed)

    @property
    def area(self) -> FloatArray:
        """``float64[cell]``: seconds of each cell."""
        return np.tile(self.grid.durations, len(self.leads))

    def density(self, item: Map) -> FloatArray:
        """``float64[cell]``: weight per second, 0 where not explored, rounding settled."""
        density = density_on(item, self.leads, self.grid.edges_sec)
        return np.nan_to_num(settled(density)).reshape(-1)

    def falling(self, scores: FloatArray) -> tuple[IntArray, IntArray]:
        """The two orders by falling score, which differ where cells are tied."""
        return np.lexsort((self.ties, -scores)), np.lexsort((-self.ties, -scores))


@dataclass(frozen=True, slots=True)
class Curve:
    """Places in the results along an order, and the share of the record removed at each."""

    places: IntArray
    share: FloatArray

    def values(self, probability: FloatArray) -> tuple[FloatArray, float]:
        """Probabilities along the order, and the area under them."""
        along = probability[self.places]
        return along, float(np.trapezoid(along, self.share))


class Removals:
    """Collects sets of removed cells, each once, so that all go through the model together."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.area = cells.area
        self._removed: list[BoolArray] = []
        self._known: dict[bytes, int] = {}

    def without(self, gone: IntArray) -> int:
        """Place in the results of f(x without these cells)."""
        removed = np.zeros(len(self.area), dtype=np.bool_)
        removed[gone] = True
        key = np.packbits(removed).tobytes()
        if key not in self._known:
            self._known[key] = len(self._removed)
            self._removed.append(removed)
        return self._known[key]

    def curve(self, order: IntArray, steps: int) -> Curve:
        """Remove an order in equal steps."""
        count, share = removal_curve(order, self.area, steps)
        return Curve(np.array([self.without(order[:n]) for n in count], dtype=np.int64), share)

    def curves(
        self, maps: Mapping[str, Map], steps: int
    ) -> tuple[list[Curve], dict[str, tuple[list[Curve], list[Curve]]]]:
        """Curves of the random orders, and by map: best first, and worst first."""
        random = [self.curve(order, steps) for order in self.cells.random]
        found = {}
        for name, item in maps.items():
            scores = self.cells.density(item)
            best, worst = self.cells.falling(scores), self.cells.falling(-scores)
            found[name] = (
                [self.curve(order, steps) for order in best],
                [self.curve(order, steps) for order in worst],
            )
        return random, found

    def top(self, orders: Sequence[IntArray], share: float) -> list[int]:
        """Places in the results of f(x without the first ``share`` of the record), by order."""
        return [self.without(top_cells(order, self.area, share)) for order in orders]

    def rest(self, orders: Sequence[IntArray], share: float) -> list[int]:
        """Places in the results of f(only the first ``share`` of the record), by order."""
        return [self.without(order[len(top_cells(order, self.area, share)) :]) for order in orders]

    @property
    def removed(self) -> BoolArray:
        """``bool[n, cell]`` of everything asked for so far."""
        return np.stack(self._removed)

    def keep(self) -> BoolArray:
        """``bool[n, lead, segment]``: what is left, of all rows of the game."""
        cells, removed = self.cells, self.removed
        keep = np.ones((len(removed), cells.n_rows, len(cells.grid)), dtype=np.bool_)
        keep[:, cells.rows] = ~removed.reshape(-1, len(cells.leads), len(cells.grid))
        return keep


def player_rows(game: Game) -> IntArray:
    """``int64[player]``: rows of the lead axis that a game masks by themselves; all if unsaid."""
    rows = getattr(game, "player_rows", None)
    return np.arange(len(game.leads)) if rows is None else np.asarray(rows, dtype=np.int64)


def removal_curve(order: IntArray, area: FloatArray, steps: int) -> tuple[IntArray, FloatArray]:
    """Number of removed cells at each of ``steps`` equal steps, and share of the record removed.

    ``order`` ``int64[cell]``, first removed first; ``area`` ``float64[cell]``: seconds of each
    cell.

    Returns
    -------
    ``int64[step + 1]`` counts, nearest to the nominal share, and ``float64[step + 1]`` shares.
    """
    gone = np.concatenate(([0.0], np.cumsum(area[order])))
    gone /= gone[-1]
    count = _nearest(gone, np.arange(steps + 1) / steps)
    count[0], count[-1] = 0, len(order)
    return count, gone[count]


def top_cells(order: IntArray, area: FloatArray, share: float) -> IntArray:
    """The first cells of an order whose area is nearest to a share of the whole; at least one."""
    gone = np.concatenate(([0.0], np.cumsum(area[order])))
    return order[: max(1, int(_nearest(gone / gone[-1], np.array([share]))[0]))]


def _nearest(gone: FloatArray, shares: FloatArray) -> IntArray:
    """Counts of cells whose share is nearest to each wanted share; of two, the larger count."""
    after = np.searchsorted(gone, shares - 1e-9).clip(1, len(gone) - 1)
    before = after - 1
    nearer = shares - gone[before] < gone[after] - shares - 1e-9
    return np.where(nearer, before, after).astype(np.int64)


def _union(
    maps: Mapping[str, Map], leads: Sequence[str], segmentation: Segmentation, metric: str
) -> Segmentation:
    """The union of all edges as samples of the model input."""
    edges = union_edges([item.edges_sec for item in maps.values()])
    samples = np.round((edges - segmentation.origin_sec) * segmentation.fs).astype(np.int64)
    if samples[0] < segmentation.edges[0] or samples[-1] > segmentation.edges[-1]:
        raise ParameterError(
            metric, "maps", "a map covers more than the model saw of the record",
            "evaluate a map on the same part of the record that was explained",
        )  # fmt: skip
    unknown = {lead for item in maps.values() for lead in item.leads} - set(leads)
    if unknown:
        raise ParameterError(
            metric, "maps", f"the model has no lead {sorted(unknown)}", "use its own leads"
        )
    return Segmentation("union", np.unique(samples), segmentation.fs, segmentation.origin_sec)
