"""Evaluation of a classifier: scores by class with intervals, calibration, subgroups, failures.

:func:`evaluate_model` works for any classifier with a manifest: every record is preprocessed as the
manifest states, and codes that are scored as the same diagnosis count as one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.bootstrap import bootstrap_clusters
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError, RunError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training_range import TrainingRange, fit_range
from ecgxai_core.records.catalogues.catalogue import Catalogue, Entry, read_entry
from ecgxai_core.records.catalogues.ptbxl import SUPERCLASSES, output_groups
from ecgxai_core.store.atomic import write_csv_atomic
from ecgxai_core.training.runs import write_atomically, write_json
from ecgxai_core.training.scores import (
    auprc,
    auroc,
    best_f1_thresholds,
    calibration_error,
    confusion,
    f1,
    macro,
    reliability_curve,
    sensitivity,
    specificity,
)
from ecgxai_core.training.tasks import task_scores
from ecgxai_core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    content_seed,
    joined_codes,
)

__all__ = [
    "EvaluationData",
    "Predicted",
    "Report",
    "age_band",
    "bootstrap",
    "evaluate",
    "evaluate_model",
    "failures",
    "predict_entries",
    "range_of_training",
    "save_report",
    "subgroups",
]

AGE_BANDS = ((0, 40), (40, 60), (60, 75), (75, 200))


@dataclass(frozen=True, slots=True)
class EvaluationData:
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

    def rows(self, chosen: IntArray) -> EvaluationData:
        """Some of the records."""
        return EvaluationData(
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


def evaluate(
    evaluated: EvaluationData, *, n_bootstrap: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """All scores as plain JSON: ``macro``, ``superclasses``, ``groups``, ``per_class``, ...

    ``groups`` has the codes, superclasses and statements that the model has, each with its macro
    scores.

    Intervals are 95 %, from resampling patients (a patient's records are not independent).
    """
    intervals = bootstrap(evaluated, n_bootstrap, seed) if n_bootstrap else {}
    table = _table(evaluated)
    per_class = {
        name: {score: float(values[c]) for score, values in table.items()}
        | {"positives": int(evaluated.truth[:, c].sum())}
        | {"threshold": float(evaluated.thresholds[c])}
        | _named_confusion(evaluated, c)
        | ({"auroc_interval": intervals["per_class"][c]} if intervals else {})
        for c, name in enumerate(evaluated.classes)
    }
    supers = np.isin(evaluated.classes, SUPERCLASSES)
    groups = {
        group: {"outputs": len(places)}
        | {score: macro(values[list(places)]) for score, values in table.items()}
        | ({"auroc_interval": intervals[f"auroc_{group}"]} if intervals else {})
        for group, places in output_groups(evaluated.classes).items()
    }
    return {
        "records": len(evaluated.names),
        "patients": len(set(evaluated.patients)),
        "macro": {score: macro(values) for score, values in table.items()},
        "superclasses": {score: macro(values[supers]) for score, values in table.items()},
        "groups": groups,
        "intervals": {key: value for key, value in intervals.items() if key != "per_class"},
        "per_class": per_class,
        "reliability": {
            name: _curve(evaluated.truth[:, c], evaluated.probabilities[:, c])
            for c, name in enumerate(evaluated.classes)
        },
    }


def _table(evaluated: EvaluationData) -> dict[str, FloatArray]:
    truth, p, at = evaluated.truth, evaluated.probabilities, evaluated.thresholds
    return {
        "auroc": auroc(truth, p),
        "auprc": auprc(truth, p),
        "f1": f1(truth, p, at),
        "sensitivity": sensitivity(truth, p, at),
        "specificity": specificity(truth, p, at),
        "ece": calibration_error(truth, p),
    }


def _named_confusion(evaluated: EvaluationData, c: int) -> dict[str, int]:
    one = slice(c, c + 1)
    counts = confusion(
        evaluated.truth[:, one], evaluated.probabilities[:, one], evaluated.thresholds[one]
    )
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    return dict(zip(names, map(int, counts[0]), strict=True))


def _curve(truth: BoolArray, p: FloatArray) -> dict[str, list[float]]:
    mean, share, count = reliability_curve(truth, p)
    return {"probability": list(mean), "share": list(share), "records": [int(n) for n in count]}


def bootstrap(evaluated: EvaluationData, n: int, seed: int) -> dict[str, Any]:
    """95 % intervals of AUROC, patients resampled: macro, macro of each group, each class."""
    groups = output_groups(evaluated.classes)

    def areas(rows: IntArray) -> FloatArray:
        each = auroc(evaluated.truth[rows], evaluated.probabilities[rows])
        return np.array([macro(each), *(macro(each[list(at)]) for at in groups.values()), *each])

    every, *others = (
        [interval.low, interval.high] if np.isfinite(interval.low) else []
        for interval in bootstrap_clusters(
            evaluated.patients,
            areas,
            confidence=0.95,
            n_resamples=n,
            seed=content_seed("evaluate bootstrap", seed, len(evaluated.names)),
        )
    )
    found: dict[str, Any] = {"auroc": every, "per_class": others[len(groups) :]}
    of_groups = zip(groups, others[: len(groups)], strict=True)
    return found | {f"auroc_{group}": interval for group, interval in of_groups}


def age_band(age: float) -> str:
    """Name of the age band, such as ``"40-59"``; ``"unknown"`` for NaN."""
    for low, stop in AGE_BANDS:
        if low <= age < stop:
            return f"{low}-{stop - 1}" if stop < 200 else f"{low}+"
    return "unknown"


def subgroups(evaluated: EvaluationData) -> dict[str, dict[str, dict[str, Any]]]:
    """Macro scores by ``age``, ``sex`` and ``quality`` (a flag of the data set or none)."""
    quality = [("flagged" if flags else "clean") for flags in evaluated.quality]
    keys: Mapping[str, Sequence[str]] = {
        "age": [age_band(age) for age in evaluated.ages],
        "sex": [sex or "unknown" for sex in evaluated.sexes],
        "quality": quality,
    }
    found: dict[str, dict[str, dict[str, Any]]] = {}
    supers = np.isin(evaluated.classes, SUPERCLASSES)
    for kind, values in keys.items():
        for value in sorted(set(values)):
            rows = np.flatnonzero(np.array(values) == value).astype(np.int64)
            table = _table(evaluated.rows(rows))
            found.setdefault(kind, {})[value] = {
                "records": len(rows),
                **{score: macro(each) for score, each in table.items()},
                "auroc_superclasses": macro(table["auroc"][supers]),
            }
    return found


def failures(evaluated: EvaluationData, k: int = 5) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By class, the records to look at first.

    ``confidently_wrong``: on the wrong side of the threshold, farthest from it first.
    ``hesitantly_right``: on the right side, nearest to the threshold first. Distances are in
    logits, so that 0.99 is farther from 0.5 than 0.8 is by more than the difference suggests.
    """
    p = np.clip(evaluated.probabilities, 1e-7, 1 - 1e-7)
    at = np.clip(evaluated.thresholds, 1e-7, 1 - 1e-7)
    distance = np.abs(_logit(p) - _logit(at))
    right = (evaluated.probabilities >= evaluated.thresholds) == evaluated.truth
    found = {}
    for c, name in enumerate(evaluated.classes):
        wrong_first = [i for i in np.argsort(-distance[:, c], kind="stable") if not right[i, c]]
        right_first = [i for i in np.argsort(distance[:, c], kind="stable") if right[i, c]]
        found[name] = {
            "confidently_wrong": [_case(evaluated, i, c) for i in wrong_first[:k]],
            "hesitantly_right": [_case(evaluated, i, c) for i in right_first[:k]],
        }
    return found


def _logit(p: FloatArray) -> FloatArray:
    return np.asarray(np.log(p) - np.log1p(-p))


def _case(evaluated: EvaluationData, i: int, c: int) -> dict[str, Any]:
    return {
        "record": evaluated.names[i],
        "probability": float(evaluated.probabilities[i, c]),
        "present": bool(evaluated.truth[i, c]),
    }


log = logging.getLogger(__name__)

_BATCH = 64
Done = Callable[[int, int], None]
"""Called with the number of records done and the total."""


@dataclass(frozen=True, slots=True)
class Report:
    """Result of :func:`evaluate_model`.

    Attributes
    ----------
    results
        All scores as plain JSON values.
    evaluated
        The evaluated records with their probabilities.
    refused
        Names of records that could not be read.
    warnings
        Codes of quality warnings, one tuple per evaluated record.
    """

    results: dict[str, Any]
    evaluated: EvaluationData
    refused: tuple[str, ...]
    warnings: tuple[tuple[str, ...], ...]


def evaluate_model(
    classifier: Classifier,
    catalogue: Catalogue,
    *,
    folds: Sequence[int] | None = None,
    tune_folds: Sequence[int] | None = None,
    n_bootstrap: int = 1000,
    done: Done | None = None,
) -> Report:
    """Evaluate a classifier on the labelled records of a data set.

    Parameters
    ----------
    folds
        Folds to evaluate; ``None`` = all records.
    tune_folds
        Folds on which thresholds are chosen (largest F1). ``None`` = the thresholds of the
        manifest, and 0.5 for classes without one.

    Raises
    ------
    RunError
        The folds contain no labelled record, or none that can be read.
    """
    # A class that the data set never labels is not evaluated: absence of the label means nothing.
    labelled = {name for entry in catalogue for name in entry.all_labels}
    classes = tuple(c for c in classifier.classes if labelled & set(aliases(c)))
    if not classes:
        problem = "none is a class of the model"
        raise RunError(catalogue.name, "labels", problem, "use another data set")
    if tune_folds is None:
        known = classifier.manifest.thresholds or {}
        thresholds = np.array([known.get(name, 0.5) for name in classes], np.float64)
    else:
        halves = np.full(len(classes), 0.5)
        tuned, _ = _predicted(classifier, catalogue, tune_folds, classes, halves, done)
        thresholds = best_f1_thresholds(tuned.truth, tuned.probabilities)
    evaluated, found = _predicted(classifier, catalogue, folds, classes, thresholds, done)
    refused = (*found.refused, *(path.stem for path in catalogue.unreadable))
    results = {
        "data": catalogue.name,
        "folds": None if folds is None else list(folds),
        "model_digest": classifier.digest,
        "thresholds_from": "manifest" if tune_folds is None else f"folds {list(tune_folds)}",
        "refused": list(refused),
        **evaluate(evaluated, n_bootstrap=n_bootstrap),
        "subgroups": subgroups(evaluated),
        "failures": failures(evaluated),
        "tasks": task_scores(
            catalogue.tasks, found.entries, classifier.classes, found.probabilities, n_bootstrap
        ),
    }
    return Report(results, evaluated, refused, found.warnings)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Entries that could be read, with ``float32[record, class]`` and the codes of their quality
    warnings; and the names of those that could not."""

    entries: tuple[Entry, ...]
    probabilities: Float32Array
    warnings: tuple[tuple[str, ...], ...]
    refused: tuple[str, ...]


def predict_entries(
    classifier: Classifier,
    entries: Sequence[Entry],
    done: Done | None = None,
    answer: Callable[[Float32Array], Float32Array] | None = None,
) -> Predicted:
    """Read, prepare and predict, a batch at a time.

    ``answer`` computes what is wanted in place of probabilities, ``float32[record, ...]``, from
    model inputs ``float32[record, sample, lead]``.

    Raises
    ------
    RunError
        None of the entries can be read.
    """
    kept: list[Entry] = []
    warnings: list[tuple[str, ...]] = []
    parts: list[Float32Array] = []
    refused: list[str] = []
    for start in range(0, len(entries), _BATCH):
        inputs = []
        for entry in entries[start : start + _BATCH]:
            try:
                record = read_entry(entry)
                given = prepare(record, classifier.manifest)
            except EcgXaiError as error:
                log.info("%s", error)
                refused.append(entry.name)
            else:
                inputs.append(given.values)
                kept.append(entry)
                warnings.append(tuple(w.code for w in (*record.warnings, *given.warnings)))
        if inputs:
            parts.append((answer or classifier.predict)(np.stack(inputs)))
        if done is not None:
            done(min(start + _BATCH, len(entries)), len(entries))
    if not parts:
        raise RunError("data", "records", "none can be read", "check the data set")
    return Predicted(tuple(kept), np.concatenate(parts), tuple(warnings), tuple(refused))


def range_of_training(
    classifier: KerasClassifier,
    catalogue: Catalogue,
    train_folds: Sequence[int],
    kept_folds: Sequence[int],
    most: int = 5000,
    done: Done | None = None,
) -> TrainingRange:
    """Where the features of the training records lie, and those of records kept out of training.

    Of either at most ``most`` records are read, spread evenly over the data set.

    Raises
    ------
    ModelError
        The model does not end in a dense layer, or has too few records.
    RunError
        The folds hold no record.
    """

    def features(folds: Sequence[int]) -> Float32Array:
        entries = [entry for entry in catalogue if entry.fold in folds]
        some = entries[:: max(1, -(-len(entries) // most))]
        return predict_entries(classifier, some, done, classifier.features).probabilities

    trained, kept = (", ".join(map(str, folds)) for folds in (train_folds, kept_folds))
    source = f"{catalogue.name}: folds {trained}; kept out: {kept}"
    training, others = features(train_folds), features(kept_folds)
    return fit_range(training, others, classifier.digest, source)


def _predicted(
    classifier: Classifier,
    catalogue: Catalogue,
    folds: Sequence[int] | None,
    classes: tuple[str, ...],
    thresholds: FloatArray,
    done: Done | None,
) -> tuple[EvaluationData, Predicted]:
    """Labels and probabilities of the labelled records in the folds, and what was predicted."""
    entries = [e for e in catalogue if e.labels is not None and (folds is None or e.fold in folds)]
    if not entries:
        raise RunError(catalogue.name, "folds", "contain no labelled record", "choose other folds")
    found = predict_entries(classifier, entries, done)
    kept = found.entries
    columns = [classifier.classes.index(name) for name in classes]
    codes = [set(aliases(name)) for name in classes]
    truth = [[bool(same & set(entry.all_labels)) for same in codes] for entry in kept]
    evaluated = EvaluationData(
        classes=classes,
        names=tuple(entry.name for entry in kept),
        patients=tuple(entry.patient for entry in kept),
        truth=np.array(truth, np.bool_),
        probabilities=found.probabilities[:, columns].astype(np.float64),
        thresholds=thresholds,
        ages=np.array([np.nan if e.age is None else e.age for e in kept], np.float64),
        sexes=tuple(entry.sex or "" for entry in kept),
        quality=tuple(entry.quality for entry in kept),
    )
    return evaluated, found


def save_report(report: Report, folder: Path) -> Path:
    """Write ``results.json``, ``per_class.csv``, ``predictions.csv`` and ``evaluation.html``."""
    write_json(folder / "results.json", report.results)
    rows = [{"class": name, **row} for name, row in report.results["per_class"].items()]
    _write_csv(folder / "per_class.csv", rows)
    evaluated = report.evaluated
    _write_csv(
        folder / "predictions.csv",
        [
            {"record": name, "warnings": joined_codes(codes)}
            | dict(zip(evaluated.classes, map(float, p), strict=True))
            for name, codes, p in zip(
                evaluated.names, report.warnings, evaluated.probabilities, strict=True
            )
        ],
    )
    from ecgxai_core.training.figures import evaluation_page

    write_atomically(folder / "evaluation.html", evaluation_page(evaluated).encode("utf-8"))
    return folder


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pandas as pd

    columns = list(rows[0]) if rows else ["class"]
    # as objects, so that a whole number beside a missing one stays whole
    write_csv_atomic(path, pd.DataFrame(list(rows), columns=columns, dtype=object))
