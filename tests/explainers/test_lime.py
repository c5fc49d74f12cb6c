"""LIME against the ``lime`` package and against the published programme."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.lime import lead_prior_chances, lime_weights
from ecgxai_core.games.regression import weighted_r2, weighted_ridge
from ecgxai_core.games.sampling import exact_coalitions, published_lime_coalitions
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.types import STANDARD_LEADS
from tests.analytic import TARGET, Analytic, cell_energy, record

EDGES = list(range(0, 501, 50))
EFFECTS = np.random.default_rng(8).normal(size=(12, 10)) / 4


def bent(values):
    column = (cell_energy(values, EDGES) * EFFECTS).sum(axis=1)
    return column.sum(axis=1) + np.sin(3 * column).sum(axis=1) / 2


class OurRidge:
    """Our regression with the face that ``lime`` expects of a regressor."""

    def __init__(self, alpha):
        self.alpha = alpha

    def fit(self, masks, values, sample_weight):
        self.intercept_, self.coef_ = weighted_ridge(masks, values, sample_weight, self.alpha)

    def predict(self, masks):
        return self.intercept_ + masks @ self.coef_

    def score(self, masks, values, sample_weight):
        return weighted_r2(values, self.predict(masks), sample_weight)


def test_agrees_with_limes_base_on_the_same_masks():
    from lime.lime_base import LimeBase
    from sklearn.metrics import pairwise_distances

    params = profile("reference").lime.updated(window_sec=0.5)
    found = explain(Case(record(), Analytic(bent), TARGET), "lime", params)
    masks = published_lime_coalitions(np.full(10, 0.5), 100, np.random.default_rng(42)).masks
    values = np.array(record().signal.T)[None] * np.repeat(masks, 50, axis=1)[:, :, None]
    probability = Analytic(bent).predict(values.astype(np.float32))
    distances = pairwise_distances(masks, np.ones((1, 10)), metric="cosine").ravel()
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)))
    _, weights, _, _ = base.explain_instance_with_data(
        masks.astype(float), probability, distances, 1, 10, "none", OurRidge(0.01)
    )
    by_segment = [weight for _, weight in sorted(weights)]
    assert np.allclose(found.event_values, by_segment, atol=1e-7)


def test_design_weights_equal_the_kernel_where_all_coalitions_are_there():
    drawn = exact_coalitions(6)
    direct = np.sqrt(np.exp(-((1 - np.sqrt(drawn.sizes / 6)) ** 2) / 0.25**2))
    assert np.allclose(lime_weights(drawn, 0.5, 0.25), direct)


def test_endless_published_sampling_meets_our_design():
    params = ExplainParams(window_sec=0.5, n_coalitions=1024, seed=1, link="probability")
    exact = explain(Case(record(), Analytic(bent), TARGET), "lime", params).event_values
    endless = params.updated(sampling="published", n_coalitions=6000)
    drawn = explain(Case(record(), Analytic(bent), TARGET), "lime", endless)
    assert np.all(np.abs(drawn.event_values - exact) < 4.5 * drawn.event_errors + 1e-4)


def test_published_profile_explores_five_leads_of_five_events():
    params = profile("reference").lime
    found = explain(Case(record(), Analytic(bent), TARGET), "lime", params)
    assert found.explored.sum() == 25
    assert found.diagnostics["sampling"] == "published"
    assert found.diagnostics["coalitions"] == {"event": 100, "lead": 500}


@pytest.mark.parametrize("sampling", ["paired", "published"])
def test_lead_priors_only_when_asked_and_then_recorded(sampling):
    params = ExplainParams(window_sec=0.5, n_coalitions=64, sampling=sampling)
    plain = explain(Case(record(), Analytic(bent), TARGET), "lime", params)
    primed = explain(
        Case(record(), Analytic(bent), TARGET), "lime", params.updated(lead_priors=True)
    )
    assert plain.diagnostics["lead_priors"] is None
    chances = primed.diagnostics["lead_priors"]
    assert list(chances) == list(STANDARD_LEADS)
    assert chances["II"] == pytest.approx(0.99)
    assert chances["V6"] == pytest.approx(0.02)
    assert np.array_equal(plain.event_values, primed.event_values)
    assert not np.array_equal(plain.weights, primed.weights, equal_nan=True)


def test_no_priors_without_a_row_in_the_table():
    assert lead_prior_chances(STANDARD_LEADS, None) is None


def test_beats_that_cannot_be_found_are_an_error():
    flat = replace(record(), signal=np.zeros((12, 500), np.float32))
    with pytest.raises(ExplanationError):
        explain(Case(flat, Analytic(bent), TARGET), "lime", ExplainParams(segments="beat"))


@pytest.mark.data
@pytest.mark.slow
def test_published_event_coefficients_are_repeated(data_dir):
    """Two records here; all 50 with ECGXAI_FULL=1 (100 forward passes each)."""
    from ecgxai_core.models.loading import load_classifier
    from ecgxai_core.records import read_record

    sample = data_dir / "cinc2020_sample"
    entries = json.loads((sample / "reference_lime_events.json").read_text("utf-8"))
    chosen = entries if os.environ.get("ECGXAI_FULL") else [entries[0], entries[-1]]
    model = load_classifier(data_dir / "reference_model" / "cinc_resnet.keras")
    # the lead games do not touch the event values; one of them keeps this short
    params = profile("reference").lime.updated(top_events=1, n_lead_coalitions=16)
    worst = 0.0
    for entry in chosen:
        found = explain(
            Case(read_record(sample / f"{entry['record']}.hea"), model, entry["target"]),
            "lime",
            params,
        )
        stops = [stop / 500 for _, stop in entry["segments"]]
        assert np.allclose(found.edges_sec[1:], stops)
        worst = max(worst, float(np.abs(found.event_values - entry["event_values"]).max()))
    assert worst < 1e-5
