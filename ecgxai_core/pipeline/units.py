"""One unit of a run: one record explained for one target, judged, and shaken.

The result of a unit is one file of arrays with its rows of the tables beside them. It is a pure
function of record, model, target and profile; the cache and the run directory hold the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ecgxai_core.diagnoses import find_diagnosis, term_of
from ecgxai_core.errors import EcgXaiError, ExplanationError
from ecgxai_core.games.contrast import ContrastModel
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.metrics import score_columns
from ecgxai_core.metrics.complexity import complexity
from ecgxai_core.metrics.faithfulness import Curves, faithfulness
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.metrics.published import (
    map_levels,
    targeted_deletion,
    token_attauc,
    token_scores,
    tokens_of,
)
from ecgxai_core.metrics.removal import removal
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.explanation import Explained, explained
from ecgxai_core.pipeline.judging import Beats, beats_of, curve_arrays, expected, game_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.lazy import LazyClassifier
from ecgxai_core.pipeline.prediction import Progress, checksum_policy, no_progress
from ecgxai_core.pipeline.request import RunRequest
from ecgxai_core.pipeline.shaking import shake, stability_scores
from ecgxai_core.pipeline.stores import open_store
from ecgxai_core.records.read import read_record
from ecgxai_core.store.atomic import write_arrays_atomic
from ecgxai_core.store.cache import Store
from ecgxai_core.store.envelope import Entry
from ecgxai_core.store.values import entry_of, json_safe
from ecgxai_core.types import Attribution, FusedMap, Record, Score, Segmentation

__all__ = ["UNIT_FOLDER", "Unit", "UnitOutcome", "cached_unit", "compute_unit", "unit_entry"]

log = logging.getLogger(__name__)

UNIT_FOLDER = "attributions"
"""Folder of a run directory that holds the units' files."""

Map = Attribution | FusedMap
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """One record and one output of the model; ``diagnosis`` is the row of ``sel_df`` it is for."""

    id: str
    record: str
    path: Path
    digest: str
    diagnosis: str
    target: str

    def file(self, out: Path) -> Path:
        """Where the arrays of this unit lie in a run directory."""
        return out / UNIT_FOLDER / f"{self.id}.safetensors"


@dataclass(frozen=True, slots=True)
class UnitOutcome:
    """How a unit ended: ``failed`` is empty, or the reason in one line."""

    id: str
    record: str
    failed: str = ""


_classifiers: dict[Path, LazyClassifier] = {}


def compute_unit(unit: Unit, request: RunRequest) -> UnitOutcome:
    """Compute a unit through the cache and write its file; a failure is a result, not an exception.

    Runs in a worker process, which keeps its model from unit to unit.
    """
    try:
        classifier = _classifiers.setdefault(request.model, LazyClassifier(request.model))
        record = _same_record(unit, request.checksum)
        with open_store() as store:
            entry = unit_entry(record, classifier, unit.target, request.profile, store)
        write_arrays_atomic(unit.file(request.out), entry.arrays, entry.meta)
    except EcgXaiError as error:
        return UnitOutcome(unit.id, unit.record, str(error))
    except Exception as error:
        log.exception("unit %s", unit.id)
        return UnitOutcome(
            unit.id,
            unit.record,
            f"{unit.record}: a fault of the program: {type(error).__name__}: {error}",
        )
    return UnitOutcome(unit.id, unit.record)


def _same_record(unit: Unit, checksum: str) -> Record:
    """The record of a unit, as it was when it was selected."""
    record = read_record(unit.path, checksum=checksum_policy(checksum))
    if record.digest != unit.digest:
        raise ExplanationError(
            unit.record, "", "the file changed since it was selected", "repeat the run"
        )
    return record


def unit_entry(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    *,
    start_sec: float | None = None,
    progress: Progress = no_progress,
) -> Entry:
    """Arrays (``<map>/<field>``) and metadata (maps, table rows) of one unit, cached.

    Maps are named by method, ``fused``, and ``extra_beat/<method>`` for the shaken record; the
    arrays ``curves/<map>/<field>`` are the deletion and insertion curves.
    """

    def computed() -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        return _computed(record, classifier, target, profile, store, start_sec, progress)

    key = _key(record, classifier, target, profile, start_sec)
    return store.get_or_compute(key, computed)


def cached_unit(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    *,
    start_sec: float | None = None,
) -> Entry | None:
    """What :func:`unit_entry` gives, where the cache has it; nothing is computed."""
    return store.get(_key(record, classifier, target, profile, start_sec))


