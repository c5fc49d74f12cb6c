"""Which cells a player stands for: coalitions of a game as ``keep`` masks of cells."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ecgxai_core.types import BoolArray, FloatArray, IntArray, Segmentation

__all__ = ["Game", "cell_keep", "cell_players", "event_keep", "lead_keep"]


def event_keep(masks: BoolArray, n_leads: int) -> BoolArray:
    """Event game: player = segment, all leads together.

    ``bool[n, segment]`` -> ``bool[n, lead, segment]``.
    """
    return np.repeat(masks[:, None, :], n_leads, axis=1)


def lead_keep(masks: BoolArray, segment: int, n_segments: int) -> BoolArray:
    """Lead-in-event game: player = lead inside ``segment``, everything else intact.

    ``bool[n, lead]`` -> ``bool[n, lead, segment]``.
    """
    keep = np.ones((*masks.shape, n_segments), dtype=np.bool_)
    keep[:, :, segment] = masks
    return keep


def cell_players(n_leads: int, n_segments: int, open_segments: IntArray) -> IntArray:
    """Player of every cell: ``int64[lead, segment]``.

    The cells of ``open_segments`` are players of their own (first), every other segment is one
    player with all its leads, as TimeSHAP groups what it does not look into (Bento et al., KDD
    2021, section 3.3).
    """
    player = np.empty((n_leads, n_segments), dtype=np.int64)
    player[:, open_segments] = np.arange(n_leads * len(open_segments)).reshape(n_leads, -1)
    closed = np.setdiff1d(np.arange(n_segments), open_segments)
    player[:, closed] = n_leads * len(open_segments) + np.arange(len(closed))
    return player


def cell_keep(masks: BoolArray, player: IntArray) -> BoolArray:
    """Cell game: ``bool[n, player]`` -> ``bool[n, lead, segment]``."""
    return np.ascontiguousarray(masks[:, player])


class Game(Protocol):
    """Coalitions of cells and their values; :class:`ecgxai_core.games.masked.MaskedModel` is one.

    A game that also has ``player_rows`` (``int64[player]``) masks only these rows by themselves.
    """

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the lead axis of ``keep``."""
        ...

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """``float64[n]``: value of coalitions ``bool[n, lead, segment]``; ``False`` = masked."""
        ...
