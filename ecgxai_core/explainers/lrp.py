"""Layer-wise relevance propagation (Bach et al., PLoS ONE 10:e0130140, 2015).

The logit is propagated back layer by layer. Dense layers take the epsilon rule, convolutions the
gamma rule (or epsilon throughout, ``lrp_rule``): Montavon et al. 2019, section 10.3. A batch
normalisation right after a convolution or dense layer is folded into it first. Relevance is counted
from the 0 of the model input, which is the mean of a lead where leads are normalised. For
these layers the epsilon rule throughout with epsilon = 0 is exactly input x gradient (Ancona et
al., ICLR 2018, proposition 1), so that setting adds no independent evidence. Input x gradient
counts from 0 mV, so the two maps are equal where 0 mV is the model's 0.

A rule takes the relevance R_k of a layer's results and gives that of its inputs. A linear layer is
z_k = sum_j a_j w_jk + b_k. Everything is float64, so that only the rules lose relevance, not
rounding; what biases and stabilisers absorb is counted in a :class:`Ledger`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers.differentiable import keras_classifier, pre_activation
from ecgxai_core.explainers.method import Explanation, Method, Task, cell_sums, dense
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.types import FloatArray

__all__ = ["LRP"]

MOVING = frozenset(
    """
    Dropout SpatialDropout1D SpatialDropout2D Identity Flatten Reshape Permute
    ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D
    MaxPooling1D MaxPooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    """.split()  # noqa: SIM905
)
"""Layers that pass values on unchanged: relevance goes back to the value that was passed."""

PASSES = 30
"""About what the way back costs in forward passes: layer by layer, in float64."""

AVERAGING = frozenset(
    f"{kind}Pooling{rank}D" for kind in ("Average", "GlobalAverage") for rank in (1, 2)
)
CONVOLUTIONS = frozenset({"Conv1D", "Conv2D"})
WEIGHTED = CONVOLUTIONS | {"Dense"}


def explain_lrp(task: Task) -> Explanation:
    """Relevance of every sample for the logit (over the temperature), summed over each cell.

    For softmax outputs the logit is the class's own z. With ``contrast`` it is the difference of
    two logits, which for softmax is the log of the ratio of the two probabilities. ``link`` is not
    used: relevance starts from a logit. ``zero_mv`` among the diagnostics gives 0 mV in units of
    the model input, by lead, because relevance is counted from 0 there.

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
        task,
        weights,
        worth,
        rule=task.params.lrp_rule,
        link="logit",
        value=worth,
        relevance=inside,
        relevance_outside=outside,
        relevance_of_biases=ledger.biases,
        share_of_biases=ledger.biases / worth if worth else None,
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
        sources = (source for tensor in self.order for source in _node(tensor).input_tensors)
        self.uses = Counter(id(source) for source in sources)
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
        if self.task.params.contrast is not None:
            other = self.classifier.classes.index(self.task.params.contrast)
            chosen[:, other] = -logits[:, other] / temperature
        self.value = float(chosen.sum())
        return chosen

    def _back(self, tensor: Any, relevance: FloatArray) -> Iterator[tuple[Any, FloatArray]]:
        operation, sources = _operation(tensor), _node(tensor).input_tensors
        kind, first = _kind(operation), sources[0]
        given = self.values[id(first)]
        epsilon = self.task.params.lrp_epsilon
        if kind in WEIGHTED:
            yield first, self._weighted(operation, tensor, given, relevance)
        elif kind == "BatchNormalization":
            yield first, self._normalisation(operation, tensor, given, relevance)
        elif kind == "Add" and len(sources) > 1:  # not x + 1
            parts = [self.values[id(source)] for source in sources]
            yield from zip(sources, sum_rule(parts, relevance, epsilon, self.ledger), strict=True)
        elif kind == "Concatenate":
            sizes = [self.values[id(source)].shape[operation.axis] for source in sources]
            parts = np.split(relevance, np.cumsum(sizes)[:-1], axis=operation.axis)
            yield from zip(sources, parts, strict=True)
        elif kind in AVERAGING:
            layer = Linear(_averaging(operation), np.zeros(1), np.zeros(1))
            yield first, epsilon_rule(layer, given, relevance, epsilon, self.ledger)
        elif kind in {"ReLU", "Activation"}:
            self._check_activation(operation)
            yield first, relevance
        elif kind in MOVING:
            moved = pulled_back(
                lambda x: operation(x, **({"training": False} if "Dropout" in kind else {})),
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
        # the last logit is divided exactly, however near it is to 0
        epsilon = 0.0 if tensor is self.start else params.lrp_epsilon
        if _kind(operation) in CONVOLUTIONS and params.lrp_rule == "gamma":
            return gamma_rule(layer, given, relevance, params.lrp_gamma, epsilon, self.ledger)
        return epsilon_rule(layer, given, relevance, epsilon, self.ledger)

    def _linear(self, operation: Any, tensor: Any) -> Linear:
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
            f"{problem}: LRP covers convolutions, BatchNormalization, Add, pooling, Dense and ReLU",
            "use integrated gradients, occlusion or a perturbation method",
        )


