"""Two simulated populations that share no seed and no parameter value.

A model that was trained on simulated records must not be evaluated on the same ones. Every seed is
derived from the population's name, so the random numbers differ. Every continuous parameter is
divided into bands of fixed width (:data:`BANDS`), the same for all mechanisms: even bands belong to
``training``, odd bands to ``demonstration``, and a margin at the edges of each band to neither.
Both populations therefore cover the whole clinical range while no parameter value can occur in
both. Discrete choices (territory, origin of an ectopic beat, sex) are shared, and so may be values
derived from drawn ones, such as the ventricular rate in flutter.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecgxai_core.errors import ParameterError

__all__ = ["BANDS", "POPULATIONS", "Draw", "Population", "intervals"]

Population = Literal["demonstration", "training"]
POPULATIONS: tuple[Population, ...] = ("demonstration", "training")

MARGIN = 0.05
"""Fraction of a band, at each of its edges, that belongs to neither population."""

BANDS: dict[str, float] = {
    "heart_rate": 1.5, "rr_sd": 0.002, "lf_hf": 0.1, "respiration_hz": 0.01,
    "respiration_gain": 0.004, "respiration_deg": 0.3, "sinus_arrhythmia": 0.01,
    "rr_cv": 0.01, "pr": 0.004, "p_duration": 0.003, "qrs": 0.002, "qtc": 0.004,
    "axis": 5.0, "turn": 2.0, "t_turn": 4.0, "qrs_gain": 0.03, "qrs_depth": 0.04, "t_gain": 0.05,
    "p_gain": 0.05, "electrode_shift": 0.03, "age": 2.0,
    "atrial_rate": 5.0, "atrial_gain": 0.05, "coupling": 0.01, "pause": 0.01,
    "ectopic_rate": 0.02, "ectopic_qrs": 0.002, "ectopic_gain": 0.05, "ectopic_p_gain": 0.05,
    "terminal_gain": 0.05, "spike": 0.05, "spike_lead_ms": 1.0, "hypertrophy": 0.04,
    "strain": 0.05, "low_voltage": 0.01, "st": 0.01, "t_wave": 0.04, "q_gain": 0.04,
    "mark_mv": 0.01, "mark_sec": 0.004,
    "wander_mv": 0.002, "mains_uv": 0.2, "muscle_uv": 0.2, "electrode_uv": 0.2,
}  # fmt: skip
"""Width of the bands of each parameter, in its own unit (s, Hz, degrees, mV, uV or a factor)."""


def intervals(
    name: str, low: float, high: float, population: Population
) -> tuple[tuple[float, float], ...]:
    """Intervals of a parameter within ``[low, high]`` that belong to a population."""
    width = BANDS[name]
    parity = POPULATIONS.index(population) ^ 1  # training even, demonstration odd
    found = []
    for band in range(int(np.floor(low / width)), int(np.floor(high / width)) + 1):
        start = max(low, (band + MARGIN) * width)
        stop = min(high, (band + 1 - MARGIN) * width)
        if band % 2 == parity and stop > start:
            found.append((start, stop))
    if not found:
        raise ValueError(f"[{low}, {high}] of {name} holds no band of {population}")
    return tuple(found)


class Draw:
    """Draws the parameters of one record and keeps them in ``values``."""

    def __init__(self, population: Population, rng: np.random.Generator) -> None:
        if population not in POPULATIONS:
            known = " or ".join(POPULATIONS)
            raise ParameterError("population", population, "no such population", f"use {known}")
        self.population = population
        self.rng = rng
        self.values: dict[str, float | str] = {}

    def __call__(self, name: str, low: float, high: float) -> float:
        """Draw ``name`` in ``[low, high]``, uniformly over this population's intervals."""
        bands = np.array(intervals(name, low, high, self.population))
        lengths = np.diff(bands, axis=1)[:, 0]
        place = self.rng.random() * lengths.sum()
        index = min(int(np.searchsorted(np.cumsum(lengths), place)), len(bands) - 1)
        value = float(bands[index, 1] - (np.cumsum(lengths)[index] - place))
        value = float(np.clip(value, bands[index, 0], bands[index, 1]))
        self.values[name] = value
        return value

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """Draw one of ``options`` with equal probability."""
        value = options[int(self.rng.integers(len(options)))]
        self.values[name] = value
        return value
