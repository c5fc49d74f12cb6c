"""Configurations of Keras 2 as Keras 3 takes them: data in, data out, nothing is built.

Keras 3 dropped arguments of Keras 2, and refuses a file that names them even at their default,
where they change nothing. They are left out here; at another value the layer is refused by name.
``x + y`` and the like, which Keras 2 saved as ``TFOpLambda``, become ordinary layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ecgxai_core.errors import ModelError

__all__ = ["OF_OPERATORS", "as_keras_3", "refuse_old_hard_sigmoid"]

MAX_DEPTH = 200
"""Objects nested deeper than any model are left to the checks."""

_ALWAYS = object()
"""An argument that only repeats what the network says elsewhere, or matters in training alone."""

_BATCH_FIRST = {"time_major": (False,)}
_ONE_GROUP = {"groups": (1,)}
_NO_KERNEL = {
    **_ONE_GROUP,
    "kernel_initializer": _ALWAYS,
    "kernel_regularizer": _ALWAYS,
    "kernel_constraint": _ALWAYS,
}

_DROPPED: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), _BATCH_FIRST),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), _ONE_GROUP),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D"), _NO_KERNEL
    ),
    "MultiHeadAttention": {
        "query_shape": _ALWAYS,
        "key_shape": _ALWAYS,
        "value_shape": _ALWAYS,
        "softmax_robust_masking": (False,),
    },
    "BatchNormalization": {
        "renorm": (False,),
        "virtual_batch_size": (None,),
        "adjustment": (None,),
        "fused": _ALWAYS,  # which kernel computes it
    },
}
"""Arguments by layer, and the values at which they change nothing."""

_MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
_RENAMED = {"BatchNormalizationV1": "BatchNormalization"}

_AS_PACKAGE = "tf_keras."
"""Keras 2 as it is installed beside Keras 3."""

OF_OPERATORS = "tf."
"""Start of the names that Keras 2 gave to operators."""

_BINARY = {
    "__operators__.add": "Add", "math.add": "Add",
    "math.subtract": "Subtract", "math.multiply": "Multiply", "math.truediv": "",
    "math.divide": "", "math.maximum": "Maximum", "math.minimum": "Minimum",
}  # fmt: skip
_REDUCED = {"math.reduce_mean": "Average", "math.reduce_max": "Max"}
_FUNCTIONS = {
    "nn.relu": "relu", "nn.sigmoid": "sigmoid", "math.sigmoid": "sigmoid", "nn.elu": "elu",
    "math.tanh": "tanh", "nn.tanh": "tanh", "nn.silu": "silu", "nn.swish": "silu",
    "nn.selu": "selu", "nn.softplus": "softplus", "math.softplus": "softplus",
}  # fmt: skip

_Layer = tuple[str, dict[str, Any], list[list[Any]]]
"""Class, arguments beside the name, and sources, ``[layer, node, tensor, {}]`` each."""


def as_keras_3(config: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration without what Keras 3 does not know; one of Keras 3 comes back as it is.

    Parameters
    ----------
    config
        The configuration as JSON.
    name
        File name, for errors.

    Raises
    ------
    ModelError
        A dropped argument that is not at its default, or an operator that is not plain arithmetic.
    """
    return dict(_converted(config, name, 0))


_THREE_OR_LATER = re.compile(r"[3-9]|[1-9][0-9]")
"""How a version of Keras 3 or later begins."""


def refuse_old_hard_sigmoid(value: Any, version: str, name: str, where: str = "model") -> None:
    """Refuse ``hard_sigmoid`` in a file from before Keras 3, which computes it otherwise.

    It was 0.2 x + 0.5 cut to [0, 1], is x / 6 + 0.5 since, and was what the gates of LSTM and GRU
    had by default up to Keras 2.2: such a network would give other probabilities.

    Parameters
    ----------
    value
        The configuration, checked (:func:`ecgxai_core.models.safe.config_check.check_config`).
    version
        The Keras that saved the file; empty where it does not say.
    name, where
        File name, and the layer around ``value``, for errors.

    Raises
    ------
    ModelError
        A layer with this activation; the error names it.
    """
    if _THREE_OR_LATER.match(version):
        return
    if isinstance(value, list):
        for part in value:
            refuse_old_hard_sigmoid(part, version, name, where)
    if not isinstance(value, Mapping):
        return
    config = value.get("config")
    if isinstance(config, Mapping) and isinstance(config.get("name"), str):
        where = f"layer {_label(config)}"
    for key, part in value.items():
        function = part.get("config") if isinstance(part, Mapping) else part
        if key.endswith("activation") and function == "hard_sigmoid":
            saved = f"version {version[:20]!r}" if version else "an unknown version"
            problem = f"{key} is hard_sigmoid of {saved}, another function than since Keras 3"
            fix = "export it to ONNX where it was trained (tf2onnx)"
            raise ModelError(name, where, problem, fix)
        refuse_old_hard_sigmoid(part, version, name, where)