def _key(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    start_sec: float | None,
) -> dict[str, Any]:
    """Everything that a unit depends on or carries."""
    return cache_key(
        "unit",
        record=record.digest,
        name=record.name,
        warnings=[[w.code, w.message, list(w.leads)] for w in record.warnings],
        synthetic=record.synthetic,
        model=classifier.digest,
        target=target,
        profile=profile.as_key(),
        start_sec=start_sec,
    )


def _computed(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    start_sec: float | None,
    progress: Progress,
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    found = explained(
        record,
        classifier,
        target,
        profile,
        store,
        methods=profile.methods,
        start_sec=start_sec,
        progress=progress,
    )
    maps: dict[str, Map] = {**found.attributions, "fused": found.fused}
    beats = beats_of(record)
    model, whole = game_of(record, classifier, target, profile.explain, start_sec)
    progress(0, 1, "judging the maps")
    evaluation, curves = _evaluation(record, target, maps, beats, model, whole, profile)
    shaken, stable = _stability(record, classifier, target, found, beats, profile, store, progress)
    everything = {**maps, **{f"extra_beat/{name}": value for name, value in shaken.items()}}
    arrays = {"r_peaks": beats.samples, **curve_arrays(curves)}
    metas = {}
    for name, value in everything.items():
        entry = entry_of(value)
        arrays |= {f"{name}/{field}": array for field, array in entry.arrays.items()}
        metas[name] = entry.meta
    rows = {"evaluation": evaluation, "stability": stable}
    return arrays, {"maps": metas, **json_safe(rows)}


def _facts(record: Record, target: str, method: str, probability: float) -> Row:
    """What every row of every table starts with."""
    row = find_diagnosis(target)
    return {
        "target": target,
        "target_name": row.name if row is not None else term_of(target).name,
        "record": record.name,
        "method": method,
        "probability": probability,
        "synthetic": record.synthetic,
        "warnings": " ".join(sorted({warning.code for warning in record.warnings})),
    }


def _evaluation(
    record: Record,
    target: str,
    maps: Mapping[str, Map],
    beats: Beats,
    model: MaskedModel | ContrastModel,
    whole: Segmentation,
    profile: Profile,
) -> tuple[list[Row], dict[str, Curves]]:
    """Plausibility, faithfulness and complexity of every map, a row a map; and its curves."""
    params = profile.evaluation
    diagnosis = expected(find_diagnosis(target), profile.explain)
    seconds, rate = beats.seconds, beats.rate
    removed = faithfulness(maps, model, whole, params)
    more = removal(maps, model, whole, params)
    tokens = tokens_of(diagnosis, seconds, rate)
    targeted = targeted_deletion(maps, tokens, model, whole, params)

    def localised(item: Map) -> tuple[Score, ...]:
        if params.tokens == "published":
            return token_attauc(token_scores(map_levels(item), tokens), tokens, params.priors)
        return plausibility(item, diagnosis, seconds, rate, params)

    rows = []
    for name, item in maps.items():
        scores = [
            *localised(item),
            *removed[name].scores,
            *more[name],
            *complexity(item, params),
            *targeted[name],
        ]
        rows.append(
            {
                **_facts(record, target, name, item.probability),
                "converged": _converged(item, maps),
                **score_columns(scores),
            }
        )
    return rows, {name: judged.curves for name, judged in removed.items()}


def _converged(item: Map, maps: Mapping[str, Map]) -> bool | None:
    """Whether a map, or every map fused into it, says that it converged; ``None`` if none says."""
    if isinstance(item, Attribution):
        said = item.diagnostics.get("converged")
        return None if said is None else bool(said)
    parts = [_converged(maps[name], maps) for name in item.methods if name in maps]
    known = [part for part in parts if part is not None]
    return all(known) if known else None


def _stability(
    record: Record,
    classifier: Classifier,
    target: str,
    found: Explained,
    beats: Beats,
    profile: Profile,
    store: Store,
    progress: Progress,
) -> tuple[dict[str, Map], list[Row]]:
    """The extra-beat experiment on every map; a record with too few beats has none, and says so."""
    try:
        shaken = shake(
            record,
            classifier,
            target,
            found,
            profile,
            store,
            peaks=beats.samples,
            progress=progress,
        )
    except ExplanationError as error:
        log.info("%s: no extra-beat experiment: %s", record.name, error)
        return {}, []
    rows = []
    for name, scores in stability_scores(shaken, profile.stability).items():
        before, after = shaken.original[name].probability, shaken.changed[name].probability
        rows.append(
            {
                **_facts(record, target, name, before),
                "probability_extra_beat": after,
                "prediction_stayed": (before >= 0.5) == (after >= 0.5),
                **score_columns(scores),
            }
        )
    return dict(shaken.changed), rows
