"""Rankings against independent implementations, hand-made cases and their own definitions."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ecgxai_core.metrics import ranking

SMALL = arrays(np.float64, st.integers(2, 30), elements=st.integers(-4, 4).map(float))


def pair(data: st.DataObject) -> tuple[Any, Any]:
    """Two lists of one length, with many ties."""
    first = data.draw(SMALL)
    same = arrays(np.float64, len(first), elements=st.integers(-4, 4).map(float))
    return first, data.draw(same)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_auc_is_that_of_scikit_learn(data: st.DataObject) -> None:
    from sklearn.metrics import roc_auc_score

    scores, noise = pair(data)
    positive = noise > 0
    value = ranking.auc_midranks(scores, positive)
    if positive.all() or not positive.any():
        assert math.isnan(value)
    else:
        assert value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_midranks_and_spearman_are_those_of_scipy(data: st.DataObject) -> None:
    a, b = pair(data)
    np.testing.assert_array_equal(ranking.midranks(a), stats.rankdata(a))
    value = ranking.spearman(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_precision_averages_over_ties() -> None:
    positive = [True, False, True, False, False]
    assert ranking.precision_at_k([0, 0, 0, 0, 0], positive, 2) == pytest.approx(0.4)
    assert ranking.precision_at_k([9, 1, 1, 1, 0], positive, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert ranking.precision_at_k([1, 5, 2, 0, 0], positive, 2) == pytest.approx(0.5)
    assert ranking.precision_at_k([1, 5, 2, 0, 0], positive, 50) == pytest.approx(0.4)
    assert math.isnan(ranking.precision_at_k([1, 2], [True, True], 1))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), k=st.integers(1, 6))
def test_precision_is_the_mean_over_all_tie_orders(data: st.DataObject, k: int) -> None:
    scores = data.draw(arrays(np.float64, 6, elements=st.integers(0, 2).map(float)))
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=6, max_size=6)))
    if positive.all() or not positive.any():
        return
    found = []
    for order in permutations(range(6)):
        ranked = sorted(order, key=lambda i: -scores[i])
        found.append(positive[ranked[:k]].mean())
    assert ranking.precision_at_k(scores, positive, k) == pytest.approx(np.mean(found))


def test_relevance_mass_rank_accuracy_and_pointing() -> None:
    scores, positive = [3.0, 1.0, -5.0, 0.0], [True, False, True, False]
    assert ranking.relevance_mass(scores, positive) == pytest.approx(0.75)
    assert ranking.rank_accuracy(scores, positive) == pytest.approx(0.5)
    assert ranking.pointing_game(scores, positive) == pytest.approx(1 - 0.5)
    assert ranking.pointing_game([0, 0, 0, 0], positive) == pytest.approx(0.0)
    assert ranking.pointing_game([1, 1, 0, 0], positive) == pytest.approx(0.0)
    assert math.isnan(ranking.relevance_mass([-1, 0], [True, False]))
    assert math.isnan(ranking.pointing_game([1, 0], [False, False]))


@pytest.mark.parametrize(("n", "expected"), [(20, 0.155), (40, 0.073), (12, 0.279)])
def test_chance_level_of_jaccard(n: int, expected: float) -> None:
    assert ranking.jaccard_chance(n, 5) == pytest.approx(expected, abs=5e-4)
    rng = np.random.default_rng(0)
    drawn = [ranking.jaccard_at_k(rng.random(n), rng.random(n), 5) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(expected, abs=0.008)


def test_jaccard_without_and_with_ties() -> None:
    assert ranking.jaccard_at_k([5, 4, 3, 0], [5, 0, 3, 4], 2) == pytest.approx(1 / 3)
    assert ranking.jaccard_at_k([1, 0, 0, 0], [1, 0, 0, 0], 2) == 1.0
    # the second place is shared by three items in one list and sure in the other
    assert ranking.jaccard_at_k([1, 0, 0, 0], [2, 1, 0, 0], 2) == pytest.approx((4 / 3) / (8 / 3))
    assert math.isnan(ranking.jaccard_at_k([0, 0, 0], [1, 2, 3], 2))


def test_weighted_jaccard() -> None:
    assert ranking.weighted_jaccard([1, 2], [2, 1]) == pytest.approx(0.5)
    assert ranking.weighted_jaccard([0, 0], [2, 1]) == 0.0
    assert math.isnan(ranking.weighted_jaccard([0, 0], [0, 0]))
    with pytest.raises(ValueError, match="non-negative"):
        ranking.weighted_jaccard([-1], [1])


def brute_force_rbo(a: Any, b: Any, p: float, k: int) -> float:
    """Webber 2010, eq. 32, from sets, for lists without ties."""
    one, other = np.argsort(-np.asarray(a)), np.argsort(-np.asarray(b))
    overlap = [len(set(one[:d]) & set(other[:d])) for d in range(1, k + 1)]
    tail = sum(x / d * p**d for d, x in enumerate(overlap, start=1))
    return overlap[-1] / k * p**k + (1 - p) / p * tail


def test_rbo_by_hand() -> None:
    # A B C against B A C: X = 0, 2, 3
    expected = 1 * 0.9**3 + (0.1 / 0.9) * (0 + 1 * 0.9**2 + 1 * 0.9**3)
    assert ranking.rbo_ext([3, 2, 1], [2, 3, 1], 0.9) == pytest.approx(expected)
    # A B C against C A B at depth 2: X = 0, 1
    expected = 0.5 * 0.8**2 + (0.2 / 0.8) * (0.5 * 0.8**2)
    assert ranking.rbo_ext([3, 2, 1], [2, 1, 3], 0.8, k=2) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 40),
    seed=st.integers(0, 10_000),
    p=st.floats(0.05, 0.99),
    share=st.floats(0.01, 1.0),
)
def test_rbo_is_its_definition(n: int, seed: int, p: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(n).astype(float), rng.permutation(n).astype(float)
    k = max(1, int(share * n))
    assert ranking.rbo_ext(a, b, p, k) == pytest.approx(brute_force_rbo(a, b, p, k), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), p=st.floats(0.05, 0.99))
def test_rankings_ignore_position_and_know_themselves(data: st.DataObject, p: float) -> None:
    a, b = pair(data)
    order = np.array(data.draw(st.permutations(range(len(a)))))
    for function in (
        ranking.spearman,
        lambda x, y: ranking.rbo_ext(x, y, p),
        lambda x, y: ranking.jaccard_at_k(x, y, 5),
    ):
        value = function(a, b)
        np.testing.assert_allclose(function(a[order], b[order]), value, rtol=1e-12)
        np.testing.assert_allclose(function(b, a), value, rtol=1e-12)
        np.testing.assert_allclose(function(2 * a, b / 4), value, rtol=1e-12)
        same = function(a, a)
        assert math.isnan(same) if np.ptp(a) == 0 else same == 1.0
    if a.any():
        assert ranking.weighted_jaccard(np.abs(a), np.abs(a)) == 1.0


def test_rbo_of_unrelated_lists_is_its_chance_level() -> None:
    rng = np.random.default_rng(1)
    values = [ranking.rbo_ext(rng.random(60), rng.random(60)) for _ in range(1500)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - ranking.rbo_ext_chance(60)) < 4 * error


def test_rbo_depends_on_ties_only_in_expectation() -> None:
    tied = ranking.rbo_ext([3, 1, 1, 0], [3, 2, 1, 0], 0.9)
    broken = [
        ranking.rbo_ext([3, 1.1, 1, 0], [3, 2, 1, 0], 0.9),
        ranking.rbo_ext([3, 1, 1.1, 0], [3, 2, 1, 0], 0.9),
    ]
    assert tied == pytest.approx(np.mean(broken))


def test_rounding_does_not_order_items() -> None:
    values = np.array([1.0, 1.0 + 1e-8, 0.5, -0.0, 0.0, np.nan, -1.0, 1e-30])
    found = ranking.settled(values)
    assert found[0] == found[1]
    assert found[3] == found[4] == 0
    assert np.isnan(found[5])
    assert found[7] > 0
    assert ranking.settled(np.array([np.nan])).shape == (1,)
    assert ranking.settled(np.ones((2, 3))).shape == (2, 3)
