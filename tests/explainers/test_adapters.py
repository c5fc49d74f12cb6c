"""Adapters to shap and lime against exact values, our own methods and their own errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.params import ExplainParams
from tests.analytic import TARGET, Analytic, cell_energy, manifest, record
from tests.explainers.networks import TARGET as NETWORK_TARGET
from tests.explainers.networks import loaded, residual, smooth

LEADS = ("I", "II", "V1")
EDGES = [0, 200, 400, 500]
PARAMS = ExplainParams(window_sec=2.0)
MIX = np.random.default_rng(2).normal(size=(3, 3)) / 2


def model(bent: float):
    def score(values):
        energy = cell_energy(values, EDGES)
        cells = energy * MIX
        return cells.sum(axis=(1, 2)) + bent * np.sin(2 * cells.sum(axis=1)).prod(axis=1)

    return Analytic(score, manifest(LEADS))


def value(bent, keep):
    signal = record().signal[[0, 1, 6]].copy()
    for lead, segment in itertools.product(range(3), range(3)):
        if not keep[lead, segment]:
            signal[lead, EDGES[segment] : EDGES[segment + 1]] = 0
    p = model(bent).predict(signal.T[None])[0, 1].astype(np.float64)
    return np.log(p) - np.log1p(-p)


def shapley(bent):
    """``float64[lead, segment]``: all 512 coalitions of the nine cells, by the definition."""
    table = {
        bits: value(bent, np.array(bits).reshape(3, 3))
        for bits in itertools.product((0, 1), repeat=9)
    }
    found = np.zeros(9)
    for player in range(9):
        for bits, worth in table.items():
            if not bits[player]:
                size = sum(bits)
                weight = math.factorial(size) * math.factorial(8 - size) / math.factorial(9)
                more = (*bits[:player], 1, *bits[player + 1 :])
                found[player] += weight * (table[more] - worth)
    return found.reshape(3, 3)


def test_permutations_are_exact_for_an_additive_model():
    signal = record().signal[[0, 1, 6]].T[None].astype(np.float64)
    expected = (cell_energy(signal, EDGES) * MIX)[0]
    params = PARAMS.updated(n_permutations=2)
    found = explain(Case(record(), model(0.0), TARGET), "shap_permutation", params)
    assert np.allclose(found.weights, expected, atol=1e-5)
    assert np.allclose(found.event_values, expected.sum(axis=0), atol=1e-5)
    assert np.allclose(found.standard_errors, 0, atol=1e-5)
    assert found.diagnostics["efficiency_gap"] < 1e-4


def test_permutations_lie_within_their_errors_of_the_shapley_values():
    exact = shapley(1.5)
    plain = shapley(0.0)
    assert np.abs(exact - plain).max() > 0.05
    params = PARAMS.updated(n_permutations=40)
    found = explain(Case(record(), model(1.5), TARGET), "shap_permutation", params)
    gap = np.abs(found.weights - exact)
    assert np.all(gap <= 4 * found.standard_errors + 1e-5)
    assert np.mean(gap <= 2 * found.standard_errors + 1e-5) >= 7 / 9
    assert found.diagnostics["efficiency_gap"] < 1e-6


def test_few_orders_settle_on_a_wider_interval_than_many():
    """Two estimates have one degree of freedom: 6.5 times the normal interval."""
    from ecgxai_core.explainers.sampled_games import top_set_converged

    params = PARAMS.updated(n_permutations=2, converged_top_k=1)
    told = []
    for seed in range(12):
        found = explain(
            Case(record(), model(1.5), TARGET), "shap_permutation", params.updated(seed=seed)
        )
        errors = found.standard_errors.astype(float).ravel()
        values = found.weights.astype(float).ravel()
        wide = errors * 12.7062047 / 1.95996398
        assert found.diagnostics["converged"] is top_set_converged(values, wide, 1)
        told.append((found.diagnostics["converged"], top_set_converged(values, errors, 1)))
    assert sum(ours for ours, _ in told) < sum(naive for _, naive in told)


def test_one_order_claims_no_error():
    found = explain(
        Case(record(), model(1.5), TARGET), "shap_permutation", PARAMS.updated(n_permutations=1)
    )
    assert found.standard_errors is None
    assert found.diagnostics["converged"] is False


def test_lime_library_finds_the_effects_of_an_additive_model():
    signal = record().signal[[0, 1, 6]].T[None].astype(np.float64)
    expected = (cell_energy(signal, EDGES) * MIX)[0].sum(axis=0)
    params = PARAMS.updated(ridge_lime=0.0, n_coalitions=64)
    found = explain(Case(record(), model(0.0), TARGET), "lime_adapter", params)
    assert np.allclose(found.event_values, expected, atol=1e-4)
    assert np.allclose(found.weights, np.repeat(expected[None] / 3, 3, axis=0), atol=1e-4)
    assert found.diagnostics["training_r2"] > 0.9999
    assert found.diagnostics["lead_axis"] is False


def test_lime_library_agrees_with_our_lime_in_the_limit():
    """Both estimate one regression: ours over all eight masks, theirs over many draws."""
    params = PARAMS.updated(n_coalitions=20_000, ridge_lime=0.0)
    ours = explain(Case(record(), model(1.5), TARGET), "lime", params)
    theirs = explain(Case(record(), model(1.5), TARGET), "lime_adapter", params)
    assert ours.diagnostics["exact"]
    assert np.allclose(ours.event_values, theirs.event_values, atol=0.02)


def test_expected_gradients_are_integrated_gradients_over_the_baselines(tmp_path):
    classifier = loaded(residual(), tmp_path)
    params = ExplainParams(window_sec=0.25, n_gradients=512)
    found = explain(Case(record(2.0), classifier, NETWORK_TARGET), "shap_gradient", params)
    expected = np.mean(
        [
            explain(
                Case(record(2.0), classifier, NETWORK_TARGET),
                "integrated_gradients",
                params.updated(baseline=kind, ig_steps=128),
            ).weights
            for kind in ("zero", "mean", "linear")
        ],
        axis=0,
    )
    gap = np.abs(found.weights - expected)
    assert np.abs(expected).max() > 10 * np.median(gap)
    assert np.mean(gap <= 2.4 * found.standard_errors + 1e-6) >= 0.9  # t of 7 degrees of freedom
    assert np.all(gap <= 8 * found.standard_errors + 1e-6)
    assert found.diagnostics["efficiency_gap"] < 0.2


@pytest.mark.parametrize("method", ["shap_permutation", "shap_gradient"])
def test_numpys_own_generator_is_left_alone(tmp_path, method):
    classifier = loaded(smooth(), tmp_path)
    params = ExplainParams(window_sec=1.0, n_permutations=2, n_gradients=64)
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = explain(Case(record(2.0), classifier, NETWORK_TARGET), method, params)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    two = explain(Case(record(2.0), classifier, NETWORK_TARGET), method, params)
    assert one.weights.tobytes() == two.weights.tobytes()
    other = explain(Case(record(2.0), classifier, NETWORK_TARGET), method, params.updated(seed=1))
    assert one.weights.tobytes() != other.weights.tobytes()
