"""Summaries: NaN is counted, order and other rows have no influence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.summary import summarise
from ecgxai_core.params import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=500)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "target": ["b"] * 24 + ["a"] * 24,
            "method": ["lime", "fused"] * 24,
            "attauc": np.where(np.arange(48) == 3, np.nan, rng.random(48)),
            "empty": np.full(48, np.nan),
        }
    )


def test_undefined_values_are_counted_never_swallowed(table: pd.DataFrame) -> None:
    rows = summarise(table, ["target", "method"], ["attauc", "empty"], PARAMS)
    row = rows.query("target == 'b' and method == 'fused' and metric == 'attauc'").iloc[0]
    values = table.query("target == 'b' and method == 'fused'")["attauc"].dropna()
    assert (row["n"], row["n_undefined"]) == (12, 1)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    assert row["values"] == ""
    undefined = rows.query("metric == 'empty'")
    assert (undefined["n_undefined"] == 12).all()
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


def test_few_records_are_shown_one_by_one_without_an_interval(table: pd.DataFrame) -> None:
    few = table.query("target == 'a' and method == 'lime'").head(3)
    row = summarise(few, ["target"], ["attauc"], PARAMS).iloc[0]
    assert np.isnan(row["ci_low"])
    assert sorted(map(float, row["values"].split("; "))) == pytest.approx(
        sorted(few["attauc"]), rel=0.01
    )


@pytest.mark.parametrize(("name", "sign"), [("deletion_gain", 1), ("sufficiency", -1)])
def test_better_means_better_than_each_reference_map(name: str, sign: int) -> None:
    """Whatever the direction of the metric; one reference that is as good is enough for a no."""
    rng = np.random.default_rng(0)
    scores = rng.random(20)
    frame = pd.DataFrame({"target": "a", name: scores})
    for side in METRICS[name].columns:
        frame[f"{name}_{side}"] = scores - sign * 0.2 + rng.normal(0, 0.05, 20)
    assert summarise(frame, ["target"], [name], PARAMS, METRICS)["better"].iloc[0] == "yes"
    frame[f"{name}_energy"] = scores + rng.normal(0, 0.05, 20)
    frame[f"{name}_empty"] = np.nan  # undefined for every record: nothing to be better than
    assert summarise(frame, ["target"], [name], PARAMS, METRICS)["better"].iloc[0] == "energy"
    few = summarise(frame.head(9), ["target"], [name], PARAMS, METRICS)
    assert few["better"].iloc[0] == "too few"
    assert summarise(frame, ["target"], [name], PARAMS)["better"].iloc[0] == ""


def test_what_was_compared_with_nothing_is_not_called_better() -> None:
    """A class without tabulated evidence has no plausibility, and no reference maps with any."""
    name = "attauc_strict"
    frame = pd.DataFrame({"target": "a", name: np.full(20, np.nan)})
    for side in METRICS[name].columns:
        frame[f"{name}_{side}"] = np.nan
    assert summarise(frame, ["target"], [name], PARAMS, METRICS)["better"].iloc[0] == ""
