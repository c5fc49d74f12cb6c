"""Fusion by the project's rules: dense maps of densities in any order, and their diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion import fuse, fuse_published, view
from ecgxai_core.fusion.cells import combine
from ecgxai_core.params import FusionParams, checked
from ecgxai_core.types import Attribution, FusedMap, Provenance, QualityWarning, canonical_json

LEADS = ("I", "II", "V1")
AGGS = tuple(AGGREGATIONS)


def attribution(
    method: str,
    weights: Any,
    edges: Sequence[float] | None = None,
    explored: Any = None,
    **changes: Any,
) -> Attribution:
    """An attribution on ``LEADS``."""
    values = np.asarray(weights, np.float32)
    times = np.arange(values.shape[1] + 1) * 0.5 if edges is None else np.asarray(edges)
    seen = np.ones(values.shape, np.bool_) if explored is None else np.asarray(explored, np.bool_)
    given_: dict[str, Any] = {
        "record": "rec",
        "target": "426783006",
        "probability": 0.9,
        "provenance": Provenance("r", "m", {"method": method}, 3, "0"),
    }
    return Attribution(
        method=method, leads=LEADS, edges_sec=times, weights=values, explored=seen,
        **(given_ | changes),
    )  # fmt: skip


def random_pair(seed: int, n: int = 2, cells: int = 4) -> list[Attribution]:
    rng = np.random.default_rng(seed)
    return [
        attribution(f"m{i}", rng.normal(size=(3, cells)), explored=rng.random((3, cells)) < 0.7)
        for i in range(n)
    ]


def density(fused: FusedMap) -> np.ndarray[Any, np.dtype[np.float64]]:
    return fused.density()


@pytest.mark.parametrize("agg", AGGS)
def test_identical_methods_give_that_map(agg: str) -> None:
    one = attribution("a", [[1, -2, 3], [0, 4, -1], [2, 2, -4]])
    fused = fuse([one, attribution("b", one.weights)], FusionParams(agg=agg))
    np.testing.assert_allclose(density(fused), one.weights / 4, rtol=1e-6)
    assert fused.agreement.tolist() == [[2, 2, 2], [0, 2, 2], [2, 2, 2]]
    assert fused.diagnostics["agreement"] == pytest.approx(1.0)
    assert fused.diagnostics["disagreement"] == 0.0


@pytest.mark.parametrize(
    ("agg", "expected"), [("geomean", 0.4), ("mean", 0.5), ("min", 0.2), ("max", 0.8)]
)
def test_same_sign(agg: str, expected: float) -> None:
    a = attribution("a", [[-8, 10], [0, 0], [0, 0]])
    b = attribution("b", [[-2, 10], [0, 0], [0, 0]])
    fused = fuse([a, b], FusionParams(agg=agg))
    assert density(fused)[0, 0] == pytest.approx(-expected)


@pytest.mark.parametrize(
    ("policy", "expected"), [("penalize", 0.25 * (0.8 - 0.2)), ("drop", 0.0), ("abs", 0.4)]
)
def test_opposite_signs(policy: str, expected: float) -> None:
    a = attribution("a", [[8, 10], [0, 0], [0, 0]])
    b = attribution("b", [[-2, 10], [0, 0], [0, 0]])
    fused = fuse([a, b], FusionParams(sign_policy=policy))
    assert density(fused)[0, 0] == pytest.approx(expected)
    assert fused.agreement[0, 0] == -1
    share = fused.diagnostics["leads"]["I"]
    assert share["disagreement"] == pytest.approx(0.5 / 1.5)
    assert share["agreement"] == pytest.approx(1.0 / 1.5)


def test_penalty_is_half_the_weighted_mean_for_any_number_of_methods() -> None:
    values = np.array([1.0, 0.5, -0.25])[:, None]
    weights = np.array([2.0, 1.0, 1.0])
    cells = combine(values, weights, agg="mean", beta=1, sign_policy="penalize")
    assert cells.values[0] == pytest.approx(0.5 * (2 * 1 + 0.5 - 0.25) / 4)
    assert np.abs(cells.values[0]) <= 0.5


def test_abs_keeps_the_sign_of_a_lone_method() -> None:
    a = attribution("a", [[-1, -1], [0, 0], [0, 0]], explored=[[1, 1], [1, 1], [1, 1]])
    b = attribution("b", [[-1, 0], [0, 0], [0, 0]], explored=[[1, 0], [1, 1], [1, 1]])
    fused = fuse([a, b], FusionParams(sign_policy="abs"))
    assert density(fused)[0].tolist() == [1.0, -1.0]


@pytest.mark.parametrize("beta", [0.0, 0.35, 1.0])
def test_lone_cells_are_scaled_by_beta(beta: float) -> None:
    a = attribution("a", [[-2, 4], [0, 0], [0, 0]])
    b = attribution("b", [[0, 4], [0, 0], [0, 0]], explored=[[0, 1], [1, 1], [1, 1]])
    fused = fuse([a, b], FusionParams(beta=beta))
    assert density(fused)[0, 0] == pytest.approx(-0.5 * beta)
    assert fused.agreement[0, 0] == 1
    assert fused.explored[0, 0]
    assert fused.diagnostics["leads"]["I"]["solo"] == pytest.approx(0.5 / 1.5)


def test_beta_acts_on_dense_maps_where_fewer_than_two_methods_found_a_cell() -> None:
    a = attribution("a", [[10, 0.9, 0.4], [3, 1, 0], [0, 0, 0]])
    b = attribution("b", [[0.9, 10, 0.4], [3, 1, 0], [0, 0, 0]])
    whole = density(fuse([a, b], FusionParams(beta=1.0)))
    params = FusionParams(beta=0.25)
    fused = density(fuse([a, b], params))
    found = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1]], bool)  # 10 % of the largest is enough
    np.testing.assert_allclose(fused, np.where(found, whole, 0.25 * whole), rtol=1e-6)
    every = density(fuse([a, b], params.updated(found=0.0)))
    np.testing.assert_array_equal(every, whole)
    by_lead = density(fuse([a, b], params.updated(scale="lead", found=0.31)))
    whole = density(fuse([a, b], params.updated(scale="lead", beta=1.0)))
    np.testing.assert_allclose(by_lead, 0.25 * whole)  # 3 of 10 does not reach it


def test_beta_does_not_apply_to_a_map_of_one_method() -> None:
    one = attribution("a", [[-2, 4], [1, 0], [0, 0]])
    fused = fuse([one], FusionParams(beta=0.0))
    np.testing.assert_allclose(density(fused), one.weights / 4)


@pytest.mark.parametrize("agg", AGGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), policy=st.sampled_from(["penalize", "drop", "abs"]))
def test_order_of_methods_does_not_matter(agg: str, seed: int, policy: str) -> None:
    methods = random_pair(seed, n=3)
    params = FusionParams(agg=agg, sign_policy=policy)
    one, other = fuse(methods, params), fuse(methods[::-1], params)
    assert one.weights.tobytes() == other.weights.tobytes()
    assert one.methods == other.methods
    assert one.provenance == other.provenance


@pytest.mark.parametrize("agg", AGGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([2.0**-20, 0.5, 1024.0]))
def test_the_unit_of_a_method_does_not_matter(agg: str, seed: int, factor: float) -> None:
    a, b = random_pair(seed)
    scaled = attribution("m0", a.weights * np.float32(factor), explored=a.explored)
    params = FusionParams(agg=agg)
    np.testing.assert_allclose(fuse([a, b], params).weights, fuse([scaled, b], params).weights)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), agg=st.sampled_from(AGGS))
def test_values_lie_in_the_unit_interval(seed: int, agg: str) -> None:
    values = density(fuse(random_pair(seed, n=4), FusionParams(agg=agg)))
    assert np.nanmax(np.abs(values), initial=0.0) <= 1 + 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), at=st.floats(0.05, 0.45))
def test_splitting_a_segment_changes_nothing(seed: int, at: float) -> None:
    a, b = random_pair(seed)
    edges = np.insert(a.edges_sec, 1, at)
    parts = np.array([at, 0.5 - at]) / 0.5
    weights = np.concatenate((a.weights[:, :1] * parts, a.weights[:, 1:]), axis=1)
    explored = np.concatenate((a.explored[:, [0, 0]], a.explored[:, 1:]), axis=1)
    split = attribution("m0", np.nan_to_num(weights), edges, explored)
    whole, cut = fuse([a, b], FusionParams()), fuse([split, b], FusionParams())
    assert cut.lead_scores == pytest.approx(dict(whole.lead_scores), rel=1e-5)
    np.testing.assert_allclose(density(cut)[:, 1:], density(whole), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(density(cut)[:, 0], density(whole)[:, 0], rtol=1e-5, atol=1e-7)


def test_different_grids_meet_on_the_union_of_their_edges() -> None:
    a = attribution("a", [[1, 1], [2, 2], [0, 0]], edges=[0, 0.5, 1.0])
    b = attribution("b", [[3, 6], [3, 6], [0, 0]], edges=[0, 0.3, 0.9])
    fused = fuse([a, b], FusionParams(agg="mean"))
    np.testing.assert_allclose(fused.edges_sec, [0, 0.3, 0.5, 0.9, 1.0])
    np.testing.assert_allclose(density(fused)[1], [1.0, 1.0, 1.0, 1.0])
    assert fused.agreement[1].tolist() == [2, 2, 2, 1]


def test_edges_equal_up_to_rounding_are_one() -> None:
    a = attribution("a", np.ones((3, 3)), edges=[0, 0.1, 0.3, 1.0])
    b = attribution("b", np.ones((3, 3)), edges=[0, 0.1, 0.1 + 0.2, 1.0])
    assert len(fuse([a, b], FusionParams()).edges_sec) == 4


def test_global_scale_keeps_which_lead_matters() -> None:
    a = attribution("a", [[10, 0], [1, 0], [0, 0]])
    apart = fuse([a], FusionParams(scale="global")).lead_scores
    erased = fuse([a], FusionParams(scale="lead")).lead_scores
    assert apart["I"] == pytest.approx(10 * apart["II"])
    assert erased["I"] == pytest.approx(erased["II"])


@pytest.mark.parametrize("agg", AGGS)
def test_method_weights_apply_to_the_cells(agg: str) -> None:
    a = attribution("a", [[1, 0.9], [0.2, 0.1], [0.5, 0.0]])
    b = attribution("b", [[0.1, 1], [0.9, 0.8], [0.4, 0.0]])
    maps = {
        share: density(fuse([a, b], FusionParams(agg=agg, method_weights=(share, 1 - share))))
        for share in (1 - 1e-9, 0.7, 0.5, 0.3, 1e-9)
    }
    np.testing.assert_allclose(maps[1 - 1e-9], a.weights, atol=1e-6)
    np.testing.assert_allclose(maps[1e-9], b.weights, atol=1e-6)
    from_a = {share: np.abs(values - a.weights).sum() for share, values in maps.items()}
    from_b = {share: np.abs(values - b.weights).sum() for share, values in maps.items()}
    assert from_a[0.7] <= from_a[0.5]
    assert from_b[0.3] <= from_b[0.5]
    if agg in {"geomean", "mean"}:
        assert from_a[0.7] < from_a[0.5] < from_a[0.3]


@pytest.mark.parametrize("agg", AGGS)
def test_every_aggregation_says_what_it_is(agg: str) -> None:
    entry = AGGREGATIONS[agg]
    assert entry.name == agg
    assert entry.title
    assert entry.description
    assert FusionParams(agg=agg).agg == agg


def test_an_unknown_aggregation_is_an_error_that_names_the_known_ones() -> None:
    known = ", ".join(AGGREGATIONS)
    with pytest.raises(ParameterError, match=known):
        checked(FusionParams, {"agg": "no-such"})
    with pytest.raises(ParameterError, match=known):
        combine(np.ones((2, 1)), np.ones(2), agg="no-such", beta=1, sign_policy="abs")


def test_weight_zero_leaves_a_method_out() -> None:
    a, b = random_pair(1)
    alone = fuse([a], FusionParams())
    fused = fuse([a, b], FusionParams(method_weights=(1.0, 0.0)))
    assert fused.methods == ("m0",)
    np.testing.assert_array_equal(fused.weights, alone.weights)


def test_a_cell_that_only_a_lesser_method_explored_counts_less() -> None:
    a = attribution("a", [[1, 1], [0, 0], [0, 0]], explored=[[1, 0], [1, 1], [1, 1]])
    b = attribution("b", [[1, 1], [0, 0], [0, 0]])
    fused = fuse([a, b], FusionParams(), {"a": 0.75, "b": 0.25})
    assert density(fused)[0].tolist() == pytest.approx([1.0, 1 / 3])


def test_weights_of_the_diagnosis_go_by_name_and_params_by_place() -> None:
    a, b = random_pair(2)
    by_name = fuse([b, a], FusionParams(), {"m0": 0.7, "m1": 0.3, "other": 9.0})
    by_place = fuse([b, a], FusionParams(method_weights=(0.3, 0.7)), {"m0": 0.1, "m1": 0.9})
    np.testing.assert_array_equal(by_name.weights, by_place.weights)
    assert by_name.diagnostics["method_weights"] == pytest.approx([0.7, 0.3])


def test_a_method_without_weight_gets_the_mean() -> None:
    fused = fuse(random_pair(3, n=3), FusionParams(), {"m0": 0.8, "m1": 0.2})
    assert fused.diagnostics["method_weights"] == pytest.approx([0.8 / 1.5, 0.2 / 1.5, 0.5 / 1.5])


@pytest.mark.parametrize(
    "weights",
    [(1.0,), (-1.0, 2.0), (0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0), (1e308, 1e308)],
)
def test_bad_weights_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="method_weights"):
        fuse(random_pair(4), FusionParams(method_weights=weights))


def test_attributions_of_different_things_are_refused() -> None:
    a = attribution("a", np.ones((3, 2)))
    origin = Provenance("another", "m", {}, 3, "0")
    for changes in ({"record": "x"}, {"target": "1"}, {"provenance": origin}):
        with pytest.raises(ParameterError, match="fusion"):
            fuse([a, attribution("b", np.ones((3, 2)), **changes)], FusionParams())
    with pytest.raises(ParameterError, match="at least one"):
        fuse([], FusionParams())


@pytest.mark.parametrize("how", [fuse, fuse_published])
def test_windows_of_one_record_are_not_fused(how: Any) -> None:
    def seen(method: str, start: float | None) -> Attribution:
        facts = {} if start is None else {"seen_sec": [start, start + 1.0]}
        return attribution(method, np.ones((3, 2)), diagnostics=facts)

    for chosen in (
        [seen("a", 0.0), seen("b", 0.5)],
        [seen("a", None), seen("b", 0.0), seen("c", 30.0)],  # the first does not say
        [seen("a", 3600.0), seen("b", 3600.002)],
    ):
        with pytest.raises(ParameterError, match=r"window: .* s and .* s\).* and window"):
            how(chosen, FusionParams())
    together = how([seen("a", 2.0), seen("b", 2.0), seen("c", None)], FusionParams())
    assert together.methods == ("a", "b", "c")


def test_tau_and_topk_are_views() -> None:
    a = attribution("a", [[10, 1], [5, 0], [0.5, 0.1]])
    params = FusionParams(tau=0.2, topk=2)
    fused = fuse([a], params)
    np.testing.assert_array_equal(fused.weights, fuse([a], params.updated(tau=0.0)).weights)
    seen = view(fused, params)
    assert seen.kept.tolist() == [[True, False], [True, False], [False, False]]
    assert seen.top_leads == ("I", "II") == fused.top_leads
    assert seen.dropped_mass == pytest.approx(1.6 / 16.6)
    by_mass = view(fused, params.updated(tau_mode="mass"))
    assert by_mass.kept.tolist() == [[True, False], [True, False], [False, False]]
    assert view(fused, params.updated(tau_mode="mass", tau=0.3)).kept.sum() == 1
    assert view(fused, params.updated(tau=0.0)).kept.all()


def test_cells_that_no_method_explored_are_not_zero() -> None:
    explored = [[1, 0], [1, 1], [0, 0]]
    a = attribution("a", [[1, 0], [1, 1], [0, 0]], explored=explored)
    fused = fuse([a, attribution("b", a.weights, explored=explored)], FusionParams())
    assert np.isnan(fused.weights[0, 1])
    assert not fused.explored[2].any()
    assert "V1" not in fused.lead_scores
    assert not view(fused, FusionParams(tau=0.0)).kept[2].any()
    assert fused.diagnostics["explored_share"] == pytest.approx(0.5)


def test_an_all_zero_method_is_not_divided_by_zero() -> None:
    zero = attribution("a", np.zeros((3, 2)))
    fused = fuse([zero, attribution("b", np.zeros((3, 2)))], FusionParams(scale="lead"))
    assert not fused.weights.any()
    assert fused.top_leads == ()
    assert canonical_json(dict(fused.diagnostics))


@pytest.mark.parametrize("agg", AGGS)
@pytest.mark.parametrize("kind", ["zero", "rounding", "unexplored"])
@pytest.mark.parametrize("policy", ["penalize", "drop", "abs"])
def test_an_empty_map_is_left_out_and_named(agg: str, kind: str, policy: str) -> None:
    a, b = random_pair(5)
    values = np.full((3, 4), 1e-17 if kind == "rounding" else 0.0)
    explored = np.full((3, 4), kind != "unexplored")
    nothing = attribution("a_nothing", values, explored=explored)
    for weights in (None, (0.2, 0.3, 0.5), (1e-9, 0.5, 0.5), (0.9, 0.05, 0.05)):
        params = FusionParams(agg=agg, sign_policy=policy, beta=0.5, method_weights=weights)
        fused = fuse([nothing, a, b], params)
        rest = params.updated(method_weights=None if weights is None else weights[1:])
        alone = fuse([a, b], rest)
        assert fused.methods == ("m0", "m1")
        assert fused.weights.tobytes() == alone.weights.tobytes()
        assert fused.agreement.tobytes() == alone.agreement.tobytes()
        why = "explored nothing" if kind == "unexplored" else "is zero everywhere"
        assert fused.diagnostics["left_out"] == [{"method": "a_nothing", "why": why}]
        assert [w.code for w in fused.warnings] == ["no_evidence"]
        assert "a_nothing" in fused.warnings[0].message
        assert alone.diagnostics["left_out"] == []
        assert not alone.warnings
        assert canonical_json(dict(fused.diagnostics))
    single = fuse([a, nothing], FusionParams(agg=agg, beta=0.0))
    np.testing.assert_array_equal(single.weights, fuse([a], FusionParams()).weights)


@pytest.mark.parametrize("agg", AGGS)
def test_if_all_maps_are_empty_so_is_the_fused_one_with_warnings(agg: str) -> None:
    zero = attribution("a", np.zeros((3, 2)))
    unseen = attribution("b", np.zeros((3, 2)), explored=np.zeros((3, 2)))
    for methods in ([zero], [unseen], [zero, unseen]):
        fused = fuse(methods, FusionParams(agg=agg))
        assert not np.nan_to_num(fused.weights).any()
        assert fused.methods == tuple(item.method for item in methods)
        assert {w.code for w in fused.warnings} == {"no_evidence"}
        assert len(fused.warnings) == len(methods)
        assert canonical_json(dict(fused.diagnostics))


def test_the_published_fusion_names_an_empty_map() -> None:
    zero = attribution("a", np.zeros((3, 2)))
    fused = fuse_published([zero, attribution("b", np.ones((3, 2)))], FusionParams())
    assert not np.nan_to_num(fused.weights).any(), "as published: the geometric mean erases"
    assert [w.code for w in fused.warnings] == ["no_evidence"]


@pytest.mark.parametrize("agg", AGGS)
def test_a_vanishing_weight_never_makes_nan(agg: str) -> None:
    a = attribution("a", [[1, 0.5], [0, 0], [0, 0.2]])
    b = attribution("b", [[0, 1], [1, 0], [0, 0]])
    fused = fuse([a, b], FusionParams(agg=agg, method_weights=(1e300, 5e-324)))
    np.testing.assert_allclose(density(fused), a.weights, atol=1e-6)


def test_provenance_and_warnings_are_combined() -> None:
    odd = QualityWarning("flat_lead", "V1 is flat", ("V1",))
    a = attribution("a", np.ones((3, 2)), warnings=(odd,))
    b = attribution("b", np.ones((3, 2)), warnings=(odd, QualityWarning("padded", "half")))
    fused = fuse([a, b], FusionParams())
    assert [w.code for w in fused.warnings] == ["flat_lead", "padded"]
    assert fused.provenance.record_digest == "r"
    assert [m["method"] for m in fused.provenance.params["methods"]] == ["a", "b"]
    assert canonical_json(fused.provenance.as_dict())
