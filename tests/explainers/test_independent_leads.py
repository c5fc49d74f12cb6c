"""Derived leads follow I and II, whichever method asks; where they cannot, that is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import METHODS, explain, explain_many, params_for
from ecgxai_core.fusion import fuse
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.params import ExplainParams, FusionParams, profile
from ecgxai_core.records.leads import DERIVED_LEADS, INDEPENDENT_LEADS
from tests.analytic import record
from tests.explainers.networks import CLASSES, SAMPLES, TARGET, loaded

LEADS = ("aVF", "V2", "I", "III", "II")
"""Not in standard order: a method that forgets the order fails."""
PARAMS = ExplainParams(window_sec=0.25, segments="uniform", level="lead_in_event")
INDEPENDENT = PARAMS.updated(lead_group="independent")


def lawful():
    """Noise with derived leads that obey Einthoven's law."""
    ecg = record(2.0)
    signal = ecg.signal.copy()
    one, two = signal[ecg.leads.index("I")], signal[ecg.leads.index("II")]
    for lead, (first, second) in DERIVED_LEADS.items():
        signal[ecg.leads.index(lead)] = first * one + second * two
    return replace(ecg, signal=signal)


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """One dense layer over all samples."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    given = keras.Input((SAMPLES, len(LEADS)))
    end = keras.layers.Dense(len(CLASSES), activation="sigmoid")
    network = keras.Model(given, end(keras.layers.Flatten()(given)))
    return loaded(network, tmp_path_factory.mktemp("linear"), leads=LEADS)


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """Smooth convolutions."""
    keras = import_keras()
    keras.utils.set_random_seed(1)
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = keras.layers.Conv1D(4, 5, padding="same", activation="softplus")(given)
    hidden = keras.layers.Conv1D(4, 5, padding="same", activation="tanh")(hidden)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    end = keras.layers.Dense(len(CLASSES), activation="sigmoid")(hidden)
    return loaded(keras.Model(given, end), tmp_path_factory.mktemp("smooth"), leads=LEADS)


def rows(item, leads):
    return [item.leads.index(lead) for lead in item.leads if lead in leads]


@pytest.mark.parametrize("baseline", ["zero", "mean", "noise"])
def test_integrated_gradients_add_up_over_independent_leads(curve, baseline):
    case = Case(lawful(), curve, TARGET)
    params = INDEPENDENT.updated(baseline=baseline)
    found = explain(case, "integrated_gradients", params)
    assert found.diagnostics["lead_group"] == "independent"
    own, derived = rows(found, INDEPENDENT_LEADS), rows(found, DERIVED_LEADS)
    assert len(own) == 3
    assert found.explored[own].all()
    assert not found.explored[derived].any()
    assert np.isnan(found.weights[derived]).all()
    assert found.diagnostics["map_gap"] <= 0.01
    every = explain(case, "integrated_gradients", params.updated(lead_group="all"))
    assert np.abs(every.weights[rows(every, DERIVED_LEADS)]).max() > 1e-3
    if baseline == "zero":  # the same path, so the same evidence, on fewer leads
        assert found.event_values == pytest.approx(every.event_values, abs=1e-4)


def test_a_linear_network_says_the_same_by_gradient_and_by_mask(line):
    case = Case(lawful(), line, TARGET)
    by_mask = explain(case, "occlusion", INDEPENDENT)
    for method in ("integrated_gradients", "input_x_gradient", "timeshap"):
        found = explain(case, method, INDEPENDENT.updated(top_events=8))
        np.testing.assert_allclose(found.weights, by_mask.weights, atol=5e-4, err_msg=method)


def test_unsigned_gradients_are_those_of_the_independent_leads(line):
    kernel = np.asarray(line.keras_model.layers[-1].kernel, np.float64)
    slope = kernel[:, CLASSES.index(TARGET)].reshape(8, 25, len(LEADS))
    at = LEADS.index
    limb = slope[..., at("II")] + slope[..., at("III")] + slope[..., at("aVF")]
    found = explain(Case(lawful(), line, TARGET), "saliency", INDEPENDENT)
    expected = np.abs(limb).sum(axis=1)
    np.testing.assert_allclose(found.weights[found.leads.index("II")], expected, rtol=1e-4)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "timeshap", "lime"])
def test_without_einthovens_law_all_leads_are_explained_and_that_is_said(line, method):
    case = Case(record(2.0), line, TARGET)
    found, every = explain(case, method, INDEPENDENT), explain(case, method, PARAMS)
    assert found.diagnostics["lead_group"] == "all"
    assert found.provenance.params["lead_group"] == "all"
    assert "lead_group" in {warning.code for warning in found.warnings}
    assert "lead_group" not in {warning.code for warning in every.warnings}
    np.testing.assert_array_equal(found.weights, every.weights)


def test_what_cannot_be_asked_about_independent_leads_makes_all_explain_twelve():
    chosen = profile("default").updated(explain=INDEPENDENT, timeshap=INDEPENDENT)
    together = params_for(chosen, ("timeshap", "integrated_gradients"))
    assert {params.lead_group for params in together.values()} == {"independent"}
    for other in ("grad_cam", "lrp", "attention"):
        assert "lead_group" not in METHODS[other].uses
        mixed = params_for(chosen, ("timeshap", other))
        assert {params.lead_group for params in mixed.values()} == {"all"}


def test_maps_of_different_players_are_fused_with_a_warning(line):
    case = Case(lawful(), line, TARGET)
    made = explain_many(case, {"occlusion": INDEPENDENT, "integrated_gradients": INDEPENDENT})
    one = fuse(list(made.values()), FusionParams())
    assert one.diagnostics["lead_group"] == "independent"
    assert "lead_group" not in {warning.code for warning in one.warnings}
    made |= explain_many(case, {"integrated_gradients": PARAMS})
    two = fuse(list(made.values()), FusionParams())
    assert two.diagnostics["lead_group"] == "all"
    (said,) = [w.message for w in two.warnings if w.code == "lead_group"]
    assert said.startswith("occlusion: ")
