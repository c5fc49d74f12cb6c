"""Estimates of what is computed, beside what is computed."""

from __future__ import annotations

import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import METHODS, explain
from ecgxai_core.models.loading import LazyClassifier, read_model
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.pipeline.cost import check_cost, explain_cost, field_of, total, unit_cost
from ecgxai_core.pipeline.run.units import unit_entry
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import default_model
from ecgxai_core.stopping import stoppable
from ecgxai_core.store.cache import Store
from tests.analytic import record
from tests.explainers.networks import TARGET, of_every_method
from tests.small import AF, write_data, write_model

SHORT = record(1.8)
ROUGHLY = 3.0
"""Estimates are for queues: within this factor, beside what any call costs."""
ALWAYS = {"whole": 100, "auto": 700}
"""A call costs some batches anyhow; the local engine fills up batches of hundreds of crops."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return of_every_method(tmp_path_factory.mktemp("networks"))


def counted(work):
    """Forward passes that some work computes."""
    passes = []
    with stoppable(lambda more: passes.append(more)):
        work()
    return sum(passes)


@pytest.mark.parametrize("engine", ["auto", "whole"])
@pytest.mark.parametrize("method", list(METHODS))
def test_the_estimate_of_a_method_is_near_what_it_computes(networks, method, engine):
    params = ExplainParams(
        window_sec=0.25, engine=engine, n_coalitions=512, max_lead_coalitions=64,
        n_lead_coalitions=32, n_permutations=3, n_noise=64, n_gradients=256, top_events=5,
    )  # fmt: skip
    network = networks[method]
    explain(Case(SHORT, network, TARGET), method, params)  # the engine is checked once
    field = field_of(network)
    estimate = total(explain_cost({method: params}, network.manifest, TARGET, field))
    real = counted(lambda: explain(Case(SHORT, network, TARGET), method, params))
    assert real <= ROUGHLY * estimate + ALWAYS[engine]
    if estimate > ALWAYS[engine] and method != "lrp":
        assert estimate <= 12 * real  # eight players at most have 256 coalitions


@pytest.mark.parametrize("segments", ["uniform", "wave"])
@pytest.mark.parametrize("engine", ["auto", "whole"])
def test_the_estimate_of_maps_that_add_up_is_near_what_they_take(tmp_path, segments, engine):
    """They are asked for more than the budget gives; a map of nearly nothing ends early."""
    classifier = LazyClassifier(write_model(tmp_path / "model"))
    found = read_record(write_data(tmp_path / "data", 1) / "T000.hea")
    params = ExplainParams(
        segments=segments, window_sec=0.5, level="owen", engine=engine, target_error=0.001,
        max_lead_coalitions=256, n_coalitions=512, top_events=5,
    )  # fmt: skip
    field = field_of(classifier)
    estimate = total(explain_cost({"timeshap": params}, classifier.manifest, AF, field))
    real = counted(lambda: explain(Case(found, classifier, AF), "timeshap", params))
    assert estimate / (2 * ROUGHLY) <= real <= ROUGHLY * estimate


def test_the_estimate_of_a_unit_is_near_what_it_computes(tmp_path):
    classifier = LazyClassifier(write_model(tmp_path / "model"))
    found = read_record(write_data(tmp_path / "data", 1) / "T000.hea")
    chosen, store = profile("reference"), Store(tmp_path / "cache", 10**8)
    estimate = total(unit_cost(chosen, classifier.manifest, AF, None))
    real = counted(lambda: unit_entry(Case(found, classifier, AF), chosen, store))
    assert estimate / ROUGHLY <= real <= ROUGHLY * estimate


def test_the_refusal_says_what_to_lower():
    manifest = read_model(default_model())[1]
    params = ExplainParams(
        max_lead_coalitions=4096, n_coalitions=100_000, window_sec=0.25, engine="whole"
    )
    cost = explain_cost(dict.fromkeys(("lime", "timeshap"), params), manifest, AF, 0.5)
    assert 200_000 <= total(cost) <= 250_000
    check_cost(cost, None, "explanation")
    check_cost(cost, 250_000, "explanation")
    with pytest.raises(ParameterError, match="lower n_coalitions first") as caught:
        check_cost(cost, 100_000, "explanation")
    assert "100,000 may be asked for" in str(caught.value)
    usual = explain_cost(dict.fromkeys(("lime", "timeshap"), ExplainParams()), manifest, AF, 0.5)
    check_cost(usual, 5_000, "explanation")
