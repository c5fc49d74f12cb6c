"""Pure functions of rankings and masks. None of them depends on the position of an item.

Undefined values are NaN. Ties are resolved in expectation, never by position.
"""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, FloatArray

__all__ = [
    "auc_midranks",
    "jaccard_at_k",
    "jaccard_chance",
    "midranks",
    "pointing_game",
    "precision_at_k",
    "rank_accuracy",
    "rbo_ext",
    "rbo_ext_chance",
    "relevance_mass",
    "settled",
    "spearman",
    "weighted_jaccard",
]


def settled(values: npt.ArrayLike, relative: float = 1e-6) -> FloatArray:
    """Make values equal that differ by rounding only; NaN stays.

    Weights are float32, so the two halves of a split segment may differ in the last digit. Such a
    difference must not order cells: neighbours in sorted order closer than ``relative`` (of their
    own size) become one value.
    """
    array = np.asarray(values, np.float64)
    flat = array.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[: np.count_nonzero(~np.isnan(flat))]
    ranked = flat[order]
    if len(ranked) == 0:
        return array.copy()
    size = np.maximum(np.abs(ranked[1:]), np.abs(ranked[:-1]))
    starts = np.concatenate(([True], np.diff(ranked) > relative * size))
    result = np.full(flat.shape, np.nan)
    result[order] = ranked[starts][np.cumsum(starts) - 1]
    return result.reshape(array.shape)


def midranks(values: npt.ArrayLike) -> FloatArray:
    """``float64[n]``: ranks from 1, equal values share the mean of their ranks."""
    array = np.asarray(values, np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse.reshape(-1)])


