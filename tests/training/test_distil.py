"""Soft labels come from models that have not seen the record, and a student learns from them."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.distil import (
    Answers,
    SoftLabels,
    distilled,
    pooled,
    read_soft_labels,
    save_soft_labels,
)
from ecgxai_core.training.jobs import cross_validation, finished_run, run_many, soft_labels
from ecgxai_core.training.loop import train
from ecgxai_core.training.runs import load_bundle, read_json
from tests.training.small_data import CLASSES, SAMPLES, small_params, student_params
from tests.training.test_loop import history, in_process


def folder_of(arrays: EcgArrays) -> Path:
    return Path(arrays.signals.filename).parent


@pytest.fixture(scope="module")
def teachers(arrays: EcgArrays, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on folds 1 to 4, each without half of them; fold 5 is seen by neither."""
    out = tmp_path_factory.mktemp("teachers")
    schedule = {"epochs": 3, "learning_rate": 0.01, "warmup_epochs": 0.5}
    runs = cross_validation(small_params(schedule=schedule), [1, 2, 3, 4], parts=2)
    run_many(runs, folder_of(arrays), out)
    return [out / run.name for run in runs]


@pytest.fixture(scope="module")
def soft(arrays: EcgArrays, teachers: list[Path]) -> SoftLabels:
    return soft_labels(teachers, folder_of(arrays))


def test_every_record_is_answered_for_by_the_run_that_left_it_out(
    arrays: EcgArrays, teachers: list[Path], soft: SoftLabels
) -> None:
    assert soft.folds == (1, 2, 3, 4)
    assert set(soft.names) == {arrays.names[row] for row in arrays.in_folds([1, 2, 3, 4])}
    for run in teachers:
        finished = finished_run(run, SAMPLES)
        rows = arrays.in_folds(finished.params.data.tune_folds)
        assert not set(rows) & set(arrays.in_folds(finished.params.data.train_folds))
        signals = np.asarray(arrays.signals[rows], np.float32) / 1000
        expected = np.asarray(finished.model(signals, training=False))
        given = soft.probabilities[[soft.names.index(arrays.names[row]) for row in rows]]
        assert np.allclose(given, expected, atol=1e-5)


def answers(run: str, names: tuple[str, ...], p: list[list[float]]) -> Answers:
    return Answers(run, ("A",), names, np.array(p, np.float32), frozenset({1}), "d")


def test_several_teachers_of_a_record_are_pooled_by_their_logits() -> None:
    first = answers("one", ("a", "b"), [[0.9], [0.2]])
    found = pooled([first, answers("two", ("b",), [[0.5]])])
    assert found.names == ("a", "b")
    logit = (np.log(0.2 / 0.8) + 0.0) / 2
    assert found.probabilities[:, 0] == pytest.approx([0.9, 1 / (1 + np.exp(-logit))])
    with pytest.raises(RunError, match="not those of one"):
        pooled([first, replace(answers("two", ("b",), [[0.5]]), classes=("B",))])
    with pytest.raises(RunError, match="there is none"):
        pooled([])


def test_soft_labels_survive_their_file_and_damage_is_noticed(
    soft: SoftLabels, tmp_path: Path
) -> None:
    again = read_soft_labels(save_soft_labels(soft, tmp_path / "soft.npz"))
    assert again.digest == soft.digest
    assert (again.classes, again.folds, again.data) == (soft.classes, soft.folds, soft.data)
    broken = replace(soft, names=soft.names[1:])
    with pytest.raises(RunError, match="no soft labels"):
        read_soft_labels(save_soft_labels(broken, tmp_path / "broken.npz"))


def test_targets_are_labels_and_soft_labels_in_proportion(
    arrays: EcgArrays, soft: SoftLabels
) -> None:
    params, rows = student_params(), arrays.in_folds([1, 2, 3, 4])
    known = replace(soft, names=soft.names[:-4], probabilities=soft.probabilities[:-4])
    truth = arrays.truth(CLASSES, rows)
    targets = distilled(known, params, arrays, rows, CLASSES, truth)
    for row, target, label in zip(rows, targets, truth, strict=True):
        name = arrays.names[row]
        if name in known.names:
            p = soft.probabilities[soft.names.index(name)]
            assert target == pytest.approx(0.3 * label + 0.7 * p, abs=1e-6)
        else:
            assert np.array_equal(target, label)


def test_a_class_that_the_teachers_lack_keeps_its_labels(
    arrays: EcgArrays, soft: SoftLabels
) -> None:
    params, rows = student_params(), arrays.in_folds([1, 2, 3, 4])
    truth = arrays.truth(CLASSES, rows)
    fewer = replace(soft, classes=("x", *soft.classes[1:]))
    targets = distilled(fewer, params, arrays, rows, CLASSES, truth)
    every = distilled(soft, params, arrays, rows, CLASSES, truth)
    assert np.array_equal(targets[:, 0], truth[:, 0])
    assert np.array_equal(targets[:, 1:], every[:, 1:])


def test_teachers_that_do_not_fit_are_refused(arrays: EcgArrays, soft: SoftLabels) -> None:
    params, rows = student_params(), arrays.in_folds([1, 2, 3, 4])
    truth = arrays.truth(CLASSES, rows)
    for changes, said in (
        ({"folds": (1, 5)}, "have seen fold 5"),
        ({"data": "another"}, "another data set"),
        ({"classes": ("A", "B", "C")}, "none of this run's"),
        ({"names": tuple(f"x{name}" for name in soft.names)}, "none of the training folds"),
    ):
        with pytest.raises(RunError, match=said):
            distilled(replace(soft, **changes), params, arrays, rows, CLASSES, truth)


def test_a_student_learns_and_survives_being_killed(
    arrays: EcgArrays, soft: SoftLabels, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    file = save_soft_labels(soft, tmp_path / "soft.npz")
    train(student_params(), arrays, whole, teacher=soft)
    assert history(whole)[-1]["auroc"] > 0.8
    assert read_json(whole / "config.json")["teacher"] == soft.digest
    for steps in (5, 11):  # within the second epoch, and after it with the equal average
        assert in_process(folder_of(arrays), killed, steps, file) == -signal.SIGKILL
    train(student_params(), arrays, killed, teacher=soft)
    assert history(killed) == history(whole)
    for name in ("best.npz", "checkpoint.npz"):
        one, other = load_bundle(killed / name)[0], load_bundle(whole / name)[0]
        for group in other:
            for a, b in zip(one[group], other[group], strict=True):
                assert np.array_equal(a, b), (name, group)
    with pytest.raises(RunError, match="another run"):
        train(student_params(), arrays, whole)
