"""Layer-wise relevance propagation (Bach et al., PLoS ONE 10:e0130140, 2015).

The logit is handed back from layer to layer. Dense layers take the epsilon rule, convolutions the
gamma rule (or epsilon throughout, ``lrp_rule``): Montavon et al. 2019, section 10.3. A batch
normalisation right after a convolution or dense layer is folded into it first. Relevance is counted
from 0 as the model sees it, whatever that is in mV: with a normalisation of each lead, from the
lead's mean. The epsilon rule throughout with epsilon = 0 is exactly input x gradient for these
layers (Ancona et al., ICLR 2018, proposition 1), so that setting is no second opinion; only that
method counts from 0 mV, so the two maps are the same where 0 mV is the model's 0, and otherwise
differ by what the step between the two is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explain.cells import cell_sums, dense
from ecgxai_core.explain.differentiable import keras_classifier, pre_activation
from ecgxai_core.explain.lrp_rules import (
    Ledger,
    Linear,
    epsilon_rule,
    gamma_rule,
    pulled_back,
    sum_rule,
)
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.types import FloatArray

__all__ = ["LRP", "explain_lrp"]

MOVING = frozenset(
    """
    Dropout SpatialDropout1D Identity Flatten Reshape Permute ZeroPadding1D Cropping1D
    MaxPooling1D GlobalMaxPooling1D
    """.split()  # noqa: SIM905
)
"""Layers that hand relevance to the value that was passed on."""

AVERAGING = frozenset({"AveragePooling1D", "GlobalAveragePooling1D"})
WEIGHTED = frozenset({"Conv1D", "Dense"})


def explain_lrp(task: Task) -> Explanation:
    """Relevance of every sample for the logit (over the temperature), summed over each cell.

    For softmax outputs the logit is the class's own z. With ``against`` it is the difference of two
    logits, which for softmax is the log of the ratio of the two probabilities. ``link`` is not
    used: relevance starts from a logit. The diagnostics say what 0 mV is in each lead of the model
    input (``zero_mv``), since relevance is counted from 0 there.

    Raises
    ------
    ExplanationError
        The classifier only predicts, or has a layer that the rules do not cover.
    """
    pass_ = _Pass(task, keras_classifier(task))
    relevance = pass_.run()
    weights = cell_sums(relevance, task)
    ledger, inside = pass_.ledger, float(weights.sum())
    outside = float(relevance.sum()) - inside
    lost = ledger.biases + ledger.stabiliser
    worth = pass_.value
    given = task.model_input
    return dense(
        weights,
        rule=task.params.lrp_rule,
        link="logit",
        value=worth,
        relevance=inside,
        relevance_outside=outside,
        relevance_of_biases=ledger.biases,
        relevance_of_stabiliser=ledger.stabiliser,
        reference="0 of the model input",
        zero_mv=dict(zip(given.leads, given.zero.astype(float).tolist(), strict=True)),
        conservation_gap=abs(inside + outside + lost - worth) / max(abs(worth), 1e-9),
    )


class _Pass:
    """One backward pass over the graph of a network."""

    def __init__(self, task: Task, classifier: KerasClassifier) -> None:
        self.task = task
        self.classifier = classifier
        self.ledger = Ledger()
        self.value = 0.0
        self.folded: dict[int, tuple[FloatArray, FloatArray]] = {}
        _, _, end = pre_activation(classifier)
        tensor = classifier.keras_model.outputs[classifier.output_index]
        if end == "probability":
            self._refuse(tensor._keras_history.operation, "ends the network")
        self.start = tensor
        if end == "pre-activation" and _kind(_operation(tensor)) != "Dense":
            self.start = _node(tensor).input_tensors[0]
        self.order = _backward(self.start)
        self.uses = _count_uses(self.order)
        self.values = self._forward()

    def run(self) -> FloatArray:
        """``float64[sample, lead]``: relevance of the model input."""
        relevance: dict[int, FloatArray] = {id(self.start): self._start_relevance()}
        given = id(self.classifier.keras_model.inputs[0])
        for done, tensor in enumerate(self.order, start=1):
            self.task.report(done, len(self.order), str(_operation(tensor).name))
            own = relevance.pop(id(tensor), None)
            if id(tensor) == given:
                relevance[given] = own if own is not None else np.zeros(self.values[given].shape)
                continue
            if own is None:
                continue
            for source, part in self._back(tensor, own):
                known = relevance.get(id(source))
                relevance[id(source)] = part if known is None else known + part
        found: FloatArray = relevance[given][0]
        return found

    def _forward(self) -> dict[int, FloatArray]:
        """Every tensor's value for this record, by identity."""
        keras = import_keras()
        network = keras.Model(self.classifier.keras_model.inputs[0], self.order)
        results = network(self.task.model_input.values[None], training=False)
        results = results if isinstance(results, (list, tuple)) else [results]
        return {
            id(tensor): np.asarray(result, dtype=np.float64)
            for tensor, result in zip(self.order, results, strict=True)
        }

    def _start_relevance(self) -> FloatArray:
        """The explained logit at its own place, 0 elsewhere."""
        operation = _operation(self.start)
        if _kind(operation) == "Dense":
            source = _node(self.start).input_tensors[0]
            layer = self._linear(operation, self.start)
            logits = self.values[id(source)] @ layer.kernel + layer.bias
        else:
            logits = self.values[id(self.start)]
        chosen = np.zeros_like(logits)
        temperature = self.classifier.manifest.temperature
        column = self.classifier.classes.index(self.task.target)
        chosen[:, column] = logits[:, column] / temperature
        if self.task.params.against is not None:
            other = self.classifier.classes.index(self.task.params.against)
            chosen[:, other] = -logits[:, other] / temperature
        self.value = float(chosen.sum())
        return chosen

    def _back(self, tensor: Any, relevance: FloatArray) -> Iterator[tuple[Any, FloatArray]]:
        """Relevance of what a layer takes."""
        operation, sources = _operation(tensor), _node(tensor).input_tensors
        kind, first = _kind(operation), sources[0]
        given = self.values[id(first)]
        epsilon = self.task.params.lrp_epsilon
        if kind in WEIGHTED:
            yield first, self._weighted(operation, tensor, given, relevance)
        elif kind == "BatchNormalization":
            yield first, self._normalisation(operation, tensor, given, relevance)
        elif kind == "Add":
            parts = [self.values[id(source)] for source in sources]
            yield from zip(sources, sum_rule(parts, relevance, epsilon, self.ledger), strict=True)
        elif kind in AVERAGING:
            layer = Linear(_averaging(operation), np.zeros(1), np.zeros(1))
            yield first, epsilon_rule(layer, given, relevance, epsilon, self.ledger)
        elif kind in {"ReLU", "Activation"}:
            self._check_activation(operation)
            yield first, relevance
        elif kind in MOVING:
            moved = pulled_back(
                lambda x: operation(x, training=False) if _trains(kind) else operation(x),
                given.astype(np.float32),
                relevance,
            )
            yield first, moved
        else:
            self._refuse(operation, "has no rule here")

    def _weighted(
        self, operation: Any, tensor: Any, given: FloatArray, relevance: FloatArray
    ) -> FloatArray:
        params = self.task.params
        if tensor is not self.start:
            self._check_activation(operation)
        layer = self._linear(operation, tensor)
        # The last logit is divided among what made it exactly, however near it is to 0.
        epsilon = 0.0 if tensor is self.start else params.lrp_epsilon
        if _kind(operation) == "Conv1D" and params.lrp_rule == "gamma":
            return gamma_rule(layer, given, relevance, params.lrp_gamma, epsilon, self.ledger)
        return epsilon_rule(layer, given, relevance, epsilon, self.ledger)

    def _linear(self, operation: Any, tensor: Any) -> Linear:
        """A convolution or dense layer, with the normalisation folded into it."""
        kernel = np.asarray(operation.kernel, dtype=np.float64)
        bias = np.zeros(kernel.shape[-1])
        if operation.use_bias:
            bias = np.asarray(operation.bias, dtype=np.float64)
        if id(tensor) in self.folded:
            scale, shift = self.folded[id(tensor)]
            kernel, bias = kernel * scale, bias * scale + shift
        if _kind(operation) == "Dense":
            return Linear(_dense, kernel, bias)
        if operation.groups != 1 or operation.data_format != "channels_last":
            self._refuse(operation, "is grouped or has its channels first")
        return Linear(_convolution(operation), _undilated(operation, kernel), bias)

    def _normalisation(
        self, operation: Any, tensor: Any, given: FloatArray, relevance: FloatArray
    ) -> FloatArray:
        """Folded where a linear layer feeds it alone, else a layer of one weight a feature."""
        if operation.axis not in (-1, len(tensor.shape) - 1):
            self._refuse(operation, "normalises another axis than the features")
        scale, shift = _scale_and_shift(operation)
        (source,) = _node(tensor).input_tensors
        before = _operation(source)
        linear = getattr(getattr(before, "activation", None), "__name__", "linear") == "linear"
        if _kind(before) in WEIGHTED and linear and self.uses[id(source)] == 1:
            self.folded[id(source)] = (scale, shift)
            return relevance
        layer = Linear(lambda x, kernel: x * kernel, scale, shift)
        return epsilon_rule(layer, given, relevance, self.task.params.lrp_epsilon, self.ledger)

    def _check_activation(self, operation: Any) -> None:
        name = getattr(getattr(operation, "activation", None), "__name__", "linear")
        slope = float(getattr(operation, "negative_slope", 0.0) or 0.0)
        if name not in {"relu", "linear"} or slope != 0:
            self._refuse(operation, f"has the activation {name!r} (slope {slope:g})")

    def _refuse(self, operation: Any, problem: str) -> NoReturn:
        raise ExplanationError(
            self.task.record.name,
            f"layer {operation.name!r} ({_kind(operation)})",
            f"{problem}: LRP covers Conv1D, BatchNormalization, Add, pooling, Dense and ReLU",
            "use integrated gradients, occlusion or a perturbation method",
        )


