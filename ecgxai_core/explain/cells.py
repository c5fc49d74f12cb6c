"""From what a method gives each sample to the weight of each cell, and back.

A weight belongs to its whole cell, as everywhere: signed values are summed, and of unsigned ones
the mean magnitude is multiplied by the number of samples, which is the sum of magnitudes. So the
density (weight per second) is the mean over the cell's samples times the sampling rate, and it does
not depend on how long the cell is. Padding lies in no cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgxai_core.explain.method import Explanation, Task
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["cell_sums", "dense", "spread_over_leads", "stretched"]


def cell_sums(samples: Float32Array | FloatArray, task: Task) -> FloatArray:
    """``float64[lead, segment]``: sums over the samples of each cell.

    Parameters
    ----------
    samples
        ``[sample, lead]`` in the model's lead order; take magnitudes before, where they count.
    """
    columns = [task.model_input.leads.index(lead) for lead in task.leads]
    edges = task.segmentation.edges
    inside = samples[edges[0] : edges[-1], columns].astype(np.float64)
    return np.asarray(np.add.reduceat(inside, edges[:-1] - edges[0], axis=0).T)


def spread_over_leads(by_segment: FloatArray, n_leads: int) -> FloatArray:
    """``float64[lead, segment]``: a value of all leads together, shared evenly among them."""
    return np.repeat(by_segment[None] / n_leads, n_leads, axis=0)


def stretched(values: FloatArray, samples: int) -> FloatArray:
    """``float64[sample, ...]``: values at ``n`` moments along time, linear between their middles.

    The moments are taken as equal parts of the input: exact for layers that keep or divide its
    length, off by up to the lost samples for convolutions without padding.
    """
    n_moments = len(values)
    if n_moments == samples:
        return values
    middle = (np.arange(samples) + 0.5) * n_moments / samples - 0.5
    low = np.clip(np.floor(middle).astype(np.int64), 0, n_moments - 1)
    high = np.minimum(low + 1, n_moments - 1)
    part = np.clip(middle - low, 0.0, 1.0).reshape((-1,) + (1,) * (values.ndim - 1))
    return np.asarray(values[low] * (1 - part) + values[high] * part)


def dense(weights: FloatArray, **facts: Any) -> Explanation:
    """An explanation of every cell; a segment's event value is the sum over its leads.

    ``facts`` are diagnostics.
    """
    return Explanation(
        weights=weights,
        explored=np.ones(weights.shape, dtype=np.bool_),
        event_values=weights.sum(axis=0),
        diagnostics=facts,
    )
