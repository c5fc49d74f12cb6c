"""Tables of a benchmark: means with bootstrap intervals over records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecgxai_core.bootstrap import mean_interval
from ecgxai_core.types import content_seed

__all__ = ["markdown", "summary_table"]

CONFIDENCE, RESAMPLES = 0.95, 2000


def summary_table(scores: pd.DataFrame, by: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """One row per group: number of records, and mean with 95 % interval of every metric.

    Groups are in descending order of the first metric. Undefined values are excluded from means;
    ``n`` counts all records of the group, ``<metric>_n`` those with a value.
    """
    rows = []
    for names, group in scores.groupby(list(by), sort=True):
        row: dict[str, Any] = dict(zip(by, names, strict=True))
        for metric in metrics:
            values = group[metric].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            seed = content_seed("benchmark", [str(name) for name in names], metric)
            interval = mean_interval(
                values, confidence=CONFIDENCE, n_resamples=RESAMPLES, seed=seed
            )
            row |= {
                metric: float(values.mean()) if len(values) else float("nan"),
                f"{metric}_low": interval.low,
                f"{metric}_high": interval.high,
                f"{metric}_n": len(values),
            }
        rows.append({**row, "n": len(group)})
    table = pd.DataFrame(rows)
    return table.sort_values(
        [*by[:-1], metrics[0]], ascending=[True] * (len(by) - 1) + [False], kind="stable"
    ).reset_index(drop=True)


def markdown(table: pd.DataFrame, by: Sequence[str], metrics: Sequence[str]) -> str:
    """The table as Markdown: mean (low to high) by group."""
    head = [*by, *metrics, "n"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in table.to_dict("records"):
        cells = [str(row[name]) for name in by]
        cells += [_cell(row, metric) for metric in metrics]
        lines.append(f"| {' | '.join([*cells, str(row['n'])])} |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[Any, Any], metric: str) -> str:
    """Mean and interval, with n if some records have no value; empty if none has one."""
    mean, low, high, n = (row[f"{metric}{tail}"] for tail in ("", "_low", "_high", "_n"))
    if n == 0:
        return ""
    shown = f"{mean:.3f} ({low:.3f} to {high:.3f})" if np.isfinite(low) else f"{mean:.3f}"
    return shown if n == row["n"] else f"{shown}, n = {n}"
