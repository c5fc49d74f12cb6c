"""The cardiac dipole: waves as sums of Gaussians, with their borders, and the twelve leads.

McSharry PE et al., IEEE Trans Biomed Eng 2003;50:289-294 (one lead); Sameni R et al., EURASIP J Adv
Signal Process 2007:43407 (the dipole: Gaussians in x, y and z). Here each Gaussian has the same
timing in all three axes, so a kernel is a vector of fixed direction that rises and falls.

The axes are Frank's: x to the left, y to the feet, z to the back; amplitudes in mV as in Frank's
orthogonal leads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.types import STANDARD_LEADS, FloatArray

__all__ = [
    "DOWER",
    "ELECTRODES",
    "INDEPENDENT_LEADS",
    "Kernel",
    "Wave",
    "add_wave",
    "displaced",
    "electrode_leads",
    "frontal_axis_deg",
    "rotated",
    "scaled",
    "twelve_leads",
    "wave",
]

_GRID_MS = np.arange(-400.0, 900.0, 0.5)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One Gaussian: centre and width in ms, amplitude of the dipole (x, y, z) in mV."""

    centre: float
    width: float
    vector: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave of the beat on its own time axis (ms), with its borders.

    ``onset`` and ``offset`` are the first and last time at which the dipole's magnitude reaches
    ``level`` times its maximum; ``peak`` is the time of the maximum.
    """

    kernels: tuple[Kernel, ...]
    onset: float
    peak: float
    offset: float
    level: float

    @property
    def duration(self) -> float:
        """Length in ms."""
        return self.offset - self.onset


def _values(kernels: tuple[Kernel, ...], times: FloatArray) -> FloatArray:
    """``float64[3, time]`` of kernels at times in ms."""
    centres = np.array([k.centre for k in kernels])
    widths = np.array([k.width for k in kernels])
    vectors = np.array([k.vector for k in kernels])
    shapes = np.exp(-0.5 * ((times[None, :] - centres[:, None]) / widths[:, None]) ** 2)
    return np.asarray(vectors.T @ shapes)


def wave(kernels: tuple[Kernel, ...], level: float) -> Wave:
    """Build a wave with its borders at ``level`` of the peak magnitude (resolution 0.5 ms)."""
    size = np.linalg.norm(_values(kernels, _GRID_MS), axis=0)
    above = np.flatnonzero(size >= level * size.max())
    onset, offset = _GRID_MS[above[0]], _GRID_MS[above[-1]]
    return Wave(kernels, float(onset), float(_GRID_MS[size.argmax()]), float(offset), level)


def scaled(
    kernels: tuple[Kernel, ...], gains: float | tuple[float, float, float]
) -> tuple[Kernel, ...]:
    """Kernels multiplied by one gain, or by one gain per axis."""
    a, b, c = gains if isinstance(gains, tuple) else (gains, gains, gains)
    return tuple(
        replace(k, vector=(x * a, y * b, z * c)) for k in kernels for x, y, z in [k.vector]
    )


def rotated(kernels: tuple[Kernel, ...], degrees: float) -> tuple[Kernel, ...]:
    """Kernels rotated in the frontal plane; positive = clockwise (towards the feet)."""
    angle = np.radians(degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return tuple(
        replace(k, vector=(cos * x - sin * y, sin * x + cos * y, z))
        for k in kernels
        for x, y, z in [k.vector]
    )


def add_wave(
    dipole: FloatArray,
    fs: float,
    kernels: tuple[Kernel, ...],
    anchor_ms: float,
    at_sec: float,
    stretch: float,
) -> None:
    """Add kernels to ``dipole`` (``float64[3, sample]``, mV) in place.

    ``anchor_ms`` on the kernels' time axis is placed at ``at_sec``; times are stretched about it.
    """
    for kernel in kernels:
        centre = at_sec + (kernel.centre - anchor_ms) * stretch / 1000.0
        width = kernel.width * stretch / 1000.0
        first = max(int(np.ceil((centre - 5.0 * width) * fs)), 0)
        stop = min(int(np.floor((centre + 5.0 * width) * fs)) + 1, dipole.shape[1])
        if first >= stop:
            continue
        shape = np.exp(-0.5 * ((np.arange(first, stop) / fs - centre) / width) ** 2)
        dipole[:, first:stop] += np.asarray(kernel.vector)[:, None] * shape


INDEPENDENT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads that are measured; III, aVR, aVL and aVF follow from I and II."""

DOWER: FloatArray = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""``float64[8, 3]``: lead vectors of :data:`INDEPENDENT_LEADS`.

Dower GE, Machado HB, Osborne JA. On deriving the electrocardiogram from vectorcardiographic leads.
Clin Cardiol 1980;3:87-95. Its pseudo-inverse was published by Edenbrandt and Pahlm (1988).
"""

ELECTRODES: tuple[str, ...] = ("RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6")
"""Electrodes whose noise enters the leads (the right leg is the ground)."""


def electrode_leads(potentials: FloatArray) -> FloatArray:
    """Independent leads ``float64[8, sample]`` from electrode potentials ``float64[9, sample]``.

    I = LA - RA, II = LL - RA; chest leads are measured against Wilson's central terminal
    (RA + LA + LL) / 3, so noise at one limb electrode reaches every chest lead.
    """
    right, left, foot = potentials[:3]
    wilson = (right + left + foot) / 3.0
    return np.concatenate([[left - right, foot - right], potentials[3:] - wilson])


def twelve_leads(independent: FloatArray) -> FloatArray:
    """``float64[12, sample]`` in standard order from the independent leads ``float64[8, sample]``.

    III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 (Einthoven, Goldberger).
    """
    one, two = independent[0], independent[1]
    limb = [one, two, two - one, -(one + two) / 2.0, one - two / 2.0, two - one / 2.0]
    out = np.concatenate([np.stack(limb), independent[2:]])
    if len(out) != len(STANDARD_LEADS):
        raise ValueError(f"eight independent leads expected, {len(independent)} given")
    return out


def displaced(shift: float, gains: FloatArray) -> FloatArray:
    """Lead vectors ``float64[8, 3]`` of one person, with displaced and rescaled chest electrodes.

    Parameters
    ----------
    shift
        Displacement of the chest electrodes along their row, in electrode spacings, within +-0.5.
    gains
        ``float64[6]``: factor on each chest lead (distance from the heart).
    """
    chest = DOWER[2:]
    ahead = np.concatenate([chest[1:], chest[-1:]])
    behind = np.concatenate([chest[:1], chest[:-1]])
    neighbour = ahead if shift > 0 else behind
    moved = (1.0 - abs(shift)) * chest + abs(shift) * neighbour
    return np.concatenate([DOWER[:2], moved * gains[:, None]])


def frontal_axis_deg(vector: FloatArray) -> float:
    """Electrical axis, degrees, of a dipole vector ``float64[3]``.

    Computed from the net deflections in I and aVF, where aVF is multiplied by 2 / sqrt(3) because
    the augmented leads have shorter lead vectors (Surawicz B et al., AHA/ACCF/HRS recommendations
    III, 2009).
    """
    one, two = DOWER[:2] @ vector
    return float(np.degrees(np.arctan2((two - one / 2.0) * 2.0 / np.sqrt(3.0), one)))
