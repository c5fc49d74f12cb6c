"""How alike maps of one record are, whatever grids they were made on.

:func:`disagreement` follows Krishna et al., arXiv:2202.01602. Agreement of two methods of one
family says little (see :mod:`ecgxai_core.fusion.families`), so families are given as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion.grid import on_one_grid
from ecgxai_core.metrics.ranking import jaccard_at_k, jaccard_chance, settled, spearman
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.types import FloatArray, IntArray, Map

__all__ = ["disagreement", "map_spearman"]


def map_spearman(one: Map, other: Map, bin_sec: float = 0.02) -> float:
    """Spearman correlation of two maps, signed, on one raster of bins x leads.

    What a map did not explore counts as zero, which is what it says; bins that neither explored
    are left out, so two maps of few cells are not alike because both call the rest zero.

    Returns
    -------
    In [-1, 1]; NaN where a map is constant over the compared bins.

    Raises
    ------
    ValueError
        The maps are of different leads or parts of the record.
    """
    if one.leads != other.leads or not np.allclose(
        [one.edges_sec[0], one.edges_sec[-1]],
        [other.edges_sec[0], other.edges_sec[-1]],
        atol=bin_sec / 2,
    ):
        raise ValueError("maps of different leads or parts of a record cannot be compared")
    raster = raster_for(one, bin_sec)
    leads = {*raster.leads, *raster_for(other, bin_sec).leads}
    raster = replace(raster, leads=tuple(lead for lead in one.leads if lead in leads))
    first, second = rasterise(one, raster), rasterise(other, raster)
    where = first.explored | second.explored
    if not where.any():
        return np.nan
    return spearman(first.scores[where], second.scores[where])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Matrices over pairs of maps, ``[map, map]``, symmetric; NaN where undefined.

    ``names`` of the maps, and ``families`` of their methods (empty if several or unknown);
    ``spearman``: rank correlation of |density| over the cells (chance 0); ``jaccard``: |A and B| /
    |A or B| of the ``k`` cells of largest |density|, beside ``jaccard_chance`` of two random sets;
    ``sign_agreement``: share of the common mass (sum of the lesser of the two shares of all
    |density|) where the signs agree, undefined for methods without signs; ``cells``: how many both
    explored.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    spearman: FloatArray
    jaccard: FloatArray
    jaccard_chance: FloatArray
    sign_agreement: FloatArray
    cells: IntArray
    k: int


def disagreement(maps: Mapping[str, Map], k: int = 20) -> Disagreement:
    """Compare every pair of maps of one prediction.

    Parameters
    ----------
    maps
        By name; attributions or fused maps of one record and target.
    k
        Size of the top sets, cells.

    Raises
    ------
    ValueError
        Maps of different records or targets, or ``k`` below 1.
    """
    items = list(maps.values())
    if len({(item.record, item.target) for item in items}) > 1 or k < 1:
        raise ValueError("maps must be of one record and target, and k at least 1")
    n = len(items)
    result = {
        name: np.full((n, n), np.nan)
        for name in ("spearman", "jaccard", "jaccard_chance", "sign_agreement")
    }
    cells = np.zeros((n, n), dtype=np.int64)
    for one in range(n):
        for two in range(one, n):
            a, b = _common(items[one], items[two])
            size = _pair(a, b, k, _has_signs(items[one]) and _has_signs(items[two]))
            for name, value in size.items():
                result[name][one, two] = result[name][two, one] = value
            cells[one, two] = cells[two, one] = len(a)
    families = tuple(_family(item) for item in items)
    return Disagreement(tuple(maps), families, cells=cells, k=k, **result)


def _common(one: Map, two: Map) -> tuple[FloatArray, FloatArray]:
    """Densities of the cells that both explored, ``float64[cell]`` each."""
    a, b = (settled(density) for density in on_one_grid([one, two]).densities)
    both = ~np.isnan(a) & ~np.isnan(b)
    return a[both], b[both]


def _pair(a: FloatArray, b: FloatArray, k: int, signed: bool) -> dict[str, float]:
    if len(a) < 2:
        return {}
    size_a, size_b = np.abs(a), np.abs(b)
    found = {
        "spearman": spearman(size_a, size_b),
        "jaccard": jaccard_at_k(size_a, size_b, k),
        "jaccard_chance": jaccard_chance(len(a), k),
    }
    if signed and size_a.sum() > 0 and size_b.sum() > 0:
        shared = np.minimum(size_a / size_a.sum(), size_b / size_b.sum())
        if shared.sum() > 0:
            same = np.sign(a) == np.sign(b)
            found["sign_agreement"] = float(shared[same].sum() / shared.sum())
    return found


def _methods(item: Map) -> tuple[str, ...]:
    return tuple(getattr(item, "methods", ())) or (str(getattr(item, "method", "")),)


def _has_signs(item: Map) -> bool:
    return any(name not in METHODS or METHODS[name].signed for name in _methods(item))


def _family(item: Map) -> str:
    families = {METHODS[name].family if name in METHODS else "" for name in _methods(item)}
    return families.pop() if len(families) == 1 else ""
