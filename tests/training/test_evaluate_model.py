"""Evaluating a classifier on a catalogue."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.records.catalogues.catalogue import Catalogue, Entry, open_catalogue
from ecgxai_core.records.write import write_record
from ecgxai_core.training.evaluation import evaluate_model, save_report
from ecgxai_core.training.runs import read_json
from ecgxai_core.types import STANDARD_LEADS, Float32Array
from tests.small import beats

CLASSES = ("713427006", "164889003", "NORM")


class Rate:
    """A classifier whose probabilities follow the mean amplitude."""

    digest = "0" * 64
    classes = CLASSES
    manifest = Manifest(
        classes=CLASSES,
        fs=100.0,
        samples=600,
        leads=STANDARD_LEADS,
        units="mV",
        pad="end_zero",
        crop="start",
        output="probability",
        source="test",
        sha256="0" * 64,
        thresholds={"713427006": 0.3},
    )

    def predict(self, values: Float32Array) -> Float32Array:
        move = np.tanh(np.abs(values).mean(axis=(1, 2)) * 2)
        return np.stack([move, 1 - move, move / 2], axis=1).astype(np.float32)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    entries = []
    for i in range(10):
        fast = i % 2 == 0
        signal = beats(150 if fast else 50, i)[:, :600]
        write_record(tmp_path, f"r{i}", signal, 100.0, STANDARD_LEADS)
        # 59118001 (RBBB) is scored as complete RBBB, the model's first class.
        labels = ("59118001",) if fast else ("164889003",)
        path = tmp_path / f"r{i}.hea"
        entries.append(Entry(f"r{i}", path, f"p{i}", labels, fold=1 + i // 5))
    entries.append(Entry("gone", tmp_path / "gone.hea", "p", ("164889003",), fold=1))
    entries.append(Entry("nolabel", tmp_path / "r0.hea", "p", None, fold=1))
    return Catalogue("test", tuple(entries), fs=100.0)


def test_aliases_count_and_unlabelled_classes_do_not(catalogue: Catalogue, tmp_path: Path) -> None:
    report = evaluate_model(Rate(), catalogue, n_bootstrap=20)
    assert report.evaluated.classes == ("713427006", "164889003")
    assert report.refused == ("gone",)
    assert report.results["records"] == 10
    assert report.results["per_class"]["713427006"]["auroc"] == 1.0
    assert report.evaluated.thresholds.tolist() == [0.3, 0.5]
    folder = save_report(report, tmp_path / "out")
    assert read_json(folder / "results.json")["macro"]["auroc"] == 1.0
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    assert [row["record"] for row in rows] == list(report.evaluated.names)
    assert "Reliability" in (folder / "evaluation.html").read_text(encoding="utf-8")


def test_a_record_whose_header_cannot_be_read_is_named(tmp_path: Path) -> None:
    for i in range(4):
        labels = [CLASSES[i % 2]]
        write_record(tmp_path, f"r{i}", beats(60, i)[:, :600], 100.0, STANDARD_LEADS, labels=labels)
    (tmp_path / "bad.hea").write_text("nonsense\n")
    report = evaluate_model(Rate(), open_catalogue(tmp_path), n_bootstrap=0)
    assert report.refused == ("bad",)
    assert report.results["refused"] == ["bad"]
    assert report.results["records"] == 4


def test_thresholds_come_from_the_tuning_folds(catalogue: Catalogue) -> None:
    report = evaluate_model(Rate(), catalogue, folds=[2], tune_folds=[1], n_bootstrap=0)
    assert report.results["records"] == 5
    assert report.results["macro"]["f1"] == 1.0
    with pytest.raises(RunError, match="no labelled record"):
        evaluate_model(Rate(), catalogue, folds=[7])
