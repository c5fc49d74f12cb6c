"""Models of which it is known what they use: detectors of planted evidence, and a small network.

- A detector is linear in the samples of the planted evidence of one record and blind to all else,
  so its exact attributions are known on paper. A detector of the shortcut artefact that gives out a
  diagnosis is a cheat, as it is made by labels that come with a technical mark.
- The network is trained on simulated people of the ``training`` population, who share no seed and
  no parameter value with those it is judged on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.manifest import Manifest, manifest_path, save_manifest
from ecgxai_core.models.structure import Output, Structure
from ecgxai_core.models.zoo.options import Options, Shape
from ecgxai_core.models.zoo.resnet1d import build
from ecgxai_core.simulate import Simulation, simulate
from ecgxai_core.simulate.populations import Population
from ecgxai_core.types import (
    STANDARD_LEADS,
    BoolArray,
    Float32Array,
    content_seed,
)

__all__ = [
    "CHEAT_TARGET",
    "FS",
    "MARK",
    "NETWORK_MECHANISMS",
    "SAMPLES",
    "detector",
    "manifest_for",
    "simulated",
    "train_network",
]

FS, SAMPLES = 100, 1000
NETWORK_MECHANISMS: dict[str, str] = {
    "premature_ventricular": "427172004",
    "st_elevation_anterior": "164931005",
    "right_bundle_branch_block": "713427006",
    "t_inversion_anterior": "59931005",
}
"""What the network learns to tell from sinus rhythm: mechanism -> SNOMED-CT code."""

MARK = "shortcut_artefact"
CHEAT_TARGET = "164889003"
_RHYTHM = "sinus_rhythm"
_OPTIONS = Options(filters=(16, 24, 24), kernels=((7, 5, 3),))
DETECTOR_LOGIT = 3.0


def simulated(mechanism: str | tuple[str, ...], seed: int, training: bool = False) -> Simulation:
    """One simulated record of ten seconds at 100 Hz."""
    population: Population = "training" if training else "demonstration"
    return simulate(mechanism, seed=seed, fs=FS, population=population)


def manifest_for(classes: tuple[str, ...], source: str, sha256: str = "0" * 64) -> Manifest:
    """Millivolts at 100 Hz as they come, ten seconds, probabilities."""
    return Manifest(
        classes=classes,
        fs=FS,
        samples=SAMPLES,
        leads=STANDARD_LEADS,
        units="mV",
        pad="end_zero",
        crop="start",
        output="probability",
        source=source,
        sha256=sha256,
    )


def detector(signal: Float32Array, mask: BoolArray, code: str) -> KerasClassifier:
    """A classifier that looks at some samples of one record and at nothing else.

    logit = 3 (2 <x, w> / <x0, w> - 1), where w is the record x0 itself inside the mask and 0
    elsewhere: +3 for the record, -3 for a flat line, and linear between. The Shapley value of a
    cell on the logit scale is 6 times its share of <x0, w> (linear models: Lundberg & Lee 2017,
    corollary 1).

    Parameters
    ----------
    signal
        ``float32[sample, lead]``: the record x0, mV.
    mask
        ``bool[sample, lead]``: the samples that it looks at.
    code
        SNOMED-CT code that it gives out.
    """
    keras = import_keras()
    inside = np.where(mask, signal.astype(np.float64), 0.0)
    weights = (2 * DETECTOR_LOGIT * inside / (inside * signal).sum()).astype(np.float32)
    given = keras.Input((SAMPLES, len(STANDARD_LEADS)))
    dense = keras.layers.Dense(1, activation="sigmoid", name="probability")
    model = keras.Model(given, dense(keras.layers.Flatten()(given)))
    dense.set_weights([weights.reshape(-1, 1), np.array([-DETECTOR_LOGIT], np.float32)])
    digest = hashlib.sha256(weights.tobytes() + code.encode()).hexdigest()
    structure = Structure(
        inputs=((None, SAMPLES, len(STANDARD_LEADS)),),
        outputs=(Output("probability", (None, 1), "sigmoid"),),
        n_params=weights.size + 1,
        operations=float(weights.size),
    )
    manifest = manifest_for((code,), "detector of planted evidence", digest)
    return KerasClassifier(model, manifest, structure, 0, "detector")


def train_network(folder: Path, seed: int, n_each: int = 120) -> Path:
    """A small network that tells the mechanisms apart; its file, beside its manifest."""
    rng = np.random.default_rng(content_seed("planted network", seed))
    names = [*NETWORK_MECHANISMS, _RHYTHM]
    drawn = [(name, int(rng.integers(2**31))) for name in names for _ in range(n_each)]
    classes = tuple(NETWORK_MECHANISMS.values())
    signals = [_values(simulated(name, number, training=True)) for name, number in drawn]
    truth = [[name == mechanism for mechanism in NETWORK_MECHANISMS] for name, _ in drawn]
    return _trained(folder / "network.keras", signals, truth, classes, seed)


def _values(simulation: Simulation) -> Float32Array:
    return np.ascontiguousarray(simulation.record.signal.T[:SAMPLES])


def _trained(
    path: Path,
    signals: list[Float32Array],
    truth: list[list[bool]],
    classes: tuple[str, ...],
    seed: int,
) -> Path:
    """Train a small network of the zoo, save it with its manifest, and return its file."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    model = build(Shape(SAMPLES, len(STANDARD_LEADS), len(classes)), _OPTIONS, seed)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(np.stack(signals), np.array(truth, np.float32), batch_size=32, epochs=25, verbose=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = "trained on simulated records for the planted benchmark"
    save_manifest(manifest_for(classes, source, digest), manifest_path(path))
    return path
