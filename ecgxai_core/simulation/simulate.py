"""Simulate one 12-lead record, or a set of them, with a known truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulation.dipole import (
    INDEPENDENT_LEADS,
    Kernel,
    add_wave,
    displaced,
    scaled,
    twelve_leads,
)
from ecgxai_core.simulation.heart import BeatShape, Heart, beat_shape, normal_heart, premature_shape
from ecgxai_core.simulation.mechanisms import apply, planned
from ecgxai_core.simulation.noise import Noise, lead_noise
from ecgxai_core.simulation.populations import Draw, Population
from ecgxai_core.simulation.rhythm import Beat, beats, fibrillation, flutter
from ecgxai_core.simulation.truth import Mark, Truth, Waves, build_truth
from ecgxai_core.types import STANDARD_LEADS, FloatArray, Record, content_seed, frozen_array

__all__ = ["CYCLE", "Simulation", "simulate", "simulate_set"]

_COMMON: tuple[str, ...] = (
    "atrial_fibrillation", "right_bundle_branch_block", "left_bundle_branch_block",
    "sinus_tachycardia", "left_anterior_fascicular_block",
    "incomplete_right_bundle_branch_block", "pacing",
)  # fmt: skip
_LAST_TURN: dict[str, tuple[str, ...]] = {
    "atrial_fibrillation": ("atrial_fibrillation", "shortcut_artefact"),
    "left_anterior_fascicular_block": (
        "right_bundle_branch_block",
        "left_anterior_fascicular_block",
    ),
}
_RARE: tuple[tuple[str, ...], ...] = (
    ("premature_ventricular",), ("st_elevation_inferior",), ("first_degree_block",),
    ("sinus_bradycardia",), ("atrial_flutter",), ("left_axis_deviation",),
    ("st_elevation_anterior",), ("left_ventricular_hypertrophy",), ("premature_atrial",),
    ("t_inversion_anterior",), ("long_qt", "right_axis_deviation"), ("sinus_rhythm",),
    ("st_depression",), ("q_wave_anterior",), ("sinus_arrhythmia", "low_voltage"),
    ("q_wave_inferior", "t_inversion_inferior"), ("st_elevation_lateral",),
    ("q_wave_lateral", "t_inversion_lateral"),
)  # fmt: skip

CYCLE: tuple[tuple[str, ...], ...] = tuple(
    names
    for turn in range(6)
    for names in (
        *(_LAST_TURN.get(name, (name,)) if turn == 5 else (name,) for name in _COMMON),
        *_RARE[3 * turn : 3 * turn + 3],
    )
)
"""Mechanisms of the 60 records of :func:`simulate_set`: common ones often, every one at least once.
"""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulated record and everything known about it.

    Attributes
    ----------
    record
        The record; ``synthetic`` is true and ``labels`` are the SNOMED-CT codes of the mechanisms.
    truth
        Where the mechanisms show.
    r_peaks_sec
        ``float64[beat]``: R peaks within the record, seconds.
    waves
        Wave borders of those beats.
    mechanisms
        Names of the planted mechanisms, including sinus rhythm where it is the rhythm.
    asked
        The mechanisms that were requested; ``truth.mask`` shows these.
    parameters
        Drawn values: intervals in s, rates, gains, noise levels, choices, population and seed.
    """

    record: Record
    truth: Truth
    r_peaks_sec: FloatArray
    waves: Waves
    mechanisms: tuple[str, ...]
    asked: tuple[str, ...]
    parameters: MappingProxyType[str, float | int | str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "r_peaks_sec", frozen_array(self.r_peaks_sec, np.float64))


