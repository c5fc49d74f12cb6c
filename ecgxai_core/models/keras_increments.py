"""Operations of a Keras graph for layer-by-layer recomputation
(:mod:`ecgxai_core.models.increments`).

Batch normalisation is folded into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ecgxai_core.models.increments import LOWEST, Increments, Node
from ecgxai_core.models.locality import (
    CHANNEL_NORMS,
    POINTWISE,
    Locality,
    over_channels,
    padded_left,
)
from ecgxai_core.types import FloatArray

__all__ = ["increments"]


def increments(model: Any, local: Locality, head: FloatArray) -> Increments | str:
    """The local part of a Keras model for recomputation, or why it cannot be had.

    Parameters
    ----------
    model, local
        A model of one input, and where it stops being local: one mean over time.
    head
        ``float64[channel, class]``: what a position adds to each class.
    """
    if len(local.pools) != 1 or local.pools[0].kind != "mean":
        return "more is pooled than one mean"
    source = local.pools[0].source
    reader = _Reader(int(local.samples), int(model.inputs[0].shape[2]))
    try:
        reader.place(source)
    except _UnknownError as error:
        return str(error)
    return Increments(reader.nodes, head)


class _UnknownError(Exception):
    """A layer that is not known here."""


class _Reader:
    """Operations of a Keras graph, each once."""

    def __init__(self, samples: int, n_leads: int) -> None:
        self.nodes = [Node(None, length=samples, channels=n_leads)]
        self._places: dict[int, int] = {}

    def place(self, tensor: Any) -> int:
        """Where a tensor's operation stands."""
        if id(tensor) not in self._places:
            self._places[id(tensor)] = self._added(tensor)
        return self._places[id(tensor)]

    def _added(self, tensor: Any) -> int:
        layer, node = _origin(tensor)
        kind = type(layer).__name__
        if kind == "InputLayer":
            return 0
        if len(tensor.shape) != 3:
            raise _UnknownError(f"layer {layer.name} ({kind}) has {len(tensor.shape)} axes")
        if kind == "BatchNormalization":
            inner, before = _origin(node.input_tensors[0])
            if type(inner).__name__ == "Conv1D" and _activation(inner) == "linear":
                return self._windowed(inner, before, _affine(layer))
        if kind in {"Conv1D", "MaxPooling1D", "AveragePooling1D"}:
            return self._windowed(layer, node, None)
        if kind == "ZeroPadding1D":
            left, right = layer.padding
            source = self.place(node.input_tensors[0])
            length = self.nodes[source].length + left + right
            return self._append(Node(_same, (source,), left=left, length=length), tensor)
        if kind in POINTWISE or (kind in CHANNEL_NORMS and over_channels(layer)):
            sources = tuple(self.place(source) for source in node.input_tensors)
            made = _pointwise(layer, kind, node)
            work = _dense_work(layer) if kind == "Dense" else 0
            length = self.nodes[sources[0]].length
            return self._append(Node(made, sources, length=length, work=work), tensor)
        raise _UnknownError(f"layer {layer.name} ({kind}) is not recomputed in windows")

    def _windowed(self, layer: Any, node: Any, affine: tuple[FloatArray, FloatArray] | None) -> int:
        kind = type(layer).__name__
        if layer.data_format != "channels_last" or getattr(layer, "groups", 1) != 1:
            raise _UnknownError(f"layer {layer.name} ({kind}) has groups, or channels first")
        source = self.place(node.input_tensors[0])
        before = self.nodes[source]
        size = int((layer.pool_size if "Pooling" in kind else layer.kernel_size)[0])
        stride, dilation = int(layer.strides[0]), int(getattr(layer, "dilation_rate", (1,))[0])
        reach = (size - 1) * dilation
        left, length = padded_left(layer.padding, before.length, stride, reach)
        made = Node(
            _pooling(kind, size, stride) if "Pooling" in kind else _convolution(layer, affine),
            (source,),
            stride,
            left,
            reach,
            fill=LOWEST if kind == "MaxPooling1D" else 0.0,
            counts=kind == "AveragePooling1D" and layer.padding == "same",
            work=0 if "Pooling" in kind else 2 * size * before.channels * int(layer.filters),
            length=length,
        )
        return self._append(made, node.output_tensors[0])

    def _append(self, node: Node, tensor: Any) -> int:
        sources = [self.nodes[source] for source in node.sources]
        inner = sources[0].step
        added = replace(
            node,
            step=inner * node.stride,
            first=min(source.first for source in sources) - node.left * inner,
            last=max(source.last for source in sources) + (node.reach - node.left) * inner,
            channels=int(tensor.shape[-1]),
            work=max(node.work, int(tensor.shape[-1])),
        )
        self.nodes.append(added)
        return len(self.nodes) - 1


def _origin(tensor: Any) -> tuple[Any, Any]:
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index]


def _same(value: Any) -> Any:
    return value


def _activation(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", ""))


def _affine(norm: Any) -> tuple[FloatArray, FloatArray]:
    """Scale and shift of each channel by a batch normalisation."""
    mean, variance = (_array(norm.moving_mean), _array(norm.moving_variance))
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * _array(norm.gamma)
    shift = -mean * scale
    return scale, shift + _array(norm.beta) if norm.center else shift


def _array(variable: Any) -> FloatArray:
    return np.asarray(variable.numpy(), dtype=np.float64)


def _convolution(layer: Any, affine: tuple[FloatArray, FloatArray] | None) -> Callable[[Any], Any]:
    kernel = _array(layer.kernel)
    bias = _array(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    activation = layer.activation
    if affine is not None:
        kernel, bias, activation = kernel * affine[0], bias * affine[0] + affine[1], None
    weights, offset = kernel[None].astype(np.float32), bias.astype(np.float32)
    stride, dilation = int(layer.strides[0]), int(layer.dilation_rate[0])
    name = "linear" if activation is None else _activation(layer)

    def make(value: Any) -> Any:
        import tensorflow as tf

        made = tf.nn.conv2d(
            value, tf.constant(weights), [1, stride], "VALID", dilations=[1, dilation]
        )
        made = tf.nn.bias_add(made, tf.constant(offset))
        if name == "relu":
            return tf.nn.relu(made)
        return made if name == "linear" else activation(made)

    return make


def _pooling(kind: str, size: int, stride: int) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        import tensorflow as tf

        pooled = tf.nn.max_pool2d if kind == "MaxPooling1D" else tf.nn.avg_pool2d
        return pooled(value, [1, size], [1, stride], "VALID")

    return make


def _pointwise(layer: Any, kind: str, node: Any) -> Callable[..., Any]:
    """An operation on each position by itself, as Keras has it for ``[n, position, channel]``."""
    relu = kind == "Activation" and _activation(layer) == "relu"
    if relu or (kind == "ReLU" and _plain(layer)):

        def rectified(value: Any) -> Any:
            import tensorflow as tf

            return tf.nn.relu(value)

        return rectified

    def make(*values: Any) -> Any:
        flat = {id(s): v[:, 0] for s, v in zip(node.input_tensors, values, strict=True)}
        args, kwargs = node.arguments.fill_in(flat)
        return layer(*args, **kwargs)[:, None]

    return make


def _plain(layer: Any) -> bool:
    return layer.max_value is None and not layer.negative_slope and not layer.threshold


def _dense_work(layer: Any) -> int:
    return 2 * int(np.prod(layer.kernel.shape))
