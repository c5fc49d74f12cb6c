"""ResNet for time series (Wang, Yan & Oates, IJCNN 2017, arXiv:1611.06455).

Residual blocks of three convolutions, global average pooling and one dense sigmoid layer. There is
no stride and no pooling before the end, so each feature sees :func:`receptive_field` samples and
the prediction is a function of their mean over time.
"""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape

__all__ = ["DEFAULT", "build", "receptive_field"]

DEFAULT = Options(filters=(64, 128, 128), kernels=((8, 5, 3),))


def receptive_field(options: Options = DEFAULT) -> int:
    """Samples that one feature sees: 1 + the sum of (kernel - 1) over all convolutions."""
    stages = range(len(options.filters))
    return 1 + sum(kernel - 1 for stage in stages for kernel in options.kernels_of(stage))


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model ``float32[batch, sample, lead] -> float32[batch, output]``."""
    import keras
    from keras import layers

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    x = start
    for stage, filters in enumerate(options.filters):
        x = _block(x, filters, options.kernels_of(stage), f"block{stage + 1}")
    x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    if options.dropout:
        x = layers.Dropout(options.dropout, seed=seed % 2**31, name="dropout")(x)
    end = layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x)
    return keras.Model(start, end, name="resnet1d")


def _block(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    """Convolutions with normalisation, plus the shortcut; ReLU after the sum."""
    from keras import layers

    shortcut = x
    if x.shape[-1] != filters:
        shortcut = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_shortcut")(x)
        shortcut = layers.BatchNormalization(name=f"{name}_shortcut_norm")(shortcut)
    for number, kernel in enumerate(kernels, start=1):
        part = f"{name}_conv{number}"
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=part)(x)
        x = layers.BatchNormalization(name=f"{part}_norm")(x)
        if number < len(kernels):
            x = layers.ReLU(name=f"{part}_relu")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))
