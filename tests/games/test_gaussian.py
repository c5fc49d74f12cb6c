"""Hierarchical Shapley values from quads: complete, and by Gaussian process."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.games.contexts import ALONE, Contexts, in_one_order, in_two_orders
from ecgxai_core.games.designs import design
from ecgxai_core.games.gaussian import (
    Kernel,
    Posterior,
    Quads,
    complete_rows,
    context_covariance,
    context_expected,
    error_bound,
    exact_weights,
    lead_covariance,
    lead_cross,
    lead_variance,
    posterior,
    solver,
)
from ecgxai_core.games.local.sums import complete_shapley
from tests.games.orders import hierarchical_values

KERNEL = Kernel(rho_player=0.6, rho_context=0.7, trend=3.0)
TWO_LEVELS = in_two_orders(np.array([0, 0, 1, 1, 2]), 0)


def all_quads(bits, players):
    contexts = (np.arange(2**bits)[:, None] >> np.arange(bits)) & 1 == 1
    contexts = contexts[contexts[:, 0]] if bits else contexts
    masks = (np.arange(2 ** (players - 1))[:, None] >> np.arange(players)) & 1 == 1
    return Quads(np.repeat(contexts, len(masks), axis=0), np.tile(masks, (len(contexts), 1)))


def quad_values(worth, quads):
    """``worth[context code, coalition code]``."""
    bits, n = quads.contexts.shape[1], quads.n_players
    c, one = quads.contexts @ (1 << np.arange(bits)), quads.masks @ (1 << np.arange(n))
    d, two = 2**bits - 1 - c, 2**n - 1 - one
    return (worth[c, one] - worth[c, two] + worth[d, one] - worth[d, two]) / 4


@pytest.mark.parametrize("contexts", [ALONE, in_one_order(1), in_one_order(4), TWO_LEVELS])
def test_chances_of_contexts_sum_to_one_and_do_not_change_under_complement(contexts):
    codes = np.arange(2**contexts.n_bits)
    on = (codes[:, None] >> np.arange(contexts.n_bits)) & 1 == 1
    chance = contexts.chance(on)
    assert chance.sum() == pytest.approx(1)
    assert np.allclose(chance, chance[::-1])


def test_chances_in_one_order_are_shapleys():
    assert np.allclose(
        in_one_order(2).chance(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], bool)),
        [1 / 3, 1 / 6, 1 / 6, 1 / 3],
    )


def test_complete_quads_give_the_owen_values_of_all_orders():
    """Three segments, the first of two leads: the others are one player each."""
    worth = np.random.default_rng(0).normal(size=2**4)
    quads = all_quads(2, 2)
    values = quad_values(worth.reshape(4, 4), quads)
    expected = hierarchical_values(worth, ((0, 1), 2, 3))[:2]
    found = posterior(quads, values, in_one_order(2))
    assert np.allclose(found.values, expected)
    assert not found.errors.any()


def test_complete_quads_give_the_winter_values_of_all_orders():
    """Beats of two waves, of which the first has two leads, of one wave, and of two."""
    worth = np.random.default_rng(1).normal(size=2**6)
    contexts = in_two_orders(np.array([0, 1, 2, 2]), 0)
    quads = all_quads(4, 2)
    values = quad_values(worth.reshape(16, 4), quads)
    expected = hierarchical_values(worth, (((0, 1), 2), 3, (4, 5)))[:2]
    assert np.allclose(posterior(quads, values, contexts).values, expected)


def test_plain_games_have_shapley_values():
    worth = np.random.default_rng(2).normal(size=(1, 2**5))
    quads = all_quads(0, 5)
    found = posterior(quads, quad_values(worth, quads))
    assert np.allclose(found.values, complete_shapley(worth[0]))


@pytest.mark.parametrize(
    ("contexts", "players"), [(ALONE, 5), (in_one_order(3), 4), (TWO_LEVELS, 3), (ALONE, 1)]
)
def test_prior_and_cross_covariance_follow_from_that_of_the_quads(contexts, players):
    """Closed forms against the Shapley sums over every quad."""
    quads = all_quads(contexts.n_bits, players)
    weights = exact_weights(quads, contexts)
    covariance = lead_covariance(quads.masks, quads.masks, KERNEL) * context_covariance(
        quads.contexts, quads.contexts, KERNEL
    )
    assert np.allclose(np.diag(covariance), 1)
    cross = lead_cross(quads.masks, KERNEL) * context_expected(quads.contexts, KERNEL, contexts)
    assert np.allclose(cross, weights.T @ covariance)
    prior = solver(quads.first(1), KERNEL, contexts).prior
    assert np.allclose(prior, weights.T @ covariance @ weights)
    if contexts is ALONE:
        assert np.allclose(prior, lead_variance(players, KERNEL))


def test_the_mean_is_what_the_textbook_formula_gives_and_complete_quads_leave_no_variance():
    """Rasmussen and Williams 2006, eq. 2.23 and 2.24."""
    contexts, worth = in_one_order(3), np.random.default_rng(3).normal(size=(8, 16))
    quads = all_quads(3, 4)
    rows = Quads(quads.contexts[::3], quads.masks[::3])
    values = quad_values(worth, rows)
    gram = lead_covariance(rows.masks, rows.masks, KERNEL) * context_covariance(
        rows.contexts, rows.contexts, KERNEL
    )
    cross = lead_cross(rows.masks, KERNEL) * context_expected(rows.contexts, KERNEL, contexts)
    one = solver(rows, KERNEL, contexts)
    innovations = one.innovations(values)
    assert np.allclose(one.mean(innovations), cross @ np.linalg.solve(gram, values), atol=1e-4)
    spread = one.prior - cross @ np.linalg.solve(gram, cross.T)
    assert np.allclose(one.covariance(len(values)), spread, atol=1e-4)
    _, logdet = np.linalg.slogdet(gram)
    scale = values @ np.linalg.solve(gram, values) / len(values)
    expected = -0.5 * (len(values) * np.log(scale) + logdet)
    assert one.log_likelihood(innovations) == pytest.approx(expected, rel=1e-3)
    whole = solver(quads, KERNEL, contexts)
    assert np.diag(whole.covariance(len(quads))).max() < 1e-5
    exact = posterior(quads, quad_values(worth, quads), contexts).values
    assert np.allclose(whole.mean(whole.innovations(quad_values(worth, quads))), exact, atol=1e-3)


def smooth_game(rng, players, bits=0):
    """Additive, with pairs and triples, and a bend; bits are players like others."""
    n = players + bits
    signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 0)
    total = signs @ rng.normal(size=n)
    for order, size in ((2, 0.3), (3, 0.2)):
        for _ in range(n):
            total = total + size * rng.normal() * signs[:, rng.choice(n, order, False)].prod(axis=1)
    worth = total + 0.5 * np.tanh(total)
    return worth.reshape(2**bits, 2**players)


@pytest.mark.parametrize(("players", "bits", "rows"), [(10, 0, 64), (8, 0, 40), (6, 3, 64)])
def test_errors_are_calibrated_and_the_estimate_is_near_on_games_with_interactions(
    players, bits, rows
):
    contexts = in_one_order(bits)
    chosen = design(bits, players, rows)
    everything = all_quads(bits, players)
    weights = exact_weights(everything, contexts)
    z, relative = [], []
    for seed in range(25):
        worth = smooth_game(np.random.default_rng(seed), players, bits)
        exact = weights.T @ quad_values(worth, everything)
        found = posterior(chosen, quad_values(worth, chosen), contexts)
        z.append((found.values - exact) / found.errors)
        relative.append(np.linalg.norm(found.values - exact) / np.linalg.norm(exact))
    assert 0.7 < np.std(z) < 1.3
    assert np.mean(relative) < 0.1


def test_the_first_row_makes_values_add_up():
    worth = smooth_game(np.random.default_rng(0), 10)
    chosen = design(0, 10, 40)
    found = posterior(chosen, quad_values(worth, chosen))
    total = worth[0, -1] - worth[0, 0]
    assert found.values.sum() == pytest.approx(total, abs=1e-3)
    exactly = found.summing_to(total)
    assert exactly.values.sum() == pytest.approx(total, abs=1e-12)
    assert np.abs(exactly.values - found.values).max() < 1e-3


def test_a_residual_goes_where_little_is_known():
    known = Posterior(np.array([1.0, 2.0, 3.0]), np.diag([0.0, 0.5, 1.5]))
    found = known.summing_to(8.0, variance=0.01)
    assert np.allclose(found.values, [1.0, 2.5, 4.5])
    assert found.covariance.sum() == pytest.approx(0.01)
    assert np.all(np.linalg.eigvalsh(found.covariance) > -1e-12)
    even = Posterior(np.zeros(4), np.zeros((4, 4))).summing_to(2.0)
    assert np.allclose(even.values, 0.5)


def test_rows_that_look_alike_are_one_row():
    quads = Quads(
        np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [1, 0, 0]], bool),
        np.array([[1, 1], [1, 1], [1, 1], [1, 0]], bool),
    )
    seen, rows = quads.seen_by([0, 1])
    assert rows.tolist() == [0, 2, 3], "a context and its complement are one"
    assert seen.masks.tolist() == [[True, True], [True, True], [True, False]]
    assert quads.seen_by([])[1].tolist() == [0, 3]


def test_error_bound_is_the_95_percent_point_of_the_norm():
    rng = np.random.default_rng(0)
    for variances in (np.ones(12), np.array([4.0, 1.0, 0.1]), np.ones(200)):
        norms = np.sqrt((rng.normal(size=(40_000, len(variances))) ** 2 * variances).sum(axis=1))
        assert np.mean(norms < error_bound(variances)) == pytest.approx(0.95, abs=0.01)
    assert error_bound(np.zeros(3)) == 0


def test_contexts_are_plain_values():
    assert in_one_order(0) == ALONE
    assert in_two_orders(np.array([1, 1, 2]), 1) == Contexts(3, (((0,), (1,)), ((2,),)))
    assert complete_rows(0, 8) == 128
    assert complete_rows(3, 8) == 512
