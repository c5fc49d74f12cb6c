"""Let Keras build a checked configuration without any memory, and measure what it would take.

Inside ``keras.StatelessScope`` weights have a shape but no values, and layers are traced with
symbols only. So the size of every weight and of every intermediate result is known, exactly as
Keras will make them, before a byte is allocated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_runtime import isolated
from ecgxai_core.models.locality import receptive_field
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.plain import plain
from ecgxai_core.models.safe.keras2 import OF_OPERATORS
from ecgxai_core.models.safe.model_file import ModelFile
from ecgxai_core.settings import settings
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["Output", "Structure", "check_fit", "examine"]

Shape = tuple[int | None, ...]

MAX_ACTIVATION = 2**24
"""Values of one intermediate result for one record (64 MB); the reference model has 1.3 million."""

MAX_OPERATIONS = 2e11
"""Multiplications for one record; the reference model has 2.6e9."""

MAX_STEPS = 50_000
"""Steps of recurrent layers, which can only be taken one after another; two bidirectional layers
over ten seconds at 500 Hz take 20 000."""

_STEP_WEIGHTS = {
    "RNN": 1, "LSTM": 1, "GRU": 1, "SimpleRNN": 1, "Bidirectional": 2, "TimeDistributed": 50,
}  # fmt: skip
"""``TimeDistributed`` makes a layer call of every step when a model is first used: some 15 ms each,
where a recurrent step takes some 0.3 ms."""

ASSUMED_SAMPLES = 10_000
"""Length assumed where a model leaves it open."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a model: name, shape with the batch first, activation where it is known."""

    name: str
    shape: Shape
    activation: str | None


@dataclass(frozen=True, slots=True)
class Structure:
    """What is known of a model without its weights.

    Attributes
    ----------
    inputs
        Shapes of the inputs, batch first.
    outputs
        In the order in which Keras flattens them.
    n_params
        Number of weights.
    operations
        Multiplications per record, roughly.
    receptive_field
        Samples that one unit before global pooling sees; ``None`` = it may see all.
    leads_first
        The model takes ``[record, lead, sample]``; ``inputs`` has samples first all the same.
    """

    inputs: tuple[Shape, ...]
    outputs: tuple[Output, ...]
    n_params: int
    operations: float
    receptive_field: int | None = None
    leads_first: bool = False


def examine(file: ModelFile, samples: int | None = None) -> Structure:
    """Build a model without allocating it.

    Parameters
    ----------
    file
        A checked model file.
    samples
        Length of its input where the model leaves it open; ``None`` = an assumed one.

    Raises
    ------
    ModelError
        Keras cannot build it, or it would take more than the limits.
    """

    def work(keras: Any) -> Structure:
        with keras.StatelessScope(initialize_variables=False):
            return _measure(_build(keras, file), file.name, samples or ASSUMED_SAMPLES)

    return isolated(file.name, "configuration", "build", work)


def _build(keras: Any, file: ModelFile) -> Any:
    config = json.loads(json.dumps(file.config))  # Keras changes what it is given
    if file.kind == "keras":
        return keras.models.model_from_json(json.dumps(config))
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    return kind.from_config(config["config"])


def _measure(model: Any, name: str, samples: int) -> Structure:
    if not getattr(model, "built", False) or not getattr(model, "inputs", None):
        fix = "add keras.Input as its first layer"
        raise ModelError(name, "input", "has no fixed input shape", fix)
    n_made = sum(math.prod(weight.shape) for weight in _all_weights(model))
    limit = settings().max_model_params
    if n_made > limit:
        problem = f"would take {n_made:.3g} weights (limit {limit:.3g})"
        fix = "raise ECGXAI_MAX_MODEL_PARAMS if the file is to be trusted"
        raise ModelError(name, "weights", problem, fix)
    inputs = tuple(tuple(tensor.shape) for tensor in model.inputs)
    names = output_names(model)
    outputs = tuple(
        Output(label, tuple(tensor.shape), _activation(tensor))
        for label, tensor in zip(names, model.outputs, strict=True)
    )
    n_params = sum(math.prod(weight.shape) for weight in model.weights)
    leads_first = len(inputs) == 1 and _leads_first(inputs[0])
    opened = plain(model, name, leads_first, weights=False)
    if len(inputs) == 1:
        inputs = (tuple(opened.inputs[0].shape),)
    parts = list(_operations(opened))
    _check_ranks(parts, name)
    operations = sum(_cost(operation, name, samples) for operation in parts)
    steps = float(sum(_steps(operation, samples) for operation in parts))
    for number, most, what in (
        (operations, MAX_OPERATIONS, "operations"),
        (steps, MAX_STEPS, "steps, one after another,"),
    ):
        if number > most:
            problem = f"takes {number:.3g} {what} for one record (limit {most:.3g})"
            raise ModelError(name, "size", problem, "use a smaller model")
    return Structure(inputs, outputs, n_params, operations, receptive_field(opened), leads_first)


