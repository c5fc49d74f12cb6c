"""Shapley values of a game from some of its coalitions, by a Gaussian process over coalitions.

The game is a draw from a Gaussian process over coalitions; what its Shapley values are, given the
coalitions that were evaluated, is then a normal distribution: its mean is the estimate, its
standard deviation a standard error (Bayesian quadrature: O'Hagan 1991; Rasmussen and Ghahramani,
NeurIPS 2002). The covariance of two coalitions is rho^(Hamming distance), plus that of an additive
game; rho and the additive share are chosen by marginal likelihood of the evaluated coalitions
(Rasmussen and Williams 2006, section 5.4.1).

Only what a Shapley value depends on is modelled: differences between a coalition and its
complement, averaged over a context and its complement. With bits of +1 and -1 a term of the game
over a set A of context bits and a set B of players adds 2 / ((|A| + 1) |B|) to each player in B
where |A| is even and |B| odd, and nothing otherwise; the quad

    y(c, l) = [f(c, l) - f(c, not l) + f(not c, l) - f(not c, not l)] / 4

holds exactly those terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaincinv

from ecgxai_core.games.contexts import ALONE, Contexts, quadrature
from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = [
    "KERNELS",
    "PLAIN_KERNELS",
    "Kernel",
    "Posterior",
    "Quads",
    "complete_rows",
    "context_covariance",
    "context_expected",
    "context_weights",
    "error_bound",
    "exact_weights",
    "lead_covariance",
    "lead_cross",
    "lead_variance",
    "posterior",
    "solver",
]

JITTER = 1e-6
"""Share of the variance that counts as noise: rounding of the model, and redundant rows."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Covariance of quads: (additive part and the rest over players) times (over contexts).

    ``rho_player``, ``rho_context``: correlation that remains when one player, or one context bit,
    differs; ``trend``: variance of the additive part over that of the rest.
    """

    rho_player: float
    rho_context: float
    trend: float


KERNELS: tuple[Kernel, ...] = tuple(
    Kernel(rho_player, rho_context, trend)
    for rho_player in (0.3, 0.5, 0.75)
    for rho_context in (0.6, 0.9)
    for trend in (1.0, 4.0, 16.0)
)
"""Kernels among which the marginal likelihood chooses."""

PLAIN_KERNELS: tuple[Kernel, ...] = tuple(
    Kernel(rho_player, 0.9, trend)
    for rho_player in (0.3, 0.5, 0.75, 0.9)
    for trend in (0.25, 1.0, 4.0, 16.0)
)
"""The same for games without contexts."""


@dataclass(frozen=True, slots=True)
class Quads:
    """Rows of a design: contexts ``bool[row, bit]`` and coalitions ``bool[row, player]``."""

    contexts: BoolArray
    masks: BoolArray

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def n_players(self) -> int:
        return int(self.masks.shape[1])

    def corners(self) -> list[tuple[BoolArray, BoolArray]]:
        """Contexts and coalitions of each corner: four, or two where there is no context."""
        c, m = self.contexts, self.masks
        both = [(c, m), (c, ~m), (~c, m), (~c, ~m)]
        return both if c.shape[1] else both[:2]

    def first(self, count: int) -> Quads:
        """The first rows."""
        return Quads(self.contexts[:count], self.masks[:count])

    def seen_by(self, bits: Iterable[int]) -> tuple[Quads, IntArray]:
        """The design as a part of the game sees it that depends on some context bits only.

        Returns
        -------
        Its rows without repeats, and ``int64[row]``: where each stood first. A context and its
        complement are one row.
        """
        chosen = self.contexts[:, list(bits)]
        flipped = chosen ^ chosen[:, :1] if chosen.shape[1] else chosen
        both = np.concatenate([flipped, self.masks], axis=1)
        _, first = np.unique(both, axis=0, return_index=True)
        rows: IntArray = np.sort(first)
        return Quads(chosen[rows], self.masks[rows]), rows


# ---- covariances -------------------------------------------------------------------------------


def lead_covariance(left: BoolArray, right: BoolArray, kernel: Kernel) -> FloatArray:
    """``float64[n, m]``: covariance of (f(l) - f(not l)) / 2 over coalitions, 1 on the diagonal.

    ``bool[n, player]`` and ``bool[m, player]``.
    """
    n = left.shape[1]
    apart = np.arange(n + 1)
    rest = (kernel.rho_player**apart - kernel.rho_player ** (n - apart)) / _odd(n, kernel)
    table = (rest + kernel.trend * (n - 2 * apart) / n) / (1.0 + kernel.trend)
    return np.asarray(table[_distance(left, right)])


def lead_cross(masks: BoolArray, kernel: Kernel) -> FloatArray:
    """``float64[player, n]``: covariance of the Shapley values with rows of a design.

    The Shapley value of rho^(distance to l) is the integral of its multilinear extension's slope:
    other players are on with chance t (Owen 1972).
    """
    n, rho = masks.shape[1], kernel.rho_player
    at, weight = quadrature(n)
    others = masks.sum(axis=1)[:, None] - masks
    steps = np.arange(n)
    by_count = (at + (1 - at) * rho) ** steps[:, None] * (at * rho + 1 - at) ** (n - 1 - steps)[
        :, None
    ]
    slope = (1.0 - rho) * np.einsum("it,t->i", by_count, weight)[others]
    signs = np.where(masks, 1.0, -1.0)
    rest = 2.0 * slope * signs / _odd(n, kernel)
    return np.asarray((rest + kernel.trend * 2.0 * signs / n) / (1.0 + kernel.trend)).T


def lead_variance(n: int, kernel: Kernel) -> FloatArray:
    """``float64[player, player]``: prior covariance of the Shapley values."""
    rho = kernel.rho_player
    at, weight = quadrature(n)
    both = weight[:, None] * weight
    alike = at[:, None] * at + (1 - at[:, None]) * (1 - at)
    shared = alike + (1 - alike) * rho
    own = 2.0 * (1.0 - rho) * float((both * shared ** (n - 1)).sum())
    slopes = (1.0 - rho) ** 2 * (2 * at[:, None] - 1) * (2 * at - 1)
    cross = float((both * shared ** (n - 2) * slopes).sum()) if n > 1 else 0.0
    rest = np.full((n, n), cross)
    np.fill_diagonal(rest, own)
    rest *= 2.0 / _odd(n, kernel)
    return np.asarray((rest + kernel.trend * 4.0 / n * np.eye(n)) / (1.0 + kernel.trend))


def context_covariance(left: BoolArray, right: BoolArray, kernel: Kernel) -> FloatArray:
    """``float64[n, m]``: the same over contexts, averaged over complements."""
    bits, rho = left.shape[1], kernel.rho_context
    apart = np.arange(bits + 1)
    table = (rho**apart + rho ** (bits - apart)) / _even(bits, kernel)
    return np.asarray(table[_distance(left, right)])


def context_expected(contexts: BoolArray, kernel: Kernel, how: Contexts) -> FloatArray:
    """``float64[n]``: covariance of the mean over random contexts with each given one."""
    even = _even(contexts.shape[1], kernel) / 2.0
    return how.expected(contexts, kernel.rho_context) / even


def _odd(n: int, kernel: Kernel) -> float:
    return float(1.0 - kernel.rho_player**n)


def _even(bits: int, kernel: Kernel) -> float:
    return float(1.0 + kernel.rho_context**bits)


def _distance(left: BoolArray, right: BoolArray) -> IntArray:
    """``int64[n, m]``: Hamming distances."""
    one, two = left.astype(np.int64), right.astype(np.int64)
    shared = np.einsum("ip,jp->ij", one, two)
    return np.asarray(one.sum(axis=1)[:, None] + two.sum(axis=1) - 2 * shared)


# ---- solving -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Solver:
    """What turns evaluated quads into Shapley values, for one design, hierarchy and kernel.

    ``whiten`` ``float64[row, row]``, lower triangular: quads -> independent innovations, in units
    of the process (the first rows of a design have its first rows and columns); ``project``
    ``float64[row, player]``: innovations -> Shapley values; ``prior`` ``float64[player, player]``;
    ``log_scale`` ``float64[row]``: log of the standard deviation of each innovation.
    """

    whiten: FloatArray
    project: FloatArray
    prior: FloatArray
    log_scale: FloatArray

    def innovations(self, quads: FloatArray) -> FloatArray:
        """``float64[row, ...]`` -> the same; fewer rows than the design's will do."""
        rows = len(quads)
        return np.asarray(np.einsum("ij,j...->i...", self.whiten[:rows, :rows], quads))

    def mean(self, innovations: FloatArray) -> FloatArray:
        """``float64[player, ...]``: posterior mean of the Shapley values."""
        part = self.project[: len(innovations)]
        return np.asarray(np.einsum("ip,i...->p...", part, innovations))

    def covariance(self, rows: int) -> FloatArray:
        """``float64[player, player]``: posterior covariance in units of the process's variance."""
        part = self.project[:rows]
        return np.asarray(self.prior - np.einsum("ip,iq->pq", part, part))

    def log_likelihood(self, innovations: FloatArray) -> FloatArray:
        """``float64[...]``: marginal likelihood of games, each with its own best variance."""
        rows = len(innovations)
        scale = np.maximum((innovations**2).mean(axis=0), np.finfo(np.float64).tiny)
        return np.asarray(-0.5 * rows * np.log(scale) - self.log_scale[:rows].sum())


