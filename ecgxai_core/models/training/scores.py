"""Scores of a multi-label classifier from truth and probabilities, each ``float64[class]``.

A class that has no positive or no negative record among those given has no score: NaN.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, FloatArray

__all__ = [
    "auprc",
    "auroc",
    "best_f1_thresholds",
    "confusion",
    "f1",
    "macro",
    "sensitivity",
    "specificity",
]

Probabilities = npt.NDArray[np.floating]
Thresholds = float | FloatArray


def macro(values: npt.ArrayLike) -> float:
    """Mean over the classes that have a score; NaN where none has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an all-NaN mean is NaN, as documented
        return float(np.nanmean(np.asarray(values, np.float64)))


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


def auprc(truth: BoolArray, probabilities: Probabilities) -> FloatArray:
    """Average precision: the sum of precision x step of recall, equal probabilities as one step."""
    scores = [_average_precision(truth[:, c], probabilities[:, c]) for c in range(truth.shape[1])]
    return np.array(scores, np.float64)


def _average_precision(truth: BoolArray, probability: Probabilities) -> float:
    positives = int(truth.sum())
    if positives == 0:
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    found = np.cumsum(truth[order])
    falls = np.diff(probability[order], append=-np.inf) != 0  # last record of each equal group
    precision = found[falls] / (np.flatnonzero(falls) + 1)
    return float(np.sum(precision * np.diff(found[falls], prepend=0)) / positives)


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
    """Share of the positives that are called."""
    tp, _, fn, _ = confusion(truth, probabilities, thresholds).T
    return _ratio(tp, tp + fn)


def specificity(
    truth: BoolArray, probabilities: Probabilities, thresholds: Thresholds = 0.5
) -> FloatArray:
    """Share of the negatives that are not called."""
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
