"""Performance of a model, two models on one record, and the trial of a user's model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.audit.model_check import approve, completed_manifest, probe_model
from ecgxai_core.audit.model_quality import (
    NONE_CALLED,
    TOO_FEW,
    class_table,
    confusion_of,
    curve_tables,
    evaluate_quality,
    failure_table,
)
from ecgxai_core.errors import ModelError, RunError
from ecgxai_core.models.loading import draft_manifest
from ecgxai_core.models.manifest import load_manifest, manifest_path
from ecgxai_core.pipeline.compare import common_classes, map_agreement, probability_table
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.types import STANDARD_LEADS, Attribution, Prediction, Provenance
from tests.records.catalogues.test_catalogue import ptbxl_folder
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


def test_curves_and_scores_equal_scikit_learn(manifest):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    p = np.round(rng.random((60, 2)), 1).astype(np.float32)  # many ties
    labels = [(AF,) if yes else (SINUS,) for yes in rng.random(60) < p[:, 0]]
    quality = evaluate_quality(predictions(p, labels), manifest)
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


def test_records_without_labels_are_not_evaluated(manifest):
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], np.float32)
    quality = evaluate_quality(predictions(p, [(AF,), (SINUS,), None]), manifest)
    assert quality.evaluated.names == ("r0", "r1")
    with pytest.raises(RunError, match="no record has any"):
        evaluate_quality(predictions(p, [None] * 3), manifest)
    with pytest.raises(RunError, match="none is a class"):
        evaluate_quality(predictions(p, [("999999",)] * 3), manifest)


def test_equivalent_codes_are_scored_as_one(manifest):
    p = np.array([[0.9], [0.1]], np.float32)
    quality = evaluate_quality(predictions(p, [(OTHER,), (AF,)], classes=("713427006",)), manifest)
    assert quality.evaluated.truth[:, 0].tolist() == [True, False]


def test_the_most_extreme_failure_comes_first(manifest):
    p = np.array([[0.60, 0], [0.99, 0], [0.3, 0], [0.9, 0]], np.float32)
    labels = [(SINUS,), (SINUS,), (AF,), (AF,)]
    quality = evaluate_quality(predictions(p, labels), manifest)
    assert list(failure_table(quality, AF, "confidently_wrong")["record"]) == ["r1", "r2", "r0"]
    assert list(failure_table(quality, AF, "hesitantly_right")["record"]) == ["r3"]


def test_two_models_are_compared_on_equivalent_classes():
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


def test_map_agreement_does_not_depend_on_the_grid():
    weights = np.random.default_rng(0).normal(size=(12, 10))
    one = flat_map(weights, np.linspace(0, 10, 11))
    halves = flat_map(np.repeat(weights / 2, 2, axis=1), np.linspace(0, 10, 21))
    found = map_agreement(one, halves)
    assert found["spearman"] == pytest.approx(1.0, abs=1e-9)
    assert found["same_sign"] == 1.0
    assert found["shared"] == pytest.approx(1.0)
    opposite = map_agreement(one, flat_map(-weights, np.linspace(0, 10, 11)))
    assert opposite["spearman"] == pytest.approx(-1.0)
    assert opposite["same_sign"] == 0.0


def test_unexplored_cells_are_not_compared():
    weights = np.random.default_rng(0).normal(size=(12, 10))
    nothing = flat_map(weights, np.linspace(0, 10, 11), np.zeros((12, 10), bool))
    found = map_agreement(flat_map(weights, np.linspace(0, 10, 11)), nothing)
    assert found["shared"] == 0
    assert np.isnan(found["spearman"])
    assert np.isnan(found["same_sign"])


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


def test_a_draft_manifest_is_refused_until_it_is_complete(tmp_path):
    path = write_model(tmp_path)
    draft = draft_manifest(path)
    complete = answers([AF, SINUS])
    assert completed_manifest(draft, complete, "x").fs == FS
    for name in complete:
        partial = {key: value for key, value in complete.items() if key != name}
        with pytest.raises(ModelError, match="not filled in"):
            completed_manifest(draft, partial, "x")


def test_a_model_is_usable_only_if_the_trial_finds_no_problem(tmp_path):
    """If a random model is better than chance, it is worse with its columns swapped."""
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
    assert "no better than chance" in bad.problems[0]
    assert set(good.flat_line) == {AF, SINUS}
    with pytest.raises(RunError, match="no better than chance"):
        approve(bad, path)
    assert not manifest_path(path).exists()
    written = approve(good, path)
    assert load_manifest(written) == good.manifest
    assert json.loads(written.read_text("utf-8"))["source"] == "made here"


def test_a_trial_needs_records_with_and_without_a_class(tmp_path):
    path, data = write_model(tmp_path / "m"), write_data(tmp_path / "d", 1)
    manifest = completed_manifest(draft_manifest(path), answers([AF, SINUS]), "x")
    probe = probe_model(path, manifest, [data])
    assert not probe.usable
    assert "cannot be evaluated" in probe.problems[0]


def test_a_trial_finds_the_labels_that_a_data_set_keeps_in_a_table(tmp_path):
    """PTB-XL and LUDB have none in headers."""
    (tmp_path / "d").mkdir()
    path, data = write_model(tmp_path / "m"), ptbxl_folder(tmp_path / "d")
    manifest = completed_manifest(draft_manifest(path), answers([AF, SINUS]), "x")
    evaluated = probe_model(path, manifest, [data]).quality.evaluated
    assert evaluated.names == ("00001_lr", "00002_lr")
    assert evaluated.truth.tolist() == [[False, True], [True, False]]


def test_few_records_and_a_class_that_is_never_called_are_said(manifest):
    """Four positive records say nothing, however well they are ranked; an area of 1 is no proof."""
    p = np.array([[0.4, 0.9]] * 12 + [[0.1, 0.1]] * 30, np.float32)
    labels = [(AF, SINUS)] * 4 + [(SINUS,)] * 8 + [("270492004",)] * 30
    table = class_table(evaluate_quality(predictions(p, labels), manifest)).set_index("code")
    few, many = table.loc[AF], table.loc[SINUS]
    assert few["note"] == f"{NONE_CALLED}; {TOO_FEW}"
    assert np.isnan(few["AUROC low"])
    assert (many["note"], many["AUROC"], many["AUROC high"]) == ("", 1.0, 1.0)
    assert 0.85 < many["AUROC low"] < 0.99
    assert (few["found"], few["positive records"]) == (0, 4)
    assert (many["found"], many["positive records"]) == (12, 12)


def test_classes_that_are_missed_most_come_first(manifest):
    """Of five classes two are always found, one half the time and two never; classes that are found
    alike stand by the number of their records."""
    codes = (AF, SINUS, "270492004", "164909002", "713427006")
    counts, found = (3, 5, 2, 4, 6), (3, 5, 1, 0, 0)
    labels = [(code,) for code, n in zip(codes, counts, strict=True) for _ in range(n)]
    p = np.full((len(labels), len(codes)), 0.1, np.float32)
    start = 0
    for column, (n, own) in enumerate(zip(counts, found, strict=True)):
        p[start : start + own, column] = 0.9
        start += n
    table = class_table(evaluate_quality(predictions(p, labels, codes), manifest))
    assert list(table["code"]) == ["713427006", "164909002", "270492004", SINUS, AF]
    assert list(table["found"]) == [0, 0, 1, 5, 3]
