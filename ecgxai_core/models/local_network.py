"""A network cut at its pooling over time: features of pieces of a record, and the head after them.

Before the cut a change of the record changes only what lies in reach; after it time is gone. So the
sums (or maxima) of the features over any piece of the record can be had from a crop.

Where an average and one dense layer follow, the two change places: the features of a position are
then what it adds to each class before the activation, which is less to keep, and all that any
class, contrast or temperature needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from ecgxai_core.models.increments import Increments
from ecgxai_core.models.keras_increments import increments
from ecgxai_core.models.locality import Locality, axes_of_one
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["PATTERN_ROWS", "LinearHead", "LocalNetwork", "batches", "filled"]

T = TypeVar("T", bound=np.generic)

PATTERN_ROWS = 4
"""Whole records that go through the local part together: as many as events have patterns."""

CROP_SAMPLES = 2**14
"""Samples of one batch of crops: long enough to use the processor, short enough to waste little."""

CROP_ROWS = 256
HEAD_ROWS = 256


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Probabilities = activation(mean of channels @ kernel + bias), temperature included.

    ``kernel`` ``float64[channel, class]``, ``bias`` ``float64[class]``, ``activation`` ``sigmoid``
    or ``softmax``.
    """

    kernel: FloatArray
    bias: FloatArray
    activation: str

    def probabilities(self, scores: FloatArray) -> Float32Array:
        """``float32[n, class]`` for mean scores (channels @ kernel), ``float64[n, class]``."""
        raw = scores + self.bias
        found = expit(raw) if self.activation == "sigmoid" else softmax(raw, axis=1)
        return np.asarray(found, dtype=np.float32)


