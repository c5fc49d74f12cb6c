"""Loss of a multi-label classifier and the weights of its classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgxai_core.models.training.config import LossParams
from ecgxai_core.types import BoolArray, Float32Array

__all__ = ["class_weights", "make_loss"]

_EPS = 1e-6


def class_weights(truth: BoolArray, kind: str) -> Float32Array:
    """``float32[class]``: weight of the positives of each class, never above 100.

    ``none`` is 1; ``inverse`` is negatives / positives, which makes both sides weigh the same;
    ``sqrt`` is its square root.
    """
    positives = np.maximum(truth.sum(axis=0), 1)
    ratio = (len(truth) - positives) / positives
    powers = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}
    return np.asarray(np.clip(ratio ** powers[kind], 0, 100), np.float32)


def make_loss(params: LossParams, weights: Float32Array) -> Callable[[Any, Any], Any]:
    """Loss ``(targets, probabilities) -> scalar``, both ``float32[batch, class]``.

    Binary cross-entropy, or the focal loss of Lin et al. (ICCV 2017), which multiplies it by
    ``(1 - p_t) ** gamma``.
    """
    import tensorflow as tf

    positive = tf.constant(weights)
    smooth = params.label_smoothing

    def loss(targets: Any, probabilities: Any) -> Any:
        p = tf.clip_by_value(probabilities, _EPS, 1 - _EPS)
        t = targets * (1 - smooth) + 0.5 * smooth
        present = -positive * t * tf.math.log(p)
        absent = -(1 - t) * tf.math.log1p(-p)
        if params.kind == "focal":
            present *= (1 - p) ** params.gamma
            absent *= p**params.gamma
        return tf.reduce_mean(present + absent)

    return loss
