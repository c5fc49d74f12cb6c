"""Baseline wander, mains interference, muscle and electrode noise.

All noise arises at the nine electrodes and is projected to the leads, so Einthoven's and
Goldberger's identities still hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgxai_core.simulation.dipole import ELECTRODES, electrode_leads
from ecgxai_core.simulation.heart import Heart
from ecgxai_core.types import FloatArray

__all__ = ["Noise", "lead_noise"]


@dataclass(frozen=True, slots=True)
class Noise:
    """Factors on the drawn noise levels of a record; all zero = a clean record.

    The drawn levels follow the PTB-XL records of good quality.
    """

    wander: float = 1.0
    mains: float = 1.0
    muscle: float = 1.0
    electrode: float = 1.0

    @classmethod
    def none(cls) -> Noise:
        """No noise at all."""
        return cls(0.0, 0.0, 0.0, 0.0)


def lead_noise(
    heart: Heart, noise: Noise, mains_hz: float, n: int, fs: float, rng: np.random.Generator
) -> FloatArray:
    """Noise of the independent leads, ``float64[8, sample]`` in mV."""
    times = np.arange(n) / fs
    count = len(ELECTRODES)
    parts = [
        noise.wander * heart["wander_mv"] * _wander(times, heart["respiration_hz"], count, rng),
        noise.mains * heart["mains_uv"] * 1e-3 * _mains(times, mains_hz, count, rng),
        noise.muscle * heart["muscle_uv"] * 1e-3 * _muscle(n, fs, rng),
        noise.electrode * heart["electrode_uv"] * 1e-3 * _coloured(n, fs, (0.5, 100.0), 1.0, rng),
    ]
    return electrode_leads(np.sum(parts, axis=0))


def _wander(times: FloatArray, breath: float, count: int, rng: np.random.Generator) -> FloatArray:
    """Drift (below 0.5 Hz) and respiration, different at each electrode; RMS near one."""
    rates = np.concatenate([rng.uniform(0.03, 0.45, 5), [breath]])
    weights = np.append(
        rng.uniform(0.3, 1.0, (count, 5)) / np.sqrt(rates[:5] / 0.1), np.ones((count, 1)), 1
    )
    weights *= rng.uniform(0.5, 1.5, (count, 1))
    phases = rng.uniform(0, 2 * np.pi, (count, 6))
    phases[:, 5] = phases[0, 5] + rng.normal(0, 0.4, count)  # respiration is nearly in phase
    angles = 2 * np.pi * rates[:, None] * times
    waves = weights[:, :, None] * np.sin(angles[None] + phases[:, :, None])
    return np.asarray(waves.sum(axis=1) / np.sqrt(np.mean(np.sum(weights**2, axis=1)) / 2))


def _mains(times: FloatArray, rate: float, count: int, rng: np.random.Generator) -> FloatArray:
    """Mains interference and its third harmonic, slowly modulated; unit amplitude."""
    strength = rng.uniform(0.4, 1.6, (count, 1))
    phase = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.3, (count, 1))
    slow = 1.0 + 0.3 * np.sin(2 * np.pi * 0.2 * times + rng.uniform(0, 2 * np.pi))
    angle = 2 * np.pi * rate * times
    return np.asarray(strength * slow * (np.sin(angle + phase) + 0.1 * np.sin(3 * angle + phase)))


def _muscle(n: int, fs: float, rng: np.random.Generator) -> FloatArray:
    """Muscle noise: tremor near 10 Hz with a falling spectrum, slowly modulated, larger in limbs.

    Between T and P of PTB-XL's normal records the amplitude spectrum falls as f^-0.8 above 10 Hz,
    with a median RMS of 8 to 10 uV in the limb leads and 5 uV in the chest leads.
    """
    values = _coloured(n, fs, (6.0, 150.0), 1.6, rng)
    count = len(values)
    rates = rng.uniform(0.05, 0.3, (count, 1))
    angles = 2 * np.pi * rates * np.arange(n) / fs + rng.uniform(0, 2 * np.pi, (count, 1))
    limbs = np.where(np.arange(count) < 3, 1.7, 1.0)[:, None]
    return np.asarray(values * (1.0 + 0.3 * np.sin(angles)) * limbs)


def _coloured(
    n: int, fs: float, band: tuple[float, float], slope: float, rng: np.random.Generator
) -> FloatArray:
    """Gaussian noise of power f^-slope in a band (Hz), ``float64[9, sample]``; RMS near one."""
    count = len(ELECTRODES)
    rates = np.fft.rfftfreq(n, 1.0 / fs)
    inside = (rates >= band[0]) & (rates <= min(band[1], 0.49 * fs))
    gain = np.where(inside, np.maximum(rates, band[0]) ** (-slope / 2), 0.0)
    white = rng.normal(size=(2, count, rates.size))
    values = np.fft.irfft((white[0] + 1j * white[1]) * gain, n, axis=1)
    level = values.std(axis=1, keepdims=True)
    return np.asarray(values / level * rng.uniform(0.6, 1.4, (count, 1)))
