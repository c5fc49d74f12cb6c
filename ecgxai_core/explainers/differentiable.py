"""A classifier as a differentiable function: what all gradient methods share.

The value is that of the games: the log-odds of the target's probability with the temperature
applied (link ``logit``), or that probability (link ``probability``); with ``params.contrast`` the
difference of two classes' log-odds. If the network ends in a sigmoid or softmax, the log-odds are
computed from its input, so a prediction of 0.999999 has a gradient like any other. For softmax the
log-odds of class t are z_t - logsumexp of the other z.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers.method import Task
from ecgxai_core.games.leads import folded
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.stopping import GRADIENT_PASSES, check_stop
from ecgxai_core.types import Float32Array, FloatArray

__all__ = [
    "Differentiable",
    "differentiable",
    "has_gradients",
    "keras_classifier",
    "pre_activation",
    "value_of",
]

BATCH = 8
"""Records differentiated at a time. One shape means one choice of kernels and the same bytes; it is
small because every intermediate result is kept for the backward pass."""

EPS = 1e-6
"""If only probabilities are known, they are clipped this far from 0 and 1."""

_graphs: WeakKeyDictionary[KerasClassifier, dict[tuple[str, str], Any]] = WeakKeyDictionary()
_lock = threading.Lock()


def keras_classifier(task: Task) -> KerasClassifier:
    """The Keras network behind a task.

    Raises
    ------
    ExplanationError
        The classifier offers predictions only.
    """
    classifier: Any = task.model.classifier
    load = getattr(classifier, "loaded", None)
    inner = load() if callable(load) else classifier
    if not isinstance(inner, KerasClassifier):
        problem = f"this method needs a Keras network, and {type(inner).__name__} only predicts"
        fix = "use a method that masks: lime, timeshap, occlusion"
        raise ExplanationError(task.record.name, "model", problem, fix)
    return inner


def has_gradients(classifier: Any) -> bool:
    """Whether a classifier is known to be a Keras network; nothing is loaded to find out.

    An ONNX model that is not loaded yet may turn out to be one.
    """
    path = getattr(classifier, "path", None)
    if isinstance(path, Path) and callable(getattr(classifier, "loaded", None)):
        return path.suffix.lower() != ".onnx"
    return isinstance(classifier, KerasClassifier)


@dataclass(frozen=True)
class Differentiable:
    """The value of a task as a function of the model input.

    ``classifier``: the network; ``classes``: columns of the target and of the contrast (the target
    again without one); ``sign``: -1 with a contrast, else 0; ``link``: scale of the value;
    ``fold``: the model's leads where gradients are those of the independent ones, else empty.
    """

    classifier: KerasClassifier
    classes: tuple[int, int]
    sign: float
    link: str
    fold: tuple[str, ...] = ()

    @property
    def batch_size(self) -> int:
        fixed = self.classifier.structure.inputs[0][0]
        return BATCH if fixed is None else int(fixed)

    def gradients(
        self, values: Float32Array, report: Callable[[int], None] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Values ``float64[n]`` and their gradients ``float64[n, sample, lead]``.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]``, model units and lead order; gradients are per such unit.
        report
            Called with the number of records done after each batch.
        """
        value, (gradient,) = self._run(values, None, report)
        if self.fold:
            return value, folded(gradient, self.fold)
        return value, gradient.astype(np.float64)

    def layer_gradients(self, values: Float32Array, tensor: Any) -> tuple[FloatArray, ...]:
        """Output of a layer and the value's gradient there, ``float64[n, ...]`` each."""
        _, (output, gradient) = self._run(values, tensor, None)
        return output.astype(np.float64), gradient.astype(np.float64)

    def _run(
        self, values: Float32Array, tensor: Any, report: Callable[[int], None] | None
    ) -> tuple[FloatArray, list[Float32Array]]:
        import tensorflow as tf

        graph = _graph(self.classifier, self.link, tensor, self.batch_size)
        which, sign = tf.constant(self.classes), tf.constant(self.sign, tf.float32)
        parts: list[list[Any]] = []
        for start in range(0, len(values), self.batch_size):
            check_stop(GRADIENT_PASSES * self.batch_size)
            rows = values[start : start + self.batch_size]
            batch = np.zeros((self.batch_size, *values.shape[1:]), np.float32)
            batch[: len(rows)] = rows
            found = graph(tf.constant(batch), which, sign)
            parts.append([np.asarray(item)[: len(rows)] for item in found])
            if report is not None:
                report(start + len(rows))
        value, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
        return value.astype(np.float64), rest


