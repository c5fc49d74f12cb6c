"""Averages of weights: with equal shares, and the normalisation statistics that belong to them."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.training.trainer import Trainer
from ecgxai_core.training.zoo import Shape
from tests.training.small_data import student_params

SHAPE = Shape(64, 12, 3)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(student_params(), SHAPE, np.ones(3, np.float32))


def batches(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(i / 3, 1 + i / 5, (8, 64, 12)).astype(np.float32) for i in range(n)]


def test_weights_are_averaged_with_equal_shares(trainer: Trainer) -> None:
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    seen = []
    for number, signals in enumerate(batches(7)):
        averaged = number - 3  # an exponential average before
        trainer.step(signals, targets, 0.01, averaged)
        if averaged >= 0:
            seen.append(trainer.model.get_weights())
    assert len(seen) == 4
    for average, *each in zip(trainer.averaged(), *seen, strict=True):
        assert np.allclose(average, np.mean(each, axis=0), atol=1e-6)


def test_normalisation_is_measured_anew_for_the_averaged_weights(trainer: Trainer) -> None:
    targets = np.zeros((8, 3), np.float32)
    for number, signals in enumerate(batches(3)):
        trainer.step(signals, targets, 0.05, number)
    before = trainer.averaged()
    trainer.renormalise(batches(4))
    after = trainer.averaged()
    names = [weight.path for weight in trainer.model.weights]
    moving = [i for i, name in enumerate(names) if "moving" in name]
    assert moving
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        assert np.array_equal(old, new) != (i in moving), names[i]

    kernel = after[next(i for i, name in enumerate(names) if "block1_conv1/kernel" in name)]
    padded = [np.pad(x, ((0, 0), (2, 2), (0, 0))) for x in batches(4)]
    windows = [np.lib.stride_tricks.sliding_window_view(x, 5, axis=1) for x in padded]
    features = [np.einsum("bslk,klf->bsf", window, kernel) for window in windows]
    place = {end: next(i for i, name in enumerate(names) if f"block1_conv1_norm/{end}" in name)
             for end in ("moving_mean", "moving_variance")}  # fmt: skip
    mean = np.mean([x.mean(axis=(0, 1)) for x in features], axis=0)
    variance = np.mean([x.var(axis=(0, 1)) for x in features], axis=0)
    assert np.allclose(after[place["moving_mean"]], mean, atol=1e-4)
    assert np.allclose(after[place["moving_variance"]], variance, atol=1e-3)
