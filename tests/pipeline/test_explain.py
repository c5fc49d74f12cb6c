"""What an entry of the cache is kept under: every parameter that matters, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import METHODS, explain
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline import explain as cached
from ecgxai_core.pipeline.explain import cached_attributions, explain_case
from ecgxai_core.signal.disturbances import noisy, shifted
from ecgxai_core.simulation import simulate
from ecgxai_core.store.cache import Store
from ecgxai_core.store.envelope import encode
from ecgxai_core.store.values import entry_of
from tests.analytic import record
from tests.explainers.networks import OTHER, TARGET, another, of_every_method

PARAMS = ExplainParams(
    window_sec=0.25, n_coalitions=64, n_lead_coalitions=16, n_permutations=2, n_gradients=64,
    n_noise=8,
)  # fmt: skip
ANOTHER = another(PARAMS)
SHORT = record(1.8)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return of_every_method(tmp_path_factory.mktemp("networks"))


def matters(method: str) -> set[str]:
    common = {"segments", "window_sec", "baseline", "engine", "contrast", "seed"}
    return {*METHODS[method].uses, *common}


def key(networks, method, params):
    return cached._key(Case(SHORT, networks[method], TARGET), method, params)


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


@pytest.mark.parametrize("engine", ["auto", "whole"])
@pytest.mark.parametrize("method", list(METHODS))
def test_what_shares_a_key_has_the_same_bytes(networks, method, engine) -> None:
    """By whole passes too, where not all of the seven segments are explored."""
    others = {name: value for name, value in ANOTHER.items() if name not in matters(method)}
    given = PARAMS.updated(engine=engine)
    changed = given.updated(**others)
    assert key(networks, method, changed) == key(networks, method, given)
    one, two = (
        encode({}, *entry_of(explain(Case(SHORT, networks[method], TARGET), method, params)))
        for params in (given, changed)
    )
    assert one == two


def test_a_parameter_of_one_method_keeps_the_entries_of_another(networks, tmp_path) -> None:
    store, model = Store(tmp_path, int(1e7)), networks["lime"]
    both = {"lime": PARAMS, "timeshap": PARAMS}
    made = explain_case(Case(SHORT, model, TARGET), both, store)
    narrow = PARAMS.updated(kernel_width=0.5)
    found = cached_attributions(
        Case(SHORT, model, TARGET), {"lime": narrow, "timeshap": narrow}, store
    )
    assert set(found) == {"timeshap"}
    assert found["timeshap"].weights.tobytes() == made["timeshap"].weights.tobytes()
    elsewhere = replace(SHORT, name="another name")
    assert not cached_attributions(Case(elsewhere, model, TARGET), both, store)
    store.close()


def test_the_class_to_stand_against_is_found_under_any_of_its_names(networks, tmp_path) -> None:
    store, model = Store(tmp_path, int(1e7)), networks["saliency"]
    by_name = {"saliency": PARAMS.updated(contrast="NSR")}
    made = explain_case(Case(SHORT, model, TARGET), by_name, store)["saliency"]
    for against in ("NSR", OTHER):
        params = {"saliency": PARAMS.updated(contrast=against)}
        found = cached_attributions(Case(SHORT, model, TARGET), params, store)
        assert found["saliency"].weights.tobytes() == made.weights.tobytes()
    nowhere = {"saliency": PARAMS.updated(contrast="LBBB")}
    assert not cached_attributions(Case(SHORT, model, TARGET), nowhere, store)
    store.close()


def test_a_changed_record_keeps_the_segments_of_the_original(networks, monkeypatch) -> None:
    """It is not delineated anew; a copy with another origin has another key."""
    from ecgxai_core.explainers import segmentation_of
    from ecgxai_core.signal import segments

    made = simulate(seed=3, fs=100, duration=4).record
    case = Case(made, networks["lime"], TARGET)
    params = PARAMS.updated(segments="auto", window_sec=None)
    own = segmentation_of(case, case.model_input(), params)
    assert own.kind == "wave"
    noise = noisy(made, 0.0)
    alone, again = case.changed(record=noise.record), case.disturbed(noise.record, noise.time_map)
    assert key(networks, "lime", params) != cached._key(again, "lime", params)
    assert cached._key(alone, "lime", params) != cached._key(again, "lime", params)
    changed = segmentation_of(again, again.model_input(), params)
    assert changed.edges.tolist() == own.edges.tolist()
    assert segmentation_of(alone, alone.model_input(), params).edges.tolist() != own.edges.tolist()
    later = shifted(made)
    moved = case.disturbed(later.record, later.time_map)
    calls = []
    delineate = segments.delineate
    monkeypatch.setattr(
        segments, "delineate", lambda x, *rest: calls.append(x.shape[1]) or delineate(x, *rest)
    )
    found = explain(moved, "timeshap", params)
    assert calls == [200], "the original only"
    expected = segments.carried(own, later.time_map, moved.model_input())
    assert np.array_equal(found.edges_sec, expected.edges_sec)
    assert found.diagnostics["segments_reason"] == own.reason
