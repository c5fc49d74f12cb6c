"""An ONNX file as plain nodes and arrays; nothing outside the file is opened, nothing is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ModelError

__all__ = ["Graph", "Node", "layout_of", "read_graph", "size_of_input"]

MOST_NODES = 20_000
OLDEST_OPSET = 9
MOST_LEADS = 16

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its kind, the names of what goes in and comes out, and its attributes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """A checked graph.

    Attributes
    ----------
    nodes
        In an order in which they can be computed.
    constants
        Arrays by name.
    inputs, outputs
        Shapes by name, in the file's order; ``None`` = open.
    opset
        Version of the operators.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    opset: int


def read_graph(data: bytes, name: str) -> Graph:
    """Read the graph of an ONNX file.

    Parameters
    ----------
    data
        Bytes of the file.
    name
        Its name, for errors.

    Raises
    ------
    ModelError
        No ONNX file, weights in other files, operators or functions of its own, subgraphs, or
        arrays that do not fit their shapes; or the package ``onnx`` is missing.
    """
    try:
        import onnx
    except ImportError:
        raise ModelError(
            name, "format", "is an ONNX file, and the package onnx is not installed",
            "pip install 'ecgxai_core[onnx]'",
        ) from None  # fmt: skip
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf raises its own kinds
        raise ModelError(
            name, "format", "is not an ONNX file, or is cut", "export the model again"
        ) from None
    graph = model.graph
    opset = max(
        (one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0
    )
    if opset < OLDEST_OPSET:
        raise _refused(name, "opset", f"{opset} is older than {OLDEST_OPSET}", "opset_version=17")
    if model.functions or len(graph.node) > MOST_NODES or graph.sparse_initializer:
        raise _refused(name, "graph", "has functions of its own, sparse arrays or too many nodes")
    constants = {one.name: _array(one, name) for one in graph.initializer}
    nodes = tuple(_node(one, name) for one in graph.node)
    return Graph(
        nodes,
        constants,
        {one.name: _shape(one) for one in graph.input if one.name not in constants},
        {one.name: _shape(one) for one in graph.output},
        opset,
    )


def layout_of(graph: Graph, name: str, samples: int, n_leads: int) -> str:
    """How the graph takes a record: ``"lead, sample"``, ``"sample, lead"`` or
    ``"1, lead, sample"``.

    Raises
    ------
    ModelError
        Several inputs, or one of another shape.
    """
    sizes = _single_input(graph, name)
    for layout, wanted in (
        ("lead, sample", (n_leads, samples)),
        ("sample, lead", (samples, n_leads)),
        ("1, lead, sample", (1, n_leads, samples)),
    ):
        if len(sizes) == len(wanted) and all(
            size in (None, want) for size, want in zip(sizes, wanted, strict=True)
        ):
            return layout
    text = ", ".join("any" if size is None else str(size) for size in sizes)
    raise ModelError(
        name, "input", f"has shape ({text}); the manifest says {samples} samples, {n_leads} leads",
        "correct 'samples' and 'leads' in the manifest",
    )  # fmt: skip


def size_of_input(graph: Graph, name: str) -> tuple[int | None, int]:
    """Samples (``None`` = any) and leads that the graph takes; leads are the short axis.

    Raises
    ------
    ModelError
        Several inputs, or a shape in which no axis can be the leads.
    """
    sizes = _single_input(graph, name)
    pair = sizes[-2:]
    if len(sizes) in (2, 3) and (len(sizes) == 2 or sizes[0] in (1, None)):
        first, second = pair
        if first is not None and first <= MOST_LEADS:
            return second, first
        if len(sizes) == 2 and second is not None and second <= MOST_LEADS:
            return first, second
    text = ", ".join("any" if size is None else str(size) for size in sizes)
    raise ModelError(
        name, "input", f"has shape ({text}), in which no axis can be the leads",
        "export it with a fixed number of leads: [record, lead, sample]",
    )  # fmt: skip


def _single_input(graph: Graph, name: str) -> tuple[int | None, ...]:
    if len(graph.inputs) != 1:
        raise ModelError(
            name, "inputs", f"takes {len(graph.inputs)} of them; only one, the ECG, is supported",
            "export a model that takes the signal alone",
        )  # fmt: skip
    return next(iter(graph.inputs.values()))[1:]


def _refused(
    name: str, field: str, problem: str, fix: str = "export it with torch.onnx.export"
) -> ModelError:
    return ModelError(name, field, problem, fix)


def _array(tensor: Any, name: str) -> Array:
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise _refused(
            name, f"array {tensor.name!r}", "lies in another file, which is not opened",
            "save everything in one file (save_as_external_data=False)",
        )  # fmt: skip
    try:
        array = np.asarray(numpy_helper.to_array(tensor))
        fits = array.size == math.prod(tensor.dims)
    except Exception:  # whatever does not fit
        fits = False
    if not fits or array.dtype.kind not in "fiub":
        raise _refused(
            name, f"array {tensor.name!r}", "does not fit its shape, or holds no numbers"
        )
    return array


def _node(node: Any, name: str) -> Node:
    from onnx import AttributeProto, helper

    if node.domain not in ("", "ai.onnx"):
        raise _refused(
            name, f"node {node.name!r}", f"is {node.domain}.{node.op_type}, an operator of its own"
        )
    attributes: dict[str, Any] = {}
    for one in node.attribute:
        if one.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise _refused(name, f"node {node.name!r}", f"{node.op_type} holds a graph of its own")
        value = helper.get_attribute_value(one)
        if one.type == AttributeProto.TENSOR:
            value = _array(value, name)
        attributes[one.name] = (
            value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        )
    return Node(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes)


def _shape(value: Any) -> tuple[int | None, ...]:
    return tuple(
        one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None
        for one in value.type.tensor_type.shape.dim
    )
