"""Maps are evaluated by the game that they explain: its value, its baseline, its leads."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.games.players import event_keep
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.removal import removal
from ecgxai_core.params import EvaluationParams, ExplainParams
from ecgxai_core.pipeline.evaluation import game_of
from ecgxai_core.types import Segmentation
from tests.analytic import OTHER, TARGET, Analytic, record

GIVEN = record()
PARAMS = EvaluationParams()


def smooth(values):
    """Depends on level and shape, so that every baseline matters."""
    return 3.0 * values[:, :, 0].mean(axis=1) + np.abs(np.diff(values[:, :, 1], axis=1)).mean(
        axis=1
    )


def scores_of(maps, params):
    game, whole = game_of(Case(GIVEN, Analytic(smooth), TARGET), params)
    evaluated = faithfulness(maps, game, whole, PARAMS)
    return {name: {s.metric: s.value for s in item.scores} for name, item in evaluated.items()}


@pytest.mark.parametrize("baseline", ["zero", "linear"])
def test_a_masked_record_is_the_same_on_every_grid(baseline):
    params = ExplainParams(window_sec=0.5, baseline=baseline)
    game, whole = game_of(Case(GIVEN, Analytic(smooth), TARGET), params)
    own = explain(Case(GIVEN, Analytic(smooth), TARGET), "occlusion", params)
    found = [
        game.probabilities(event_keep(np.zeros((1, n), bool), 12), cut)[0]
        for n in (1, 10, 25, 50)
        for cut in [Segmentation("uniform", np.linspace(0, 500, n + 1).astype(int), 100.0, 0.0)]
    ]
    assert np.allclose(found, own.diagnostics["baseline_probability"], atol=1e-7)
    assert len(whole) == 1


@pytest.mark.parametrize("baseline", ["zero", "linear"])
def test_the_score_of_a_map_does_not_depend_on_its_company(baseline):
    """A finer map beside it makes the common grid finer; the masked records stay comparable."""
    params = ExplainParams(window_sec=0.5, baseline=baseline)
    own = explain(Case(GIVEN, Analytic(smooth), TARGET), "occlusion", params)
    finer = params.updated(window_sec=0.06)
    beside = explain(Case(GIVEN, Analytic(smooth), TARGET), "occlusion", finer)
    alone = scores_of({"own": own}, params)["own"]
    together = scores_of({"own": own, "beside": beside}, params)["own"]
    assert together["deletion_auc"] == pytest.approx(alone["deletion_auc"], abs=0.02)


def two_leads(values):
    """Half of the difference: Analytic gives the other class the opposite logit."""
    return values[:, :, 0].mean(axis=1) - values[:, :, 11].mean(axis=1)


def test_maps_against_another_class_are_evaluated_by_the_difference():
    """The map is exact for a linear model, so it must explain what it is asked of."""
    params = ExplainParams(window_sec=0.5, contrast=OTHER)
    classifier = Analytic(two_leads)
    found = explain(Case(GIVEN, classifier, TARGET), "occlusion", params)
    game, whole = game_of(Case(GIVEN, classifier, TARGET), params)
    intact = game.probabilities(np.ones((1, 12, 1), bool), whole)[0]
    logit = two_leads(GIVEN.signal.T[None].astype(np.float64))[0]
    assert intact == pytest.approx(1 / (1 + np.exp(-2 * logit)), abs=1e-6)
    (scores,) = removal({"own": found}, game, whole, PARAMS).values()
    by_name = {score.metric: score.value for score in scores}
    assert by_name["infidelity"] < 0.05
    assert by_name["monotonicity"] > 0.95


def test_the_class_to_stand_against_may_be_named_as_targets_are():
    params = ExplainParams(contrast="SR")
    game, _ = game_of(Case(GIVEN, Analytic(two_leads), TARGET), params)
    assert game.contrast.target == OTHER
