"""Scores against scikit-learn and against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics

from ecgxai_core.training import scores


def draw(seed: int, n: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, classes)) < 0.3
    truth[0], truth[1] = True, False
    return truth, np.round(rng.random((n, classes)), 1 + seed % 3)  # rounding makes ties


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_areas_equal_scikit_learn(seed: int) -> None:
    truth, p = draw(seed)
    for c in range(4):
        assert scores.auroc(truth, p)[c] == pytest.approx(
            metrics.roc_auc_score(truth[:, c], p[:, c])
        )
        called = p[:, c] >= 0.5
        assert scores.f1(truth, p)[c] == pytest.approx(metrics.f1_score(truth[:, c], called))
        assert scores.sensitivity(truth, p)[c] == pytest.approx(
            metrics.recall_score(truth[:, c], called)
        )
        assert scores.specificity(truth, p)[c] == pytest.approx(
            metrics.recall_score(~truth[:, c], ~called)
        )


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_curves_count_records_at_every_threshold(seed: int) -> None:
    truth, p = draw(seed, classes=1)
    yes, score = truth[:, 0], p[:, 0]
    falling = np.unique(score)[::-1]
    found = np.array([(yes & (score >= t)).sum() for t in falling])
    called = np.array([(score >= t).sum() for t in falling])
    false, true = scores.roc_curve(yes, score)
    assert true == pytest.approx(np.r_[0, found / yes.sum()])
    assert false == pytest.approx(np.r_[0, (called - found) / (~yes).sum()])
    assert np.trapezoid(true, false) == pytest.approx(scores.auroc(truth, p)[0])
    recall, precision = scores.precision_recall_curve(yes, score)
    assert recall == pytest.approx(found / yes.sum())
    assert precision == pytest.approx(found / called)
    steps = np.sum(precision * np.diff(recall, prepend=0))
    assert scores.auprc(truth, p)[0] == pytest.approx(steps)


def test_a_class_without_positives_has_no_curves() -> None:
    nobody, p = np.zeros(4, bool), np.linspace(0, 1, 4)
    assert [len(axis) for axis in scores.roc_curve(nobody, p)] == [0, 0]
    assert [len(axis) for axis in scores.precision_recall_curve(nobody, p)] == [0, 0]
    assert np.isnan(scores.auprc(nobody[:, None], p[:, None])).all()


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_no_threshold_has_a_better_f1(seed: int) -> None:
    truth, p = draw(seed)
    best = scores.f1(truth, p, scores.best_f1_thresholds(truth, p))
    for threshold in np.arange(0, 1.01, 0.05):
        assert np.all(best >= scores.f1(truth, p, threshold) - 1e-12)


def test_class_without_positives_or_negatives_has_no_auroc() -> None:
    truth = np.array([[True, False], [True, False]])
    p = np.array([[0.1, 0.2], [0.3, 0.4]])
    assert np.isnan(scores.auroc(truth, p)).all()
    assert np.isnan(scores.macro(scores.auroc(truth, p)))
    assert np.isnan(scores.f1(truth, p)[1])
    assert scores.best_f1_thresholds(truth, p)[1] == 0.5


def test_macro_leaves_out_what_has_no_score() -> None:
    assert scores.macro([0.5, np.nan, 1.0]) == 0.75


def test_confusion_by_hand() -> None:
    truth = np.array([[True], [True], [False], [False], [False]])
    p = np.array([[0.9], [0.1], [0.8], [0.5], [0.2]])
    assert scores.confusion(truth, p).tolist() == [[1, 2, 1, 1]]


def test_the_interval_of_an_area_has_its_coverage() -> None:
    """Normal scores of 20 positive and 60 negative records; the true area is known."""
    rng, apart = np.random.default_rng(3), 1.8
    true = float(norm.cdf(apart / np.sqrt(2)))
    inside = 0
    for _ in range(600):
        values = np.concatenate([rng.normal(apart, 1, 20), rng.normal(0, 1, 60)])
        truth = np.arange(80) < 20
        area = metrics.roc_auc_score(truth, values)
        low, high = scores.auroc_interval(area, 20, 60)
        inside += low <= true <= high
    assert 0.93 <= inside / 600 <= 0.985


def test_the_limits_are_areas_that_are_just_consistent() -> None:
    """Hanley and McNeil's variance in their own form, with n - 1 as Newcombe has it."""
    for area, positives, negatives in ((0.9, 12, 40), (0.55, 200, 15), (0.99, 30, 30)):
        more = (positives + negatives) / 2 - 1
        for limit in scores.auroc_interval(area, positives, negatives):
            q1, q2 = limit / (2 - limit), 2 * limit**2 / (1 + limit)
            variance = limit * (1 - limit) + more * (q1 - limit**2) + more * (q2 - limit**2)
            z = abs(limit - area) / np.sqrt(variance / (positives * negatives))
            assert z == pytest.approx(norm.ppf(0.975), rel=1e-6)


def test_an_area_of_one_is_not_certain() -> None:
    low, high = scores.auroc_interval(1.0, 6, 54)
    assert high == 1.0
    assert 0.7 < low < 0.95
    assert scores.auroc_interval(0.0, 6, 54) == pytest.approx((0.0, 1 - low))
    assert np.isnan(scores.auroc_interval(float("nan"), 0, 60)).all()
