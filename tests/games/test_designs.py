"""Which coalitions are chosen."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.games import designs
from ecgxai_core.games.contexts import in_one_order
from ecgxai_core.games.designs import CHOOSING, design
from ecgxai_core.games.gaussian import Quads, complete_rows, solver


def left(quads, bits):
    """Summed posterior variance of the Shapley values."""
    one = solver(quads, CHOOSING, in_one_order(bits))
    return float(np.trace(one.covariance(len(quads))))


@pytest.mark.parametrize(("bits", "players"), [(0, 8), (0, 12), (2, 6), (19, 12), (0, 30)])
def test_rows_are_different_nested_and_begin_with_the_full_coalition(bits, players):
    many, few = design(bits, players, 60), design(bits, players, 20)
    assert np.array_equal(many.masks[:20], few.masks)
    assert np.array_equal(many.contexts[:20], few.contexts)
    assert many.masks[0].all()
    assert many.contexts[0].all()
    assert len(many.seen_by(range(bits))[1]) == len(many) == 60


def test_each_row_is_the_best_of_all_that_are_left():
    """By hand: every row of a small game is tried."""
    chosen = design(1, 4, 6)
    contexts = np.repeat([[True]], 8, axis=0)
    masks = (np.arange(8)[:, None] >> np.arange(4)) & 1 == 1
    for count in range(1, 6):
        before = chosen.first(count)
        variances = []
        for row in range(8):
            new = Quads(contexts[[row]], masks[[row]])
            both = Quads(
                np.concatenate([before.contexts, new.contexts]),
                np.concatenate([before.masks, new.masks]),
            )
            if len(both.seen_by([0])[1]) > count and not masks[row].all():
                taken = (before.masks == ~masks[row]).all(axis=1).any()
                variances.append(np.inf if taken else left(both, 1))
        assert left(chosen.first(count + 1), 1) <= min(variances) + 1e-9


def test_chosen_rows_say_more_than_drawn_ones():
    chosen = design(0, 12, 50)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(5):
        masks = rng.random((49, 12)) < 0.5
        masks ^= ~masks[:, -1:]
        masks = np.concatenate([np.ones((1, 12), bool), np.unique(masks, axis=0)])
        drawn.append(left(Quads(np.zeros((len(masks), 0), bool), masks), 0))
    assert left(chosen, 0) < 0.6 * min(drawn)


def test_tabulated_columns_come_first():
    rows = design(4, 8, 40, columns=True)
    assert rows.masks[:8].all()
    assert not rows.masks[8:].all(axis=1).any()
    assert len(np.unique(rows.contexts[:8], axis=0)) == 8
    assert rows.contexts[:, 0].all()


def test_all_rows_are_there_when_they_are_asked_for():
    rows = design(2, 4, 99)
    assert len(rows) == complete_rows(2, 4) == 16


@pytest.mark.parametrize(("bits", "players"), [(0, 8), (2, 8), (6, 8), (1, 12)])
def test_shipped_designs_are_those_that_are_made(bits, players):
    shipped = designs._shipped()[bits, players]
    made = designs._chosen(bits, players, min(64, len(shipped)), True)
    assert np.array_equal(shipped.contexts[: len(made)], made.contexts)
    assert np.array_equal(shipped.masks[: len(made)], made.masks)


def test_without_the_shipped_file_designs_are_made(tmp_path, monkeypatch):
    shipped = design(2, 8, 30, columns=True)
    monkeypatch.setattr(designs, "assets_dir", lambda: tmp_path)
    designs._shipped.cache_clear()
    try:
        made = design(2, 8, 30, columns=True)
        assert np.array_equal(made.masks, shipped.masks)
    finally:
        monkeypatch.undo()
        designs._shipped.cache_clear()