def _converted(value: Any, name: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_converted(part, name, depth + 1) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "TFOpLambda" and isinstance(value.get("config"), dict):
        value = _of_operator(value, name)
    value = {key: _converted(part, name, depth + 1) for key, part in value.items()}
    kind, inner, module = (value.get(key) for key in ("class_name", "config", "module"))
    if isinstance(module, str) and module.startswith(_AS_PACKAGE):
        value["module"] = module.removeprefix("tf_")
    if isinstance(nodes := value.get("inbound_nodes"), list):
        value["inbound_nodes"] = [_node(node) for node in nodes]
    if isinstance(kind, str) and isinstance(inner, dict):
        kind = value["class_name"] = _RENAMED.get(kind, kind)
        if kind in _MODELS and str(value.get("module")).startswith("keras.src.engine."):
            value.update(module=_MODELS[kind], registered_name=None)
        if kind == "Sequential":
            return {**value, "config": _with_input(inner)}
        if kind == "MultiHeadAttention" and "shapes_dict" not in (value.get("build_config") or ""):
            value.pop("build_config", None)  # of one shape; it has three
        value["config"] = _without_dropped(kind, inner, name)
    return value


def _without_dropped(kind: str, config: dict[str, Any], name: str) -> dict[str, Any]:
    kept = dict(config)
    for key, neutral in _DROPPED.get(kind, {}).items():
        if key not in kept:
            continue
        found = kept.pop(key)
        if neutral is not _ALWAYS and found not in neutral:
            problem = f"{kind} has {key} = {str(found)[:40]}, which Keras 3 cannot do"
            fix = "export it to ONNX where it was trained (tf2onnx)"
            raise ModelError(name, f"layer {_label(config)}", problem, fix)
    if kind == "BatchNormalization" and isinstance(axis := kept.get("axis"), list):
        kept["axis"] = axis[0] if len(axis) == 1 else axis
    if kept.get("dtype") == "float32" and "name" not in kept and "seed" in kept:
        del kept["dtype"]  # of an initialiser
    return kept


def _node(node: Any) -> Any:
    """A call whose further arguments are results of layers, as Keras 3 writes it."""
    if not (isinstance(node, list) and len(node) == 1 and isinstance(node[0], list)):
        return node
    (first,) = node
    further = first[3] if len(first) == 4 else None
    if not (isinstance(further, dict) and any(map(_is_tensor, further.values()))):
        return node
    kwargs = {key: _tensor(part) if _is_tensor(part) else part for key, part in further.items()}
    return {"args": [_tensor(first)], "kwargs": kwargs}


def _tensor(source: list[Any]) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": source[:3]}
    return {"class_name": "__keras_tensor__", "config": config}


def _with_input(config: dict[str, Any]) -> dict[str, Any]:
    """A Sequential whose input is a layer of its own, not an argument of the first."""
    layers = config.get("layers")
    if not (isinstance(layers, list) and layers and isinstance(layers[0], dict)):
        return config
    first = layers[0].get("config")
    if not isinstance(first, dict):
        return config
    given = []
    shape = first.get("batch_input_shape")
    if layers[0].get("class_name") not in ("InputLayer", "Functional", "Model", "Sequential"):
        if not isinstance(shape, list):
            return config
        made = {"batch_input_shape": shape, "dtype": "float32", "name": f"{first.get('name')}_in"}
        like = {"module": "keras.layers", "registered_name": None} if "module" in layers[0] else {}
        given = [{**like, "class_name": "InputLayer", "config": made}]
    after = [
        {**layer, "config": _without_shape(layer["config"])}
        if isinstance(layer, dict)
        and isinstance(layer.get("config"), dict)
        and layer.get("class_name") != "InputLayer"
        else layer
        for layer in layers
    ]
    return {**config, "layers": [*given, *after]}


def _without_shape(config: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in config.items() if key != "batch_input_shape"}


# ---- operators ---------------------------------------------------------------------------------


def _of_operator(value: dict[str, Any], name: str) -> dict[str, Any]:
    """The layer that does what an operator did."""
    config = value["config"]
    function = config.get("function")
    try:
        kind, arguments, sources = _OPERATORS[function](value["inbound_nodes"], function)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError):
        problem = (
            f"the operator tf.{str(function)[:60]} is saved as code of TensorFlow (TFOpLambda)"
        )
        fix = "use a Keras layer for it, or export the model to ONNX where it was trained"
        raise ModelError(name, f"layer {_label(config)}", problem, fix) from None
    label = {key: config[key] for key in ("name", "dtype") if key in config}
    named = {"name": value["name"]} if "name" in value else {}
    if "module" in value:
        named = {**named, "module": "keras.layers", "registered_name": None}
    return {
        **named,
        "class_name": kind,
        "config": {**label, **arguments},
        "inbound_nodes": [sources],
    }


