"""Classifiers whose every value is known on paper; for tests of games and explanations only."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ecgxai_core.models.manifest import Manifest
from ecgxai_core.types import STANDARD_LEADS, Float32Array, FloatArray, ModelInput, Record

TARGET, OTHER = "164889003", "426783006"
FS = 100.0


def manifest(leads: tuple[str, ...] = STANDARD_LEADS, samples: int = 500) -> Manifest:
    """100 Hz, mV, zero-padded at the end."""
    return Manifest(
        classes=(OTHER, TARGET),
        fs=FS,
        samples=samples,
        leads=leads,
        units="mV",
        pad="end_zero",
        crop="start",
        output="probability",
        source="analytic, for tests",
        sha256="0" * 64,
    )


def record(seconds: float = 5.0, seed: int = 0, name: str = "R") -> Record:
    """Noise of about 1 mV in all 12 leads."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0.3, 1.0, (12, round(seconds * FS))).astype(np.float32)
    return Record(name=name, signal=signal, fs=FS, leads=STANDARD_LEADS)


def model_input(
    samples: int = 500,
    valid: tuple[int, int] | None = None,
    leads: tuple[str, ...] = STANDARD_LEADS,
    seed: int = 0,
) -> ModelInput:
    """Noise with zeros where nothing is valid; 0 mV lies at 0.25."""
    first, stop = valid or (0, samples)
    rng = np.random.default_rng(seed)
    values = np.zeros((samples, len(leads)), np.float32)
    values[first:stop] = rng.normal(0.3, 1.0, (stop - first, len(leads)))
    zero = np.full(len(leads), 0.25, np.float32)
    return ModelInput(values, zero, FS, 0.0, (first, stop), leads, "0" * 64)


@dataclass
class Analytic:
    """``score`` maps ``float64[n, sample, lead]`` (columns in standard lead order) to the logit."""

    score: Callable[[FloatArray], FloatArray]
    manifest: Manifest = field(default_factory=manifest)
    digest: str = "a" * 64
    rows: int = 0
    calls: int = 0
    seen: list[Float32Array] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.classes

    def predict(self, values: Float32Array) -> Float32Array:
        self.rows += len(values)
        self.calls += 1
        self.seen.append(values)
        order = [self.manifest.leads.index(x) for x in STANDARD_LEADS if x in self.manifest.leads]
        logit = np.array([self.score(row[None, :, order].astype(np.float64))[0] for row in values])
        probability = 1.0 / (1.0 + np.exp(-logit))
        return np.stack([1.0 - probability, probability], axis=1).astype(np.float32)


def cell_energy(values: FloatArray, edges: list[int]) -> FloatArray:
    """``float64[n, lead, segment]``: mean square of each cell (0 for a cell of zeros)."""
    parts = [(values[:, a:b] ** 2).mean(axis=1) for a, b in itertools.pairwise(edges)]
    return np.stack(parts, axis=2)
