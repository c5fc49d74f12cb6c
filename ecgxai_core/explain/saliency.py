"""Saliency: how fast the value changes with each sample (Simonyan et al., arXiv:1312.6034)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import differentiable
from ecgxai_core.explain.method import Explanation, Method, Task

__all__ = ["SALIENCY", "explain_saliency"]


def explain_saliency(task: Task) -> Explanation:
    """|d value / d sample|, value per model unit, summed over each cell.

    It says where a small change matters, not what the record's own waves contribute.
    """
    _, gradient = differentiable(task).gradients(task.model_input.values[None])
    task.report(1, 1, "gradient")
    return dense(cell_sums(np.abs(gradient[0]), task), gradient_passes=1)


SALIENCY = Method(
    name="saliency",
    title="Saliency",
    family="gradient",
    signed=False,
    uses=("segments", "window_sec", "link"),
    description="size of the gradient: where a small change of the signal changes the prediction",
    run=explain_saliency,
)
