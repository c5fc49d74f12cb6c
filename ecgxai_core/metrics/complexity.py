"""Complexity: is a map concentrated enough to be read? It says nothing of whether it is right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecgxai_core.metrics.base import Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import Map, Score

__all__ = ["GROUP", "complexity", "entropy_complexity", "gini"]

_GINI_NORMAL = float(np.sqrt(2) - 1)
"""Gini index of the magnitudes of normal weights (half-normal distribution)."""
_ENTROPY_LOSS = float((np.log(2) - np.euler_gamma) / 2 + 0.5 * np.log(np.pi / 2))
"""log n minus the entropy of the shares of half-normal magnitudes, for large n."""


def gini(values: npt.ArrayLike) -> float:
    """Gini index of magnitudes: 0 where all are equal, near 1 where one has all.

    Chalasani et al. 2020 (arXiv 1810.06583), after Hurley and Rickard 2009:
    ``1 - 2 sum_k (|phi|_(k) / sum |phi|) (n - k + 0.5) / n``, sorted rising. NaN for an all-zero
    map.
    """
    size = np.sort(np.abs(np.asarray(values, np.float64).reshape(-1)))
    total = float(size.sum())
    n = len(size)
    if n == 0 or total <= 0:
        return np.nan
    rank = np.arange(1, n + 1)
    return float(1 - 2 * (size / total * (n - rank + 0.5) / n).sum())


def entropy_complexity(values: npt.ArrayLike) -> float:
    """Entropy of the shares of all |phi| (Bhatt et al. 2020, arXiv 2005.00631), natural logarithm.

    ``log n`` where all are equal, 0 where one has all; NaN for an all-zero map.
    """
    size = np.abs(np.asarray(values, np.float64).reshape(-1))
    total = float(size.sum())
    if total <= 0:
        return np.nan
    share = size[size > 0] / total
    return float(-(share * np.log(share)).sum())


def complexity(item: Map, params: EvaluationParams) -> tuple[Score, ...]:
    """Gini sparseness and relative entropy of a map on the raster.

    Bins rather than cells, so that cutting a segment in two changes nothing. What was not explored
    counts as zero: a method that looked at little is sparse, which ``coverage`` shows. ``random``
    is what normal weights reach. The empty map has no shares: NaN.

    Returns
    -------
    ``gini`` and ``entropy_share`` (entropy over its maximum, in [0, 1]).
    """
    scores = rasterise(item, raster_for(item, params.raster_sec)).scores
    n = scores.size
    most = float(np.log(n)) if n > 1 else np.nan
    entropy = entropy_complexity(scores) / most if n > 1 else np.nan
    return (
        Score("gini", gini(scores), random=_GINI_NORMAL, ceiling=1.0),
        Score("entropy_share", entropy, random=1 - _ENTROPY_LOSS / most, ceiling=0.0),
    )


_BLIND = "the map is all zero; shuffled and reversed maps score alike: it is blind to place"

_METRICS = (
    Metric(
        "gini", "Gini sparseness", "higher", "complexity", "0.414 (normal weights)", _BLIND,
        "Chalasani et al. 2020, arXiv 1810.06583", "none", ("random", "ceiling"),
    ),
    Metric(
        "entropy_share", "Entropy / log n", "lower", "complexity", "1 - 0.284 / log n", _BLIND,
        "Bhatt et al. 2020, arXiv 2005.00631", "none", ("random", "ceiling"),
    ),
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    return Outcome({name: complexity(item, subject.params) for name, item in subject.maps.items()})


GROUP = MetricGroup("complexity", _METRICS, ("map",), _of)
