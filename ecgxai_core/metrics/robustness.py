"""Robustness: is a map stable under noise, a shift and a gain that do not change the prediction?

The time mapping of every change is known. A map is compared only where the prediction stayed: where
it changes, the explanation should change too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecgxai_core.metrics.base import Direction, Metric, MetricGroup, Outcome, Subject, Trial
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.metrics.stability import stability
from ecgxai_core.params import StabilityParams
from ecgxai_core.types import Map, Score

__all__ = ["GROUP", "KINDS", "robustness", "stayed"]

KINDS: tuple[str, ...] = ("noise", "shift", "gain")
"""Kinds of :mod:`ecgxai_core.signal.disturbances`."""

STAYED_WITHIN = 0.1
"""A probability that moves by more is another prediction; so is one on the other side of 0.5."""

_NAMES = ("spearman", "weighted_jaccard")


def stayed(before: float, after: float) -> bool:
    """Whether a prediction is still the same: same side of 0.5, and not far away."""
    return (before >= 0.5) == (after >= 0.5) and abs(after - before) <= STAYED_WITHIN


def robustness(
    original: Map,
    trials: Sequence[Trial],
    r_peaks_sec: npt.ArrayLike,
    params: StabilityParams,
) -> tuple[Score, ...]:
    """Compare a map with those of the changed records, beat by beat.

    Parameters
    ----------
    original, trials
        The map of the record as it is, and changed records, explained as the original was. Several
        of a kind are averaged; NaN if one of them is undefined.
    r_peaks_sec, params
        R peaks of the original, s; as for :func:`ecgxai_core.metrics.stability.stability`.

    Returns
    -------
    For each of :data:`KINDS` ``spearman_<kind>`` and ``weighted_jaccard_<kind>`` over lead x beat,
    NaN where no prediction stayed or a trial that stayed has no value; ``max_sensitivity`` over
    the noisy records; and ``predictions_stayed``, the share of all trials that could be compared.
    """
    kept = [t for t in trials if stayed(original.probability, t.changed.probability)]
    scores = []
    for kind in KINDS:
        found = [
            {s.metric: s for s in stability(original, t.changed, r_peaks_sec, t.time_map, params)}
            for t in kept
            if t.kind == kind
        ]
        for name in _NAMES:
            value = _mean([row[name].value for row in found])
            random = _mean([row[name].random for row in found])
            scores.append(Score(f"{name}_{kind}", value, random=random, ceiling=1.0))
    noise = [t.changed for t in kept if t.kind == "noise"]
    scores.append(
        Score("max_sensitivity", max_sensitivity(original, noise), float(np.sqrt(2)), ceiling=0.0)
    )
    share = len(kept) / len(trials) if trials else np.nan
    scores.append(Score("predictions_stayed", share, ceiling=1.0))
    return tuple(scores)


def max_sensitivity(original: Map, changed: Sequence[Map], bin_sec: float = 0.02) -> float:
    """Largest |phi(x + d) - phi(x)| / |phi(x)| over maps of slightly changed records.

    Yeh et al. 2019 (arXiv 1901.09392), Euclidean norm, on the common raster; what was not explored
    counts as zero. Unrelated maps of equal size have the square root of 2. NaN without a changed
    map, or where the original is all zero.
    """
    raster = raster_for(original, bin_sec)
    before = rasterise(original, raster).scores
    size = float(np.linalg.norm(before))
    if size <= 0 or not changed:
        return np.nan
    return max(
        float(np.linalg.norm(rasterise(item, raster).scores - before)) / size for item in changed
    )


def _mean(values: Sequence[float]) -> float:
    """NaN without any, or where one of them is undefined: it is not averaged away."""
    return float(np.mean(values)) if values else np.nan


_COST = "one explanation per trial"
_UNDEFINED = (
    "no prediction stayed; or in one trial that stayed no beat compared, or a map without any order"
)

_DESCRIBED: tuple[tuple[str, str, Direction, str, str], ...] = (
    ("spearman", "Spearman", "higher", "0", "midranks"),
    (
        "weighted_jaccard", "Weighted Jaccard", "higher", "mean over permuted regions",
        "sum min / sum max of shares",
    ),
)  # fmt: skip

_METRICS = (
    *(
        Metric(
            f"{name}_{kind}", f"{title} under {kind}", direction, "stability", chance,
            _UNDEFINED, source, _COST, ("random", "ceiling"),
        )
        for kind in KINDS
        for name, title, direction, chance, source in _DESCRIBED
    ),
    Metric(
        "max_sensitivity", "Max-sensitivity (noise)", "lower", "stability",
        "1.41 (unrelated maps of equal size)", "no prediction stayed, or the map is all zero",
        "Yeh et al. 2019, arXiv 1901.09392", _COST, ("random", "ceiling"),
    ),
    Metric(
        "predictions_stayed", "Predictions that stayed", "none", "stability", "-", "no trial", "",
        _COST, ("ceiling",),
    ),
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.trials is not None
    return Outcome(
        {
            name: robustness(subject.maps[name], trials, subject.peaks_sec, subject.stability)
            for name, trials in subject.trials.items()
        }
    )


GROUP = MetricGroup("robustness", _METRICS, ("disturbed",), _of)
