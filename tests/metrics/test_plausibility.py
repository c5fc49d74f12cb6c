"""AttAUC and its companions: chance, empty, ceiling, traps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgxai_core.diagnoses import diagnosis
from ecgxai_core.metrics.plausibility import GROUP, evidence_masks, localisation, plausibility
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import STANDARD_LEADS, Score

PARAMS = EvaluationParams()
PEAKS = np.arange(10) * 0.8 + 0.5
SINUS = "426783006"
FIXTURES_ARE_PURE = [HealthCheck.function_scoped_fixture]


def scores_of(item: Any, params: EvaluationParams = PARAMS, code: str = SINUS) -> dict[str, Score]:
    found = plausibility(item, diagnosis(code), PEAKS, 75.0, params)
    return {score.metric: score for score in found}


def bin_map(make_map: Any, code: str = SINUS, kind: str = "strict") -> Any:
    """The truth itself as a map on a 20 ms grid."""
    item = make_map(np.zeros((12, 400)), edges=np.arange(401) * 0.02)
    masks = evidence_masks(raster_for(item, 0.02), diagnosis(code), PEAKS, 75.0)
    return make_map(masks[kind], edges=np.arange(401) * 0.02)


def test_the_empty_map_scores_one_half_exactly(make_map: Any) -> None:
    found = scores_of(make_map(np.zeros((12, 16))))
    for kind in ("strict", "lenient"):
        score = found[f"attauc_{kind}"]
        assert score.value == score.empty == score.random == 0.5
        precision = found[f"precision_{kind}"]
        assert precision.value == precision.empty == pytest.approx(precision.random)
        assert math.isnan(found[f"relevance_mass_{kind}"].value)
        assert found[f"pointing_{kind}"].value == pytest.approx(0.0)


def test_a_map_that_explored_nothing_scores_one_half(make_map: Any) -> None:
    found = scores_of(make_map(np.zeros((12, 16)), explored=np.zeros((12, 16))))
    assert found["attauc_strict"].value == 0.5 == found["attauc_strict"].ceiling
    assert found["coverage"].value == 0.0
    assert math.isnan(found["attauc_strict_explored"].value)


def test_random_maps_score_chance(make_map: Any) -> None:
    rng = np.random.default_rng(5)
    rows = [
        scores_of(make_map(rng.normal(size=(12, 32)), np.arange(33) * 0.25)) for _ in range(150)
    ]
    for name in ("attauc_strict", "attauc_lenient", "precision_lenient", "pointing_strict",
                 "rank_accuracy_lenient"):  # fmt: skip
        values = np.array([row[name].value for row in rows])
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - rows[0][name].random) < 4 * error, name


def test_random_maps_with_few_cells_explored_score_chance(make_map: Any) -> None:
    rng = np.random.default_rng(6)
    values = []
    for _ in range(150):
        explored = np.tile(rng.permutation(16) < 5, (12, 1))
        values.append(scores_of(make_map(rng.normal(size=(12, 16)), explored=explored)))
    strict = np.array([row["attauc_strict"].value for row in values])
    assert abs(strict.mean() - 0.5) < 4 * strict.std() / np.sqrt(len(strict))


def test_the_truth_scores_one_and_its_opposite_zero(make_map: Any) -> None:
    truth = bin_map(make_map)
    found = scores_of(truth)
    for name in ("attauc", "precision", "relevance_mass", "rank_accuracy"):
        assert found[f"{name}_strict"].value == 1.0 == found[f"{name}_strict"].ceiling
    pointing = found["pointing_strict"]
    assert pointing.value == pointing.ceiling < 1.0
    against = make_map(1 - truth.weights, edges=truth.edges_sec)
    assert scores_of(against)["attauc_strict"].value == 0.0


def test_right_leads_at_the_wrong_time_are_not_plausible(make_map: Any) -> None:
    truth = bin_map(make_map)
    shifted = make_map(np.roll(truth.weights, 20, axis=1), edges=truth.edges_sec)
    assert scores_of(shifted)["attauc_strict"].value < 0.5
    always = np.isin(STANDARD_LEADS, diagnosis(SINUS).strict_leads)[:, None] * np.ones((1, 400))
    value = scores_of(make_map(always, edges=truth.edges_sec))["attauc_strict"].value
    assert 0.5 < value < 1.0


def test_negative_weight_is_no_evidence(make_map: Any) -> None:
    truth = bin_map(make_map)
    found = scores_of(make_map(-truth.weights, edges=truth.edges_sec))
    assert found["attauc_strict"].value == 0.0


@settings(max_examples=25, deadline=None, suppress_health_check=FIXTURES_ARE_PURE)
@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.9))
def test_no_map_beats_its_ceiling(make_map: Any, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    explored = rng.random((12, 16)) < share
    for weights in (rng.normal(size=(12, 16)), rng.random((12, 16)), -rng.random((12, 16))):
        for score in scores_of(make_map(weights, explored=explored)).values():
            assert not score.value > score.ceiling + 1e-12, score


def test_ceiling_is_reached_by_the_oracle_on_the_same_cells(make_map: Any) -> None:
    rng = np.random.default_rng(3)
    explored = rng.random((12, 32)) < 0.4
    edges = np.arange(33) * 0.25
    item = make_map(rng.normal(size=(12, 32)), edges, explored)
    raster = raster_for(item, 0.02)
    mask = evidence_masks(raster, diagnosis(SINUS), PEAKS, 75.0)["strict"]
    cell = rasterise(item, raster).cell
    share = np.array([[mask[row, cell[row] == c].mean() for c in range(32)] for row in range(12)])
    unseen = mask[~rasterise(item, raster).explored].mean()
    oracle = make_map((share - unseen) * 0.25, edges, explored)
    for name, score in scores_of(oracle).items():
        if name.startswith(("attauc_strict", "precision_strict", "rank_accuracy_strict")):
            assert score.value == pytest.approx(score.ceiling, abs=1e-9), name


def test_five_windows_of_five_leads_cannot_reach_one(make_map: Any) -> None:
    explored = np.zeros((12, 16))
    explored[:5, :5] = 1
    found = scores_of(make_map(np.ones((12, 16)), explored=explored))
    assert found["attauc_strict"].ceiling < 0.8
    assert found["coverage"].value == pytest.approx(25 / (12 * 16), abs=0.01)


@settings(max_examples=20, deadline=None, suppress_health_check=FIXTURES_ARE_PURE)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.001, 0.3, 7.0]))
def test_invariances(make_map: Any, seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(12, 16)).astype(np.float32)
    explored = rng.random((12, 16)) < 0.7
    whole = scores_of(make_map(weights, explored=explored))
    halves = np.repeat(weights / 2, 2, axis=1)
    order = rng.permutation(12)
    others = (
        make_map(weights * factor, explored=explored),
        make_map(halves, np.arange(33) * 0.25, np.repeat(explored, 2, axis=1)),
        make_map(weights[order], explored=explored[order],
                 leads=tuple(STANDARD_LEADS[i] for i in order)),
    )  # fmt: skip
    for other in others:
        for name, score in scores_of(other).items():
            assert score.value == pytest.approx(whole[name].value, abs=1e-6, nan_ok=True), name


def test_no_evidence_rows_give_nan(make_map: Any) -> None:
    item = make_map(np.ones((12, 16)))
    bare = replace(diagnosis(SINUS), strict_leads=(), lenient_leads=(), windows=())
    for row in (None, bare):
        for score in plausibility(item, row, PEAKS, 75.0, PARAMS):
            assert score.metric == "coverage" or math.isnan(score.value)
    for score in plausibility(item, diagnosis(SINUS), [], float("nan"), PARAMS):
        assert score.metric == "coverage" or math.isnan(score.value)


def test_priors_are_a_trap_and_shown_as_one(make_map: Any) -> None:
    params = EvaluationParams(priors=True)
    empty = scores_of(make_map(np.zeros((12, 16))), params)
    for kind in ("strict", "lenient"):
        blended = empty[f"attauc_{kind}_priors"]
        assert blended.value == blended.empty > 0.6
        assert empty[f"attauc_{kind}"].value == 0.5
    assert not any(name.endswith("_priors") for name in scores_of(make_map(np.zeros((12, 16)))))


def test_auc_counts_bins(make_map: Any) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    item = make_map(rng.normal(size=(12, 16)), explored=rng.random((12, 16)) < 0.5)
    raster = raster_for(item, 0.02)
    drawn = rasterise(item, raster)
    mask = evidence_masks(raster, diagnosis(SINUS), PEAKS, 75.0)["lenient"]
    found = {score.metric: score.value for score in localisation(drawn, mask, 20, "x")}
    assert found["attauc_x"] == pytest.approx(roc_auc_score(mask.ravel(), drawn.scores.ravel()))
    seen = drawn.explored
    assert found["attauc_x_explored"] == pytest.approx(
        roc_auc_score(mask[seen], drawn.scores[seen])
    )


def test_every_score_is_described(make_map: Any) -> None:
    item = make_map(np.ones((12, 16)))
    names = set(scores_of(item, EvaluationParams(priors=True)))
    drawn = rasterise(item, raster_for(item, 0.02))
    names |= {s.metric for s in localisation(drawn, drawn.scores > 5, 20, "truth")}
    assert names == {metric.name for metric in GROUP.metrics}
