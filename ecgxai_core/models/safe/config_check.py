"""Read a Keras configuration before Keras does, and refuse what is not a plain float32 network.

Keras builds whatever the configuration names, and its ``safe_mode`` stops only Lambda layers: a
configuration can call other functions, change the dtype policy of the whole process or ask for
gigabytes. So every object in it must be one of the classes listed here, by name and module, every
dtype float32, and every value a plain finite number, a boolean, a short text or a list of no more
than a sensible number of them. What passes is data, not code, and asks for little memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ecgxai_core.errors import ModelError

__all__ = ["LAYERS", "check_config"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODELS = frozenset({"Functional", "Model", "Sequential"})

LAYERS = _names(
    """
    InputLayer Activation ELU LeakyReLU PReLU ReLU Softmax
    Dense EinsumDense Embedding Identity Masking
    Conv1D Conv2D Conv1DTranspose Conv2DTranspose DepthwiseConv1D DepthwiseConv2D
    SeparableConv1D SeparableConv2D Convolution1D Convolution2D
    Attention AdditiveAttention MultiHeadAttention GroupQueryAttention GroupedQueryAttention
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    BatchNormalization GroupNormalization LayerNormalization RMSNormalization
    SpectralNormalization UnitNormalization Normalization Rescaling
    AveragePooling1D AveragePooling2D MaxPooling1D MaxPooling2D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    AdaptiveAveragePooling1D AdaptiveMaxPooling1D
    Dropout AlphaDropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D
    ActivityRegularization
    Cropping1D Cropping2D Flatten Permute RepeatVector Reshape UpSampling1D UpSampling2D
    ZeroPadding1D ZeroPadding2D
    Bidirectional TimeDistributed RNN GRU GRUCell LSTM LSTMCell SimpleRNN SimpleRNNCell
    StackedRNNCells
    """
)
"""Layers that compute with their own weights and run no code of the user."""

OPERATIONS = _names(
    """
    Absolute Add Concatenate Divide Exp ExpandDims Expm1 Log Log1p Max Maximum Mean Min Minimum
    Multiply Negative Power Prod Relu Reshape Sigmoid Silu Softmax Sqrt Square Squeeze Std Subtract
    Sum Tanh Transpose TrueDivide Var
    """
)
"""What ``a + b`` and ``keras.ops`` leave in a functional model."""

PARTS = {
    "keras.initializers": _names(
        """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform
        Ones Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
        """
    ),
    "keras.regularizers": frozenset({"L1", "L2", "L1L2", "OrthogonalRegularizer"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
}

ACTIVATIONS = _names(
    """
    celu elu exponential gelu glu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish tanh
    """
)

VALUES = frozenset({"__keras_tensor__", "__numpy__", "__tuple__", "__ellipsis__", "__slice__"})
"""How Keras writes tensors, arrays and tuples; they hold numbers only."""

ARRAY_DTYPES = frozenset({"float32", "float64", "int32", "int64", "bool"})
"""Number types that an array or tensor in a configuration may name."""

NOT_DIMENSIONS = frozenset({"shared_object_id", "seed", "random_state"})
MAX_INTEGER = 1_000_000
SIZES = {
    "dilation_rate": 10_000,
    "kernel_size": 10_000,
    "strides": 10_000,
    "pool_size": 100_000,
    "num_heads": 1_000,
}
"""The longest input of an ECG model has some ten thousand samples; beyond it a layer does nothing
but take time and memory."""

MAX_OBJECTS = 20_000
MAX_VALUES = 400_000
MAX_LIST = 20_000
MAX_ARRAY = 100_000
MAX_TEXT = 200
MAX_DEPTH = 60
SMALLER = "use smaller values, and save the model again"
RESAVE = "use a network of ordinary Keras layers in float32"

_MODEL_MODULE = re.compile(
    r"keras(\.models|\.src\.(models|engine)\.(functional|sequential|model))?"
)
_LAYER_MODULE = re.compile(r"keras\.(layers|src\.layers(\.[a-z0-9_]+)*)")
_OPERATION_MODULE = re.compile(r"keras\.(ops|src\.ops)\.(numpy|nn)|keras\.ops")


def check_config(config: Mapping[str, Any], name: str, needs_module: bool) -> None:
    """Refuse a model whose configuration holds anything but plain layers.

    Parameters
    ----------
    config
        The configuration as JSON.
    name
        File name, for errors.
    needs_module
        Whether every class must come with its module, as in the Keras 3 format.

    Raises
    ------
    ModelError
        A layer, function, dtype or size that is not allowed; the error names it.
    """
    if config.get("class_name") not in tuple(MODELS):
        _refuse(
            name,
            f"class {config.get('class_name')!r}",
            "is a class of the user's own, which would have to run",
            "build it with the functional API and save it again",
        )
    _Walk(name, needs_module).visit(config, "model", 0)


def _refuse(name: str, field: str, problem: str, fix: str = RESAVE) -> None:
    raise ModelError(name, field, problem, fix)


class _Walk:
    """One pass over a configuration; ``where`` is the name of the innermost layer."""

    def __init__(self, name: str, needs_module: bool) -> None:
        self.name = name
        self.needs_module = needs_module
        self.objects = self.values = 0

    def visit(self, value: Any, where: str, depth: int, most: int = MAX_INTEGER) -> None:
        """Check one value and all that it holds; numbers up to ``most``."""
        if depth > MAX_DEPTH:
            _refuse(self.name, where, f"is nested deeper than {MAX_DEPTH} levels")
        self.values += 1
        if self.values > MAX_VALUES:
            _refuse(self.name, where, f"holds more than {MAX_VALUES} values", SMALLER)
        if isinstance(value, Mapping):
            self._visit_mapping(value, where, depth, most)
        elif isinstance(value, list):
            self._count(value, where, MAX_LIST)
            for part in value:
                self.visit(part, where, depth + 1, most)
        else:
            self._plain(value, where, most)

    def _count(self, parts: Any, where: str, most: int) -> None:
        if len(parts) > most:
            _refuse(
                self.name, where, f"lists {len(parts)} values; at most {most} are allowed", SMALLER
            )

    def _plain(self, value: Any, where: str, most: float) -> None:
        """``None``, a boolean, a short text, or a number of sensible size."""
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                _refuse(self.name, where, f"holds a text of {len(value)} characters", SMALLER)
        elif isinstance(value, float):
            if not math.isfinite(value):
                _refuse(self.name, where, f"holds {value}, which is not a finite number")
        elif isinstance(value, int) and abs(value) > most:
            problem = f"{_short(value)} is larger than any size may be ({most})"
            _refuse(self.name, where, problem, SMALLER)

    def _visit_mapping(self, value: Mapping[str, Any], where: str, depth: int, most: int) -> None:
        self._count(value, where, MAX_LIST)
        if value.get("class_name") in tuple(_ARRAYS) and value.get("module") is None:
            self._array(value, where)
            return
        if "class_name" in value:
            where = self._object(value, where)
        elif "module" in value or "registered_name" in value:
            _refuse(self.name, where, "names a module without a class")
        for key, part in value.items():
            self._plain(key, where, MAX_INTEGER)
            if "dtype" in key:
                self._dtype(part, f"{where}, {key}")
            elif key in _FLAGS and part is True:
                _refuse(self.name, where, _FLAGS[key])
            elif key in SIZES:
                self.visit(part, f"{where}, {key}", depth + 1, SIZES[key])
            elif key not in NOT_DIMENSIONS:
                self.visit(part, where, depth + 1, most)
            else:
                self._seed(part, f"{where}, {key}")

    def _seed(self, value: Any, where: str) -> None:
        """A whole number of any size that fits 64 bits; Keras keeps more of a seed generator."""
        if isinstance(value, Mapping | list):
            self.visit(value, where, 1, 2**63)
        else:
            self._plain(value, where, 2**63)

    def _array(self, value: Mapping[str, Any], where: str) -> None:
        """An array or a tensor's description: a known number type, plain numbers, not too many."""
        config = value.get("config")
        fields = _ARRAYS[value["class_name"]]
        if not set(value) <= {"class_name", "config", "module", "registered_name"} or not (
            isinstance(config, Mapping) and set(config) == fields
        ):
            _refuse(self.name, where, f"{value['class_name']} is not written as Keras writes it")
            return
        dtype = config["dtype"]
        if not (isinstance(dtype, str) and dtype in ARRAY_DTYPES):
            _refuse(self.name, f"{where}, dtype", f"{_short(dtype)} is not a plain number type")
        for key in fields - {"dtype"}:
            self._numbers(config[key], f"{where}, {key}", texts=key == "keras_history")

    def _numbers(self, value: Any, where: str, texts: bool) -> None:
        """Numbers in nested lists (or, of a tensor's history, also the name of its layer)."""
        level, count = [value], 0
        for _ in range(_ARRAY_DEPTH):
            lists = [part for part in level if isinstance(part, list)]
            count += len(level) - len(lists)
            if count + sum(map(len, lists)) > MAX_ARRAY:
                _refuse(self.name, where, f"holds more than {MAX_ARRAY} numbers", SMALLER)
            for part in level:
                if isinstance(part, str) and not texts:
                    _refuse(self.name, where, f"{_short(part)} is not a number")
                if isinstance(part, Mapping):
                    _refuse(self.name, where, "holds an object, not numbers")
                if not isinstance(part, list):
                    self._plain(part, where, MAX_INTEGER)
            level = [inner for part in lists for inner in part]
        if level:
            _refuse(self.name, where, f"has more than {_ARRAY_DEPTH} dimensions")

    def _object(self, value: Mapping[str, Any], where: str) -> str:
        """Check class and module of an object; return its name for errors."""
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            _refuse(self.name, where, f"holds more than {MAX_OBJECTS} objects")
        class_name, module = value["class_name"], value.get("module")
        config, registered = value.get("config"), value.get("registered_name")
        label = config.get("name") if isinstance(config, Mapping) else None
        where = f"layer {label!r}" if isinstance(label, str) else where
        shown = f"{module}.{class_name}" if module else class_name
        if class_name == "function":
            homes = ("builtins", "keras.activations", None)
            if not (isinstance(config, str) and config in ACTIVATIONS and module in homes):
                _refuse(self.name, where, f"calls the function {module}.{_short(config)}")
        elif not self._allowed(class_name, module):
            _refuse(self.name, where, f"{_short(shown)} is not a layer that may be loaded")
        if value.get("inbound_nodes") == [] and class_name != "InputLayer":
            _refuse(self.name, where, f"{_short(shown)} is connected to nothing")
        if registered not in (None, class_name) and (class_name, registered) != (
            "function",
            config,
        ):
            _refuse(self.name, where, f"{_short(registered)} is a custom object")
        return where

    def _allowed(self, class_name: Any, module: Any) -> bool:
        if not isinstance(class_name, str):
            return False
        if class_name in VALUES:
            return module is None
        if module is None:
            parts = frozenset().union(*PARTS.values())
            return not self.needs_module and class_name in LAYERS | MODELS | parts
        if not isinstance(module, str):
            return False
        return (
            (class_name in LAYERS and bool(_LAYER_MODULE.fullmatch(module)))
            or (class_name in MODELS and bool(_MODEL_MODULE.fullmatch(module)))
            or (class_name in OPERATIONS and bool(_OPERATION_MODULE.fullmatch(module)))
            or any(
                class_name in names and (module == home or module.startswith(_source(home)))
                for home, names in PARTS.items()
            )
        )

    def _dtype(self, value: Any, where: str) -> None:
        """``float32``, by name or as a policy."""
        if isinstance(value, Mapping):
            config = value.get("config")
            policies = ("DTypePolicy", "Policy")
            homes = (None, "keras", "keras.dtype_policies", "keras.mixed_precision")
            plain = value.get("class_name") in policies and value.get("module") in homes
            unregistered = value.get("registered_name") in (None, *policies)
            if plain and unregistered and isinstance(config, Mapping):
                value = config.get("name") if set(config) <= {"name", "source_name"} else value
        if value is not None and value != "float32":
            _refuse(self.name, where, f"is {_short(value)}; only float32 is allowed")


_ARRAYS = {
    "__keras_tensor__": {"shape", "dtype", "keras_history"},
    "__numpy__": {"value", "dtype"},
}
"""What Keras writes of each; their dtype belongs to data, not to a layer."""

_ARRAY_DEPTH = 6

_FLAGS = {
    "unroll": "unrolls a recurrent layer, which takes memory without bound",
    "training": "runs a layer in training mode, so one record would give different results",
    "stateful": "remembers the records before, so results would depend on their order",
}


def _source(home: str) -> str:
    return home.replace("keras.", "keras.src.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