def _call(nodes: Any) -> tuple[Any, dict[str, Any]]:
    """The first argument of the one call of an operator, and the others by name."""
    (node,) = nodes
    if isinstance(node[0], list):
        (node,) = node
    source, index, tensor, kwargs = node
    first = tensor if source == "_CONSTANT_VALUE" else [source, index, tensor, {}]
    return first, {key: part for key, part in kwargs.items() if key != "name"}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)


def _binary(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    second = kwargs.pop("y")
    if kwargs:
        raise ValueError
    kind = _BINARY[function]
    if _is_tensor(first) and _is_tensor(second):
        if not kind:
            raise ValueError
        return kind, {}, [first, [*second[:3], {}]]
    turned = not _is_tensor(first)
    number, source = (first, second) if turned else (second, first)
    scale, offset = _line(function, float(number), turned)
    return "Rescaling", {"scale": scale, "offset": offset}, [[*source[:3], {}]]


def _line(function: str, number: float, turned: bool) -> tuple[float, float]:
    """Scale and offset of ``x o number``, or of ``number o x`` where it is turned round."""
    kind = function.rsplit(".", 1)[-1]
    if kind == "add":
        return 1.0, number
    if kind == "multiply":
        return number, 0.0
    if kind == "subtract":
        return (-1.0, number) if turned else (1.0, -number)
    if kind in ("truediv", "divide") and not turned:
        return 1.0 / number, 0.0
    raise ValueError


def _reduced(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    axis, keep = kwargs.pop("axis"), kwargs.pop("keepdims", False)
    axes = axis if isinstance(axis, list) else [axis]
    rank = {(1,): 1, (1, 2): 2}[tuple(axes)]
    if kwargs or not isinstance(keep, bool):
        raise ValueError
    return f"Global{_REDUCED[function]}Pooling{rank}D", {"keepdims": keep}, [first]


def _activated(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    if kwargs:
        raise ValueError
    return "Activation", {"activation": _FUNCTIONS[function]}, [first]


def _softmax(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    axis = kwargs.pop("axis", -1)
    if kwargs or (axis is not None and not isinstance(axis, int)):
        raise ValueError
    return "Softmax", {"axis": -1 if axis is None else axis}, [first]


def _transposed(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    start, *rest = kwargs.pop("perm")
    if kwargs or start != 0:
        raise ValueError
    return "Permute", {"dims": rest}, [first]


def _reshaped(nodes: Any, function: str) -> _Layer:
    first, kwargs = _call(nodes)
    start, *rest = kwargs.pop("shape")
    if kwargs or start != -1:
        raise ValueError
    return "Reshape", {"target_shape": rest}, [first]


_OPERATORS: Mapping[Any, Callable[[Any, str], _Layer]] = {
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_REDUCED, _reduced),
    **dict.fromkeys(_FUNCTIONS, _activated),
    "nn.softmax": _softmax,
    "transpose": _transposed,
    "reshape": _reshaped,
}


def _label(config: Mapping[str, Any]) -> str:
    return repr(str(config.get("name"))[:80])
