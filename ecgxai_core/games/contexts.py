"""Contexts of a segment: which other unions of a hierarchy are on while its leads join.

In a hierarchical Shapley value the leads of a segment join one after another while every other
union (segment, beat) is wholly on or wholly off. The probability of each such context follows from
random orders of the unions: one order for segments > leads (Owen 1977), one order per level for
beats > waves > leads (Winter 1989). A context and its complement are equally probable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = ["ALONE", "Contexts", "in_one_order", "in_two_orders", "quadrature"]

Unit = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contexts:
    """The unions beside one segment.

    ``n_bits`` of a context; bit i on = its union is unmasked. ``orders`` of units of bits: the
    units of one order join in random order, the bits of one unit together, and orders are
    independent. Every bit is in one unit.

    Notes
    -----
    Owen, Values of Games with a Priori Unions, 1977; Winter, A Value for Cooperative Games with
    Levels Structure of Cooperation, 1989. The integrals are those of the multilinear extension
    (Owen 1972): each unit is on with probability t, and t is uniform.
    """

    n_bits: int
    orders: tuple[tuple[Unit, ...], ...]

    def chance(self, contexts: BoolArray) -> FloatArray:
        """``float64[n]``: probability of each context ``bool[n, bit]``.

        In one order of k single bits, s of them on, it is s! (k - s)! / (k + 1)!.
        """

        def on(unit: Unit, at: FloatArray) -> FloatArray:
            bits = contexts[:, unit]
            whole = bits.all(axis=1, keepdims=True)
            none = ~bits.any(axis=1, keepdims=True)
            return np.where(whole, at, np.where(none, 1.0 - at, 0.0))

        return self._integral(len(contexts), on)

    def expected(self, contexts: BoolArray, rho: float) -> FloatArray:
        """``float64[n]``: mean of rho^(Hamming distance) from a random context to each given one.

        ``contexts`` is ``bool[n, bit]``.
        """

        def alike(unit: Unit, at: FloatArray) -> FloatArray:
            on = contexts[:, unit].sum(axis=1)[:, None]
            return np.asarray(at * rho ** (len(unit) - on) + (1.0 - at) * rho**on)

        return self._integral(len(contexts), alike)

    def _integral(self, n: int, factor: Callable[[Unit, FloatArray], FloatArray]) -> FloatArray:
        """``float64[n]``: over orders, the product of the mean product of factors of the units."""
        found = np.ones(n)
        for units in self.orders:
            at, weight = quadrature(len(units))
            inner = np.ones((n, len(at)))
            for unit in units:
                inner *= factor(unit, at)
            # numpy's own loops, whose order does not depend on threads
            found *= np.einsum("ij,j->i", inner, weight)
        return found

    def variance(self, rho: float) -> float:
        """Mean of rho^(Hamming distance) between two independent random contexts."""
        found = 1.0
        for units in self.orders:
            at, weight = quadrature(len(units))
            both = at[:, None] * at + (1.0 - at[:, None]) * (1.0 - at)
            inner = np.ones_like(both)
            for unit in units:
                inner *= both + (1.0 - both) * rho ** len(unit)
            found *= float((weight[:, None] * weight * inner).sum())
        return found


ALONE = Contexts(0, ())
"""No other union: a plain game."""


def in_one_order(n_units: int) -> Contexts:
    """Contexts of so many units of one bit each that join in one order (Owen)."""
    return Contexts(n_units, (tuple((bit,) for bit in range(n_units)),) if n_units else ())


def in_two_orders(groups: IntArray, own: int) -> Contexts:
    """Contexts of a segment among the segments of its own group and the groups beside it (Winter).

    Parameters
    ----------
    groups
        ``int64[bit]``: the group (beat) of each of the other segments.
    own
        The group of the segment itself.
    """

    def bits(group: int) -> Unit:
        return tuple(int(bit) for bit in np.flatnonzero(groups == group))

    inner = tuple((bit,) for bit in bits(own))
    others = tuple(bits(int(group)) for group in np.unique(groups) if group != own)
    return Contexts(len(groups), tuple(order for order in (inner, others) if order))


@lru_cache(maxsize=256)
def quadrature(degree: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1] that integrate polynomials of up to ``2 * degree`` exactly."""
    at, weight = np.polynomial.legendre.leggauss(degree + 1)
    return (at + 1.0) / 2.0, weight / 2.0
