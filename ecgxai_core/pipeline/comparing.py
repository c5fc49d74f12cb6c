"""Two maps of one record, and two methods on the same records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.augment import TimeMap
from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.grid import common_leads, density_on, union_edges
from ecgxai_core.metrics.summary import Interval, bootstrap_mean
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import Attribution, FloatArray, FusedMap, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Paired", "SideBySide", "moved", "paired", "side_by_side"]

Map = Attribution | FusedMap


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two maps on one grid, as shares of one scale (the largest |density| of both).

    ``one``, ``other``, ``difference`` (other minus one) are ``float64[lead, cell]``; NaN where not
    explored, in the difference where neither map explored (what one did not explore counts as 0,
    which is what that map says). ``changed`` is half the sum of |difference| x seconds over the
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
    leads = common_leads([one.leads, other.leads])
    edges = union_edges([one.edges_sec, other.edges_sec])
    both = np.stack([density_on(item, leads, edges) for item in (one, other)])
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
    (other minus one), a row a target and record. ``n`` records have both values; ``mean`` and
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
        One row a record, target and method (a table of a run).
    metric, one, other
        Column, and the two methods.
    params
        ``confidence``, ``n_bootstrap``, ``seed`` of the interval (BCa bootstrap over records).

    Raises
    ------
    ParameterError
        No such column or method.
    """
    known = set(frame["method"]) if "method" in frame else set()
    for name in (one, other):
        if name not in known:
            raise ParameterError("comparison", "method", f"there is no {name}", "choose another")
    if metric not in frame:
        raise ParameterError("comparison", "metric", f"there is no {metric}", "choose another")
    wide = (
        frame[frame["method"].isin([one, other])]
        .pivot_table(
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
    interval = bootstrap_mean(
        values,
        confidence=params.confidence,
        n_resamples=params.n_bootstrap,
        seed=content_seed("paired", metric, one, other, params.seed),
    )
    return Paired(
        wide.reset_index().drop(columns="target").rename_axis(columns=None),
        len(values),
        float(values.mean()) if len(values) else float("nan"),
        interval,
        *_counts(values),
    )


def _counts(values: FloatArray) -> Sequence[int]:
    """How many are above, below and at 0, rounding aside."""
    tiny = 1e-12
    above, below = int((values > tiny).sum()), int((values < -tiny).sum())
    return above, below, len(values) - above - below


def moved(item: Map, time_map: TimeMap) -> tuple[FloatArray, FloatArray]:
    """A map of an original on the time axis of the record with an inserted stretch.

    Returns
    -------
    ``float64[cell + 1]`` edges (s) and ``float64[lead, cell]`` densities; the inserted stretch is a
    cell of its own that nobody explored. A cell that the cut runs through keeps its density on
    both sides.
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
