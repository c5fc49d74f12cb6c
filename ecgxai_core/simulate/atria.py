"""Atrial activity that is no P wave: fibrillatory waves and flutter waves, as a dipole."""

from __future__ import annotations

import numpy as np

from ecgxai_core.types import FloatArray

__all__ = ["fibrillation", "flutter"]


def fibrillation(
    times: FloatArray, rate: float, amplitude: float, rng: np.random.Generator
) -> FloatArray:
    """``float64[3, sample]`` in mV: a sawtooth whose amplitude and frequency wander.

    Stridh M, Soernmo L. Spatiotemporal QRST cancellation techniques for analysis of atrial
    fibrillation. IEEE Trans Biomed Eng 2001;48:105-111, eqs. 23-25 (five harmonics). ``rate`` is
    per minute, ``amplitude`` the peak in V1 in mV; V1 faces the right atrium, hence it is largest
    there.
    """
    out = np.zeros((3, times.size))
    direction = np.array([-0.40, 0.45, -0.60])
    for axis in range(3):
        # Each axis sees its own mix of wavelets, so its sawtooth has its own modulation.
        wander = rng.uniform(0.2, 0.6)
        phase = 2 * np.pi * rate / 60.0 * times
        phase = phase + 0.8 * np.sin(2 * np.pi * wander * times + rng.uniform(0, 2 * np.pi))
        phase += 0.5 * np.sin(2 * np.pi * 1.3 * times + rng.uniform(0, 2 * np.pi))
        phase += rng.uniform(0, 2 * np.pi)
        slow = 2 * np.pi * rng.uniform(0.3, 0.7) * times + rng.uniform(0, 2 * np.pi)
        envelope = 1.0 + 0.4 * np.sin(slow)
        sawtooth = sum(np.sin(i * phase) / i * 0.75 ** (i - 1) for i in range(1, 6))
        out[axis] = direction[axis] * envelope * sawtooth
    return np.asarray(amplitude * out)


def flutter(times: FloatArray, rate: float, amplitude: float, offset_sec: float) -> FloatArray:
    """``float64[3, sample]`` in mV: typical counter-clockwise flutter.

    Up the septum, down the free wall (Saoudi N et al., Eur Heart J 2001;22:1162-1182): in the
    inferior leads a slow fall, a steep negative wave and a steep rise without an isoelectric line;
    in V1 a narrow upright wave. ``amplitude`` is the depth in the inferior leads in mV.
    """
    phase = ((times - offset_sec) * rate / 60.0) % 1.0

    def centred(centre: float, width: float) -> FloatArray:
        distance = (phase - centre + 0.5) % 1.0 - 0.5
        bump = np.exp(-0.5 * (distance / width) ** 2)
        # Its mean over the cycle is taken out, so the line stays about 0 mV.
        return np.asarray(bump - np.sqrt(2 * np.pi) * width)

    inferior = -centred(0.45, 0.13) - 0.45 * centred(0.22, 0.14) + 0.45 * centred(0.72, 0.09)
    front = centred(0.50, 0.10) - 0.25 * centred(0.80, 0.12)
    x = 0.10 * inferior - 0.30 * front
    return np.asarray(amplitude * np.stack([x, 0.85 * inferior, -0.50 * front]))
