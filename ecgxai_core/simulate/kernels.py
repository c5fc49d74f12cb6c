"""Waves of the dipole as sums of Gaussians, and where such a wave begins and ends.

McSharry PE et al., IEEE Trans Biomed Eng 2003;50:289-294 (one lead); Sameni R et al., EURASIP J Adv
Signal Process 2007:43407 (the dipole: Gaussians in x, y and z). Here the Gaussians of one wave
share their times in the three axes, so a kernel is a vector that rises and falls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.types import FloatArray

__all__ = ["Kernel", "Wave", "add_wave", "rotated", "scaled", "wave"]

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

    ``onset`` and ``offset`` are where the magnitude of the dipole first and last reaches ``level``
    times its peak, ``peak`` where it is largest.
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
    """A wave and its borders at ``level`` of the peak magnitude (resolution 0.5 ms)."""
    size = np.linalg.norm(_values(kernels, _GRID_MS), axis=0)
    above = np.flatnonzero(size >= level * size.max())
    onset, offset = _GRID_MS[above[0]], _GRID_MS[above[-1]]
    return Wave(kernels, float(onset), float(_GRID_MS[size.argmax()]), float(offset), level)


def scaled(kernels: tuple[Kernel, ...], gains: tuple[float, float, float]) -> tuple[Kernel, ...]:
    """Kernels with the three axes multiplied by ``gains``."""
    return tuple(
        replace(k, vector=(k.vector[0] * gains[0], k.vector[1] * gains[1], k.vector[2] * gains[2]))
        for k in kernels
    )


def rotated(kernels: tuple[Kernel, ...], degrees: float) -> tuple[Kernel, ...]:
    """Kernels turned in the frontal plane; positive turns the axis clockwise (towards the feet)."""
    angle = np.radians(degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return tuple(
        replace(
            k,
            vector=(
                cos * k.vector[0] - sin * k.vector[1],
                sin * k.vector[0] + cos * k.vector[1],
                k.vector[2],
            ),
        )
        for k in kernels
    )


def add_wave(
    dipole: FloatArray,
    fs: float,
    kernels: tuple[Kernel, ...],
    anchor_ms: float,
    at_sec: float,
    stretch: float,
    gain: float = 1.0,
) -> None:
    """Add kernels to ``dipole`` (``float64[3, sample]``, mV) in place.

    ``anchor_ms`` of the kernels' own axis falls on ``at_sec``; times are stretched about it.
    """
    for kernel in kernels:
        centre = at_sec + (kernel.centre - anchor_ms) * stretch / 1000.0
        width = kernel.width * stretch / 1000.0
        first = max(int(np.ceil((centre - 5.0 * width) * fs)), 0)
        stop = min(int(np.floor((centre + 5.0 * width) * fs)) + 1, dipole.shape[1])
        if first >= stop:
            continue
        shape = np.exp(-0.5 * ((np.arange(first, stop) / fs - centre) / width) ** 2)
        dipole[:, first:stop] += gain * np.asarray(kernel.vector)[:, None] * shape
