"""An ONNX file as a classifier: rebuilt in Keras where that gives the same numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_classifier import KerasClassifier, probe_rows
from ecgxai_core.models.keras_runtime import isolated
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.onnx.build import keras_bytes
from ecgxai_core.models.onnx.builder import CannotBuild
from ecgxai_core.models.onnx.graph import Graph, read_graph, size_of_input
from ecgxai_core.models.onnx.runtime import OnnxClassifier, activation_of
from ecgxai_core.models.safe.structure import Output, Structure

__all__ = ["examine_onnx", "load_onnx"]

log = logging.getLogger(__name__)

PARITY = 1e-4
"""Largest difference of a probability, on the probe rows."""


def load_onnx(
    data: bytes,
    manifest: Manifest,
    name: str,
    load_keras: Callable[[bytes, Manifest, str], KerasClassifier],
) -> KerasClassifier | OnnxClassifier:
    """Load an ONNX model.

    Parameters
    ----------
    data, manifest, name
        The file's bytes, its manifest and its name.
    load_keras
        Loads and checks the bytes of a ``.keras`` file as any other.

    Returns
    -------
    A :class:`KerasClassifier` where the graph has a form in ordinary Keras layers that agrees with
    ONNX Runtime to :data:`PARITY`, so that all methods and the exact engine work; else one that
    runs through ONNX Runtime, which has no gradients.

    Raises
    ------
    ModelError
        The file is refused, or does not fit its manifest.
    """
    graph = read_graph(data, name)
    by_runtime = OnnxClassifier(data, graph, manifest, name)
    built = _built(graph, manifest, name)
    if isinstance(built, bytes):
        classifier = load_keras(built, manifest, name)
        rows = probe_rows(manifest)
        gap = float(np.abs(classifier.predict(rows) - by_runtime.predict(rows)).max())
        if gap <= PARITY:
            return classifier
        built = f"the network rebuilt in Keras differs by {gap:.2g}"
    by_runtime.reason = built
    rows = probe_rows(manifest)
    if by_runtime.predict(rows).tobytes() != by_runtime.predict(rows).tobytes():
        problem = "gives another result each time for one record"
        fix = "export it without what is random (in PyTorch after module.eval())"
        raise ModelError(name, "model", problem, fix)
    log.warning("%s runs through ONNX Runtime, without gradients: %s", name, built)
    return by_runtime


def examine_onnx(data: bytes, name: str) -> Structure:
    """What an ONNX file says of itself: input, outputs and the number of weights.

    Raises
    ------
    ModelError
        The file is refused.
    """
    graph = read_graph(data, name)
    samples, n_leads = size_of_input(graph, name)
    outputs = tuple(
        Output(label, (None, *shape[1:]), activation_of(graph, label))
        for label, shape in graph.outputs.items()
    )
    n_params = sum(array.size for array in graph.constants.values() if array.dtype.kind == "f")
    return Structure(((None, samples, n_leads),), outputs, n_params, 0.0)


def _built(graph: Graph, manifest: Manifest, name: str) -> bytes | str:
    """A ``.keras`` file, or why there is none."""

    def work(_: Any) -> bytes | str:
        try:
            return keras_bytes(graph, name, manifest.network_samples, len(manifest.leads))
        except CannotBuild as reason:
            return f"there is no Keras layer for {reason}"

    try:
        return isolated(name, "graph", "rebuild", work)
    except ModelError as error:
        return str(error)