def differentiable(task: Task) -> Differentiable:
    """The value of a task as something to differentiate.

    Raises
    ------
    ExplanationError
        The classifier offers predictions only.
    """
    classifier = keras_classifier(task)
    target = classifier.classes.index(task.target)
    contrast = task.params.contrast
    other = target if contrast is None else classifier.classes.index(contrast)
    sign = 0.0 if contrast is None else -1.0
    fold = task.model_input.leads if task.model.lead_group == "independent" else ()
    return Differentiable(classifier, (target, other), sign, task.params.link, fold)


def pre_activation(classifier: KerasClassifier) -> tuple[Any, Callable[[Any], Any], str]:
    """The input of a network's last activation.

    Returns
    -------
    A tensor of the network; a function of it (in Keras operations) that gives the logits
    ``[n, class]``; and their source: ``"logit"`` (the output itself), ``"pre-activation"``, or
    ``"probability"`` (the output is inverted, because the network ends otherwise).
    """
    ops = import_keras().ops
    tensor = classifier.keras_model.outputs[classifier.output_index]
    if classifier.manifest.combined_output != "probability":
        return tensor, lambda x: x, "logit"
    history = tensor._keras_history
    operation = history.operation
    kind = type(operation).__name__
    name = getattr(getattr(operation, "activation", None), "__name__", kind.lower())
    if name in {"sigmoid", "softmax"} and getattr(operation, "axis", -1) in (-1, 1):
        inner = operation._inbound_nodes[history.node_index].input_tensors[0]
        if kind == "Dense":
            kernel = np.asarray(operation.kernel)
            bias = np.asarray(operation.bias) if operation.use_bias else np.zeros(1, np.float32)
            return inner, lambda x: ops.matmul(x, kernel) + bias, "pre-activation"
        if kind in {"Activation", "Sigmoid", "Softmax"}:
            return inner, lambda x: x, "pre-activation"

    is_softmax = classifier.is_softmax

    def inverted(probability: Any) -> Any:
        inside = ops.clip(probability, EPS, 1 - EPS)
        return ops.log(inside) if is_softmax else ops.log(inside) - ops.log(1 - inside)

    return tensor, inverted, "probability"


def value_of(
    logits: Any, which: Any, sign: Any, link: str, temperature: float, is_softmax: bool
) -> Any:
    """The explained value ``[n]`` from logits ``[n, class]``, in Keras operations.

    Parameters
    ----------
    which
        ``int[2]``: columns of the target and of the other class.
    sign
        Factor of the other class's log-odds: -1 or 0.
    """
    ops = import_keras().ops
    odds = logits / temperature
    if is_softmax:
        n_classes = int(logits.shape[-1])
        own = ops.one_hot(which, n_classes)  # [2, class]
        others = ops.logsumexp(odds[:, None, :] - 1e30 * own[None], axis=2)
        pair = ops.take(odds, which, axis=1) - others
    else:
        pair = ops.take(odds, which, axis=1)
    value = pair[:, 0] + sign * pair[:, 1]
    return value if link == "logit" else ops.sigmoid(value)


def _graph(classifier: KerasClassifier, link: str, tensor: Any, batch_size: int) -> Any:
    """The compiled graph of a network, link and layer, for any target; kept with the network."""
    key = (link, "" if tensor is None else f"{tensor.name} {id(tensor)}")
    with _lock:
        known = _graphs.setdefault(classifier, {})
        if key not in known:
            known[key] = _compiled(classifier, link, tensor, batch_size)
        return known[key]


def _compiled(classifier: KerasClassifier, link: str, tensor: Any, batch_size: int) -> Any:
    keras = import_keras()
    import tensorflow as tf

    end, finish, _ = pre_activation(classifier)
    given = classifier.keras_model.inputs[0]
    network = keras.Model(given, [end] if tensor is None else [tensor, end])
    # the graph must not refer to the classifier, or neither would ever be freed
    manifest, is_softmax = classifier.manifest, classifier.is_softmax

    def work(batch: Any, which: Any, sign: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch)
            results = network(batch, training=False)
            results = results if isinstance(results, (list, tuple)) else [results]
            logits = finish(results[-1])
            value = value_of(logits, which, sign, link, manifest.temperature, is_softmax)
        source = batch if tensor is None else results[0]
        gradient = tape.gradient(value, source, unconnected_gradients="zero")
        return (value, gradient) if tensor is None else (value, source, gradient)

    shape = (batch_size, manifest.samples, len(manifest.leads))
    signature = [
        tf.TensorSpec(shape, tf.float32),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((), tf.float32),
    ]
    return tf.function(work, input_signature=signature, autograph=False)
