"""Operators along time and leads: convolution, pooling, padding, slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecgxai_core.models.onnx.builder import (
    Builder,
    CannotBuild,
    Inputs,
    Makers,
    Value,
    axes_of,
    axis_of,
    constant_of,
    optional,
    squeezed,
    value_of,
)
from ecgxai_core.models.onnx.constants import slices_of
from ecgxai_core.models.onnx.graph import Node

__all__ = ["SPATIAL"]


def _geometry(node: Node, given: Value, size: Sequence[int]) -> list[tuple[int, int]]:
    """Padding before and after each spatial axis, in ONNX order."""
    n = len(size)
    strides = node.attributes.get("strides", [1] * n)
    dilations = node.attributes.get("dilations", [1] * n)
    auto = node.attributes.get("auto_pad", "NOTSET")
    pads = node.attributes.get("pads", [0] * 2 * n)
    if auto in ("NOTSET", ""):
        return [(pads[k], pads[k + n]) for k in range(n)]
    if auto == "VALID":
        return [(0, 0)] * n
    found = []
    for k in range(n):
        length, reach = given.shape[2 + k], (size[k] - 1) * dilations[k] + 1
        total = max(0, (-(-length // strides[k]) - 1) * strides[k] + reach - length)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return found


def _padded(builder: Builder, given: Value, pads: list[tuple[int, int]]) -> Value:
    """Zeros around the spatial axes; ``given`` has its channels last."""
    if not any(sum(pair) for pair in pads):
        return given
    if any(min(pair) < 0 for pair in pads):
        raise CannotBuild("negative padding")
    in_order = [pads[axis - 2] for axis in given.order[1:-1]]
    layer = (
        builder.layers.ZeroPadding1D(in_order[0])
        if len(in_order) == 1
        else builder.layers.ZeroPadding2D(tuple(in_order))
    )
    return Value(builder.add(layer, given.tensor), given.order, given.positive)


def _spatial(values: Sequence[int], order: Sequence[int]) -> Any:
    """Numbers of the spatial axes as Keras has them."""
    found = tuple(int(values[axis - 2]) for axis in order[1:-1])
    return found[0] if len(found) == 1 else found


def _make_conv(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = builder.channels_last(value_of(inputs[0], node))
    kernel = constant_of(inputs[1], node, "kernel").astype(np.float32)
    bias = optional(inputs, 2, node, "bias")
    n = kernel.ndim - 2
    if n not in (1, 2) or len(given.order) != n + 2:
        raise CannotBuild(f"convolution over {n} axes")
    size = kernel.shape[2:]
    strides = node.attributes.get("strides", [1] * n)
    dilations = node.attributes.get("dilations", [1] * n)
    pads = _geometry(node, given, size)
    reach = [(length - 1) * dilation for length, dilation in zip(size, dilations, strict=True)]
    same = all(stride == 1 for stride in strides) and all(
        before == after and before + after == need
        for (before, after), need in zip(pads, reach, strict=True)
    )
    if not same:
        given = _padded(builder, given, pads)
    order = given.order
    # ONNX [out, in / groups, *spatial] -> Keras [*spatial, in / groups, out]
    weights = [kernel.transpose([*(axis for axis in order[1:-1]), 1, 0])]
    if bias is not None:
        weights.append(bias.astype(np.float32))
    make = builder.layers.Conv1D if n == 1 else builder.layers.Conv2D
    layer = make(
        kernel.shape[0],
        _spatial(size, order),
        strides=_spatial(strides, order),
        dilation_rate=_spatial(dilations, order),
        groups=int(node.attributes.get("group", 1)),
        padding="same" if same else "valid",
        use_bias=bias is not None,
    )
    return Value(builder.add(layer, given.tensor, weights=weights), order)


def _make_pool(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = builder.channels_last(value_of(inputs[0], node))
    size = node.attributes["kernel_shape"]
    n = len(size)
    strides = node.attributes.get("strides", [1] * n)
    if n not in (1, 2) or any(d != 1 for d in node.attributes.get("dilations", [1])):
        raise CannotBuild(f"{node.kind} over {n} axes, or with gaps")
    if len(node.outputs) > 1:
        raise CannotBuild("MaxPool that also gives positions")
    pads = _geometry(node, given, size)
    lengths = [given.shape[2 + k] for k in range(n)]
    if list(size) == lengths and not any(sum(pair) for pair in pads):
        return _over_all(builder, given, "Max" if node.kind == "MaxPool" else "Average")
    padding = "valid"
    if node.attributes.get("ceil_mode", 0):
        rest = [
            (length + sum(pair) - k) % stride
            for length, pair, k, stride in zip(lengths, pads, size, strides, strict=True)
        ]
        if any(rest):
            plain = not any(sum(pair) for pair in pads)
            short = all(
                (-(-length // stride) - 1) * stride + k - length <= 1
                for length, k, stride in zip(lengths, size, strides, strict=True)
            )
            if not plain or not short:
                raise CannotBuild(f"{node.kind} with ceil_mode and padding")
            padding = "same"
    if any(sum(pair) for pair in pads):
        if node.kind == "MaxPool" and not given.positive:
            raise CannotBuild("MaxPool with padding of values that may be negative")
        if node.kind == "AveragePool" and not node.attributes.get("count_include_pad", 0):
            raise CannotBuild("AveragePool with padding that does not count")
        given = _padded(builder, given, pads)
    kind = "Max" if node.kind == "MaxPool" else "Average"
    make = getattr(builder.layers, f"{kind}Pooling{n}D")
    layer = make(
        _spatial(size, given.order), strides=_spatial(strides, given.order), padding=padding
    )
    return Value(builder.add(layer, given.tensor), given.order, given.positive)


def _make_global(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = builder.channels_last(value_of(inputs[0], node))
    return _over_all(builder, given, "Average" if node.kind == "GlobalAveragePool" else "Max")


def _over_all(builder: Builder, given: Value, kind: str) -> Value:
    """Pooling over all of time (and leads); PyTorch's adaptive pooling to one value is such."""
    n = len(given.order) - 2
    layer = getattr(builder.layers, f"Global{kind}Pooling{n}D")(keepdims=True)
    return Value(builder.add(layer, given.tensor), given.order, given.positive)


