"""A model that is too sure for the logit: what is lost there is said, never shown as exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.params import ExplainParams
from tests.analytic import OTHER, TARGET, Analytic, record
from tests.explainers.networks import loaded, smooth

GIVEN = record()
EDGES = np.arange(0, 501, 50)
PARAMS = ExplainParams(window_sec=0.5, n_coalitions=1024, n_lead_coalitions=4096)


def linear(total, empty):
    """The logit grows from ``empty`` by ``total``, by equal parts for every cell that is kept."""
    x = GIVEN.signal.astype(np.float64)
    spans = list(itertools.pairwise(EDGES))
    energy = np.stack([(x[:, a:b] ** 2).sum(axis=1) for a, b in spans])

    def score(values):
        kept = [(values[:, a:b] ** 2).sum(axis=1) for a, b in spans]
        shares = np.stack(kept, axis=1) / energy
        return empty + total * shares.mean(axis=(1, 2))

    return Analytic(score)


@pytest.mark.parametrize("method", ["lime", "timeshap", "occlusion"])
def test_what_the_logit_cuts_is_told(method):
    found = explain(Case(GIVEN, linear(30.0, -8.0), TARGET), method, PARAMS)
    said = found.diagnostics
    assert said["clipped_fraction"] > 0.01
    assert said.get("exact") in (False, None)
    assert said.get("converged") in (False, None)
    (warning,) = [w for w in found.warnings if w.code == "clipped_value"]
    assert "link=probability" in warning.message


@pytest.mark.parametrize("method", ["lime", "timeshap", "occlusion"])
def test_a_model_within_the_logit_is_not_warned_of(method):
    found = explain(Case(GIVEN, linear(4.0, -2.0), TARGET), method, PARAMS)
    assert found.diagnostics["clipped_fraction"] == 0
    assert found.warnings == ()
    if method == "timeshap":
        assert found.diagnostics["exact"]
        assert np.allclose(found.weights[found.explored], 4 / 120, rtol=1e-3)


def test_the_probability_is_never_cut():
    params = PARAMS.updated(link="probability")
    found = explain(Case(GIVEN, linear(30.0, -8.0), TARGET), "timeshap", params)
    assert found.diagnostics["clipped_fraction"] == 0
    assert found.warnings == ()


@pytest.mark.parametrize("method", ["lime", "timeshap", "occlusion"])
@pytest.mark.parametrize("link", ["logit", "probability"])
def test_a_contrast_is_cut_on_either_link(method, link):
    """The logits of both classes are taken, and link=probability is no way out."""
    params = PARAMS.updated(link=link, contrast=OTHER)
    found = explain(Case(GIVEN, linear(30.0, -8.0), TARGET), method, params)
    assert found.diagnostics["clipped_fraction"] > 0.01
    assert found.diagnostics.get("exact") in (False, None)
    (warning,) = [w for w in found.warnings if w.code == "clipped_value"]
    assert "use a gradient method" in warning.message
    assert "link=probability" not in warning.message


def test_a_difference_beyond_the_logit_is_cut_on_the_logit_only():
    """Logits of 8 and -8 are within it, their difference of 16 is not; its probability is kept."""
    params = PARAMS.updated(contrast=OTHER)
    case = Case(GIVEN, linear(16.0, -8.0), TARGET)
    (warning,) = explain(case, "timeshap", params).warnings
    assert warning.code == "clipped_value"
    kept = explain(case, "timeshap", params.updated(link="probability"))
    assert kept.diagnostics["clipped_fraction"] == 0
    assert kept.warnings == ()


def test_closed_forms_and_the_local_engine_tell_too(tmp_path):
    network = smooth()
    *others, kernel, bias = network.get_weights()
    network.set_weights([*others, 400 * kernel, bias])  # as sure as a network can be
    classifier = loaded(network, tmp_path)
    params = ExplainParams(window_sec=0.25)
    found = explain(Case(record(2.0), classifier, TARGET), "timeshap", params)
    assert found.diagnostics["engine"] == "local"
    assert found.diagnostics["clipped_fraction"] > 0
    assert not found.diagnostics["exact"]
    gradients = explain(Case(record(2.0), classifier, TARGET), "integrated_gradients", params)
    assert gradients.diagnostics["clipped_fraction"] == 0
    assert np.abs(gradients.weights).max() > 0
