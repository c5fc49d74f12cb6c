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

from ecgxai_core.errors import EcgXaiError, ModelError
from ecgxai_core.models.keras_runtime import import_keras, in_fresh_thread, state_unchanged
from ecgxai_core.models.locality import receptive_field
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.model_file import ModelFile
from ecgxai_core.settings import settings

__all__ = ["Output", "Structure", "check_fit", "examine", "output_names"]

Shape = tuple[int | None, ...]

MAX_ACTIVATION = 2**24
"""Values of one intermediate result for one record (64 MB); the reference model has 1.3 million."""

MAX_OPERATIONS = 2e11
"""Multiplications for one record; the reference model has 2.6e9."""

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
    """

    inputs: tuple[Shape, ...]
    outputs: tuple[Output, ...]
    n_params: int
    operations: float
    receptive_field: int | None = None


def examine(file: ModelFile) -> Structure:
    """Build a model without allocating it.

    Parameters
    ----------
    file
        A checked model file.

    Raises
    ------
    ModelError
        Keras cannot build it, or it would take more than the limits.
    """
    keras = import_keras()

    def work() -> Structure:
        with state_unchanged(keras, file.name), keras.StatelessScope(initialize_variables=False):
            return _measure(_build(keras, file), file.name)

    try:
        return in_fresh_thread(work)
    except EcgXaiError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        raise ModelError(
            file.name,
            "configuration",
            f"Keras cannot build it ({type(error).__name__}: {error})",
            "save the model again with the current version of Keras",
        ) from None


def _build(keras: Any, file: ModelFile) -> Any:
    config = json.loads(json.dumps(file.config))  # Keras changes what it is given
    if file.kind == "keras":
        return keras.models.model_from_json(json.dumps(config))
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    return kind.from_config(config["config"])


def _measure(model: Any, name: str) -> Structure:
    if not getattr(model, "built", False) or not getattr(model, "inputs", None):
        raise ModelError(
            name, "input", "has no fixed input shape", "add keras.Input as its first layer"
        )
    n_made = sum(math.prod(weight.shape) for weight in _all_weights(model))
    limit = settings().max_model_params
    if n_made > limit:
        raise ModelError(
            name,
            "weights",
            f"would take {n_made:.3g} weights (limit {limit:.3g})",
            "raise ECGXAI_MAX_MODEL_PARAMS if the file is to be trusted",
        )
    operations = sum(_cost(operation, name) for operation in _operations(model))
    if operations > MAX_OPERATIONS:
        raise ModelError(
            name, "size", f"takes {operations:.1g} operations a record", "use a smaller model"
        )
    inputs = tuple(tuple(tensor.shape) for tensor in model.inputs)
    names = output_names(model)
    outputs = tuple(
        Output(label, tuple(tensor.shape), _activation(tensor))
        for label, tensor in zip(names, model.outputs, strict=True)
    )
    n_params = sum(math.prod(weight.shape) for weight in model.weights)
    return Structure(inputs, outputs, n_params, operations, receptive_field(model))


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


def _cost(operation: Any, name: str) -> float:
    """Multiplications of one layer for one record; refuses results that are too large."""
    weights = sum(math.prod(w.shape) for w in getattr(operation, "weights", []))
    nested = bool(getattr(operation, "operations", None) or getattr(operation, "layers", None))
    total = 0.0
    for node in getattr(operation, "_inbound_nodes", []):
        outer = [_dims(tensor.shape) for tensor in node.output_tensors]
        inner = [_dims(tensor.shape) for tensor in getattr(node, "input_tensors", [])]
        largest = max((math.prod(dims) for dims in outer), default=0)
        if "Attention" in type(operation).__name__:
            lengths = [dims[0] for dims in inner if dims] or [1]
            heads = int(getattr(operation, "num_heads", None) or 1)
            largest = max(largest, heads * max(lengths) ** 2)
        if largest > MAX_ACTIVATION:
            raise ModelError(
                name,
                f"layer {operation.name!r}",
                f"makes {largest:.3g} values of one record (limit {MAX_ACTIVATION:.3g})",
                "use a smaller model",
            )
        positions = max((math.prod(dims[:-1]) for dims in outer + inner if dims), default=1)
        total += largest + (0 if nested else weights * positions)
    return total


def _dims(shape: Shape) -> tuple[int, ...]:
    """Dimensions without the batch; open ones at an assumed length."""
    return tuple(ASSUMED_SAMPLES if size is None else int(size) for size in shape[1:])


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
    output = structure.outputs[index]
    if len(output.shape) != 2 or output.shape[1] != len(manifest.classes):
        raise ModelError(
            name,
            f"output {output.name!r}",
            f"has shape {_text(output.shape)}; the manifest names {len(manifest.classes)} classes",
            "one output column per class, in the order of 'classes'",
        )
    contradiction = {
        "probability": ("linear",),
        "logit": ("sigmoid", "softmax"),
    }[manifest.output]
    if output.activation in contradiction:
        raise ModelError(
            name,
            f"output {output.name!r}",
            f"ends in {output.activation!r}, so its values are not of kind {manifest.output!r}",
            "correct 'output' in the manifest",
        )
    return index


def _check_input(structure: Structure, manifest: Manifest, name: str) -> None:
    if len(structure.inputs) != 1:
        shapes = ", ".join(_text(shape) for shape in structure.inputs)
        raise ModelError(
            name,
            "inputs",
            f"takes {len(structure.inputs)} inputs ({shapes}); only one, the ECG, is supported",
            "build a model that takes the signal alone",
        )
    shape = structure.inputs[0]
    n_leads = len(manifest.leads)
    wanted = f"(samples, leads) = ({manifest.samples}, {n_leads})"
    if len(shape) == 3 and shape[2] == n_leads and shape[1] in (None, manifest.samples):
        return
    turned = len(shape) == 3 and shape[1] == n_leads and shape[2] in (None, manifest.samples)
    raise ModelError(
        name,
        "input",
        f"has shape {_text(shape)}; the manifest says {wanted}",
        "put keras.layers.Permute((2, 1)) before it, so that leads come last"
        if turned
        else "correct 'samples' and 'leads' in the manifest",
    )


def _output_index(structure: Structure, manifest: Manifest, name: str) -> int:
    names = [output.name for output in structure.outputs]
    if manifest.outputs is None:
        if len(names) == 1:
            return 0
        raise ModelError(
            name,
            "outputs",
            f"has {len(names)} outputs ({', '.join(names)})",
            'name the one that holds the classes: "outputs": {"probability": "NAME"}',
        )
    for wanted in (manifest.outputs.probability, *manifest.outputs.attention):
        if names.count(wanted) != 1:
            raise ModelError(
                name,
                f"output {wanted!r}",
                f"is not one of the model's outputs ({', '.join(names)})",
                "correct 'outputs' in the manifest",
            )
    return names.index(manifest.outputs.probability)


def _text(shape: Shape) -> str:
    """Shape without the batch."""
    return "(" + ", ".join("any" if size is None else str(size) for size in shape[1:]) + ")"
