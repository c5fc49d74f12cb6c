"""Records that are hard for a beat detector, made from simulated ones: what it is, and its beats.

Each stress takes a simulated record and a random generator and returns ``float64[lead, sample]``
(mV, the twelve standard leads) with the R peaks in seconds. Nothing here knows the detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecgxai_core.simulation import Noise, Simulation, simulate
from ecgxai_core.types import FloatArray

__all__ = ["STRESSES", "Stressed", "scored", "stressed"]

FS = 500.0
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stressed:
    """One hard record: ``float64[lead, sample]`` in mV, sampling rate, R peaks in seconds."""

    signal: FloatArray
    fs: float
    beats: FloatArray


Change = Callable[[Simulation, np.random.Generator], tuple[FloatArray, FloatArray]]


def _as_is(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    return made.record.signal.astype(np.float64), np.array(made.r_peaks_sec)


def _taper(n: int, fs: float, start: float, stop: float, soft: float = 0.03) -> FloatArray:
    """``float64[sample]``: 1 within (start, stop) seconds, 0 outside, cosine flanks."""
    t = np.arange(n) / fs
    rise = np.clip((t - start + soft) / soft, 0, 1) * np.clip((stop + soft - t) / soft, 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * rise))


def _tall(factor: float) -> Change:
    """Premature ventricular beats, QRS and T, are ``factor`` times as tall."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        gain = np.ones(signal.shape[1])
        for kind, start, stop in zip(
            made.waves.kind, made.waves.qrs_onset, made.waves.t_offset, strict=True
        ):
            if kind == "ventricular":
                gain += (factor - 1) * _taper(signal.shape[1], FS, start, stop)
        return signal * gain, beats

    return change


def _tall_t(factor: float) -> Change:
    """T waves are ``factor`` times as tall."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        gain = np.ones(signal.shape[1])
        for start, stop in zip(made.waves.qrs_offset, made.waves.t_offset, strict=True):
            gain += (factor - 1) * _taper(signal.shape[1], FS, start + 0.04, stop)
        return signal * gain, beats

    return change


def _coloured(n: int, rng: np.random.Generator, low: float, high: float) -> FloatArray:
    """Gaussian noise of a band (Hz), unit standard deviation."""
    rates = np.fft.rfftfreq(n, 1 / FS)
    inside = (rates >= low) & (rates <= high)
    white = rng.normal(size=rates.size) + 1j * rng.normal(size=rates.size)
    noise = np.fft.irfft(white * inside, n)
    return np.asarray(noise / noise.std())


def _motion(leads: tuple[int, ...], mv: float) -> Change:
    """Bursts of electrode motion, 1 to 10 Hz, of 1.5 to 3 s in some leads."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        n = signal.shape[1]
        for start in (rng.uniform(0.5, 3.0), rng.uniform(5.0, 7.0)):
            burst = _taper(n, FS, start, start + rng.uniform(1.5, 3.0), 0.3)
            noise = mv * _coloured(n, rng, 1, 10) * burst
            for lead in leads:
                signal[lead] += noise * rng.choice((-1, 1))
        return signal, beats

    return change


def _steps(leads: tuple[int, ...], mv: float) -> Change:
    """The baseline jumps every two seconds or so, and falls back with a time constant of 1 s."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        t = np.arange(signal.shape[1]) / FS
        for start in np.arange(0.7, SECONDS, 2.0) + rng.uniform(0, 1.2, 5):
            step = rng.normal(0, mv) * (t >= start) * np.exp(-np.clip(t - start, 0, None))
            for lead in leads:
                signal[lead] += step
        return signal, beats

    return change


def _spikes(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Five spikes of 3 to 10 mV and 4 ms, each in some leads."""
    signal, beats = _as_is(made, rng)
    for at in rng.integers(0, signal.shape[1] - 2, 5):
        leads = rng.random(12) < 0.5
        signal[leads, at : at + 2] += rng.uniform(3, 10) * rng.choice((-1, 1))
    return signal, beats


