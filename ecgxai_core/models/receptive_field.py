"""How much of a record one unit can see before a network averages over time.

A network of convolutions followed by pooling over all time cannot relate two events that lie
further apart than this, whatever it was trained for: seeing 80 ms, it cannot know RR intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["receptive_field"]

POINTWISE = frozenset(
    """
    Activation ELU LeakyReLU PReLU ReLU Dense BatchNormalization LayerNormalization
    RMSNormalization Normalization Rescaling Dropout AlphaDropout GaussianDropout GaussianNoise
    SpatialDropout1D ActivityRegularization Identity Masking ZeroPadding1D Cropping1D
    Add Average Concatenate Maximum Minimum Multiply Subtract
    Relu Sigmoid Silu Tanh Absolute Negative Square Sqrt Exp Log
    """.split()  # noqa: SIM905
)
WINDOWED = frozenset(
    {"Conv1D", "DepthwiseConv1D", "SeparableConv1D", "MaxPooling1D", "AveragePooling1D"}
)
GLOBAL = frozenset({"GlobalAveragePooling1D", "GlobalMaxPooling1D"})


@dataclass(frozen=True, slots=True)
class _View:
    """What one value of a tensor sees: samples, distance of neighbours, and whether pooled."""

    samples: int
    step: int
    pooled: bool


class _SeesEverythingError(Exception):
    """A layer relates all times to each other."""


def receptive_field(model: Any) -> int | None:
    """Samples that one unit before global pooling sees.

    Parameters
    ----------
    model
        A Keras model of one input ``(sample, lead)``; weights are not needed.

    Returns
    -------
    Number of samples, or ``None`` for a network that can relate all times (recurrent, attention,
    dense over time) or holds a layer whose reach is not known here.

    Notes
    -----
    Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
    2019, eq. 2: each layer adds ``(kernel - 1) * dilation`` times the product of the strides
    before it.
    """
    views: dict[int, _View] = {}
    try:
        reached = [_view(tensor, views) for tensor in model.outputs]
    except (_SeesEverythingError, RecursionError, AttributeError):
        return None
    if not all(view.pooled for view in reached):
        return None
    return max(view.samples for view in reached)


def _view(tensor: Any, views: dict[int, _View]) -> _View:
    known = views.get(id(tensor))
    if known is None:
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        inner = [_view(source, views) for source in node.input_tensors]
        known = views[id(tensor)] = _after(history.operation, inner)
    return known


def _after(layer: Any, inner: list[_View]) -> _View:
    """View of a layer's result from the views of what it takes."""
    kind = type(layer).__name__
    if kind == "InputLayer":
        return _View(1, 1, False)
    samples = max(view.samples for view in inner)
    step = max(view.step for view in inner)
    pooled = any(view.pooled for view in inner)
    if pooled != all(view.pooled for view in inner):
        raise _SeesEverythingError  # a summary of all time goes back into the signal
    if kind in GLOBAL:
        return _View(samples, step, True)
    if kind in POINTWISE or pooled:
        return _View(samples, step, pooled)
    if kind in WINDOWED:
        size = _one(getattr(layer, "kernel_size", None) or layer.pool_size)
        dilation = _one(getattr(layer, "dilation_rate", 1))
        reach = (size - 1) * dilation * step
        return _View(samples + reach, step * _one(layer.strides), False)
    raise _SeesEverythingError


def _one(value: Any) -> int:
    """The number in a one-element tuple."""
    return int(value[0] if isinstance(value, (tuple, list)) else value)
