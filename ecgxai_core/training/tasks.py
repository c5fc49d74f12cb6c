"""The tasks on which results on PTB-XL are published, scored as they were.

Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", IEEE J.
Biomed. Health Inform. 25:1519 (2021): macro AUROC over the classes of a task, on the records that
have at least one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecgxai_core.bootstrap import bootstrap_clusters
from ecgxai_core.records.catalogues.entry import Entry
from ecgxai_core.records.catalogues.ptbxl import Tasks
from ecgxai_core.training.scores import auroc, macro
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray, content_seed

__all__ = ["task_scores"]


def task_scores(
    tasks: Tasks,
    entries: Sequence[Entry],
    classes: Sequence[str],
    probabilities: Float32Array,
    n_bootstrap: int = 1000,
) -> list[dict[str, Any]]:
    """One row per task: ``task``, ``classes``, ``known``, ``records``, ``auroc``, ``interval``.

    A class that the model has no output for is as probable as the most probable of its statements.
    ``known`` is the number of classes that the model can answer for; where that is not all of them
    the task has no score. A class that no record has does not count, as everywhere. The interval is
    95 %, from resampling patients.

    Parameters
    ----------
    tasks
        Task -> class -> the statements of which any makes it present.
    entries
        The records.
    classes, probabilities
        The model's outputs and ``float32[record, output]``.
    """
    labels = [set(entry.statements) for entry in entries]
    patients = [entry.patient for entry in entries]
    rows = []
    for task, members in tasks.items():
        columns = [_columns(name, of, classes) for name, of in members.items()]
        known = [column for column in columns if column]
        row: dict[str, Any] = {"task": task, "classes": len(columns), "known": len(known)}
        truth = np.array(
            [[bool(said & set(of)) for of in members.values()] for said in labels], np.bool_
        )
        some = np.flatnonzero(truth.any(axis=1))
        row |= {"records": len(some), "auroc": float("nan"), "interval": []}
        if len(known) == len(columns) and len(some):
            p = np.stack([probabilities[some][:, at].max(axis=1) for at in known], axis=1)
            of_patients = [patients[place] for place in some]
            row |= _scored(task, truth[some], p.astype(np.float64), of_patients, n_bootstrap)
        rows.append(row)
    return rows


def _columns(name: str, statements: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Outputs that answer for a class: its own, or those of all its statements; none where one
    of them is missing."""
    if name in classes:
        return [classes.index(name)]
    found = [classes.index(one) for one in statements if one in classes]
    return found if len(found) == len(statements) else []


def _scored(
    task: str, truth: BoolArray, p: FloatArray, patients: Sequence[str], n: int
) -> dict[str, Any]:
    def area(rows: IntArray) -> FloatArray:
        return np.array([macro(auroc(truth[rows], p[rows]))])

    found: dict[str, Any] = {"auroc": macro(auroc(truth, p))}
    if n:
        seed = content_seed("task bootstrap", task, len(truth))
        (interval,) = bootstrap_clusters(patients, area, confidence=0.95, n_resamples=n, seed=seed)
        if np.isfinite(interval.low):
            found["interval"] = [interval.low, interval.high]
    return found
