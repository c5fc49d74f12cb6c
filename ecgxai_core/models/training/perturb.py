"""Random changes of training signals: crops, gain, noise, wander, time warp, cut-out, lead dropout.

Each takes and returns ``float32[record, sample, lead]`` in mV and draws from the generator it is
given, which the caller seeds per batch; so a batch is the same whatever ran before it.
"""

from __future__ import annotations

import numpy as np

from ecgxai_core.models.training.config import AugmentParams
from ecgxai_core.types import Float32Array

__all__ = ["crop", "perturb"]

Generator = np.random.Generator


def crop(signals: Float32Array, length: int, rng: Generator) -> Float32Array:
    """A window of ``length`` samples at a random place of each record."""
    n, samples, _ = signals.shape
    if length >= samples:
        return signals
    starts = rng.integers(0, samples - length + 1, n)
    return np.stack([signals[i, start : start + length] for i, start in enumerate(starts)])


def perturb(
    signals: Float32Array, fs: float, params: AugmentParams, rng: Generator
) -> Float32Array:
    """All changes that ``params`` switches on, in a fixed order."""
    out = np.array(signals, np.float32)
    if params.warp_sd:
        out = _warped(out, params.warp_sd, rng)
    out *= _gains(out.shape, params, rng)
    if params.wander_mv:
        out += _wander(out.shape, fs, params.wander_mv, rng)
    if params.jitter_mv:
        levels = rng.uniform(0, params.jitter_mv, (len(out), 1, 1)).astype(np.float32)
        out += levels * rng.standard_normal(out.shape, dtype=np.float32)
    if params.cutout:
        _cut_out(out, params, rng)
    if params.lead_dropout:
        out *= rng.random((len(out), 1, out.shape[2])) >= params.lead_dropout
    return out


def _gains(shape: tuple[int, ...], params: AugmentParams, rng: Generator) -> Float32Array:
    """``float32[record, 1, lead]``: log-normal gains of records and leads."""
    logs = params.gain_sd * rng.standard_normal((shape[0], 1, 1))
    logs = logs + params.lead_gain_sd * rng.standard_normal((shape[0], 1, shape[2]))
    return np.exp(logs).astype(np.float32)


def _wander(shape: tuple[int, ...], fs: float, largest_mv: float, rng: Generator) -> Float32Array:
    """Baseline wander: one sine of 0.05-0.5 Hz a record, of its own size in each lead."""
    n, samples, leads = shape
    cycles = rng.uniform(0.05, 0.5, (n, 1)) * np.arange(samples) / fs + rng.random((n, 1))
    wave = np.sin(2 * np.pi * cycles).astype(np.float32)
    size = rng.uniform(-largest_mv, largest_mv, (n, 1, leads)) * rng.random((n, 1, 1))
    return np.asarray(wave[:, :, None] * size.astype(np.float32))


def _warped(signals: Float32Array, sd: float, rng: Generator) -> Float32Array:
    """Time stretched about the middle by a log-normal factor; linear interpolation."""
    n, samples, _ = signals.shape
    factor = np.exp(sd * rng.standard_normal((n, 1)))
    middle = (samples - 1) / 2
    place = np.clip(middle + (np.arange(samples) - middle) * factor, 0, samples - 1)
    low = np.minimum(place.astype(np.int64), samples - 2)
    share = (place - low).astype(np.float32)[:, :, None]
    rows = np.arange(n)[:, None]
    return np.asarray(signals[rows, low] * (1 - share) + signals[rows, low + 1] * share)


def _cut_out(signals: Float32Array, params: AugmentParams, rng: Generator) -> None:
    """Zero one window in a random half of the leads of some records, in place."""
    n, samples, leads = signals.shape
    chosen = rng.random(n) < params.cutout
    lengths = (rng.random(n) * params.cutout_share * samples).astype(np.int64)
    starts = (rng.random(n) * (samples - lengths)).astype(np.int64)
    hit = rng.random((n, leads)) < 0.5
    for i in np.flatnonzero(chosen):
        signals[i, starts[i] : starts[i] + lengths[i], hit[i]] = 0
