"""Judging a classifier: scores per class with intervals, calibration, subgroups, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.models.training.calibration import calibration_error, reliability_curve
from ecgxai_core.models.training.scores import (
    auprc,
    auroc,
    confusion,
    f1,
    macro,
    sensitivity,
    specificity,
)
from ecgxai_core.records.labels import SUPERCLASSES
from ecgxai_core.types import BoolArray, FloatArray, IntArray, content_seed

__all__ = ["Judged", "age_band", "bootstrap", "evaluate", "failures", "subgroups"]

AGE_BANDS = ((0, 40), (40, 60), (60, 75), (75, 200))


@dataclass(frozen=True, slots=True)
class Judged:
    """Truth and probabilities of records that the classifier was not trained on.

    ``truth`` is ``bool[record, class]``, ``probabilities`` ``float64[record, class]``,
    ``thresholds`` ``float64[class]``, chosen on the tuning records. ``patients`` groups records
    that belong together; ``ages`` is NaN and ``sexes`` empty where unknown.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    patients: tuple[str, ...]
    truth: BoolArray
    probabilities: FloatArray
    thresholds: FloatArray
    ages: FloatArray
    sexes: tuple[str, ...]
    quality: tuple[tuple[str, ...], ...]

    def rows(self, chosen: IntArray) -> Judged:
        """Some of the records."""
        return Judged(
            self.classes,
            tuple(self.names[i] for i in chosen),
            tuple(self.patients[i] for i in chosen),
            self.truth[chosen],
            self.probabilities[chosen],
            self.thresholds,
            self.ages[chosen],
            tuple(self.sexes[i] for i in chosen),
            tuple(self.quality[i] for i in chosen),
        )


def evaluate(judged: Judged, *, n_bootstrap: int = 1000, seed: int = 0) -> dict[str, Any]:
    """All scores as plain JSON: ``macro``, ``superclasses``, ``per_class``, ``calibration``.

    Intervals are 95 %, from resampling patients (a patient's records are not independent).
    """
    intervals = bootstrap(judged, n_bootstrap, seed) if n_bootstrap else {}
    table = _table(judged)
    per_class = {
        name: {score: float(values[c]) for score, values in table.items()}
        | {"positives": int(judged.truth[:, c].sum())}
        | {"threshold": float(judged.thresholds[c])}
        | _named_confusion(judged, c)
        | ({"auroc_interval": intervals["per_class"][c]} if intervals else {})
        for c, name in enumerate(judged.classes)
    }
    supers = np.isin(judged.classes, SUPERCLASSES)
    return {
        "records": len(judged.names),
        "patients": len(set(judged.patients)),
        "macro": {score: macro(values) for score, values in table.items()},
        "superclasses": {score: macro(values[supers]) for score, values in table.items()},
        "intervals": {key: value for key, value in intervals.items() if key != "per_class"},
        "per_class": per_class,
        "reliability": {
            name: _curve(judged.truth[:, c], judged.probabilities[:, c])
            for c, name in enumerate(judged.classes)
        },
    }


def _table(judged: Judged) -> dict[str, FloatArray]:
    truth, p, at = judged.truth, judged.probabilities, judged.thresholds
    return {
        "auroc": auroc(truth, p),
        "auprc": auprc(truth, p),
        "f1": f1(truth, p, at),
        "sensitivity": sensitivity(truth, p, at),
        "specificity": specificity(truth, p, at),
        "ece": calibration_error(truth, p),
    }


def _named_confusion(judged: Judged, c: int) -> dict[str, int]:
    one = slice(c, c + 1)
    counts = confusion(judged.truth[:, one], judged.probabilities[:, one], judged.thresholds[one])
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    return dict(zip(names, map(int, counts[0]), strict=True))


def _curve(truth: BoolArray, p: FloatArray) -> dict[str, list[float]]:
    mean, share, count = reliability_curve(truth, p)
    return {"probability": list(mean), "share": list(share), "records": [int(n) for n in count]}


