"""An ONNX graph rebuilt as a Keras network, so that every method and the exact engine work."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.onnx.builder import Array, Builder, CannotBuild, Makers, Value
from ecgxai_core.models.onnx.constants import CONSTANTS, FOLDED, fold
from ecgxai_core.models.onnx.graph import Graph, layout_of
from ecgxai_core.models.onnx.operators import OPERATORS
from ecgxai_core.models.onnx.spatial import SPATIAL

__all__ = ["keras_bytes"]

_MAKERS: Makers = {**CONSTANTS, **SPATIAL, **OPERATORS}


def keras_bytes(graph: Graph, name: str, samples: int, n_leads: int) -> bytes:
    """The graph as a ``.keras`` file that takes ``[record, sample, lead]``.

    Parameters
    ----------
    graph
        From :func:`ecgxai_core.models.onnx.graph.read_graph`.
    name
        Of the file, for errors.
    samples, n_leads
        Size of the input, from the manifest.

    Raises
    ------
    ModelError
        The input is none of ``[n, lead, sample]``, ``[n, sample, lead]``, ``[n, 1, lead, sample]``.
    CannotBuild
        The graph has no form in ordinary Keras layers.
    """
    keras = import_keras()
    builder = Builder(keras.layers, graph.opset)
    given = keras.Input((samples, n_leads), name="ecg")
    source = _given(builder, graph, name, given, samples, n_leads)
    results = _run(builder, graph, source)
    named = {
        f"output_{k}" if not label.isidentifier() else label: builder.in_onnx_order(value)
        for k, (label, value) in enumerate(results.items())
    }
    model = keras.Model(given, next(iter(named.values())) if len(named) == 1 else named)
    for layer, weights in builder.weights:
        layer.set_weights(weights)
    with tempfile.TemporaryDirectory(prefix="ecgxai-") as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


def _given(
    builder: Builder, graph: Graph, name: str, given: Any, samples: int, n_leads: int
) -> Value:
    """The Keras input as the input of the graph."""
    layout = layout_of(graph, name, samples, n_leads)
    if layout == "lead, sample":
        return Value(given, (0, 2, 1))
    if layout == "sample, lead":
        return Value(given, (0, 1, 2))
    # Keras [n, sample, lead, 1] holds ONNX [n, 1, lead, sample]
    wide = builder.add(builder.layers.Reshape((samples, n_leads, 1)), given)
    return Value(wide, (0, 3, 2, 1))


def _run(builder: Builder, graph: Graph, source: Value) -> dict[str, Value]:
    """Build all nodes in their order; the outputs of the graph."""
    known: dict[str, Value | Array] = dict(graph.constants)
    known[next(iter(graph.inputs))] = source
    for node in graph.nodes:
        unknown = [name for name in node.inputs if name and name not in known]
        if unknown:
            raise CannotBuild(f"{unknown[0]}, a further result of an operator")
        inputs = [known[name] if name else None for name in node.inputs]
        if node.kind in FOLDED and all(isinstance(one, np.ndarray) for one in inputs):
            found: Value | Array = fold(node, inputs)
        elif node.kind in _MAKERS:
            found = _MAKERS[node.kind](builder, node, inputs)
        else:
            raise CannotBuild(f"operator {node.kind}")
        known[node.outputs[0]] = found
    results: dict[str, Value] = {}
    for name in graph.outputs:
        value = known.get(name)
        if not isinstance(value, Value):
            raise CannotBuild(f"output {name} that does not depend on the record")
        results[name] = value
    return results
