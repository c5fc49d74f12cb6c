"""Two classes as one game: the difference of their log-odds, coalition by coalition."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.games.contrast import ContrastModel
from ecgxai_core.games.links import LOGIT_EPS, to_link
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.types import Segmentation
from tests.analytic import OTHER, TARGET, Analytic, model_input

GIVEN = model_input()
CUT = Segmentation("uniform", np.array([0, 100, 300, 500]), 100.0, 0.0)


def contrast(scale: float) -> tuple[ContrastModel, MaskedModel]:
    classifier = Analytic(lambda x: scale * x[:, :, 0].sum(axis=1))
    one = MaskedModel(classifier, GIVEN, TARGET, "zero")
    return ContrastModel(one, OTHER), one


def test_value_is_the_difference_of_log_odds():
    """The other class has the opposite log-odds here, so the difference is twice one."""
    game, one = contrast(0.02)
    keep = np.random.default_rng(0).random((20, 12, 3)) < 0.5
    plain = to_link(one.probabilities(keep, CUT), "logit")
    assert np.ptp(plain) > 0.5
    assert np.allclose(to_link(game.probabilities(keep, CUT), "logit"), 2 * plain, atol=1e-4)
    assert game.probability == one.probability
    assert game.baseline_probability(CUT) == one.baseline_probability(CUT)
    assert (game.target, game.contrast.target) == (TARGET, OTHER)


def test_far_differences_are_cut_and_stay_finite():
    game, _ = contrast(50.0)
    keep = np.ones((1, 12, 3), dtype=np.bool_)
    value = to_link(game.probabilities(keep, CUT), "logit")
    assert np.abs(value) == pytest.approx(np.log((1 - LOGIT_EPS) / LOGIT_EPS))


def test_memory_is_shared_and_the_count_is_not():
    game, _ = contrast(0.02)
    keep = np.random.default_rng(1).random((5, 12, 3)) < 0.5
    first = game.shared()
    values = first.probabilities(keep, CUT)
    again = game.shared()
    assert again.forward_passes == 0
    rows = game.classifier.rows
    assert np.array_equal(again.probabilities(keep, CUT), values)
    assert game.classifier.rows == rows
    assert again.forward_passes == first.forward_passes == 5
