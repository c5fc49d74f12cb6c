"""Losses against a NumPy computation."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.training.config import LossParams
from ecgxai_core.training.trainer import make_loss


@pytest.mark.parametrize("smooth", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["bce", "focal"])
def test_loss_matches_its_formula(kind: str, smooth: float) -> None:
    rng = np.random.default_rng(2)
    t = (rng.random((7, 3)) < 0.4).astype(np.float32)
    p = rng.uniform(0.05, 0.95, (7, 3)).astype(np.float32)
    weights = np.array([1, 2, 3], np.float32)
    loss = make_loss(LossParams(kind=kind, gamma=2.0, label_smoothing=smooth), weights)  # type: ignore[arg-type]
    y = t * (1 - smooth) + 0.5 * smooth
    easy = (1 - p) ** 2 if kind == "focal" else 1
    easy_absent = p**2 if kind == "focal" else 1
    expected = np.mean(-weights * y * np.log(p) * easy - (1 - y) * np.log(1 - p) * easy_absent)
    assert float(loss(t, p)) == pytest.approx(float(expected), rel=1e-4)


def test_the_loss_of_a_certain_wrong_prediction_is_finite() -> None:
    loss = make_loss(LossParams(), np.ones(1, np.float32))
    assert np.isfinite(float(loss(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))))
