"""Operators value by value and on shapes: normalisation, activation, arithmetic, dense layers."""

from __future__ import annotations

import numpy as np

from ecgxai_core.models.onnx.builder import (
    BATCH,
    Array,
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
from ecgxai_core.models.onnx.graph import Node

__all__ = ["OPERATORS"]

# ---- normalisation and activation --------------------------------------------------------------


def _make_norm(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    if len(given.order) > 2:
        given = builder.channels_last(given)
    scale, shift, mean, variance = (
        constant_of(one, node, "statistics").astype(np.float32) for one in inputs[1:5]
    )
    layer = builder.layers.BatchNormalization(epsilon=float(node.attributes.get("epsilon", 1e-5)))
    tensor = builder.add(layer, given.tensor, weights=[scale, shift, mean, variance])
    return Value(tensor, given.order)


def _make_layer_norm(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    rank = len(given.order)
    if axis_of(node.attributes.get("axis", -1), rank) != rank - 1:
        raise CannotBuild("LayerNormalization over several axes")
    tensor = builder.in_onnx_order(given)
    scale = constant_of(inputs[1], node, "scale").astype(np.float32)
    bias = optional(inputs, 2, node, "bias")
    shift = np.zeros_like(scale) if bias is None else bias.astype(np.float32)
    layer = builder.layers.LayerNormalization(epsilon=float(node.attributes.get("epsilon", 1e-5)))
    return Value(builder.add(layer, tensor, weights=[scale, shift]), tuple(range(rank)))


_ACTIVATIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Selu": "selu", "Softplus": "softplus",
                "Exp": "exponential", "Softsign": "softsign", "Mish": "mish"}  # fmt: skip


def _make_activation(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given, layers = value_of(inputs[0], node), builder.layers
    alpha = float(node.attributes.get("alpha", 0.01 if node.kind == "LeakyRelu" else 1.0))
    if node.kind == "Relu":
        layer = layers.ReLU()
    elif node.kind == "LeakyRelu":
        layer = layers.LeakyReLU(negative_slope=alpha)
    elif node.kind == "Elu":
        layer = layers.ELU(alpha=alpha)
    elif node.kind == "Clip":
        low, high = (
            node.attributes.get(name, optional(inputs, k, node, name))
            for k, name in ((1, "min"), (2, "max"))
        )
        if low != 0:
            raise CannotBuild("Clip that does not begin at 0")
        layer = layers.ReLU(max_value=None if high is None else float(high))
    elif node.kind == "PRelu":
        slope = constant_of(inputs[1], node, "slope").astype(np.float32).reshape(-1)
        rank = len(given.order)
        if len(slope) != 1 and (rank < 3 or len(slope) != given.shape[1]):
            raise CannotBuild("PRelu with slopes of several axes")
        if len(slope) != 1:
            given = builder.channels_last(given)
            layer = layers.PReLU(shared_axes=list(range(1, rank - 1)))
            per_channel = slope.reshape(*(1,) * (rank - 2), -1)
            return Value(builder.add(layer, given.tensor, weights=[per_channel]), given.order)
        layer = layers.LeakyReLU(negative_slope=float(slope[0]))
    elif node.kind == "Gelu":
        if node.attributes.get("approximate", "none") != "none":
            raise CannotBuild("approximate Gelu")
        layer = layers.Activation("gelu")
    elif node.kind == "HardSwish":
        layer = layers.Activation("hard_swish")
    else:
        layer = layers.Activation(_ACTIVATIONS[node.kind])
    positive = node.kind in ("Relu", "Clip", "Sigmoid", "Softplus", "Exp")
    return Value(builder.add(layer, given.tensor), given.order, positive)


def _make_softmax(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    rank = len(given.order)
    if rank > 2 and builder.opset < 13:
        raise CannotBuild("Softmax of an old kind")
    axis = axis_of(node.attributes.get("axis", -1), rank)
    if rank == 2:
        return Value(builder.add(builder.layers.Softmax(), given.tensor), given.order, True)
    layer = builder.layers.Softmax(axis=given.order.index(axis))
    return Value(builder.add(layer, given.tensor), given.order, True)


def _make_identity(_: Builder, node: Node, inputs: Inputs) -> Value | Array:
    if node.kind == "Cast" and node.attributes.get("to") not in (1, 11):
        raise CannotBuild("a cast to whole numbers")
    found: Value | Array = inputs[0]
    return found


# ---- arithmetic --------------------------------------------------------------------------------


def _make_arithmetic(builder: Builder, node: Node, inputs: Inputs) -> Value:
    first, second = inputs
    if isinstance(first, Value) and isinstance(second, Value):
        return _of_two(builder, node, first, second)
    if isinstance(first, np.ndarray):
        if node.kind == "Div":
            raise CannotBuild("a constant divided by what depends on the record")
        if node.kind == "Sub":
            turned = _scaled(builder, second, np.array(-1.0), np.array(0.0))
            return _scaled(builder, turned, np.array(1.0), first)
        first, second = second, first
    number = second.astype(np.float64)
    if node.kind in ("Add", "Sub"):
        return _scaled(builder, first, np.array(1.0), number if node.kind == "Add" else -number)
    return _scaled(builder, first, number if node.kind == "Mul" else 1.0 / number, np.array(0.0))


def _of_two(builder: Builder, node: Node, first: Value, second: Value) -> Value:
    name = {"Add": "Add", "Sub": "Subtract", "Mul": "Multiply"}.get(node.kind)
    if name is None or len(first.order) != len(second.order):
        raise CannotBuild(f"{node.kind} of results of different ranks")
    other = builder.reordered(second, first.order)
    tensor = builder.add(getattr(builder.layers, name)(), first.tensor, other)
    return Value(tensor, first.order, first.positive and second.positive and name != "Subtract")


def _scaled(builder: Builder, given: Value, scale: Array, shift: Array) -> Value:
    """``given * scale + shift`` for numbers, or one number per channel or feature."""
    if scale.size == 1 and shift.size == 1:
        layer = builder.layers.Rescaling(float(scale.reshape(-1)[0]), float(shift.reshape(-1)[0]))
        return Value(builder.add(layer, given.tensor), given.order)
    rank = len(given.order)
    shapes = np.broadcast_shapes(scale.shape, shift.shape)
    shape = (1,) * (rank - len(shapes)) + shapes
    long = [axis for axis, size in enumerate(shape) if size != 1]
    if len(shape) != rank or len(long) != 1 or long[0] == 0:
        raise CannotBuild("arithmetic with a constant of several axes")
    axis = long[0]
    value = given
    if given.order[-1] != axis:
        order = (*(k for k in given.order if k != axis), axis)
        value = Value(builder.reordered(given, order), order)
    count = shape[axis]
    # a batch normalisation with variance 1 - epsilon divides by exactly 1
    epsilon = 2.0**-10
    weights = [
        np.broadcast_to(scale.reshape(-1), count).astype(np.float32),
        np.broadcast_to(shift.reshape(-1), count).astype(np.float32),
        np.zeros(count, np.float32),
        np.full(count, 1 - epsilon, np.float32),
    ]
    layer = builder.layers.BatchNormalization(epsilon=epsilon)
    return Value(builder.add(layer, value.tensor, weights=weights), value.order)


def _make_dense(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    kernel = constant_of(inputs[1], node, "kernel").astype(np.float32)
    bias = optional(inputs, 2, node, "bias")
    scale = float(node.attributes.get("alpha", 1.0))
    if node.attributes.get("transA", 0) or kernel.ndim != 2:
        raise CannotBuild(f"{node.kind} of an unusual form")
    if node.attributes.get("transB", 0):
        kernel = kernel.T
    weights = [np.ascontiguousarray(scale * kernel, dtype=np.float32)]
    if bias is not None:
        shift = float(node.attributes.get("beta", 1.0)) * bias
        weights.append(np.broadcast_to(shift.reshape(-1), kernel.shape[1]).astype(np.float32))
    layer = builder.layers.Dense(kernel.shape[1], use_bias=bias is not None)
    tensor = builder.add(layer, builder.in_onnx_order(given), weights=weights)
    return Value(tensor, tuple(range(len(given.order))))


# ---- shapes ------------------------------------------------------------------------------------


def _make_concat(builder: Builder, node: Node, inputs: Inputs) -> Value:
    values = [value_of(one, node) for one in inputs]
    order = values[0].order
    axis = axis_of(node.attributes["axis"], len(order))
    if axis == 0:
        raise CannotBuild("a concatenation of records")
    tensors = [builder.reordered(value, order) for value in values]
    layer = builder.layers.Concatenate(axis=order.index(axis))
    return Value(builder.add(layer, *tensors), order, all(value.positive for value in values))


def _make_flatten(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    if node.attributes.get("axis", 1) != 1:
        raise CannotBuild("Flatten behind another axis")
    return _flat(builder, given)


def _flat(builder: Builder, given: Value) -> Value:
    if len(given.order) == 2:
        return given
    if sum(size != 1 for size in given.shape[1:]) <= 1:  # in whatever order
        return Value(builder.add(builder.layers.Flatten(), given.tensor), (0, 1), given.positive)
    tensor = builder.in_onnx_order(given)
    return Value(builder.add(builder.layers.Flatten(), tensor), (0, 1), given.positive)


def _make_reshape(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    target = constant_of(inputs[1], node, "shape").reshape(-1).tolist()
    shape = [given.shape[k] if size == 0 else size for k, size in enumerate(target)]
    if not shape or shape[0] not in (BATCH, -1, 1) or BATCH in shape[1:]:
        raise CannotBuild(f"a reshape to {target} that mixes records")
    if len(shape) == 2:
        return _flat(builder, given)
    tensor = builder.add(builder.layers.Reshape(shape[1:]), builder.in_onnx_order(given))
    return Value(tensor, tuple(range(len(shape))), given.positive)


def _make_squeeze(builder: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    axes = axes_of(inputs, node)
    if node.kind == "Squeeze":
        rank = len(given.order)
        if axes is None:
            axes = [k for k in range(1, rank) if given.shape[k] == 1]
        return squeezed(builder, given, [axis_of(axis, rank) for axis in axes])
    rank = len(given.order) + len(axes or [])
    wanted = sorted(axis_of(axis, rank) for axis in axes or [])
    if 0 in wanted:
        raise CannotBuild("an axis before the records")
    old = iter(given.shape)
    sizes = [1 if k in wanted else next(old) for k in range(rank)][1:]
    tensor = builder.add(builder.layers.Reshape(sizes), builder.in_onnx_order(given))
    return Value(tensor, tuple(range(rank)), given.positive)


def _make_transpose(_: Builder, node: Node, inputs: Inputs) -> Value:
    given = value_of(inputs[0], node)
    perm = node.attributes.get("perm", list(reversed(range(len(given.order)))))
    if perm[0] != 0:
        raise CannotBuild("a transposition of records")
    return Value(given.tensor, tuple(perm.index(axis) for axis in given.order), given.positive)


OPERATORS: Makers = {
    "BatchNormalization": _make_norm,
    "LayerNormalization": _make_layer_norm,
    "Relu": _make_activation,
    "LeakyRelu": _make_activation,
    "Elu": _make_activation,
    "Clip": _make_activation,
    "HardSwish": _make_activation,
    "Gelu": _make_activation,
    "PRelu": _make_activation,
    **dict.fromkeys(_ACTIVATIONS, _make_activation),
    "Softmax": _make_softmax,
    "Identity": _make_identity,
    "Dropout": _make_identity,
    "Cast": _make_identity,
    "Add": _make_arithmetic,
    "Sub": _make_arithmetic,
    "Mul": _make_arithmetic,
    "Div": _make_arithmetic,
    "Gemm": _make_dense,
    "MatMul": _make_dense,
    "Concat": _make_concat,
    "Flatten": _make_flatten,
    "Reshape": _make_reshape,
    "Squeeze": _make_squeeze,
    "Unsqueeze": _make_squeeze,
    "Transpose": _make_transpose,
}
