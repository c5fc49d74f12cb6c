"""Games that are sums of small games of neighbouring players, and what follows exactly from it.

The event game of a network that is local until it averages over time is such a sum on the scale
before the activation: each term depends on a few neighbouring segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
from scipy.special import expit

from ecgxai_core.games.links import LOGIT_EPS
from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = ["EventGame", "SumGame", "complete_ridge_moments", "complete_shapley", "size_of_code"]


@dataclass(frozen=True, slots=True)
class SumGame:
    """v(S) = constant + sum over blocks of a term that depends on the block's own players.

    ``n_players`` of the whole game; ``first``, ``last`` ``int64[block]``: the players of each
    block, ``last = first - 1`` for none; ``terms`` ``float64[block, code]``: bit j of the code =
    player ``first + j`` is on; ``constant``: what does not depend on any player.
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
        """``sum w v`` over all coalitions, and ``float64[player]`` over those with each player on.

        ``weight`` ``float64[n + 1]``: weight of a coalition by its size. A block's players leave
        ``n - width`` others free, so the sums over those are binomials.
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


ENUMERATED_PLAYERS = 20
"""Games of up to this many players are enumerated: a million sums take a tenth of a second."""

CLOSED_PLAYERS = 256
"""Larger games are sampled: their binomials leave the range of a float."""

LOGIT_LIMIT = float(np.log1p(-LOGIT_EPS) - np.log(LOGIT_EPS))
"""Where the logit link is cut (see :mod:`ecgxai_core.games.links`)."""


@dataclass(frozen=True)
class EventGame:
    """The event game of one class on one link.

    ``classes``: one game per class, on the scale before the ``activation`` (``sigmoid`` or
    ``softmax``); ``column``: the class that is explained; ``link``: ``probability`` or ``logit``.
    """

    classes: tuple[SumGame, ...]
    column: int
    activation: str
    link: str

    @property
    def n_players(self) -> int:
        return self.classes[self.column].n_players

    def values(self, masks: BoolArray) -> FloatArray:
        """``float64[n]``: value of coalitions ``bool[n, segment]``, on the link."""
        return self._linked([game.values(masks) for game in self._needed()])

    def shapley(self) -> FloatArray | None:
        """``float64[segment]``: exact Shapley values; ``None`` where there is no exact way."""
        if self._is_sum:
            return self.classes[self.column].shapley()
        return complete_shapley(self._complete) if self._is_small else None

    def ridge_moments(self, weight: FloatArray) -> tuple[float, FloatArray] | None:
        """Sums of ``w v`` and ``w v z`` over all coalitions, weighted by size; or ``None``."""
        if self._is_sum:
            return self.classes[self.column].ridge_moments(weight)
        return complete_ridge_moments(self._complete, weight) if self._is_small else None

    @property
    def clipped_fraction(self) -> float:
        """Share of all coalitions whose logit is cut; 0 where nothing is, or nothing enumerated."""
        if self.link != "logit" or self._is_sum or not self._is_small:
            return 0.0
        return float(np.mean(np.abs(self._complete) >= LOGIT_LIMIT))

    @cached_property
    def _complete(self) -> FloatArray:
        return self._linked([game.complete() for game in self._needed()])

    @property
    def _is_sum(self) -> bool:
        """Whether the value on the link is the sum itself: nothing is clipped, nothing bent."""
        if self.link != "logit" or self.activation != "sigmoid" or self.n_players > CLOSED_PLAYERS:
            return False
        low, high = self.classes[self.column].bounds()
        return low >= -LOGIT_LIMIT and high <= LOGIT_LIMIT

    @property
    def _is_small(self) -> bool:
        return self.n_players <= ENUMERATED_PLAYERS

    def _needed(self) -> tuple[SumGame, ...]:
        """The classes that the probability depends on, the explained one first."""
        own = self.classes[self.column]
        if self.activation == "sigmoid":
            return (own,)
        return (own, *(g for i, g in enumerate(self.classes) if i != self.column))

    def _linked(self, raw: list[FloatArray]) -> FloatArray:
        """Values before the activation (explained class first) -> on the link."""
        own, others = raw[0], raw[1:]
        if others:
            top = np.maximum.reduce(others)
            own = own - top - np.log(sum(np.exp(other - top) for other in others))
        if self.link == "logit":  # the inverse of the activation, kept from 0 and 1 as everywhere
            return np.asarray(np.clip(own, -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float64)
        return np.asarray(expit(own), dtype=np.float64)
