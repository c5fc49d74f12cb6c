"""Games of a hierarchy, for any model: players beside unions that are wholly on or wholly off.

The leads of a segment beside the other segments; the waves of a beat beside the other beats; all
beats. A :class:`UnionGame` has the cells of each player and union, and so the masked records of its
quads (:mod:`ecgxai_core.games.gaussian`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.games.contexts import ALONE, Contexts, in_one_order
from ecgxai_core.games.designs import design
from ecgxai_core.games.gaussian import Quads, complete_rows
from ecgxai_core.types import BoolArray, FloatArray, IntArray, Segmentation

__all__ = ["UnionGame", "beats_of", "event_union_game", "lead_union_game"]


@dataclass(frozen=True, slots=True)
class UnionGame:
    """Players beside unions.

    ``owner`` ``int64[lead, segment]``: who has each cell: players 0 ... ``n_players - 1``, then the
    bits of the ``contexts``, which say how the unions join.
    """

    owner: IntArray
    n_players: int
    contexts: Contexts = ALONE

    @property
    def corners(self) -> int:
        return 4 if self.contexts.n_bits else 2

    @property
    def complete(self) -> int:
        """Number of all quads."""
        return complete_rows(self.contexts.n_bits, self.n_players)

    def design(self, rows: int) -> Quads:
        """The first rows of the design."""
        return design(self.contexts.n_bits, self.n_players, rows)

    def keep(self, quads: Quads) -> BoolArray:
        """``bool[row * corner, lead, segment]``: the cells that are on in each corner."""
        held = [np.concatenate([mask, context], axis=1) for context, mask in quads.corners()]
        on = np.stack(held, axis=1)
        return on.reshape(-1, on.shape[2])[:, self.owner]

    def quads(self, values: FloatArray) -> FloatArray:
        """``float64[row]`` from the values of the corners, ``float64[row * corner]``."""
        by_corner = values.reshape(-1, self.corners)
        return np.asarray((by_corner[:, ::2] - by_corner[:, 1::2]).mean(axis=1) / 2.0)


def event_union_game(
    groups: Sequence[IntArray], others: Sequence[IntArray], n_leads: int
) -> UnionGame:
    """Groups of segments as players, other groups as unions that join in one order.

    All segments are in one group each. With no others it is the plain game of the groups.
    """
    held = [*groups, *others]
    owner = np.zeros(sum(len(group) for group in held), dtype=np.int64)
    for place, group in enumerate(held):
        owner[group] = place
    return UnionGame(np.tile(owner, (n_leads, 1)), len(groups), in_one_order(len(others)))


def lead_union_game(
    segment: int, rows: IntArray, n_leads: int, orders: Sequence[Sequence[IntArray]]
) -> UnionGame:
    """The leads of one segment beside unions of the other segments.

    Parameters
    ----------
    segment, n_leads
        The segment, and the number of leads.
    rows
        ``int64[player]``: leads that are masked by themselves; the others are not read.
    orders
        Unions (segments of each) by the order that they join in.
    """
    unions = [union for order in orders for union in order]
    owner = np.zeros((n_leads, 1 + sum(len(union) for union in unions)), dtype=np.int64)
    owner[rows, segment] = np.arange(len(rows))
    for bit, union in enumerate(unions):
        owner[:, union] = len(rows) + bit
    bits = iter(range(len(unions)))
    joined = tuple(tuple((next(bits),) for _ in order) for order in orders if len(order))
    return UnionGame(owner, len(rows), Contexts(len(unions), joined))


def beats_of(segmentation: Segmentation) -> IntArray:
    """``int64[segment]``: the beat that each wave belongs to, counted from 0.

    A beat begins with its P wave, or with its QRS complex where it has none, and ends before the
    next. Segments before the first beat belong to it. Other kinds of segment are beats of their
    own: there is no level between beats and leads.
    """
    if not segmentation.labels:
        return np.arange(len(segmentation))
    beat, has_qrs, found = 0, False, []
    for label in segmentation.labels:
        if has_qrs and label in {"P", "QRS"}:
            beat, has_qrs = beat + 1, False
        has_qrs = has_qrs or label == "QRS"
        found.append(beat)
    return np.array(found, dtype=np.int64)
