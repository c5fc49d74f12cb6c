"""Evaluating a fit."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.explainers.sampled_games import (
    efficiency_gap,
    keep_strongest_leads,
    strongest,
    top_set_converged,
)


def test_strongest_ranks_by_magnitude_and_breaks_ties_by_position():
    assert strongest(np.array([1.0, -3.0, 1.0, 0.5, 3.0]), 3).tolist() == [1, 4, 0]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([0.0] * 4, True), ([0.1] * 4, True), ([0.3] * 4, False), ([0.0, 0.0, 0.9, 0.0], False)],
)
def test_converged_compares_bounds_across_the_border(errors, expected):
    values = np.array([3.0, -2.0, 1.0, 0.0])
    assert top_set_converged(values, np.array(errors), 2) is expected


def test_a_wide_interval_inside_the_set_counts_too():
    values, errors = np.array([3.0, 2.0, 1.0]), np.array([2.0, 0.0, 0.0])
    assert not top_set_converged(values, errors, 2)


def test_all_players_are_always_the_same_set_and_unknown_errors_never_converge():
    assert top_set_converged(np.array([1.0, 0.9]), np.array([5.0, 5.0]), 2)
    assert not top_set_converged(np.array([9.0, 0.1]), np.array([np.inf, np.inf]), 1)


def test_efficiency_gap():
    assert efficiency_gap(np.array([0.5, 0.3]), 1.0, 0.0) == pytest.approx(0.2)
    assert efficiency_gap(np.array([0.0, 0.0]), 0.4, 0.4) is None


def test_keep_strongest_leads_counts_explored_cells_only():
    weights = np.array([[9.0, 0.0], [1.0, 1.0], [0.5, 0.0]])
    explored = np.array([[False, True], [True, True], [True, True]])
    kept = keep_strongest_leads(weights, explored, 2)
    assert kept.tolist() == [[False, False], [True, True], [True, True]]
