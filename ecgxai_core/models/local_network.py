"""A network cut at its pooling over time: features of pieces of a record, and the head after them.

Before the cut a change of the record changes only what lies in reach; after it time is gone. So
the sums (or maxima) of the features over any piece of the record can be had from a crop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.models.locality import Locality
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["PATTERN_ROWS", "LinearHead", "LocalNetwork"]

PATTERN_ROWS = 4
"""Whole records that go through the local part together: as many as events have patterns."""

CROP_SAMPLES = 2**14
"""Samples of one batch of crops: long enough to use the processor, short enough to waste little."""

CROP_ROWS = 256
HEAD_ROWS = 256


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Probabilities = activation(features @ kernel + bias).

    ``kernel`` ``float64[channel, class]``, ``bias`` ``float64[class]``, ``activation`` ``sigmoid``
    or ``softmax``.
    """

    kernel: FloatArray
    bias: FloatArray
    activation: str


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
        self.is_max: BoolArray = np.repeat(kinds, widths)
        self._splits = np.cumsum(widths)[:-1].tolist()
        self._crops: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()
        self._whole = self._compiled_features()
        self._head = self._compiled_head(sum(widths))

    @property
    def channels(self) -> int:
        """Features of one position."""
        return len(self.is_max)

    def features(self, values: Float32Array) -> Float32Array:
        """Features of whole records.

        ``float32[n, sample, lead]`` -> ``float32[n, position, channel]``.
        """
        parts = []
        for start in range(0, len(values), PATTERN_ROWS):
            rows = values[start : start + PATTERN_ROWS]
            batch = np.zeros((PATTERN_ROWS, *values.shape[1:]), np.float32)
            batch[: len(rows)] = rows
            parts.append(np.asarray(self._whole(batch))[: len(rows)])
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
        for start in range(0, len(use), rows):
            part = slice(start, min(start + rows, len(use)))
            count = part.stop - part.start
            batch = np.zeros((rows, length, self.n_leads), np.float32)
            batch[:count] = make(part)
            ranges = np.zeros((rows, *use.shape[1:]), np.int32)
            ranges[:count] = use[part]
            found[part] = np.asarray(function(batch, ranges))[:count]
        return found

    def probabilities(self, pooled: FloatArray) -> Float32Array:
        """Probabilities for pooled features (means where the model takes means).

        ``float64[n, channel]`` -> ``float32[n, class]``, temperature applied.
        """
        parts = []
        for start in range(0, len(pooled), HEAD_ROWS):
            rows = pooled[start : start + HEAD_ROWS]
            batch = np.zeros((HEAD_ROWS, self.channels), np.float32)
            batch[: len(rows)] = rows
            parts.append(self._calibrated(np.asarray(self._head(batch))[: len(rows)]))
        return np.concatenate(parts)

    def linear_head(self) -> LinearHead | None:
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

    # ---- inside ------------------------------------------------------------------------------

    def _features(self, batch: Any) -> Any:
        import tensorflow as tf

        sources = [pool.source for pool in self.local.pools]
        found = _evaluated(sources, {id(self._model.inputs[0]): batch})
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
                wide = len(pool.result.shape) == 3  # keepdims
                given[id(pool.result)] = part[:, None] if wide else part
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


def _evaluated(tensors: list[Any], given: dict[int, Any]) -> list[Any]:
    """Values of Keras tensors from those of others, by the layers between; any length of time."""
    known = dict(given)

    def value(tensor: Any) -> Any:
        if id(tensor) not in known:
            history = tensor._keras_history
            node = history.operation._inbound_nodes[history.node_index]
            for source in node.input_tensors:
                value(source)
            args, kwargs = node.arguments.fill_in(known)
            results = history.operation(*args, **kwargs)
            flat = results if isinstance(results, (list, tuple)) else [results]
            known.update(
                {id(out): result for out, result in zip(node.output_tensors, flat, strict=True)}
            )
        return known[id(tensor)]

    return [value(tensor) for tensor in tensors]