def simulate(
    mechanism: str | Iterable[str] = "sinus_rhythm",
    *,
    seed: int,
    fs: float = 500,
    duration: float = 10,
    noise: Noise | None = None,
    population: Population = "demonstration",
    name: str | None = None,
) -> Simulation:
    """Simulate one record.

    The heart's dipole is a sum of Gaussian waves per beat (McSharry 2003, Sameni 2007). Dower's
    matrix projects it to the eight independent leads, noise is added at the electrodes, and III,
    aVR, aVL and aVF are computed from I and II.

    Parameters
    ----------
    mechanism
        A name from :func:`mechanisms`, or several that do not exclude each other.
    seed
        Determines the record, together with ``mechanism``, ``population``, ``fs`` and ``duration``.
    fs, duration
        Sampling rate in Hz (100 to 2000) and length in s (2 to 3600).
    noise
        Factors on the drawn noise; ``None`` = as drawn, ``Noise.none()`` = clean.
    population
        ``"demonstration"`` (also benchmarks) or ``"training"``; see :mod:`populations`.
    name
        Record name; by default built from population, seed and mechanism.

    Raises
    ------
    ParameterError
        Unknown or conflicting mechanisms, or a rate or length out of bounds.
    """
    for field, value, low, high, unit in (
        ("fs", fs, 100, 2000, "Hz"), ("duration", duration, 2, 3600, "s"),
    ):  # fmt: skip
        if not low <= value <= high:
            problem = f"{value} {unit} is out of bounds"
            raise ParameterError("simulate", field, problem, f"use {low} to {high} {unit}")
    asked = (mechanism,) if isinstance(mechanism, str) else tuple(mechanism)
    plan = planned(asked)
    names = tuple(row.name for row in plan)
    asked = tuple(n for n in names if n in asked) or names
    key = content_seed("simulate", population, int(seed), list(names), float(fs), float(duration))
    draw = Draw(population, np.random.default_rng(key))
    # Where two mechanisms set the same parameter, the later row of the table wins.
    ranges = {name: limits for row in plan for name, limits in row.ranges.items()}
    heart = apply(plan, normal_heart(draw, ranges), draw)
    draw.values.update({k: float(v) for k, v in heart.values.items() if k not in draw.values})
    rng = np.random.default_rng(content_seed("realisation", key))
    n = round(fs * duration)

    dipole, waves = _all_beats(heart, n, fs, duration, rng)
    dipole += _atrial(heart, n, fs, rng)
    dipole = _breathing(heart, dipole, fs, rng)
    dipole += _spikes(heart, waves, n, fs)
    gains = np.exp(rng.normal(0.0, 0.10, len(INDEPENDENT_LEADS) - 2))
    leads = displaced(heart["electrode_shift"], gains) @ dipole
    mains = float(draw.choice("mains_hz", ("50", "60")))
    leads += lead_noise(heart, noise or Noise(), mains, n, fs, rng)
    # ECG amplifiers are AC coupled: the mean of a lead is 0 mV, not its isoelectric line.
    leads -= leads.mean(axis=1, keepdims=True)
    mark = _mark(heart, names, duration, rng)
    if mark is not None:
        first, stop = round(mark.start * fs), round(mark.stop * fs)
        leads[INDEPENDENT_LEADS.index(mark.lead), first:stop] += mark.mv

    kept = waves.take([i for i, r in enumerate(waves.r_peak) if 0.0 <= r < duration])
    record = Record(
        name=name or f"{population}_{seed}_{'_'.join(asked)}",
        signal=twelve_leads(leads).astype(np.float32),
        fs=float(fs),
        leads=STANDARD_LEADS,
        labels=tuple(dict.fromkeys(code for row in plan for code in row.labels)),
        age=float(round(heart["age"])),
        sex=draw.choice("sex", ("female", "male")),
        synthetic=True,
    )
    values = {**draw.values, "population": population, "seed": int(seed)}
    truth = build_truth(plan, asked, waves, mark, n, float(fs))
    return Simulation(record, truth, kept.r_peak, kept, names, asked, MappingProxyType(values))


def simulate_set(
    n: int, seed: int, population: Population = "demonstration", *, fs: float = 500
) -> Iterator[Simulation]:
    """Yield ``n`` records that cycle through :data:`CYCLE`; each is independent of the others.

    Raises
    ------
    ParameterError
        ``n`` is not positive.
    """
    if n < 1:
        raise ParameterError("simulate", "n", f"{n} records cannot be made", "give n >= 1")
    for index in range(n):
        own = content_seed("simulate_set", population, int(seed), index)
        prefix = "sim" if population == "demonstration" else "simtrain"
        yield simulate(
            CYCLE[index % len(CYCLE)],
            seed=own,
            fs=fs,
            population=population,
            name=f"{prefix}{seed}_{index + 1:04d}",
        )


def _all_beats(
    heart: Heart, n: int, fs: float, duration: float, rng: np.random.Generator
) -> tuple[FloatArray, Waves]:
    """The dipole of all beats (``float64[3, sample]``) and their wave borders."""
    ordinary = beat_shape(heart)
    premature = premature_shape(heart, ordinary) if heart.ectopic else ordinary
    dipole = np.zeros((3, n))
    rows = []
    for beat in beats(heart, duration, rng):
        shape = ordinary if beat.kind == "ordinary" else premature
        rows.append(_one_beat(heart, beat, shape, dipole, fs, 1.0 + 0.02 * rng.normal()))
    kinds, borders = zip(*rows, strict=True)
    return dipole, Waves(kinds, *np.array(borders).T)


