"""Intervals against the textbook's formulas, computed here; their coverage, quickly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ecgxai_core.bootstrap import bootstrap_clusters, mean_interval


def textbook(sample: np.ndarray, miss: float, n_resamples: int, seed: int):
    """Efron and Tibshirani 1993, eq. 12.22: mean - t(1 - a) se, mean - t(a) se, in plain loops."""
    sample, n = np.sort(sample), len(sample)
    mean, error = sample.mean(), np.sqrt(((sample - sample.mean()) ** 2).sum() / (n - 1) / n)
    pivots = []
    for draw in np.random.default_rng(seed).integers(0, n, (n_resamples, n)):
        again = sample[draw]
        spread = np.sqrt(((again - again.mean()) ** 2).sum() / (n - 1) / n)
        pivots.append((again.mean() - mean) / max(spread, error / 4))
    low, high = np.quantile(pivots, [miss / 2, 1 - miss / 2])
    return mean - high * error, mean - low * error


@pytest.mark.parametrize("n", [10, 40])
def test_intervals_are_those_of_the_textbook(n: int) -> None:
    sample = np.random.default_rng(n).exponential(size=n) ** 2
    ours = mean_interval(sample, confidence=0.9, n_resamples=1000, seed=n)
    assert tuple(ours) == pytest.approx(textbook(sample, 0.05, 1000, n), rel=1e-10)


def test_an_interval_leans_to_the_long_tail() -> None:
    sample = np.random.default_rng(3).exponential(size=30) ** 2
    low, high = mean_interval(sample, confidence=0.95, n_resamples=2000, seed=0)
    assert high - sample.mean() > 1.5 * (sample.mean() - low)


def test_few_or_equal_values_have_no_interval() -> None:
    def interval(values: list[float]) -> tuple[float, float]:
        return mean_interval(values, confidence=0.95, n_resamples=200, seed=0)

    for values in ([], [0.5], list(range(9)), [0.5] * 20, [0.5, 0.5 + 1e-15] * 10):
        assert all(math.isnan(border) for border in interval(values)), values
    low, high = interval([0.0] * 4 + [1.0] * 6)
    assert low < 0.6 < high


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_ten_values_are_enough(kind: str) -> None:
    """Coverage in 400 samples of ten; the benchmark measures it finely."""
    rng = np.random.default_rng(0)
    truth = {"normal": 0.0, "lognormal": math.exp(0.5)}[kind]
    found = [
        mean_interval(getattr(rng, kind)(size=10), confidence=0.95, n_resamples=300, seed=seed)
        for seed in range(400)
    ]
    covered = np.mean([low <= truth <= high for low, high in found])
    assert 0.90 <= covered <= 0.99


def test_the_order_of_values_and_the_size_of_chunks_do_not_matter(monkeypatch) -> None:
    sample = np.random.default_rng(0).normal(size=50)
    whole = mean_interval(sample, confidence=0.95, n_resamples=300, seed=4)
    assert mean_interval(sample[::-1], confidence=0.95, n_resamples=300, seed=4) == whole
    monkeypatch.setattr("ecgxai_core.bootstrap._CHUNK_VALUES", 170)
    assert mean_interval(sample, confidence=0.95, n_resamples=300, seed=4) == whole


def test_clusters_of_one_are_the_plain_bootstrap() -> None:
    sample = np.sort(np.random.default_rng(1).normal(size=40))
    names = [f"{i:03d}" for i in range(40)]
    found = bootstrap_clusters(
        names, lambda rows: np.array([sample[rows].mean(), 2 * sample[rows].mean()]),
        confidence=0.9, n_resamples=500, seed=2,
    )  # fmt: skip
    draws = np.random.default_rng(2).integers(0, 40, (500, 40))
    wanted = np.quantile(sample[draws].mean(axis=1), [0.05, 0.95])
    assert tuple(found[0]) == pytest.approx(tuple(wanted))
    assert tuple(found[1]) == pytest.approx(tuple(2 * wanted))


def test_undefined_resamples_do_not_count_and_one_cluster_has_no_interval(recwarn) -> None:
    def partly(rows: np.ndarray) -> np.ndarray:
        return np.array([1.0 if 0 in rows else np.nan, np.nan])

    found = bootstrap_clusters(["a", "a", "b"], partly, confidence=0.95, n_resamples=50, seed=0)
    assert found[0] == (1.0, 1.0)
    assert all(math.isnan(border) for border in found[1])
    alone = bootstrap_clusters(["a", "a"], partly, confidence=0.95, n_resamples=50, seed=0)
    assert len(alone) == 2
    assert all(math.isnan(border) for interval in alone for border in interval)
    assert not recwarn.list