def bootstrap(judged: Judged, n: int, seed: int) -> dict[str, Any]:
    """95 % percentile intervals of AUROC: macro, macro of the superclasses, each class.

    Whole patients are drawn with replacement (Efron & Tibshirani 1993, chapter 13).
    """
    rng = np.random.default_rng(content_seed("evaluate bootstrap", seed, len(judged.names)))
    _, member = np.unique(np.array(judged.patients), return_inverse=True)
    order = np.argsort(member, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(member))[:-1])
    draws = np.empty((n, len(judged.classes)))
    for i in range(n):
        rows = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        draws[i] = auroc(judged.truth[rows], judged.probabilities[rows])
    supers = np.isin(judged.classes, SUPERCLASSES)
    found: dict[str, Any] = {"auroc": _interval([macro(row) for row in draws])}
    if supers.any():
        found["auroc_superclasses"] = _interval([macro(row[supers]) for row in draws])
    found["per_class"] = [_interval(column) for column in draws.T]
    return found


def _interval(values: Sequence[float] | FloatArray) -> list[float]:
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return [float(q) for q in np.quantile(finite, (0.025, 0.975))] if len(finite) else []


def age_band(age: float) -> str:
    """Name of the age band, such as ``"40-59"``; ``"unknown"`` for NaN."""
    for low, stop in AGE_BANDS:
        if low <= age < stop:
            return f"{low}-{stop - 1}" if stop < 200 else f"{low}+"
    return "unknown"


def subgroups(judged: Judged) -> dict[str, dict[str, dict[str, Any]]]:
    """Macro scores by ``age``, ``sex`` and ``quality`` (a flag of the data set or none)."""
    quality = [("flagged" if flags else "clean") for flags in judged.quality]
    keys: Mapping[str, Sequence[str]] = {
        "age": [age_band(age) for age in judged.ages],
        "sex": [sex or "unknown" for sex in judged.sexes],
        "quality": quality,
    }
    found: dict[str, dict[str, dict[str, Any]]] = {}
    supers = np.isin(judged.classes, SUPERCLASSES)
    for kind, values in keys.items():
        for value in sorted(set(values)):
            rows = np.flatnonzero(np.array(values) == value).astype(np.int64)
            table = _table(judged.rows(rows))
            found.setdefault(kind, {})[value] = {
                "records": len(rows),
                **{score: macro(each) for score, each in table.items()},
                "auroc_superclasses": macro(table["auroc"][supers]),
            }
    return found


def failures(judged: Judged, k: int = 5) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Per class, records worth looking at.

    ``confidently_wrong``: on the wrong side of the threshold, farthest from it first.
    ``hesitantly_right``: on the right side, nearest to the threshold first. Distances are in
    logits, so that 0.99 is farther from 0.5 than 0.8 is by more than the difference suggests.
    """
    p = np.clip(judged.probabilities, 1e-7, 1 - 1e-7)
    at = np.clip(judged.thresholds, 1e-7, 1 - 1e-7)
    distance = np.abs(_logit(p) - _logit(at))
    right = (judged.probabilities >= judged.thresholds) == judged.truth
    found = {}
    for c, name in enumerate(judged.classes):
        wrong_first = [i for i in np.argsort(-distance[:, c], kind="stable") if not right[i, c]]
        right_first = [i for i in np.argsort(distance[:, c], kind="stable") if right[i, c]]
        found[name] = {
            "confidently_wrong": [_case(judged, i, c) for i in wrong_first[:k]],
            "hesitantly_right": [_case(judged, i, c) for i in right_first[:k]],
        }
    return found


def _logit(p: FloatArray) -> FloatArray:
    return np.asarray(np.log(p) - np.log1p(-p))


def _case(judged: Judged, i: int, c: int) -> dict[str, Any]:
    return {
        "record": judged.names[i],
        "probability": float(judged.probabilities[i, c]),
        "present": bool(judged.truth[i, c]),
    }
