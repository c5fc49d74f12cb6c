"""The published tasks: which records and classes count, and the area under their curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ecgxai_core.records.catalogues.entry import Entry
from ecgxai_core.training.tasks import task_scores

TASKS = {
    "all": {name: (name,) for name in ("scp:A", "scp:B", "scp:C", "scp:R")},
    "superdiagnostic": {"MI": ("scp:A", "scp:B"), "CD": ("scp:C",)},
    "rhythm": {"scp:R": ("scp:R",), "scp:Q": ("scp:Q",)},
}
CLASSES = ("scp:R", "scp:A", "CD", "scp:B", "scp:C")


@pytest.fixture
def entries() -> list[Entry]:
    rng, found = np.random.default_rng(0), []
    for i in range(120):
        said = tuple(name for name in ("scp:A", "scp:B", "scp:C", "scp:R") if rng.random() < 0.3)
        found.append(Entry(f"r{i}", Path("x"), f"p{i // 2}", (), statements=said))
    return found


def test_scores_are_those_of_scikit_learn_on_records_with_a_class_of_the_task(entries) -> None:
    p = np.random.default_rng(1).random((len(entries), len(CLASSES))).astype(np.float32)
    rows = {row["task"]: row for row in task_scores(TASKS, entries, CLASSES, p, 100)}
    kept = [i for i, entry in enumerate(entries) if entry.statements]
    columns = {name: p[kept, CLASSES.index(name)] for name in TASKS["all"]}
    truth = {name: [name in entries[i].statements for i in kept] for name in TASKS["all"]}
    expected = np.mean([roc_auc_score(truth[name], columns[name]) for name in columns])
    assert rows["all"]["auroc"] == pytest.approx(expected)
    assert rows["all"]["records"] == len(kept) < len(entries)
    low, high = rows["all"]["interval"]
    assert low < expected < high

    some = [i for i in kept if set(entries[i].statements) & {"scp:A", "scp:B", "scp:C"}]
    infarct = [bool({"scp:A", "scp:B"} & set(entries[i].statements)) for i in some]
    block = ["scp:C" in entries[i].statements for i in some]
    largest = np.maximum(p[some, 1], p[some, 3])  # no output of its own
    expected = np.mean([roc_auc_score(infarct, largest), roc_auc_score(block, p[some, 2])])
    assert rows["superdiagnostic"]["auroc"] == pytest.approx(expected)
    assert rows["superdiagnostic"]["records"] == len(some)


def test_a_task_that_the_model_cannot_answer_for_has_no_score(entries) -> None:
    p = np.zeros((len(entries), len(CLASSES)), np.float32)
    row = next(row for row in task_scores(TASKS, entries, CLASSES, p, 0) if row["task"] == "rhythm")
    assert (row["known"], row["classes"]) == (1, 2)
    assert np.isnan(row["auroc"])
    assert row["interval"] == []
