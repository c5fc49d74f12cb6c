"""Attention read-out: the weights with which a network says where it looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import keras_classifier
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["ATTENTION", "attention_map", "explain_attention"]


def explain_attention(task: Task) -> Explanation:
    """Temporal attention of each lead times the lead's attention, summed over each cell.

    The weights are shares (they sum to 1 where both attentions do). They are the same for every
    target, cannot be negative, and say where features are taken from, not what they do to the
    prediction (Jain & Wallace, NAACL 2019): a map to look at beside others.

    Raises
    ------
    ExplanationError
        The model has no attention outputs, their shape is unknown, or ``against`` is asked for.
    """
    if task.params.against is not None:
        raise ExplanationError(
            task.record.name,
            "against",
            "attention is the same for every class: no evidence for one against another",
            "use a gradient method, occlusion, lime or timeshap",
        )
    outputs = keras_classifier(task).attention(task.model_input.values[None])
    if not outputs:
        raise ExplanationError(
            task.record.name,
            "attention",
            "the manifest of this model names no attention outputs",
            "use another method, or a model that returns its attention",
        )
    n_samples, n_leads = task.model_input.values.shape
    samples, used = attention_map(outputs, n_samples, n_leads)
    if not used:
        shapes = ", ".join(f"{name} {list(value.shape[1:])}" for name, value in outputs.items())
        raise ExplanationError(
            task.record.name,
            "attention",
            f"cannot tell times and leads in {shapes}",
            "return [moment, lead], [moment] or [lead]",
        )
    task.report(1, 1, "attention")
    facts: dict[str, Any] = {
        "outputs": used,
        "target_independent": True,
        "lead_axis": any("lead" in axes for axes in used.values()),
        "time_axis": any("moment" in axes for axes in used.values()),
        "link": None,
    }
    return dense(cell_sums(samples, task), **facts)


def attention_map(
    outputs: Mapping[str, Float32Array], n_samples: int, n_leads: int
) -> tuple[FloatArray, dict[str, list[str]]]:
    """The product of all attentions of one record, on its samples.

    Parameters
    ----------
    outputs
        Attention outputs of one record, ``float32[1, ...]`` each: ``[moment, lead]``, ``[lead]``
        or ``[moment]``. A moment's share is spread evenly over its part of the record; without any
        attention to leads (or moments) all get the same.

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
    """``float64[sample, lead]``: a moment's share, evenly over the samples that it stands for.

    Moments that share a sample (their borders lie inside it) give it their parts.
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
    description="where the network says that it looks; the same for every target",
    run=explain_attention,
)
