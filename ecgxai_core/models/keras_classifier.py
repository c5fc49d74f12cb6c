"""A Keras model as a :class:`~ecgxai_core.models.protocol.Classifier`.

One compiled graph of one fixed batch size does all predictions, and the last batch is filled up
with zeros. With one shape there is one choice of kernels, so a row gives the same bytes whatever
stands beside it and however many rows there are.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.local_network import LocalNetwork, batches, filled
from ecgxai_core.models.locality import NotLocal, locality
from ecgxai_core.models.manifest import Manifest, model_digest
from ecgxai_core.models.protocol import Masking
from ecgxai_core.models.safe.structure import Structure
from ecgxai_core.models.training_range import TrainingRange
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, array_digest, content_seed

__all__ = ["KerasClassifier", "calibrated", "probe_rows"]

log = logging.getLogger(__name__)

TYPICAL_SIZE = {"mV": 1.0, "uV": 1000.0, "adc": 1000.0}
ROUNDING = 1e-5
BATCH = 4
"""Records of one forward pass: one record alone does not cost many, and many hardly cost more each
than in larger batches. Another number may choose other kernels, and change last digits."""

KEPT_ANSWERS = 256
"""Records of which it is remembered whether they are unlike the training data."""

PROBES = 8
"""Different rows with which a model is tried when it is loaded."""


class KerasClassifier:
    """A loaded and checked Keras model with its manifest.

    Made by :func:`ecgxai_core.models.loading.load_classifier`, which does the checks.

    Parameters
    ----------
    model
        The Keras model, also kept as ``keras_model`` for methods that need gradients.
    manifest
        Its manifest, whose SHA-256 is that of the model file.
    structure
        What was measured of it.
    output_index
        Which of its outputs holds the classes.
    name
        File name, for errors.
    """

    def __init__(
        self,
        model: Any,
        manifest: Manifest,
        structure: Structure,
        output_index: int,
        name: str,
    ) -> None:
        self.keras_model = model
        self.name = name
        self.manifest = manifest
        self.structure = structure
        self.digest = model_digest(manifest)
        self.output_index = output_index
        fixed = structure.inputs[0][0]  # some models are saved for one batch size only
        self.batch_size = BATCH if fixed is None else fixed
        self._forward = self._compiled((output_index,))
        self.training_range: TrainingRange | None = None
        self._unlike: dict[str, bool] = {}
        self._attention: Any = None
        self._features: Any = None
        self._masked: dict[int, Any] = {}
        self._local: LocalNetwork | NotLocal | None = None
        self._lock = threading.Lock()
        self._probe()

    @property
    def classes(self) -> tuple[str, ...]:
        """SNOMED-CT codes of the output columns."""
        return self.manifest.classes

    @property
    def is_softmax(self) -> bool:
        """Whether the classes exclude each other."""
        windows = self.manifest.windows
        if windows is not None and windows.combine == "max":
            return False  # the largest of several shares; they no longer sum to 1
        if self.manifest.output == "softmax":
            return True
        return self.structure.outputs[self.output_index].activation == "softmax"

    def predict(self, values: Float32Array) -> Float32Array:
        """Probabilities, temperature applied.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]``, model units and lead order; any ``n``.

        Returns
        -------
        ``float32[n, class]``, in [0, 1].

        Raises
        ------
        ModelError
            Another shape than the model's, or a result that is not a probability.
        """
        (raw,) = self._run(self._forward, values)
        return self._as_probabilities(raw)

    def predict_masked(self, masking: Masking, keep: BoolArray) -> Float32Array:
        """Probabilities of masked records, which are made on the device.

        The same bytes as ``predict(masking.signals(keep))``: checked at first use, and done that
        way where the check fails.

        Parameters
        ----------
        masking
            The model input and what replaces its cells.
        keep
            ``bool[n, lead, segment]``, leads in the model's order; ``False`` = masked.

        Returns
        -------
        ``float32[n, class]``, in [0, 1].
        """
        forward = self._masked_graph(masking.n_segments)
        if forward is None or not len(keep):
            return self.predict(masking.signals(keep))
        return self._as_probabilities(self._run_masked(forward, masking, keep))

    def _as_probabilities(self, raw: Float32Array) -> Float32Array:
        probabilities = calibrated(raw, self.manifest, self.is_softmax)
        if not np.all((probabilities >= 0) & (probabilities <= 1)):
            problem = "gives values outside [0, 1], or not finite, for this input"
            fix = "check 'output', 'units' and 'normalisation' in the manifest"
            raise ModelError(self.name, "output", problem, fix)
        return probabilities

    def attention(self, values: Float32Array) -> dict[str, Float32Array]:
        """The attention outputs that the manifest names, ``float32[n, ...]`` each; may be empty."""
        names = self.manifest.outputs.attention if self.manifest.outputs is not None else ()
        if not names:
            return {}
        if self._attention is None:
            known = [output.name for output in self.structure.outputs]
            self._attention = self._compiled(tuple(known.index(name) for name in names))
        return dict(zip(names, self._run(self._attention, values), strict=True))

    def features(self, values: Float32Array) -> Float32Array:
        """What enters the last dense layer, ``float32[n, feature]``.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]``, model units and lead order.

        Raises
        ------
        ModelError
            The model does not end in a dense layer over features.
        """
        if self._features is None:
            self._features = self._compiled_features()
        (found,) = self._run(self._features, values)
        return found

    @property
    def range_digest(self) -> str:
        """SHA-256 of the training range; empty without one."""
        return self.training_range.digest if self.training_range is not None else ""

    def unlike_training(self, values: Float32Array) -> BoolArray:
        """Whether records are unlike the training data, ``bool[n]``; ``False`` where the model
        has no :class:`~ecgxai_core.models.training_range.TrainingRange`.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]``, model units and lead order.
        """
        found = self.training_range
        if found is None:
            return np.zeros(len(values), np.bool_)
        # Every method and target of a record asks the same again.
        keys = [array_digest(row) for row in values]
        known = self._unlike
        new = [place for place, key in enumerate(keys) if key not in known]
        if new:
            far = found.distance(self.features(values[new])) > found.limit
            fresh = {keys[place]: bool(odd) for place, odd in zip(new, far, strict=True)}
            known = {**known, **fresh}
            self._unlike = known if len(known) <= KEPT_ANSWERS else fresh
        return np.array([known[key] for key in keys], np.bool_)

    def local_part(self) -> LocalNetwork | NotLocal:
        """The network cut at its pooling over time, or why it cannot be cut; made at first use."""
        with self._lock:
            if self._local is None:
                self._local = self._cut()
            return self._local

    # ---- inside ------------------------------------------------------------------------------

    def _cut(self) -> LocalNetwork | NotLocal:
        if self.manifest.windows is not None:
            return NotLocal("the network sees the record in windows, whose answers are combined")
        found = locality(self.keras_model, self.manifest.samples)
        if isinstance(found, NotLocal):
            return found
        outer = {"logit": "sigmoid", "softmax": "softmax"}.get(self.manifest.output, "")
        return LocalNetwork(
            self.keras_model,
            found,
            self.output_index,
            lambda raw: calibrated(raw, self.manifest, self.is_softmax),
            (outer, self.manifest.temperature),
        )

    def _masked_graph(self, n_segments: int) -> Any:
        """A graph that masks a batch and predicts it, for up to so many segments; or ``None``."""
        width = 1 << n_segments.bit_length()  # few shapes are compiled; one column is never masked
        with self._lock:
            if width not in self._masked:
                graph = self._compiled_masked(width)
                self._masked[width] = graph if self._same_masked(graph) else None
            return self._masked[width]

    def _compiled_masked(self, width: int) -> Any:
        keras = import_keras()
        import tensorflow as tf

        samples, leads = self.manifest.samples, len(self.manifest.leads)

        def forward(keep: Any, column: Any, values: Any, baseline: Any) -> Any:
            by_sample = tf.gather(tf.transpose(keep, [2, 0, 1]), column)
            batch = tf.where(tf.transpose(by_sample, [1, 0, 2]), values, baseline)
            return keras.tree.flatten(self.keras_model(batch, training=False))[self.output_index]

        signal = tf.TensorSpec((samples, leads), tf.float32)
        signature = [
            tf.TensorSpec((self.batch_size, leads, width), tf.bool),
            tf.TensorSpec((samples,), tf.int32),
            signal,
            signal,
        ]
        return tf.function(forward, input_signature=signature, autograph=False)

    def _run_masked(self, forward: Any, masking: Masking, keep: BoolArray) -> Float32Array:
        """Raw outputs of all rows, a full batch at a time."""
        import tensorflow as tf

        given = [
            tf.constant(masking.column, tf.int32),
            tf.constant(masking.values),
            tf.constant(masking.baseline),
        ]
        spare = int(forward.input_signature[0].shape[2]) - keep.shape[2]
        wide = np.pad(keep, ((0, 0), (0, 0), (0, spare)), constant_values=True)
        parts = []
        for rows in batches(len(keep), self.batch_size):
            batch = filled(wide[rows], self.batch_size, rest=True)
            parts.append(np.asarray(forward(tf.constant(batch), *given))[: rows.stop - rows.start])
        return np.concatenate(parts)

    def _same_masked(self, graph: Any) -> bool:
        """Whether masking on the device gives the bytes of masking before it."""
        values = probe_rows(self.manifest)[-1]
        edges = np.array([0, len(values) // 3, len(values)], dtype=np.int64)
        masking = Masking(values, np.ascontiguousarray(values[::-1]), edges)
        rng = np.random.default_rng(content_seed("masked", self.digest))
        keep = rng.random((PROBES, values.shape[1], 2)) < 0.5
        on_device = self._run_masked(graph, masking, keep)
        (before,) = self._run(self._forward, masking.signals(keep))
        return on_device.tobytes() == before.tobytes()

    def _compiled(self, outputs: tuple[int, ...]) -> Any:
        """One graph of fixed shape that returns the chosen outputs."""
        keras = import_keras()
        import tensorflow as tf

        shape = (self.batch_size, self.manifest.samples, len(self.manifest.leads))

        def forward(batch: Any) -> Any:
            results = keras.tree.flatten(self.keras_model(batch, training=False))
            return [results[index] for index in outputs]

        signature = [tf.TensorSpec(shape, tf.float32)]
        return tf.function(forward, input_signature=signature, autograph=False)

    def _compiled_features(self) -> Any:
        """A graph that returns the input of the last dense layer."""
        keras = import_keras()
        import tensorflow as tf

        end = keras.tree.flatten(self.keras_model.outputs)[self.output_index]
        while True:
            layer, at, _ = end._keras_history
            inputs = layer._inbound_nodes[at].input_tensors
            if len(inputs) != 1 or layer.weights:
                break
            end = inputs[0]  # past an activation or a reshape
        if not isinstance(layer, keras.layers.Dense) or len(inputs[0].shape) != 2:
            problem = "does not end in a dense layer over features"
            raise ModelError(self.name, "output", problem, "use another model")
        body = keras.Model(self.keras_model.inputs, inputs[0])
        shape = (self.batch_size, self.manifest.samples, len(self.manifest.leads))
        return tf.function(
            lambda batch: [body(batch, training=False)],
            input_signature=[tf.TensorSpec(shape, tf.float32)],
            autograph=False,
        )

    def _run(self, function: Any, values: Float32Array) -> list[Float32Array]:
        """All rows through a compiled graph, a full batch at a time."""
        import tensorflow as tf

        size = self.batch_size
        shape = (self.manifest.samples, len(self.manifest.leads))
        if values.ndim != 3 or values.shape[1:] != shape or values.dtype != np.float32:
            raise ModelError(
                self.name,
                "input",
                f"got {values.dtype}{list(values.shape)}, takes float32[n, {shape[0]}, {shape[1]}]",
                "prepare records with models.preprocess.prepare",
            )
        parts: list[list[Float32Array]] = []
        for rows in batches(max(len(values), 1), size):
            part = values[rows]
            results = function(tf.constant(filled(part, size)))
            parts.append([np.asarray(result)[: len(part)] for result in results])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _probe(self) -> None:
        """Run the model on a flat line and on noise, and look at what comes out.

        Each row stands in three places. Rows that differ mean a model that is random, which is
        refused, or results that depend on the place in the batch: then records go one by one.
        """
        rows = probe_rows(self.manifest)
        batch = np.concatenate([rows, rows[::-1], np.roll(rows, 1, axis=0)])
        first = self._predict_probe(batch)
        plain, mirrored, rolled = np.split(first, 3)
        placed = (mirrored[::-1].tobytes(), np.roll(rolled, -1, axis=0).tobytes())
        differ = set(placed) != {plain.tobytes()}
        if not differ and len({row.tobytes() for row in plain}) > 1:
            return
        if self._predict_probe(batch).tobytes() != first.tobytes():
            problem = "gives another result each time for one record"
            raise ModelError(self.name, "model", problem, "remove what is random at prediction")
        if differ:
            self._go_singly()

    def _go_singly(self) -> None:
        fixed = self.structure.inputs[0][0]
        if fixed is not None:
            problem = f"the results depend on the place in its batch of {fixed} records"
            fix = "save the model for any number of records"
            raise ModelError(self.name, "input", problem, fix)
        log.warning("%s: results depend on the place in a batch; records go singly", self.name)
        self.batch_size = 1
        self._forward = self._compiled((self.output_index,))

    def _predict_probe(self, batch: Float32Array) -> Float32Array:
        try:
            return self.predict(batch)
        except ModelError:
            raise
        except Exception as error:  # whatever TensorFlow raises
            problem = f"cannot predict ({type(error).__name__}: {error})"
            fix = "check that it predicts in Keras"
            raise ModelError(self.name, "model", problem, fix) from None


def probe_rows(manifest: Manifest) -> Float32Array:
    """A flat line, then noise of many sizes, ``float32[row, sample, lead]``.

    Different rows, because one may round alike in every place by chance.
    """
    size = TYPICAL_SIZE[manifest.units]
    if manifest.normalisation.kind != "none":
        size = 1.0
    shape = (PROBES, manifest.samples, len(manifest.leads))
    rng = np.random.default_rng(content_seed("probe", model_digest(manifest)))
    sizes = size * np.geomspace(0.1, 2.0, PROBES)[:, None, None]
    rows = (sizes * rng.standard_normal(shape)).astype(np.float32)
    rows[0] = 0
    return rows


def calibrated(raw: Float32Array, manifest: Manifest, is_softmax: bool = False) -> Float32Array:
    """Outputs of a model as probabilities, temperature applied.

    A logit becomes ``sigmoid(logit / T)``. A probability is taken back to its logit first, and for
    softmax outputs to its logarithm, which is the same up to a constant that the softmax removes.
    ``T = 1`` leaves probabilities as they are, to the bit.

    Parameters
    ----------
    raw
        ``float32[n, class]``.
    manifest
        For ``output`` and ``temperature``.
    is_softmax
        Whether the classes exclude each other.

    Notes
    -----
    Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    values = raw.astype(np.float64)
    output = manifest.combined_output
    if output == "softmax":
        return _softmax(values / manifest.temperature)
    if output == "logit":
        return _sigmoid(values / manifest.temperature).astype(np.float32)
    if np.any((values < -ROUNDING) | (values > 1 + ROUNDING)):
        return raw  # no probability; the caller says so
    inside: Float32Array = np.clip(raw, 0, 1)
    if manifest.temperature == 1:
        return inside
    values = inside.astype(np.float64)
    with np.errstate(divide="ignore"):
        if is_softmax:
            return _softmax(np.log(values) / manifest.temperature)
        logit = np.log(values) - np.log1p(-values)
    return _sigmoid(logit / manifest.temperature).astype(np.float32)


def _softmax(logs: FloatArray) -> Float32Array:
    powered = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: FloatArray = powered / powered.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def _sigmoid(logit: FloatArray) -> FloatArray:
    """Without overflow; exact at both infinities."""
    small = np.exp(-np.abs(logit))
    result: FloatArray = np.where(logit >= 0, 1 / (1 + small), small / (1 + small))
    return result
