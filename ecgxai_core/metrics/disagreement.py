"""How far methods disagree on one prediction (after Krishna et al., arXiv:2202.01602).

Pairs of maps are compared cell by cell on the union of their edges, as densities, over the cells
that both explored. Agreement of two methods of one family says little (see
:mod:`ecgxai_core.fusion.families`), so families stand beside the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecgxai_core.explain import METHODS
from ecgxai_core.fusion.grid import common_leads, density_on, union_edges
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.ranking import jaccard_at_k, jaccard_chance, settled, spearman
from ecgxai_core.types import FloatArray, IntArray

__all__ = ["Disagreement", "disagreement"]

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Matrices over pairs of maps, ``[map, map]``, symmetric; NaN where undefined.

    Attributes
    ----------
    names
        Rows and columns.
    families
        Family of each map's method; empty for maps of several or of none that is known.
    spearman
        Rank correlation of |density| over the cells. Chance 0.
    jaccard
        |A and B| / |A or B| of the ``k`` cells of largest |density|.
    jaccard_chance
        What two random sets of that size reach.
    sign_agreement
        Share of the mass that two maps have in common (sum of the lesser of their shares of all
        |density|) where their signs agree. Undefined for methods without signs.
    cells
        How many cells both explored.
    k
        Size of the top set.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    spearman: FloatArray
    jaccard: FloatArray
    jaccard_chance: FloatArray
    sign_agreement: FloatArray
    cells: IntArray
    k: int

    def across_families(self) -> float:
        """Mean rank correlation of methods of different known families; NaN without such a pair."""
        known = np.array(self.families)
        pairs = (known[:, None] != known) & (known[:, None] != "") & (known != "")
        found = self.spearman[pairs & ~np.isnan(self.spearman)]
        return float(found.mean()) if len(found) else NAN


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
    return Disagreement(
        names=tuple(maps),
        families=tuple(_family(item) for item in items),
        cells=cells,
        k=k,
        **result,
    )


def _common(one: Map, two: Map) -> tuple[FloatArray, FloatArray]:
    """Densities of the cells that both explored, ``float64[cell]`` each."""
    leads = common_leads([one.leads, two.leads])
    edges = union_edges([one.edges_sec, two.edges_sec])
    a, b = (settled(density_on(item, leads, edges)) for item in (one, two))
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
