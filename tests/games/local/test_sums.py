"""Games of neighbouring players against brute force."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from ecgxai_core.games.local.sums import (
    LOGIT_LIMIT,
    EventGame,
    SumGame,
    complete_ridge_moments,
    complete_shapley,
    size_of_code,
)
from ecgxai_core.games.regression import ridge_from_moments, weighted_ridge


def game(n=7, span=3, seed=0, scale=1.0):
    """Blocks of one to ``span`` neighbours, and one that depends on nobody."""
    rng = np.random.default_rng(seed)
    first, last = [0], [-1]
    for player in range(n):
        for width in range(1, span + 1):
            if player + width <= n:
                first.append(player)
                last.append(player + width - 1)
    terms = scale * rng.normal(size=(len(first), 2**span))
    return SumGame(n, np.array(first), np.array(last), terms, 0.3)


def all_masks(n):
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


def brute_shapley(value, n):
    """From the definition: average marginal contribution (Shapley 1953)."""
    found = np.zeros(n)
    for player in range(n):
        others = [p for p in range(n) if p != player]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for members in combinations(others, size):
                without = sum(1 << p for p in members)
                found[player] += weight * (value[without + (1 << player)] - value[without])
    return found


def test_values_are_the_same_one_by_one_and_all_together():
    sums = game()
    by_hand = [
        0.3 + sum(terms[sum(1 << j for j in range(width) if row[first + j])]
                  for first, width, terms in sums.blocks())
        for row in all_masks(7)
    ]  # fmt: skip
    assert np.allclose(sums.values(all_masks(7)), by_hand, atol=1e-12)
    assert np.allclose(sums.complete(), by_hand, atol=1e-12)
    low, high = sums.bounds()
    assert low <= min(by_hand)
    assert max(by_hand) <= high


@pytest.mark.parametrize("n", [1, 2, 7])
def test_shapley_values_are_those_of_the_definition(n):
    sums = game(n)
    right = brute_shapley(sums.complete(), n)
    assert np.allclose(complete_shapley(sums.complete()), right, atol=1e-12)
    assert np.allclose(sums.shapley(), right, atol=1e-12)


def test_ridge_from_moments_is_the_regression_on_all_masks():
    n, sums = 8, game(8)
    weight = np.random.default_rng(1).random(n + 1)
    masks, values = all_masks(n), sums.complete()
    intercept, right = weighted_ridge(masks, values, weight[masks.sum(axis=1)], 0.7)
    for moments in (sums.ridge_moments(weight), complete_ridge_moments(values, weight)):
        found, level = ridge_from_moments(weight, *moments, 0.7)
        assert np.allclose(found, right, atol=1e-10)
        assert level == pytest.approx(intercept, abs=1e-10)


def test_sizes_of_codes():
    assert size_of_code(3).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]


@pytest.mark.parametrize(("activation", "link"), [
    ("sigmoid", "logit"), ("sigmoid", "probability"), ("softmax", "logit"),
    ("softmax", "probability"),
])  # fmt: skip
@pytest.mark.parametrize("scale", [0.2, 4.0], ids=["inside", "clipped"])
def test_the_event_game_is_exact_on_every_link(activation, link, scale):
    games = tuple(game(6, seed=seed, scale=scale) for seed in range(3))
    raw = np.stack([g.complete() for g in games])
    if activation == "sigmoid":
        probability = 1 / (1 + np.exp(-raw[1]))
    else:
        probability = np.exp(raw[1] - np.logaddexp.reduce(raw, axis=0))
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    right = probability if link == "probability" else np.log(clipped / (1 - clipped))
    if scale == 4.0 and link == "logit":
        assert np.abs(right).max() == pytest.approx(LOGIT_LIMIT), "this case must reach the clip"
    events = EventGame(games, 1, activation, link)
    assert np.allclose(events.values(all_masks(6)), right, atol=1e-9)
    assert np.allclose(events.shapley(), brute_shapley(right, 6), atol=1e-9)
    weight = np.arange(1.0, 8.0)
    assert np.allclose(events.ridge_moments(weight)[1], complete_ridge_moments(right, weight)[1])


def test_a_large_game_is_exact_where_it_is_a_sum_and_says_so_where_not():
    large = game(40, span=2, scale=0.01)
    exact = EventGame((large,), 0, "sigmoid", "logit").shapley()
    ends = large.values(np.array([[True] * 40, [False] * 40]))
    assert exact.sum() == pytest.approx(ends[0] - ends[1])
    assert EventGame((large,), 0, "sigmoid", "probability").shapley() is None
    assert EventGame((game(40, span=2, scale=9.0),), 0, "sigmoid", "logit").shapley() is None
