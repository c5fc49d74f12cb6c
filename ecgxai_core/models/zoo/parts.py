"""Parts that the convolutional and recurrent builders share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape

__all__ = ["convolutions", "head", "recurrent"]


def convolutions(x: Any, options: Options) -> Any:
    """Stages of convolution, normalisation, ReLU and pooling by 4, ``[moment, filter]``."""
    from keras import layers

    for stage, filters in enumerate(options.filters):
        kernel, name = options.kernels_of(stage)[0], f"conv{stage + 1}"
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))
        x = layers.MaxPooling1D(4, padding="same", name=f"{name}_pool")(x)
    return x


def head(x: Any, shape: Shape, options: Options, seed: int) -> Any:
    """Mean over time, dropout, one dense sigmoid layer."""
    from keras import layers

    x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    if options.dropout:
        x = layers.Dropout(options.dropout, seed=seed % 2**31, name="dropout")(x)
    return layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x)


def recurrent(
    name: str, layer: Callable[[Any], Any], shape: Shape, options: Options, seed: int
) -> Any:
    """Convolutions, a recurrent layer over their moments, and the head.

    The mean over all moments is used rather than the last one: with the last one alone, serial
    convolution-LSTM models of ECGs often stay at chance level.
    """
    import keras
    from keras import layers

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    end = head(layer(convolutions(start, options)), shape, options, seed)
    return keras.Model(start, end, name=name)
