"""The planted benchmark: does a method find planted evidence, and does it expose a cheat?

Every map is evaluated against the planted cells of its record (20 ms bins by lead), together with
the oracle, which knows the truth, and maps without information. Results on simulated records say
nothing about performance on patients.

A detector is linear in the samples of the planted evidence of one record and ignores all others, so
its exact attributions are known analytically. A detector of the shortcut artefact that outputs a
diagnosis is a cheat, like a model trained on labels that coincide with a technical mark. The
network is trained on the ``training`` population of simulated records, which shares no seed and no
parameter value with the records on which it is evaluated.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgxai_core.audit.benchmark_tables import summary_table
from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.explainers import METHODS, explain
from ecgxai_core.metrics.plausibility import localisation
from ecgxai_core.metrics.raster import Raster, mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, oracle_map
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import Manifest, manifest_path, save_manifest
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.safe.structure import Output, Structure
from ecgxai_core.params import EvaluationParams, ExplainParams, profile
from ecgxai_core.simulation import Simulation, simulate
from ecgxai_core.simulation.populations import Population
from ecgxai_core.training.zoo import Options, Shape
from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    BoolArray,
    Float32Array,
    Map,
    content_seed,
)

__all__ = [
    "CHEAT_TARGET",
    "MARK",
    "METRICS",
    "NETWORK_MECHANISMS",
    "SAMPLES",
    "detector",
    "planted_benchmark",
    "simulated",
    "train_network",
    "unmasked",
]

log = logging.getLogger(__name__)

METRICS = ("attauc", "relevance_mass", "pointing")
"""From :func:`ecgxai_core.metrics.plausibility.localisation`; pointing is relative to chance."""
MODELS = ("detector", "cheat", "network")
BIN_SEC = 0.02
WINDOW_SEC = 0.5
FS, SAMPLES = 100, 1000
NETWORK_MECHANISMS: dict[str, str] = {
    "premature_ventricular": "427172004",
    "st_elevation_anterior": "164931005",
    "right_bundle_branch_block": "713427006",
    "t_inversion_anterior": "59931005",
}
"""What the network learns to distinguish from sinus rhythm: mechanism -> SNOMED-CT code."""

MARK = "shortcut_artefact"
CHEAT_TARGET = "164889003"
_RHYTHM = "sinus_rhythm"
_OPTIONS = Options(filters=(16, 24, 24), kernels=((7, 5, 3),))
DETECTOR_LOGIT = 3.0

FIRST_SEED = 50_000
"""Seeds start here; those of the demonstration set start at zero."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PlantedResult:
    """``scores``: one row per record and map. ``summary``: means and intervals by model, method."""

    scores: pd.DataFrame
    summary: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Case:
    """A record, its model, and the mechanism that is the model's evidence."""

    model: str
    mechanism: str
    classifier: Classifier
    target: str
    simulation: Simulation


def methods() -> dict[str, tuple[str, ExplainParams]]:
    """Name in the table -> method and parameters: every method on waves as by default, all cells of
    TimeSHAP also where each takes whole passes; and variants of two methods.
    """
    default = profile("default").explain.updated(segments="wave")
    windows = ExplainParams(window_sec=WINDOW_SEC)
    every = default.updated(top_events=10_000)
    published = profile("reference")
    whole_games = windows.updated(n_lead_coalitions=4096, top_events=20)
    return {
        "shapley_exact": ("timeshap", whole_games),
        **{name: (name, default) for name in METHODS},
        "timeshap": ("timeshap", every),
        "timeshap_8_leads": ("timeshap", every.updated(lead_group="independent")),
        "timeshap_windows": ("timeshap", windows),
        "timeshap_published": ("timeshap", published.timeshap.updated(window_sec=WINDOW_SEC)),
        "lime_published": ("lime", published.lime.updated(window_sec=WINDOW_SEC)),
    }


