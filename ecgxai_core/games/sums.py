"""Games that are sums of small games of neighbouring players, and what follows exactly from it.

The event game of a network that is local until it averages over time is such a sum on the scale
before the activation: each term depends on a few neighbouring segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = ["SumGame", "complete_ridge_moments", "complete_shapley", "size_of_code"]


@dataclass(frozen=True, slots=True)
class SumGame:
    """v(S) = constant + sum over blocks of a term that depends on the block's own players.

    Attributes
    ----------
    n_players
        Players of the whole game.
    first, last
        ``int64[block]``: the players of each block; ``last = first - 1`` for none.
    terms
        ``float64[block, code]``: bit j of the code = player ``first + j`` is on.
    constant
        What does not depend on any player.
    """

    n_players: int
    first: IntArray
    last: IntArray
    terms: FloatArray
    constant: float = 0.0

    def blocks(self) -> Iterator[tuple[int, int, FloatArray]]:
        """First player, number of players and ``float64[2 ** number]`` terms of each block."""
        for first, last, terms in zip(self.first, self.last, self.terms, strict=True):
            width = int(last - first) + 1
            yield int(first), width, terms[: 2**width]

    def values(self, masks: BoolArray) -> FloatArray:
        """``float64[n]``: value of coalitions ``bool[n, player]``."""
        total = np.full(len(masks), self.constant)
        for first, width, terms in self.blocks():
            code = masks[:, first : first + width] @ (1 << np.arange(width))
            total += terms[code]
        return total

    def complete(self) -> FloatArray:
        """``float64[2 ** n]``: value of every coalition; bit i of the index = player i is on."""
        n = self.n_players
        total = np.full(2**n, self.constant)
        for first, width, terms in self.blocks():
            view = total.reshape(2 ** (n - first - width), 2**width, 2**first)
            view += terms[None, :, None]
        return total

    def bounds(self) -> tuple[float, float]:
        """Numbers that no coalition's value lies below or above."""
        low = high = self.constant
        for _, _, terms in self.blocks():
            low, high = low + float(terms.min()), high + float(terms.max())
        return low, high

    def shapley(self) -> FloatArray:
        """``float64[player]``: Shapley values, the sum of those of the blocks.

        Linearity and the null-player axiom: Shapley, A Value for n-Person Games, 1953.
        """
        total = np.zeros(self.n_players)
        for first, width, terms in self.blocks():
            if width:
                total[first : first + width] += complete_shapley(terms)
        return total

    def ridge_moments(self, weight: FloatArray) -> tuple[float, FloatArray]:
        """Sums of ``w v`` over all coalitions, and over those with each player on.

        Parameters
        ----------
        weight
            ``float64[n + 1]``: weight of a coalition by its size.

        Returns
        -------
        ``sum w v`` and ``float64[player]`` ``sum w v z_i``. A block's players leave ``n - width``
        others free, so the sums over those are binomials.
        """
        n = self.n_players
        every = sum(comb(n, k) * weight[k] for k in range(n + 1))
        each = sum(comb(n - 1, k - 1) * weight[k] for k in range(1, n + 1))
        total, by_player = self.constant * every, np.full(n, self.constant * each)
        for first, width, terms in self.blocks():
            free = n - width
            size = size_of_code(width)
            outer = np.array(
                [sum(comb(free, k) * weight[k + j] for k in range(free + 1)) for j in size]
            )
            total += float(outer @ terms)
            bits = (np.arange(2**width)[:, None] >> np.arange(width)) & 1 == 1
            inside = np.arange(first, first + width)
            by_player[inside] += (bits.T * outer) @ terms
            if free:
                fewer = np.array(
                    [sum(comb(free - 1, k - 1) * weight[k + j] for k in range(1, free + 1))
                     for j in size]
                )  # fmt: skip
                others = np.setdiff1d(np.arange(n), inside)
                by_player[others] += float(fewer @ terms)
        return float(total), by_player


def size_of_code(n_players: int) -> IntArray:
    """``int64[2 ** n]``: players on in each coalition."""
    size = np.zeros(1, dtype=np.int64)
    for _ in range(n_players):
        size = np.concatenate([size, size + 1])
    return size


def complete_shapley(values: FloatArray) -> FloatArray:
    """``float64[player]``: Shapley values from the values of all ``2 ** n`` coalitions.

    phi_i = sum over S with i of (|S|-1)! (n-|S|)! / n! v(S) minus the same over S without i with
    |S|! (n-|S|-1)! / n! (Shapley 1953).
    """
    n = len(values).bit_length() - 1
    size = size_of_code(n)
    with_player = np.array([0.0, *(1.0 / (n * comb(n - 1, k - 1)) for k in range(1, n + 1))])
    without = np.array([*(1.0 / (n * comb(n - 1, k)) for k in range(n)), 0.0])
    gained, missed = with_player[size] * values, without[size] * values
    return np.array(
        [
            gained.reshape(-1, 2, 2**i)[:, 1].sum() - missed.reshape(-1, 2, 2**i)[:, 0].sum()
            for i in range(n)
        ]
    )


def complete_ridge_moments(values: FloatArray, weight: FloatArray) -> tuple[float, FloatArray]:
    """:meth:`SumGame.ridge_moments` from the values of all ``2 ** n`` coalitions."""
    n = len(values).bit_length() - 1
    weighted = weight[size_of_code(n)] * values
    by_player = [weighted.reshape(-1, 2, 2**i)[:, 1].sum() for i in range(n)]
    return float(weighted.sum()), np.array(by_player)
