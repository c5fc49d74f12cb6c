"""Gradient methods against weights on paper, finite differences and completeness."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import DiagnosisError, ExplanationError, ParameterError
from ecgxai_core.explainers import explain
from ecgxai_core.games.links import to_link
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from tests.analytic import Analytic, record
from tests.explainers.networks import CLASSES, LEADS, OTHER, SAMPLES, TARGET, linear, loaded, smooth

PARAMS = ExplainParams(window_sec=0.25)
RECORD = record(2.0)
ROWS = [LEADS.index(lead) for lead in ("I", "II", "V2")]
GRADIENTS = ("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    return loaded(linear(), tmp_path_factory.mktemp("linear"), temperature=2.0)


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    return loaded(smooth(), tmp_path_factory.mktemp("smooth"))


def by_cell(samples):
    """Sums of ``[sample, model lead]`` over quarters of a second, leads in standard order."""
    return samples.reshape(8, 25, len(LEADS)).sum(axis=1).T[ROWS]


def weights_of(classifier, code=TARGET):
    kernel = np.asarray(classifier.keras_model.layers[-1].kernel, np.float64)
    return (
        kernel[:, CLASSES.index(code)].reshape(SAMPLES, len(LEADS))
        / classifier.manifest.temperature
    )


def seen(classifier):
    return prepare(RECORD, classifier.manifest).values.astype(np.float64)


def log_odds(classifier, values, code=TARGET):
    p = classifier.predict(np.asarray(values, np.float32))[:, classifier.classes.index(code)]
    return to_link(p, "logit")


def test_linear_network_gives_its_weights(line):
    kernel, values = weights_of(line), seen(line)
    expected = {
        "saliency": np.abs(kernel),
        "input_x_gradient": kernel * values,
        "integrated_gradients": kernel * values,
        "smoothgrad": np.abs(kernel),
    }
    for method, samples in expected.items():
        found = explain(Case(RECORD, line, TARGET), method, PARAMS)
        assert found.leads == ("I", "II", "V2")
        assert found.explored.all()
        assert np.allclose(found.weights, by_cell(samples), rtol=1e-4, atol=1e-6), method
        assert np.allclose(found.event_values, by_cell(samples).sum(axis=0), rtol=1e-4, atol=1e-6)


def test_evidence_against_another_class_is_the_difference_of_weights(line):
    kernel = weights_of(line) - weights_of(line, OTHER)
    for method in ("input_x_gradient", "integrated_gradients"):
        found = explain(Case(RECORD, line, TARGET), method, PARAMS.updated(contrast=OTHER))
        assert np.allclose(found.weights, by_cell(kernel * seen(line)), rtol=1e-4, atol=1e-5)
        assert found.provenance.params["contrast"] == OTHER
        assert found.diagnostics["contrast"] == OTHER
        assert found.probability == pytest.approx(line.predict(seen(line).astype("f4")[None])[0, 1])


def test_saliency_is_what_finite_differences_say(curve):
    values, step = seen(curve), 0.02
    moved = np.repeat(values[None], 2 * 40, axis=0)
    places = np.random.default_rng(0).choice(SAMPLES * len(LEADS), 40, replace=False)
    for i, place in enumerate(places):
        moved[2 * i].flat[place] += step
        moved[2 * i + 1].flat[place] -= step
    odds = log_odds(curve, moved)
    expected = (odds[::2] - odds[1::2]) / (2 * step)
    fine = PARAMS.updated(window_sec=0.02)  # two samples a cell
    found = explain(Case(RECORD, curve, TARGET), "saliency", fine).weights
    signed = explain(Case(RECORD, curve, TARGET), "input_x_gradient", fine).weights
    assert found.shape == (3, SAMPLES // 2)
    from ecgxai_core.explainers.differentiable import Differentiable

    whole = Differentiable(curve, (1, 1), 0.0, "logit").gradients(values.astype(np.float32)[None])
    assert np.allclose(whole[1][0].flat[places], expected, atol=2e-4)
    gradient = whole[1][0].astype(np.float64)
    pairs = gradient.reshape(-1, 2, len(LEADS))
    assert np.allclose(found, np.abs(pairs).sum(axis=1).T[ROWS], rtol=1e-4)
    times = (gradient * values).reshape(-1, 2, len(LEADS)).sum(axis=1)
    assert np.allclose(signed, times.T[ROWS], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("baseline", ["zero", "mean", "linear"])
@pytest.mark.parametrize("link", ["logit", "probability"])
def test_integrated_gradients_are_complete(curve, baseline, link):
    params = PARAMS.updated(baseline=baseline, link=link, ig_steps=8)
    found = explain(Case(RECORD, curve, TARGET), "integrated_gradients", params)
    worth = to_link(np.array([found.probability]), link) - to_link(
        np.array([found.diagnostics["baseline_probability"]]), link
    )
    assert found.diagnostics["converged"]
    assert found.diagnostics["completeness_gap"] <= 0.01
    assert found.weights.sum(dtype=np.float64) == pytest.approx(worth[0], rel=0.01, abs=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("end", ["dense", "layer", "nested", "hidden"])
def test_value_is_the_log_odds_whatever_the_network_ends_in(tmp_path, activation, end):
    """In a dense layer, in a layer of its own, in a nested network, or behind another layer: there
    the probability is inverted."""
    import keras

    from ecgxai_core.explainers.differentiable import Differentiable, pre_activation

    if end == "dense":
        model = smooth(activation)
    else:
        inner = smooth(None)
        closing = (
            keras.layers.Softmax()
            if activation == "softmax"
            else keras.layers.Activation("sigmoid")
        )
        given = keras.Input((SAMPLES, len(LEADS)))
        if end == "nested":
            model = keras.Model(given, keras.Sequential([inner, closing])(given))
        else:
            last = closing(inner.outputs[0])
            if end == "hidden":
                last = keras.layers.Reshape((int(last.shape[-1]),))(last)
            model = keras.Model(inner.inputs, last)
    classifier = loaded(model, tmp_path, temperature=1.7)
    assert pre_activation(classifier)[2] == ("probability" if end == "hidden" else "pre-activation")
    values = seen(classifier).astype(np.float32)[None]
    for pair, sign in (((1, 1), 0.0), ((1, 0), -1.0)):
        found, _ = Differentiable(classifier, pair, sign, "logit").gradients(values)
        expected = log_odds(classifier, values) + sign * log_odds(
            classifier, values, CLASSES[pair[1]]
        )
        assert found[0] == pytest.approx(expected[0], abs=2e-5)


def test_saturated_prediction_still_has_a_gradient(tmp_path):
    model = linear()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + 40])
    classifier = loaded(model, tmp_path)
    found = explain(Case(RECORD, classifier, TARGET), "saliency", PARAMS)
    assert found.probability == 1
    assert np.allclose(found.weights, by_cell(np.abs(weights_of(classifier))), rtol=1e-4)


def test_normalised_input_is_counted_from_0_mv(tmp_path):
    """The same network in other units: the map does not change."""
    plain = loaded(linear(), tmp_path)
    model = linear()
    kernel, bias = model.layers[-1].get_weights()
    scale, mean = 0.5, 0.2
    shift = mean * kernel.sum(axis=0)
    model.layers[-1].set_weights([kernel * scale, bias + shift])
    given = {"kind": "given", "mean": mean, "scale": scale}
    scaled = loaded(model, tmp_path, normalisation=given)
    for method in ("input_x_gradient", "integrated_gradients"):
        one = explain(Case(RECORD, plain, TARGET), method, PARAMS)
        two = explain(Case(RECORD, scaled, TARGET), method, PARAMS)
        assert one.probability == pytest.approx(two.probability, abs=1e-5)
        assert np.allclose(one.weights, two.weights, atol=1e-5)


def test_padding_carries_nothing(curve):
    short = record(1.5)
    found = explain(Case(short, curve, TARGET), "integrated_gradients", PARAMS)
    assert found.edges_sec[-1] == pytest.approx(1.5)
    assert found.diagnostics["completeness_gap"] <= 0.01


def test_smoothgrad_follows_its_seed_and_nothing_else(curve):
    def weights(of=RECORD, **changes):
        return explain(Case(of, curve, TARGET), "smoothgrad", PARAMS.updated(**changes)).weights

    plain = weights()
    assert not np.array_equal(plain, weights(seed=1))
    assert np.array_equal(plain, weights(of=record(2.0, name="another name"), n_coalitions=99))
    gradient = explain(Case(RECORD, curve, TARGET), "saliency", PARAMS).weights
    assert np.allclose(weights(noise_level=1e-4), gradient, rtol=1e-2)
    assert not np.allclose(weights(noise_level=1.0), gradient, rtol=1e-2)


@pytest.mark.parametrize("method", GRADIENTS)
def test_refuses_what_cannot_be_differentiated(method):
    with pytest.raises(ExplanationError, match="Keras network, and Analytic only predicts"):
        explain(Case(record(5.0), Analytic(lambda x: x[:, 0, 0]), TARGET), method, PARAMS)


def test_class_to_stand_against_must_be_another_output(line):
    with pytest.raises(ParameterError, match="is the target itself"):
        explain(Case(RECORD, line, TARGET), "saliency", PARAMS.updated(contrast=TARGET))
    with pytest.raises(DiagnosisError, match="no such output"):
        explain(Case(RECORD, line, TARGET), "saliency", PARAMS.updated(contrast="1"))


def test_compiled_gradients_do_not_keep_a_classifier_alive(tmp_path):
    classifier = loaded(linear(), tmp_path)
    explain(Case(RECORD, classifier, TARGET), "saliency", PARAMS)
    seen_before = weakref.ref(classifier)
    del classifier
    gc.collect()
    assert seen_before() is None
