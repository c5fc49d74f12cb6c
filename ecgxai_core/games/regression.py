"""Weights of players from the values of coalitions: two weighted least-squares fits.

Standard errors are those of the *sampling*, relative to the estimate from all coalitions; 0 where
all were evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from ecgxai_core.games.sampling import Coalitions
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["Fit", "fit_ridge", "fit_shapley", "ridge_from_moments", "weighted_r2", "weighted_ridge"]

FOLDS = 5
"""Folds of the cross-validated R2."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A linear model of a game.

    ``values`` ``float64[player]``: weights on the link scale; ``errors`` ``float64[player]``:
    standard errors of sampling, 0 where all coalitions were evaluated, infinite with fewer
    coalitions than players; ``intercept``: value of the empty coalition under the fit;
    ``held_out_r2``: weighted R2 on coalitions that the fit did not see (5 folds over pairs),
    ``None`` where it is undefined (too few coalitions, or a game whose value never changes).
    """

    values: FloatArray
    errors: FloatArray
    intercept: float
    held_out_r2: float | None


def weighted_ridge(
    masks: BoolArray | FloatArray, values: FloatArray, weights: FloatArray, alpha: float
) -> tuple[float, FloatArray]:
    """Minimise sum w (y - b - z.beta)^2 + alpha |beta|^2; the intercept b is not penalised.

    ``masks`` ``bool[n, player]`` (or any real matrix), ``values`` ``float64[n]``, ``weights``
    ``float64[n]`` >= 0; ``alpha`` on the scale of the summed weights. Returns the intercept and
    ``float64[player]`` coefficients; where they are not determined, those of least norm.
    """
    design = np.asarray(masks, dtype=np.float64)
    total = weights.sum()
    centre, level = _dot(weights, design) / total, float((weights * values).sum() / total)
    centred = design - centre
    gram = _dot(centred.T * weights, centred)
    right = _dot(centred.T * weights, values - level)
    coefficients = _solve(gram, alpha, right)
    return level - float((centre * coefficients).sum()), coefficients


def fit_ridge(coalitions: Coalitions, values: FloatArray, weights: FloatArray, alpha: float) -> Fit:
    """LIME's surrogate: weighted ridge regression of the values on the masks.

    ``values`` and ``weights`` ``float64[n]``: value on the link scale and weight of each coalition;
    ``alpha``: ridge penalty.
    """
    masks = coalitions.masks.astype(np.float64)

    def fitted(rows: BoolArray) -> FloatArray:
        intercept, coefficients = weighted_ridge(masks[rows], values[rows], weights[rows], alpha)
        return np.concatenate([[intercept], coefficients])

    design = np.concatenate([np.ones((len(masks), 1)), masks], axis=1)
    penalty = np.full(design.shape[1], alpha)
    penalty[0] = 0.0
    whole = fitted(np.ones(len(masks), dtype=np.bool_))
    covariance = _covariance(coalitions, design, values - _dot(design, whole), weights, penalty)
    errors = np.sqrt(np.maximum(0.0, np.diag(covariance)))[1:]
    r2 = _held_out(coalitions, design, values, weights, fitted)
    return Fit(whole[1:], errors, float(whole[0]), r2)


def ridge_from_moments(
    weight: FloatArray, total: float, by_player: FloatArray, alpha: float
) -> tuple[FloatArray, float]:
    """:func:`weighted_ridge` over all 2^n masks, weighted by their size alone.

    ``weight`` ``float64[n + 1]``: weight of a mask by the number of players on; ``total``,
    ``by_player``: sum of ``w y`` over all masks, and ``float64[player]`` over those with each
    player on; ``alpha``: penalty. Returns ``float64[player]`` coefficients and the intercept.
    """
    n = len(weight) - 1
    mass = sum(comb(n, k) * weight[k] for k in range(n + 1))
    one = sum(comb(n - 1, k - 1) * weight[k] for k in range(1, n + 1))
    two = sum(comb(n - 2, k - 2) * weight[k] for k in range(2, n + 1))
    centre, level = one / mass, total / mass
    gram = np.full((n, n), two - one * centre)
    np.fill_diagonal(gram, one - one * centre)
    coefficients = _solve(gram, alpha, by_player - centre * total)
    return coefficients, float(level - centre * coefficients.sum())


def fit_shapley(
    coalitions: Coalitions,
    values: FloatArray,
    weights: FloatArray,
    *,
    empty: float,
    full: float,
    ridge: float = 0.0,
) -> Fit:
    """KernelSHAP: weighted least squares under the efficiency constraint.

    Minimise sum w (v(S) - v(0) - sum of phi over S)^2 subject to sum phi = v(N) - v(0) (Lundberg &
    Lee, NeurIPS 2017, theorem 2; Covert & Lee, AISTATS 2021, eq. 6). The constraint is built in
    exactly: phi = (v(N) - v(0)) / n + Q theta, with the columns of Q an orthonormal basis of the
    vectors that sum to zero.

    Parameters as in :func:`fit_ridge`; the empty and the full coalition may have weight 0.
    ``empty`` and ``full`` are v(0) and v(N) on the link scale; ``ridge`` is the penalty on theta,
    the distance from equal shares.
    """
    n_players = coalitions.n_players
    basis = _sum_zero_basis(n_players)
    share = (full - empty) / n_players
    masks = coalitions.masks.astype(np.float64)
    design = _dot(masks, basis)
    target = values - empty - share * masks.sum(axis=1)

    def fitted(rows: BoolArray) -> FloatArray:
        part, weighted = design[rows], design[rows].T * weights[rows]
        return _solve(_dot(weighted, part), ridge, _dot(weighted, target[rows]))

    theta = fitted(np.ones(len(masks), dtype=np.bool_))
    penalty = np.full(n_players - 1, ridge)
    residual = target - _dot(design, theta)
    covariance = _covariance(coalitions, design, residual, weights, penalty)
    if np.isinf(covariance).any():
        errors = np.full(n_players, np.inf)
    else:
        errors = np.sqrt(np.maximum(0.0, (_dot(basis, covariance) * basis).sum(axis=1)))
    offset = empty + share * masks.sum(axis=1)
    r2 = _held_out(coalitions, design, values, weights, fitted, offset)
    return Fit(share + _dot(basis, theta), errors, empty, r2)


def weighted_r2(values: FloatArray, predicted: FloatArray, weights: FloatArray) -> float | None:
    """1 - sum w (y - fit)^2 / sum w (y - weighted mean)^2; ``None`` where y does not vary."""
    total = float(weights.sum())
    if total <= 0:
        return None
    mean = float((weights * values).sum()) / total
    spread = float((weights * (values - mean) ** 2).sum())
    if spread <= 1e-20 * total * max(1.0, mean**2):
        return None
    return 1.0 - float((weights * (values - predicted) ** 2).sum()) / spread


def _dot(left: FloatArray, right: FloatArray) -> FloatArray:
    """Matrix product in numpy's own loops: BLAS may add in an order that depends on its threads."""
    return np.asarray(np.einsum("...j,jk->...k" if right.ndim == 2 else "...j,j->...", left, right))


