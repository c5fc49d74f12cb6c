"""Scores and calibration of a multi-label classifier from truth and probabilities.

A class that has no positive or no negative record among those given has no score: NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, FloatArray

__all__ = [
    "auprc",
    "auroc",
    "auroc_interval",
    "best_f1_thresholds",
    "calibration_error",
    "confusion",
    "f1",
    "fit_temperature",
    "macro",
    "precision_recall_curve",
    "reliability_curve",
    "roc_curve",
    "sensitivity",
    "specificity",
    "with_temperature",
]

Probabilities = npt.NDArray[np.floating]
Thresholds = float | FloatArray


def macro(values: npt.ArrayLike) -> float:
    """Mean over the classes that have a score; NaN where none has."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def auroc(truth: BoolArray, probabilities: Probabilities) -> FloatArray:
    """Area under the ROC curve: the Mann-Whitney statistic with midranks.

    Hanley & McNeil, Radiology 143:29-36 (1982).
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.asarray(probabilities, np.float64), axis=0)
    positives = truth.sum(axis=0).astype(np.float64)
    negatives = len(truth) - positives
    above = (ranks * truth).sum(axis=0) - positives * (positives + 1) / 2
    return _ratio(above, positives * negatives)


def auroc_interval(
    area: float, positives: int, negatives: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of an area under the ROC curve; also where the area is 0 or 1, unlike a bootstrap.

    Newcombe, Stat Med 25:559-573 (2006), method 5: the areas whose variance by Hanley and McNeil,
    with both n - 1 replaced by (positives + negatives) / 2 - 1, has ``area`` within its normal
    quantile. NaN without an area.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if not np.isfinite(area) or not positives or not negatives:
        return float("nan"), float("nan")
    z, mean = float(norm.ppf(0.5 + confidence / 2)), (positives + negatives) / 2 - 1

    def beyond(a: float) -> float:
        spread = 1 + mean * (1 - a) / (2 - a) + mean * a / (1 + a)
        return float((a - area) ** 2 - z**2 * a * (1 - a) * spread / (positives * negatives))

    tiny = 1e-12  # 0 and 1 themselves are always consistent with an area of 0 and 1
    low = brentq(beyond, 0.0, min(area, 1 - tiny)) if area > 0 else 0.0
    high = brentq(beyond, max(area, tiny), 1.0) if area < 1 else 1.0
    return float(low), float(high)


def auprc(truth: BoolArray, probabilities: Probabilities) -> FloatArray:
    """Average precision: the sum of precision x step of recall; equal probabilities are one step.

    Computed by :func:`sklearn.metrics.average_precision_score`.
    """
    from sklearn.metrics import average_precision_score

    pairs = zip(truth.T, probabilities.T, strict=True)
    return np.array(
        [average_precision_score(t, p) if t.any() else np.nan for t, p in pairs], np.float64
    )


def roc_curve(truth: BoolArray, probability: Probabilities) -> tuple[FloatArray, FloatArray]:
    """1 - specificity and sensitivity at every distinct threshold, from (0, 0) to (1, 1).

    Computed by :func:`sklearn.metrics.roc_curve`; empty where one of the two classes is.
    """
    from sklearn import metrics

    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    false, true, _ = metrics.roc_curve(truth, probability, drop_intermediate=False)
    return false, true


def precision_recall_curve(
    truth: BoolArray, probability: Probabilities
) -> tuple[FloatArray, FloatArray]:
    """Recall and precision at every distinct threshold, highest first; empty without positives.

    Computed by :func:`sklearn.metrics.precision_recall_curve`, without the point (0, 1) that it
    adds. Points are not joined by straight lines (Davis and Goadrich, ICML 2006): draw steps.
    """
    from sklearn import metrics

    if not truth.any():
        return np.empty(0), np.empty(0)
    precision, recall, _ = metrics.precision_recall_curve(truth, probability)
    return recall[-2::-1], precision[-2::-1]


def confusion(
    truth: BoolArray, probabilities: Probabilities, thresholds: Thresholds = 0.5
) -> npt.NDArray[np.int64]:
    """``int64[class, 4]``: true positives, false positives, false negatives, true negatives."""
    called = probabilities >= thresholds
    parts = (called & truth, called & ~truth, ~called & truth, ~called & ~truth)
    return np.stack([part.sum(axis=0) for part in parts], axis=1).astype(np.int64)


def f1(truth: BoolArray, probabilities: Probabilities, thresholds: Thresholds = 0.5) -> FloatArray:
    """Harmonic mean of precision and sensitivity; NaN for a class without positives."""
    tp, fp, fn, _ = confusion(truth, probabilities, thresholds).T
    return np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan)


def sensitivity(
    truth: BoolArray, probabilities: Probabilities, thresholds: Thresholds = 0.5
) -> FloatArray:
    """Fraction of the positive records that are called."""
    tp, _, fn, _ = confusion(truth, probabilities, thresholds).T
    return _ratio(tp, tp + fn)


def specificity(
    truth: BoolArray, probabilities: Probabilities, thresholds: Thresholds = 0.5
) -> FloatArray:
    """Fraction of the negative records that are not called."""
    _, fp, _, tn = confusion(truth, probabilities, thresholds).T
    return _ratio(tn, tn + fp)


def best_f1_thresholds(truth: BoolArray, probabilities: Probabilities) -> FloatArray:
    """Per class the lowest probability whose use as threshold gives the largest F1.

    0.5 for a class without positives. The midpoint to the next lower probability is taken, so that
    a threshold does not sit on a record.
    """
    thresholds = np.full(truth.shape[1], 0.5)
    for c in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-probabilities[:, c], kind="stable")
        p = np.asarray(probabilities[order, c], np.float64)
        found = np.cumsum(truth[order, c])
        last = np.flatnonzero(np.diff(p, append=-np.inf) != 0)
        score = 2 * found[last] / (last + 1 + found[-1])
        best = last[int(np.argmax(score))]
        below = p[best + 1] if best + 1 < len(p) else 0.0
        thresholds[c] = (p[best] + below) / 2
    return thresholds


def _ratio(top: npt.ArrayLike, bottom: npt.ArrayLike) -> FloatArray:
    above, below = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    empty = np.full(above.shape, np.nan)
    return np.asarray(np.divide(above, below, out=empty, where=below > 0))


_EPS = 1e-7


def with_temperature(probabilities: Probabilities, temperature: float) -> FloatArray:
    """Probabilities whose logits are divided by ``temperature``."""
    p = np.clip(np.asarray(probabilities, np.float64), _EPS, 1 - _EPS)
    return np.asarray(1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature)))


def fit_temperature(truth: BoolArray, probabilities: Probabilities) -> float:
    """The one temperature for all classes that makes the truth most likely.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; here with one sigmoid per
    class instead of a softmax. It changes no ranking, so no AUROC.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        p = with_temperature(probabilities, float(np.exp(log_temperature)))
        p = np.clip(p, _EPS, 1 - _EPS)
        return float(-np.mean(np.where(truth, np.log(p), np.log1p(-p))))

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def reliability_curve(
    truth: BoolArray, probability: Probabilities, bins: int = 15
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Mean probability, fraction of positives and number of records in equally wide bins.

    Computed by :func:`sklearn.calibration.calibration_curve`, which leaves out empty bins.

    Parameters
    ----------
    truth, probability
        ``bool[record]`` and ``float[record]`` of one class.

    Returns
    -------
    Three arrays ``[bin]``; the first two are NaN where a bin is empty.
    """
    from sklearn.calibration import calibration_curve

    p = np.asarray(probability, np.float64)
    edges = np.linspace(0, 1, bins + 1)
    count = np.bincount(np.searchsorted(edges[1:-1], p), minlength=bins)
    mean, fraction = np.full(bins, np.nan), np.full(bins, np.nan)
    fraction[count > 0], mean[count > 0] = calibration_curve(truth, p, n_bins=bins)
    return mean, fraction, count.astype(np.int64)


def calibration_error(truth: BoolArray, probabilities: Probabilities, bins: int = 15) -> FloatArray:
    """Expected calibration error ``float64[class]``: |mean probability - fraction of positives|,
    weighted by the records of each bin (Naeini et al., AAAI 2015)."""
    errors = []
    for c in range(truth.shape[1]):
        mean, fraction, count = reliability_curve(truth[:, c], probabilities[:, c], bins)
        errors.append(np.nansum(np.abs(mean - fraction) * count) / max(len(truth), 1))
    return np.array(errors, np.float64)