# ---- layers ----------------------------------------------------------------------------------


def _dense(given: Any, kernel: Any) -> Any:
    import tensorflow as tf

    return tf.tensordot(given, kernel, axes=1)


def _convolution(operation: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    strides, dilation = tuple(operation.strides), operation.dilation_rate[0]
    left = dilation * (operation.kernel_size[0] - 1) if operation.padding == "causal" else 0
    padding = "VALID" if operation.padding == "causal" else operation.padding.upper()

    def apply(given: Any, kernel: Any) -> Any:
        if len(strides) == 2:
            return tf.nn.conv2d(given, kernel, strides, padding)
        padded = tf.pad(given, [[0, 0], [left, 0], [0, 0]]) if left else given
        return tf.nn.conv1d(padded, kernel, strides[0], padding)

    return apply


def _undilated(operation: Any, kernel: FloatArray) -> FloatArray:
    """The kernel with its gaps as zeros: dilated convolutions have no gradient on CPUs."""
    for axis, dilation in enumerate(operation.dilation_rate):
        shape = list(kernel.shape)
        shape[axis] = dilation * (shape[axis] - 1) + 1
        wide = np.zeros(shape)
        wide[(slice(None),) * axis + (slice(None, None, dilation),)] = kernel
        kernel = wide
    return kernel


def _averaging(operation: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    kind = _kind(operation)
    if kind.startswith("Global"):
        keep, axes = bool(operation.keepdims), [1] if kind.endswith("1D") else [1, 2]
        return lambda given, _: tf.reduce_mean(given, axis=axes, keepdims=keep)
    size, strides = (np.ravel(one).tolist() for one in (operation.pool_size, operation.strides))
    padding, pool = operation.padding.upper(), getattr(tf.nn, f"avg_pool{kind[-2]}d")
    return lambda given, _: pool(given, size, strides, padding)


def _scale_and_shift(operation: Any) -> tuple[FloatArray, FloatArray]:
    """y = scale x + shift of a batch normalisation at prediction."""
    mean = np.asarray(operation.moving_mean, dtype=np.float64)
    variance = np.asarray(operation.moving_variance, dtype=np.float64)
    gamma = np.asarray(operation.gamma, np.float64) if operation.scale else np.ones_like(mean)
    beta = np.asarray(operation.beta, np.float64) if operation.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + operation.epsilon)
    return scale, beta - mean * scale


# ---- graph -----------------------------------------------------------------------------------


def _operation(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _kind(operation: Any) -> str:
    return type(operation).__name__


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _backward(start: Any) -> list[Any]:
    """All tensors that a tensor is computed from, each before its own sources."""
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


LRP = Method(
    name="lrp",
    title="Layer-wise relevance",
    family="gradient",
    signed=True,
    uses=("segments", "window_sec", "lrp_rule", "lrp_gamma", "lrp_epsilon"),
    description="relevance of the samples for the logit, propagated back layer by layer",
    run=explain_lrp,
    cost=lambda _params, _size: {"": PASSES},
    gap="conservation_gap",
)


TINY = 1e-30

Apply = Callable[[Any, Any], Any]
"""(inputs, kernel) -> results, both tensors; linear in the inputs, no bias."""


@dataclass
class Ledger:
    """Relevance that does not reach the inputs."""

    biases: float = 0.0
    stabiliser: float = 0.0


@dataclass(frozen=True)
class Linear:
    """A linear layer: its map, ``float64`` kernel and bias (broadcast over the results)."""

    apply: Apply
    kernel: FloatArray
    bias: FloatArray


def epsilon_rule(
    layer: Linear, given: FloatArray, relevance: FloatArray, epsilon: float, ledger: Ledger
) -> FloatArray:
    """R_j = sum_k a_j w_jk / (z_k + eps sign(z_k)) R_k (Montavon 2019, section 10.2.1).

    ``epsilon`` is relative to the layer's mean |z|.
    """
    z = _applied(layer.apply, given, layer.kernel) + layer.bias
    share, kept = _ratio(relevance, z, epsilon)
    ledger.stabiliser += kept
    ledger.biases += float((share * layer.bias).sum())
    return given * _transposed(layer.apply, given, layer.kernel, share)


def gamma_rule(
    layer: Linear,
    given: FloatArray,
    relevance: FloatArray,
    gamma: float,
    epsilon: float,
    ledger: Ledger,
) -> FloatArray:
    """R_j = sum_k a_j (w_jk + gamma w+_jk) / (sum_j a_j (w_jk + gamma w+_jk) + b_k + ...) R_k.

    Montavon 2019, section 10.2.1, for inputs that are not negative. Signed inputs (mV) and negative
    z take its generalisation (Andeol et al., arXiv:2106.07304, appendix): where z_k > 0, positive
    contributions are raised by gamma; where z_k < 0, negative ones. Both denominators are then at
    least as large as z_k, and gamma = 0 is the epsilon rule.
    """
    z = _applied(layer.apply, given, layer.kernel) + layer.bias
    high, low = np.maximum(layer.kernel, 0.0), np.minimum(layer.kernel, 0.0)
    plus, minus = np.maximum(given, 0.0), np.minimum(given, 0.0)
    found = np.zeros_like(given)
    for chosen, raised, other, bias in (
        (z >= 0, high, low, layer.bias + gamma * np.maximum(layer.bias, 0.0)),
        (z < 0, low, high, layer.bias + gamma * np.minimum(layer.bias, 0.0)),
    ):
        own, opposite = layer.kernel + gamma * raised, layer.kernel + gamma * other
        below = _applied(layer.apply, plus, own) + _applied(layer.apply, minus, opposite) + bias
        share, kept = _ratio(np.where(chosen, relevance, 0.0), below, epsilon)
        ledger.stabiliser += kept
        ledger.biases += float((share * bias).sum())
        found += plus * _transposed(layer.apply, given, own, share)
        found += minus * _transposed(layer.apply, given, opposite, share)
    return found


def sum_rule(
    given: list[FloatArray], relevance: FloatArray, epsilon: float, ledger: Ledger
) -> list[FloatArray]:
    """Terms of a sum get relevance in proportion to their size, signs included."""
    share, kept = _ratio(relevance, sum(given, np.zeros(())), epsilon)
    ledger.stabiliser += kept
    return [term * share for term in given]


def pulled_back(
    apply: Callable[[Any], Any], given: FloatArray, relevance: FloatArray
) -> FloatArray:
    """Relevance through a layer that only rearranges values, or takes the largest."""
    import tensorflow as tf

    inputs = tf.constant(given)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        results = apply(inputs)
    back = tape.gradient(results, inputs, output_gradients=tf.cast(relevance, results.dtype))
    return np.asarray(back, dtype=np.float64)


def _ratio(relevance: FloatArray, z: FloatArray, epsilon: float) -> tuple[FloatArray, float]:
    """R / (z + eps sign(z)), and how much relevance the stabiliser absorbs."""
    size = epsilon * float(np.abs(z).mean()) + TINY
    stabiliser = np.where(z >= 0, size, -size)
    share = relevance / (z + stabiliser)
    return share, float((share * stabiliser).sum())


def _applied(apply: Apply, given: FloatArray, kernel: FloatArray) -> FloatArray:
    import tensorflow as tf

    return np.asarray(apply(tf.constant(given), tf.constant(kernel)), dtype=np.float64)


def _transposed(
    apply: Apply, given: FloatArray, kernel: FloatArray, share: FloatArray
) -> FloatArray:
    import tensorflow as tf

    weights = tf.constant(kernel)
    return pulled_back(lambda inputs: apply(inputs, weights), given, share)
