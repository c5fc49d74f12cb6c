"""Record order, batches and augmentation of an epoch, each a function of (seed, epoch, step) only.

This is what allows an interrupted run to resume at any step with an identical result. Signals are
``float32[record, sample, lead]`` in mV.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.config import AugmentParams, TrainParams
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray, content_seed

__all__ = ["TrainingBatches", "balanced_chances", "crop", "mixed", "perturb", "whole_records"]


def balanced_chances(truth: BoolArray) -> FloatArray:
    """Probability of drawing each record, ``float64[record]``, from its rarest class.

    It is proportional to 1 / sqrt(count of that class), which favours rare classes without
    repeating the same few records too often.
    """
    counts = np.maximum(truth.sum(axis=0), 1)
    rarest = np.where(truth, counts, len(truth)).min(axis=1, initial=len(truth))
    chances = 1 / np.sqrt(rarest)
    return np.asarray(chances / chances.sum())


@dataclass(frozen=True, slots=True)
class TrainingBatches:
    """Batches of one training run over ``rows`` of a data set.

    ``targets``, ``float32[record, class]``, are what is learned; the truth if not given.
    """

    arrays: EcgArrays
    rows: IntArray
    truth: BoolArray
    params: TrainParams
    targets: Float32Array | None = None

    @property
    def steps(self) -> int:
        """Steps per epoch; an incomplete last batch is dropped (the order changes every epoch)."""
        return max(1, len(self.rows) // self.params.optimiser.batch_size)

    def order(self, epoch: int) -> IntArray:
        """Positions in ``rows``, in the order of one epoch."""
        rng = np.random.default_rng(content_seed("epoch order", self.params.seed, epoch))
        n = len(self.rows)
        if self.params.data.sampler == "balanced":
            return rng.choice(n, n, p=balanced_chances(self.truth)).astype(np.int64)
        return rng.permutation(n).astype(np.int64)

    def length(self, epoch: int) -> int:
        """Length of the training windows in one epoch, samples."""
        samples = int(self.arrays.signals.shape[1])
        for length, epochs in self.params.data.crops:
            if epoch < epochs:
                return min(length, samples)
            epoch -= epochs
        return samples

    def batch(self, epoch: int, step: int, order: IntArray) -> tuple[Float32Array, Float32Array]:
        """Signals ``float32[batch, sample, lead]`` in mV and targets ``float32[batch, class]``."""
        size = self.params.optimiser.batch_size
        places = order[step * size : (step + 1) * size]
        rng = np.random.default_rng(content_seed("batch", self.params.seed, epoch, step))
        # Reading rows in file order is faster from a memory-mapped file.
        places = places[np.argsort(self.rows[places], kind="stable")]
        raw = np.asarray(self.arrays.signals[self.rows[places]])
        window = crop(raw.astype(np.float32) / np.float32(1000), self.length(epoch), rng)
        signals = perturb(window, self.arrays.fs, self.params.augment, rng)
        learned = self.truth if self.targets is None else self.targets
        return mixed(signals, learned[places].astype(np.float32), self.params.augment, rng)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Float32Array, Float32Array]]:
        """Batches of an epoch from ``first_step`` on, prefetched by ``tf.data``."""
        import tensorflow as tf

        order = self.order(epoch)

        def batches() -> Iterator[tuple[Float32Array, Float32Array]]:
            for step in range(first_step, self.steps):
                yield self.batch(epoch, step, order)

        leads, classes = int(self.arrays.signals.shape[2]), int(self.truth.shape[1])
        signature = (
            tf.TensorSpec((None, self.length(epoch), leads), tf.float32),
            tf.TensorSpec((None, classes), tf.float32),
        )
        data = tf.data.Dataset.from_generator(batches, output_signature=signature)
        return iter(data.prefetch(2))


def whole_records(arrays: EcgArrays, rows: IntArray, size: int) -> Iterator[Float32Array]:
    """Unaltered records in mV, in batches ``float32[<= size, sample, lead]``."""
    for start in range(0, len(rows), size):
        raw = np.asarray(arrays.signals[rows[start : start + size]])
        yield raw.astype(np.float32) / np.float32(1000)


Generator = np.random.Generator


def crop(signals: Float32Array, length: int, rng: Generator) -> Float32Array:
    """A window of ``length`` samples at a random position in each record."""
    n, samples, _ = signals.shape
    if length >= samples:
        return signals
    starts = rng.integers(0, samples - length + 1, n)
    return np.stack([signals[i, start : start + length] for i, start in enumerate(starts)])


def perturb(
    signals: Float32Array, fs: float, params: AugmentParams, rng: Generator
) -> Float32Array:
    """Apply all changes that ``params`` enables, in a fixed order."""
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


def mixed(
    signals: Float32Array, targets: Float32Array, params: AugmentParams, rng: Generator
) -> tuple[Float32Array, Float32Array]:
    """Mix each record of a batch with another one, and their targets in the same proportion.

    Mixup adds the signals (Zhang et al., ICLR 2018, arXiv:1710.09412), CutMix replaces a window of
    time (Yun et al., ICCV 2019, arXiv:1905.04899); both draw the share of the record itself from
    Beta(alpha, alpha). Where both are enabled, each batch is mixed in one of the two ways.
    """
    if not params.mixup and not params.cutmix:
        return signals, targets
    n, samples, _ = signals.shape
    cut = bool(params.cutmix) and (not params.mixup or rng.random() < 0.5)
    alpha = params.cutmix if cut else params.mixup
    own = np.asarray(rng.beta(alpha, alpha, n), np.float32)
    other = rng.permutation(n)
    if cut:
        lengths = np.rint((1 - own) * samples).astype(np.int64)
        starts = (rng.random(n) * (samples - lengths + 1)).astype(np.int64)
        time = np.arange(samples)
        taken = (time >= starts[:, None]) & (time < (starts + lengths)[:, None])
        out = np.where(taken[:, :, None], signals[other], signals)
        own = (1 - lengths / samples).astype(np.float32)
    else:
        out = own[:, None, None] * signals + (1 - own[:, None, None]) * signals[other]
    return out, own[:, None] * targets + (1 - own[:, None]) * targets[other]


def _gains(shape: tuple[int, ...], params: AugmentParams, rng: Generator) -> Float32Array:
    """Log-normal gains of records and leads, ``float32[record, 1, lead]``."""
    logs = params.gain_sd * rng.standard_normal((shape[0], 1, 1))
    logs = logs + params.lead_gain_sd * rng.standard_normal((shape[0], 1, shape[2]))
    return np.exp(logs).astype(np.float32)


def _wander(shape: tuple[int, ...], fs: float, largest_mv: float, rng: Generator) -> Float32Array:
    """Baseline wander: one sine of 0.05-0.5 Hz per record, with its own amplitude per lead."""
    n, samples, leads = shape
    cycles = rng.uniform(0.05, 0.5, (n, 1)) * np.arange(samples) / fs + rng.random((n, 1))
    wave = np.sin(2 * np.pi * cycles).astype(np.float32)
    size = rng.uniform(-largest_mv, largest_mv, (n, 1, leads)) * rng.random((n, 1, 1))
    return np.asarray(wave[:, :, None] * size.astype(np.float32))


def _warped(signals: Float32Array, sd: float, rng: Generator) -> Float32Array:
    """Stretch time about the middle by a log-normal factor, with linear interpolation."""
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