def solver(quads: Quads, kernel: Kernel, contexts: Contexts = ALONE) -> Solver:
    """The solver of a design (no two rows the same) under a kernel, for one way of joining."""
    both = np.concatenate([quads.contexts, quads.masks], axis=1)
    return _solver(both.tobytes(), quads.contexts.shape[1], quads.n_players, kernel, contexts)


@lru_cache(maxsize=1024)
def _solver(flat: bytes, bits: int, n: int, kernel: Kernel, contexts: Contexts) -> Solver:
    both = np.frombuffer(flat, np.bool_).reshape(-1, bits + n)
    given, masks = both[:, :bits], both[:, bits:]
    rows = len(both)
    covariance = lead_covariance(masks, masks, kernel) * context_covariance(given, given, kernel)
    covariance[np.diag_indices(rows)] += JITTER
    cross = lead_cross(masks, kernel) * context_expected(given, kernel, contexts)
    prior = lead_variance(n, kernel) * contexts.variance(kernel.rho_context)
    prior /= _even(bits, kernel) / 2.0
    lower = np.linalg.cholesky(covariance)
    whiten = solve_triangular(lower, np.eye(rows), lower=True)
    project = solve_triangular(lower, cross.T, lower=True)
    return Solver(np.tril(whiten), project, prior, np.log(np.diag(lower)))


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of the Shapley values of one game.

    ``values`` ``float64[player]``; ``covariance`` ``float64[player, player]``, zero where all quads
    were evaluated.
    """

    values: FloatArray
    covariance: FloatArray

    @property
    def errors(self) -> FloatArray:
        """``float64[player]``: standard errors."""
        return np.sqrt(np.maximum(0.0, np.diag(self.covariance)))

    def summing_to(self, total: float, variance: float = 0.0) -> Posterior:
        """The same values, given that they add up to a total known with some variance.

        The residual is spread by the posterior covariance, so uncertain players take more of it;
        evenly where the values are exact.
        """
        n = len(self.values)
        toward = self.covariance.sum(axis=0)
        spread = float(toward.sum())
        exact = spread <= 1e-12 * float(np.trace(self.covariance)) or spread <= 0.0
        share = np.full(n, 1.0 / n) if exact else toward / spread
        values = self.values + share * (total - float(self.values.sum()))
        left = self.covariance if exact else self.covariance - np.outer(share, toward)
        return Posterior(values, left + variance * np.outer(share, share))


def posterior(
    quads: Quads, values: FloatArray, contexts: Contexts = ALONE, kernels: Sequence[Kernel] = ()
) -> Posterior:
    """Shapley values of one game from its quads.

    Parameters
    ----------
    quads
        Which quads were evaluated; no two the same.
    values
        ``float64[row]``.
    contexts
        How the context bits join.
    kernels
        Kernels to average over, each weighted by its marginal likelihood; none =
        :data:`PLAIN_KERNELS` or, with contexts, :data:`KERNELS`.

    Returns
    -------
    Exact values where the quads are complete, else the posterior.
    """
    n = quads.n_players
    if len(quads) == complete_rows(contexts.n_bits, n):
        exact = np.einsum("rp,r->p", exact_weights(quads, contexts), values)
        return Posterior(exact, np.zeros((n, n)))
    if not np.any(values):
        return Posterior(np.zeros(n), np.zeros((n, n)))
    solvers = [
        solver(quads, kernel, contexts)
        for kernel in kernels or (KERNELS if contexts.n_bits else PLAIN_KERNELS)
    ]
    innovations = [one.innovations(values) for one in solvers]
    likelihood = np.array(
        [float(one.log_likelihood(z)) for one, z in zip(solvers, innovations, strict=True)]
    )
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    means = np.array([one.mean(z) for one, z in zip(solvers, innovations, strict=True)])
    mean = np.einsum("k,kp->p", weight, means)
    covariance = np.zeros((n, n))
    for share, one, z, own in zip(weight, solvers, innovations, means, strict=True):
        spread = one.covariance(len(values)) * float((z**2).mean())
        covariance += share * (spread + np.outer(own - mean, own - mean))
    return Posterior(mean, covariance)


def complete_rows(bits: int, players: int) -> int:
    """Number of all quads of a game."""
    return int(2 ** max(0, bits - 1) * 2 ** (players - 1))


def exact_weights(quads: Quads, contexts: Contexts = ALONE) -> FloatArray:
    """``float64[row, player]``: Shapley values are these sums over the quads of all rows.

    In a plain game a coalition of k of n players enters the value of a player inside with
    (k - 1)! (n - k)! / n! and of one outside with -k! (n - k - 1)! / n! (Shapley 1953); a quad
    stands for two coalitions with opposite signs, in two contexts.
    """
    n = quads.n_players
    size = quads.masks.sum(axis=1)
    joins = np.array([1.0 / (n * comb(n - 1, k - 1)) if k else 0.0 for k in size])
    waits = np.array([1.0 / (n * comb(n - 1, k)) if k < n else 0.0 for k in size])
    by_player = 2.0 * np.where(quads.masks, joins[:, None], -waits[:, None])
    return np.asarray(by_player * context_weights(quads.contexts, contexts)[:, None])


def context_weights(given: BoolArray, contexts: Contexts) -> FloatArray:
    """``float64[row]``: chance of each context or its complement."""
    if not contexts.n_bits:
        return np.ones(len(given))
    return contexts.chance(given) + contexts.chance(~given)


def error_bound(variances: FloatArray, confidence: float = 0.95) -> float:
    """Upper limit of the Euclidean norm of the errors at that confidence.

    The squared norm of independent normal errors is a weighted sum of chi-squares, approximated by
    a chi-square with the same mean and variance (Satterthwaite 1946; Welch 1938).
    """
    total = float(variances.sum())
    if total <= 0.0:
        return 0.0
    freedom = total**2 / float((variances**2).sum())
    quantile = 2.0 * float(gammaincinv(freedom / 2.0, confidence))
    return float(np.sqrt(total * quantile / freedom))
