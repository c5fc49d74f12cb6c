"""Small Keras models and manifests."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.models.keras_runtime import import_keras

SAMPLES, LEADS, CLASSES = 100, ("II", "I"), ("426783006", "164889003", "17338001")


def manifest_values(**changes: Any) -> dict[str, Any]:
    """A complete manifest of the small models, SHA-256 aside."""
    values: dict[str, Any] = {
        "classes": list(CLASSES),
        "fs": 100,
        "samples": SAMPLES,
        "leads": list(LEADS),
        "units": "mV",
        "pad": "end_zero",
        "crop": "start",
        "output": "probability",
        "source": "random weights, for tests",
        "sha256": "0" * 64,
    }
    return {**values, **changes}


def describe(path: Path, **changes: Any) -> Path:
    """Write the manifest beside a model file; returns the model file."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps(manifest_values(**{"sha256": sha256, **changes}))
    path.with_suffix(".json").write_text(text, "utf-8")
    return path


def residual_network(activation: str = "sigmoid", samples: int = SAMPLES) -> Any:
    """Convolutions, batch normalisation, a skip connection, average pooling, one dense layer."""
    keras = import_keras()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    given = keras.Input((samples, len(LEADS)))
    stem = layers.Conv1D(6, 5, padding="same")(given)
    hidden = layers.BatchNormalization()(stem)
    hidden = layers.ReLU()(hidden)
    hidden = layers.Dropout(0.2)(layers.Conv1D(6, 3, padding="same")(hidden))
    hidden = layers.Add()([hidden, stem])
    hidden = layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(given, layers.Dense(len(CLASSES), activation=activation)(hidden))


@pytest.fixture(scope="session")
def keras() -> Any:
    """The keras module."""
    return import_keras()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save a model with its manifest under a name; an ``.h5`` can be named ``.keras``."""

    def save(model: Any, name: str = "tiny.keras", h5: bool = False, **changes: Any) -> Path:
        target = tmp_path / ("made.h5" if h5 else "made.keras")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(target)
        return describe(target.rename(tmp_path / name), **changes)

    return save