def _check_ranks(operations: list[Any], name: str) -> None:
    """Operators of Keras 2 that became layers, which line up axes of unequal number otherwise."""
    for operation in operations:
        if not str(operation.name).startswith(OF_OPERATORS):
            continue
        for node in getattr(operation, "_inbound_nodes", []):
            if len({len(tensor.shape) for tensor in node.input_tensors}) > 1:
                problem = "joins results of different ranks, which Keras 3 does otherwise"
                fix = "use a Keras layer for it, with a Reshape before"
                raise ModelError(name, f"layer {operation.name!r}", problem, fix)


def _leads_first(shape: Shape) -> bool:
    """Whether an input is ``[record, lead, sample]``, a last axis of one aside: leads are few."""
    if len(shape) not in (3, 4):
        return False
    first, second, few = shape[1], shape[2], len(STANDARD_LEADS)
    return first is not None and first <= few and (second is None or second > few)


def _all_weights(model: Any) -> list[Any]:
    """Every weight that Keras made, those of layers that lead to no output included.

    Such layers are not part of the model, and Keras would allocate them all the same. The scope
    keeps them in a list of this thread.
    """
    from keras.src.backend.common import global_state

    made = global_state.get_global_attribute("uninitialized_variables") or []
    return list({id(weight): weight for weight in (*made, *model.weights)}.values())


def output_names(model: Any) -> tuple[str, ...]:
    """Names of the outputs: the keys of a dict, else the names of the layers they come from."""
    structure = getattr(model, "output", None)
    if isinstance(structure, dict) and len(structure) == len(model.outputs):
        by_tensor = {id(tensor): str(key) for key, tensor in structure.items()}
        return tuple(by_tensor.get(id(tensor), "") for tensor in model.outputs)
    return tuple(str(tensor._keras_history.operation.name) for tensor in model.outputs)


def _operations(model: Any) -> Iterator[Any]:
    """All layers and operations, those of nested models and wrappers included."""
    stack, seen = [model], set()
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack += list(
            getattr(current, "operations", None) or getattr(current, "layers", None) or []
        )
        inner = getattr(current, "_functional", None)
        if inner is not None:
            stack.append(inner)


def _steps(operation: Any, samples: int) -> int:
    """Steps that a recurrent layer takes for one record, one after another."""
    weight = _STEP_WEIGHTS.get(type(operation).__name__, 0)
    if not weight:
        return 0
    lengths = [
        _dims(tensor.shape, samples)[0]
        for node in getattr(operation, "_inbound_nodes", [])
        for tensor in getattr(node, "input_tensors", [])[:1]  # the others are states
        if len(tensor.shape) > 1
    ]
    return weight * sum(lengths)


def _unfolded(operation: Any, length: int) -> int:
    """Length to which a dilated convolution fills its input up before it takes every n-th value."""
    dilation = max(_numbers(getattr(operation, "dilation_rate", 1)), default=1)
    kernel = max(_numbers(getattr(operation, "kernel_size", 1)), default=1)
    return length + dilation * kernel if dilation > 1 else 0


def _numbers(value: Any) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [int(value)]


def _cost(operation: Any, name: str, samples: int) -> float:
    """Multiplications of one layer for one record; refuses results that are too large."""
    weights = sum(math.prod(w.shape) for w in getattr(operation, "weights", []))
    nested = bool(getattr(operation, "operations", None) or getattr(operation, "layers", None))
    total = 0.0
    for node in getattr(operation, "_inbound_nodes", []):
        outer = [_dims(tensor.shape, samples) for tensor in node.output_tensors]
        inner = [_dims(tensor.shape, samples) for tensor in getattr(node, "input_tensors", [])]
        largest = max((math.prod(dims) for dims in outer), default=0)
        unfolded = [_unfolded(operation, dims[0]) * math.prod(dims[1:]) for dims in inner if dims]
        largest = max([largest, *unfolded])
        if "Attention" in type(operation).__name__:
            lengths = [dims[0] for dims in inner if dims] or [1]
            heads = int(getattr(operation, "num_heads", None) or 1)
            largest = max(largest, heads * max(lengths) ** 2)
        if largest > MAX_ACTIVATION:
            problem = f"makes {largest:.3g} values of one record (limit {MAX_ACTIVATION:.3g})"
            raise ModelError(name, f"layer {operation.name!r}", problem, "use a smaller model")
        positions = max((math.prod(dims[:-1]) for dims in outer + inner if dims), default=1)
        total += largest + (0 if nested else weights * positions)
    return total


