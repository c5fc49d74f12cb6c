"""The planted benchmark: does a method find the evidence that was planted, and unmask a cheat?

Every map is scored against the planted cells of its record (20 ms bins by lead), beside the oracle,
which knows the truth, and maps that know nothing. Simulated records teach and test; their figures
never stand for real performance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.benchmark.planted_models import (
    CHEAT_TARGET,
    MARK,
    NETWORK_MECHANISMS,
    SAMPLES,
    detector,
    simulated,
    train_network,
)
from ecgxai_core.benchmark.tables import summary_table
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.explain import explain
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.plausibility import localisation
from ecgxai_core.metrics.raster import Raster, mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, oracle_map
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import EvaluationParams, ExplainParams, profile
from ecgxai_core.simulate import Simulation
from ecgxai_core.types import Attribution, BoolArray, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "MODELS", "PlantedResult", "planted_benchmark", "unmasked"]

log = logging.getLogger(__name__)

METRICS = ("attauc", "relevance_mass", "pointing")
"""Of :func:`ecgxai_core.metrics.plausibility.localisation`; pointing has its chance taken off."""
MODELS = ("detector", "cheat", "network")
BIN_SEC = 0.02
WINDOW_SEC = 0.5
FIRST_SEED = 50_000
"""Records are drawn from here on; the demonstration set starts at zero."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PlantedResult:
    """``scores``: a row a record and map. ``summary``: means with intervals by model and method."""

    scores: pd.DataFrame
    summary: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Case:
    """One record, the model that judges it, and where the evidence that it uses was planted."""

    model: str
    mechanism: str
    classifier: Classifier
    target: str
    simulation: Simulation


def methods() -> dict[str, tuple[str, ExplainParams]]:
    """Name in the table -> method and parameters."""
    default = ExplainParams(window_sec=WINDOW_SEC)
    published = profile("reference")
    whole_games = default.updated(n_lead_coalitions=4096, top_events=20)
    cells = default.updated(occlusion_level="cell")
    return {
        "shapley_exact": ("timeshap", whole_games),
        "timeshap": ("timeshap", default),
        "lime": ("lime", default),
        "occlusion": ("occlusion", cells),
        "integrated_gradients": ("integrated_gradients", default),
        "input_x_gradient": ("input_x_gradient", default),
        "smoothgrad": ("smoothgrad", default),
        "saliency": ("saliency", default),
        "lrp": ("lrp", default),
        "grad_cam": ("grad_cam", default),
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
    """Train the models, explain ``n`` records a mechanism with every method, and score the maps.

    Parameters
    ----------
    folder
        Where the trained models go; those that are there are used again.
    n, seed
        Records a mechanism and model, and the seed of models and records.
    only
        Names of :func:`methods`; none = all.
    models
        Which of :data:`MODELS`.
    say
        Told how far the work is.

    Raises
    ------
    ParameterError
        A method that is not among :func:`methods`.
    """
    import pandas as pd

    known = methods()
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise ParameterError(
            "planted benchmark", "method", f"there is no {unknown[0]}",
            f"choose from {', '.join(known)}",
        )  # fmt: skip
    chosen = {name: how for name, how in known.items() if not only or name in only}
    rows: list[dict[str, Any]] = []
    for case in _cases(folder, models, n, seed, say):
        rows += _scored(case, chosen)
        say(f"{case.model}: {case.mechanism}, {case.simulation.record.name}")
    scores = pd.DataFrame(rows)
    return PlantedResult(scores, summary_table(scores, ("model", "method"), METRICS))


def unmasked(scores: pd.DataFrame) -> dict[str, bool]:
    """By method: does the cheat's map lie on the mark more than chance, with confidence?

    The lower border of the 95 % interval of the pointing game, chance taken off, must lie above 0.
    """
    cheat = scores[scores["model"] == "cheat"]
    table = summary_table(cheat, ("method",), ("pointing",))
    return dict(zip(table["method"], (table["pointing_low"] > 0).tolist(), strict=True))


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
        network = _model(folder, "network", lambda: train_network(folder, seed), say)
        for mechanism, code in NETWORK_MECHANISMS.items():
            kept = _believed(network, code, _records(mechanism, seed, 4 * n), n)
            yield from (_Case("network", mechanism, network, code, s) for s in kept)


def _detector(simulation: Simulation, mechanism: str, code: str) -> Classifier:
    signal = np.ascontiguousarray(simulation.record.signal.T[:SAMPLES])
    return detector(signal, simulation.truth.mask_for(mechanism).T[:SAMPLES], code)


def _records(mechanism: str | tuple[str, ...], seed: int, n: int) -> Iterator[Simulation]:
    """Simulated records, one after the other."""
    names = [mechanism] if isinstance(mechanism, str) else list(mechanism)
    rng = np.random.default_rng(content_seed("planted records", names, seed))
    return (simulated(mechanism, FIRST_SEED + int(rng.integers(2**30))) for _ in range(n))


def _believed(
    classifier: Classifier, target: str, records: Iterator[Simulation], n: int
) -> Iterator[Simulation]:
    """The first ``n`` records that the model itself calls positive: others hold no evidence."""
    column = classifier.classes.index(target)
    found = 0
    for simulation in records:
        values = simulation.record.signal.T[None, :SAMPLES].astype(np.float32)
        if classifier.predict(np.ascontiguousarray(values))[0, column] >= 0.5:
            found += 1
            yield simulation
        if found == n:
            return


def _model(folder: Path, name: str, train: Callable[[], Path], say: Say) -> Classifier:
    path = folder / f"{name}.keras"
    if not path.with_suffix(".json").exists():
        say(f"training {name}")
        train()
    return load_classifier(path)


# ---- scores ------------------------------------------------------------------------------------


def _scored(case: _Case, chosen: Mapping[str, tuple[str, ExplainParams]]) -> list[dict[str, Any]]:
    record = case.simulation.record
    maps: dict[str, Attribution] = {}
    for name, (method, params) in chosen.items():
        if case.model != "network" and name == "shapley_exact":
            params = params.updated(n_lead_coalitions=256)  # pairs are exact for a linear game
        try:
            maps[name] = explain(record, case.classifier, case.target, method, params)
        except ExplanationError as error:
            log.info("%s on %s: %s", name, case.model, error)
    grid = next(iter(maps.values()))
    mask = _truth(case, raster_for(grid, BIN_SEC))
    everything: dict[str, Map] = {**maps, "oracle": oracle_map(grid, mask, BIN_SEC)}
    for name in ("random", "empty"):
        everything[name] = REFERENCES[name](grid, 0)
    everything["lead_shuffled"] = REFERENCES["lead_shuffled"](everything["oracle"], 0)
    facts = {"model": case.model, "mechanism": case.mechanism, "record": record.name}
    return [{**facts, "method": name, **_scores(item, mask)} for name, item in everything.items()]


def _truth(case: _Case, raster: Raster) -> BoolArray:
    """``bool[lead, bin]``: the primary evidence of the mechanism."""
    by_lead: dict[str, list[tuple[float, float]]] = {}
    for interval in case.simulation.truth.intervals:
        if interval.mechanism == case.mechanism and interval.role == "primary":
            for lead in interval.leads:
                by_lead.setdefault(lead, []).append((interval.start, interval.stop))
    return mask_from_intervals(raster, by_lead)


def _scores(item: Map, mask: BoolArray) -> dict[str, float]:
    drawn = rasterise(item, raster_for(item, BIN_SEC))
    scores = localisation(drawn, mask, EvaluationParams().precision_k, "truth")
    found = {score.metric: score.value for score in scores}
    return {name: found[f"{name}_truth"] for name in METRICS}