class LocalNetwork:
    """The local part and the head of a Keras model, each as compiled graphs of fixed shape.

    A batch has one shape whatever is asked for, so the results of a row do not depend on what
    stands beside it.

    Parameters
    ----------
    model
        The Keras model.
    local
        Where it stops being local.
    output_index
        Which of its outputs holds the classes.
    calibrated
        Makes probabilities of its raw outputs.
    scale
        How the raw outputs become probabilities, for heads of one dense layer: the activation that
        the model's outputs still need (``""`` for none), and the temperature.
    """

    def __init__(
        self,
        model: Any,
        local: Locality,
        output_index: int,
        calibrated: Callable[[Float32Array], Float32Array],
        scale: tuple[str, float],
    ) -> None:
        self.local = local
        self._calibrated = calibrated
        self._scale = scale
        self.samples = local.samples
        self.n_leads = int(model.inputs[0].shape[2])
        self._model = model
        self._output = model.outputs[output_index]
        widths = [int(pool.source.shape[-1]) for pool in local.pools]
        kinds = [pool.kind == "max" for pool in local.pools]
        self.head = None if any(kinds) else self._linear_head()
        classes = None if self.head is None else len(self.head.bias)
        self.is_max: BoolArray = (
            np.repeat(kinds, widths) if classes is None else np.zeros(classes, dtype=np.bool_)
        )
        self._splits = np.cumsum(widths)[:-1].tolist()
        self._crops: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()
        self._whole = self._compiled_features()
        self._head: Any = None if self.head else self._compiled_head(sum(widths))

    @property
    def channels(self) -> int:
        """Features of one position: channels, or classes where there is a linear :attr:`head`."""
        return len(self.is_max)

    @cached_property
    def increments(self) -> Increments | str:
        """The network for recomputation in windows, or why it cannot be had."""
        if self.head is None:
            return "the head is not one dense layer after a mean"
        return increments(self._model, self.local, self.head.kernel)

    def features(self, values: Float32Array) -> Float32Array:
        """Features of whole records.

        ``float32[n, sample, lead]`` -> ``float32[n, position, channel]``.
        """
        parts = []
        for part in batches(len(values), PATTERN_ROWS):
            rows = values[part]
            parts.append(np.asarray(self._whole(filled(rows, PATTERN_ROWS)))[: len(rows)])
        return np.concatenate(parts)

    def pooled_crops(
        self, make: Callable[[slice], Float32Array], use: IntArray, length: int
    ) -> Float32Array:
        """Features of crops, pooled over ranges of positions.

        Parameters
        ----------
        make
            Rows -> their crops, ``float32[row, length, lead]``; called for one batch at a time, so
            memory does not grow with the number of crops.
        use
            ``int64[n, range, 2]``: first and past-the-last position of the crop to be pooled.
        length
            Samples of a crop.

        Returns
        -------
        ``float32[n, range, channel]``: sums, or maxima where the model takes them; an empty range
        gives 0 and the lowest number.
        """
        function, rows = self._crop_function(length, use.shape[1]), _crop_rows(length)
        found = np.empty((*use.shape[:2], self.channels), np.float32)
        for part in batches(len(use), rows, rows * length / self.samples):
            ranges = filled(use[part].astype(np.int32), rows)
            pooled = np.asarray(function(filled(make(part), rows), ranges))
            found[part] = pooled[: part.stop - part.start]
        return found

    def probabilities(self, pooled: FloatArray) -> Float32Array:
        """Probabilities for pooled features (means where the model takes means).

        ``float64[n, channel]`` -> ``float32[n, class]``, temperature applied.
        """
        if self.head is not None:
            return self.head.probabilities(pooled)
        parts = []
        for part in batches(len(pooled), HEAD_ROWS, 0.0):
            rows = pooled[part].astype(np.float32)
            raw = np.asarray(self._head(filled(rows, HEAD_ROWS)))[: len(rows)]
            parts.append(self._calibrated(raw))
        return np.concatenate(parts)

    # ---- inside ------------------------------------------------------------------------------

    def _linear_head(self) -> LinearHead | None:
        """The head as one dense layer, temperature included.

        ``None`` where anything else stands between the pooling and the probabilities.
        """
        found = self._dense_head()
        if found is None:
            return None
        kernel, bias, activation = found
        outer, temperature = self._scale
        if outer and activation == "linear":
            activation = outer
        if activation not in {"sigmoid", "softmax"} or (outer and activation != outer):
            return None
        return LinearHead(kernel / temperature, bias / temperature, activation)

    def _dense_head(self) -> tuple[FloatArray, FloatArray, str] | None:
        if len(self.local.pools) != 1:
            return None
        tensor, activation = self._output, "linear"
        while True:
            layer = tensor._keras_history.operation
            kind = type(layer).__name__
            sources = layer._inbound_nodes[tensor._keras_history.node_index].input_tensors
            if kind == "Dense":
                break
            name = _activation_name(layer)
            if name is not None and activation == "linear":
                activation = name
            elif kind not in {"Dropout", "Identity"}:
                return None
            tensor = sources[0]
        own = getattr(layer.activation, "__name__", "linear")
        if own != "linear":
            if activation != "linear":
                return None
            activation = own
        before = sources[0]
        while type(before._keras_history.operation).__name__ in {"Dropout", "Identity"}:
            before = before._keras_history.operation._inbound_nodes[
                before._keras_history.node_index
            ].input_tensors[0]
        if before is not self.local.pools[0].result:
            return None
        kernel = np.asarray(layer.kernel, dtype=np.float64)
        bias = np.zeros(kernel.shape[1]) if layer.bias is None else np.asarray(layer.bias)
        return kernel, bias.astype(np.float64), activation

    def _features(self, batch: Any) -> Any:
        import tensorflow as tf

        sources = [pool.source for pool in self.local.pools]
        found = [
            _by_channel(pool.kind, features)
            for pool, features in zip(
                self.local.pools,
                _evaluated(sources, {id(self._model.inputs[0]): batch}),
                strict=True,
            )
        ]
        if self.head is not None:
            kernel = tf.constant(self.head.kernel, tf.float32)
            return tf.tensordot(found[0], kernel, axes=1)
        return found[0] if len(found) == 1 else tf.concat(found, axis=-1)

    def _compiled_features(self) -> Any:
        import tensorflow as tf

        shape = (PATTERN_ROWS, self.samples, self.n_leads)
        signature = [tf.TensorSpec(shape, tf.float32)]
        return tf.function(self._features, input_signature=signature, autograph=False)

    def _compiled_head(self, channels: int) -> Any:
        import tensorflow as tf

        def head(pooled: Any) -> Any:
            parts = tf.split(pooled, np.diff([0, *self._splits, channels]).tolist(), axis=-1)
            given = {}
            for pool, part in zip(self.local.pools, parts, strict=True):
                kept = (1,) * (len(pool.result.shape) - 2)  # keepdims
                given[id(pool.result)] = tf.reshape(part, [-1, *kept, part.shape[-1]])
            return _evaluated([self._output], given)[0]

        signature = [tf.TensorSpec((HEAD_ROWS, channels), tf.float32)]
        return tf.function(head, input_signature=signature, autograph=False)

    def _crop_function(self, length: int, n_ranges: int) -> Any:
        with self._lock:
            if (length, n_ranges) not in self._crops:
                self._crops[length, n_ranges] = self._compiled_crops(length, n_ranges)
            return self._crops[length, n_ranges]

    def _compiled_crops(self, length: int, n_ranges: int) -> Any:
        import tensorflow as tf

        rows = _crop_rows(length)

        def pooled(batch: Any, use: Any) -> Any:
            features = self._features(batch)
            position = tf.range(tf.shape(features)[1])
            inside = (position >= use[..., :1]) & (position < use[..., 1:])
            sums = tf.matmul(tf.cast(inside, tf.float32), features)
            if not self.is_max.any():
                return sums
            return tf.where(self.is_max, _maxima(features, inside), sums)

        signature = [
            tf.TensorSpec((rows, length, self.n_leads), tf.float32),
            tf.TensorSpec((rows, n_ranges, 2), tf.int32),
        ]
        return tf.function(pooled, input_signature=signature, autograph=False)


