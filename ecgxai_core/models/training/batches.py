"""The order of records and the batches of an epoch, each a function of (seed, epoch, step) alone.

That is what lets a killed run go on at any step and end as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.models.training.arrays import EcgArrays
from ecgxai_core.models.training.config import TrainParams
from ecgxai_core.models.training.perturb import crop, perturb
from ecgxai_core.types import BoolArray, Float32Array, IntArray, content_seed

__all__ = ["TrainingBatches", "balanced_chances", "whole_records"]


def balanced_chances(truth: BoolArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """``float64[record]``: chance to draw each record, by the rarest class that it carries.

    The chance is proportional to 1 / sqrt(count of that class), which lifts rare classes without
    showing the same few records over and over.
    """
    counts = np.maximum(truth.sum(axis=0), 1)
    rarest = np.where(truth, counts, len(truth)).min(axis=1, initial=len(truth))
    chances = 1 / np.sqrt(rarest)
    return np.asarray(chances / chances.sum())


@dataclass(frozen=True, slots=True)
class TrainingBatches:
    """Batches of one training run over ``rows`` of a data set."""

    arrays: EcgArrays
    rows: IntArray
    truth: BoolArray
    params: TrainParams

    @property
    def steps(self) -> int:
        """Steps an epoch; the last incomplete batch is left out (another order next time)."""
        return max(1, len(self.rows) // self.params.optimiser.batch_size)

    def order(self, epoch: int) -> IntArray:
        """Places in ``rows`` in the order of one epoch."""
        rng = np.random.default_rng(content_seed("epoch order", self.params.seed, epoch))
        n = len(self.rows)
        if self.params.data.sampler == "balanced":
            return rng.choice(n, n, p=balanced_chances(self.truth)).astype(np.int64)
        return rng.permutation(n).astype(np.int64)

    def length(self, epoch: int) -> int:
        """Samples of the training windows in one epoch."""
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
        # Rows are read in file order, which a memory-mapped file on a disk thanks us for.
        by_file = np.argsort(self.rows[places], kind="stable")
        places = places[by_file]
        raw = np.asarray(self.arrays.signals[self.rows[places]])
        window = crop(raw.astype(np.float32) / np.float32(1000), self.length(epoch), rng)
        signals = perturb(window, self.arrays.fs, self.params.augment, rng)
        return signals, self.truth[places].astype(np.float32)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Float32Array, Float32Array]]:
        """Batches of an epoch from a step on, made ahead of need by ``tf.data``."""
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
    """Unchanged records in mV, ``float32[<= size, sample, lead]`` at a time."""
    for start in range(0, len(rows), size):
        raw = np.asarray(arrays.signals[rows[start : start + size]])
        yield raw.astype(np.float32) / np.float32(1000)
