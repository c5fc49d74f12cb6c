"""SmoothGrad: the gradient averaged over noisy copies (Smilkov et al., arXiv:1706.03825)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import differentiable
from ecgxai_core.explain.method import Explanation, Method, Task

__all__ = ["SMOOTHGRAD", "explain_smoothgrad"]


def explain_smoothgrad(task: Task) -> Explanation:
    """|mean gradient over noisy copies|, summed over each cell.

    The noise is white, with ``noise_level`` times each lead's own standard deviation over what the
    model sees. (The paper takes 10 to 20 % of the range of values; the range of an ECG is that of
    its R peaks, and such noise would bury the other waves.) Padding gets no noise.
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
        total += gradient.sum(axis=0, dtype=np.float64)
        task.report(begin + count, params.n_noise, "gradients of noisy copies")
    mean = np.abs(total / params.n_noise)
    return dense(cell_sums(mean, task), gradient_passes=params.n_noise)


SMOOTHGRAD = Method(
    name="smoothgrad",
    title="SmoothGrad",
    family="gradient",
    signed=False,
    uses=("segments", "window_sec", "link", "n_noise", "noise_level", "seed"),
    description="size of the gradient, averaged over noisy copies of the record",
    run=explain_smoothgrad,
)
