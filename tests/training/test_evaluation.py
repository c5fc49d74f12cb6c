"""Evaluation: intervals, subgroups, failures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ecgxai_core.training.evaluation import (
    EvaluationData,
    age_band,
    bootstrap,
    evaluate,
    failures,
    subgroups,
)


def evaluated(n: int = 120, quality: float = 1.0, per_patient: int = 1) -> EvaluationData:
    rng = np.random.default_rng(3)
    truth = rng.random((n, 3)) < 0.4
    noise = rng.normal(0, 1, (n, 3))
    p = 1 / (1 + np.exp(-(quality * (2 * truth - 1.0) + noise)))
    return EvaluationData(
        classes=("426783006", "NORM", "MI"),
        names=tuple(f"r{i}" for i in range(n)),
        patients=tuple(f"p{i // per_patient}" for i in range(n)),
        truth=truth,
        probabilities=p,
        thresholds=np.full(3, 0.5),
        ages=np.where(np.arange(n) % 10 == 0, np.nan, 20.0 + np.arange(n) % 70),
        sexes=tuple(("female", "male", "")[i % 3] for i in range(n)),
        quality=tuple(("static_noise",) if i % 4 == 0 else () for i in range(n)),
    )


def test_scores_lie_within_their_intervals() -> None:
    found = evaluate(evaluated(), n_bootstrap=200)
    low, high = found["intervals"]["auroc"]
    assert low < found["macro"]["auroc"] < high
    low, high = found["per_class"]["MI"]["auroc_interval"]
    assert low < found["per_class"]["MI"]["auroc"] < high
    row = found["per_class"]["NORM"]
    counts = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    assert sum(row[name] for name in counts) == found["records"] == 120
    assert row["positives"] == row["true_positives"] + row["false_negatives"]


def test_patients_are_resampled_whole() -> None:
    """Ten copies of each record, as one patient's, tell no more than one: the interval stays."""
    single = evaluated(60)
    copied = single.rows(np.repeat(np.arange(60), 10))
    alone = bootstrap(copied, 200, 0)["auroc"]
    assert np.ptp(alone) > 0.7 * np.ptp(bootstrap(single, 200, 0)["auroc"])
    strangers = dataclasses.replace(copied, patients=tuple(map(str, range(600))))
    assert np.ptp(bootstrap(strangers, 200, 0)["auroc"]) < 0.6 * np.ptp(alone)


def test_the_interval_is_repeatable_and_seeded() -> None:
    assert bootstrap(evaluated(), 50, 0) == bootstrap(evaluated(), 50, 0)
    assert bootstrap(evaluated(), 50, 0) != bootstrap(evaluated(), 50, 1)


def test_subgroups_part_the_records() -> None:
    groups = subgroups(evaluated())
    assert set(groups) == {"age", "sex", "quality"}
    for values in groups.values():
        assert sum(row["records"] for row in values.values()) == 120
    assert groups["quality"]["flagged"]["records"] == 30


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-39"), (39.9, "0-39"), (40, "40-59"), (75, "75+"), (float("nan"), "unknown")],
)
def test_age_bands(age: float, band: str) -> None:
    assert age_band(age) == band


def test_failures_are_the_right_records() -> None:
    truth = np.array([[True], [True], [False], [False]])
    p = np.array([[0.01], [0.55], [0.9], [0.4]])
    one = dataclasses.replace(
        evaluated(4), classes=("MI",), truth=truth, probabilities=p, thresholds=np.array([0.5])
    )
    found = failures(one, k=1)["MI"]
    assert [case["record"] for case in found["confidently_wrong"]] == ["r0"]
    assert [case["record"] for case in found["hesitantly_right"]] == ["r1"]
    both = failures(one, k=9)["MI"]
    assert [case["record"] for case in both["confidently_wrong"]] == ["r0", "r2"]
    assert [case["record"] for case in both["hesitantly_right"]] == ["r1", "r3"]
