"""Simulated 12-lead ECGs with planted mechanisms and a known ground truth; no patient data."""

from __future__ import annotations

from ecgxai_core.simulation.dataset import read_truth, write_set
from ecgxai_core.simulation.mechanisms import Mechanism, mechanism, mechanisms
from ecgxai_core.simulation.noise import Noise
from ecgxai_core.simulation.populations import POPULATIONS, Population
from ecgxai_core.simulation.simulate import CYCLE, Simulation, simulate, simulate_set
from ecgxai_core.simulation.truth import Interval, Truth, Waves

__all__ = [
    "CYCLE",
    "POPULATIONS",
    "Interval",
    "Mechanism",
    "Noise",
    "Population",
    "Simulation",
    "Truth",
    "Waves",
    "mechanism",
    "mechanisms",
    "read_truth",
    "simulate",
    "simulate_set",
    "write_set",
]
