"""One grid for several attributions: the union of their edges, with weights as densities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecgxai_core.types import STANDARD_LEADS, FloatArray, Map

__all__ = ["common_leads", "density_on", "on_one_grid", "union_edges"]

EDGE_TOLERANCE_SEC = 1e-6
"""Edges closer than this are one edge: sample times that differ by rounding only."""


def union_edges(edge_sets: Sequence[FloatArray]) -> FloatArray:
    """``float64[n + 1]``: all edges (s), sorted; those equal up to rounding once."""
    edges = np.sort(np.concatenate(edge_sets))
    return edges[np.concatenate(([True], np.diff(edges) > EDGE_TOLERANCE_SEC))]


def common_leads(lead_sets: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All leads named in any set: standard leads in standard order, then others by name."""
    names = {name for leads in lead_sets for name in leads}
    known = [name for name in STANDARD_LEADS if name in names]
    return (*known, *sorted(names - set(known)))


class OneGrid(NamedTuple):
    """Maps on the union of their leads and edges (s); ``densities`` ``float64[map, lead, cell]``
    are weight per second, NaN where not explored."""

    leads: tuple[str, ...]
    edges: FloatArray
    densities: FloatArray


def on_one_grid(maps: Sequence[Map]) -> OneGrid:
    """Several maps on one grid (:func:`density_on`)."""
    leads = common_leads([item.leads for item in maps])
    edges = union_edges([item.edges_sec for item in maps])
    return OneGrid(leads, edges, np.stack([density_on(item, leads, edges) for item in maps]))


def density_on(attribution: Map, leads: Sequence[str], edges: FloatArray) -> FloatArray:
    """``float64[lead, cell]``: weight per second on a finer grid; NaN where not explored.

    A weight is spread evenly over its segment, so a cell of the finer grid has the density of the
    segment it lies in. Cells outside the attribution are not explored.
    """
    middles = (edges[:-1] + edges[1:]) / 2
    own = attribution.edges_sec
    column = np.searchsorted(own, middles, side="right") - 1
    inside = (column >= 0) & (column < len(own) - 1)
    density = attribution.density()
    if tuple(leads) != attribution.leads:
        rows = {name: row for row, name in enumerate(attribution.leads)}
        absent = np.full((1, density.shape[1]), np.nan)
        picked = [rows.get(name, len(rows)) for name in leads]
        density = np.concatenate((density, absent))[picked]
    return np.where(inside, density[:, np.where(inside, column, 0)], np.nan)
