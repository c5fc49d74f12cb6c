"""ONNX files as models: every method where the graph can be rebuilt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ecgxai_core as ecgxai
from ecgxai_core.errors import ExplanationError, ModelError
from ecgxai_core.explainers import METHODS
from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.loading import draft_manifest, load_classifier
from ecgxai_core.models.manifest import manifest_from_json
from ecgxai_core.types import STANDARD_LEADS

pytest.importorskip("onnx", reason="needs the optional extra onnx")
pytest.importorskip("onnxruntime", reason="needs the optional extra onnx")

from ecgxai_core.models.onnx.runtime import OnnxClassifier
from tests.models.onnx.networks import NETWORKS, Net

CODES = ("164889003", "426783006", "164909002", "59118001", "270492004", "713427006")
SIGMOID = {"resnet1d_wang", "inception1d", "ribeiro", "leads_by_time"}


def written(folder: Path, name: str, data: bytes, samples: int, classes: int, output: str) -> Path:
    """A model file with its manifest, completed from the draft."""
    path = folder / f"{name}.onnx"
    path.write_bytes(data)
    draft = draft_manifest(path)
    assert len(draft["leads"]) == 12
    filled = {
        **draft, "classes": list(CODES[:classes]), "fs": 100.0, "samples": samples,
        "leads": list(STANDARD_LEADS), "units": "mV", "filter": None,
        "normalisation": {"kind": "none"}, "pad": "end_zero", "crop": "start", "output": output,
        "source": "random weights, for tests",
    }  # fmt: skip
    manifest_from_json(json.dumps(filled).encode(), path.name)
    path.with_suffix(".json").write_text(json.dumps(filled))
    return path


def odd() -> bytes:
    """A network with an operator that has no Keras layer here."""
    net = Net(samples=256)
    x = net.relu(net.conv("ecg", 8, 5))
    x = net.node("Sin", x)
    net.channels[x] = 8
    return net.ended(net.dense(net.flat(net.node("GlobalAveragePool", x)), 5), 5, "Sigmoid")


@pytest.mark.parametrize("name", NETWORKS)
def test_look_alikes_of_published_models_are_rebuilt(tmp_path, name):
    make, samples = NETWORKS[name]
    classes = 6 if name == "ribeiro" else 5
    kind = "probability" if name in SIGMOID else "logit"
    path = written(tmp_path, name, make(), samples, classes, kind)
    classifier = load_classifier(path)
    assert isinstance(classifier, KerasClassifier)
    row = np.random.default_rng(0).normal(size=(1, samples, 12)).astype(np.float32)
    assert classifier.predict(row).shape == (1, classes)
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=samples / 100)
    model = ecgxai.load_model(path)
    few = ["occlusion", "input_x_gradient", "timeshap", "grad_cam"]
    every = [method for method in METHODS if method != "attention"]  # it has no such outputs
    maps = ecgxai.explain(
        record, model, CODES[0], every if name == "resnet1d_wang" else few,
        window_sec=0.5, n_coalitions=32, n_lead_coalitions=16, top_events=2,
    )  # fmt: skip
    assert all(np.isfinite(item.weights[item.explored]).all() for item in maps.values())
    exact = engine_of(classifier).part is not None
    assert exact == (name in {"resnet1d_wang", "xresnet1d50", "inception1d", "leads_by_time"})


def test_what_cannot_be_rebuilt_runs_without_gradients(tmp_path):
    path = written(tmp_path, "odd", odd(), 256, 5, "probability")
    classifier = load_classifier(path)
    assert isinstance(classifier, OnnxClassifier)
    assert "Sin" in classifier.reason
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=2.56)
    model = ecgxai.load_model(path)
    maps = ecgxai.explain(record, model, CODES[0], "occlusion", window_sec=0.5)
    assert np.abs(maps["occlusion"].weights).max() > 0
    with pytest.raises(ExplanationError, match="only predicts"):
        ecgxai.explain(record, model, CODES[0], "input_x_gradient")


def test_a_network_that_is_random_at_prediction_is_refused(tmp_path):
    """ONNX Runtime leaves out dropout in training mode, but not what draws numbers itself."""
    net = Net(samples=256)
    x = net.relu(net.conv("ecg", 8, 5))
    x = net.node("Mul", x, net.node("RandomUniformLike", x))
    net.channels[x] = 8
    data = net.ended(net.dense(net.flat(net.node("GlobalAveragePool", x)), 5), 5, "Sigmoid")
    path = written(tmp_path, "random", data, 256, 5, "probability")
    with pytest.raises(ModelError, match="another result each time"):
        load_classifier(path)


def test_a_wrong_manifest_is_refused(tmp_path):
    make, samples = NETWORKS["ribeiro"]
    path = written(tmp_path, "ribeiro", make(), samples, 5, "probability")
    with pytest.raises(ModelError, match="classes"):
        load_classifier(path)
    path = written(tmp_path, "ribeiro", make(), samples + 1, 6, "probability")
    with pytest.raises(ModelError, match="samples"):
        load_classifier(path)
