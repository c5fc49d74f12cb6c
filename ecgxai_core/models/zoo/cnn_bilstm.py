"""Convolutions, then an LSTM in both directions of time (Graves & Schmidhuber 2005)."""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape
from ecgxai_core.models.zoo.parts import recurrent

__all__ = ["DEFAULT", "build"]

DEFAULT = Options(filters=(32, 64, 128), kernels=((7,), (5,), (5,)), units=64, dropout=0.2)


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model ``float32[batch, sample, lead] -> float32[batch, output]``."""
    from keras import layers

    one_way = layers.LSTM(options.units, return_sequences=True, name="lstm")
    layer = layers.Bidirectional(one_way, name="bilstm")
    return recurrent("cnn_bilstm", layer, shape, options, seed)
