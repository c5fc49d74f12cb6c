"""Fine-tuning on readers' labels: which count, what is learned, and that folds stay apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.store.atomic import write_csv_atomic
from ecgxai_core.study.feedback import FeedbackStore, feedback
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.jobs import run_training
from ecgxai_core.training.loop import train
from ecgxai_core.training.reviewed import (
    Start,
    initial,
    read_reviews,
    relabelled,
    soft_targets,
)
from ecgxai_core.training.runs import load_bundle, read_json
from tests.training.small_data import CLASSES, small_params
from tests.training.test_jobs import folder_of

SLOW, FAST = CLASSES[0], CLASSES[1]
SCHEDULE = {"epochs": 3, "learning_rate": 0.01, "warmup_epochs": 0.0}


def answers(tmp_path: Path, *rows: tuple[str, str, bool | None, str, str]) -> Path:
    """An exported file of (record, target, called, verdict, own diagnosis)."""
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    for record, target, called, verdict, own in rows:
        store.add(
            feedback(
                record=record, record_digest=f"{sum(record.encode()):064x}", model="m",
                model_digest="b" * 64, target=target, probability=0.9, called=called, map="fused",
                map_digest="c" * 64, answer={"verdict": verdict, "diagnosis": own},
            ),
            "session",
        )  # fmt: skip
    path = tmp_path / "feedback.csv"
    write_csv_atomic(path, store.frame())
    return path


def test_what_readers_said_becomes_labels(tmp_path: Path) -> None:
    path = answers(
        tmp_path,
        ("a", SLOW, True, "agree", ""),
        ("a", FAST, False, "agree", ""),
        ("b", SLOW, True, "disagree", "STach"),  # one class denied, another one named
        ("c", SLOW, True, "unsure", ""),
        ("d", SLOW, None, "agree", ""),  # from before the call was kept
        ("e", SLOW, False, "disagree", ""),
        ("e", SLOW, True, "agree", ""),
        ("e", SLOW, True, "disagree", ""),  # two of three: present
        ("f", SLOW, True, "agree", ""),
        ("f", SLOW, True, "disagree", ""),  # a tie
        ("g", "164889003", True, "agree", ""),  # no class of the model
        ("", SLOW, True, "agree", ""),  # an upload that was not kept
        ("=h", SLOW, True, "agree", ""),  # written so that no spreadsheet runs it
    )
    assert read_reviews(path, CLASSES) == {
        "a": {SLOW: True, FAST: False}, "b": {SLOW: False, FAST: True}, "e": {SLOW: True},
        "=h": {SLOW: True},
    }  # fmt: skip


def test_withdrawn_answers_do_not_count(tmp_path: Path) -> None:
    answers(tmp_path, ("a", SLOW, True, "agree", ""), ("b", SLOW, True, "agree", ""))
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    row = next(row for row in store.rows() if row["record"] == "a")
    store.withdraw(row["id"], "session")
    write_csv_atomic(tmp_path / "feedback.csv", store.frame())
    assert set(read_reviews(tmp_path / "feedback.csv", CLASSES)) == {"b"}


def test_tables_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    path = answers(tmp_path, ("a", SLOW, True, "agree", ""), ("b", SLOW, True, "agree", ""))
    with pytest.raises(RunError, match="no label of a class"):
        read_reviews(path, ["164889003"])
    table = pd.read_csv(path)
    table.assign(record="a").to_csv(path)
    with pytest.raises(RunError, match="more than one record"):
        read_reviews(path, CLASSES)
    table.drop(columns="present").to_csv(path)
    with pytest.raises(RunError, match="present: no such column"):
        read_reviews(path, CLASSES)
    with pytest.raises(RunError, match="cannot be read"):
        read_reviews(tmp_path / "nothing.csv", CLASSES)


def test_targets_are_the_readers_and_elsewhere_the_models(arrays: EcgArrays) -> None:
    reviews = {"r000": {FAST: True, SLOW: False}, "r003": {"NORM": True}}
    rows = np.array([0, 3])
    p = np.array([[0.9, 0.2, 0.7], [0.1, 0.8, 0.3]], np.float32)
    targets = soft_targets(arrays, rows, CLASSES, reviews, p)
    assert targets == pytest.approx(np.array([[0, 1, 0.7], [0.1, 0.8, 1]], np.float32))
    changed = relabelled(arrays, reviews)
    assert set(changed.labels[0]) == {"NORM", FAST}
    assert set(changed.labels[3]) == {FAST, "NORM"}
    assert changed.labels[1:3] == arrays.labels[1:3]
    with pytest.raises(RunError, match="not in the data set"):
        relabelled(arrays, {"nobody": {SLOW: True}})


@pytest.fixture(scope="module")
def trained(arrays: EcgArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("init") / "run"
    run_training(small_params(schedule=SCHEDULE), folder_of(arrays), run)
    return run / "small.keras"


def swapped(arrays: EcgArrays) -> dict[str, dict[str, bool]]:
    """Readers say of every record that slow is fast, and fast slow."""
    return {
        name: {SLOW: FAST in own, FAST: SLOW in own}
        for name, own in zip(arrays.names, arrays.labels, strict=True)
    }


def test_a_model_learns_what_readers_say_and_keeps_the_rest(
    arrays: EcgArrays, trained: Path, tmp_path: Path
) -> None:
    rows = [
        (name, code, True, "agree" if present else "disagree", "")
        for name, said in swapped(arrays).items()
        for code, present in said.items()
    ]
    start = initial(trained, answers(tmp_path, *rows))
    assert start.reviews == swapped(arrays)
    longer = {"epochs": 12, "learning_rate": 0.02, "warmup_epochs": 0.0}
    params = small_params(name="again", schedule=longer)
    results = run_training(params, folder_of(arrays), tmp_path / "run", start=start)
    assert read_json(tmp_path / "run" / "results.json")["before"] == results["before"]
    before, after = (load_classifier(path) for path in (trained, tmp_path / "run" / "again.keras"))
    assert after.manifest.classes == before.manifest.classes
    assert "Trained further from the model" in (after.manifest.notes or "")
    tuning = arrays.in_folds([5])
    signals = np.asarray(arrays.signals[tuning], np.float32) / 1000
    truth = arrays.truth(CLASSES, tuning)
    old, new = before.predict(signals), after.predict(signals)
    for column in (0, 1):
        assert old[truth[:, column], column].mean() > old[~truth[:, column], column].mean()
        assert new[truth[:, column], column].mean() < new[~truth[:, column], column].mean()
    assert new[truth[:, 2], 2].mean() > new[~truth[:, 2], 2].mean(), "nobody said anything of it"
    assert results["before"]["auroc"] < results["macro"]["auroc"], "by the readers' labels"


def test_only_reviewed_records_of_the_training_folds_are_trained_on(
    arrays: EcgArrays, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = swapped(arrays)
    start = replace(initial(trained), reviews={f"r{i:03d}": said[f"r{i:03d}"] for i in range(40)})
    seen: set[int] = set()
    from ecgxai_core.training import batches

    real = batches.TrainingBatches.batch

    def watched(self, epoch, step, order):
        size = self.params.optimiser.batch_size
        seen.update(int(row) for row in self.rows[order[step * size : (step + 1) * size]])
        return real(self, epoch, step, order)

    monkeypatch.setattr(batches.TrainingBatches, "batch", watched)
    run = tmp_path / "run"
    train(small_params(schedule=SCHEDULE), arrays, run, start=start)
    reviewed = {i for i in range(40) if arrays.folds[i] != 5}
    assert seen == reviewed
    assert {int(fold) for fold in arrays.folds[sorted(seen)]} == {1, 2, 3, 4}
    with pytest.raises(RunError, match="another run"):
        train(small_params(schedule=SCHEDULE), arrays, run, start=replace(start, reviews=None))
    tuned = {name: said[name] for name in said if arrays.folds[int(name[1:])] == 5}
    with pytest.raises(RunError, match="contain no reviewed record"):
        train(small_params(), arrays, tmp_path / "b", start=replace(start, reviews=tuned))


def test_an_interrupted_fine_tuning_ends_like_any_other(
    arrays: EcgArrays, trained: Path, tmp_path: Path
) -> None:
    start = replace(initial(trained), reviews=swapped(arrays))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small_params(schedule=SCHEDULE), arrays, whole, start=start)
    train(small_params(schedule={**SCHEDULE, "stop_after": 1}), arrays, parts, start=start)
    train(small_params(schedule=SCHEDULE), arrays, parts, start=start)
    one, other = (load_bundle(run / "checkpoint.npz")[0] for run in (whole, parts))
    for group in one:
        for a, b in zip(one[group], other[group], strict=True):
            assert np.array_equal(a, b)


def test_a_model_of_another_architecture_is_refused(
    arrays: EcgArrays, trained: Path, tmp_path: Path
) -> None:
    start = initial(trained)
    assert isinstance(start, Start)
    assert start.weights[0].shape[1] == len(arrays.signals[0][0])
    options = {"filters": [5, 6], "kernels": [[5, 3]], "dropout": 0.1}
    params = small_params(model={"name": "resnet1d", "options": options})
    with pytest.raises(RunError, match="not the initial model's"):
        train(params, arrays, tmp_path / "run", start=start)