def planted_benchmark(
    folder: Path,
    *,
    n: int = 8,
    seed: int = 0,
    only: Sequence[str] | None = None,
    models: Sequence[str] = MODELS,
    say: Say = lambda _: None,
) -> PlantedResult:
    """Train the models, explain ``n`` records per mechanism with every method, evaluate the maps.

    Parameters
    ----------
    folder
        Folder of the trained models; existing ones of this seed are reused.
    n, seed
        Records per mechanism and model; seed of models and records.
    only, models
        Names of :func:`methods` (``None`` = all), and some of :data:`MODELS`.
    say
        Called with progress messages.

    Raises
    ------
    ParameterError
        A name is not among :func:`methods`.
    """
    known = methods()
    unknown = [name for name in only or () if name not in known]
    if unknown:
        fix = f"choose from {', '.join(known)}"
        raise ParameterError("planted benchmark", "method", f"there is no {unknown[0]}", fix)
    chosen = {name: how for name, how in known.items() if not only or name in only}
    rows: list[dict[str, Any]] = []
    for case in _cases(folder, models, n, seed, say):
        rows += _scored(case, chosen)
        say(f"{case.model}: {case.mechanism}, {case.simulation.record.name}")
    scores = pd.DataFrame(rows)
    return PlantedResult(scores, summary_table(scores, ("model", "method"), METRICS))


def unmasked(scores: pd.DataFrame) -> dict[str, bool]:
    """By method: whether the cheat's map is on the mark significantly more than by chance.

    The 95 % interval of the pointing game relative to chance must lie above 0; where there is none
    (few records, or all alike), every record must.
    """
    cheat = scores[scores["model"] == "cheat"]
    least = cheat.groupby("method")["pointing"].min()
    table = summary_table(cheat, ("method",), ("pointing",)).set_index("method")
    low = table["pointing_low"].fillna(least)
    return {str(name): bool(value > 0) for name, value in low.items()}


# ---- records and models ------------------------------------------------------------------------


def _cases(folder: Path, models: Sequence[str], n: int, seed: int, say: Say) -> Iterator[_Case]:
    if "detector" in models:
        for mechanism, code in NETWORK_MECHANISMS.items():
            for simulation in _records(mechanism, seed, n):
                found = _detector(simulation, mechanism, code)
                yield _Case("detector", mechanism, found, code, simulation)
    if "cheat" in models:
        for simulation in _records(("atrial_fibrillation", MARK), seed, n):
            cheat = _detector(simulation, MARK, CHEAT_TARGET)
            yield _Case("cheat", MARK, cheat, CHEAT_TARGET, simulation)
    if "network" in models:
        path = _network_file(folder, seed)
        if not path.with_suffix(".json").exists():
            say("training network")
            train_network(folder, seed)
        network = load_classifier(path)
        for mechanism, code in NETWORK_MECHANISMS.items():
            kept = _positive(network, code, _records(mechanism, seed, 4 * n), n)
            yield from (_Case("network", mechanism, network, code, s) for s in kept)


def _detector(simulation: Simulation, mechanism: str, code: str) -> Classifier:
    signal = np.ascontiguousarray(simulation.record.signal.T[:SAMPLES])
    return detector(signal, simulation.truth.mask_for(mechanism).T[:SAMPLES], code)


def _records(mechanism: str | tuple[str, ...], seed: int, n: int) -> Iterator[Simulation]:
    """Simulated records of a mechanism, generated one at a time."""
    names = [mechanism] if isinstance(mechanism, str) else list(mechanism)
    rng = np.random.default_rng(content_seed("planted records", names, seed))
    return (simulated(mechanism, FIRST_SEED + int(rng.integers(2**30))) for _ in range(n))


def _positive(
    classifier: Classifier, target: str, records: Iterator[Simulation], n: int
) -> Iterator[Simulation]:
    """The first ``n`` records that the model predicts positive; others contain no evidence."""
    column = classifier.classes.index(target)
    found = 0
    for simulation in records:
        values = simulation.record.signal.T[None, :SAMPLES].astype(np.float32)
        if classifier.predict(np.ascontiguousarray(values))[0, column] >= 0.5:
            found += 1
            yield simulation
        if found == n:
            return


# ---- scores ------------------------------------------------------------------------------------


