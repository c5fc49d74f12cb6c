"""Deletion and insertion on models whose curves are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import ParameterError
from ecgxai_core.metrics.faithfulness import GROUP, Faithfulness, faithfulness
from ecgxai_core.metrics.orders import removal_curve
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import BoolArray, FloatArray, Segmentation

LEADS = ("II", "V1", "V5")
FS = 100.0
SEGMENTS = Segmentation("uniform", np.arange(5) * 50, FS, 0.0)
PARAMS = EvaluationParams(deletion_steps=12)
FIXTURES_ARE_PURE = [HealthCheck.function_scoped_fixture]


class Additive:
    """A probability that is a sum over the cells that are kept; it counts what it is asked."""

    def __init__(self, effect: FloatArray, base: float = 0.0) -> None:
        self.leads = LEADS
        self.density = effect / np.diff(SEGMENTS.edges)
        self.base = base
        self.asked = 0

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        self.asked += len(keep)
        samples = np.repeat(self.density, np.diff(SEGMENTS.edges), axis=1)
        effect = np.add.reduceat(samples, segmentation.edges[:-1], axis=1)
        return self.base + (keep * effect).sum(axis=(1, 2))


def effect_of(seed: int = 0) -> FloatArray:
    values = np.random.default_rng(seed).random((3, 4))
    return np.asarray(0.9 * values / values.sum())


def evaluated(maps: dict[str, Any], game: Any, params: EvaluationParams = PARAMS) -> Any:
    return faithfulness(maps, game, SEGMENTS, params)


def value(result: Faithfulness, name: str) -> float:
    return next(score.value for score in result.scores if score.metric == name)


def test_deletion_of_an_additive_model_is_known(make_map: Any) -> None:
    effect = effect_of()
    truth = make_map(effect, leads=LEADS)
    found = evaluated({"truth": truth}, Additive(effect, base=0.1))["truth"]
    ranked = np.sort(effect.reshape(-1))
    deletion = 1.0 - np.concatenate(([0], np.cumsum(ranked[::-1])))
    insertion = 0.1 + np.concatenate(([0], np.cumsum(ranked[::-1])))
    assert value(found, "deletion_auc") == pytest.approx(np.trapezoid(deletion, dx=1 / 12))
    assert value(found, "insertion_auc") == pytest.approx(np.trapezoid(insertion, dx=1 / 12))
    assert value(found, "deletion_auc_normalised") == pytest.approx(
        np.trapezoid(deletion, dx=1 / 12) / 1.0
    )
    np.testing.assert_allclose(found.curves.deletion, deletion)
    np.testing.assert_allclose(found.curves.insertion, insertion)


def test_random_orders_of_an_additive_model_meet_in_the_middle(make_map: Any) -> None:
    effect = effect_of(1)
    params = EvaluationParams(deletion_steps=12, n_random=400)
    found = evaluated({"m": make_map(effect, leads=LEADS)}, Additive(effect), params)["m"]
    random = np.array(found.random_aucs)
    assert abs(random.mean() - 0.45) < 4 * random.std() / 20
    score = found.scores[0]
    assert score.random == score.empty == pytest.approx(random.mean())


def test_oracle_above_random_above_its_opposite(make_map: Any) -> None:
    effect = effect_of(2) ** 3
    effect *= 0.9 / effect.sum()
    rng = np.random.default_rng(0)
    maps = {
        "oracle": make_map(effect, leads=LEADS),
        "random": make_map(rng.normal(size=(3, 4)), leads=LEADS),
        "opposite": make_map(-effect, leads=LEADS),
    }
    found = evaluated(maps, Additive(effect))
    for name, better in (("deletion_gain", 1), ("insertion_gain", 1), ("deletion_auc", -1)):
        order = [better * value(found[m], name) for m in ("oracle", "random", "opposite")]
        assert order[0] > order[1] > order[2], name
    assert value(found["oracle"], "deletion_rank") == 1.0
    assert value(found["opposite"], "insertion_rank") == 0.0


def test_ties_have_no_position_bias(make_map: Any) -> None:
    """All effect lies in one cell; a map that ties all cells must remove it in the middle."""
    tied = make_map(np.ones((3, 4)), leads=LEADS)
    nothing = make_map(np.zeros((3, 4)), explored=np.zeros((3, 4)), leads=LEADS)
    for place in range(12):
        effect = np.zeros(12)
        effect[place] = 0.9
        found = evaluated({"tied": tied, "nothing": nothing}, Additive(effect.reshape(3, 4)))
        for name in ("deletion_auc", "insertion_auc"):
            assert value(found["tied"], name) == pytest.approx(0.45)
            assert value(found["nothing"], name) == pytest.approx(0.45)


def test_unexplored_cells_lie_between_positive_and_negative(make_map: Any) -> None:
    weights = np.array([[3.0, 0, 0, 0], [0, 0, -2.0, 0], [0, 0, 0, 0]])
    item = make_map(weights, explored=weights != 0, leads=LEADS)
    effect = np.where(weights == 0, 0.05, np.where(weights > 0, 0.4, -0.1))
    found = evaluated({"m": item}, Additive(effect, base=0.1))["m"]
    steps = np.concatenate(([0.4], np.full(10, 0.05), [-0.1]))
    expected = (0.1 + effect.sum()) - np.concatenate(([0], np.cumsum(steps)))
    np.testing.assert_allclose(found.curves.deletion, expected, atol=1e-12)


@settings(max_examples=15, deadline=None, suppress_health_check=FIXTURES_ARE_PURE)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.01, 64.0]))
def test_unit_lead_order_and_split_segments_do_not_matter(
    make_map: Any, seed: int, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 4)).astype(np.float32)
    explored = rng.random((3, 4)) < 0.7
    effect = effect_of(seed)
    order = rng.permutation(3)
    edges = np.arange(9) * 0.25
    maps = {
        "as it is": make_map(weights, explored=explored, leads=LEADS),
        "unit": make_map(weights * factor, explored=explored, leads=LEADS),
        "leads": make_map(
            weights[order], explored=explored[order], leads=tuple(LEADS[i] for i in order)
        ),
        "split": make_map(np.repeat(weights / 2, 2, axis=1), edges,
                          np.repeat(explored, 2, axis=1), LEADS),
    }  # fmt: skip
    found = evaluated(maps, Additive(effect))
    for result in found.values():
        for one, other in zip(found["as it is"].scores, result.scores, strict=True):
            assert one.value == pytest.approx(other.value)


def test_the_company_of_other_maps_on_the_grid_does_not_matter(make_map: Any) -> None:
    rng = np.random.default_rng(0)
    maps = {name: make_map(rng.normal(size=(3, 4)), leads=LEADS) for name in "abc"}
    game = Additive(effect_of())
    together = evaluated(maps, game)
    for name, item in maps.items():
        alone = evaluated({"x": item}, game)["x"]
        assert alone.scores == together[name].scores
        assert alone.random_aucs == together[name].random_aucs


def test_cells_of_unequal_length_count_by_their_length(make_map: Any) -> None:
    edges = np.array([0.0, 0.1, 1.0, 2.0])
    effect = effect_of(3)
    item = make_map(
        np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]) * np.diff(edges), edges, leads=LEADS
    )
    game = Additive(effect)
    params = EvaluationParams(deletion_steps=200)
    found = evaluated({"m": item}, game, params)["m"]
    fine = np.repeat(game.density, 50, axis=1)
    parts = np.stack([fine[:, :10].sum(1), fine[:, 10:100].sum(1), fine[:, 100:].sum(1)], axis=1)
    left = 0.9 - np.concatenate(([0], np.cumsum(parts.reshape(-1)[::-1])))
    share = np.concatenate(([0], np.cumsum(np.tile(np.diff(edges), 3)[::-1]))) / 6
    assert value(found, "deletion_auc") == pytest.approx(np.trapezoid(left, share))


def test_removal_curve_takes_the_nearest_number_of_cells() -> None:
    count, share = removal_curve(np.array([2, 0, 1]), np.array([1.0, 1.0, 2.0]), 4)
    assert count.tolist() == [0, 1, 1, 2, 3]
    assert share == pytest.approx([0, 0.5, 0.5, 0.75, 1.0])


def test_budget(make_map: Any) -> None:
    """Three maps of which a quarter was explored, 12 leads worth of cells, default parameters."""
    rng = np.random.default_rng(0)
    edges = np.arange(41) * 0.05
    explored = np.tile(rng.permutation(40) < 5, (3, 1))
    maps = {name: make_map(rng.normal(size=(3, 40)), edges, explored, LEADS) for name in "abc"}
    game = Additive(effect_of())
    faithfulness(maps, game, SEGMENTS, EvaluationParams())
    assert 20 * 9 < game.asked <= 20 * 9 + 2 + 3 * 36


def test_a_map_beyond_what_the_model_saw_is_refused(make_map: Any) -> None:
    game = Additive(effect_of())
    with pytest.raises(ParameterError, match="more than the model saw"):
        evaluated({"m": make_map(np.ones((3, 5)), leads=LEADS)}, game)
    with pytest.raises(ParameterError, match="no lead"):
        evaluated({"m": make_map(np.ones((3, 4)), leads=("II", "V1", "X"))}, game)
    with pytest.raises(ParameterError, match="none"):
        evaluated({}, game)


def test_intact_probability_zero_leaves_the_normalised_undefined(make_map: Any) -> None:
    found = evaluated({"m": make_map(np.ones((3, 4)), leads=LEADS)}, Additive(np.zeros((3, 4))))[
        "m"
    ]
    assert np.isnan(value(found, "deletion_auc_normalised"))
    assert value(found, "deletion_rank") == 0.5


def test_every_score_is_described(make_map: Any) -> None:
    found = evaluated({"m": make_map(np.ones((3, 4)), leads=LEADS)}, Additive(effect_of()))["m"]
    assert {score.metric for score in found.scores} == {metric.name for metric in GROUP.metrics}
