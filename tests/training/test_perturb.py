"""Augmentation: each change does what its name says, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.training.batches import crop, mixed, perturb
from ecgxai_core.training.config import AugmentParams

NOT_ALONE = {"cutout_share", "mixup", "cutmix"}
OFF = dict.fromkeys(AugmentParams.model_fields, 0.0)


def signals(n: int = 6, samples: int = 200) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (n, samples, 12)).astype(np.float32)


def changed(x: np.ndarray, seed: int = 1, **on: float) -> np.ndarray:
    params = AugmentParams(**{**OFF, **on})
    return perturb(x, 100.0, params, np.random.default_rng(seed))


def test_without_enabled_changes_signals_are_unaltered() -> None:
    assert np.array_equal(changed(signals()), signals())


@pytest.mark.parametrize("name", [n for n in AugmentParams.model_fields if n not in NOT_ALONE])
def test_each_change_is_seeded_and_does_not_modify_its_input(name: str) -> None:
    x = signals()
    on = {name: 0.2, "cutout_share": 0.5}
    if name == "cutout":
        on[name] = 1.0
    first, again, other = changed(x, 1, **on), changed(x, 1, **on), changed(x, 2, **on)
    assert first.shape == x.shape
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(x, signals())
    assert np.isfinite(first).all()


def test_gain_is_one_factor_per_lead() -> None:
    x = signals()
    ratio = changed(x, gain_sd=0.3, lead_gain_sd=0.1) / x
    assert np.allclose(ratio, ratio[:, :1], rtol=1e-4)


def test_wander_is_slow_and_bounded() -> None:
    added = changed(signals(samples=1000), wander_mv=0.2) - signals(samples=1000)
    assert np.abs(added).max() <= 0.2 + 1e-5
    power = np.abs(np.fft.rfft(added - added.mean(axis=1, keepdims=True), axis=1)) ** 2
    frequency = np.fft.rfftfreq(1000, 0.01)
    assert power[:, frequency <= 1.0].sum() > 0.95 * power.sum()


def test_cut_out_and_lead_dropout_only_zero_samples() -> None:
    x = signals() + 10
    cut = changed(x, cutout=1.0, cutout_share=0.5)
    assert np.array_equal(cut[cut != 0], x[cut != 0])
    assert 0 < (cut == 0).mean() < 0.5
    dropped = changed(x, lead_dropout=0.5)
    empty = (dropped == 0).all(axis=1)
    assert empty.any()
    assert np.array_equal((dropped == 0).any(axis=1), empty), "leads are dropped entirely"


def test_warp_stretches_about_the_middle() -> None:
    ramp = np.repeat(np.arange(201, dtype=np.float32)[None, :, None], 12, axis=2)
    warped = changed(ramp, warp_sd=0.2)
    assert warped[0, 100, 0] == pytest.approx(100)
    slope = np.diff(warped[0, 60:140, 0])
    assert slope.std() < 1e-3
    assert abs(slope.mean() - 1) > 0.01


def test_crops_are_windows_of_their_record() -> None:
    x = np.arange(2 * 50, dtype=np.float32).reshape(2, 50, 1)
    found = crop(x, 10, np.random.default_rng(3))
    for i in range(2):
        start = int(found[i, 0, 0]) - 50 * i
        assert np.array_equal(found[i], x[i, start : start + 10])
    assert crop(x, 50, np.random.default_rng(3)) is x


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_targets_are_mixed_in_the_proportion_of_the_signals(name: str) -> None:
    """Record i is i everywhere, so a mixed signal tells its parts and their shares."""
    n, samples = 8, 250
    x = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None], (n, samples, 12)).copy()
    targets = np.eye(n, dtype=np.float32)
    params = AugmentParams(**{**OFF, name: 0.5})
    signals, learned = mixed(x, targets, params, np.random.default_rng(3))
    assert np.array_equal(x[:, 0, 0], np.arange(n)), "the input is left alone"
    assert np.allclose(learned.sum(axis=1), 1)
    assert (learned.max(axis=1) < 1).any()
    assert np.allclose(signals.mean(axis=(1, 2)), learned @ np.arange(n), atol=1e-4)
    if name == "cutmix":
        for row, target in zip(signals[:, :, 0], learned, strict=True):
            assert set(np.unique(row)) <= set(np.flatnonzero(target > 0))
            assert np.count_nonzero(np.diff(row)) <= 2, "one window"
    again = mixed(x, targets, params, np.random.default_rng(3))
    assert np.array_equal(again[0], signals)
    assert np.array_equal(again[1], learned)


def test_a_batch_is_mixed_in_one_way_or_the_other() -> None:
    x, targets = signals(), np.eye(6, dtype=np.float32)
    both = AugmentParams(**{**OFF, "mixup": 0.5, "cutmix": 0.5})
    ways = set()
    for seed in range(12):
        out, _ = mixed(x, targets, both, np.random.default_rng(seed))
        copied = np.isin(out, x).mean()
        ways.add("cutmix" if copied == 1 else "mixup")
    assert ways == {"mixup", "cutmix"}
