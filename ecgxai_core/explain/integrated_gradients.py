"""Integrated gradients (Sundararajan et al., ICML 2017)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import Differentiable, differentiable
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.games.baselines import baseline_signal
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["INTEGRATED_GRADIENTS", "explain_integrated_gradients", "masked_record"]

COMPLETE = 0.01
"""Completeness gap up to which a map counts as complete."""

MAX_STEPS = 1024
"""Doubling never goes beyond so many points."""

TINY = 1e-9


def masked_record(task: Task, baseline: str) -> Float32Array:
    """``float32[sample, lead]``: the model input with every cell from a baseline.

    Padding stays as it is, so this is the empty coalition of the games.
    """
    start, stop = int(task.segmentation.edges[0]), int(task.segmentation.edges[-1])
    signal = np.array(task.model_input.values)
    signal[start:stop] = baseline_signal(baseline, task.model_input, task.segmentation)[start:stop]
    return signal


def explain_integrated_gradients(task: Task) -> Explanation:
    """(x - b) times the mean gradient on the straight path from the masked record b to x.

    Equation 1 of the paper by Gauss-Legendre quadrature. The number of points doubles until the
    weights add up to value(x) - value(b) within 1 % (completeness, proposition 1), or twice as many
    would be more than 1024 (from 50 on it ends at 800); ``converged`` says which.
    """
    values = differentiable(task)
    start = masked_record(task, task.params.baseline)
    difference = task.model_input.values - start
    ends, _ = values.gradients(np.stack([task.model_input.values, start]))
    worth, steps, passes = float(ends[0] - ends[1]), task.params.ig_steps, 2
    while True:
        mean = _mean_gradient(task, values, start, difference, steps)
        passes += steps
        weights = cell_sums(difference * mean, task)
        gap = abs(float(weights.sum()) - worth) / max(abs(worth), TINY)
        if gap <= COMPLETE or 2 * steps > max(MAX_STEPS, task.params.ig_steps):
            break
        steps *= 2
    return dense(
        weights,
        steps=steps,
        gradient_passes=passes,
        value=float(ends[0]),
        baseline_value=float(ends[1]),
        completeness_gap=gap,
        converged=gap <= COMPLETE,
    )


def _mean_gradient(
    task: Task,
    values: Differentiable,
    start: Float32Array,
    difference: Float32Array,
    steps: int,
) -> FloatArray:
    """``float64[sample, lead]``: the integral of the gradient over the path's parameter."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    total = np.zeros(start.shape)
    for begin in range(0, steps, values.batch_size):
        part = slice(begin, begin + values.batch_size)
        share = nodes[part].astype(np.float32)[:, None, None]
        _, gradient = values.gradients(start + share * difference)
        total += np.tensordot(weights[part], gradient.astype(np.float64), axes=1)
        task.report(min(begin + values.batch_size, steps), steps, "gradients on the path")
    return total


INTEGRATED_GRADIENTS = Method(
    name="integrated_gradients",
    title="Integrated gradients",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "baseline", "link", "ig_steps"),
    description="gradients along the way from the masked to the whole record; they add up",
    run=explain_integrated_gradients,
)
