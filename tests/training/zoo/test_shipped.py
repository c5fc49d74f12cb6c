"""The models in ``assets/models`` are small, load safely, and perform as their cards state."""

from __future__ import annotations

import csv
import io
import lzma
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.models.loading import load_classifier
from ecgxai_core.records.catalogues.catalogue import open_catalogue
from ecgxai_core.records.catalogues.ptbxl import (
    SUPERCLASSES,
    parse_scp_codes,
    read_superclass_table,
    snomed_labels,
    superclass_labels,
)
from ecgxai_core.settings import assets_dir
from ecgxai_core.training.evaluation import predict_entries
from ecgxai_core.training.scores import auroc
from ecgxai_core.types import STANDARD_LEADS

AF, SINUS = "164889003", "426783006"
NAMES = ("ptbxl_resnet", "ptbxl_attention")


def folder(name: str) -> Path:
    return assets_dir() / "models" / name


@pytest.mark.parametrize("name", NAMES)
def test_each_model_is_small_and_has_a_complete_manifest(name: str) -> None:
    path = folder(name) / f"{name}.keras"
    assert path.stat().st_size < 4_000_000
    manifest = load_classifier(path).manifest
    assert (manifest.fs, manifest.samples, manifest.units) == (100.0, 1000, "mV")
    assert manifest.leads == STANDARD_LEADS
    assert manifest.classes[-5:] == SUPERCLASSES
    assert len(manifest.classes) == 28
    assert set(manifest.thresholds or {}) == set(manifest.classes)


@pytest.mark.parametrize("name", NAMES)
def test_each_card_is_complete(name: str) -> None:
    text = " ".join((folder(name) / "README.md").read_text(encoding="utf-8").split())
    parts = ("CC BY 4.0", "Scientific Data", "fold 10 was not used", "ecgxai train", "## Limits")
    assert [part for part in parts if part not in text] == []
    assert re.search(r"five superclasses \| 0\.9\d\d \(0\.9\d\d-0\.9\d\d\)", text)


@pytest.mark.data
def test_all_challenge_records_are_predicted_and_fibrillation_is_recognised(data_dir: Path) -> None:
    """500 Hz and 10 to 19 s become 100 Hz and 10 s; most sinus records were trained on."""
    catalogue = open_catalogue(data_dir / "cinc2020_sample")
    model = load_classifier(folder("ptbxl_resnet") / "ptbxl_resnet.keras")
    found = predict_entries(model, catalogue.entries)
    assert (len(found.entries), found.refused) == (50, ())
    truth = np.array([[AF in (entry.labels or ())] for entry in found.entries])
    assert auroc(truth, found.probabilities[:, [model.classes.index(AF)]])[0] >= 0.97


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_card_states_the_performance_on_fold_nine(name: str, data_dir: Path) -> None:
    source = data_dir / "ptbxl100"
    sys.path.insert(0, str(source))
    try:
        from unpack import load_fold  # the data set's own reader
    finally:
        sys.path.remove(str(source))
    ids, counts = load_fold(9)
    model = load_classifier(folder(name) / f"{name}.keras")
    truth = _truth(source, [int(number) for number in ids], model.classes)
    signals = np.ascontiguousarray(counts.transpose(0, 2, 1), np.float32) / np.float32(1000)
    each = auroc(truth, model.predict(signals))
    supers = np.isin(model.classes, SUPERCLASSES)
    text = (folder(name) / "README.md").read_text(encoding="utf-8")
    for title, value in (("five superclasses", each[supers].mean()), ("all outputs", each.mean())):
        written = re.search(rf"{title} \| (0\.\d+)", text)
        assert written is not None
        assert value == pytest.approx(float(written[1]), abs=6e-4), title
    assert each[supers].mean() >= {"ptbxl_resnet": 0.925, "ptbxl_attention": 0.915}[name]


def _truth(source: Path, ids: list[int], classes: tuple[str, ...]) -> np.ndarray:
    table = read_superclass_table(source / "scp_statements.csv")
    packed = (source / "ptbxl_database.csv.xz").read_bytes()
    labels = {}
    for row in csv.DictReader(io.StringIO(lzma.decompress(packed).decode("utf-8"))):
        codes = parse_scp_codes(row["scp_codes"])
        found = (*snomed_labels(codes, row["heart_axis"]), *superclass_labels(codes, table))
        labels[int(row["ecg_id"])] = set(found)
    return np.array([[name in labels[number] for name in classes] for number in ids])
