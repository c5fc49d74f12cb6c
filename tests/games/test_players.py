"""Players and their cells."""

from __future__ import annotations

import numpy as np

from ecgxai_core.games.players import cell_keep, cell_players, event_keep, lead_keep


def test_event_player_is_a_segment_in_all_leads():
    masks = np.array([[True, False, True]])
    keep = event_keep(masks, 4)
    assert keep.shape == (1, 4, 3)
    assert np.all(keep == masks[:, None])


def test_lead_player_leaves_other_segments_intact():
    masks = np.array([[True, False], [False, False]])
    keep = lead_keep(masks, 1, 3)
    assert np.all(keep[:, :, [0, 2]])
    assert np.array_equal(keep[:, :, 1], masks)


def test_cell_players_cover_each_cell_once():
    player = cell_players(3, 5, np.array([1, 4]))
    assert sorted(np.unique(player).tolist()) == list(range(3 * 2 + 3))
    assert len(np.unique(player[:, [1, 4]])) == 6
    assert np.all(player[:, [0, 2, 3]] == player[0, [0, 2, 3]])


def test_cell_keep_switches_exactly_the_players_cells():
    player = cell_players(3, 5, np.array([1, 4]))
    keep = cell_keep(~np.eye(9, dtype=bool), player)
    for index in range(9):
        assert np.array_equal(~keep[index], player == index)
