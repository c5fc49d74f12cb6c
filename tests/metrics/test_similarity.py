"""Rank correlation of maps, against scipy, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ecgxai_core.metrics.similarity import map_spearman

RNG = np.random.default_rng(4)
ONE, OTHER = RNG.normal(size=(2, 12, 10))


def test_agrees_with_scipy_on_equal_cells(make_map) -> None:
    """Every cell has as many bins as every other, so ranks of bins are ranks of cells."""
    expected = stats.spearmanr(ONE.reshape(-1), OTHER.reshape(-1)).statistic
    assert map_spearman(make_map(ONE), make_map(OTHER)) == pytest.approx(expected, abs=1e-9)
    assert map_spearman(make_map(ONE), make_map(ONE)) == 1.0
    assert map_spearman(make_map(ONE), make_map(-ONE)) == pytest.approx(-1.0)


def test_cutting_a_segment_in_two_changes_nothing(make_map) -> None:
    halves = np.repeat(OTHER / 2, 2, axis=1)
    cut = make_map(halves, edges=np.arange(21) * 0.25)
    assert map_spearman(make_map(ONE), cut, 0.05) == pytest.approx(
        map_spearman(make_map(ONE), make_map(OTHER), 0.05)
    )


def test_what_neither_explored_is_left_out_and_what_one_did_not_is_zero(make_map) -> None:
    seen, also = np.zeros((2, 12, 10), bool)
    seen[:, :4] = also[:, 2:6] = True
    one, other = np.where(seen, ONE, 0)[:, :6], np.where(also, OTHER, 0)[:, :6]
    expected = stats.spearmanr(one.reshape(-1), other.reshape(-1)).statistic
    found = map_spearman(make_map(ONE, explored=seen), make_map(OTHER, explored=also))
    assert found == pytest.approx(expected, abs=1e-9)
    nothing = make_map(ONE, explored=np.zeros((12, 10)))
    assert np.isnan(map_spearman(nothing, nothing))


def test_other_parts_of_a_record_are_refused(make_map) -> None:
    moved = make_map(ONE, edges=1.0 + np.arange(11) * 0.5)
    with pytest.raises(ValueError, match="parts"):
        map_spearman(make_map(ONE), moved)
