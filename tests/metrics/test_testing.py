"""Paired tests against scipy and Holm's own example."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecgxai_core.errors import ParameterError
from ecgxai_core.metrics.testing import compare_methods, holm, paired_p

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.0])
def test_exact_sign_flips_are_scipys(shift):
    values = RNG.normal(shift, 1, 11)
    result = stats.permutation_test(
        (values,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
        n_resamples=np.inf, alternative="two-sided",
    )  # fmt: skip
    assert paired_p(values) == pytest.approx(result.pvalue, abs=1e-9)


def test_drawn_sign_flips_are_near_the_t_test_and_do_not_depend_on_order():
    values = RNG.normal(0.3, 1, 60)
    p = paired_p(values, seed=1)
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert paired_p(values[::-1], seed=1) == p
    assert paired_p(-values, seed=1) == p


def test_wilcoxon_is_scipys():
    values = np.array([0.5, -0.2, 0.9, 0.0, 1.4, 0.3, -0.1, 0.8])
    expected = stats.wilcoxon(values, zero_method="pratt").pvalue
    assert paired_p(values, "wilcoxon") == pytest.approx(expected)


def test_null_p_values_are_uniform():
    p = [paired_p(np.random.default_rng(i).normal(size=12)) for i in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_undefined_and_equal():
    assert np.isnan(paired_p([0.3]))
    assert np.isnan(paired_p([np.nan, 0.3]))
    assert paired_p(np.zeros(9)) == 1.0


def test_holm_steps_down():
    """0.01 x 4, 0.02 x 3, 0.03 x 2 (not below the one before), 0.04 x 1; NaN does not count."""
    np.testing.assert_allclose(
        holm([0.04, 0.01, np.nan, 0.03, 0.02]), [0.06, 0.04, np.nan, 0.06, 0.06]
    )
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])


def test_methods_are_compared_record_by_record():
    rows = []
    for i in range(12):
        hard = RNG.normal()  # shared by the methods of a record
        for method, gain in (("good", 0.5), ("bad", 0.0), ("also bad", 0.0)):
            value = hard + gain + 0.1 * RNG.normal()
            rows.append({"target": "1", "record": f"R{i}", "method": method, "m": value})
    rows[0]["m"] = np.nan
    found = compare_methods(pd.DataFrame(rows), ["m"]).set_index(["one", "other"])
    assert found.loc[("good", "bad"), "n"] == 11
    assert found.loc[("good", "bad"), "difference"] == pytest.approx(-0.5, abs=0.15)
    assert found.loc[("good", "bad"), "p_holm"] < 0.01
    assert found.loc[("bad", "also bad"), "p_holm"] > 0.05
    assert (found["p_holm"] >= found["p"]).all()
    with pytest.raises(ParameterError, match="not in the table"):
        compare_methods(pd.DataFrame(rows), ["m"], ["good", "best"])


def several_targets(n_records=6, n_targets=5):
    """Each record has one difference, said again for every target, with a little scatter."""
    rng = np.random.default_rng(8)
    rows = []
    for record, gain in enumerate(rng.normal(0.3, 1, n_records)):
        for target in range(n_targets):
            value = rng.normal()
            extra = gain + 0.01 * rng.normal()
            facts = {"target": str(target), "record": f"R{record}", "patient": f"P{record // 2}"}
            rows.append({**facts, "method": "a", "m": value})
            rows.append({**facts, "method": "b", "m": value + extra})
    return pd.DataFrame(rows)


def test_targets_of_one_record_are_no_independent_pairs():
    """Averaged by hand: n is the number of records, and p is that of their means."""
    frame = several_targets()
    (row,) = compare_methods(frame, ["m"]).itertuples()
    a, b = (frame[frame["method"] == name].reset_index() for name in "ab")
    means = [(b["m"] - a["m"])[a["record"] == f"R{i}"].mean() for i in range(6)]
    assert (row.n, row.pairs, row.undefined) == (6, 30, 0)
    assert row.difference == pytest.approx(np.mean(means))
    assert row.p == paired_p(means)
    assert row.p > 100 * paired_p((b["m"] - a["m"]).to_numpy())  # what 30 "pairs" would claim
    (by_patient,) = compare_methods(frame, ["m"], by="patient").itertuples()
    assert by_patient.n == 3
    assert by_patient.p == paired_p(np.reshape(means, (3, 2)).mean(axis=1))


def test_undefined_pairs_are_counted():
    frame = several_targets()
    frame.loc[0, "m"] = np.nan  # one target of R0
    frame.loc[(frame["record"] == "R1") & (frame["method"] == "b"), "m"] = np.nan  # all of R1
    frame = frame.drop(index=frame[frame["record"] == "R2"].index[0])  # a row that is missing
    (row,) = compare_methods(frame, ["m"]).itertuples()
    assert (row.n, row.pairs, row.undefined) == (5, 23, 7)


def test_what_is_told_twice_is_refused():
    frame = several_targets()
    with pytest.raises(ParameterError, match=r"0, R0, a.*twice"):
        compare_methods(pd.concat([frame, frame.iloc[:1]]), ["m"])
    with pytest.raises(ParameterError, match=r"patient.*not in the table"):
        compare_methods(frame.drop(columns="patient"), ["m"], by="patient")
    frame.loc[0, "patient"] = "P9"
    with pytest.raises(ParameterError, match=r"R0.*more than one patient"):
        compare_methods(frame, ["m"], by="patient")
