"""Kernels against their definitions."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from ecgxai_core.games.kernels import (
    lime_kernel,
    log_binomial,
    log_lime_density,
    log_shapley_kernel,
    size_mass,
)


def test_shapley_kernel_is_the_published_formula():
    kernel = np.exp(log_shapley_kernel(6))
    expected = [0] + [5 / (comb(6, k) * k * (6 - k)) for k in range(1, 6)] + [0]
    assert np.allclose(kernel, expected)


def test_lime_kernel_is_the_packages_on_cosine_distance():
    from sklearn.metrics import pairwise_distances

    masks = np.array([[1] * k + [0] * (7 - k) for k in range(8)], dtype=float)
    distance = pairwise_distances(masks, np.ones((1, 7)), metric="cosine").ravel()
    assert np.allclose(lime_kernel(7, 0.25), np.sqrt(np.exp(-(distance**2) / 0.25**2)))


def test_lime_density_sums_over_all_masks_to_the_mean_kernel():
    masks = np.array(list(product([0, 1], repeat=5)))
    sizes = masks.sum(axis=1)
    chance = 0.3**sizes * 0.7 ** (5 - sizes)
    direct = (chance * lime_kernel(5, 0.4)[sizes]).sum()
    density = np.exp(log_lime_density(5, 0.3, 0.4)[sizes]).sum()
    assert density == pytest.approx(direct)


@pytest.mark.parametrize("n", [1, 2, 12, 480, 6000])
def test_size_mass_is_a_distribution_even_where_binomials_overflow(n):
    for log_density in (log_shapley_kernel(n), log_lime_density(n, 0.5, 0.25)):
        mass = size_mass(log_density)
        assert mass.shape == (n + 1,)
        assert np.all(mass >= 0)
        assert mass.sum() == pytest.approx(1.0)


def test_log_binomial():
    assert np.allclose(np.exp(log_binomial(20, np.arange(21))), [comb(20, k) for k in range(21)])
