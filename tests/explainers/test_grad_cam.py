"""Grad-CAM against a two-layer network on paper."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.grad_cam import cam_pp, find_layer
from ecgxai_core.explainers.method import stretched
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from tests.analytic import record
from tests.explainers.networks import (
    CLASSES,
    LEADS,
    OTHER,
    SAMPLES,
    TARGET,
    attentive,
    linear,
    loaded,
    residual,
)

PARAMS = ExplainParams(window_sec=0.25)
RECORD = record(2.0)


def two_layers(stride: int = 1, name: str = "conv"):
    """Convolution with ReLU, mean over time, one dense layer."""
    keras = import_keras()
    keras.utils.set_random_seed(9)
    given = keras.Input((SAMPLES, len(LEADS)))
    conv = keras.layers.Conv1D(5, 3, stride, padding="same", activation="relu", name=name)
    hidden = keras.layers.GlobalAveragePooling1D()(conv(given))
    return keras.Model(given, keras.layers.Dense(len(CLASSES), activation="sigmoid")(hidden))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return loaded(two_layers(), tmp_path_factory.mktemp("two"))


def features(classifier):
    """``float64[sample, feature]``: the convolution written out."""
    kernel, bias = (
        np.asarray(w, np.float64) for w in classifier.keras_model.layers[1].get_weights()
    )
    values = prepare(RECORD, classifier.manifest).values.astype(np.float64)
    padded = np.pad(values, ((1, 1), (0, 0)))
    rows = [np.einsum("kl,klf->f", padded[t : t + 3], kernel) for t in range(SAMPLES)]
    return np.maximum(np.stack(rows) + bias, 0)


def in_cells(curve):
    """A curve of all leads as cells: shared evenly among three leads."""
    return np.repeat(curve.reshape(8, 25).sum(axis=1)[None] / 3, 3, axis=0)


@pytest.mark.parametrize("contrast", [None, OTHER])
def test_grad_cam_on_paper(two, contrast):
    """The gradient at every place is the dense weight over the number of places."""
    dense = np.asarray(two.keras_model.layers[-1].kernel, np.float64)
    weight = dense[:, 1] - (dense[:, 0] if contrast else 0)
    curve = np.maximum(features(two) @ (weight / SAMPLES), 0)
    found = explain(Case(RECORD, two, TARGET), "grad_cam", PARAMS.updated(contrast=contrast))
    assert found.weights.max() > 0
    assert np.allclose(found.weights, in_cells(curve), rtol=1e-4, atol=1e-9)
    assert found.diagnostics["lead_axis"] is False
    assert found.diagnostics["layer"] == "conv"


def test_grad_cam_pp_on_paper(two):
    g = np.asarray(two.keras_model.layers[-1].kernel, np.float64)[:, 1] / SAMPLES
    a = features(two)
    weight = np.zeros(5)
    for k in range(5):
        alpha = g[k] ** 2 / (2 * g[k] ** 2 + a[:, k].sum() * g[k] ** 3)
        weight[k] = SAMPLES * alpha * max(g[k], 0)
    found = explain(Case(RECORD, two, TARGET), "grad_cam_pp", PARAMS)
    assert found.weights.max() > 0
    assert np.allclose(found.weights, in_cells(np.maximum(a @ weight, 0)), rtol=1e-4, atol=1e-9)


def test_grad_cam_pp_gives_no_weight_where_it_is_undefined():
    assert np.array_equal(cam_pp(np.ones((4, 2)), np.zeros((4, 2))), np.zeros(4))


def test_coarser_layers_are_stretched_over_the_record():
    assert np.allclose(stretched(np.array([1.0, 3.0]), 4), [1, 1.5, 2.5, 3])
    line = stretched(np.arange(50.0), 200)
    assert np.allclose(line[2:-2], (np.arange(200)[2:-2] + 0.5) / 4 - 0.5)
    assert stretched(np.arange(6.0).reshape(3, 2), 7).shape == (7, 2)


def test_stride_keeps_events_in_their_place(tmp_path):
    """One spike: the map has its largest cell there, at any stride."""
    signal = np.zeros_like(RECORD.signal)
    signal[:, 130:134] = 2.0
    spike = type(RECORD)("spike", signal, RECORD.fs, RECORD.leads)
    for stride in (1, 4):
        classifier = loaded(two_layers(stride), tmp_path)
        found = explain(Case(spike, classifier, TARGET), "grad_cam", PARAMS).event_values
        assert found.max() > 0
        assert int(np.argmax(found)) == 5


def test_default_is_the_last_convolution_with_its_block(tmp_path):
    classifier = loaded(residual(), tmp_path)
    assert find_layer(classifier, None, "R")[0] == "sum_relu"
    assert find_layer(classifier, "last", "R")[0] == "last"
    found = {
        layer: explain(
            Case(RECORD, classifier, TARGET), "grad_cam", PARAMS.updated(cam_layer=layer)
        )
        for layer in (None, "last", "stem")
    }
    assert [item.diagnostics["moments"] for item in found.values()] == [100, 100, 200]
    assert not np.allclose(found[None].weights, found["last"].weights)


def test_leads_kept_apart_give_a_lead_axis(tmp_path):
    names = {"probability": "probability", "attention": ("temporal_attention", "lead_attention")}
    found = explain(
        Case(RECORD, loaded(attentive(), tmp_path, outputs=names), TARGET), "grad_cam", PARAMS
    )
    assert found.diagnostics["lead_axis"] is True
    assert np.ptp(found.weights, axis=0).max() > 0


def test_refusals(two, tmp_path):
    with pytest.raises(ExplanationError, match="no convolution"):
        explain(Case(RECORD, loaded(linear(), tmp_path), TARGET), "grad_cam", PARAMS)
    with pytest.raises(ExplanationError, match=r"no layer 'nope'.*convolutions: conv"):
        explain(Case(RECORD, two, TARGET), "grad_cam", PARAMS.updated(cam_layer="nope"))
    last = two.keras_model.layers[-1].name
    with pytest.raises(ExplanationError, match="no time axis"):
        explain(Case(RECORD, two, TARGET), "grad_cam_pp", PARAMS.updated(cam_layer=last))
