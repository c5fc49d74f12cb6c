"""How good a model is, two models on one record, and the trial of one's own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import ModelError, RunError
from ecgxai_core.models.draft import draft_manifest
from ecgxai_core.models.manifest import load_manifest, manifest_path
from ecgxai_core.pipeline.model_quality import (
    class_table,
    confusion_of,
    curve_tables,
    failure_table,
    judge_model,
    precision_recall_curve,
)
from ecgxai_core.pipeline.prediction import Predictions, RecordInfo
from ecgxai_core.pipeline.probe import approve, completed_manifest, probe_model, resolved_class
from ecgxai_core.pipeline.two_models import common_classes, map_agreement, probability_table
from ecgxai_core.types import STANDARD_LEADS, Attribution, Prediction, Provenance
from tests.small import AF, FS, SINUS, write_data, write_model

OTHER = "59118001"  # right bundle branch block, scored as 713427006


def predictions(p: np.ndarray, labels: list, classes=(AF, SINUS)) -> Predictions:
    infos = tuple(
        RecordInfo(Path(f"r{i}.hea"), f"r{i}", f"d{i}", 10.0, given, False, ())
        for i, given in enumerate(labels)
    )
    values = tuple(Prediction(i.name, classes, row, i.digest, "m") for i, row in zip(infos, p))  # noqa: B905
    return Predictions(infos, values, classes, ())


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return load_manifest(manifest_path(write_model(tmp_path_factory.mktemp("m"))))


def test_curves_are_those_of_scikit_learn(manifest):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    p = np.round(rng.random((60, 2)), 1).astype(np.float32)  # many ties
    labels = [(AF,) if yes else (SINUS,) for yes in rng.random(60) < p[:, 0]]
    quality = judge_model(predictions(p, labels), manifest, n_bootstrap=20)
    truth = np.array([AF in given for given in labels])
    score = p[:, 0].astype(np.float64)
    tables = curve_tables(quality, AF)
    false, true, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    assert np.allclose(tables["roc"].to_numpy(), np.column_stack([false, true]))
    precision, recall, _ = metrics.precision_recall_curve(truth, score)
    ours = tables["precision_recall"].to_numpy()
    assert np.allclose(ours, np.column_stack([recall[:-1], precision[:-1]])[::-1])
    row = class_table(quality).set_index("code").loc[AF]
    assert row["AUROC"] == pytest.approx(metrics.roc_auc_score(truth, score))
    assert row["AUROC low"] <= row["AUROC"] <= row["AUROC high"]
    counts = confusion_of(quality, AF)
    tn, fp, fn, tp = metrics.confusion_matrix(truth, score >= 0.5).ravel()
    assert list(counts.values()) == [tp, fp, fn, tn]
    assert tables["calibration"]["records"].sum() == 60


def test_no_positives_no_precision():
    recall, precision = precision_recall_curve(np.zeros(4, bool), np.linspace(0, 1, 4))
    assert len(recall) == len(precision) == 0


def test_records_without_labels_do_not_count(manifest):
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], np.float32)
    quality = judge_model(predictions(p, [(AF,), (SINUS,), None]), manifest, n_bootstrap=0)
    assert quality.judged.names == ("r0", "r1")
    with pytest.raises(RunError, match="no record has any"):
        judge_model(predictions(p, [None] * 3), manifest)
    with pytest.raises(RunError, match="none is a class"):
        judge_model(predictions(p, [("999999",)] * 3), manifest)


def test_codes_scored_as_one_are_one(manifest):
    p = np.array([[0.9], [0.1]], np.float32)
    quality = judge_model(
        predictions(p, [(OTHER,), (AF,)], classes=("713427006",)), manifest, n_bootstrap=0
    )
    assert quality.judged.truth[:, 0].tolist() == [True, False]


def test_the_most_telling_failure_comes_first(manifest):
    p = np.array([[0.60, 0], [0.99, 0], [0.3, 0], [0.9, 0]], np.float32)
    labels = [(SINUS,), (SINUS,), (AF,), (AF,)]
    quality = judge_model(predictions(p, labels), manifest, n_bootstrap=0)
    assert list(failure_table(quality, AF, "confidently_wrong")["record"]) == ["r1", "r2", "r0"]
    assert list(failure_table(quality, AF, "hesitantly_right")["record"]) == ["r3"]


def test_two_models_share_what_means_the_same():
    assert common_classes((AF, "713427006"), (SINUS, OTHER, AF)) == {AF: AF, "713427006": OTHER}
    first = Prediction("r", (AF, "713427006"), np.array([0.9, 0.2]), "d", "a")
    second = Prediction("r", (OTHER, AF), np.array([0.6, 0.7]), "d", "b")
    table = probability_table(first, second, ({}, {AF: 0.8})).set_index("code")
    assert table.loc["713427006", "second"] == pytest.approx(0.6)
    assert table["same decision"].to_dict() == {AF: "no", "713427006": "no"}


def flat_map(weights: np.ndarray, edges: np.ndarray, explored=None) -> Attribution:
    seen = np.ones(weights.shape, bool) if explored is None else explored
    where = Provenance("d", "m", {}, 0, "v")
    return Attribution(
        "r", AF, "lime", 0.9, STANDARD_LEADS, edges, weights.astype(np.float32), seen, where
    )


def test_agreement_of_maps_does_not_depend_on_the_grid():
    weights = np.random.default_rng(0).normal(size=(12, 10))
    one = flat_map(weights, np.linspace(0, 10, 11))
    halves = flat_map(np.repeat(weights / 2, 2, axis=1), np.linspace(0, 10, 21))
    found = map_agreement(one, halves)
    assert found["spearman"] == pytest.approx(1.0, abs=1e-9)
    assert found["same_sign"] == 1.0
    assert found["shared"] == pytest.approx(1.0)
    against = map_agreement(one, flat_map(-weights, np.linspace(0, 10, 11)))
    assert against["spearman"] == pytest.approx(-1.0)
    assert against["same_sign"] == 0.0


def test_what_one_map_did_not_explore_is_not_compared():
    weights = np.random.default_rng(0).normal(size=(12, 10))
    nothing = flat_map(weights, np.linspace(0, 10, 11), np.zeros((12, 10), bool))
    found = map_agreement(flat_map(weights, np.linspace(0, 10, 11)), nothing)
    assert found["shared"] == 0
    assert np.isnan(found["spearman"])
    assert np.isnan(found["same_sign"])


@pytest.mark.parametrize(
    ("text", "code"),
    [(AF, AF), ("AF", AF), (" atrial   fibrillation ", AF), ("af", AF), ("nonsense", "nonsense")],
)
def test_names_and_abbreviations_become_codes(text, code):
    assert resolved_class(text) == code


def answers(classes: list[str]) -> dict:
    return {
        "classes": classes,
        "fs": float(FS),
        "leads": list(STANDARD_LEADS),
        "units": "mV",
        "filter": None,
        "normalisation": {"kind": "none"},
        "pad": "end_zero",
        "crop": "start",
        "source": "made here",
    }


def test_a_draft_stays_refused_until_all_is_answered(tmp_path):
    path = write_model(tmp_path)
    draft = draft_manifest(path)
    complete = answers([AF, SINUS])
    assert completed_manifest(draft, complete, "x").fs == FS
    for name in complete:
        partial = {key: value for key, value in complete.items() if key != name}
        with pytest.raises(ModelError, match="not filled in"):
            completed_manifest(draft, partial, "x")


def test_a_trial_decides_whether_a_model_may_be_used(tmp_path):
    """The random model ranks one way; with its columns swapped it is worse than guessing."""
    path, data = write_model(tmp_path / "m"), write_data(tmp_path / "d", 8)
    manifest_path(path).unlink()
    draft = draft_manifest(path)
    probes = [
        probe_model(path, completed_manifest(draft, answers(order), "x"), [data])
        for order in ([AF, SINUS], [SINUS, AF])
    ]
    areas = [class_table(probe.quality)["AUROC"].mean() for probe in probes]
    assert areas[0] + areas[1] == pytest.approx(1.0)
    good, bad = (probes[0], probes[1]) if areas[0] > areas[1] else (probes[1], probes[0])
    assert good.usable
    assert not bad.usable
    assert "no better than guessing" in bad.problems[0]
    assert set(good.flat_line) == {AF, SINUS}
    with pytest.raises(RunError, match="no better than guessing"):
        approve(bad, path)
    assert not manifest_path(path).exists()
    written = approve(good, path)
    assert load_manifest(written) == good.manifest
    assert json.loads(written.read_text("utf-8"))["source"] == "made here"


def test_a_trial_needs_records_of_both_kinds(tmp_path):
    path, data = write_model(tmp_path / "m"), write_data(tmp_path / "d", 1)
    manifest = completed_manifest(draft_manifest(path), answers([AF, SINUS]), "x")
    probe = probe_model(path, manifest, [data])
    assert not probe.usable
    assert "nothing can be judged" in probe.problems[0]
