"""Lead-wise residual encoder with temporal and lead attention, after the design of TrustECG.

One encoder reads every lead by itself (its kernels are one lead wide). Temporal attention says
which moments of each lead count, lead attention which leads count (both as in Bahdanau et al.,
ICLR 2015: softmax of a small tanh network), and two dense layers give the probabilities. The model
returns its attention: a dict with ``probability`` ``[output]``, ``temporal_attention``
``[moment, lead]`` (sums to 1 over moments) and ``lead_attention`` ``[lead]`` (sums to 1).
"""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape

__all__ = ["DEFAULT", "build"]

DEFAULT = Options(filters=(16, 32, 64), kernels=((9,), (5, 5), (5, 5), (5, 3)), dropout=0.3)


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model; ``kernels`` are those of the stem, then of each stage's two convolutions."""
    import keras
    from keras import layers, ops

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    x = ops.expand_dims(start, axis=-1)
    x = _convolution(x, options.filters[0], options.kernels_of(0)[0], 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate(options.filters):
        x = _block(x, filters, options.kernels_of(stage + 1), f"stage{stage + 1}")
    moments = _attention(x, options.units, "temporal", axis=1)
    seen = ops.sum(layers.Multiply(name="moments_weighted")([x, moments]), axis=1)
    # The mean beside the attended moment keeps what repeats with every beat, such as the rate.
    leads = layers.Concatenate(name="per_lead")([seen, ops.mean(x, axis=1)])
    weights = _attention(leads, options.units, "lead", axis=1)
    x = layers.Multiply(name="leads_weighted")([leads, weights])
    x = layers.BatchNormalization(name="leads_norm")(layers.Flatten(name="leads_flat")(x))
    x = _dropout(x, options.dropout, seed, 1)
    x = layers.Dense(options.units, activation="relu", name="dense")(x)
    x = _dropout(x, options.dropout, seed, 2)
    outputs = {
        "probability": layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x),
        "temporal_attention": ops.squeeze(moments, axis=-1),
        "lead_attention": ops.squeeze(weights, axis=-1),
    }
    return keras.Model(start, outputs, name="lead_attention")


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """Convolution over time alone, then normalisation: ``[moment, lead, filter]``."""
    from keras import layers

    x = layers.Conv2D(
        filters, (kernel, 1), strides=(stride, 1), padding="same", use_bias=False, name=name
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _block(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    """Residual block that halves the number of moments."""
    from keras import layers

    shortcut = layers.AveragePooling2D((2, 1), padding="same", name=f"{name}_pool")(x)
    if x.shape[-1] != filters:
        shortcut = _convolution(shortcut, filters, 1, 1, f"{name}_shortcut")
    x = _convolution(x, filters, kernels[0], 2, f"{name}_conv1")
    x = layers.ReLU(name=f"{name}_conv1_relu")(x)
    x = _convolution(x, filters, kernels[-1], 1, f"{name}_conv2")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _attention(x: Any, units: int, name: str, axis: int) -> Any:
    """Weights that sum to 1 along ``axis``; one per place, last axis of length 1."""
    from keras import layers

    x = layers.Dense(units, activation="tanh", name=f"{name}_score_hidden")(x)
    x = layers.Dense(1, use_bias=False, name=f"{name}_score")(x)
    return layers.Softmax(axis=axis, name=f"{name}_weights")(x)


def _dropout(x: Any, rate: float, seed: int, number: int) -> Any:
    from keras import layers

    if not rate:
        return x
    own = (seed + number) % 2**31
    return layers.Dropout(rate, seed=own, name=f"dropout{number}")(x)
