"""What every method promises, on networks that have everything a method may ask for."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers import METHODS, explain, explain_many
from ecgxai_core.fusion import fuse
from ecgxai_core.params import ExplainParams, FusionParams
from ecgxai_core.types import canonical_json
from tests.analytic import TARGET as ANALYTIC_TARGET
from tests.analytic import Analytic, record
from tests.explainers.networks import OTHER, TARGET, another, of_every_method

PARAMS = ExplainParams(
    window_sec=0.25,
    n_coalitions=64,
    n_lead_coalitions=16,
    top_events=8,
    n_permutations=2,
    n_gradients=64,
    n_noise=8,
)
SHORT = record(1.8)
WITHOUT_A_GAP = {
    "input_x_gradient",
    "saliency",
    "smoothgrad",
    "grad_cam",
    "grad_cam_pp",
    "attention",
}
INSIDE = [name for name, one in METHODS.items() if one.family in {"gradient", "attention"}]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return of_every_method(tmp_path_factory.mktemp("networks"))


@pytest.mark.parametrize("method", list(METHODS))
def test_map_is_dense_finite_and_says_where_it_comes_from(networks, method):
    steps = []
    found = explain(
        Case(SHORT, networks[method], TARGET), method, PARAMS, progress=lambda *s: steps.append(s)
    )
    assert found.weights.shape == (3, 7)  # quarters of a second; the last has the rest
    assert found.leads == ("I", "II", "V2")
    assert found.edges_sec[-1] == pytest.approx(1.8)
    assert found.explored.all()
    assert np.isfinite(found.weights).all()
    assert np.abs(found.weights).max() > 0
    assert np.isfinite(found.event_values).all()
    assert found.method == method
    assert set(found.provenance.params) == set(METHODS[method].uses)
    assert canonical_json(dict(found.diagnostics))
    if METHODS[method].gap:
        assert found.diagnostics[METHODS[method].gap] < 0.1, "the weights add up"
    facts = found.diagnostics
    assert (facts["map_gap"] is None) == (method in WITHOUT_A_GAP) == bool(facts["map_gap_reason"])
    if facts["map_gap"] is not None:
        assert facts["map_sum"] == pytest.approx(found.weights.sum(), rel=1e-4, abs=1e-6)
        gap = abs(facts["map_sum"] - facts["map_worth"]) / abs(facts["map_worth"])
        assert facts["map_gap"] == pytest.approx(gap)
    assert steps
    assert all(0 <= done <= total for done, total, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    if not METHODS[method].signed:
        assert found.weights.min() >= 0


@pytest.mark.parametrize("method", list(METHODS))
def test_same_bytes_alone_or_together(networks, method):
    def as_bytes(item):
        arrays = [getattr(item, f.name) for f in fields(item)]
        arrays = [a.tobytes() for a in arrays if isinstance(a, np.ndarray)]
        return arrays, canonical_json(dict(item.diagnostics)), item.provenance.as_dict()

    one = explain(Case(SHORT, networks[method], TARGET), method, PARAMS)
    among = dict.fromkeys(("saliency", "lime", method), PARAMS)
    again = explain_many(Case(SHORT, networks[method], TARGET), among)[method]
    assert as_bytes(one) == as_bytes(again)


@pytest.mark.parametrize("method", list(METHODS))
def test_parameters_that_are_not_used_change_nothing(networks, method):
    asked = {"segments", "window_sec", "contrast", *METHODS[method].uses}
    unused = {name: value for name, value in another(PARAMS).items() if name not in asked}
    one = explain(Case(SHORT, networks[method], TARGET), method, PARAMS)
    two = explain(Case(SHORT, networks[method], TARGET), method, PARAMS.updated(**unused))
    assert one.weights.tobytes() == two.weights.tobytes()


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"attention"}))
def test_evidence_against_another_class_turns_round_with_the_classes(networks, method):
    """A against B is minus B against A, where the method has signs."""
    params = PARAMS.updated(contrast=OTHER, lrp_epsilon=0.0, ridge_lime=0.0)
    one = explain(Case(SHORT, networks[method], TARGET), method, params)
    plain = explain(Case(SHORT, networks[method], TARGET), method, params.updated(contrast=None))
    assert not np.allclose(one.weights, plain.weights, rtol=1e-3)
    drawn = METHODS[method].family == "perturbation"  # anew for every target
    if METHODS[method].signed and not drawn:
        two = explain(Case(SHORT, networks[method], OTHER), method, params.updated(contrast=TARGET))
        errors = (
            0 if one.standard_errors is None else 6 * (one.standard_errors + two.standard_errors)
        )
        size = np.abs(one.weights).max()
        assert np.all(np.abs(one.weights + two.weights) <= errors + 5e-3 * size)


def test_a_contrast_costs_a_method_without_games_no_table(networks):
    """The record and the baseline are asked for, each once, as without a contrast."""
    for contrast in (None, OTHER):
        params = PARAMS.updated(contrast=contrast, engine="auto")
        found = explain(Case(SHORT, networks["saliency"], TARGET), "saliency", params)
        assert found.diagnostics["engine"] == "local"
        assert found.diagnostics["forward_passes"] == 2


@pytest.mark.parametrize("method", INSIDE)
def test_what_looks_inside_refuses_a_model_that_only_predicts(method):
    with pytest.raises(ExplanationError, match="only predicts"):
        explain(Case(record(), Analytic(lambda x: x[:, 0, 0]), ANALYTIC_TARGET), method, PARAMS)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"lrp"}))
def test_network_with_several_outputs_and_operations_of_its_own(networks, method):
    """Dictionary of outputs, two-dimensional convolutions, softmax inside, nameless operations."""
    found = explain(Case(SHORT, networks["attention"], TARGET), method, PARAMS)
    assert np.isfinite(found.weights).all()
    assert np.ptp(found.weights) > 0


def test_any_set_of_methods_can_be_fused(networks):
    names = [name for name in METHODS if name != "attention"]
    maps = explain_many(Case(SHORT, networks["lime"], TARGET), dict.fromkeys(names, PARAMS))
    fused = fuse(list(maps.values()), FusionParams(method_weights=tuple(range(1, len(names) + 1))))
    assert set(fused.methods) == set(names)
    assert fused.explored.all()
    assert np.isfinite(fused.weights).all()
    assert np.abs(fused.density()).max() <= 1 + 1e-6
