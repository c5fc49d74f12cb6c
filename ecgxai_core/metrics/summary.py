"""Summaries by class: records, undefined values, mean, spread, interval, and what it is above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.bootstrap import LEAST_RECORDS, interval_of
from ecgxai_core.metrics.base import GATES, Metric
from ecgxai_core.metrics.testing import compared_with_each
from ecgxai_core.params import EvaluationParams

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summarise"]


def summarise(
    table: pd.DataFrame,
    by: Sequence[str],
    metrics: Sequence[str],
    params: EvaluationParams,
    known: Mapping[str, Metric] = {},
) -> pd.DataFrame:
    """One row per group and metric.

    Parameters
    ----------
    table
        One row per record (and method); a column for each metric.
    by
        Columns that name a group, such as target and method.
    metrics
        Metric columns.
    params
        ``confidence``, ``n_bootstrap``, ``seed``.
    known
        What the metrics mean; those that are not there are compared with nothing.

    Returns
    -------
    ``by`` columns, ``metric``, ``n`` (rows of the group), ``n_undefined`` (NaN among them),
    ``mean``, ``sd`` (ddof 1) and ``ci_low``, ``ci_high`` over the defined values. ``values``: where
    there are too few for an interval, the values themselves. ``better``: ``yes`` where the map is
    better than each of its reference maps, paired by row, else those that it is not better than;
    ``too few`` records; empty where the metric has no reference maps, or none is defined (a class
    without tabulated evidence). Groups come sorted. Intervals are seeded by group and metric, so no
    row depends on the others.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for key, group in table.groupby(list(by), sort=True, dropna=False):
        names = key if isinstance(key, tuple) else (key,)
        for metric in metrics:
            values = group[metric].to_numpy(dtype=np.float64)
            defined = np.sort(values[~np.isnan(values)])
            n = len(defined)
            interval = interval_of(defined, params, "bootstrap", [str(x) for x in names], metric)
            mean = float(defined.mean()) if n else np.nan
            sd = float(defined.std(ddof=1)) if n > 1 else np.nan
            few = "; ".join(f"{value:.3g}" for value in defined) if n < LEAST_RECORDS else ""
            better = _better(group, known[metric], params, *names) if metric in known else ""
            row = *names, metric, len(values), len(values) - n, mean, sd, *interval, few, better
            rows.append(row)
    columns = [*by, "metric", "n", "n_undefined", "mean", "sd", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*columns, "values", "better"])


def _better(group: pd.DataFrame, metric: Metric, params: EvaluationParams, *names: Any) -> str:
    """Which of its reference maps a map is not better than, in words."""
    if not metric.beside or f"{metric.name}_{metric.beside[0]}" not in group:
        return ""
    ordered = group.sort_values(metric.name, kind="stable")
    beside = {
        side: ordered[f"{metric.name}_{side}"].to_numpy(np.float64)
        for side in GATES
        if f"{metric.name}_{side}" in ordered
    }
    values = ordered[metric.name].to_numpy(np.float64)
    purpose = "better", [str(name) for name in names], metric.name
    found = compared_with_each(values, beside, params, *purpose, lower=metric.direction == "lower")
    if not found:
        return ""
    if any(one.n < LEAST_RECORDS for one in found):
        return "too few"
    return ", ".join(one.reference for one in found if not one.better) or "yes"
