"""InceptionTime (Ismail Fawaz et al., Data Mining and Knowledge Discovery 34:1936, 2020).

Each module runs kernels of several lengths side by side on a narrowed input, beside a pooled
branch; a shortcut spans every third module. No stride, global average pooling.
"""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape

__all__ = ["DEFAULT", "build"]

DEFAULT = Options(filters=(32, 32, 32, 32, 32, 32), kernels=((40, 20, 10),))

_SPAN = 3  # modules that one shortcut spans


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model; ``filters`` are per branch of each module, ``kernels`` its branches."""
    import keras
    from keras import layers

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    x = shortcut = start
    for number, filters in enumerate(options.filters, start=1):
        x = _module(x, filters, options.kernels_of(number - 1), f"module{number}")
        if number % _SPAN == 0:
            x = shortcut = _residual(x, shortcut, f"residual{number}")
    x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    if options.dropout:
        x = layers.Dropout(options.dropout, seed=seed % 2**31, name="dropout")(x)
    end = layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x)
    return keras.Model(start, end, name="inception1d")


def _module(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    from keras import layers

    narrow = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_narrow")(x)
    branches = [
        layers.Conv1D(filters, k, padding="same", use_bias=False, name=f"{name}_branch{b}")(narrow)
        for b, k in enumerate(kernels, start=1)
    ]
    pooled = layers.MaxPooling1D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches.append(layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_pooled")(pooled))
    x = layers.Concatenate(name=f"{name}_join")(branches)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def _residual(x: Any, shortcut: Any, name: str) -> Any:
    from keras import layers

    shortcut = layers.Conv1D(x.shape[-1], 1, use_bias=False, name=f"{name}_shortcut")(shortcut)
    shortcut = layers.BatchNormalization(name=f"{name}_norm")(shortcut)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))