def _dims(shape: Shape, samples: int) -> tuple[int, ...]:
    """Dimensions without the batch; open ones as long as the record."""
    return tuple(samples if size is None else int(size) for size in shape[1:])


def _activation(tensor: Any) -> str | None:
    """Name of the function that makes an output, where the last layer tells."""
    operation = tensor._keras_history.operation
    inner = getattr(operation, "outputs", None)
    if inner and len(inner) == 1 and inner[0] is not tensor:  # a nested model
        return _activation(inner[0])
    if type(operation).__name__ in {"Softmax", "Sigmoid"}:
        return str(type(operation).__name__.lower())
    function = getattr(operation, "activation", None)
    return getattr(function, "__name__", None)


# ---- does it fit the manifest? ---------------------------------------------------------------


def check_fit(structure: Structure, manifest: Manifest, name: str) -> int:
    """Compare a model with its manifest; returns which output holds the classes.

    Raises
    ------
    ModelError
        Several inputs, another input shape, several outputs without names for them, another number
        of classes, or an activation that contradicts ``output``.
    """
    _check_input(structure, manifest, name)
    index = _output_index(structure, manifest, name)
    output, n_classes = structure.outputs[index], len(manifest.classes)
    field = f"output {output.name!r}"
    if len(output.shape) != 2 or output.shape[1] != n_classes:
        problem = f"has shape {_text(output.shape)}; the manifest names {n_classes} classes"
        fix = "one output column per class, in the order of 'classes'"
        raise ModelError(name, field, problem, fix)
    contradictions = {
        "probability": ("linear",),
        "logit": ("sigmoid", "softmax"),
        "softmax": ("sigmoid", "softmax"),
    }
    if output.activation in contradictions[manifest.output]:
        kind = manifest.output
        problem = f"ends in {output.activation!r}, so its values are not of kind {kind!r}"
        raise ModelError(name, field, problem, "correct 'output' in the manifest")
    return index


def _check_input(structure: Structure, manifest: Manifest, name: str) -> None:
    count, n_leads = len(structure.inputs), len(manifest.leads)
    if count != 1:
        shapes = ", ".join(_text(shape) for shape in structure.inputs)
        problem = f"takes {count} inputs ({shapes}); only one, the ECG, is supported"
        raise ModelError(name, "inputs", problem, "build a model that takes the signal alone")
    shape = structure.inputs[0]
    samples = manifest.network_samples
    lengths = (None, samples)
    if len(shape) == 3 and shape[2] == n_leads and shape[1] in lengths:
        return
    fix = "correct 'samples' and 'leads' in the manifest"
    wanted = f"(samples, leads) = ({samples}, {n_leads})"
    problem = f"has shape {_text(shape)}; the manifest says {wanted}"
    raise ModelError(name, "input", problem, fix)


def _output_index(structure: Structure, manifest: Manifest, name: str) -> int:
    names = [output.name for output in structure.outputs]
    known = ", ".join(names)
    if manifest.outputs is None:
        if len(names) == 1:
            return 0
        fix = 'name the one that holds the classes: "outputs": {"probability": "NAME"}'
        raise ModelError(name, "outputs", f"has {len(names)} outputs ({known})", fix)
    for wanted in (manifest.outputs.probability, *manifest.outputs.attention):
        if names.count(wanted) != 1:
            problem, fix = f"is not one of the model's outputs ({known})", "correct 'outputs'"
            raise ModelError(name, f"output {wanted!r}", problem, f"{fix} in the manifest")
    return names.index(manifest.outputs.probability)


def _text(shape: Shape) -> str:
    """Shape without the batch."""
    return "(" + ", ".join("any" if size is None else str(size) for size in shape[1:]) + ")"
