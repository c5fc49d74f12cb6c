"""Performance of a model on labelled records, as tables and curves.

The scores come from :mod:`ecgxai_core.training`; here they are computed from predictions and turned
into tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.errors import RunError
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.training.evaluation import EvaluationData, evaluate, failures
from ecgxai_core.training.scores import (
    auroc_interval,
    precision_recall_curve,
    reliability_curve,
    roc_curve,
)

__all__ = [
    "FAILURE_KINDS",
    "NONE_CALLED",
    "TOO_FEW",
    "ModelQuality",
    "class_table",
    "confusion_of",
    "curve_tables",
    "evaluate_quality",
    "failure_table",
]

FAILURE_KINDS: Mapping[str, str] = {
    "confidently_wrong": "Confidently wrong",
    "hesitantly_right": "Hesitantly right",
}
NONE_CALLED, TOO_FEW = "no positive record is called", "too few records"
"""Notes of :func:`class_table`."""
_MOST_CASES = 24


@dataclass(frozen=True)
class ModelQuality:
    """Evaluated records, all scores as plain values, and by class the records to review."""

    evaluated: EvaluationData
    results: Mapping[str, Any]
    cases: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    synthetic: bool


def evaluate_quality(predictions: Predictions, manifest: Manifest) -> ModelQuality:
    """Evaluate the probabilities of labelled records, each of which counts as a patient.

    Classes that the data set never labels are not evaluated, as the absence of their label means
    nothing. Codes scored as the same diagnosis count as one. Thresholds are those of the manifest,
    or 0.5.

    Raises
    ------
    RunError
        No record has labels, or no label is a class of the model.
    """
    rows = [i for i, info in enumerate(predictions.records) if info.labels is not None]
    if not rows:
        raise RunError("data set", "labels", "no record has any", "choose labelled records")
    infos = [predictions.records[i] for i in rows]
    labelled = {code for info in infos for code in info.labels or ()}
    classes = tuple(c for c in predictions.classes if labelled & set(aliases(c)))
    if not classes:
        raise RunError("data set", "labels", "none is a class of the model", "use other records")
    columns = [predictions.classes.index(code) for code in classes]
    same = [set(aliases(code)) for code in classes]
    truth = np.array([[bool(c & set(info.labels or ())) for c in same] for info in infos])
    p = np.stack([predictions.values[i].probabilities for i in rows]).astype(np.float64)
    known = manifest.thresholds or {}
    names = tuple(info.name for info in infos)
    evaluated = EvaluationData(
        classes=classes,
        names=names,
        patients=names,  # records do not identify patients, so each counts as one
        truth=truth,
        probabilities=p[:, columns],
        thresholds=np.array([known.get(code, 0.5) for code in classes], np.float64),
        ages=np.full(len(rows), np.nan),
        sexes=("",) * len(rows),
        quality=tuple(info.warnings for info in infos),
    )
    results = evaluate(evaluated, n_bootstrap=0)  # intervals: class_table
    synthetic = any(info.synthetic for info in infos)
    return ModelQuality(evaluated, results, failures(evaluated, _MOST_CASES), synthetic)


def class_table(quality: ModelQuality) -> pd.DataFrame:
    """One row per class: number of positive records and how many of them are found (called), what
    to note, and scores; classes that are missed most come first, of those the ones with most
    records.

    The interval of AUROC is NaN with fewer than :data:`~ecgxai_core.bootstrap.LEAST_RECORDS`
    positive or negative records (:func:`~ecgxai_core.training.scores.auroc_interval`).
    """
    n = len(quality.evaluated.names)
    rows = []
    for code, row in quality.results["per_class"].items():
        positives = row["positives"]
        few = min(positives, n - positives) < LEAST_RECORDS
        limits = (np.nan, np.nan) if few else auroc_interval(row["auroc"], positives, n - positives)
        rows.append({
            "code": code,
            "class": term_of(code).name,
            "positive records": positives,
            "found": row["true_positives"],
            "note": "; ".join(filter(None, (
                NONE_CALLED if row["sensitivity"] == 0 else "", TOO_FEW if few else "",
            ))),
            "sensitivity": row["sensitivity"],
            "specificity": row["specificity"],
            "threshold": row["threshold"],
            "AUROC": row["auroc"],
            "AUROC low": limits[0],
            "AUROC high": limits[1],
            "AUPRC": row["auprc"],
            "F1": row["f1"],
            "calibration error": row["ece"],
        })  # fmt: skip
    order = ["sensitivity", "positive records"]
    return pd.DataFrame(rows).sort_values(order, ascending=[True, False], ignore_index=True)


def confusion_of(quality: ModelQuality, code: str) -> dict[str, int]:
    """Counts at the threshold: true and false positives and negatives."""
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    row = quality.results["per_class"][code]
    return {name: int(row[name]) for name in names}


def curve_tables(quality: ModelQuality, code: str) -> dict[str, pd.DataFrame]:
    """Points of the ``roc``, ``precision_recall`` and ``calibration`` curves of one class."""
    c = quality.evaluated.classes.index(code)
    truth, p = quality.evaluated.truth[:, c], quality.evaluated.probabilities[:, c]
    false, true = roc_curve(truth, p)
    recall, precision = precision_recall_curve(truth, p)
    mean, share, count = reliability_curve(truth, p, bins=10)
    filled = count > 0
    return {
        "roc": pd.DataFrame({"1 - specificity": false, "sensitivity": true}),
        "precision_recall": pd.DataFrame({"recall": recall, "precision": precision}),
        "calibration": pd.DataFrame(
            {
                "mean probability": mean[filled],
                "share with the label": share[filled],
                "records": count[filled],
            }
        ),
    }


def failure_table(quality: ModelQuality, code: str, kind: str) -> pd.DataFrame:
    """Records to review, the most extreme first; ``kind`` is one of :data:`FAILURE_KINDS`."""
    rows = [
        (case["record"], case["probability"], "yes" if case["present"] else "no")
        for case in quality.cases[code][kind]
    ]
    return pd.DataFrame(rows, columns=["record", "probability", "labelled"])
