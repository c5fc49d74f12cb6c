"""Small random networks of every shape that the local engine claims to know."""

from __future__ import annotations

import numpy as np

from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.local_network import LocalNetwork
from ecgxai_core.models.locality import Locality, locality

__all__ = ["LEADS", "local_parts", "masked", "network"]

LEADS = 3


def network(shape):
    """A Keras model with random weights, normalisations included."""
    stack, pool, head, samples = shape
    keras = import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(len(stack) + samples)
    start = hidden = keras.Input((samples, LEADS))
    for kind, *options in stack:
        if kind == "conv":
            size, dilation, stride, padding = options
            padding = _fitting(hidden, size, dilation, padding)
            hidden = layers.Conv1D(
                4, size, strides=stride, dilation_rate=dilation, padding=padding, activation="relu"
            )(hidden)
        elif kind in {"max", "average"}:
            size, _, stride, padding = options
            padding = _fitting(hidden, size, 1, padding)
            made = layers.MaxPooling1D if kind == "max" else layers.AveragePooling1D
            hidden = made(size, strides=stride, padding=padding)(hidden)
        elif kind == "block":
            size, dilation, stride, padding = options
            padding = _fitting(hidden, size, dilation, padding)
            side = layers.Conv1D(
                5, size, strides=stride, dilation_rate=dilation, padding=padding, use_bias=False
            )(hidden)
            hidden = layers.ReLU()(layers.BatchNormalization()(side))
        elif kind == "norm":
            hidden = layers.BatchNormalization()(hidden)
        elif kind == "pad":
            hidden = layers.ZeroPadding1D((2, 1))(hidden)
        else:
            side = layers.Conv1D(hidden.shape[-1], 3, padding="same")(hidden)
            hidden = layers.Add()([hidden, side])
    pools = {"mean": [layers.GlobalAveragePooling1D()], "max": [layers.GlobalMaxPooling1D()]}
    chosen = pools["mean"] + pools["max"] if pool == "both" else pools[pool]
    parts = [layer(hidden) for layer in chosen]
    pooled = parts[0] if len(parts) == 1 else layers.Concatenate()(parts)
    if head == "deep":
        pooled = layers.Dense(5, activation="tanh")(pooled)
    activation = "softmax" if head == "softmax" else "sigmoid"
    model = keras.Model(start, layers.Dense(3, activation=activation)(pooled))
    rng = np.random.default_rng(samples)
    weights = [
        rng.normal(0.0, 0.5, w.shape) if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape)
        for w in model.get_weights()
    ]
    model.set_weights(weights)
    return model


def _fitting(hidden, size, dilation, padding):
    """Padding with which a kernel fits into what earlier layers have left of the record."""
    return "same" if hidden.shape[1] <= (size - 1) * dilation else padding


def masked(values, baseline, edges, keep):
    rows = np.repeat(values[None], len(keep), axis=0)
    for segment in range(len(edges) - 1):
        part = slice(edges[segment], edges[segment + 1])
        rows[:, part] = np.where(keep[:, None, :, segment], values[part], baseline[part])
    return rows


def local_parts(model, samples):
    found = locality(model, samples)
    assert isinstance(found, Locality)
    return found, LocalNetwork(model, found, 0, lambda raw: raw, ("", 1.0))