def batches(count: int, size: int, passes: float | None = None) -> Iterator[slice]:
    """The rows of each batch of ``size``; see :func:`ecgxai_core.stopping.check_stop`.

    ``passes``: forward passes of one record that a batch costs; ``None`` = one per row.
    """
    for start in range(0, count, size):
        check_stop(size if passes is None else passes)
        yield slice(start, min(start + size, count))


def filled(rows: npt.NDArray[T], size: int, rest: float = 0) -> npt.NDArray[T]:
    """A full batch of ``size`` rows, those beyond the given ones all ``rest``."""
    batch = np.full((size, *rows.shape[1:]), rest, rows.dtype)
    batch[: len(rows)] = rows
    return batch


def _crop_rows(length: int) -> int:
    """Crops of one length that go through the network together."""
    return min(CROP_ROWS, max(1, CROP_SAMPLES // length))


def _maxima(features: Any, inside: Any) -> Any:
    """``float32[row, range, channel]``; ranges, ``bool[row, range, position]``, do not overlap."""
    import tensorflow as tf

    rows, n_ranges, channels = inside.shape[0], inside.shape[1], features.shape[-1]
    place = tf.argmax(tf.cast(inside, tf.int32), axis=1, output_type=tf.int32)
    place += n_ranges * tf.range(rows)[:, None]
    place = tf.where(tf.reduce_any(inside, axis=1), place, -1)  # no place
    flat = tf.math.unsorted_segment_max(
        tf.reshape(features, [-1, channels]), tf.reshape(place, [-1]), rows * n_ranges
    )
    return tf.reshape(flat, [rows, n_ranges, channels])


def _activation_name(layer: Any) -> str | None:
    kind = type(layer).__name__
    if kind == "Activation":
        return str(getattr(layer.activation, "__name__", ""))
    return {"Softmax": "softmax", "Sigmoid": "sigmoid"}.get(kind)


def _by_channel(kind: str, features: Any) -> Any:
    """``[row, position, channel]``, a second axis pooled as the model pools it with time."""
    import tensorflow as tf

    if len(features.shape) == 3:
        return features
    return (tf.reduce_max if kind == "max" else tf.reduce_mean)(features, axis=2)


def _result(operation: Any, node: Any, known: dict[int, Any]) -> Any:
    """What an operation makes of known values; a reshape by axes of one fits any length."""
    import tensorflow as tf

    if type(operation).__name__ == "Reshape":
        (before,), (after,) = node.input_tensors, node.output_tensors
        axes = axes_of_one(before.shape, after.shape)
        if axes is not None:
            found = tf.squeeze(known[id(before)], axis=axes[0]) if axes[0] else known[id(before)]
            for axis in axes[1]:
                found = tf.expand_dims(found, axis)
            return found
    args, kwargs = node.arguments.fill_in(known)
    return operation(*args, **kwargs)


def _evaluated(tensors: list[Any], given: dict[int, Any]) -> list[Any]:
    """Values of Keras tensors from those of others, by the layers between; any length of time."""
    known = dict(given)

    def value(tensor: Any) -> Any:
        if id(tensor) not in known:
            history = tensor._keras_history
            node = history.operation._inbound_nodes[history.node_index]
            for source in node.input_tensors:
                value(source)
            results = _result(history.operation, node, known)
            flat = results if isinstance(results, (list, tuple)) else [results]
            known.update(
                {id(out): result for out, result in zip(node.output_tensors, flat, strict=True)}
            )
        return known[id(tensor)]

    return [value(tensor) for tensor in tensors]
