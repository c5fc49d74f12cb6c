"""The zoo: one builder a module, all with the same signature, made of standard Keras layers only.

``build(shape, options, seed)`` returns an untrained ``keras.Model`` from ``float32[batch, sample,
lead]`` to sigmoid probabilities ``float32[batch, output]``. Standard layers (no Lambda, no custom
class) are what lets a saved model be loaded in Keras' safe mode.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.zoo.options import Options, Shape

__all__ = ["ARCHITECTURES", "Options", "Shape", "build", "initialise"]

ARCHITECTURES: dict[str, str] = {
    "resnet1d": "Wang 2017: residual blocks, no stride, global average pooling",
    "inception1d": "Ismail Fawaz 2020: parallel kernels of several lengths, residual",
    "cnn": "strided convolutions, global average pooling",
    "cnn_lstm": "convolutions, then LSTM",
    "cnn_bilstm": "convolutions, then bidirectional LSTM",
    "cnn_gru": "convolutions, then GRU",
    "lstm": "LSTM alone, a diagnostic baseline",
    "lead_attention": "lead-wise residual encoder, temporal attention, lead attention",
}
"""Name -> one line; the module of the same name holds the builder."""


def build(name: str, shape: Shape, options: Options | None = None, seed: int = 0) -> Any:
    """Build an untrained ``keras.Model`` whose starting weights depend on ``seed`` alone.

    Raises
    ------
    ParameterError
        An architecture that the zoo does not have.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ParameterError("model", name, "is not in the zoo", f"use one of {known}")
    module = import_module(f"{__name__}.{name}")
    model = module.build(shape, options or module.DEFAULT, seed)
    initialise(model, seed)
    return model


def initialise(model: Any, seed: int) -> None:
    """Draw every starting weight from a seed of its own, so that no global generator counts.

    The distributions are those that each layer asks for; only their seeds are replaced.
    """
    from ecgxai_core.types import content_seed

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
