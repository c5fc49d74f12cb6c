"""The model zoo: architectures with common arguments, made of standard Keras layers only.

:func:`build` returns an untrained ``keras.Model`` from ``float32[batch, sample, lead]`` to sigmoid
probabilities ``float32[batch, output]``. Using only standard layers (no Lambda, no custom class)
allows a saved model to be loaded in Keras' safe mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import Params
from ecgxai_core.types import content_seed

__all__ = ["ARCHITECTURES", "DEFAULTS", "Options", "Shape", "build", "receptive_field"]

ARCHITECTURES: dict[str, str] = {
    "resnet1d": "Wang 2017: residual blocks, no stride, global average pooling",
    "inception1d": "Ismail Fawaz 2020: parallel kernels of several lengths, residual",
    "xresnet1d": "He 2019 in one dimension, as in the PTB-XL benchmark: strided bottleneck blocks",
    "rhythm": "strided residual encoder to an eighth of the rate, two-way GRU, attention over time",
    "cnn": "strided convolutions, global average pooling",
    "cnn_lstm": "convolutions, then LSTM",
    "cnn_bilstm": "convolutions, then bidirectional LSTM",
    "cnn_gru": "convolutions, then GRU",
    "lstm": "LSTM without convolutions, to show what the convolutions contribute",
    "lead_attention": "lead-wise residual encoder, temporal attention, lead attention",
}
"""Name -> one-line summary; the builders are in :mod:`ecgxai_core.training.networks`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Samples (``None`` = any number) and leads of the input, and the number of outputs."""

    samples: int | None
    leads: int
    outputs: int


class Options(Params):
    """Sizes of an architecture; a builder ignores those that do not apply to it."""

    filters: tuple[int, ...] = Field(
        (64, 128, 128), min_length=1, max_length=12, description="filters of each stage"
    )
    kernels: tuple[tuple[int, ...], ...] = Field(
        ((8, 5, 3),),
        min_length=1,
        description="kernel lengths of each stage's convolutions; the last row also serves "
        "all later stages",
    )
    blocks: tuple[int, ...] = Field(
        (), max_length=12, description="residual blocks of each stage, where they are several"
    )
    units: int = Field(64, ge=1, le=4096, description="units of recurrent or dense layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the last layer")

    def kernels_of(self, stage: int) -> tuple[int, ...]:
        """Kernel lengths of one stage."""
        return self.kernels[min(stage, len(self.kernels) - 1)]


_SERIAL = Options(filters=(32, 64, 128), kernels=((7,), (5,), (5,)), units=64, dropout=0.2)
DEFAULTS: dict[str, Options] = {
    **dict.fromkeys(ARCHITECTURES, _SERIAL),
    "resnet1d": Options(filters=(64, 128, 128), kernels=((8, 5, 3),)),
    "inception1d": Options(filters=(32, 32, 32, 32, 32, 32), kernels=((40, 20, 10),)),
    "xresnet1d": Options(
        filters=(64, 64, 64, 64), kernels=((5,),), blocks=(3, 4, 6, 3), dropout=0.5
    ),
    "rhythm": Options(
        filters=(48, 96, 128), kernels=((11,), (5, 5), (5, 5), (5, 5)), units=96, dropout=0.3
    ),
    "lead_attention": Options(
        filters=(16, 32, 64), kernels=((9,), (5, 5), (5, 5), (5, 3)), dropout=0.3
    ),
}
"""Name -> sizes used where a configuration gives none."""


def receptive_field(name: str, options: Options | None = None) -> int | None:
    """Samples that one feature covers; ``None`` for architectures without a local field.

    Of ``resnet1d``: 1 + the sum of (kernel - 1) over all convolutions.
    """
    if name != "resnet1d":
        return None
    options = options or DEFAULTS[name]
    stages = range(len(options.filters))
    return 1 + sum(kernel - 1 for stage in stages for kernel in options.kernels_of(stage))


def build(name: str, shape: Shape, options: Options | None = None, seed: int = 0) -> Any:
    """Build an untrained ``keras.Model`` whose initial weights depend only on ``seed``.

    Raises
    ------
    ParameterError
        The zoo has no such architecture.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ParameterError("model", name, "is not in the zoo", f"use one of {known}")
    from ecgxai_core.training.networks import untrained

    model = untrained(name, shape, options or DEFAULTS[name], seed)
    _initialise(model, seed)
    return model


def _initialise(model: Any, seed: int) -> None:
    """Redraw all initial weights with seeds of their own, independent of global generators.

    Each layer keeps its initialiser; only the initialiser's seed is replaced.
    """
    for number, layer in enumerate(model._flatten_layers(include_self=False, recursive=True)):
        for kind in ("kernel", "recurrent", "depthwise", "pointwise"):
            initializer = getattr(layer, f"{kind}_initializer", None)
            weight = getattr(layer, "recurrent_kernel" if kind == "recurrent" else kind, None)
            weight = getattr(layer, f"{kind}_kernel", weight)
            if initializer is None or weight is None or "seed" not in initializer.get_config():
                continue
            own = content_seed("initial weights", seed, number, kind) % 2**31
            config = {**initializer.get_config(), "seed": own}
            weight.assign(type(initializer).from_config(config)(weight.shape, dtype=weight.dtype))
