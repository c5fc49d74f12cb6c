"""The same network of ordinary layers in one graph, so that methods can look inside.

A backbone that is a layer of its own, a permutation that another one undoes, and an average that is
an operation instead of a layer hide a network from Grad-CAM, LRP and the exact engine. Here nested
models are opened; layers keep their weights and order of computation.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_runtime import import_keras

__all__ = ["plain", "set_weights"]

MOST_LAYERS = 5_000
"""Calls of layers after opening; the largest network of the tests has some 300. Models that hold
each other twice over double with each level."""

PARITY = 1e-5
"""Largest difference of an output, on rows of noise."""

ROWS = 2
SAMPLES = 1000
"""Length of these rows where the model takes any."""

_POOLED = {"Mean": "GlobalAveragePooling1D", "Max": "GlobalMaxPooling1D"}


def plain(model: Any, name: str, leads_first: bool = False, weights: bool = True) -> Any:
    """A network that takes ``[record, sample, lead]``; the model itself where it is plain already.

    Parameters
    ----------
    model
        A functional or sequential Keras model of one input.
    name
        File name, for errors.
    leads_first
        Its input is ``[record, lead, sample]``.
    weights
        Whether to copy them; not where they have no values.

    Raises
    ------
    ModelError
        The models in it open into more than :data:`MOST_LAYERS` layers, or give another output
        when opened.
    """
    given = model.inputs[0]
    if len(model.inputs) != 1 or not (
        leads_first or len(given.shape) == 4 or _hides_something(model)
    ):
        return model
    keras = import_keras()
    opening = _Opening(keras, name)
    batch, *sizes = given.shape
    first, second = sizes[:2]
    turned = (second, first) if leads_first else (first, second)
    source = ecg = keras.Input(batch_shape=(batch, *turned), name="ecg")
    opening.names.add("ecg")
    if leads_first:
        source = opening.permuted(source, (2, 1))
    if len(sizes) == 3:
        ones = tuple(-1 if size is None else size for size in sizes)
        source = keras.layers.Reshape(ones, name=opening.named("with_one_channel"))(source)
    results = opening.through(model, [source])
    made = keras.Model(ecg, results, name=model.name)
    if weights:
        for old, new in opening.layers.values():
            set_weights(new, old.get_weights())
        _check_same(model, made, name, leads_first)
    return made


def set_weights(layer: Any, weights: list[Any]) -> None:
    """Set the weights of a layer or model, and what layers derive from them."""
    layer.set_weights(weights)
    for inner in layer._flatten_layers():
        derive = getattr(inner, "finalize_state", None)
        if derive is not None:
            derive()


def _check_same(model: Any, made: Any, name: str, leads_first: bool) -> None:
    batch, samples, n_leads = made.inputs[0].shape
    shape = (batch or ROWS, samples or SAMPLES, n_leads)
    rows = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    given = rows.transpose(0, 2, 1) if leads_first else rows
    if len(model.inputs[0].shape) == 4:
        given = given[..., None]
    flatten = import_keras().tree.flatten
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a list of one input for one
        found = [flatten(model(given, training=False)), flatten(made(rows, training=False))]
    pairs = zip(*found, strict=True)
    gap = max(float(np.abs(np.asarray(old) - np.asarray(new)).max()) for old, new in pairs)
    if not gap <= PARITY:
        problem = f"the models in it give another output when they are opened (by {gap:.2g})"
        raise ModelError(name, f"model {model.name!r}", problem, "save it as one model of layers")


def _hides_something(model: Any) -> bool:
    keras = import_keras()
    functional = getattr(model, "_functional", None) or model
    kinds = [type(operation).__name__ for operation in functional.operations]
    return (
        any(isinstance(operation, keras.Model) for operation in functional.operations)
        or kinds.count("Permute") > 1
        or any(kind in _POOLED for kind in kinds)
    )


class _Opening:
    """One walk through a model; each layer is copied once, however often it is called."""

    def __init__(self, keras: Any, name: str) -> None:
        self.keras = keras
        self.name = name
        self.names: set[str] = set()
        self.layers: dict[int, tuple[Any, Any]] = {}
        self.calls = 0

    def through(self, model: Any, sources: list[Any]) -> Any:
        """What the copied layers of a model make of its inputs, in the structure of its outputs."""
        functional = getattr(model, "_functional", None) or model
        known = {id(old): new for old, new in zip(functional.inputs, sources, strict=True)}
        by_depth = functional._nodes_by_depth
        for depth in sorted(by_depth, reverse=True):
            for node in by_depth[depth]:
                if node.is_input or any(id(one) not in known for one in node.input_tensors):
                    continue
                args, kwargs = node.arguments.fill_in(known)
                found = self.keras.tree.flatten(self._applied(node.operation, model, args, kwargs))
                known.update(
                    {id(old): new for old, new in zip(node.output_tensors, found, strict=True)}
                )
        results = [known[id(tensor)] for tensor in functional.outputs]
        return self.keras.tree.pack_sequence_as(functional._outputs_struct, results)

    def named(self, wanted: str, within: str = "") -> str:
        """A name that no other layer has."""
        tries = (wanted, f"{within}_{wanted}", *(f"{wanted}_{k}" for k in range(2, MOST_LAYERS)))
        name = next(text for text in tries if text not in self.names)
        self.names.add(name)
        return name

    def permuted(self, source: Any, dims: tuple[int, ...]) -> Any:
        """A permutation, together with the one before it if there is one."""
        before = source._keras_history.operation
        if type(before).__name__ == "Permute":
            dims = tuple(before.dims[axis - 1] for axis in dims)
            (source,) = before._inbound_nodes[source._keras_history.node_index].input_tensors
        if dims == tuple(range(1, len(dims) + 1)):
            return source
        return self.keras.layers.Permute(dims, name=self.named("permute"))(source)

    def _applied(self, operation: Any, model: Any, args: Any, kwargs: Any) -> Any:
        self.calls += 1
        if self.calls > MOST_LAYERS:
            problem = f"the models in it open into more than {MOST_LAYERS} layers"
            raise ModelError(self.name, f"model {model.name!r}", problem, "use a smaller model")
        kind = type(operation).__name__
        if isinstance(operation, self.keras.Model):
            return self.through(operation, self.keras.tree.flatten(args))
        if kind == "Permute":
            return self.permuted(args[0], tuple(operation.dims))
        if isinstance(operation, self.keras.Layer):
            return self._copied(operation, model)(*args, **kwargs)
        if kind in _POOLED and operation.axis in (1, [1], (1,)) and len(args[0].shape) == 3:
            make = getattr(self.keras.layers, _POOLED[kind])
            name = self.named(operation.name, model.name)
            return make(keepdims=bool(operation.keepdims), name=name)(args[0])
        return operation(*args, **kwargs)

    def _copied(self, layer: Any, model: Any) -> Any:
        if id(layer) not in self.layers:
            config = {**layer.get_config(), "name": self.named(layer.name, model.name)}
            self.layers[id(layer)] = (layer, type(layer).from_config(config))
        return self.layers[id(layer)][1]