# ---- layers ----------------------------------------------------------------------------------


def _dense(given: Any, kernel: Any) -> Any:
    import tensorflow as tf

    return tf.tensordot(given, kernel, axes=1)


def _convolution(operation: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    (stride,), (dilation,) = operation.strides, operation.dilation_rate
    left = dilation * (operation.kernel_size[0] - 1) if operation.padding == "causal" else 0
    padding = "VALID" if operation.padding == "causal" else operation.padding.upper()

    def apply(given: Any, kernel: Any) -> Any:
        padded = tf.pad(given, [[0, 0], [left, 0], [0, 0]]) if left else given
        return tf.nn.conv1d(padded, kernel, stride, padding)

    return apply


def _undilated(operation: Any, kernel: FloatArray) -> FloatArray:
    """The kernel with its gaps as zeros: on CPUs dilated convolutions have no way back."""
    (dilation,) = operation.dilation_rate
    wide = np.zeros((dilation * (len(kernel) - 1) + 1, *kernel.shape[1:]))
    wide[::dilation] = kernel
    return wide


def _averaging(operation: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    if _kind(operation) == "GlobalAveragePooling1D":
        keep = bool(operation.keepdims)
        return lambda given, _: tf.reduce_mean(given, axis=1, keepdims=keep)
    size, stride = int(np.ravel(operation.pool_size)[0]), int(np.ravel(operation.strides)[0])
    padding = operation.padding.upper()
    return lambda given, _: tf.nn.avg_pool1d(given, size, stride, padding)


def _scale_and_shift(operation: Any) -> tuple[FloatArray, FloatArray]:
    """y = scale x + shift of a batch normalisation at prediction."""
    mean = np.asarray(operation.moving_mean, dtype=np.float64)
    variance = np.asarray(operation.moving_variance, dtype=np.float64)
    gamma = np.asarray(operation.gamma, np.float64) if operation.scale else np.ones_like(mean)
    beta = np.asarray(operation.beta, np.float64) if operation.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + operation.epsilon)
    return scale, beta - mean * scale


def _trains(kind: str) -> bool:
    return "Dropout" in kind


# ---- graph -----------------------------------------------------------------------------------


def _operation(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _kind(operation: Any) -> str:
    return type(operation).__name__


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _backward(start: Any) -> list[Any]:
    """All tensors that a tensor is made from, each before those that it is made from itself."""
    after: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(start, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            after.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            stack += [(source, False) for source in _node(tensor).input_tensors]
    return after[::-1]


def _count_uses(order: list[Any]) -> dict[int, int]:
    uses: dict[int, int] = {}
    for tensor in order:
        for source in _node(tensor).input_tensors:
            uses[id(source)] = uses.get(id(source), 0) + 1
    return uses


LRP = Method(
    name="lrp",
    title="Layer-wise relevance",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "lrp_rule", "lrp_gamma", "lrp_epsilon"),
    description="the logit handed back from layer to layer to the samples, from the model's own 0",
    run=explain_lrp,
)
