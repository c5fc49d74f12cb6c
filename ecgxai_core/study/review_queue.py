"""Review queue: which records a reader should look at first.

Uncertainty sampling (Lewis and Gale, SIGIR 1994; Settles, Active Learning Literature Survey, 2009)
by entropy, margin or disagreement of two models, with the first of the queue unlike each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.types import Float32Array, FloatArray, IntArray, joined_codes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CRITERIA", "Criterion", "binary_entropy", "diverse_order", "margin", "review_queue"]

Criterion = Literal["entropy", "margin", "disagreement", "quality"]
CRITERIA: tuple[Criterion, ...] = ("entropy", "margin", "disagreement", "quality")
DIVERSE = 10
"""So many at the head of the queue are unlike each other."""


def binary_entropy(probabilities: npt.ArrayLike) -> FloatArray:
    """Entropy of each yes-or-no answer, bits: 1 at 0.5, 0 where the model is certain."""
    p = np.clip(np.asarray(probabilities, np.float64), 0.0, 1.0)
    inner = np.where((p > 0) & (p < 1), p, 0.5)
    bits = -(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner))
    return np.where((p > 0) & (p < 1), bits, 0.0)


def margin(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike) -> FloatArray:
    """Distance of each probability from its threshold, as a share of the way to 0 or 1.

    ``float64[record, class]`` in [0, 1]: 0 on the threshold, 1 at a probability of 0 or 1.
    """
    p, limit = np.asarray(probabilities, np.float64), np.asarray(thresholds, np.float64)
    room = np.where(p >= limit, 1 - limit, limit)
    return np.abs(p - limit) / np.where(room > 0, room, 1.0)


def diverse_order(scores: npt.ArrayLike, features: npt.ArrayLike, n: int = DIVERSE) -> IntArray:
    """Highest scores first, but the first ``n`` unlike each other.

    One after the other takes the record with the largest score times distance to the nearest that
    is taken already (the farthest-first rule of Gonzalez, Theor Comput Sci 1985;38:293, weighted by
    the score). Equal ones keep their order. From ``n`` on the order is that of the scores.

    Parameters
    ----------
    scores
        ``float64[record]``, larger = sooner, at least 0.
    features
        ``float64[record, feature]``; distances are Euclidean.
    """
    value, place = np.asarray(scores, np.float64), np.asarray(features, np.float64)
    left = np.ones(len(value), bool)
    nearest = np.ones(len(value))
    order: list[int] = []
    while len(order) < min(n, len(value)):
        worth = np.where(left, value * nearest, -1.0)
        taken = int(np.argmax(worth))
        distance = np.linalg.norm(place - place[taken], axis=1)
        nearest = distance if not order else np.minimum(nearest, distance)
        left[taken] = False
        order.append(taken)
    rest = [int(i) for i in np.argsort(-value, kind="stable") if left[i]]
    return np.array(order + rest, np.int64)


def review_queue(
    found: Predictions,
    by: Criterion = "entropy",
    *,
    other: Predictions | None = None,
    thresholds: Mapping[str, float] | None = None,
    targets: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Records in the order in which a reader should look at them.

    Parameters
    ----------
    found
        Predictions of the records.
    by
        ``entropy``: largest entropy of a class; ``margin``: nearest to a threshold;
        ``disagreement``: largest difference between the probabilities of two models;
        ``quality``: number of quality warnings, then entropy.
    other
        Predictions of another model, for ``disagreement``; its column is given whenever it is.
    thresholds
        By class; 0.5 where left out.
    targets
        Classes that count; all if left out.

    Returns
    -------
    ``place`` (from 1), ``record, target`` (the class that decided), ``probability, entropy``
    (bits), ``margin, disagreement`` (NaN without another model), ``n_warnings, warnings``.

    Raises
    ------
    ParameterError
        No such criterion or class, no class that both models have, or no other model.
    """
    import pandas as pd

    if by not in CRITERIA:
        raise ParameterError("--by", by, "is no criterion", f"use one of {', '.join(CRITERIA)}")
    codes = list(targets) if targets is not None else list(found.classes)
    unknown = [code for code in codes if code not in found.classes]
    if unknown:
        fix = f"use one of {', '.join(found.classes)}"
        raise ParameterError("--target", unknown[0], "the model has no such class", fix)
    if by == "disagreement" and other is None:
        raise ParameterError("--by", by, "needs another model", "give --other MODEL")
    p = found.probabilities[:, [found.classes.index(code) for code in codes]].astype(np.float64)
    limits = np.array([(thresholds or {}).get(code, 0.5) for code in codes])
    entropy, near = binary_entropy(p), margin(p, limits)
    apart = _disagreement(found, other, codes, p)
    per_class = {"entropy": entropy, "margin": 1 - near, "disagreement": apart, "quality": entropy}
    worth = np.nan_to_num(per_class[by], nan=0.0)
    decisive = worth.argmax(axis=1) if worth.size else np.zeros(0, np.int64)
    rows = np.arange(len(decisive))
    score = worth[rows, decisive]
    warned = [info.all_warnings for info in found.records]
    if by == "quality":
        score = score + np.array([len(codes_) for codes_ in warned], np.float64)
    order = diverse_order(score, p)
    table = pd.DataFrame({
        "record": [info.name for info in found.records],
        "target": [codes[i] for i in decisive],
        "probability": p[rows, decisive],
        "entropy": entropy[rows, decisive],
        "margin": near[rows, decisive],
        "disagreement": apart[rows, decisive],
        "n_warnings": [len(codes_) for codes_ in warned],
        "warnings": [joined_codes(codes_) for codes_ in warned],
    }).iloc[order]  # fmt: skip
    table.insert(0, "place", np.arange(1, len(table) + 1))
    return table.reset_index(drop=True)


def _disagreement(
    found: Predictions, other: Predictions | None, codes: Sequence[str], p: FloatArray
) -> FloatArray:
    """``float64[record, class]``: difference of two models; NaN where one has no answer."""
    apart = np.full(p.shape, np.nan)
    if other is None:
        return apart
    shared = [code for code in codes if code in other.classes]
    if not shared:
        fix = "give models with a class in common"
        raise ParameterError("--other", "classes", "no class that both models have", fix)
    theirs: dict[str, Float32Array] = {
        info.digest: value.probabilities
        for info, value in zip(other.records, other.values, strict=True)
    }
    for row, info in enumerate(found.records):
        if info.digest in theirs:
            for code in shared:
                column = codes.index(code)
                apart[row, column] = abs(
                    p[row, column] - float(theirs[info.digest][other.classes.index(code)])
                )
    return apart
