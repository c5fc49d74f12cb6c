"""Simulated 12-lead ECGs with planted mechanisms and a known truth. Not of any patient."""

from __future__ import annotations

from ecgxai_core.simulate.dataset import read_truth, write_set
from ecgxai_core.simulate.mechanisms import Mechanism, mechanism, mechanisms
from ecgxai_core.simulate.noise import Noise
from ecgxai_core.simulate.populations import POPULATIONS, Population
from ecgxai_core.simulate.simulation import CYCLE, Simulation, simulate, simulate_set
from ecgxai_core.simulate.truth import Interval, Truth, Waves

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
