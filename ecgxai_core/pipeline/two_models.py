"""Two models on one record: probabilities of what both know, and how alike their maps are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.fusion.grid import common_leads, density_on, union_edges
from ecgxai_core.metrics.ranking import spearman
from ecgxai_core.types import Attribution, FusedMap, Prediction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["common_classes", "map_agreement", "probability_table"]

Map = Attribution | FusedMap
_BIN_SEC = 0.02


def common_classes(first: tuple[str, ...], second: tuple[str, ...]) -> dict[str, str]:
    """Class of the first model -> the class of the second that is scored as the same diagnosis."""
    found = {}
    for code in first:
        same = [code, *aliases(code)]
        match = next((other for other in same if other in second), None)
        if match is not None:
            found[code] = match
    return found


def probability_table(
    first: Prediction, second: Prediction, thresholds: tuple[Mapping[str, float], ...] = ({}, {})
) -> pd.DataFrame:
    """One row a shared class: both probabilities, their difference, and whether both say the same.

    ``thresholds`` are those of the two manifests; 0.5 where they name none.
    """
    import pandas as pd

    rows = []
    for code, other in common_classes(first.classes, second.classes).items():
        a, b = first.probability(code), second.probability(other)
        says = a >= thresholds[0].get(code, 0.5), b >= thresholds[1].get(other, 0.5)
        rows.append(
            {
                "code": code,
                "class": term_of(code).name,
                "first": a,
                "second": b,
                "difference": b - a,
                "same decision": "yes" if says[0] == says[1] else "no",
            }
        )
    columns = ["code", "class", "first", "second", "difference", "same decision"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("first", ascending=False, kind="stable", ignore_index=True)


def map_agreement(first: Map, second: Map) -> dict[str, float]:
    """How alike two maps are, over the bins of 20 ms that both explored.

    ``shared`` is the share of lead x time that both explored; ``spearman`` the rank correlation of
    their densities there (0 is chance), ``same_sign`` the share of bins where both have a weight
    and agree in sign; NaN where nothing can be compared.
    """
    edges = _bins(first, second)
    leads = common_leads([first.leads, second.leads])
    a, b = (density_on(item, leads, edges) for item in (first, second))
    both = ~np.isnan(a) & ~np.isnan(b)
    signed = both & (a != 0) & (b != 0)
    same = float(np.mean(np.sign(a[signed]) == np.sign(b[signed]))) if signed.any() else math.nan
    return {
        "shared": float(np.mean(both)) if both.size else 0.0,
        "spearman": spearman(a[both], b[both]) if both.sum() > 1 else math.nan,
        "same_sign": same,
    }


def _bins(first: Map, second: Map) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Equal bins over everything that either map covers, so that long segments count for more."""
    every = union_edges([first.edges_sec, second.edges_sec])
    number = max(1, round((every[-1] - every[0]) / _BIN_SEC))
    return np.linspace(every[0], every[-1], number + 1)
