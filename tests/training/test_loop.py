"""Training learns, writes a complete history, and an interrupted run ends like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.case import find_target
from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import free_names_note
from ecgxai_core.records.catalogues.ptbxl import clinical_classes
from ecgxai_core.training.arrays import EcgArrays, open_arrays, write_arrays
from ecgxai_core.training.jobs import run_training
from ecgxai_core.training.loop import choose_classes, train, training_truth
from ecgxai_core.training.runs import load_bundle, read_json
from tests.training.small_data import CLASSES, FS, SAMPLES, records, small_params

REPO = Path(__file__).resolve().parents[2]


def history(run: Path) -> list[dict[str, Any]]:
    """The history without timings."""
    return [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in read_json(run / "history.json")
    ]


@pytest.fixture(scope="module")
def finished(arrays: EcgArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    rows: list[dict[str, Any]] = []
    train(small_params(), arrays, run, rows.append)
    assert rows == read_json(run / "history.json")
    return run


def in_process(data: Path, run: Path, steps: int, *soft: Path) -> int:
    env = {**os.environ, "PYTHONPATH": str(REPO), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.training.kill_me", str(data), str(run), str(steps)]
    command += map(str, soft)
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, check=False).returncode


def test_shuffled_labels_are_those_of_other_records(arrays: EcgArrays) -> None:
    params, rows = small_params(), arrays.in_folds((1, 2, 3))
    true = arrays.truth(CLASSES, rows)
    assert np.array_equal(training_truth(params, arrays, CLASSES, rows), true)
    blind = params.updated(data=params.data.updated(shuffle_labels=True))
    dealt = training_truth(blind, arrays, CLASSES, rows)
    assert sorted(map(tuple, dealt)) == sorted(map(tuple, true))
    assert np.mean(np.any(dealt != true, axis=1)) > 0.2
    assert np.array_equal(dealt, training_truth(blind, arrays, CLASSES, rows))
    other = training_truth(blind.updated(seed=params.seed + 1), arrays, CLASSES, rows)
    assert not np.array_equal(dealt, other)


def test_training_learns_and_writes_a_complete_history(finished: Path) -> None:
    rows = history(finished)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["auroc"] > 0.8
    names = {"loss", "tune_loss", "auroc", "auroc_superclasses", "f1", "sensitivity"}
    assert names | {"specificity", "learning_rate"} <= set(rows[0])
    config = read_json(finished / "config.json")
    assert config["classes"] == list(CLASSES)
    assert config["params"]["seed"] == 3
    assert config["revision"]


def test_a_run_killed_twice_gives_the_same_result_as_an_uninterrupted_one(
    arrays: EcgArrays, finished: Path, tmp_path: Path
) -> None:
    data = Path(arrays.signals.filename).parent
    run = tmp_path / "killed"
    assert in_process(data, run, 3) == -signal.SIGKILL  # within the first epoch
    assert load_bundle(run / "checkpoint.npz")[1]["step"] == 2
    assert in_process(data, run, 11) == -signal.SIGKILL  # within the second epoch
    train(small_params(), arrays, run)
    assert history(run) == history(finished)
    for name in ("best.npz", "checkpoint.npz"):
        killed, whole = load_bundle(run / name)[0], load_bundle(finished / name)[0]
        assert killed.keys() == whole.keys()
        for group in whole:
            for a, b in zip(killed[group], whole[group], strict=True):
                assert np.array_equal(a, b), (name, group)


def test_a_finished_run_is_not_changed(arrays: EcgArrays, finished: Path) -> None:
    before = (finished / "checkpoint.npz").read_bytes()
    train(small_params(), arrays, finished)
    assert (finished / "checkpoint.npz").read_bytes() == before


def test_another_config_or_damaged_checkpoint_is_refused(
    arrays: EcgArrays, finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="another run"):
        train(small_params(seed=4), arrays, finished)
    (tmp_path / "config.json").write_bytes((finished / "config.json").read_bytes())
    (tmp_path / "checkpoint.npz").write_bytes(b"PK not a bundle")
    with pytest.raises(RunError, match="damaged"):
        train(small_params(), arrays, tmp_path)


def test_a_patient_in_training_and_tuning_folds_is_refused(tmp_path: Path) -> None:
    mixed = (replace(record, patient="same") for record in records(20))
    write_arrays(mixed, 20, SAMPLES, FS, "x", tmp_path / "data")
    with pytest.raises(RunError, match="training and tuning"):
        train(small_params(), open_arrays(tmp_path / "data"), tmp_path / "run")


def test_a_run_stopped_after_an_epoch_can_be_resumed(
    arrays: EcgArrays, finished: Path, tmp_path: Path
) -> None:
    schedule = {"epochs": 3, "learning_rate": 0.01, "warmup_epochs": 0.5}
    train(small_params(schedule={**schedule, "stop_after": 1}), arrays, tmp_path)
    assert len(history(tmp_path)) == 1
    train(small_params(), arrays, tmp_path)
    assert history(tmp_path) == history(finished)


def test_early_stopping_and_stop_after_end_a_run(arrays: EcgArrays, tmp_path: Path) -> None:
    schedule = {"epochs": 6, "learning_rate": 1e-9, "early_stop_patience": 1, "stop_after": 2}
    train(small_params(schedule=schedule), arrays, tmp_path / "a")
    assert len(history(tmp_path / "a")) <= 2


@pytest.mark.parametrize("kind", ["bce", "focal"])
def test_other_losses_samplers_and_schedules_train(
    arrays: EcgArrays, tmp_path: Path, kind: str
) -> None:
    data = {"train_folds": [1, 2], "tune_folds": [5], "least_records": 4, "sampler": "balanced"}
    loss = {"kind": kind, "class_weights": "sqrt", "label_smoothing": 0.1}
    schedule = {"epochs": 1, "kind": "plateau", "learning_rate": 0.01}
    optimiser = {"batch_size": 8, "average_decay": 0.0}
    train(
        small_params(data=data, loss=loss, schedule=schedule, optimiser=optimiser),
        arrays,
        tmp_path,
    )
    assert 0 < history(tmp_path)[0]["loss"] < 2


def test_classes_need_enough_records(arrays: EcgArrays) -> None:
    assert choose_classes(small_params(), arrays) == CLASSES
    data = {"train_folds": [1, 2], "tune_folds": [5], "least_records": 1000}
    assert choose_classes(small_params(data=data), arrays) == ()


STATEMENTS = ("scp:FAST", "scp:RARE", "scp:SLOW")


def stated(folder: Path) -> EcgArrays:
    """The small records with statements beside their labels; one has the rare one."""
    found = []
    for record in records(80):
        own = "scp:FAST" if "427084000" in record.labels else "scp:SLOW"
        rare = ("scp:RARE",) if record.name == "r003" else ()
        found.append(replace(record, labels=(*record.labels, own, *rare)))
    write_arrays(found, 80, SAMPLES, FS, "invented signals", folder)
    return open_arrays(folder)


def test_statements_are_outputs_where_they_are_asked_for_and_are_learned(tmp_path: Path) -> None:
    arrays = stated(tmp_path / "data")
    assert choose_classes(small_params(), arrays) == CLASSES
    data = {**small_params().data.model_dump(), "outputs": ["codes", "superclasses", "statements"]}
    schedule = {"epochs": 8, "learning_rate": 0.01, "warmup_epochs": 0.5}
    params = small_params(data=data, schedule=schedule)
    assert choose_classes(params, arrays) == (*CLASSES, *STATEMENTS)
    only = small_params(data={**data, "outputs": ["statements"]})
    assert choose_classes(only, arrays) == STATEMENTS
    results = run_training(params, tmp_path / "data", tmp_path / "run")
    assert results["groups"]["statements"]["outputs"] == 3
    assert results["per_class"]["scp:FAST"]["auroc"] > 0.8
    assert history(tmp_path / "run")[-1]["auroc_statements"] > 0.8
    model = load_classifier(tmp_path / "run" / "small.keras")
    assert find_target("scp:FAST", model) == "scp:FAST"
    assert "'scp:FAST'" in free_names_note(model.classes)
    assert clinical_classes(model.classes) == CLASSES
    assert clinical_classes(STATEMENTS) == STATEMENTS


def test_statements_that_the_data_do_not_have_are_refused(arrays: EcgArrays) -> None:
    data = {**small_params().data.model_dump(), "outputs": ["statements"]}
    with pytest.raises(RunError, match="no statements"):
        choose_classes(small_params(data=data), arrays)
