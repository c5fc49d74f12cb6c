"""One grid for several attributions: the union of their edges, with weights as densities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgxai_core.types import STANDARD_LEADS, Attribution, FloatArray, FusedMap

__all__ = ["EDGE_TOLERANCE_SEC", "common_leads", "density_on", "union_edges"]

EDGE_TOLERANCE_SEC = 1e-6
"""Edges closer than this are one edge: they are sample times that differ by rounding only."""


def union_edges(edge_sets: Sequence[FloatArray]) -> FloatArray:
    """``float64[n + 1]``: all edges (s), sorted, those equal but for rounding named once."""
    edges = np.sort(np.concatenate(edge_sets))
    return edges[np.concatenate(([True], np.diff(edges) > EDGE_TOLERANCE_SEC))]


def common_leads(lead_sets: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All leads named in any set: standard leads in standard order, then others by name."""
    names = {name for leads in lead_sets for name in leads}
    known = [name for name in STANDARD_LEADS if name in names]
    return (*known, *sorted(names - set(known)))


def density_on(
    attribution: Attribution | FusedMap, leads: Sequence[str], edges: FloatArray
) -> FloatArray:
    """``float64[lead, cell]``: weight per second on a finer grid; NaN where not explored.

    A weight belongs to its whole segment and is spread evenly, so every cell of the finer grid
    has the density of the segment it lies in. Cells outside the attribution are not explored.
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
