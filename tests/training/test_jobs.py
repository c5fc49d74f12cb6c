"""Jobs: train, export, load safely, evaluate; and several runs from one configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError, RecordError, RunError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.card import model_card
from ecgxai_core.training.jobs import (
    ablation,
    cross_validation,
    finished_run,
    grid,
    random_search,
    run_many,
    run_training,
    seeds,
)
from ecgxai_core.training.runs import read_json
from ecgxai_core.training.scores import with_temperature
from tests.training.small_data import CLASSES, SAMPLES, small_params

SHORT = {"epochs": 1, "learning_rate": 0.01, "warmup_epochs": 0.0}


def folder_of(arrays: EcgArrays) -> Path:
    return Path(arrays.signals.filename).parent


def test_a_trained_model_ships_with_manifest_and_card(arrays: EcgArrays, tmp_path: Path) -> None:
    params = small_params(schedule=SHORT)
    results = run_training(params, folder_of(arrays), tmp_path / "run")
    assert read_json(tmp_path / "run" / "results.json")["macro"] == results["macro"]
    classifier = load_classifier(tmp_path / "run" / "small.keras")
    manifest = classifier.manifest
    assert manifest.classes == CLASSES
    assert (manifest.fs, manifest.samples, manifest.units) == (100.0, SAMPLES, "mV")
    assert manifest.temperature == pytest.approx(results["temperature"], abs=1e-5)
    assert manifest.receptive_field_samples == 13
    rows = arrays.in_folds([5])
    signals = np.asarray(arrays.signals[rows], np.float32) / 1000
    raw = np.asarray(finished_run(tmp_path / "run", SAMPLES).model(signals, training=False))
    expected = with_temperature(raw, results["temperature"])
    assert np.allclose(classifier.predict(signals), expected, atol=1e-4)
    text = model_card(params, results, "0.13 s", "ecgxai train train.toml", 100.0)
    assert f"{results['superclasses']['auroc']:.3f}" in text
    assert "CC BY 4.0" in " ".join(text.split())
    assert "fold 10 was not used" in " ".join(text.split())


def test_attention_outputs_are_named_in_the_manifest(arrays: EcgArrays, tmp_path: Path) -> None:
    options = {"filters": [4, 4], "kernels": [[5], [3, 3]], "units": 4, "dropout": 0.1}
    params = small_params(schedule=SHORT, model={"name": "lead_attention", "options": options})
    run_training(params, folder_of(arrays), tmp_path / "run")
    outputs = load_classifier(tmp_path / "run" / "small.keras").manifest.outputs
    assert outputs is not None
    assert set(outputs.attention) == {"temporal_attention", "lead_attention"}


def test_many_runs_give_one_summary(arrays: EcgArrays, tmp_path: Path) -> None:
    rows = run_many(seeds(small_params(schedule=SHORT), [1, 2]), folder_of(arrays), tmp_path)
    assert [row["run"] for row in rows] == ["small-seed1", "small-seed2"]
    assert read_json(tmp_path / "summary.json") == rows


def test_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        run_training(small_params(), tmp_path, tmp_path / "run")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="no epoch"):
        finished_run(tmp_path, SAMPLES)


def test_cross_validation_tunes_on_each_fold_once() -> None:
    variants = cross_validation(small_params())
    assert [variant.data.tune_folds for variant in variants] == [(1,), (2,), (3,), (4,), (5,)]
    for variant in variants:
        assert set(variant.data.train_folds) | set(variant.data.tune_folds) == {1, 2, 3, 4, 5}
        assert not set(variant.data.train_folds) & set(variant.data.tune_folds)
    with pytest.raises(ParameterError):
        cross_validation(small_params(), [1])


def test_ablation_uses_the_default_sizes_of_each_architecture() -> None:
    variants = ablation(small_params(), ["cnn", "lstm"])
    assert [(v.model.name, v.model.options) for v in variants] == [("cnn", None), ("lstm", None)]


def test_grid_is_every_combination() -> None:
    choices = {"schedule.learning_rate": [0.1, 0.2], "loss.kind": ["bce", "focal"], "seed": [1]}
    variants = grid(small_params(), choices)
    assert len({v.name for v in variants}) == 4
    assert {(v.schedule.learning_rate, v.loss.kind) for v in variants} == {
        (0.1, "bce"), (0.1, "focal"), (0.2, "bce"), (0.2, "focal"),
    }  # fmt: skip
    with pytest.raises(ParameterError, match=r"schedule\.rate"):
        grid(small_params(), {"schedule.rate": [1]})


def test_random_search_draws_within_bounds_and_extends() -> None:
    choices = {"schedule.learning_rate": (1e-4, 1e-2), "loss.kind": ["bce", "focal"]}
    three = random_search(small_params(), choices, 3, seed=1)
    five = random_search(small_params(), choices, 5, seed=1)
    assert five[:3] == three
    assert all(1e-4 <= v.schedule.learning_rate <= 1e-2 for v in five)
    assert len({v.schedule.learning_rate for v in five}) == 5
