"""Fits against independent computations, axioms, and the truth of their standard errors."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecgxai_core.explainers.lime import lime_weights
from ecgxai_core.explainers.timeshap import shapley_weights
from ecgxai_core.games.kernels import log_lime_density, log_shapley_kernel, size_mass
from ecgxai_core.games.regression import fit_ridge, fit_shapley, weighted_r2, weighted_ridge
from ecgxai_core.games.sampling import (
    exact_coalitions,
    paired_coalitions,
    published_lime_coalitions,
    shared_lead_mass,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def brute_force_shapley(value, n):
    """Average marginal contribution, straight from Shapley's formula."""
    phi = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for members in combinations(others, size):
                mask = np.zeros((1, n), dtype=bool)
                mask[0, list(members)] = True
                without = value(mask)[0]
                mask[0, i] = True
                phi[i] += weight * (value(mask)[0] - without)
    return phi


def table_game(table):
    n = int(np.log2(len(table)))

    def value(masks):
        return table[masks @ (1 << np.arange(n))]

    return value, n


def shapley(coalitions, value, ridge=0.0):
    n = coalitions.n_players
    empty, full = value(np.zeros((1, n), bool))[0], value(np.ones((1, n), bool))[0]
    weights = shapley_weights(coalitions)
    return fit_shapley(
        coalitions, value(coalitions.masks), weights, empty=empty, full=full, ridge=ridge
    )


def lime(coalitions, value, alpha=0.01):
    return fit_ridge(
        coalitions, value(coalitions.masks), lime_weights(coalitions, 0.5, 0.25), alpha
    )


def bent_game(n, seed):
    """Main effects, pairwise and higher interactions, both odd and even under complement."""
    draw = rng(seed)
    main, pairs = draw.normal(size=n), np.triu(draw.normal(size=(n, n)), 1) * 0.6

    def value(masks):
        z = masks.astype(float)
        q = z @ main + 3.0 / n * np.einsum("ni,ij,nj->n", z, pairs, z)
        return np.tanh(q / 2) + 0.2 * q

    return value


tables = st.integers(2, 5).flatmap(
    lambda n: hnp.arrays(np.float64, 2**n, elements=st.floats(-10, 10, width=32))
)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_all_coalitions_give_the_exact_shapley_value(table):
    value, n = table_game(table)
    fit = shapley(exact_coalitions(n), value)
    assert np.allclose(fit.values, brute_force_shapley(value, n), atol=1e-9)
    assert np.all(fit.errors == 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(9, 30))
