"""An LSTM alone: a diagnostic baseline for what the convolutions of the others contribute."""

from __future__ import annotations

from typing import Any

from ecgxai_core.models.zoo.options import Options, Shape
from ecgxai_core.models.zoo.parts import head

__all__ = ["DEFAULT", "build"]

DEFAULT = Options(filters=(1,), units=64, dropout=0.2)

_POOL = 4  # samples averaged before the LSTM: it makes 1000 steps 250


def build(shape: Shape, options: Options = DEFAULT, seed: int = 0) -> Any:
    """Untrained model ``float32[batch, sample, lead] -> float32[batch, output]``."""
    import keras
    from keras import layers

    start = layers.Input((shape.samples, shape.leads), name="ecg")
    x = layers.AveragePooling1D(_POOL, padding="same", name="average")(start)
    x = layers.LSTM(options.units, return_sequences=True, name="lstm")(x)
    return keras.Model(start, head(x, shape, options, seed), name="lstm")
