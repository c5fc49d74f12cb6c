"""The rules of layer-wise relevance propagation: how one layer hands relevance back.

All take the relevance R_k of a layer's results and give that of its inputs (Bach et al., PLoS ONE
10:e0130140, 2015; Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019). A linear
layer is z_k = sum_j a_j w_jk + b_k. Computed in float64, so that what is lost is what the rules
lose and not rounding. What biases and stabilisers keep for themselves is counted in a ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.types import FloatArray

__all__ = ["Ledger", "Linear", "epsilon_rule", "gamma_rule", "pulled_back", "sum_rule"]

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
    """Relevance through a layer that only moves values about, or takes the largest."""
    import tensorflow as tf

    inputs = tf.constant(given)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        results = apply(inputs)
    back = tape.gradient(results, inputs, output_gradients=tf.cast(relevance, results.dtype))
    return np.asarray(back, dtype=np.float64)


def _ratio(relevance: FloatArray, z: FloatArray, epsilon: float) -> tuple[FloatArray, float]:
    """R / (z + eps sign(z)) and how much relevance the stabiliser keeps."""
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
    """The transpose of a linear map applied to ``share``."""
    import tensorflow as tf

    weights = tf.constant(kernel)
    return pulled_back(lambda inputs: apply(inputs, weights), given, share)
