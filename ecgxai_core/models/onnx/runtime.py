"""An ONNX file run by ONNX Runtime: predictions without gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_classifier import calibrated
from ecgxai_core.models.locality import NotLocal
from ecgxai_core.models.manifest import Manifest, model_digest
from ecgxai_core.models.onnx.graph import Graph, layout_of
from ecgxai_core.models.protocol import Masking
from ecgxai_core.models.windows import combined
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, Float32Array

__all__ = ["OnnxClassifier", "activation_of"]

MAX_VALUES = 2**24
"""Values of one intermediate result for one record (64 MB)."""

_TRANSPARENT = {"Identity", "Reshape", "Squeeze", "Flatten", "Cast"}


def activation_of(graph: Graph, output: str) -> str | None:
    """``sigmoid``, ``softmax`` or ``linear`` where the last node tells, else ``None``."""
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    node = made_by.get(output)
    while node is not None and node.kind in _TRANSPARENT:
        node = made_by.get(node.inputs[0])
    if node is None:
        return None
    known = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Gemm": "linear", "MatMul": "linear"}
    return known.get(node.kind, "linear" if node.kind in ("Add", "Sub", "Mul", "Div") else None)


class OnnxClassifier:
    """A model that runs through ONNX Runtime, for methods that need no gradients.

    Records go through one by one, so that a result never depends on its neighbours.

    Parameters
    ----------
    data
        Bytes of the file.
    graph
        What was read of it.
    manifest
        Its manifest.
    name
        File name, for errors.
    reason
        Why the graph was not rebuilt as a Keras network; empty while that is not known.

    Raises
    ------
    ModelError
        The graph does not fit the manifest, is too large, or ONNX Runtime refuses it.
    """

    def __init__(
        self, data: bytes, graph: Graph, manifest: Manifest, name: str, reason: str = ""
    ) -> None:
        self.manifest, self.name, self.reason = manifest, name, reason
        self.digest = model_digest(manifest)
        self._layout = layout_of(graph, name, manifest.network_samples, len(manifest.leads))
        self._input = next(iter(graph.inputs))
        self._output = _output_of(graph, manifest, name)
        ends_in = activation_of(graph, self._output)
        largest = manifest.windows is not None and manifest.windows.combine == "max"
        self.is_softmax = "softmax" in (manifest.output, ends_in) and not largest
        self._session = _session(data, name)

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes of the output columns."""
        return self.manifest.classes

    def predict(self, values: Float32Array) -> Float32Array:
        """Probabilities ``float32[n, class]``, temperature applied.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]``, model units and lead order.

        Raises
        ------
        ModelError
            Another shape than the model's, or a result that is no probability.
        """
        shape = (self.manifest.samples, len(self.manifest.leads))
        if values.ndim != 3 or values.shape[1:] != shape or values.dtype != np.float32:
            problem = (
                f"got {values.dtype}{list(values.shape)}, takes float32[n, {shape[0]}, {shape[1]}]"
            )
            fix = "prepare records with models.preprocess.prepare"
            raise ModelError(self.name, "input", problem, fix)
        rows = np.zeros((len(values), len(self.classes)), np.float32)
        for row, one in enumerate(values):
            check_stop()
            length = self.manifest.network_samples
            windows = [self._raw(one[k : k + length]) for k in self.manifest.window_starts]
            rows[row] = combined(np.stack(windows), self.manifest)
        found = calibrated(rows, self.manifest, self.is_softmax)
        if not np.all((found >= 0) & (found <= 1)):
            raise ModelError(
                self.name, "output", "gives values outside [0, 1], or not finite, for this input",
                "check 'output', 'units' and 'normalisation' in the manifest",
            )  # fmt: skip
        return found

    @property
    def batch_size(self) -> int:
        """Records of one forward pass."""
        return 1

    def predict_masked(self, masking: Masking, keep: BoolArray) -> Float32Array:
        """Probabilities of masked records; ``keep`` is ``bool[n, lead, segment]``."""
        return self.predict(masking.signals(keep))

    def local_part(self) -> NotLocal:
        """Why there is none."""
        return NotLocal(f"it runs through ONNX Runtime: {self.reason or 'not rebuilt'}")

    def _raw(self, one: Float32Array) -> Float32Array:
        given = one if self._layout == "sample, lead" else np.ascontiguousarray(one.T)
        given = given[None, None] if self._layout == "1, lead, sample" else given[None]
        try:
            (found,) = self._session.run([self._output], {self._input: given})
        except Exception as error:  # whatever ONNX Runtime raises
            raise _unable(self.name, "predict", error) from None
        row = np.asarray(found, dtype=np.float32).reshape(-1)
        if row.shape != (len(self.classes),):
            problem = f"gives {row.size} values; the manifest names {len(self.classes)} classes"
            fix = "one output column per class, in the order of 'classes'"
            raise ModelError(self.name, "output", problem, fix)
        return row


def _output_of(graph: Graph, manifest: Manifest, name: str) -> str:
    names = list(graph.outputs)
    if manifest.outputs is not None:
        if manifest.outputs.probability not in names:
            problem = f"{manifest.outputs.probability!r} is not one of {', '.join(names)}"
            raise ModelError(name, "outputs", problem, "correct 'outputs' in the manifest")
        return manifest.outputs.probability
    if len(names) != 1:
        fix = 'name the one that holds the classes: "outputs": {"probability": "NAME"}'
        raise ModelError(name, "outputs", f"has {len(names)} outputs ({', '.join(names)})", fix)
    return names[0]


def _session(data: bytes, name: str) -> Any:
    """A session on the processor, after the sizes of all results were looked at."""
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(
            name, "format", "is an ONNX file, and the package onnxruntime is not installed",
            "pip install 'ecgxai_core[onnx]'",
        ) from None  # fmt: skip
    _check_sizes(data, name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _unable(name, "load", error) from None


def _check_sizes(data: bytes, name: str) -> None:
    """Every result has a known size for one record, and none is too large."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
        for value in (*model.graph.input, *model.graph.output):
            dims = value.type.tensor_type.shape.dim
            if dims:
                dims[0].dim_value = 1
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        raise _unable(name, "measure", error) from None
    for value in inferred.graph.value_info:
        sizes = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        if math.prod(sizes) > MAX_VALUES:
            problem = f"makes {math.prod(sizes):.3g} values of one record (limit {MAX_VALUES:.3g})"
            raise ModelError(name, f"result {value.name!r}", problem, "use a smaller model")


def _unable(name: str, doing: str, error: Exception) -> ModelError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(
        name, "model", f"ONNX Runtime cannot {doing} it ({said})", "check that it runs there"
    )