def _make_reduced(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    rank = len(given.order)
    axes = axes_of(inputs, node)
    found = sorted(axis_of(axis, rank) for axis in axes or [])
    kind = "Average" if node.kind == "ReduceMean" else "Max"
    if found == list(range(2, rank)):
        given = builder.channels_last(given)
    elif not (rank == 3 and found == [1] and given.order == (0, 1, 2)):
        raise CannotBuild(f"{node.kind} over axes {found}")
    layer = getattr(builder.layers, f"Global{kind}Pooling{rank - 2}D")(keepdims=True)
    kept = Value(builder.add(layer, given.tensor), given.order, given.positive)
    if node.attributes.get("keepdims", 1):
        return kept
    return squeezed(builder, kept, found)


def _make_pad(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = builder.channels_last(value_of(inputs[0], node))
    rank = len(given.order)
    pads = node.attributes.get("pads")
    if pads is None:
        pads = constant_of(inputs[1], node, "size").reshape(-1).tolist()
    fill = node.attributes.get("value", 0.0)
    if (value := optional(inputs, 2, node, "value")) is not None:
        fill = float(value)
    if (given_axes := optional(inputs, 3, node, "axes")) is not None:
        axes = [axis_of(int(axis), rank) for axis in given_axes.reshape(-1)]
        full = [0] * (2 * rank)
        for k, axis in enumerate(axes):
            full[axis], full[axis + rank] = pads[k], pads[k + len(axes)]
        pads = full
    pairs = [(int(pads[k]), int(pads[k + rank])) for k in range(rank)]
    if node.attributes.get("mode", "constant") != "constant" or fill != 0:
        raise CannotBuild("padding by other values than 0")
    if any(pairs[0]) or any(pairs[1]):
        raise CannotBuild("padding of channels")
    return _padded(builder, given, pairs[2:])


def _make_slice(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = builder.channels_last(value_of(inputs[0], node))
    rank = len(given.order)
    given_inputs = [
        inputs[0],
        *(constant_of(one, node, "bounds") for one in inputs[1:] if one is not None),
    ]
    cuts = slices_of(node, given_inputs, rank)
    crops = []
    for axis, cut in enumerate(cuts):
        length = given.shape[axis]
        if cut == slice(None):
            crops.append((0, 0))
            continue
        if axis in (0, 1) or (cut.step or 1) != 1:
            raise CannotBuild("a slice of records or channels, or with a step")
        start, stop, _ = slice(cut.start, min(cut.stop, 2**31)).indices(length)
        crops.append((start, length - stop))
    in_order = [crops[axis] for axis in given.order[1:-1]]
    layer = (
        builder.layers.Cropping1D(in_order[0])
        if len(in_order) == 1
        else builder.layers.Cropping2D(tuple(in_order))
    )
    return Value(builder.add(layer, given.tensor), given.order, given.positive)


SPATIAL: Makers = {
    "Conv": _make_conv,
    "MaxPool": _make_pool,
    "AveragePool": _make_pool,
    "GlobalAveragePool": _make_global,
    "GlobalMaxPool": _make_global,
    "ReduceMean": _make_reduced,
    "ReduceMax": _make_reduced,
    "Pad": _make_pad,
    "Slice": _make_slice,
}
