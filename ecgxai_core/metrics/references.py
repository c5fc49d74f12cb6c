"""Maps that every metric is shown beside: they know nothing, or everything, and all say so.

They cover the leads that the map could explore (:func:`ecgxai_core.metrics.raster.judged_leads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.raster import independent, judged_leads, raster_for, rasterise
from ecgxai_core.types import Attribution, BoolArray, FloatArray, content_seed

__all__ = [
    "REFERENCES",
    "constant_map",
    "empty_map",
    "lead_shuffled",
    "oracle_map",
    "random_map",
    "time_reversed",
]


def empty_map(item: Map, seed: int = 0) -> Attribution:
    """All cells explored, none with a weight."""
    del seed
    return _like(item, "empty", np.zeros(item.weights.shape))


def constant_map(item: Map, seed: int = 0) -> Attribution:
    """The same weight per second everywhere: it has a mass, but no order."""
    del seed
    return _like(item, "constant", np.ones(item.weights.shape))


def random_map(item: Map, seed: int = 0) -> Attribution:
    """Standard normal weight per second in every cell, seeded by record, target and ``seed``."""
    rng = np.random.default_rng(_seed(item, "random", seed))
    return _like(item, "random", rng.standard_normal(item.weights.shape))


def lead_shuffled(item: Map, seed: int = 0) -> Attribution:
    """The map with its rows dealt to other leads: right in time, wrong in place.

    The permutation leaves no lead where it was (a random cycle, Sattolo 1986).
    """
    rng = np.random.default_rng(_seed(item, "lead shuffled", seed))
    rows = _rows(item)
    order = np.array(rows)
    for last in range(len(order) - 1, 0, -1):
        other = int(rng.integers(last))
        order[[last, other]] = order[[other, last]]
    density = item.density()
    density[rows] = density[order]
    return _like(item, "lead_shuffled", density)


def time_reversed(item: Map, seed: int = 0) -> Attribution:
    """The map read from the end of the explained part to its beginning: right leads, wrong time."""
    del seed
    edges = item.edges_sec[0] + item.edges_sec[-1] - item.edges_sec[::-1]
    return _like(item, "time_reversed", item.density()[:, ::-1], edges)


def oracle_map(item: Map, mask: BoolArray, bin_sec: float = 0.02) -> Attribution:
    """Each cell's share of a known truth: the best that a map on this grid can say.

    Parameters
    ----------
    item
        Gives the grid.
    mask
        ``bool[lead, bin]`` on the raster of ``item`` (:func:`raster_for`).
    bin_sec
        Width of its bins.
    """
    raster = raster_for(item, bin_sec)
    if mask.shape != (len(raster.leads), raster.n_bins):
        raise ValueError(f"a mask {mask.shape} does not fit {len(raster.leads)} x {raster.n_bins}")
    cell = rasterise(_like(item, "grid", np.ones(item.weights.shape)), raster).cell
    n = item.weights.shape[1]
    shares = np.zeros(item.weights.shape)
    for place, row in enumerate(_rows(item)):
        count = np.bincount(cell[place], minlength=n)
        hits = np.bincount(cell[place], weights=mask[place].astype(np.float64), minlength=n)
        shares[row] = hits / np.maximum(count, 1)
    return _like(item, "oracle", shares)


REFERENCES: Mapping[str, Callable[[Map, int], Attribution]] = MappingProxyType(
    {
        "random": random_map,
        "empty": empty_map,
        "constant": constant_map,
        "lead_shuffled": lead_shuffled,
        "time_reversed": time_reversed,
    }
)
"""Made from a map and a seed; the oracle needs the truth too."""


def _seed(item: Map, kind: str, seed: int) -> int:
    return content_seed("reference map", kind, item.provenance.record_digest, item.target, seed)


def _rows(item: Map) -> list[int]:
    """Rows of the leads that the map could explore."""
    return [item.leads.index(lead) for lead in judged_leads(item)]


def _like(
    item: Map, name: str, density: FloatArray, edges: FloatArray | None = None
) -> Attribution:
    """A map of the same record and target with another density."""
    edges = item.edges_sec if edges is None else edges
    explored: BoolArray = np.isfinite(density)
    explored[np.setdiff1d(np.arange(len(item.leads)), _rows(item))] = False
    return Attribution(
        record=item.record,
        target=item.target,
        method=name,
        probability=item.probability,
        leads=item.leads,
        edges_sec=edges,
        weights=(np.nan_to_num(density) * np.diff(edges)).astype(np.float32),
        explored=explored,
        provenance=item.provenance,
        diagnostics={"lead_group": "independent"} if independent(item) else {},
    )
