"""Temperature and calibration error where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.training.scores import (
    calibration_error,
    fit_temperature,
    reliability_curve,
    with_temperature,
)


def test_the_temperature_that_spoiled_the_probabilities_is_found() -> None:
    rng = np.random.default_rng(1)
    honest = rng.beta(0.7, 1.2, (20_000, 2))
    truth = rng.random(honest.shape) < honest
    overconfident = with_temperature(honest, 1 / 2.5)
    assert fit_temperature(truth, overconfident) == pytest.approx(2.5, rel=0.03)
    repaired = with_temperature(overconfident, fit_temperature(truth, overconfident))
    assert np.all(calibration_error(truth, repaired) < 0.02)
    assert np.all(calibration_error(truth, overconfident) > 0.05)


def test_temperature_keeps_order_and_one_changes_nothing() -> None:
    p = np.array([0.001, 0.2, 0.5, 0.7, 0.99])
    assert with_temperature(p, 1.0) == pytest.approx(p)
    assert np.all(np.diff(with_temperature(p, 3.0)) > 0)
    assert with_temperature(p, 3.0)[2] == pytest.approx(0.5)


def test_calibration_error_by_hand() -> None:
    # Two bins: mean probability 0.2 with 1 of 2 present, 0.9 with 2 of 2 present.
    truth = np.array([[True], [False], [True], [True]])
    p = np.array([[0.2], [0.2], [0.9], [0.9]])
    assert calibration_error(truth, p, bins=2)[0] == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)
    mean, share, count = reliability_curve(truth[:, 0], p[:, 0], bins=2)
    assert (mean.tolist(), share.tolist(), count.tolist()) == ([0.2, 0.9], [0.5, 1.0], [2, 2])


def test_probability_one_falls_into_the_last_bin() -> None:
    *_, count = reliability_curve(np.array([True, False]), np.array([1.0, 0.0]), bins=4)
    assert count.tolist() == [1, 0, 0, 1]


def test_bins_without_records_are_undefined_not_zero() -> None:
    rng = np.random.default_rng(0)
    p = np.r_[rng.random(200) * 0.3, 0.95]
    truth = rng.random(201) < p
    mean, fraction, count = reliability_curve(truth, p, bins=10)
    assert count.tolist() == np.histogram(p, 10, (0, 1))[0].tolist()
    assert np.isnan(mean[3:9]).all()
    assert np.isnan(fraction[3:9]).all()
    for b in (0, 1, 2, 9):
        inside = (p >= b / 10) & (p < (b + 1) / 10)
        assert mean[b] == pytest.approx(p[inside].mean())
        assert fraction[b] == pytest.approx(truth[inside].mean())
