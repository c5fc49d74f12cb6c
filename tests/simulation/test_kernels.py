"""Waves as sums of Gaussians: borders, rotation, scaling, and addition to the dipole."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.simulation.dipole import Kernel, add_wave, rotated, scaled, wave

ONE = (Kernel(10.0, 8.0, (1.0, 0.5, -0.2)),)


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5])
def test_borders_of_one_gaussian_are_those_of_its_formula(level: float) -> None:
    half = 8.0 * np.sqrt(-2 * np.log(level))
    found = wave(ONE, level)
    assert found.peak == pytest.approx(10.0, abs=0.5)
    assert found.onset == pytest.approx(10.0 - half, abs=1.0)
    assert found.offset == pytest.approx(10.0 + half, abs=1.0)
    assert found.duration == pytest.approx(2 * half, abs=1.5)


def test_rotation_keeps_length_and_z() -> None:
    (turned,) = rotated(ONE, 90.0)
    np.testing.assert_allclose(turned.vector, (-0.5, 1.0, -0.2), atol=1e-12)


def test_scaling_takes_one_gain_or_one_per_axis() -> None:
    np.testing.assert_allclose(scaled(ONE, (2, 1, -1))[0].vector, (2.0, 0.5, 0.2))
    np.testing.assert_allclose(scaled(ONE, 2.0)[0].vector, (2.0, 1.0, -0.4))


def test_add_wave_places_stretches_and_scales_the_kernel() -> None:
    fs = 1000.0
    dipole = np.zeros((3, 1000))
    add_wave(dipole, fs, scaled(ONE, 3.0), anchor_ms=10.0, at_sec=0.4, stretch=2.0)
    times = np.arange(1000) / fs
    expected = 3.0 * np.exp(-0.5 * ((times - 0.4) / 0.016) ** 2)
    np.testing.assert_allclose(dipole[0], expected, atol=3.0 * 4e-6)
    np.testing.assert_allclose(dipole[1], 0.5 * dipole[0])


@pytest.mark.parametrize("at", [-5.0, -0.001, 0.999, 7.0])
def test_add_wave_clips_at_the_ends_of_the_record(at: float) -> None:
    dipole = np.zeros((3, 1000))
    add_wave(dipole, 1000.0, ONE, 10.0, at, 1.0)
    assert np.isfinite(dipole).all()
    assert (np.abs(dipole).max() > 0.5) == (-0.01 < at < 1.0)
