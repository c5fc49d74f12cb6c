"""Operators on constants, computed while the network is built: shapes, mostly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgxai_core.models.onnx.builder import (
    Array,
    Builder,
    CannotBuild,
    Inputs,
    Makers,
    axis_of,
    constant_of,
)
from ecgxai_core.models.onnx.graph import Node

__all__ = ["CONSTANTS", "FOLDED", "fold", "slices_of"]

MOST_FOLDED = 2**20
"""Values of a constant that is computed while building."""

FOLDED = {
    "Add", "Sub", "Mul", "Div", "Concat", "Gather", "Unsqueeze", "Squeeze", "Cast", "Slice",
    "Reshape", "Identity", "Transpose", "Neg", "Floor", "Sqrt",
}  # fmt: skip


def _make_constant(_: Builder, node: Node, inputs: Inputs) -> Array:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in node.attributes:
            return np.asarray(node.attributes[name])
    raise CannotBuild("a constant that is no number")


def _make_shape(_: Builder, node: Node, inputs: Inputs) -> Array:
    given = inputs[0]
    return np.array(given.shape, dtype=np.int64)


def _make_filled(_: Builder, node: Node, inputs: Inputs) -> Array:
    shape = constant_of(inputs[0], node, "shape")
    if (shape < 0).any() or np.prod(shape.astype(float)) > MOST_FOLDED:
        raise CannotBuild("a large constant, or one per record")
    fill = np.asarray(node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return np.full(shape.astype(int), fill)


def fold(node: Node, inputs: Inputs) -> Array:
    """What an operator makes of constants."""
    first = inputs[0]
    attributes = node.attributes
    axes = attributes.get("axes", inputs[1].reshape(-1).tolist() if len(inputs) > 1 else None)
    if node.kind in _ARITHMETIC:
        found = _ARITHMETIC[node.kind](first, inputs[1])
    elif node.kind == "Concat":
        found = np.concatenate(inputs, axis=attributes["axis"])
    elif node.kind == "Gather":
        found = np.take(first, inputs[1], axis=attributes.get("axis", 0))
    elif node.kind == "Unsqueeze":
        found = np.expand_dims(first, tuple(axes))
    elif node.kind == "Squeeze":
        found = np.squeeze(first, None if axes is None else tuple(axes))
    elif node.kind == "Slice":
        found = first[slices_of(node, inputs, first.ndim)]
    elif node.kind == "Reshape":
        found = first.reshape([first.shape[k] if n == 0 else n for k, n in enumerate(inputs[1])])
    elif node.kind == "Transpose":
        found = np.transpose(first, attributes.get("perm"))
    elif node.kind in ("Neg", "Floor", "Sqrt"):
        found = {"Neg": np.negative, "Floor": np.floor, "Sqrt": np.sqrt}[node.kind](first)
    elif node.kind == "Cast":
        integers = attributes["to"] in (6, 7)
        found = first.astype(np.int64 if integers else np.float32)
    else:
        found = first
    if found.size > MOST_FOLDED:
        raise CannotBuild("a large constant")
    return np.asarray(found)


def _divide(a: Array, b: Array) -> Array:
    return np.asarray(a // b if a.dtype.kind == "i" and b.dtype.kind == "i" else a / b)


_ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide,
}  # fmt: skip


def slices_of(node: Node, inputs: Inputs, rank: int) -> tuple[slice, ...]:
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes"), None
    else:
        parts = [None if one is None else one.reshape(-1).tolist() for one in inputs[1:]]
        starts, ends, axes, steps = (*parts, None, None, None, None)[:4]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        found[axis_of(axis, rank)] = slice(start, end, step)
    return tuple(found)


CONSTANTS: Makers = {
    "Constant": _make_constant,
    "Shape": _make_shape,
    "ConstantOfShape": _make_filled,
}
