"""Keras networks small enough for tests of methods that look inside."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.explainers import METHODS
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.params import ExplainParams, choices
from tests.analytic import FS

LEADS = ("V2", "I", "II")
"""Not in standard order, so that a method which forgets the order fails."""
CLASSES = ("426783006", "164889003", "17338001")
TARGET, OTHER = "164889003", "426783006"
SAMPLES = 200


def loaded(model: Any, folder: Path, **manifest: Any) -> KerasClassifier:
    """Save a network and load it as a classifier of three leads and three classes at 100 Hz."""
    path = folder / "network.keras"
    model.save(path)
    values: dict[str, Any] = {
        "classes": CLASSES,
        "fs": FS,
        "samples": SAMPLES,
        "leads": LEADS,
        "units": "mV",
        "pad": "end_zero",
        "crop": "start",
        "output": "probability",
        "source": "random weights, for tests",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return load_classifier(path, Manifest(**{**values, **manifest}))


def linear(activation: str = "sigmoid", seed: int = 0) -> Any:
    """One dense layer over all samples: every gradient is a weight."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    given = keras.Input((SAMPLES, len(LEADS)))
    flat = keras.layers.Flatten()(given)
    end = keras.layers.Dense(len(CLASSES), activation=activation, bias_initializer="normal")
    return keras.Model(given, end(flat))


def smooth(activation: str | None = "sigmoid", seed: int = 1) -> Any:
    """Convolutions with softplus: a function that finite differences follow."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = layers.Conv1D(4, 5, padding="same", activation="softplus")(given)
    hidden = layers.AveragePooling1D(2)(hidden)
    hidden = layers.Conv1D(4, 5, padding="same", activation="tanh")(hidden)
    hidden = layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(given, layers.Dense(len(CLASSES), activation=activation)(hidden))


def residual(seed: int = 2, activation: str | None = "sigmoid") -> Any:
    """Convolutions, folded and free normalisation, a sum, both poolings, dense layers, ReLU."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    given = keras.Input((SAMPLES, len(LEADS)))
    x = layers.Conv1D(6, 5, padding="same", use_bias=False, name="stem")(given)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_norm")(x))
    x = layers.MaxPooling1D(2, name="pool")(x)
    y = layers.Conv1D(6, 3, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv1D(6, 3, dilation_rate=2, padding="same", name="last")(y)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, y]))
    x = layers.BatchNormalization(name="free_norm")(x)
    x = layers.AveragePooling1D(2, name="mean_pool")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Dense(8, activation="relu", name="dense")(layers.Dropout(0.2)(x))
    model = keras.Model(given, layers.Dense(len(CLASSES), activation=activation, name="end")(x))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            shape = layer.get_weights()[0].shape
            layer.set_weights(
                [rng.uniform(0.5, 1.5, shape), *rng.normal(0, 0.3, (2, *shape)),
                 rng.uniform(0.5, 1.5, shape)]
            )  # fmt: skip
        elif getattr(layer, "use_bias", False):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    return model


def attentive() -> Any:
    """The zoo's network with attention to moments and leads, as small as it gets."""
    import_keras().utils.set_random_seed(5)
    from ecgxai_core.training.networks import untrained
    from ecgxai_core.training.zoo import Options, Shape

    options = Options(filters=(4, 6), kernels=((5,), (3, 3), (3, 3)), units=8)
    return untrained("lead_attention", Shape(SAMPLES, len(LEADS), len(CLASSES)), options, 0)


def another(params: ExplainParams) -> dict[str, Any]:
    """Another value of every parameter, from the schema; of those that the networks above have."""
    named = {"contrast": OTHER, "cam_layer": "stem", "segments": "wave", "level": "owen"}
    others = {}
    for name, field in ExplainParams.model_fields.items():
        value = getattr(params, name)
        bounds = {kind: getattr(mark, kind) for mark in field.metadata
                  for kind in ("ge", "le", "lt") if hasattr(mark, kind)}  # fmt: skip
        top = bounds.get("le", bounds.get("lt", 1e9))
        if name in named:
            others[name] = named[name]
        elif options := choices(ExplainParams, name):
            others[name] = next(option for option in reversed(options) if option != value)
        elif isinstance(value, bool):
            others[name] = not value
        elif value is None:
            others[name] = max(100, bounds["ge"])
        elif isinstance(value, int):
            others[name] = value + 1 if value < top else value - 1
        else:
            others[name] = value * 1.2 if 0 < value * 1.2 < top else (value / 1.2 or 1.0)
    return others


def of_every_method(folder: Path) -> dict[str, KerasClassifier]:
    """For each method a network that it can explain; nearly all take the same."""
    names = {"probability": "probability", "attention": ("temporal_attention", "lead_attention")}
    plain = loaded(residual(), folder)
    return dict.fromkeys(METHODS, plain) | {"attention": loaded(attentive(), folder, outputs=names)}
