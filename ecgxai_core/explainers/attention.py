"""Attention: the weights that a network itself gives to times and leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers.cost import gradient_cost
from ecgxai_core.explainers.differentiable import keras_classifier
from ecgxai_core.explainers.method import Explanation, Method, Task, cell_sums, dense
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["ATTENTION", "attention_map"]


def explain_attention(task: Task) -> Explanation:
    """Temporal attention of each lead times the lead's attention, summed over each cell.

    The weights are shares (they sum to 1 if both attentions do), the same for every target and
    never negative. They show where features are taken from, not what they do to the prediction
    (Jain & Wallace, NAACL 2019).

    Raises
    ------
    ExplanationError
        The model has no attention outputs, their shape is unknown, or ``contrast`` is asked for.
    """
    if task.params.contrast is not None:
        problem = "attention is the same for every class, so it has no contrast"
        fix = "use a gradient method, occlusion, lime or timeshap"
        raise ExplanationError(task.record.name, "contrast", problem, fix)
    outputs = keras_classifier(task).attention(task.model_input.values[None])
    if not outputs:
        problem = "the manifest of this model names no attention outputs"
        fix = "use another method, or a model that returns its attention"
        raise ExplanationError(task.record.name, "attention", problem, fix)
    n_samples, n_leads = task.model_input.values.shape
    samples, used = attention_map(outputs, n_samples, n_leads)
    if not used:
        shapes = ", ".join(f"{name} {list(value.shape[1:])}" for name, value in outputs.items())
        problem = f"neither times nor leads are recognised in {shapes}"
        fix = "return [moment, lead], [moment] or [lead]"
        raise ExplanationError(task.record.name, "attention", problem, fix)
    task.report(1, 1, "attention")
    facts: dict[str, Any] = {
        "outputs": used,
        "target_independent": True,
        "lead_axis": any("lead" in axes for axes in used.values()),
        "time_axis": any("moment" in axes for axes in used.values()),
        "link": None,
    }
    return dense(task, cell_sums(samples, task), **facts)


def attention_map(
    outputs: Mapping[str, Float32Array], n_samples: int, n_leads: int
) -> tuple[FloatArray, dict[str, list[str]]]:
    """The product of all attentions of one record, on its samples.

    ``outputs`` are the attention outputs of one record, ``float32[1, ...]`` each: ``[moment,
    lead]``, ``[lead]`` or ``[moment]``. A moment's share is spread evenly over its part of the
    record; without attention to leads (or moments), all get the same.

    Returns
    -------
    ``float64[sample, lead]`` in the model's lead order, and the axes of each output that was used.
    """
    found = np.ones((n_samples, n_leads))
    used: dict[str, list[str]] = {}
    for name, value in outputs.items():
        array = value[0].astype(np.float64)
        if array.shape == (n_leads,):
            axes, factor = ["lead"], array[None, :]
        elif array.ndim == 1:
            axes, factor = ["moment"], _over_samples(array[:, None], n_samples)
        elif array.ndim == 2 and array.shape[1] == n_leads:
            axes, factor = ["moment", "lead"], _over_samples(array, n_samples)
        else:
            continue
        used[name] = axes
        found = found * factor
    known = {axis for axes in used.values() for axis in axes}
    found = found if "lead" in known else found / n_leads
    return (found if "moment" in known else found / n_samples), used


def _over_samples(by_moment: FloatArray, n_samples: int) -> FloatArray:
    """``float64[sample, lead]``: the share of each moment, spread evenly over its samples.

    A sample that two moments share gets a part of each.
    """
    n_moments = len(by_moment)
    borders = np.linspace(0, n_samples, n_moments + 1)
    total = np.concatenate([np.zeros((1, by_moment.shape[1])), np.cumsum(by_moment, axis=0)])
    steps = np.arange(n_samples + 1)
    columns = [np.interp(steps, borders, column) for column in total.T]
    return np.asarray(np.diff(np.stack(columns, axis=1), axis=0))


ATTENTION = Method(
    name="attention",
    title="Attention",
    family="attention",
    signed=False,
    uses=("segments", "window_sec"),
    description="attention weights of the network itself; the same for every target",
    run=explain_attention,
    cost=gradient_cost,
)
