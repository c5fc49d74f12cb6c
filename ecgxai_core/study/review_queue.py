"""Review queue: which records a reader should look at first.

Uncertainty sampling (Lewis and Gale, SIGIR 1994; Settles, Active Learning Literature Survey, 2009)
by entropy, margin or disagreement of two models, by what the maps give reason to doubt, or by
quality, with the first of the queue unlike each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import ParameterError
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Float32Array, FloatArray, IntArray, joined_codes

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CRITERIA", "MAP_CRITERIA", "Criterion", "Doubts", "binary_entropy", "diverse_order", "doubts",
    "margin", "questioned", "review_queue",
]  # fmt: skip

Criterion = Literal["entropy", "margin", "disagreement", "methods", "evidence", "quality"]
CRITERIA: dict[Criterion, str] = {
    "entropy": "least certain",
    "margin": "nearest to the threshold",
    "disagreement": "two models disagree",
    "methods": "explanation methods disagree",
    "evidence": "expected evidence is missing",
    "quality": "most quality warnings",
}
"""Name -> what comes first."""
MAP_CRITERIA: tuple[Criterion, ...] = ("methods", "evidence")
"""Those that need the records explained."""
DIVERSE = 10
"""So many at the head of the queue are unlike each other."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What the maps of one record give reason to doubt.

    Attributes
    ----------
    target
        The class that was explained.
    methods
        Share of the maps' mass in cells where the methods disagree in sign, in [0, 1].
    evidence
        1 - AttAUC in the strict leads: 0 where all evidence lies where cardiology expects it, 0.5
        where it lies anywhere. NaN where the class is not called, or no evidence is tabulated.
    """

    target: str
    methods: float
    evidence: float


def doubts(
    case: Case,
    profile: Profile,
    store: Store,
    threshold: float,
    progress: Progress = no_progress,
) -> Doubts:
    """Explain a case, through the cache, and say what its maps give reason to doubt.

    Parameters
    ----------
    case, profile, store
        As in :func:`ecgxai_core.pipeline.explain.explained`.
    threshold
        Probability from which the target counts as called.
    """
    fused = explained(case, profile, store, progress=progress).fused
    evidence = float("nan")
    if fused.probability >= threshold:
        beats = beats_of(case.record)
        scores = plausibility(fused, case.diagnosis, beats.seconds, beats.rate, profile.evaluation)
        named = {score.metric: score.value for score in scores}
        evidence = 1.0 - named["attauc_strict"]
    return Doubts(case.target, float(fused.diagnostics.get("disagreement", float("nan"))), evidence)


def questioned(
    found: Predictions,
    thresholds: Mapping[str, float] | None = None,
    targets: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """By record, the class whose maps are asked for: the most probable called one with tabulated
    evidence; where there is none, the least certain class.

    Parameters
    ----------
    found, thresholds, targets
        As in :func:`review_queue`.
    """
    codes, p = _columns(found, targets)
    limits = _limits(codes, thresholds)
    rows = {code: find_diagnosis(code) for code in codes}
    described = np.array([(row := rows[code]) is not None and row.has_evidence for code in codes])
    called = (p >= limits) & described
    best = np.where(called, 1 + p, binary_entropy(p)).argmax(axis=1)  # 1 + p exceeds any entropy
    return tuple(codes[i] for i in best)


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
    maps: Sequence[Doubts | None] | None = None,
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
        ``methods``: explanation methods disagree most in sign; ``evidence``: least of the evidence
        of a called class lies where it is expected; ``quality``: number of quality warnings, then
        entropy.
    other
        Predictions of another model, for ``disagreement``; its column is given whenever it is.
    maps
        By record, for ``methods`` and ``evidence``; ``None`` = not explained, which goes last.
    thresholds
        By class; 0.5 where left out.
    targets
        Classes that count; all if left out. How unlike records are is told by all classes.

    Returns
    -------
    ``place`` (from 1), ``record, target`` (the class that decided, or that was explained),
    ``probability, entropy`` (bits), ``margin, disagreement`` (NaN without another model),
    ``map_disagreement, missing_evidence`` (NaN without maps), ``n_warnings, warnings``, ``digest``
    of the record.

    Raises
    ------
    ParameterError
        No such criterion or class, no class that both models have, no other model, or no maps.
    """
    import pandas as pd

    codes, p = _columns(found, targets)
    _check(by, other, maps)
    limits = _limits(codes, thresholds)
    entropy, near = binary_entropy(p), margin(p, limits)
    apart = _disagreement(found, other, codes, p)
    rows = np.arange(len(p))
    values = {"margin": 1 - near, "disagreement": apart}.get(by, entropy)
    worth = np.nan_to_num(values, nan=0.0)
    decisive = worth.argmax(axis=1) if worth.size else np.zeros(0, np.int64)
    score = worth[rows, decisive]
    warned = [info.all_warnings for info in found.records]
    doubted = maps if maps is not None else (None,) * len(rows)
    of_maps = {
        name: np.array([np.nan if item is None else getattr(item, name) for item in doubted])
        for name in MAP_CRITERIA
    }
    if by == "quality":
        score = score + np.array([len(codes_) for codes_ in warned], np.float64)
    elif by in MAP_CRITERIA:
        score = np.nan_to_num(of_maps[by], nan=0.0)
        decisive = np.array([
            decisive[i] if item is None else codes.index(item.target)
            for i, item in enumerate(doubted)
        ], np.int64)  # fmt: skip
    order = diverse_order(score, found.probabilities)
    table = pd.DataFrame({
        "record": [info.name for info in found.records],
        "target": [codes[i] for i in decisive],
        "probability": p[rows, decisive],
        "entropy": entropy[rows, decisive],
        "margin": near[rows, decisive],
        "disagreement": apart[rows, decisive],
        "map_disagreement": of_maps["methods"],
        "missing_evidence": of_maps["evidence"],
        "n_warnings": [len(codes_) for codes_ in warned],
        "warnings": [joined_codes(codes_) for codes_ in warned],
        "digest": [info.digest for info in found.records],
    }).iloc[order]  # fmt: skip
    table.insert(0, "place", np.arange(1, len(table) + 1))
    return table.reset_index(drop=True)


def _check(by: str, other: Predictions | None, maps: Sequence[Doubts | None] | None) -> None:
    if by not in CRITERIA:
        raise ParameterError("--by", by, "is no criterion", f"use one of {', '.join(CRITERIA)}")
    if by == "disagreement" and other is None:
        raise ParameterError("--by", by, "needs another model", "give --other MODEL")
    if by in MAP_CRITERIA and maps is None:
        raise ParameterError("--by", by, "needs maps of the records", "explain them first")


def _columns(found: Predictions, targets: Sequence[str] | None) -> tuple[list[str], FloatArray]:
    """The classes that count, and their probabilities ``float64[record, class]``."""
    codes = list(targets) if targets is not None else list(found.classes)
    unknown = [code for code in codes if code not in found.classes]
    if unknown:
        fix = f"use one of {', '.join(found.classes)}"
        raise ParameterError("--target", unknown[0], "the model has no such class", fix)
    p = found.probabilities[:, [found.classes.index(code) for code in codes]]
    return codes, p.astype(np.float64)


def _limits(codes: Sequence[str], thresholds: Mapping[str, float] | None) -> FloatArray:
    return np.array([(thresholds or {}).get(code, 0.5) for code in codes])


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
