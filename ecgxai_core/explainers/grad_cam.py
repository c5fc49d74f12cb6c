"""Grad-CAM and Grad-CAM++ along time.

Selvaraju et al., ICCV 2017; Chattopadhay et al., WACV 2018. A convolution over time mixes the
leads, so the map is one curve, the same for all leads. It has a lead axis only for networks that
keep leads apart (two-dimensional convolutions one lead wide).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers.cost import gradient_cost
from ecgxai_core.explainers.differentiable import differentiable
from ecgxai_core.explainers.method import Explanation, Method, Task, cell_sums, dense, stretched
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.types import FloatArray

__all__ = ["GRAD_CAM", "GRAD_CAM_PP", "cam_pp", "find_layer"]

CONVOLUTIONS = frozenset({"Conv1D", "DepthwiseConv1D", "SeparableConv1D", "Conv2D"})
BEFORE = frozenset({"BatchNormalization", "Add"})
ACTIVATIONS = frozenset({"ReLU", "LeakyReLU", "ELU", "PReLU", "Activation"})
"""Layers that belong to the convolution before them, up to its activation."""


def cam(features: FloatArray, gradient: FloatArray) -> FloatArray:
    """``float64[place]``: max(0, sum over k of a_k A_k), a_k the mean gradient (equations 1, 2).

    Parameters
    ----------
    features, gradient
        ``float64[place, feature]``: the layer's output A and the value's gradient there.
    """
    found: FloatArray = np.maximum(features @ gradient.mean(axis=0), 0.0)
    return found


def cam_pp(features: FloatArray, gradient: FloatArray) -> FloatArray:
    """``float64[place]``: as :func:`cam`, with a_k = sum over places of alpha max(0, g).

    alpha = g^2 / (2 g^2 + g^3 sum over places of A) (equation 19, for exp(value): its higher
    derivatives are powers of g, and its own factor is the same everywhere). Places where the
    denominator is 0 get no weight.
    """
    squared, cubed = gradient**2, gradient**3
    below = 2 * squared + cubed * features.sum(axis=0)
    alpha = np.divide(squared, below, out=np.zeros_like(below), where=below != 0)
    weight = (alpha * np.maximum(gradient, 0.0)).sum(axis=0)
    found: FloatArray = np.maximum(features @ weight, 0.0)
    return found


def _explain(task: Task, rule: Callable[[FloatArray, FloatArray], FloatArray]) -> Explanation:
    """A class activation map, stretched to the samples.

    A cell's weight is the mean of the map over its samples times their number, divided by the
    number of leads where the map is the same for all of them: the map's mass is kept.
    """
    values = differentiable(task)
    layer, tensor = find_layer(values.classifier, task.params.cam_layer, task.record.name)
    output, gradient = values.layer_gradients(task.model_input.values[None], tensor)
    n_samples, n_leads = task.model_input.values.shape
    by_lead = output.ndim == 4 and output.shape[2] > 1
    _check_shape(task, layer, output.shape, values.classifier)
    n_features = output.shape[-1]
    found = rule(output[0].reshape(-1, n_features), gradient[0].reshape(-1, n_features))
    curve = stretched(found.reshape(output.shape[1], -1), n_samples)
    task.report(1, 1, "class activation map")
    samples = curve if by_lead else np.repeat(curve / n_leads, n_leads, axis=1)
    return dense(
        task,
        cell_sums(samples, task),
        layer=layer,
        moments=int(output.shape[1]),
        lead_axis=by_lead,
        gradient_passes=1,
    )


def find_layer(classifier: KerasClassifier, name: str | None, where: str) -> tuple[str, Any]:
    """A layer's name and output tensor.

    Without a name: the last convolution with what belongs to it (normalisation, the sum of a
    residual block, activation), because the zero of the convolution's own output is arbitrary if a
    normalisation follows. With a name: exactly that layer's output.

    Raises
    ------
    ExplanationError
        No such layer, or no convolution.
    """
    if classifier.manifest.windows is not None:
        problem = "the network sees the record in windows, so no layer has one course over time"
        raise ExplanationError(where, "windows", problem, "use another method")
    model = classifier.keras_model
    layers = {layer.name: layer for layer in model.layers}
    if name is not None:
        if name not in layers:
            known = ", ".join(n for n, layer in layers.items() if _kind(layer) in CONVOLUTIONS)
            raise ExplanationError(
                where, "cam_layer", f"the model has no layer {name!r}", f"convolutions: {known}"
            )
        return name, layers[name].output
    convolutions = [layer for layer in model.layers if _kind(layer) in CONVOLUTIONS]
    if not convolutions:
        raise ExplanationError(
            where, "model", "has no convolution, which Grad-CAM needs", "use another method"
        )
    layer = convolutions[-1]
    for later in model.layers[model.layers.index(layer) + 1 :]:
        belongs = _kind(later) in BEFORE | ACTIVATIONS and _takes(later, layer)
        if belongs and not _is_activated(layer):
            layer = later
    return str(layer.name), layer.output


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _is_activated(layer: Any) -> bool:
    own = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return _kind(layer) in ACTIVATIONS or own != "linear"


def _takes(layer: Any, source: Any) -> bool:
    return any(
        tensor._keras_history.operation is source
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    )


def _check_shape(
    task: Task, layer: str, shape: tuple[int, ...], classifier: KerasClassifier
) -> None:
    """``[moment, feature]``, or ``[moment, lead, feature]`` of a network that keeps leads apart."""
    if len(shape) in (3, 4) and shape[1] > 1 and shape[2:-1] in ((), (1,)):
        return
    wide = [
        other.name
        for other in classifier.keras_model.layers
        if _kind(other) == "Conv2D" and other.kernel_size[1] != 1
    ]
    if len(shape) == 4 and shape[2] == len(task.leads) and not wide:
        return
    problem = f"layer {layer!r} gives {list(shape[1:])}, which has no time axis"
    raise ExplanationError(task.record.name, "cam_layer", problem, "name a convolution over time")


_USES = ("segments", "window_sec", "link", "cam_layer")

GRAD_CAM = Method(
    name="grad_cam",
    title="Grad-CAM",
    family="gradient",
    signed=False,
    uses=_USES,
    description="class activation over time, from the last convolution; the same for all leads",
    run=lambda task: _explain(task, cam),
    cost=gradient_cost,
)

GRAD_CAM_PP = Method(
    name="grad_cam_pp",
    title="Grad-CAM++",
    family="gradient",
    signed=False,
    uses=_USES,
    description="Grad-CAM with weights for features that occur several times",
    run=lambda task: _explain(task, cam_pp),
    cost=gradient_cost,
)
