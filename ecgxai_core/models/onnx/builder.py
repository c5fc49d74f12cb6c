"""What operators are built with: intermediate results, the order of their axes, and layers.

PyTorch keeps channels before time, Keras after it. Each intermediate result carries the order in
which its Keras tensor holds the axes of the ONNX tensor, so convolutions, pooling and what acts
value by value need no transposition, and an ordinary network becomes an ordinary Keras network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.models.onnx.graph import Node

__all__ = [
    "BATCH",
    "Array",
    "Builder",
    "CannotBuild",
    "Inputs",
    "Makers",
    "Value",
    "axes_of",
    "axis_of",
    "constant_of",
    "optional",
    "squeezed",
    "value_of",
]

BATCH = -(2**40)
"""Stands in shapes for the number of records."""

Array = npt.NDArray[Any]


class CannotBuild(Exception):
    """The graph has something that has no ordinary Keras layer; the text says what."""


@dataclass(frozen=True, slots=True)
class Value:
    """An intermediate result.

    ``order[k]`` is the ONNX axis that axis ``k`` of the Keras tensor holds; ``positive`` = it has
    no negative values.
    """

    tensor: Any
    order: tuple[int, ...]
    positive: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes in ONNX order, with :data:`BATCH` first."""
        sizes = dict(zip(self.order, self.tensor.shape, strict=True))
        return tuple(BATCH if sizes[k] is None else int(sizes[k]) for k in range(len(self.order)))


class Builder:
    """Applies Keras layers, and keeps their weights for when the model stands.

    Parameters
    ----------
    layers
        ``keras.layers``.
    opset
        Version of the ONNX operators.
    """

    def __init__(self, layers: Any, opset: int) -> None:
        self.layers = layers
        self.opset = opset
        self.weights: list[tuple[Any, list[Array]]] = []

    def add(self, layer: Any, *tensors: Any, weights: list[Array] | None = None) -> Any:
        """Apply a layer; its weights are set when the model stands."""
        if weights is not None:
            self.weights.append((layer, weights))
        return layer(tensors[0] if len(tensors) == 1 else list(tensors))

    def in_onnx_order(self, value: Value) -> Any:
        """The Keras tensor with its axes as ONNX has them."""
        if value.order == tuple(range(len(value.order))):
            return value.tensor
        axes = [value.order.index(k) for k in range(1, len(value.order))]
        return self.add(self.layers.Permute(axes), value.tensor)

    def reordered(self, value: Value, order: tuple[int, ...]) -> Any:
        """The Keras tensor of a value in another order of axes."""
        if value.order == order:
            return value.tensor
        return self.add(
            self.layers.Permute([value.order.index(k) for k in order[1:]]), value.tensor
        )

    def channels_last(self, value: Value) -> Value:
        """With the channels of ONNX (axis 1) last, and the others in their order."""
        rank = len(value.order)
        order = (0, *range(2, rank), 1)
        if rank == 4 and value.order == (0, 3, 2, 1):
            order = value.order  # time before leads, as our own networks have it
        return Value(self.reordered(value, order), order, value.positive)


Inputs = list[Any]
"""What goes into a node: values and arrays, ``None`` where an optional one is absent."""

Makers = Mapping[str, Callable[[Builder, Node, Inputs], Value | Array]]
"""How each kind of operator is built."""


def value_of(one: Any, node: Node) -> Value:
    if not isinstance(one, Value):
        raise CannotBuild(f"operator {node.kind} of a constant")
    return one


def constant_of(one: Any, node: Node, what: str) -> Array:
    if not isinstance(one, np.ndarray):
        raise CannotBuild(f"operator {node.kind} whose {what} is computed from the record")
    return one


def optional(inputs: Inputs, at: int, node: Node, what: str) -> Array | None:
    """A constant that an operator may lack."""
    if len(inputs) <= at or inputs[at] is None:
        return None
    return constant_of(inputs[at], node, what)


def axes_of(inputs: Inputs, node: Node) -> list[int] | None:
    """Axes, which older operators have as an attribute and newer ones as an input."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"])
    given = optional(inputs, 1, node, "axes")
    return None if given is None else [int(axis) for axis in given.reshape(-1)]


def axis_of(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


def squeezed(builder: Builder, given: Value, axes: Sequence[int]) -> Value:
    if any(given.shape[axis] != 1 for axis in axes) or 0 in axes:
        raise CannotBuild("a squeeze of a longer axis")
    kept = [axis for axis in given.order if axis not in axes]
    new = {axis: k for k, axis in enumerate(sorted(kept))}
    sizes = [given.shape[axis] for axis in kept[1:]]
    tensor = builder.add(builder.layers.Reshape(sizes), given.tensor)
    return Value(tensor, tuple(new[axis] for axis in kept), given.positive)
