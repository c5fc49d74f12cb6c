"""The heart of one simulated person: intervals, waves and rhythm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.simulation import templates as shapes
from ecgxai_core.simulation.dipole import (
    DOWER,
    Kernel,
    Wave,
    frontal_axis_deg,
    rotated,
    scaled,
    twelve_leads,
    wave,
)
from ecgxai_core.simulation.populations import Draw
from ecgxai_core.types import FloatArray

__all__ = ["NORMAL_RANGES", "BeatShape", "Heart", "beat_shape", "normal_heart", "premature_shape"]

Kernels = tuple[Kernel, ...]

NORMAL_RANGES: dict[str, tuple[float, float]] = {
    "heart_rate": (62.0, 92.0), "rr_sd": (0.012, 0.040), "lf_hf": (0.5, 2.0),
    "respiration_hz": (0.19, 0.31), "respiration_gain": (0.006, 0.034),
    "respiration_deg": (0.4, 3.0),
    "pr": (0.136, 0.184), "p_duration": (0.086, 0.108), "qrs": (0.086, 0.102),
    "qtc": (0.372, 0.408), "axis": (12.0, 72.0), "turn": (-10.0, 10.0), "t_turn": (-14.0, 14.0),
    "qrs_gain": (0.70, 1.36), "qrs_depth": (0.60, 1.32), "t_gain": (0.70, 1.60),
    "p_gain": (0.80, 1.25), "electrode_shift": (-0.24, 0.24), "age": (22.0, 88.0),
    "wander_mv": (0.006, 0.060), "mains_uv": (0.2, 2.0), "muscle_uv": (1.0, 4.8),
    "electrode_uv": (0.3, 1.6),
}  # fmt: skip
"""Range of every parameter that all records share; a mechanism narrows or shifts some of them.

Intervals (s) lie within the normal limits of adults (Rijnbeek PR et al., J Electrocardiol 2014;
47:914-921); axis in degrees, rate per minute, gains as factors on :mod:`templates`.
"""


@dataclass(frozen=True, slots=True)
class Heart:
    """Parameters (s, Hz, per minute) and dipole kernels of one person."""

    values: Mapping[str, float]
    p: Kernels
    qrs: Kernels
    st: Kernels
    t: Kernels
    terminal: Kernels = ()  # added to the QRS after its axis has been set
    keep_axis: bool = False  # rotate the template slightly instead of setting a drawn axis
    rhythm: str = "sinus"  # sinus | fibrillation | flutter | paced
    ectopic: str | None = None  # atrial | right | left
    voltage: str | None = None  # hypertrophy | low
    paced_p: bool = False

    def __getitem__(self, name: str) -> float:
        return self.values[name]


@dataclass(frozen=True, slots=True)
class BeatShape:
    """The waves of one kind of beat; ``st`` and ``t`` are timed from the J point."""

    p: Wave
    qrs: Wave
    st: Kernels
    t: Wave


def normal_heart(draw: Draw, ranges: Mapping[str, tuple[float, float]]) -> Heart:
    """A healthy heart whose parameters are drawn from ``ranges`` over :data:`NORMAL_RANGES`."""
    values = {name: draw(name, *limits) for name, limits in {**NORMAL_RANGES, **ranges}.items()}
    t = rotated(shapes.NORMAL_T, 0.35 * (values["axis"] - 40.0))
    return Heart(values, shapes.NORMAL_P, shapes.NORMAL_QRS, shapes.NORMAL_ST, t)


def _leads_extent(kernels: Kernels) -> tuple[FloatArray, FloatArray]:
    """Largest and smallest value (mV, ``float64[12]``) of kernels in the standard leads."""
    times = np.arange(-150.0, 250.0, 1.0)
    dipole = np.zeros((3, times.size))
    for k in kernels:
        shape = np.exp(-0.5 * ((times - k.centre) / k.width) ** 2)
        dipole += np.asarray(k.vector)[:, None] * shape
    leads = twelve_leads(DOWER @ dipole)
    return leads.max(axis=1), leads.min(axis=1)


def _area(kernels: Kernels) -> FloatArray:
    """Net QRS vector: sum of amplitude x width (``float64[3]``, mV ms up to a constant)."""
    return np.asarray(np.sum([np.asarray(k.vector) * k.width for k in kernels], axis=0))


def _with_axis(kernels: Kernels, degrees: float) -> Kernels:
    """Rotate kernels in the frontal plane until their electrical axis is ``degrees``."""
    # I and aVF are not perpendicular in Dower's torso: the rotation needs fixed-point iteration.
    for _ in range(12):
        miss = degrees - frontal_axis_deg(_area(kernels))
        kernels = rotated(kernels, 0.8 * ((miss + 180.0) % 360.0 - 180.0))
    return kernels


def _with_voltage(heart: Heart, kernels: Kernels) -> Kernels:
    """Scale the QRS so that the voltage criterion takes its drawn value."""
    if heart.voltage is None:
        return kernels
    top, bottom = _leads_extent(kernels)
    if heart.voltage == "hypertrophy":  # Sokolow-Lyon: S in V1 + R in V5 or V6
        return scaled(kernels, heart["hypertrophy"] / float(max(top[10], top[11]) - bottom[6]))
    # Low voltage: peak to peak below 0.5 mV in every limb lead.
    factor = heart["low_voltage"] / float((top - bottom)[:6].max())
    return scaled(kernels, (factor, factor, 0.5 * (1.0 + factor)))


def beat_shape(heart: Heart) -> BeatShape:
    """The ordinary beat, with its axis, gains, late forces and wave borders."""
    base = heart.qrs
    base = rotated(base, heart["turn"]) if heart.keep_axis else _with_axis(base, heart["axis"])
    gain, depth = heart["qrs_gain"], heart["qrs_depth"]
    qrs = scaled(base + heart.terminal, (gain, gain, gain * depth))
    qrs = _with_voltage(heart, qrs)
    t = scaled(rotated(heart.t, heart["t_turn"]), heart["t_gain"])
    p = wave(scaled(heart.p, heart["p_gain"]), shapes.P_LEVEL)
    return BeatShape(p, wave(qrs, shapes.QRS_LEVEL), heart.st, wave(t, shapes.T_LEVEL))


def premature_shape(heart: Heart, ordinary: BeatShape) -> BeatShape:
    """The premature beat of a heart with an ectopic focus."""
    if heart.ectopic == "atrial":
        p = scaled(shapes.ECTOPIC_P, heart["ectopic_p_gain"])
        return replace(ordinary, p=wave(p, shapes.P_LEVEL))
    qrs, st, t = (scaled(part, heart["ectopic_gain"]) for part in shapes.PVC[str(heart.ectopic)])
    return BeatShape(ordinary.p, wave(qrs, shapes.QRS_LEVEL), st, wave(t, shapes.T_LEVEL))
