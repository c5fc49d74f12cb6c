"""Confidence intervals of means over records, one function for every table; and of clusters.

:func:`mean_interval` is a bootstrap-t interval (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, section 12.5; Hall, Ann Stat 1988;16:927-953) with two changes that its measured
coverage asked for: the standard error of a resample counts as at least a quarter of the sample's,
without which a few equal values give endless intervals, and its chance of missing is set lower than
stated, which few records of a skewed distribution need. The coverage is measured by
``tests/benchmarks/bench_intervals.py``; ``docs/results.md`` has the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, IntArray, content_seed

__all__ = [
    "LEAST_RECORDS",
    "Interval",
    "all_equal",
    "bootstrap_clusters",
    "interval_of",
    "mean_interval",
]

LEAST_RECORDS = 10
"""Fewest values that an interval is made of. Below, tables show the values themselves."""

_CHUNK_VALUES = 2_000_000
"""Most values that are resampled at a time."""

_LEAST_ERROR = 0.25
"""Least standard error of a resample, over that of the sample."""

_MISSES = 0.5
"""The chance of missing that is aimed at, over the one that is stated."""


class Interval(NamedTuple):
    """Limits of a confidence interval; NaN where it is undefined."""

    low: float
    high: float


NO_INTERVAL = Interval(np.nan, np.nan)


def mean_interval(
    values: npt.ArrayLike, *, confidence: float, n_resamples: int, seed: int
) -> Interval:
    """Confidence interval of a mean, whatever the order of the values.

    Parameters
    ----------
    values
        ``float64[n]``, finite.
    confidence, n_resamples, seed
        Level, number of resamples, seed.

    Returns
    -------
    NaN for fewer than :data:`LEAST_RECORDS` values, and where all are equal: they say nothing of
    how far the mean may be off.
    """
    sample = np.sort(np.asarray(values, np.float64))
    n = len(sample)
    if n < LEAST_RECORDS or all_equal(sample):
        return NO_INTERVAL
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / n**0.5
    rng = np.random.default_rng(seed)
    pivots: list[FloatArray] = []
    left, most = n_resamples, max(1, _CHUNK_VALUES // n)
    while left > 0:
        drawn = sample[rng.integers(0, n, (min(left, most), n))]
        errors = drawn.std(axis=1, ddof=1) / n**0.5
        pivots.append((drawn.mean(axis=1) - mean) / np.maximum(errors, _LEAST_ERROR * error))
        left -= most
    miss = _MISSES * (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(pivots), [miss, 1 - miss])
    return Interval(mean - float(high) * error, mean - float(low) * error)


def all_equal(values: FloatArray) -> bool:
    """Whether values differ by rounding at most."""
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))


def interval_of(values: npt.ArrayLike, params: EvaluationParams, *purpose: Any) -> Interval:
    """Interval of a mean of ``float64[n]``, seeded by ``purpose`` and ``params.seed``."""
    return mean_interval(
        values,
        confidence=params.confidence,
        n_resamples=params.n_bootstrap,
        seed=content_seed(*purpose, params.seed),
    )


def bootstrap_clusters(
    clusters: Sequence[str],
    statistic: Callable[[IntArray], FloatArray],
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> list[Interval]:
    """Percentile intervals of statistics of records that are not independent of each other.

    Whole clusters (a patient's records) are drawn. A resample in which a statistic is undefined
    (no positive record of a class) does not count for it.

    Parameters
    ----------
    clusters
        Name of each record's cluster.
    statistic
        Numbers of the records drawn, ``int64[n]``, to ``float64[statistic]``.

    Returns
    -------
    An interval for each statistic; NaN where no resample defines it, or with one cluster.
    """
    from scipy import stats

    _, member = np.unique(np.array(clusters), return_inverse=True)
    rows = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    if len(rows) < 2:
        return [NO_INTERVAL for _ in statistic(np.arange(len(clusters)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # undefined: left out below
        draws = stats.bootstrap(
            (np.arange(len(rows)),),
            lambda drawn: statistic(np.concatenate([rows[int(i)] for i in drawn])),
            n_resamples=n_resamples,
            batch=max(1, _CHUNK_VALUES // len(rows)),
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    defined = [one[np.isfinite(one)] for one in np.atleast_2d(draws)]
    return [
        Interval(*map(float, np.quantile(one, tails))) if len(one) else NO_INTERVAL
        for one in defined
    ]
