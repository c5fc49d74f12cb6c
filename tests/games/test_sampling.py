"""How coalitions are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.games.kernels import log_lime_density, log_shapley_kernel, size_mass
from ecgxai_core.games.sampling import (
    antithetic_coalitions,
    exact_coalitions,
    paired_coalitions,
    published_lime_coalitions,
    published_shapley_coalitions,
    shared_lead_mass,
)


def shapley_mass(n):
    return size_mass(log_shapley_kernel(n))


def rng(seed=0):
    return np.random.default_rng(seed)


def distinct(masks):
    return len(np.unique(masks, axis=0))


def test_published_lime_masks_are_the_published_stream():
    masks = published_lime_coalitions(np.full(20, 0.5), 100, rng(42)).masks
    expected = np.random.default_rng(42).binomial(1, 0.5, (100, 20))
    expected[0] = 1
    assert np.array_equal(masks, expected)


def test_published_shapley_masks_count_by_size():
    drawn = published_shapley_coalitions(20, 100, rng())
    counts = np.bincount(drawn.sizes)
    assert counts.tolist() == [1] + [4] * 19 + [1]
    assert np.bincount(published_shapley_coalitions(12, 100, rng()).sizes).tolist() == (
        [1] + [7] * 11 + [1]
    )


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_exact_holds_every_coalition_once_in_pairs(n):
    drawn = exact_coalitions(n)
    assert drawn.exact
    assert distinct(drawn.masks) == len(drawn) == 2**n
    assert np.array_equal(drawn.masks[0::2], ~drawn.masks[1::2])
    assert drawn.masks[0].all()


def test_enumerated_exactly_when_it_fits():
    assert paired_coalitions(shapley_mass(8), 256, rng()).exact
    assert not paired_coalitions(shapley_mass(8), 255, rng()).exact


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 45),
    budget=st.integers(16, 400),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["shapley", "lime", "shared"]),
)
def test_paired_design_keeps_its_promises(n, budget, seed, kind):
    mass = {
        "shapley": shapley_mass(n),
        "lime": size_mass(log_lime_density(n, 0.5, 0.25)),
        "shared": shared_lead_mass(n),
    }[kind]
    drawn = paired_coalitions(mass, budget, rng(seed))
    assert len(drawn) <= budget
    assert len(drawn) >= min(budget, 2**n) - 3
    assert np.array_equal(drawn.masks[0::2], ~drawn.masks[1::2])
    assert drawn.masks[0].all()
    assert len(drawn.stratum) == len(drawn.fraction) == len(drawn) // 2
    assert np.all((drawn.fraction >= 0) & (drawn.fraction <= 1))
    assert np.all(drawn.log_rate <= 1e-9) or np.any(drawn.fraction == 0)
    again = paired_coalitions(mass, budget, rng(seed))
    assert np.array_equal(drawn.masks, again.masks)
    if not drawn.exact:  # a sampled stratum has at least two draws, so its spread is known
        counts = np.bincount(drawn.stratum[drawn.fraction < 1])
        assert np.all((counts == 0) | (counts >= 2)) or budget < 24


def test_strata_of_one_size_hold_no_mask_twice():
    drawn = paired_coalitions(shapley_mass(12), 100, rng())
    assert distinct(drawn.masks) == len(drawn)


def test_small_sizes_are_enumerated_first():
    drawn = paired_coalitions(shapley_mass(20), 256, rng())
    assert np.bincount(drawn.sizes)[[0, 1, 19, 20]].tolist() == [1, 20, 20, 1]


@pytest.mark.parametrize("budget", [40, 100])
def test_rates_are_unbiased(budget):
    """Sums over the design, divided by the rates, estimate sums over all coalitions."""
    n = 9
    everything = exact_coalitions(n).masks
    feature = rng(5).normal(size=n)

    def value(masks):
        return np.cos(masks @ feature)

    truth = value(everything).sum()
    estimates = []
    for seed in range(300):
        drawn = paired_coalitions(shared_lead_mass(n), budget, rng(seed))
        estimates.append((value(drawn.masks) / np.exp(drawn.log_rate)).sum())
    error = np.std(estimates) / np.sqrt(300)
    assert abs(np.mean(estimates) - truth) < 4 * error


def test_antithetic_pairs_and_chances():
    chances = np.array([0.5, 0.99, 0.02])
    drawn = antithetic_coalitions(chances, 4000, rng())
    assert np.array_equal(drawn.masks[0::2, 0], ~drawn.masks[1::2, 0])
    assert np.allclose(drawn.masks.mean(axis=0), chances, atol=0.01)
    assert drawn.bernoulli


def test_games_of_thousands_of_players_can_be_drawn():
    drawn = paired_coalitions(shapley_mass(3000), 60, rng())
    assert len(drawn) == 60
    assert np.all(np.isfinite(drawn.log_rate))
