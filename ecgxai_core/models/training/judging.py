"""``evaluate-model``: a loaded classifier on a catalogue, with tables, curves and failures.

Any classifier with a manifest, any data set with labels: every record goes through the manifest's
preprocessing, and codes scored as the same diagnosis count as one.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError, RunError
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training.evaluation import Judged, evaluate, failures, subgroups
from ecgxai_core.models.training.rundir import write_atomically, write_json
from ecgxai_core.models.training.scores import best_f1_thresholds
from ecgxai_core.records.catalogue import Catalogue, Entry, read_entry
from ecgxai_core.types import BoolArray, Float32Array, FloatArray

__all__ = ["Report", "evaluate_model", "predict_entries", "save_report"]

log = logging.getLogger(__name__)

_BATCH = 64
Done = Callable[[int, int], None]
"""Called with the records done and in all."""


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`evaluate_model` finds: all of it plain JSON, and the judged records."""

    results: dict[str, Any]
    judged: Judged
    refused: tuple[str, ...]


def evaluate_model(
    classifier: Classifier,
    catalogue: Catalogue,
    *,
    folds: Sequence[int] | None = None,
    tune_folds: Sequence[int] | None = None,
    n_bootstrap: int = 1000,
    done: Done | None = None,
) -> Report:
    """Judge a classifier on the labelled records of a data set.

    Parameters
    ----------
    folds
        Folds to judge on; ``None`` = all records.
    tune_folds
        Folds on which thresholds are chosen (largest F1). ``None`` = the thresholds of the
        manifest, and 0.5 for classes without one.

    Raises
    ------
    RunError
        No labelled record in the folds, or none that can be read.
    """
    classes = _judgeable(classifier, catalogue)
    thresholds = _thresholds(classifier, catalogue, classes, tune_folds, done)
    judged, refused = _judge(classifier, _labelled(catalogue, folds), classes, thresholds, done)
    results = {
        "data": catalogue.name,
        "folds": None if folds is None else list(folds),
        "model_digest": classifier.digest,
        "thresholds_from": "manifest" if tune_folds is None else f"folds {list(tune_folds)}",
        "refused": list(refused),
        **evaluate(judged, n_bootstrap=n_bootstrap),
        "subgroups": subgroups(judged),
        "failures": failures(judged),
    }
    return Report(results, judged, refused)


def predict_entries(
    classifier: Classifier, entries: Sequence[Entry], done: Done | None = None
) -> tuple[tuple[Entry, ...], Float32Array, tuple[str, ...]]:
    """Entries that could be read, ``float32[record, class]``, names of those that could not."""
    kept: list[Entry] = []
    parts: list[Float32Array] = []
    refused: list[str] = []
    for start in range(0, len(entries), _BATCH):
        inputs = []
        for entry in entries[start : start + _BATCH]:
            try:
                inputs.append(prepare(read_entry(entry), classifier.manifest).values)
            except EcgXaiError as error:
                log.info("%s", error)
                refused.append(entry.name)
            else:
                kept.append(entry)
        if inputs:
            parts.append(classifier.predict(np.stack(inputs)))
        if done is not None:
            done(min(start + _BATCH, len(entries)), len(entries))
    if not parts:
        raise RunError("data", "records", "none can be read", "check the data set")
    return tuple(kept), np.concatenate(parts), tuple(refused)


def _judgeable(classifier: Classifier, catalogue: Catalogue) -> tuple[str, ...]:
    """Classes of the model that the data set labels at all; absence elsewhere says nothing."""
    labelled = set(catalogue.label_counts())
    classes = tuple(c for c in classifier.classes if labelled & set(aliases(c)))
    if not classes:
        raise RunError(catalogue.name, "labels", "none is a class of the model", "use other data")
    return classes


def _labelled(catalogue: Catalogue, folds: Sequence[int] | None) -> list[Entry]:
    entries = [
        entry
        for entry in catalogue
        if entry.labels is not None and (folds is None or entry.fold in folds)
    ]
    if not entries:
        raise RunError(catalogue.name, "folds", "hold no labelled record", "choose other folds")
    return entries


def _thresholds(
    classifier: Classifier,
    catalogue: Catalogue,
    classes: tuple[str, ...],
    tune_folds: Sequence[int] | None,
    done: Done | None,
) -> FloatArray:
    if tune_folds is None:
        known = classifier.manifest.thresholds or {}
        return np.array([known.get(name, 0.5) for name in classes], np.float64)
    halves = np.full(len(classes), 0.5)
    tuned, _ = _judge(classifier, _labelled(catalogue, tune_folds), classes, halves, done)
    return best_f1_thresholds(tuned.truth, tuned.probabilities)


def _judge(
    classifier: Classifier,
    entries: Sequence[Entry],
    classes: tuple[str, ...],
    thresholds: FloatArray,
    done: Done | None,
) -> tuple[Judged, tuple[str, ...]]:
    kept, p, refused = predict_entries(classifier, entries, done)
    columns = [classifier.classes.index(name) for name in classes]
    judged = Judged(
        classes=classes,
        names=tuple(entry.name for entry in kept),
        patients=tuple(entry.patient for entry in kept),
        truth=_truth(kept, classes),
        probabilities=p[:, columns].astype(np.float64),
        thresholds=thresholds,
        ages=np.array([np.nan if e.age is None else e.age for e in kept], np.float64),
        sexes=tuple(entry.sex or "" for entry in kept),
        quality=tuple(entry.quality for entry in kept),
    )
    return judged, refused


def _truth(entries: Sequence[Entry], classes: tuple[str, ...]) -> BoolArray:
    same = [set(aliases(name)) for name in classes]
    rows = [[bool(codes & set(entry.labels or ())) for codes in same] for entry in entries]
    return np.array(rows, np.bool_).reshape(len(entries), len(classes))


def save_report(report: Report, folder: Path) -> Path:
    """Write ``results.json``, ``per_class.csv``, ``predictions.csv`` and ``evaluation.html``."""
    write_json(folder / "results.json", report.results)
    rows = [{"class": name, **row} for name, row in report.results["per_class"].items()]
    _write_csv(folder / "per_class.csv", rows)
    judged = report.judged
    _write_csv(
        folder / "predictions.csv",
        [
            {"record": name, **dict(zip(judged.classes, map(float, p), strict=True))}
            for name, p in zip(judged.names, judged.probabilities, strict=True)
        ],
    )
    from ecgxai_core.models.training.figures import evaluation_page

    write_atomically(folder / "evaluation.html", evaluation_page(judged).encode("utf-8"))
    return folder


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else ["class"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, stream.getvalue().encode("utf-8"))