def _pause(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Three to five beats are missing: a line with the record's own noise takes their place."""
    signal, beats = _as_is(made, rng)
    waves, n = made.waves, signal.shape[1]
    first = int(rng.integers(2, 4))
    last = first + int(rng.integers(2, 5))
    last = min(last, len(beats) - 2)
    start, stop = waves.qrs_onset[first] - 0.25, waves.qrs_onset[last + 1] - 0.25
    noise = np.stack([0.01 * _coloured(n, rng, 0.5, 60) for _ in signal])
    a, b = max(0, int(start * FS)), min(n - 1, int(stop * FS))
    ramp = np.clip((np.arange(n) - a) / max(b - a, 1), 0, 1)
    line = signal[:, [a]] * (1 - ramp) + signal[:, [b]] * ramp + noise
    within = _taper(n, FS, start, stop)
    kept = np.array([t for i, t in enumerate(beats) if not first <= i <= last])
    return signal * (1 - within) + line * within, kept


def _small(factor: float, leads: slice) -> Change:
    """Some leads are ``factor`` times as large, under noise of 10 uV that is not."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        signal[leads] *= factor
        signal += np.stack([0.01 * _coloured(signal.shape[1], rng, 5, 100) for _ in signal])
        return signal, beats

    return change


def _lost(leads: tuple[int, ...]) -> Change:
    """Electrodes are off: these leads hold 30 uV of noise, mains and drift instead of a heart."""

    def change(made: Simulation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        signal, beats = _as_is(made, rng)
        n = signal.shape[1]
        mains = np.sin(2 * np.pi * 50 * np.arange(n) / FS)
        for lead in leads:
            signal[lead] = (
                0.03 * _coloured(n, rng, 0.5, 100) + 0.02 * mains + 0.1 * _coloured(n, rng, 0, 0.5)
            )
        return signal, beats

    return change


ALL_LEADS = tuple(range(12))
V1_AND_OTHERS = (6, 7, 9, 10)

STRESSES: dict[str, tuple[tuple[str, ...], Noise | None, Change]] = {
    "sinus rhythm": (("sinus_rhythm", "sinus_tachycardia", "sinus_bradycardia"), None, _as_is),
    "fibrillation, flutter": (("atrial_fibrillation", "atrial_flutter"), None, _as_is),
    "broad or paced": (("left_bundle_branch_block", "pacing"), None, _as_is),
    **{
        f"premature beats x {k}": (("premature_ventricular",), None, _tall(k))
        for k in (1, 2, 3, 4, 6)
    },
    "tall T x 3": (("sinus_rhythm", "long_qt"), None, _tall_t(3)),
    "muscle x 10": (("sinus_rhythm", "atrial_fibrillation"), Noise(muscle=10), _as_is),
    "muscle x 25": (("sinus_rhythm", "atrial_fibrillation"), Noise(muscle=25), _as_is),
    "mains x 100": (("sinus_rhythm",), Noise(mains=100), _as_is),
    "wander x 30": (("sinus_rhythm", "premature_ventricular"), Noise(wander=30), _as_is),
    "pause": (("sinus_rhythm", "premature_atrial"), None, _pause),
    "low voltage x 0.3": (("low_voltage",), None, _small(0.3, slice(None))),
    "chest leads x 0.05": (("sinus_rhythm",), None, _small(0.05, slice(6, 12))),
    "V1, V2, V4, V5 lost": (("sinus_rhythm", "premature_ventricular"), None, _lost(V1_AND_OTHERS)),
    "limb leads lost": (("sinus_rhythm", "premature_ventricular"), None, _lost((0, 2, 3, 4, 5))),
    "motion, chest": (("sinus_rhythm", "atrial_fibrillation"), None, _motion(V1_AND_OTHERS, 0.5)),
    "motion, all": (("sinus_rhythm", "atrial_fibrillation"), None, _motion(ALL_LEADS, 0.3)),
    "baseline steps": (("sinus_rhythm", "atrial_fibrillation"), None, _steps(ALL_LEADS, 1.0)),
    "spikes": (("sinus_rhythm", "atrial_fibrillation"), None, _spikes),
}  # fmt: skip
"""By name: mechanisms in turn, noise factors, and the change."""


def stressed(name: str, seed: int) -> Stressed:
    """A hard record; ``seed`` decides which."""
    mechanisms, noise, change = STRESSES[name]
    made = simulate(
        mechanisms[seed % len(mechanisms)], seed=seed, fs=FS, duration=SECONDS, noise=noise
    )
    signal, beats = change(made, np.random.default_rng(seed))
    return Stressed(signal, FS, beats)


def scored(
    found: FloatArray, beats: FloatArray, low: float, high: float, within: float = 0.15
) -> tuple[int, int, int]:
    """Beats found, missed and made up between ``low`` and ``high``; all in seconds.

    Each found beat is given to one true beat at most, the nearest pairs first (ANSI/AAMI EC57
    takes 150 ms). What lies at the edge may match, but is neither missed nor made up.
    """
    distance = np.abs(found[:, None] - beats[None, :])
    order = np.unravel_index(np.argsort(distance, axis=None), distance.shape)
    pairs = [(int(i), int(j)) for i, j in zip(*order, strict=True)]
    taken_found: set[int] = set()
    taken_beats: set[int] = set()
    for i, j in pairs:
        if distance[i, j] > within:
            break
        if i not in taken_found and j not in taken_beats:
            taken_found.add(i)
            taken_beats.add(j)
    inside = (beats >= low) & (beats <= high)
    hit = sum(bool(inside[j]) for j in taken_beats)
    extra = sum(low <= t <= high for i, t in enumerate(found) if i not in taken_found)
    return hit, int(inside.sum()) - hit, extra
