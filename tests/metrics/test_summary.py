"""Summaries: intervals against scipy, NaN in the open, order without influence."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecgxai_core.metrics.summary import bootstrap_mean, summarise
from ecgxai_core.params import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=500)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_are_those_of_scipy(method: Literal["bca", "percentile"]) -> None:
    sample = np.random.default_rng(0).exponential(size=40)
    ours = bootstrap_mean(sample, confidence=0.9, n_resamples=20_000, seed=1, method=method)
    scipys = stats.bootstrap(
        (sample,), np.mean, confidence_level=0.9, n_resamples=20_000, method=method,
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    width = scipys.high - scipys.low
    assert ours.low == pytest.approx(scipys.low, abs=0.02 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.02 * width)


def test_bca_leans_to_the_long_tail() -> None:
    sample = np.random.default_rng(3).exponential(size=30) ** 2
    plain = bootstrap_mean(sample, confidence=0.95, n_resamples=4000, seed=0, method="percentile")
    leaning = bootstrap_mean(sample, confidence=0.95, n_resamples=4000, seed=0)
    assert leaning.high > plain.high
    assert leaning.low > plain.low


def test_degenerate_samples() -> None:
    def interval(values: list[float]) -> tuple[float, float]:
        return bootstrap_mean(values, confidence=0.95, n_resamples=200, seed=0)

    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert all(math.isnan(border) for border in interval([0.5]))
    assert all(math.isnan(border) for border in interval([]))
    low, high = interval([0.0, 1.0])
    assert 0 <= low <= high <= 1


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "target": ["b"] * 10 + ["a"] * 10,
            "method": ["lime", "fused"] * 10,
            "attauc": np.where(np.arange(20) == 3, np.nan, rng.random(20)),
            "empty": np.full(20, np.nan),
        }
    )


def test_undefined_values_are_counted_never_swallowed(table: pd.DataFrame) -> None:
    rows = summarise(table, ["target", "method"], ["attauc", "empty"], PARAMS)
    row = rows.query("target == 'b' and method == 'fused' and metric == 'attauc'").iloc[0]
    values = table.query("target == 'b' and method == 'fused'")["attauc"].dropna()
    assert (row["n"], row["n_undefined"]) == (5, 1)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    undefined = rows.query("metric == 'empty'")
    assert (undefined["n_undefined"] == 5).all()
    assert undefined[["mean", "sd", "ci_low", "ci_high"]].isna().all().all()


def test_order_of_records_and_presence_of_others_do_not_matter(table: pd.DataFrame) -> None:
    whole = summarise(table, ["target"], ["attauc"], PARAMS)
    shuffled = summarise(table.sample(frac=1, random_state=0), ["target"], ["attauc"], PARAMS)
    pd.testing.assert_frame_equal(whole, shuffled, check_exact=True)
    alone = summarise(table.query("target == 'a'"), ["target"], ["attauc"], PARAMS)
    pd.testing.assert_frame_equal(whole.iloc[:1], alone, check_exact=True)
    assert whole["target"].tolist() == ["a", "b"]


def test_an_empty_table_has_the_columns() -> None:
    empty = pd.DataFrame({"target": [], "attauc": []})
    rows = summarise(empty, ["target"], ["attauc"], PARAMS)
    assert len(rows) == 0
    assert "n_undefined" in rows.columns
