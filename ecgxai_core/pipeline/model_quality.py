"""How good a model is on records that carry labels: tables and curves for people.

The numbers come from :mod:`ecgxai_core.models.training`; here records, labels and probabilities are
put side by side and results become tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.errors import RunError
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.training.calibration import reliability_curve
from ecgxai_core.models.training.evaluation import Judged, evaluate, failures
from ecgxai_core.models.training.figures import roc_curve
from ecgxai_core.pipeline.prediction import Predictions
from ecgxai_core.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FAILURE_KINDS",
    "ModelQuality",
    "class_table",
    "confusion_of",
    "curve_tables",
    "failure_table",
    "judge_model",
    "precision_recall_curve",
]

N_BOOTSTRAP = 200
FAILURE_KINDS: Mapping[str, str] = {
    "confidently_wrong": "Confidently wrong",
    "hesitantly_right": "Hesitantly right",
}
_MOST_CASES = 24


@dataclass(frozen=True)
class ModelQuality:
    """Judged records, all scores as plain values, and the records worth a look by class."""

    judged: Judged
    results: Mapping[str, Any]
    cases: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    synthetic: bool


def judge_model(
    predictions: Predictions, manifest: Manifest, *, n_bootstrap: int = N_BOOTSTRAP
) -> ModelQuality:
    """Judge the probabilities of labelled records.

    A class counts where the data set labels it at all: elsewhere the absence of a label says
    nothing. Codes scored as the same diagnosis count as one. Thresholds are those of the manifest,
    0.5 where it names none.

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
    judged = Judged(
        classes=classes,
        names=names,
        patients=names,  # no reader tells patients apart, so records stand for them
        truth=truth,
        probabilities=p[:, columns],
        thresholds=np.array([known.get(code, 0.5) for code in classes], np.float64),
        ages=np.full(len(rows), np.nan),
        sexes=("",) * len(rows),
        quality=tuple(info.warnings for info in infos),
    )
    results = evaluate(judged, n_bootstrap=n_bootstrap)
    synthetic = any(info.synthetic for info in infos)
    return ModelQuality(judged, results, failures(judged, _MOST_CASES), synthetic)


def class_table(quality: ModelQuality) -> pd.DataFrame:
    """One row a class: how often it is there, scores with intervals, counts at the threshold."""
    import pandas as pd

    rows = []
    for code, row in quality.results["per_class"].items():
        low, high = (*row.get("auroc_interval", ()), np.nan, np.nan)[:2]
        rows.append(
            {
                "code": code,
                "class": term_of(code).name,
                "records with it": row["positives"],
                "AUROC": row["auroc"],
                "AUROC low": low,
                "AUROC high": high,
                "AUPRC": row["auprc"],
                "F1": row["f1"],
                "sensitivity": row["sensitivity"],
                "specificity": row["specificity"],
                "calibration error": row["ece"],
                "threshold": row["threshold"],
            }
        )
    return pd.DataFrame(rows).sort_values("records with it", ascending=False, kind="stable")


def confusion_of(quality: ModelQuality, code: str) -> dict[str, int]:
    """Counts at the threshold: true and false positives and negatives."""
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    row = quality.results["per_class"][code]
    return {name: int(row[name]) for name in names}


def curve_tables(quality: ModelQuality, code: str) -> dict[str, pd.DataFrame]:
    """Points of the ``roc``, ``precision_recall`` and ``calibration`` curves of one class."""
    import pandas as pd

    c = quality.judged.classes.index(code)
    truth, p = quality.judged.truth[:, c], quality.judged.probabilities[:, c]
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


def precision_recall_curve(
    truth: BoolArray, probability: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Recall and precision at every distinct threshold, highest first; empty without positives.

    Davis and Goadrich, ICML 2006: points are not joined by straight lines, so draw them as steps.
    """
    if not truth.any():
        return np.empty(0), np.empty(0)
    order = np.argsort(-probability, kind="stable")
    last = np.flatnonzero(np.diff(probability[order], append=-np.inf) != 0)
    found = np.cumsum(truth[order])[last]
    return found / truth.sum(), found / (last + 1)


def failure_table(quality: ModelQuality, code: str, kind: str) -> pd.DataFrame:
    """Records worth a look, the most telling first; ``kind`` is one of :data:`FAILURE_KINDS`."""
    import pandas as pd

    rows = [
        {
            "record": case["record"],
            "probability": case["probability"],
            "labelled": "yes" if case["present"] else "no",
        }
        for case in quality.cases[code][kind]
    ]
    return pd.DataFrame(rows, columns=["record", "probability", "labelled"])
