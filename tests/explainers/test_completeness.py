"""What maps say of their own sum."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.params import ExplainParams
from tests.analytic import OTHER, TARGET, Analytic, cell_energy, record

SHARED = np.random.default_rng(3).normal(size=(12, 5)) / 12


def score(values):
    """Evidence that two windows share: masking either loses all of it."""
    energy = (cell_energy(values, list(range(0, 501, 100))) * SHARED).sum(axis=1)
    return 2.0 * np.tanh(energy[:, 0] * energy[:, 1]) + energy.sum(axis=1)


PARAMS = ExplainParams(window_sec=1.0, n_coalitions=64, n_lead_coalitions=64, top_events=5)


def facts_of(method, **changes):
    found = explain(Case(record(), Analytic(score), TARGET), method, PARAMS.updated(**changes))
    return found, found.diagnostics


def difference(link="logit"):
    """v(record) - v(0 mV), straight from the score."""
    signal = np.array(record().signal.T, dtype=float)
    value = score(np.stack([signal, np.zeros_like(signal)]))
    if link == "probability":
        value = 1 / (1 + np.exp(-value))
    return value[0] - value[1]


@pytest.mark.parametrize("link", ["logit", "probability"])
@pytest.mark.parametrize("method", ["timeshap", "lime", "occlusion", "lime_adapter"])
def test_gap_is_that_of_the_map_itself_on_its_link(method, link):
    found, facts = facts_of(method, link=link)
    assert facts["map_gap_reason"] is None
    assert facts["map_sum"] == pytest.approx(found.weights.sum(), rel=1e-5)
    assert facts["map_worth"] == pytest.approx(difference(link), rel=1e-3)
    expected = abs(found.weights.sum() - difference(link)) / abs(difference(link))
    assert facts["map_gap"] == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_event_game_may_add_up_where_the_map_does_not():
    _, leads = facts_of("timeshap")
    assert leads["efficiency_gap"] < 1e-6 < 0.05 < leads["map_gap"]
    _, owen = facts_of("timeshap", level="owen")
    assert owen["map_gap"] < 1e-6


def test_a_map_with_unexplored_cells_has_no_gap():
    for changes, missing in (({"top_events": 2}, 36), ({"keep_leads": 11}, 5)):
        _, facts = facts_of("timeshap", **changes)
        assert facts["map_gap"] is None
        assert facts["map_gap_reason"] == f"{missing} of 60 cells are not explored"


def test_with_a_contrast_the_difference_is_of_both_classes():
    """The other class's logit is minus the target's."""
    found, facts = facts_of("occlusion", contrast=OTHER)
    assert facts["map_worth"] == pytest.approx(2 * difference(), rel=1e-3)
    assert facts["map_sum"] == pytest.approx(found.weights.sum(), rel=1e-5)
