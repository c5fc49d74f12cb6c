"""Summaries by class: how many, how many undefined, mean, spread and a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Interval", "bootstrap_mean", "summarise"]

_NAN = float("nan")
_CHUNK_VALUES = 2_000_000


class Interval(NamedTuple):
    """Borders of a confidence interval; NaN where it is undefined."""

    low: float
    high: float


def bootstrap_mean(
    values: npt.ArrayLike,
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
    method: Literal["bca", "percentile"] = "bca",
) -> Interval:
    """Bootstrap confidence interval of a mean.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 (percentile) and 14
    (BCa: bias-corrected and accelerated). The values are sorted first, so their order does not
    matter. Where all values are equal the interval is that value; fewer than two give NaN.

    Parameters
    ----------
    values
        ``float64[n]``, finite.
    confidence, n_resamples, seed
        Level, number of resamples, seed.
    method
        BCa, or plain percentiles.
    """
    sample = np.sort(np.asarray(values, np.float64))
    if len(sample) < 2:
        return Interval(_NAN, _NAN)
    if sample[0] == sample[-1]:
        return Interval(float(sample[0]), float(sample[0]))
    means = _resampled_means(sample, n_resamples, seed)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        tails = _bca_tails(sample, means, tails)
    low, high = np.quantile(means, tails)
    return Interval(float(low), float(high))


def _resampled_means(sample: FloatArray, n_resamples: int, seed: int) -> FloatArray:
    """``float64[resample]``: means of samples drawn with replacement, in bounded memory."""
    rng = np.random.default_rng(seed)
    n = len(sample)
    rows = max(1, _CHUNK_VALUES // n)
    parts = [
        sample[rng.integers(0, n, size=(min(rows, n_resamples - done), n))].mean(axis=1)
        for done in range(0, n_resamples, rows)
    ]
    return np.concatenate(parts)


def _bca_tails(sample: FloatArray, means: FloatArray, tails: FloatArray) -> FloatArray:
    """Tail probabilities corrected for bias and acceleration (jackknife of the mean)."""
    normal = NormalDist()
    observed = sample.mean()
    below = float(np.mean((means < observed) + 0.5 * (means == observed)))
    below = min(max(below, 0.5 / len(means)), 1 - 0.5 / len(means))
    bias = normal.inv_cdf(below)
    deviation = sample - observed  # the jackknife means lie the other way, over n - 1
    skew = float((deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5))
    corrected = []
    for tail in tails:
        shifted = bias + normal.inv_cdf(float(tail))
        corrected.append(normal.cdf(bias + shifted / (1 - skew * shifted)))
    return np.array(corrected)


def summarise(
    table: pd.DataFrame,
    by: Sequence[str],
    metrics: Sequence[str],
    params: EvaluationParams,
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

    Returns
    -------
    ``by`` columns, ``metric``, ``n`` (rows of the group), ``n_undefined`` (NaN among them),
    ``mean``, ``sd`` (ddof 1) and ``ci_low``, ``ci_high`` (BCa) over the defined values. Groups
    come sorted. Intervals are seeded by group and metric, so no row depends on the others.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for key, group in table.groupby(list(by), sort=True, dropna=False):
        names = key if isinstance(key, tuple) else (key,)
        for metric in metrics:
            values = group[metric].to_numpy(dtype=np.float64)
            rows.append(
                {**dict(zip(by, names, strict=True)), "metric": metric}
                | _summary(values, [str(name) for name in names], metric, params)
            )
    columns = [*by, "metric", "n", "n_undefined", "mean", "sd", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)


def _summary(
    values: FloatArray, group: Sequence[str], metric: str, params: EvaluationParams
) -> dict[str, float | int]:
    """Numbers of one group and metric."""
    defined = np.sort(values[~np.isnan(values)])
    interval = bootstrap_mean(
        defined,
        confidence=params.confidence,
        n_resamples=params.n_bootstrap,
        seed=content_seed("bootstrap", list(group), metric, params.seed),
    )
    return {
        "n": len(values),
        "n_undefined": int(len(values) - len(defined)),
        "mean": float(defined.mean()) if len(defined) else _NAN,
        "sd": float(defined.std(ddof=1)) if len(defined) > 1 else _NAN,
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
