"""Gradient methods on the samples: saliency, input x gradient, SmoothGrad, integrated gradients.

With ``lead_group=independent`` gradients are those with respect to I, II and V1 to V6, from which
the other leads follow (:func:`ecgxai_core.games.leads.folded`).
"""

from __future__ import annotations

from typing import cast

import numpy as np

from ecgxai_core.explainers.cost import gradient_cost
from ecgxai_core.explainers.differentiable import Differentiable, differentiable
from ecgxai_core.explainers.method import Explanation, Method, Task, cell_sums, dense
from ecgxai_core.games.baselines import masked_input
from ecgxai_core.games.leads import follow_limbs
from ecgxai_core.stopping import GRADIENT_PASSES
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["INPUT_X_GRADIENT", "INTEGRATED_GRADIENTS", "SALIENCY", "SMOOTHGRAD"]


def explain_saliency(task: Task) -> Explanation:
    """|d value / d sample|, value per model unit, summed over each cell (Simonyan et al.,
    arXiv:1312.6034).

    It says where a small change matters, not what the record's own waves contribute.
    """
    _, gradient = differentiable(task).gradients(task.model_input.values[None])
    task.report(1, 1, "gradient")
    return dense(task, cell_sums(np.abs(gradient[0]), task), gradient_passes=1)


SALIENCY = Method(
    name="saliency",
    title="Saliency",
    family="gradient",
    signed=False,
    uses=("segments", "window_sec", "link", "lead_group"),
    description="size of the gradient: where a small change of the signal changes the prediction",
    run=explain_saliency,
    cost=gradient_cost,
)


def explain_input_x_gradient(task: Task) -> Explanation:
    """(sample - 0 mV) x gradient, summed over each cell (Shrikumar et al., arXiv:1605.01713).

    The signal is counted from 0 mV in units of the model input, so a normalised input gives the
    same map as one in mV. For a linear model the weight is exactly what a cell adds to the value at
    0 mV.
    """
    given = task.model_input
    _, gradient = differentiable(task).gradients(given.values[None])
    task.report(1, 1, "gradient")
    return dense(
        task, cell_sums((given.values - given.zero) * gradient[0], task), gradient_passes=1
    )


INPUT_X_GRADIENT = Method(
    name="input_x_gradient",
    title="Input x gradient",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "link", "lead_group"),
    description="signal times gradient: the first-order share of every cell in the prediction",
    run=explain_input_x_gradient,
    cost=gradient_cost,
)


def explain_smoothgrad(task: Task) -> Explanation:
    """|mean gradient over noisy copies|, summed over each cell (Smilkov et al., arXiv:1706.03825).

    The noise is white; its standard deviation is ``noise_level`` times that of the lead over what
    the model sees. (The paper takes 10 to 20 % of the range of values. The range of an ECG is that
    of its R peaks, and such noise would swamp the other waves.) Padding gets no noise.
    """
    params, given = task.params, task.model_input
    values = differentiable(task)
    first, stop = given.valid
    size = params.noise_level * given.values[first:stop].std(axis=0, dtype=np.float64)
    rng = np.random.default_rng(task.seed("smoothgrad"))
    total = np.zeros(given.values.shape)
    for begin in range(0, params.n_noise, values.batch_size):
        count = min(values.batch_size, params.n_noise - begin)
        noisy = np.repeat(given.values[None], count, axis=0)
        noise = rng.standard_normal((count, stop - first, len(given.leads)))
        noisy[:, first:stop] += (noise * size).astype(np.float32)
        _, gradient = values.gradients(noisy)
        total += gradient.sum(axis=0)
        task.report(begin + count, params.n_noise, "gradients of noisy copies")
    mean = np.abs(total / params.n_noise)
    return dense(task, cell_sums(mean, task), gradient_passes=params.n_noise)


SMOOTHGRAD = Method(
    name="smoothgrad",
    title="SmoothGrad",
    family="gradient",
    signed=False,
    uses=("segments", "window_sec", "link", "lead_group", "n_noise", "noise_level", "seed"),
    description="size of the gradient, averaged over noisy copies of the record",
    run=explain_smoothgrad,
    cost=lambda params, _size: {"n_noise": GRADIENT_PASSES * params.n_noise},
)


COMPLETE = 0.01
"""Largest completeness gap of a map that counts as complete."""

MAX_STEPS = 1024
"""Points beyond which the number is not doubled."""

TINY = 1e-9


def explain_integrated_gradients(task: Task) -> Explanation:
    """(x - b) times the mean gradient on the straight path from the masked record b to x.

    Sundararajan et al., ICML 2017, equation 1, by Gauss-Legendre quadrature. The number of points
    doubles until the weights add up to value(x) - value(b) within 1 % (completeness, proposition 1;
    ``converged``), at most to :data:`MAX_STEPS`.
    """
    values = differentiable(task)
    start = _start(task)
    difference = task.model_input.values - start
    ends, _ = values.gradients(np.stack([task.model_input.values, start]))
    worth, steps, passes = float(ends[0] - ends[1]), task.params.ig_steps, 2
    while True:
        mean = _mean_gradient(task, values, start, difference, steps)
        passes += steps
        weights = cell_sums(difference * mean, task)
        gap = abs(float(weights.sum()) - worth) / max(abs(worth), TINY)
        found = dense(
            task,
            weights,
            worth,
            steps=steps,
            gradient_passes=passes,
            value=float(ends[0]),
            baseline_value=float(ends[1]),
            completeness_gap=gap,
            converged=gap <= COMPLETE,
        )
        if gap <= COMPLETE or 2 * steps > max(MAX_STEPS, task.params.ig_steps):
            return found
        task.show(found)
        steps *= 2


def _start(task: Task) -> Float32Array:
    """The masked record; derived leads follow I and II where these are the players."""
    start = masked_input(task.params.baseline, task.model_input, task.segmentation)
    if task.model.lead_group == "all":
        return start
    values = task.model_input.values
    (followed,) = follow_limbs(start[None], values, task.model_input.leads)
    return cast(Float32Array, followed)


def _mean_gradient(
    task: Task, values: Differentiable, start: Float32Array, difference: Float32Array, steps: int
) -> FloatArray:
    """``float64[sample, lead]``: the integral of the gradient over the path's parameter."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    total = np.zeros(start.shape)
    for begin in range(0, steps, values.batch_size):
        part = slice(begin, begin + values.batch_size)
        share = nodes[part].astype(np.float32)[:, None, None]
        _, gradient = values.gradients(start + share * difference)
        total += np.tensordot(weights[part], gradient, axes=1)
        task.report(min(begin + values.batch_size, steps), steps, "gradients on the path")
    return total


INTEGRATED_GRADIENTS = Method(
    name="integrated_gradients",
    title="Integrated gradients",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "baseline", "link", "lead_group", "ig_steps"),
    description="gradients on the path from the masked to the intact record; they add up",
    run=explain_integrated_gradients,
    # two rounds, which is where most maps are complete
    cost=lambda params, _size: {"ig_steps": GRADIENT_PASSES * (2 + 3 * params.ig_steps)},
    gap="completeness_gap",
)