def auc_midranks(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Mann-Whitney AUC: the chance that a positive outranks a negative, ties counting half.

    Fawcett, Pattern Recognition Letters 27:861 (2006). NaN where one class is empty.
    """
    mask = np.asarray(positive, np.bool_).reshape(-1)
    n_pos, n_neg = int(mask.sum()), int((~mask).sum())
    if n_pos == 0 or n_neg == 0:
        return np.nan
    ranks = midranks(np.asarray(scores, np.float64).reshape(-1))
    return float((ranks[mask].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def top_membership(scores: npt.ArrayLike, k: int) -> FloatArray:
    """``float64[n]``: the chance that each item is among the ``k`` highest, ties broken at random.

    Items above the cut have 1, those tied at it divide what is left, all others have 0.
    """
    above, tied, rest = _top(np.asarray(scores, np.float64), k)
    share = rest / max(int(np.count_nonzero(tied)), 1)
    return np.where(above, 1.0, np.where(tied, share, 0.0))


def _top(values: FloatArray, k: int) -> tuple[BoolArray, BoolArray, int]:
    """Items above the cut of the top ``k``, items at it, and how many of those fit in."""
    k = min(k, len(values))
    if k == 0:
        nothing = np.zeros(len(values), dtype=np.bool_)
        return nothing, nothing, 0
    cut = np.partition(values, len(values) - k)[len(values) - k]
    above: BoolArray = values > cut
    return above, values == cut, k - int(np.count_nonzero(above))


def precision_at_k(scores: npt.ArrayLike, positive: npt.ArrayLike, k: int) -> float:
    """Expected share of positives among the ``k`` highest; NaN where one class is empty."""
    mask = np.asarray(positive, np.bool_).reshape(-1)
    if not mask.any() or mask.all():
        return np.nan
    above, tied, rest = _top(np.asarray(scores, np.float64).reshape(-1), k)
    hits = np.count_nonzero(above & mask)
    shared = np.count_nonzero(tied & mask) * rest / max(int(np.count_nonzero(tied)), 1)
    return float((hits + shared) / min(k, len(mask)))


def rank_accuracy(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Precision among the |G| highest (Arras et al. 2022, relevance rank accuracy)."""
    return precision_at_k(scores, positive, int(np.count_nonzero(np.asarray(positive))))


def relevance_mass(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Share of the positive relevance that lies in the mask (Arras et al. 2022).

    NaN where one class is empty or no relevance is positive.
    """
    mask = np.asarray(positive, np.bool_).reshape(-1)
    gain = np.maximum(np.asarray(scores, np.float64).reshape(-1), 0.0)
    inside, outside = float(gain[mask].sum()), float(gain[~mask].sum())
    if not mask.any() or mask.all() or inside + outside <= 0:
        return np.nan
    return inside / (inside + outside)


def pointing_game(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """1 if the highest score lies in the mask, minus the share of the mask (Zhang et al. 2018).

    Ties share the credit, so a map without information gets 0. NaN where one class is empty.
    """
    hit = precision_at_k(scores, positive, 1)
    return hit - float(np.mean(np.asarray(positive, np.bool_)))


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Pearson correlation of the midranks; NaN where one list is constant or has under 2 items."""
    first, second = midranks(a), midranks(b)
    first, second = first - first.mean(), second - second.mean()
    spread = float((first @ first) * (second @ second))
    if len(first) < 2 or spread <= 0:
        return np.nan
    if np.array_equal(first, second):
        return 1.0
    return float(np.clip((first @ second) / np.sqrt(spread), -1.0, 1.0))


def jaccard_at_k(a: npt.ArrayLike, b: npt.ArrayLike, k: int) -> float:
    """|A and B| / |A or B| of the ``k`` highest items.

    Items tied at the cut belong to the set with the fraction that is left to each
    (:func:`top_membership`), and sets of fractions are compared as sum min / sum max: without ties
    this is the plain index, and identical lists give 1. NaN where a list has no order at all.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (_ordered(first) and _ordered(second)):
        return np.nan
    return weighted_jaccard(top_membership(first, k), top_membership(second, k))


def jaccard_chance(n: int, k: int) -> float:
    """Expected Jaccard index of two random sets of ``k`` out of ``n`` (hypergeometric overlap)."""
    if n <= 0 or k <= 0:
        return np.nan
    k = min(k, n)
    total = comb(n, k)
    return sum(
        comb(k, x) * comb(n - k, k - x) / total * x / (2 * k - x)
        for x in range(max(0, 2 * k - n), k + 1)
    )


def weighted_jaccard(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Sum of minima over sum of maxima of two non-negative lists; NaN where both are all zero."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if np.any(first < 0) or np.any(second < 0):
        raise ValueError("weighted Jaccard needs non-negative values")
    union = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / union if union > 0 else np.nan


def rbo_ext(a: npt.ArrayLike, b: npt.ArrayLike, p: float = 0.9, k: int | None = None) -> float:
    """Extrapolated rank-biased overlap of two rankings of the same items.

    Webber, Moffat and Zobel, ACM TOIS 28:20 (2010), eq. 32:
    (X_k / k) p^k + ((1 - p) / p) sum_{d<=k} (X_d / d) p^d, X_d = overlap at depth d.

    Ties follow the paper's agreement 2 X_d / (|S_d| + |L_d|) with sets of fractions: the items tied
    at depth d belong to the top d with the fraction left to each (:func:`top_membership`), and
    X_d = sum of minima. Nothing depends on position and identical rankings give exactly 1.

    Parameters
    ----------
    a, b
        Scores of the same items, highest first in rank.
    p
        Persistence in (0, 1).
    k
        Depth of evaluation; all items if empty.

    Returns
    -------
    In [0, 1]; NaN where a list has no order at all.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (_ordered(first) and _ordered(second)):
        return np.nan
    depth = len(first) if k is None else min(k, len(first))
    one, other = _memberships(first, depth), _memberships(second, depth)
    overlap = np.minimum(one, other).sum(axis=1)
    agreement = 2 * overlap / (one.sum(axis=1) + other.sum(axis=1))
    weights = _rbo_weights(p, depth)
    return float((weights * agreement).sum() / weights.sum())


def rbo_ext_chance(n: int, p: float = 0.9, k: int | None = None) -> float:
    """Expected extrapolated overlap of two random rankings of ``n`` items: E[X_d / d] = d / n."""
    depth = n if k is None else min(k, n)
    if depth <= 0:
        return np.nan
    weights = _rbo_weights(p, depth)
    return float((weights * np.arange(1, depth + 1) / n).sum() / weights.sum())


def _rbo_weights(p: float, depth: int) -> FloatArray:
    """Weight of the agreement at every depth; they sum to 1 but for rounding."""
    weights = (1 - p) * p ** np.arange(depth, dtype=np.float64)
    weights[-1] += p**depth
    return np.asarray(weights)


def _memberships(values: FloatArray, depth: int) -> FloatArray:
    """``float64[depth, n]``: :func:`top_membership` at depths 1 .. ``depth``."""
    _, inverse, counts = np.unique(-values, return_inverse=True, return_counts=True)
    above = (np.cumsum(counts) - counts)[inverse.reshape(-1)]
    tied = counts[inverse.reshape(-1)]
    depths = np.arange(1, depth + 1)[:, None]
    return np.asarray(np.clip((depths - above) / tied, 0.0, 1.0))


def _ordered(values: FloatArray) -> BoolArray | bool:
    return len(values) > 1 and bool(np.ptp(values) > 0)