def _scored(case: _Case, chosen: Mapping[str, tuple[str, ExplainParams]]) -> list[dict[str, Any]]:
    record = case.simulation.record
    maps: dict[str, Attribution] = {}
    for name, (method, params) in chosen.items():
        if case.model != "network" and name == "shapley_exact":
            params = params.updated(n_lead_coalitions=256)  # pairs are exact for a linear game
        try:
            maps[name] = explain(Case(record, case.classifier, case.target), method, params)
        except ExplanationError as error:
            log.info("%s on %s: %s", name, case.model, error)
    grid = max(maps.values(), key=lambda item: item.weights.size)  # the finest
    oracle = oracle_map(grid, _truth(case, raster_for(grid, BIN_SEC)), BIN_SEC)
    everything: dict[str, Map] = {
        **maps,
        "oracle": oracle,
        "random": REFERENCES["random"](grid, 0),
        "empty": REFERENCES["empty"](grid, 0),
        "lead_shuffled": REFERENCES["lead_shuffled"](oracle, 0),
    }
    facts = {"model": case.model, "mechanism": case.mechanism, "record": record.name}
    return [{**facts, "method": name, **_scores(case, item)} for name, item in everything.items()]


def _truth(case: _Case, raster: Raster) -> BoolArray:
    """Primary evidence of the mechanism, ``bool[lead, bin]``."""
    by_lead: dict[str, list[tuple[float, float]]] = {}
    for interval in case.simulation.truth.intervals:
        if interval.mechanism == case.mechanism and interval.role == "primary":
            for lead in interval.leads:
                by_lead.setdefault(lead, []).append((interval.start, interval.stop))
    return mask_from_intervals(raster, by_lead)


def _scores(case: _Case, item: Map) -> dict[str, float]:
    raster = raster_for(item, BIN_SEC)
    mask = _truth(case, raster)
    scores = localisation(rasterise(item, raster), mask, EvaluationParams().precision_k, "truth")
    found = {score.metric: score.value for score in scores}
    return {name: found[f"{name}_truth"] for name in METRICS}


# ---- models ------------------------------------------------------------------------------------


def simulated(mechanism: str | tuple[str, ...], seed: int, training: bool = False) -> Simulation:
    """Simulate one record of ten seconds at 100 Hz."""
    population: Population = "training" if training else "demonstration"
    return simulate(mechanism, seed=seed, fs=FS, population=population)


def manifest_for(classes: tuple[str, ...], source: str, sha256: str = "0" * 64) -> Manifest:
    """Manifest for ten seconds at 100 Hz in mV without normalisation, and probabilities."""
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
    """A classifier that uses only some samples of one record.

    logit = 3 (2 <x, w> / <x0, w> - 1), where w is the record x0 inside the mask and 0 elsewhere:
    +3 for the record, -3 for a flat line, linear in between. The Shapley value of a cell on the
    logit scale is 6 times its share of <x0, w> (linear models: Lundberg & Lee 2017, corollary 1).

    Parameters
    ----------
    signal
        ``float32[sample, lead]``: the record x0, mV.
    mask
        ``bool[sample, lead]``: the samples used.
    code
        SNOMED-CT code of its output.
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


def _network_file(folder: Path, seed: int) -> Path:
    """Another seed is another network."""
    return folder / f"network-{seed}.keras"


def train_network(folder: Path, seed: int, n_each: int = 120) -> Path:
    """Train a small network to distinguish the mechanisms; returns the file, with its manifest."""
    rng = np.random.default_rng(content_seed("planted network", seed))
    names = [*NETWORK_MECHANISMS, _RHYTHM]
    drawn = [(name, int(rng.integers(2**31))) for name in names for _ in range(n_each)]
    classes = tuple(NETWORK_MECHANISMS.values())
    simulations = [simulated(name, number, training=True) for name, number in drawn]
    signals = np.stack([s.record.signal.T[:SAMPLES] for s in simulations])
    truth = [[name == mechanism for mechanism in NETWORK_MECHANISMS] for name, _ in drawn]
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    from ecgxai_core.training.networks import untrained  # imports Keras

    shape = Shape(SAMPLES, len(STANDARD_LEADS), len(classes))
    model = untrained("resnet1d", shape, _OPTIONS, seed)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(signals, np.array(truth, np.float32), batch_size=32, epochs=25, verbose=0)
    path = _network_file(folder, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = "trained on simulated records for the planted benchmark"
    save_manifest(manifest_for(classes, source, digest), manifest_path(path))
    return path