def _one_beat(
    heart: Heart, beat: Beat, shape: BeatShape, dipole: FloatArray, fs: float, gain: float
) -> tuple[str, tuple[float, ...]]:
    """Add one beat to the dipole; return its kind, and its borders in ``Waves.names()`` order."""
    ventricular = beat.kind == "ventricular"
    qrs_sec = heart["ectopic_qrs"] if ventricular else heart["qrs"]
    # Bazett's QT, mostly from the mean cycle, as QT adapts only partly to a single short cycle.
    mean_rr = 60.0 / heart["heart_rate"]
    qt = heart["qtc"] * np.sqrt(0.8 * mean_rr + 0.2 * min(beat.rr_sec, 1.5 * mean_rr))
    if ventricular:
        qt += 0.5 * (qrs_sec - heart["qrs"])
    stretch = qrs_sec * 1000.0 / shape.qrs.duration
    onset = beat.r_sec - (shape.qrs.peak - shape.qrs.onset) * stretch / 1000.0
    end = onset + qrs_sec
    add_wave(dipole, fs, scaled(shape.qrs.kernels, gain), shape.qrs.peak, beat.r_sec, stretch)
    late = float(qt - qrs_sec) * 1000.0 / shape.t.offset
    add_wave(dipole, fs, scaled(shape.st + shape.t.kernels, gain), 0.0, end, late)
    p = (np.nan, np.nan, np.nan)
    if beat.has_p:
        start = onset - heart["pr"]
        wide = heart["p_duration"] * 1000.0 / shape.p.duration
        add_wave(dipole, fs, shape.p.kernels, shape.p.onset, start, wide)
        peak = start + (shape.p.peak - shape.p.onset) * wide / 1000.0
        p = (start, peak, start + heart["p_duration"])
    t = [end + max(ms, 0.0) * late / 1000.0 for ms in (shape.t.onset, shape.t.peak, shape.t.offset)]
    paced = heart.rhythm == "paced"
    spike = onset - heart["spike_lead_ms"] / 1000.0 if paced else np.nan
    return "paced" if paced else beat.kind, (*p, onset, beat.r_sec, end, *t, spike)


def _atrial(heart: Heart, n: int, fs: float, rng: np.random.Generator) -> FloatArray:
    """Fibrillatory or flutter waves, ``float64[3, sample]``; zero in other rhythms."""
    times = np.arange(n) / fs
    if heart.rhythm == "fibrillation":
        return fibrillation(times, heart["atrial_rate"], 0.06 * heart["atrial_gain"], rng)
    if heart.rhythm == "flutter":
        offset = float(rng.random())
        return flutter(times, heart["atrial_rate"], 0.08 * heart["atrial_gain"], offset)
    return np.zeros((3, n))


def _breathing(heart: Heart, dipole: FloatArray, fs: float, rng: np.random.Generator) -> FloatArray:
    """The dipole scaled and rotated in the frontal plane by respiration."""
    times = np.arange(dipole.shape[1]) / fs
    phase = 2 * np.pi * heart["respiration_hz"] * times + rng.uniform(0, 2 * np.pi)
    gain = 1.0 + heart["respiration_gain"] * np.sin(phase)
    angle = np.radians(heart["respiration_deg"]) * np.sin(phase + 0.5)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = dipole
    return np.asarray(gain * np.stack([cos * x - sin * y, sin * x + cos * y, z]))


def _spikes(heart: Heart, waves: Waves, n: int, fs: float) -> FloatArray:
    """Pacing spikes from the right ventricular apex, as filtered by an ECG amplifier."""
    dipole = np.zeros((3, n))
    if heart.rhythm != "paced":
        return dipole
    width = max(1.2, 500.0 / fs)  # ms; half a sample at least, or the spike could be missed
    size = heart["spike"]
    kernel = Kernel(0.0, width, (0.55 * size, -0.70 * size, 0.45 * size))
    for spike in waves.spike:
        add_wave(dipole, fs, (kernel,), 0.0, float(spike) + 0.002, 1.0)
    return dipole


def _mark(
    heart: Heart, names: tuple[str, ...], duration: float, rng: np.random.Generator
) -> Mark | None:
    """The shortcut artefact, if requested."""
    if "shortcut_artefact" not in names:
        return None
    lead = STANDARD_LEADS[6 + int(rng.integers(6))]
    length = heart["mark_sec"]
    start = float(rng.uniform(0.2, duration - 0.2 - length))
    return Mark(lead, start, start + length, heart["mark_mv"])
