"""A data set and a Keras model small enough for a test of the whole pipeline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS, Float32Array

AF, SINUS = "164889003", "426783006"
FS, SECONDS = 100, 6
SAMPLES = FS * SECONDS


def beats(rate: float, seed: int, seconds: float = SECONDS + 1.0) -> Float32Array:
    """``float32[12, sample]``, mV: narrow QRS, T and (at a regular rate) P waves with noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * FS)) / FS
    peaks = np.arange(0.5, seconds - 0.3, 60 / rate) + rng.normal(0, 0.02, 1)
    base = np.zeros_like(time)
    for peak in peaks:
        for delay, width, height in ((0, 0.012, 1.0), (0.25, 0.05, 0.25), (-0.16, 0.03, 0.12)):
            base += height * np.exp(-0.5 * ((time - peak - delay) / width) ** 2)
    one, two = 0.7 * base, base
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    chest = [(-0.4 + 0.25 * k) * base for k in range(6)]
    noise = rng.normal(0, 0.005, (12, len(time)))
    noise[2:6] = [
        noise[1] - noise[0],
        -(noise[0] + noise[1]) / 2,
        noise[0] - noise[1] / 2,
        noise[1] - noise[0] / 2,
    ]
    return (np.stack([*limbs, *chest]) + noise).astype(np.float32)


def write_data(folder: Path, n: int = 6, scale: float = 1.0, stem: str = "T") -> Path:
    """``n`` records at 100 Hz, 7 s, in turn labelled atrial fibrillation and sinus rhythm.

    With ``scale`` 2 their voltages are large enough for no warning of low ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        write_record(
            folder,
            f"{stem}{i:03d}",
            scale * beats(70 + 7 * i, seed=i),
            FS,
            STANDARD_LEADS,
            labels=(AF if i % 2 == 0 else SINUS,),
            age=40 + i,
            sex="female" if i % 2 else "male",
        )
    return folder


def write_model(folder: Path, seed: int = 0, classes: Sequence[str] = (AF, SINUS)) -> Path:
    """A network of two convolutions, average pooling and one dense layer, with its manifest."""
    keras = import_keras()
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    given = keras.Input((SAMPLES, 12))
    hidden = layers.Conv1D(8, 5, padding="same", activation="relu")(given)
    hidden = layers.Conv1D(8, 5, padding="same", activation="relu")(hidden)
    hidden = layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(given, layers.Dense(len(classes), activation="sigmoid")(hidden))
    path = folder / "tiny.keras"
    model.save(path)
    manifest = {
        "classes": list(classes),
        "fs": FS,
        "samples": SAMPLES,
        "leads": list(STANDARD_LEADS),
        "units": "mV",
        "pad": "end_zero",
        "crop": "start",
        "output": "probability",
        "source": "random weights, for tests",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(manifest), "utf-8")
    return path
