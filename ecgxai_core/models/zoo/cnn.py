"""A plain convolutional network: convolutions with pooling, mean over time, one dense layer."""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape
from ecgxai_core.models.zoo.parts import convolutions, head

__all__ = ["DEFAULT", "build"]

DEFAULT = Options(filters=(32, 64, 128), kernels=((7,), (5,), (5,)), dropout=0.2)


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model ``float32[batch, sample, lead] -> float32[batch, output]``."""
    import keras
    from keras import layers

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    end = head(convolutions(start, options), shape, options, seed)
    return keras.Model(start, end, name="cnn")
