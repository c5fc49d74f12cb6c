"""Comparisons: two maps of one record, two methods on the same records, two models on a record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecgxai_core.bootstrap import Interval, interval_of
from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.grid import common_leads, density_on, on_one_grid, union_edges
from ecgxai_core.metrics.ranking import spearman
from ecgxai_core.metrics.testing import refuse_repeated
from ecgxai_core.params import EvaluationParams
from ecgxai_core.signal.extra_beat import TimeMap
from ecgxai_core.types import FloatArray, Map, Prediction

__all__ = [
    "Paired",
    "SideBySide",
    "common_classes",
    "map_agreement",
    "moved",
    "paired",
    "probability_table",
    "side_by_side",
]


_TINY = 1e-12
"""Differences below this are rounding."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two maps on one grid, as shares of one scale (the largest |density| of both).

    ``one``, ``other``, ``difference`` (other minus one) are ``float64[lead, cell]``; NaN where not
    explored, in the difference where neither map explored (a cell that only one explored counts as
    0 in the other). ``changed`` is half the sum of |difference| x seconds over the
    mean mass of the two maps: 0 where they are equal, 1 where they share nothing.
    """

    leads: tuple[str, ...]
    edges_sec: FloatArray
    one: FloatArray
    other: FloatArray
    difference: FloatArray
    changed: float


def side_by_side(one: Map, other: Map) -> SideBySide:
    """Two maps of one record and target on the union of their edges and leads."""
    leads, edges, both = on_one_grid([one, other])
    filled = np.nan_to_num(both)
    peak = float(np.abs(filled).max(initial=0.0)) or 1.0
    change = np.where(np.isnan(both).all(axis=0), np.nan, filled[1] - filled[0]) / peak
    durations = np.diff(edges)
    mass = float((np.abs(filled).sum(axis=0) * durations).sum()) / peak
    moved = float((np.nan_to_num(np.abs(change)) * durations).sum())
    return SideBySide(
        leads, edges, both[0] / peak, both[1] / peak, change, moved / mass if mass > 0 else 0.0
    )


@dataclass(frozen=True, slots=True)
class Paired:
    """Two methods on the same records.

    ``frame`` has ``target_name``, ``record``, a column named like each method and ``difference``
    (other minus one), one row per target and record. ``n`` records have both values; ``mean`` and
    ``interval`` are of the records' differences, each averaged over its targets, which are not
    independent; ``higher``, ``lower``, ``equal`` count records.
    """

    frame: pd.DataFrame
    n: int
    mean: float
    interval: Interval
    higher: int
    lower: int
    equal: int


def paired(
    frame: pd.DataFrame, metric: str, one: str, other: str, params: EvaluationParams
) -> Paired:
    """Compare two methods record by record, which removes how hard each record is.

    Parameters
    ----------
    frame
        One row per record, target and method (a table of a run).
    metric, one, other
        Column, and the two methods.
    params
        ``confidence``, ``n_bootstrap``, ``seed`` of the interval (BCa bootstrap over records).

    Raises
    ------
    ParameterError
        No such column or method, or two records of one name.
    """
    known = set(frame["method"]) if "method" in frame else set()
    for name in (one, other):
        if name not in known:
            raise ParameterError("comparison", "method", f"there is no {name}", "choose another")
    if metric not in frame:
        raise ParameterError("comparison", "metric", f"there is no {metric}", "choose another")
    rows = frame[frame["method"].isin([one, other])]
    refuse_repeated(rows, ["target", "record", "method"], "is in the table twice")
    wide = (
        rows.pivot_table(
            index=["target", "target_name", "record"],
            columns="method",
            values=metric,
            aggfunc="first",
        )
        .reindex(columns=[one, other])
        .dropna()
    )
    wide["difference"] = wide[other] - wide[one]
    values = wide["difference"].groupby("record").mean().to_numpy(np.float64)
    higher, lower = int((values > _TINY).sum()), int((values < -_TINY).sum())
    return Paired(
        wide.reset_index().drop(columns="target").rename_axis(columns=None),
        len(values),
        float(values.mean()) if len(values) else math.nan,
        interval_of(values, params, "paired", metric, one, other),
        higher,
        lower,
        len(values) - higher - lower,
    )


def moved(item: Map, time_map: TimeMap) -> tuple[FloatArray, FloatArray]:
    """A map of an original on the time axis of the record with an inserted stretch.

    Returns
    -------
    ``float64[cell + 1]`` edges (s) and ``float64[lead, cell]`` densities; the inserted stretch is a
    cell of its own that is not explored. A cell that is cut keeps its density on both sides.
    """
    edges, density = item.edges_sec, item.density()
    cut = time_map.cut_sec
    if not edges[0] < cut < edges[-1]:
        return np.asarray(edges + (edges[0] >= cut) * time_map.inserted_sec), density
    before, after = edges[edges < cut - 1e-9], edges[edges > cut + 1e-9]
    column = int(np.searchsorted(edges, cut - 1e-9)) - 1
    follow = len(edges) - 1 - len(after)
    joined = np.concatenate((before, time_map.inserted, after + time_map.inserted_sec))
    nothing = np.full((len(item.leads), 1), np.nan)
    parts = (density[:, : column + 1], nothing, density[:, follow:])
    return joined, np.concatenate(parts, axis=1)


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
    """One row per shared class: both probabilities, their difference, whether both decide alike.

    ``thresholds`` are those of the two manifests; 0.5 where they name none.
    """
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
    every = union_edges([first.edges_sec, second.edges_sec])
    # equal bins over everything that either map covers, so that long segments count for more
    edges = np.linspace(every[0], every[-1], max(1, round((every[-1] - every[0]) / _BIN_SEC)) + 1)
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
