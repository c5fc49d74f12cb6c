"""What an entry of the cache is kept under: every parameter that matters, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ecgxai_core.explain import METHODS, explain
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline import explanation
from ecgxai_core.pipeline.explanation import cached_attributions, explain_record
from ecgxai_core.store.cache import Store
from ecgxai_core.store.envelope import encode
from ecgxai_core.store.values import entry_of
from tests.analytic import record
from tests.explain.networks import OTHER, TARGET, of_every_method

PARAMS = ExplainParams(
    window_sec=0.25, n_coalitions=64, n_lead_coalitions=16, top_events=8, n_permutations=2,
    n_gradients=64, n_noise=8,
)  # fmt: skip
ANOTHER = {
    "segments": "wave", "window_sec": 0.4, "baseline": "mean", "link": "probability",
    "engine": "whole", "lead_group": "independent", "n_coalitions": 65, "max_coalitions": 100,
    "n_lead_coalitions": 17, "max_lead_coalitions": 100, "top_events": 7, "level": "cell",
    "p_on": 0.6, "kernel_width": 0.5, "ridge_lime": 1.0, "ridge_timeshap": 1.0,
    "sampling": "published", "lead_priors": True, "keep_leads": 2, "converged_top_k": 3,
    "converged_level": 0.8, "against": OTHER, "ig_steps": 32, "n_noise": 9, "noise_level": 0.2,
    "cam_layer": "stem", "lrp_rule": "epsilon", "lrp_gamma": 1.0, "lrp_epsilon": 0.1,
    "occlusion_level": "lead", "n_permutations": 3, "n_gradients": 128, "seed": 5,
}  # fmt: skip
"""Another value of every parameter."""
SHORT = record(1.8)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return of_every_method(tmp_path_factory.mktemp("networks"))


def matters(method: str) -> set[str]:
    common = {"segments", "window_sec", "baseline", "engine", "against", "seed"}
    return {*METHODS[method].uses, *common}


def key(networks, method, params):
    return explanation._key(SHORT, networks[method], TARGET, method, params, None)


def test_every_parameter_is_tried_and_used_by_some_method() -> None:
    assert set(ANOTHER) == set(ExplainParams.model_fields)
    assert all(getattr(PARAMS, name) != value for name, value in ANOTHER.items())
    assert set().union(*(matters(name) for name in METHODS)) == set(ANOTHER)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("name", list(ANOTHER))
def test_the_key_changes_with_what_matters_only(networks, method, name) -> None:
    changed = PARAMS.updated(**{name: ANOTHER[name]})
    same = key(networks, method, changed) == key(networks, method, PARAMS)
    assert same == (name not in matters(method))


@pytest.mark.parametrize("method", list(METHODS))
def test_what_shares_a_key_has_the_same_bytes(networks, method) -> None:
    others = {name: value for name, value in ANOTHER.items() if name not in matters(method)}
    changed = PARAMS.updated(**others)
    assert key(networks, method, changed) == key(networks, method, PARAMS)
    one, two = (
        encode({}, *entry_of(explain(SHORT, networks[method], TARGET, method, params)))
        for params in (PARAMS, changed)
    )
    assert one == two


def test_a_parameter_of_one_method_keeps_the_entries_of_another(networks, tmp_path) -> None:
    store, model = Store(tmp_path, int(1e7)), networks["lime"]
    both = {"lime": PARAMS, "timeshap": PARAMS}
    made = explain_record(SHORT, model, TARGET, both, store)
    narrow = PARAMS.updated(kernel_width=0.5)
    found = cached_attributions(SHORT, model, TARGET, {"lime": narrow, "timeshap": narrow}, store)
    assert set(found) == {"timeshap"}
    assert found["timeshap"].weights.tobytes() == made["timeshap"].weights.tobytes()
    elsewhere = replace(SHORT, name="another name")
    assert not cached_attributions(elsewhere, model, TARGET, both, store)
    store.close()


def test_the_class_to_stand_against_is_found_under_any_of_its_names(networks, tmp_path) -> None:
    store, model = Store(tmp_path, int(1e7)), networks["saliency"]
    by_name = {"saliency": PARAMS.updated(against="NSR")}
    made = explain_record(SHORT, model, TARGET, by_name, store)["saliency"]
    for against in ("NSR", OTHER):
        params = {"saliency": PARAMS.updated(against=against)}
        found = cached_attributions(SHORT, model, TARGET, params, store)
        assert found["saliency"].weights.tobytes() == made.weights.tobytes()
    nowhere = {"saliency": PARAMS.updated(against="LBBB")}
    assert not cached_attributions(SHORT, model, TARGET, nowhere, store)
    store.close()