def _solve(gram: FloatArray, alpha: float, right: FloatArray) -> FloatArray:
    """Solve (gram + alpha I) x = right; least-norm solution where that is singular."""
    return _dot(_inverse(gram + alpha * np.eye(len(gram))), right)


def _inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of a symmetric positive semidefinite matrix; pseudo-inverse where it is singular."""
    if not len(matrix):
        return np.zeros((0, 0))
    values, vectors = np.linalg.eigh(matrix)
    usable = values > values[-1] * len(matrix) * 1e-13
    scaled = vectors[:, usable] / values[usable]
    return _dot(scaled, np.ascontiguousarray(vectors[:, usable].T))


def _sum_zero_basis(n_players: int) -> FloatArray:
    """``float64[n, n - 1]``: orthonormal columns that each sum to zero (Helmert contrasts)."""
    basis = np.zeros((n_players, max(0, n_players - 1)))
    for column in range(n_players - 1):
        basis[: column + 1, column] = 1.0
        basis[column + 1, column] = -(column + 1.0)
        basis[:, column] /= np.sqrt((column + 1.0) * (column + 2.0))
    return basis


def _covariance(
    coalitions: Coalitions,
    design: FloatArray,
    residual: FloatArray,
    weights: FloatArray,
    penalty: FloatArray,
) -> FloatArray:
    """Sandwich covariance of a weighted least-squares fit under stratified cluster sampling.

    Heteroscedasticity-robust (White 1980), clustered by pair, centred within strata, with the
    finite population correction 1 - fraction (Binder 1983), and with the small-sample correction
    CR3 of Bell & McCaffrey (2002), nearly the delete-one-pair jackknife: a pair's residuals are
    multiplied by (I - H)^-1, H its block of the hat matrix. In simulated games with interactions
    (10 to 20 players, 100 to 256 coalitions) 94 to 97 % of the 95 % intervals hold the exact
    value; with (I - H)^(-1/2), CR2, it is 90 to 95 %. Lead priors, under which some leads are
    hardly ever drawn, brought it down to 87 %.
    """
    n_parameters = design.shape[1]
    if coalitions.exact:
        return np.zeros((n_parameters, n_parameters))
    root = np.sqrt(weights)
    gram = _dot((design.T * weights), design) + np.diag(penalty)
    if n_parameters and np.linalg.matrix_rank(gram, hermitian=True) < n_parameters:
        return np.full((n_parameters, n_parameters), np.inf)
    bread = _inverse(gram)
    check_stop()
    size = coalitions.cluster_size
    rows = (design * root[:, None]).reshape(-1, size, n_parameters)
    errors = (residual * root).reshape(-1, size)
    hat = np.einsum("cip,pq,cjq->cij", rows, bread, rows, optimize=False)
    values, vectors = np.linalg.eigh(hat)
    stretch = 1.0 / np.maximum(1.0 - values, 1e-6)
    errors = np.einsum("cij,cj,ckj,ck->ci", vectors, stretch, vectors, errors, optimize=False)
    scores = np.einsum("cip,ci->cp", rows, errors)
    return _dot(_dot(bread, _meat(coalitions, scores)), bread)


def _meat(coalitions: Coalitions, scores: FloatArray) -> FloatArray:
    """Covariance of the sum of cluster scores under stratified sampling."""
    meat = np.zeros((scores.shape[1], scores.shape[1]))
    for stratum in np.unique(coalitions.stratum):
        here = coalitions.stratum == stratum
        free = 1.0 - float(coalitions.fraction[here][0])
        count = int(here.sum())
        if free <= 1e-12 or count == 0:
            continue
        part = scores[here]
        if count > 1:
            part = (part - part.mean(axis=0)) * np.sqrt(count / (count - 1.0))
        meat += free * _dot(part.T, part)
    return meat


def _held_out(
    coalitions: Coalitions,
    design: FloatArray,
    values: FloatArray,
    weights: FloatArray,
    fitted: Callable[[BoolArray], FloatArray],
    offset: FloatArray | float = 0.0,
) -> float | None:
    """Weighted R2 of each fold's coalitions under the fit to the other folds, over all folds.

    Pairs are never split; the full and the empty coalition are in every fit and never scored.
    """
    clusters = np.arange(len(values)) // coalitions.cluster_size
    sizes = coalitions.sizes
    scored = (sizes > 0) & (sizes < coalitions.n_players)
    if clusters[-1] + 1 < FOLDS or not scored.any():
        return None
    predicted = np.zeros(len(values))
    for fold in range(FOLDS):
        check_stop()
        held = (clusters % FOLDS == fold) & scored
        if (weights[~held] > 0).sum() <= design.shape[1]:
            return None
        predicted[held] = _dot(design[held], fitted(~held))
    predicted = predicted + offset
    return weighted_r2(values[scored], predicted[scored], weights[scored])