def test_efficiency_holds_exactly_for_sampled_coalitions(seed, n):
    value = bent_game(n, seed)
    drawn = paired_coalitions(size_mass(log_shapley_kernel(n)), 120, rng(seed))
    fit = shapley(drawn, value)
    worth = value(np.ones((1, n), bool))[0] - value(np.zeros((1, n), bool))[0]
    assert fit.values.sum() == pytest.approx(worth, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(tables, st.integers(0, 5))
def test_dummy_player_gets_nothing(table, where):
    value, n = table_game(table)
    where = min(where, n)

    def padded(masks):
        return value(np.delete(masks, where, axis=1))

    drawn = exact_coalitions(n + 1)
    fit = shapley(drawn, padded)
    assert fit.values[where] == pytest.approx(0, abs=1e-9)
    assert np.allclose(np.delete(fit.values, where), brute_force_shapley(value, n), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_players_that_can_be_exchanged_get_the_same(table):
    value, n = table_game(table)

    def symmetric(masks):
        swapped = masks.copy()
        swapped[:, [0, 1]] = masks[:, [1, 0]]
        return value(masks) + value(swapped)

    for fit in (shapley(exact_coalitions(n), symmetric), lime(exact_coalitions(n), symmetric)):
        assert fit.values[0] == pytest.approx(fit.values[1], abs=1e-8)


@pytest.mark.parametrize("n", [6, 12, 25])
def test_additive_games_are_found_exactly_from_few_coalitions(n):
    effects = rng(n).normal(size=n)

    def value(masks):
        return 3.0 + masks @ effects

    drawn = paired_coalitions(shared_lead_mass(n), 80, rng(1))
    for fit in (shapley(drawn, value), lime(drawn, value, alpha=0.0)):
        assert np.allclose(fit.values, effects, atol=1e-9)
        assert np.allclose(fit.errors, 0, atol=1e-9)
        assert fit.intercept == pytest.approx(3.0)
        assert fit.held_out_r2 == pytest.approx(1.0)


def test_pairs_find_games_of_two_player_interactions_exactly():
    """Covert & Lee 2021: pairing cancels every term of even order about the middle."""
    n = 20
    main, pairs = rng(1).normal(size=n), np.triu(rng(2).normal(size=(n, n)), 1)

    def value(masks):
        z = masks.astype(float)
        return z @ main + np.einsum("ni,ij,nj->n", z, pairs, z)

    fit = shapley(paired_coalitions(size_mass(log_shapley_kernel(n)), 128, rng(3)), value)
    assert np.allclose(fit.values, main + (pairs.sum(axis=0) + pairs.sum(axis=1)) / 2, atol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 3.0])
def test_ridge_is_scikit_learns(alpha):
    from sklearn.linear_model import Ridge

    masks = rng(0).random((60, 8)) < 0.5
    values, weights = rng(1).normal(size=60), rng(2).random(60)
    intercept, coefficients = weighted_ridge(masks, values, weights, alpha)
    other = Ridge(alpha=alpha).fit(masks.astype(float), values, sample_weight=weights)
    assert np.allclose(coefficients, other.coef_, atol=1e-9)
    assert intercept == pytest.approx(other.intercept_)


def test_more_players_than_coalitions_says_that_nothing_is_known():
    value = bent_game(40, 0)
    fit = shapley(paired_coalitions(size_mass(log_shapley_kernel(40)), 30, rng()), value)
    assert np.all(np.isfinite(fit.values))
    assert np.all(np.isinf(fit.errors))
    assert fit.held_out_r2 is None


def test_constant_game():
    drawn = paired_coalitions(shared_lead_mass(12), 100, rng())
    for fit in (shapley(drawn, lambda m: np.full(len(m), 0.4)),
                lime(drawn, lambda m: np.full(len(m), 0.4))):  # fmt: skip
        assert np.allclose(fit.values, 0, atol=1e-12)
        assert fit.held_out_r2 is None


def test_single_player():
    fit = shapley(exact_coalitions(1), lambda m: 0.2 + 0.5 * m[:, 0])
    assert fit.values.tolist() == pytest.approx([0.5])
    assert fit.errors.tolist() == [0.0]


def test_ridge_pulls_shapley_values_towards_equal_shares():
    value = bent_game(12, 4)
    drawn = paired_coalitions(shared_lead_mass(12), 100, rng())
    free, tied = shapley(drawn, value), shapley(drawn, value, ridge=1e9)
    assert np.ptp(tied.values) < 1e-3 < np.ptp(free.values)
    assert tied.values.sum() == pytest.approx(free.values.sum())


def test_sampled_fits_approach_those_of_all_coalitions():
    value = bent_game(12, 7)
    for fitter, density in ((shapley, log_shapley_kernel(12)),
                            (lime, log_lime_density(12, 0.5, 0.25))):  # fmt: skip
        truth = fitter(exact_coalitions(12), value).values
        errors = []
        for budget in (60, 240, 960):
            drawn = paired_coalitions(size_mass(density), budget, rng(1))
            errors.append(np.abs(fitter(drawn, value).values - truth).mean())
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.02 * np.abs(truth).max()


@pytest.mark.parametrize("method", ["shapley", "lime"])
@pytest.mark.parametrize("design", ["own", "shared"])
def test_standard_errors_cover_at_95_percent(method, design):
    """240 designs over 40 games: the share of 95 % intervals that hold the exact value."""
    n = 10
    own = log_shapley_kernel(n) if method == "shapley" else log_lime_density(n, 0.5, 0.25)
    mass = size_mass(own) if design == "own" else shared_lead_mass(n)
    fitter = shapley if method == "shapley" else lime
    hits = []
    for game in range(40):
        value = bent_game(n, game)
        truth = fitter(exact_coalitions(n), value).values
        for seed in range(6):
            fit = fitter(paired_coalitions(mass, 100, np.random.default_rng([game, seed])), value)
            hits.append(np.abs(fit.values - truth) <= 1.96 * fit.errors)
    assert 0.93 <= np.mean(hits) <= 0.985


def test_standard_errors_of_published_lime_masks_cover():
    n, hits = 10, []
    for game in range(20):
        value = bent_game(n, game)
        truth = lime(exact_coalitions(n), value, 0.0).values
        for seed in range(6):
            drawn = published_lime_coalitions(
                np.full(n, 0.5), 150, np.random.default_rng([7, game, seed])
            )
            fit = lime(drawn, value, 0.0)
            hits.append(np.abs(fit.values - truth) <= 1.96 * fit.errors)
    assert 0.92 <= np.mean(hits) <= 0.99


def test_held_out_r2_is_lower_than_the_fits_own_and_falls_with_bends():
    drawn = paired_coalitions(shared_lead_mass(12), 100, rng())
    value = bent_game(12, 3)
    fit = lime(drawn, value)
    weights = lime_weights(drawn, 0.5, 0.25)
    own = weighted_r2(value(drawn.masks), fit.intercept + drawn.masks @ fit.values, weights)
    assert fit.held_out_r2 < own < 1

    def noise(masks):
        return np.sin(1e4 * (masks @ np.arange(1.0, 13.0) ** 1.5))

    assert lime(drawn, noise).held_out_r2 < 0.2


def test_weighted_r2_by_hand():
    values, weights = np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, 1.0])
    predicted = np.array([0.0, 1.0, 2.0])
    mean = (2.0 + 3.0) / 4
    spread = mean**2 + 2 * (1 - mean) ** 2 + (3 - mean) ** 2
    assert weighted_r2(values, predicted, weights) == pytest.approx(1 - 1 / spread)
    assert weighted_r2(np.ones(3), predicted, weights) is None
