"""The event game in closed form: every coalition of segments, without sampling.

For a network that is local, averages over time and ends in one dense layer, the value before the
activation is a sum of terms of neighbouring segments (:class:`~ecgxai_core.games.sums.SumGame`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from ecgxai_core.games.links import LOGIT_EPS
from ecgxai_core.games.sums import SumGame, complete_ridge_moments, complete_shapley
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["CLOSED_PLAYERS", "ENUMERATED_PLAYERS", "EventGame"]

ENUMERATED_PLAYERS = 20
"""Games of up to this many players are enumerated: a million sums take a tenth of a second."""

CLOSED_PLAYERS = 256
"""Larger games are sampled: their binomials leave the range of a float."""

LOGIT_LIMIT = float(np.log1p(-LOGIT_EPS) - np.log(LOGIT_EPS))
"""Where the logit link is cut (see :mod:`ecgxai_core.games.links`)."""


@dataclass(frozen=True)
class EventGame:
    """The event game of one class on one link.

    Attributes
    ----------
    classes
        One game a class, on the scale before the activation.
    column
        The class that is explained.
    activation
        ``sigmoid`` or ``softmax``.
    link
        ``probability`` or ``logit``.
    """

    classes: tuple[SumGame, ...]
    column: int
    activation: str
    link: str

    @property
    def n_players(self) -> int:
        """Segments."""
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
    def share_cut(self) -> float:
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
