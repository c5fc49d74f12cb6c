"""Grad-CAM and Grad-CAM++ along time.

Selvaraju et al., ICCV 2017; Chattopadhay et al., WACV 2018. After a convolution over time the leads
are mixed: the map is one curve, the same for all leads. Only where a network keeps its leads apart
(two-dimensional convolutions one lead wide) the map has a lead axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explain.cells import cell_sums, dense, stretched
from ecgxai_core.explain.differentiable import differentiable
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.types import FloatArray

__all__ = [
    "GRAD_CAM",
    "GRAD_CAM_PP",
    "cam",
    "cam_pp",
    "explain_grad_cam",
    "explain_grad_cam_pp",
    "find_layer",
]

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


def explain_grad_cam(task: Task) -> Explanation:
    """Grad-CAM (see :func:`cam`)."""
    return _explain(task, cam)


def explain_grad_cam_pp(task: Task) -> Explanation:
    """Grad-CAM++ (see :func:`cam_pp`)."""
    return _explain(task, cam_pp)


def _explain(task: Task, rule: Callable[[FloatArray, FloatArray], FloatArray]) -> Explanation:
    """A class activation map, stretched to the samples.

    A cell's weight is the mean of the map over its samples times their number, divided by the
    number of leads where the map is the same for all of them: the map's mass is kept.
    """
    values = differentiable(task)
    layer, tensor = find_layer(values.classifier, task.params.cam_layer, task.record.name)
    output, gradient = values.layer_gradients(task.model_input.values[None], tensor)
    n_samples, n_leads = task.model_input.values.shape
    by_lead = output.ndim == 4
    _check_shape(task, layer, output.shape, values.classifier)
    n_features = output.shape[-1]
    found = rule(output[0].reshape(-1, n_features), gradient[0].reshape(-1, n_features))
    curve = stretched(found.reshape(output.shape[1], -1), n_samples)
    task.report(1, 1, "class activation map")
    samples = curve if by_lead else np.repeat(curve / n_leads, n_leads, axis=1)
    return dense(
        cell_sums(samples, task),
        layer=layer,
        moments=int(output.shape[1]),
        lead_axis=by_lead,
        gradient_passes=1,
    )


def find_layer(classifier: KerasClassifier, name: str | None, where: str) -> tuple[str, Any]:
    """A layer's name and output tensor.

    Without a name: the last convolution with what belongs to it (normalisation, the sum of a
    residual block, activation), because the convolution's own output has an arbitrary zero where a
    normalisation follows. With a name: exactly that layer's output.

    Raises
    ------
    ExplanationError
        No such layer, or no convolution.
    """
    model = classifier.keras_model
    layers = {layer.name: layer for layer in model.layers}
    if name is not None:
        if name not in layers:
            known = ", ".join(n for n, layer in layers.items() if _is_convolution(layer))
            raise ExplanationError(
                where, "cam_layer", f"the model has no layer {name!r}", f"convolutions: {known}"
            )
        return name, layers[name].output
    convolutions = [layer for layer in model.layers if _is_convolution(layer)]
    if not convolutions:
        raise ExplanationError(
            where, "model", "has no convolution that Grad-CAM could look at", "use another method"
        )
    layer = convolutions[-1]
    for later in model.layers[model.layers.index(layer) + 1 :]:
        if (
            not _is_activated(layer)
            and _kind(later) in BEFORE | ACTIVATIONS
            and _takes(later, layer)
        ):
            layer = later
    return str(layer.name), layer.output


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _is_convolution(layer: Any) -> bool:
    return _kind(layer) in CONVOLUTIONS


def _is_activated(layer: Any) -> bool:
    """Whether an activation is the last thing that a layer does."""
    own = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return _kind(layer) in ACTIVATIONS or own != "linear"


def _takes(layer: Any, source: Any) -> bool:
    """Whether a layer takes another's output."""
    return any(
        tensor._keras_history.operation is source
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    )


def _check_shape(
    task: Task, layer: str, shape: tuple[int, ...], classifier: KerasClassifier
) -> None:
    """``[moment, feature]``, or ``[moment, lead, feature]`` of a network that keeps leads apart."""
    if len(shape) == 3 and shape[1] > 1:
        return
    wide = [
        other.name
        for other in classifier.keras_model.layers
        if _kind(other) == "Conv2D" and other.kernel_size[1] != 1
    ]
    if len(shape) == 4 and shape[2] == len(task.leads) and not wide:
        return
    raise ExplanationError(
        task.record.name,
        "cam_layer",
        f"layer {layer!r} gives {list(shape[1:])}, which is no course over time",
        "name a convolution over time",
    )


_USES = ("segments", "window_sec", "link", "cam_layer")

GRAD_CAM = Method(
    name="grad_cam",
    title="Grad-CAM",
    family="gradient",
    signed=False,
    uses=_USES,
    description="when the last convolution's features speak for the target; the same for all leads",
    run=explain_grad_cam,
)

GRAD_CAM_PP = Method(
    name="grad_cam_pp",
    title="Grad-CAM++",
    family="gradient",
    signed=False,
    uses=_USES,
    description="Grad-CAM with weights that see several occurrences of one feature",
    run=explain_grad_cam_pp,
)
