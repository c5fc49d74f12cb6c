"""Input x gradient (Shrikumar et al., arXiv:1605.01713)."""

from __future__ import annotations

from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import differentiable
from ecgxai_core.explain.method import Explanation, Method, Task

__all__ = ["INPUT_X_GRADIENT", "explain_input_x_gradient"]


def explain_input_x_gradient(task: Task) -> Explanation:
    """(sample - 0 mV) x gradient, summed over each cell.

    The signal is taken from 0 mV as the model sees it, so a normalised input gives the same map as
    one in mV would. For a linear model it is exactly what each cell adds to the value at 0 mV.
    """
    given = task.model_input
    _, gradient = differentiable(task).gradients(given.values[None])
    task.report(1, 1, "gradient")
    return dense(cell_sums((given.values - given.zero) * gradient[0], task), gradient_passes=1)


INPUT_X_GRADIENT = Method(
    name="input_x_gradient",
    title="Input x gradient",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "link"),
    description="signal times gradient: the first-order share of every cell in the prediction",
    run=explain_input_x_gradient,
)
