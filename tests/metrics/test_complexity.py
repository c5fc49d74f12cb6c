"""Sparseness and entropy against Quantus' published formulas and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ecgxai_core.metrics.complexity import entropy_complexity, gini

MAPS = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-5, 5, width=32))


@given(MAPS)
def test_gini_is_quantus_sparseness(values):
    """Quantus: sum((2 k - n - 1) a_k) / (n sum a), a sorted; 1e-7 is added to every a there."""
    size = np.sort(np.abs(values))
    if size.sum() < 1e-3:
        return
    k, n = np.arange(1, len(size) + 1), len(size)
    assert gini(values) == pytest.approx(((2 * k - n - 1) * size).sum() / (n * size.sum()))


@given(MAPS)
def test_entropy_is_scipys(values):
    if np.abs(values).sum() < 1e-3:
        return
    expected = stats.entropy(np.abs(values) / np.abs(values).sum())
    assert entropy_complexity(values) == pytest.approx(expected, abs=1e-9)


def test_ends_of_the_scale():
    one = np.zeros(1000)
    one[3] = -2.0
    assert gini(one) == pytest.approx(0.999)
    assert entropy_complexity(one) == 0
    assert gini(np.full(10, -3.0)) == pytest.approx(0)
    assert entropy_complexity(np.full(10, 3.0)) == pytest.approx(np.log(10))
    assert np.isnan(gini(np.zeros(5)))
    assert np.isnan(entropy_complexity([]))
