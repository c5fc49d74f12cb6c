"""Partial rank correlation: does one quantity follow another when further ones are held?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ecgxai_core.bootstrap import all_equal
from ecgxai_core.types import FloatArray

__all__ = ["NOTHING", "PartialCorrelation", "false_discovery", "partial_rank_correlation"]


class PartialCorrelation(NamedTuple):
    """``r`` with its interval and p value, from ``n`` records; NaN where undefined."""

    r: float
    low: float
    high: float
    p: float
    n: int


NOTHING = PartialCorrelation(np.nan, np.nan, np.nan, np.nan, 0)


def partial_rank_correlation(
    x: FloatArray, y: FloatArray, held: FloatArray, confidence: float = 0.95
) -> PartialCorrelation:
    """Spearman's correlation of ``x`` and ``y`` with the columns of ``held`` taken out.

    The correlation of what is left of the ranks of both after least squares on the ranks of the
    others. The p value is that of Student's t with n - 2 - k degrees of freedom (Kendall and
    Stuart, The Advanced Theory of Statistics, vol. 2, 1973, 27.22); the interval is Fisher's z with
    the variance (1 + r^2 / 2) / (n - k - 3) of Bonett and Wright (Psychometrika 2000;65:23-28).

    Parameters
    ----------
    x, y
        ``float64[n]``; records in which one of them is NaN do not count.
    held
        ``float64[n, k]``; what is NaN counts as the mean rank of its column, which says nothing.
    confidence
        Of the interval.

    Returns
    -------
    NaN (with ``n``) where one of the two does not vary, or with fewer than k + 5 records.
    """
    from scipy import special, stats

    known = np.isfinite(x) & np.isfinite(y)
    n = int(known.sum())
    columns = [_ranks(column) for column in held[known].T]
    columns = [column for column in columns if np.ptp(column) > 0] if n else []
    free = n - len(columns) - 3
    if free < 2 or all_equal(x[known]) or all_equal(y[known]):
        return NOTHING._replace(n=n)
    design = np.column_stack([np.ones(n), *columns])
    ranks = np.column_stack([_ranks(x[known]), _ranks(y[known])])
    left = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    size = np.sqrt((left**2).sum(axis=0))
    if (size < 1e-9 * np.sqrt((ranks**2).sum(axis=0))).any():  # the others determine it
        return NOTHING._replace(n=n)
    r = float(np.clip((left[:, 0] @ left[:, 1]) / size.prod(), -1.0, 1.0))
    freedom = free + 1
    t = r * np.sqrt(freedom / max(1 - r * r, 1e-15))
    p = float(2 * stats.t.sf(abs(t), freedom))
    reach = float(special.ndtri((1 + confidence) / 2)) * np.sqrt((1 + r * r / 2) / free)
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return PartialCorrelation(r, float(np.tanh(z - reach)), float(np.tanh(z + reach)), p, n)


def false_discovery(p: FloatArray) -> FloatArray:
    """p values corrected for the share of false discoveries; NaN stays NaN and counts for nothing.

    Benjamini and Hochberg, J R Stat Soc B 1995;57:289-300.
    """
    from scipy import stats

    known = np.isfinite(p)
    found = np.full(p.shape, np.nan)
    if known.any():
        found[known] = stats.false_discovery_control(p[known], method="bh")
    return found


def _ranks(values: FloatArray) -> FloatArray:
    """Midranks; NaN gets their mean."""
    from scipy import stats

    ranks = stats.rankdata(values, nan_policy="omit")
    known = np.isfinite(values)
    return np.where(known, ranks, ranks[known].mean() if known.any() else 0.0)
