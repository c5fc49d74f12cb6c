"""How much each coalition counts: kernels over the number of players left on.

Every kernel here depends on a coalition through its size alone. Kernels are given as logarithms,
because the binomials of games with thousands of players do not fit a float.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from ecgxai_core.types import FloatArray, IntArray

__all__ = [
    "cosine_distance",
    "lime_kernel",
    "log_binomial",
    "log_lime_density",
    "log_shapley_kernel",
    "size_mass",
]


def log_binomial(n: int, k: FloatArray | IntArray) -> FloatArray:
    """Logarithm of n over k."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def log_shapley_kernel(n_players: int) -> FloatArray:
    """``float64[size]``, sizes 0 ... n: log of the Shapley kernel of one coalition.

    (n - 1) / (C(n, k) k (n - k)); Lundberg & Lee, NeurIPS 2017, theorem 2. The empty and the full
    coalition have infinite weight there: they are the two constraints of the regression, and get
    weight 0 (log -inf) here.
    """
    kernel = np.full(n_players + 1, -np.inf)
    size = np.arange(1, n_players, dtype=np.float64)
    pairs = np.log(size) + np.log(n_players - size)
    kernel[1:n_players] = np.log(max(n_players - 1, 1)) - log_binomial(n_players, size) - pairs
    return kernel


def cosine_distance(n_players: int) -> FloatArray:
    """``float64[size]``: cosine distance of a mask with that many ones to the mask of all ones.

    1 - sqrt(k / n); 1 for the empty mask.
    """
    return 1.0 - np.sqrt(np.arange(n_players + 1) / n_players)


def lime_kernel(n_players: int, width: float) -> FloatArray:
    """``float64[size]``: sqrt(exp(-d^2 / width^2)), d the cosine distance.

    Ribeiro et al., KDD 2016, section 3.4, in the form of the ``lime`` package's kernel.
    """
    return np.asarray(np.sqrt(np.exp(-(cosine_distance(n_players) ** 2) / width**2)))


def log_lime_density(n_players: int, p_on: float, width: float) -> FloatArray:
    """``float64[size]``: log of (probability of one mask when each player is on with ``p_on``)
    times (LIME's kernel): the weight of that mask in LIME with endless sampling."""
    size = np.arange(n_players + 1, dtype=np.float64)
    drawn = size * np.log(p_on) + (n_players - size) * np.log1p(-p_on)
    return np.asarray(drawn - cosine_distance(n_players) ** 2 / (2.0 * width**2))


def size_mass(log_density: FloatArray) -> FloatArray:
    """``float64[size]``: share of a kernel's total weight that lies on the masks of each size.

    Equal shares for a kernel without any weight (the Shapley kernel of a single player).
    """
    n_players = len(log_density) - 1
    if not np.isfinite(log_density).any():
        return np.full(n_players + 1, 1.0 / (n_players + 1))
    log_mass = log_density + log_binomial(n_players, np.arange(n_players + 1))
    mass = np.exp(log_mass - log_mass.max())
    return np.asarray(mass / mass.sum())
