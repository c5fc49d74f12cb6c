"""What is undefined is not averaged away: one trial or stage without a value leaves no mean."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.metrics.robustness import Trial, robustness
from ecgxai_core.metrics.sanity import sanity
from ecgxai_core.metrics.similarity import map_spearman
from ecgxai_core.params import StabilityParams
from ecgxai_core.signal.extra_beat import TimeMap
from tests.metrics.planted import planted

RECORD = planted(1)
STILL = TimeMap(8.0, 0.0, 8.0)


def under_noise(*names):
    trials = [Trial("noise", RECORD.maps[name], STILL) for name in names]
    scores = robustness(RECORD.maps["oracle"], trials, RECORD.peaks, StabilityParams())
    return {score.metric: score.value for score in scores}


def test_a_trial_without_a_value_leaves_no_mean():
    one, other = under_noise("random"), under_noise("time_reversed")
    both = under_noise("random", "time_reversed")
    for name in ("spearman_noise", "weighted_jaccard_noise"):
        assert both[name] == pytest.approx((one[name] + other[name]) / 2)
    assert np.isnan(under_noise("empty")["spearman_noise"])  # a map without any order
    assert np.isnan(under_noise("random", "empty")["spearman_noise"])
    assert under_noise("random", "empty")["predictions_stayed"] == 1.0
    assert np.isnan(both["spearman_gain"])


def test_a_stage_without_a_value_leaves_no_mean():
    oracle, maps = RECORD.maps["oracle"], RECORD.maps
    stages = [("last", maps["random"]), ("all", maps["time_reversed"])]
    told = {score.metric: score.value for score in sanity(oracle, stages).scores}
    by_hand = [abs(map_spearman(oracle, item)) for _, item in stages]
    assert told["randomisation_cascade"] == pytest.approx(np.mean(by_hand))
    told = sanity(oracle, [("last", maps["constant"]), *stages])
    assert np.isnan({s.metric: s.value for s in told.scores}["randomisation_cascade"])
    assert np.isfinite(told.stages[-1][1])
