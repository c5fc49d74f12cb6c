"""Relevance propagation against rules written out, input x gradient, and conservation."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers import explain
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
    smooth,
)

PARAMS = ExplainParams(window_sec=0.25)
RECORD = record(2.0)
ROWS = [LEADS.index(lead) for lead in ("I", "II", "V2")]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return loaded(residual(), tmp_path_factory.mktemp("residual"), temperature=1.3)


def two_layers(bias: float):
    keras = import_keras()
    keras.utils.set_random_seed(6)
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = keras.layers.Conv1D(4, 3, activation="relu", padding="valid")(given)
    hidden = keras.layers.Flatten()(hidden)
    model = keras.Model(given, keras.layers.Dense(len(CLASSES), activation="sigmoid")(hidden))
    for layer in (model.layers[1], model.layers[-1]):
        kernel, zero = layer.get_weights()
        layer.set_weights([kernel, zero + bias])
    return model


def as_matrix(kernel):
    """The convolution as ``float64[sample x lead, place x feature]``."""
    size, leads, features = kernel.shape
    places = SAMPLES - size + 1
    matrix = np.zeros((SAMPLES, leads, places, features))
    for place in range(places):
        matrix[place : place + size, :, place, :] = kernel
    return matrix.reshape(SAMPLES * leads, places * features)


def written_out(classifier, gamma, epsilon):
    """Both layers unit by unit, as the formulas stand in the papers."""
    (conv, conv_bias), (dense, dense_bias) = (
        [np.asarray(w, np.float64) for w in layer.get_weights()]
        for layer in (classifier.keras_model.layers[1], classifier.keras_model.layers[-1])
    )
    matrix = as_matrix(conv)
    bias = np.tile(conv_bias, SAMPLES - 2)
    x = prepare(RECORD, classifier.manifest).values.astype(np.float64).ravel()
    z = x @ matrix + bias
    hidden = np.maximum(z, 0)
    relevance = hidden * dense[:, 1]  # the last logit is divided exactly
    found = np.zeros_like(x)
    raised = []
    for k in range(len(z)):
        w = matrix[:, k]
        same = np.where(z[k] >= 0, np.maximum(w, 0), np.minimum(w, 0))
        other = w - same
        part = np.where(x > 0, x * (w + gamma * same), x * (w + gamma * other))
        below = part.sum() + bias[k] + gamma * max(bias[k] * np.sign(z[k]), 0) * np.sign(z[k])
        raised.append((part, below))
    size = {s: epsilon * np.mean([abs(b) for _, b in raised]) for s in (1,)}[1]
    del dense_bias
    for k, (part, below) in enumerate(raised):
        found += part / (below + np.copysign(size, below)) * relevance[k]
    return found.reshape(8, 25, len(LEADS)).sum(axis=1).T[ROWS]


@pytest.mark.parametrize(("rule", "gamma"), [("epsilon", 0.0), ("gamma", 0.25), ("gamma", 2.0)])
def test_two_layers_written_out(tmp_path, rule, gamma):
    classifier = loaded(two_layers(0.1), tmp_path)
    params = PARAMS.updated(lrp_rule=rule, lrp_gamma=gamma, lrp_epsilon=0.0)
    found = explain(Case(RECORD, classifier, TARGET), "lrp", params)
    expected = written_out(classifier, gamma, 0.0)
    assert np.allclose(found.weights, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_stabiliser_written_out(tmp_path):
    classifier = loaded(two_layers(0.1), tmp_path)
    params = PARAMS.updated(lrp_rule="epsilon", lrp_epsilon=0.2)
    found = explain(Case(RECORD, classifier, TARGET), "lrp", params)
    expected = written_out(classifier, 0.0, 0.2)
    assert np.allclose(found.weights, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert abs(found.diagnostics["relevance_of_stabiliser"]) > 0


@pytest.mark.parametrize("contrast", [None, OTHER])
def test_epsilon_rule_without_epsilon_is_input_x_gradient(network, contrast):
    """Ancona et al. 2018, on a network with every layer that there is a rule for."""
    params = PARAMS.updated(lrp_rule="epsilon", lrp_epsilon=0.0, contrast=contrast)
    one = explain(Case(RECORD, network, TARGET), "lrp", params)
    two = explain(Case(RECORD, network, TARGET), "input_x_gradient", params)
    assert np.abs(two.weights).max() > 1e-4
    assert np.allclose(one.weights, two.weights, rtol=1e-3, atol=1e-3 * np.abs(two.weights).max())


def test_normalised_leads_are_counted_from_the_models_own_zero(tmp_path):
    """Of one dense layer: x times weight, in model units; 0 mV lies at -mean / scale there."""
    mean, scale = 0.2, 0.5
    given = {"kind": "given", "mean": mean, "scale": scale}
    classifier = loaded(linear(), tmp_path, normalisation=given)
    params = PARAMS.updated(lrp_rule="epsilon", lrp_epsilon=0.0)
    found = explain(Case(RECORD, classifier, TARGET), "lrp", params)
    product = explain(Case(RECORD, classifier, TARGET), "input_x_gradient", PARAMS)
    kernel, _ = classifier.keras_model.layers[-1].get_weights()
    weight = kernel[:, CLASSES.index(TARGET)].reshape(SAMPLES, len(LEADS))
    shown = prepare(RECORD, classifier.manifest).values
    own = (shown * weight).reshape(-1, round(0.25 * 100), len(LEADS)).sum(axis=1).T
    step = (mean / scale * weight).reshape(-1, round(0.25 * 100), len(LEADS)).sum(axis=1).T
    order = [LEADS.index(lead) for lead in found.leads]
    assert np.allclose(found.weights, own[order], atol=1e-4)
    assert np.allclose(product.weights - found.weights, step[order], atol=1e-4)
    assert found.diagnostics["reference"] == "0 of the model input"
    assert set(found.diagnostics["zero_mv"]) == set(LEADS)
    assert list(found.diagnostics["zero_mv"].values()) == pytest.approx([-0.4] * len(LEADS))


@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 0.1])
def test_every_bit_of_relevance_is_accounted_for(network, rule, epsilon):
    params = PARAMS.updated(lrp_rule=rule, lrp_epsilon=epsilon)
    found = explain(Case(RECORD, network, TARGET), "lrp", params)
    facts = found.diagnostics
    p = found.probability
    assert facts["value"] == pytest.approx(np.log(p / (1 - p)), abs=1e-5)
    assert facts["conservation_gap"] < 1e-6
    assert facts["share_of_biases"] == facts["relevance_of_biases"] / facts["value"]
    off = abs(found.weights.sum() - facts["value"]) / abs(facts["value"])
    assert facts["map_gap"] == pytest.approx(off, rel=1e-3, abs=1e-6)
    kept = facts["relevance_of_biases"] + facts["relevance_of_stabiliser"]
    assert found.weights.sum() + kept == pytest.approx(facts["value"], rel=1e-4, abs=1e-5)
    assert facts["link"] == "logit"


@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_without_biases_the_map_adds_up_to_the_logit(tmp_path, rule):
    classifier = loaded(two_layers(0.0), tmp_path)
    params = PARAMS.updated(lrp_rule=rule, lrp_epsilon=0.0)
    found = explain(Case(RECORD, classifier, TARGET), "lrp", params)
    assert found.weights.sum() == pytest.approx(found.diagnostics["value"], rel=1e-4)


def test_gamma_favours_what_speaks_for(network):
    low = explain(Case(RECORD, network, TARGET), "lrp", PARAMS.updated(lrp_gamma=0.0)).weights
    plain = explain(
        Case(RECORD, network, TARGET), "lrp", PARAMS.updated(lrp_rule="epsilon")
    ).weights
    high = explain(Case(RECORD, network, TARGET), "lrp", PARAMS.updated(lrp_gamma=10.0)).weights
    assert np.allclose(low, plain, rtol=1e-3, atol=1e-6)
    assert not np.allclose(high, plain, rtol=0.1)


def test_layers_without_a_rule_are_refused(tmp_path):
    with pytest.raises(ExplanationError, match=r"Conv1D.*activation 'tanh'"):
        explain(Case(RECORD, loaded(smooth(), tmp_path), TARGET), "lrp", PARAMS)
    names = {"probability": "probability", "attention": ("temporal_attention", "lead_attention")}
    classifier = loaded(attentive(), tmp_path, outputs=names)
    with pytest.raises(ExplanationError, match="LRP covers convolutions, BatchNormalization"):
        explain(Case(RECORD, classifier, TARGET), "lrp", PARAMS)
