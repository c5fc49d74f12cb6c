"""One unit of a run: one record explained for one target, evaluated, and tested with an extra beat.

The result of a unit is one file of arrays with its rows of the tables beside them. It is a pure
function of record, model, target and profile; the cache and the run directory hold the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import term_of
from ecgxai_core.errors import EcgXaiError, ExplanationError
from ecgxai_core.metrics import METRICS, Evaluation, evaluate, score_columns
from ecgxai_core.models.loading import kept_classifier
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.evaluation import beats_of, curve_arrays, subject_of
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.extra_beat import extra_beat_if_possible, prediction_stayed
from ecgxai_core.pipeline.given_maps import bound, content_key, maps_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.predict import checksum_policy
from ecgxai_core.pipeline.run.request import RunRequest
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.read import read_record
from ecgxai_core.store.atomic import write_arrays_atomic
from ecgxai_core.store.cache import Store, open_store
from ecgxai_core.store.envelope import Entry
from ecgxai_core.store.values import entry_of, json_safe
from ecgxai_core.types import Attribution, FusedMap, Map, Record, joined_codes

__all__ = ["UNIT_FOLDER", "Unit", "cached_unit", "compute_unit", "same_record", "unit_entry"]

log = logging.getLogger(__name__)

UNIT_FOLDER = "attributions"
"""Folder of a run directory that holds the units' files."""
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


def compute_unit(unit: Unit, request: RunRequest, model_digest: str) -> UnitOutcome:
    """Compute a unit through the cache and write its file; a failure is a result, not an exception.

    Runs in a worker process, which keeps its model from unit to unit; another model than that of
    ``model_digest`` is a failure.
    """
    try:
        classifier = kept_classifier(request.model, model_digest)
        record = same_record(unit, request.checksum, "repeat the run")
        with open_store() as store:
            case = Case(record, classifier, unit.target)
            given = maps_of(case, request.folders)
            entry = unit_entry(case, request.profile, store, given=given)
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


def same_record(unit: Unit, checksum: str, fix: str) -> Record:
    """The record of a unit, as it was when it was selected.

    Raises
    ------
    ExplanationError
        The file has changed; ``fix`` says what to do.
    """
    record = read_record(unit.path, checksum=checksum_policy(checksum))
    if record.digest != unit.digest:
        raise ExplanationError(unit.record, "", "the file changed since it was selected", fix)
    return record


def unit_entry(
    case: Case,
    profile: Profile,
    store: Store,
    progress: Progress = no_progress,
    *,
    given: Mapping[str, Attribution] = {},
) -> Entry:
    """Arrays (``<map>/<field>``) and metadata (maps, table rows) of one unit, cached.

    Maps are named by method, ``fused``, and ``extra_beat/<method>`` for the record with an extra
    beat; the arrays ``curves/<map>/...`` are the deletion and insertion curves of the map, and of
    the signal alone. ``given`` are maps that another program made, by name, which are evaluated
    beside them.
    """

    def computed() -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        return _computed(case, profile, store, progress, given)

    return store.get_or_compute(_key(case, profile, given), computed)


def cached_unit(
    case: Case, profile: Profile, store: Store, given: Mapping[str, Attribution] = {}
) -> Entry | None:
    """What :func:`unit_entry` gives, where the cache has it; nothing is computed."""
    return store.get(_key(case, profile, given))


def _key(case: Case, profile: Profile, given: Mapping[str, Attribution]) -> dict[str, Any]:
    more = {"given": content_key(given)} if given else {}
    return cache_key("unit", **case.key(), profile=profile.as_key(), **more)


def _computed(
    case: Case,
    profile: Profile,
    store: Store,
    progress: Progress,
    given: Mapping[str, Attribution],
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    others = bound(case, given)  # what does not fit is refused before anything is explained
    found = explained(case, profile, store, progress=progress)
    maps: dict[str, Map] = {**found.maps, **others}
    beats = beats_of(case.record)
    test = extra_beat_if_possible(case, found, profile, store, progress)
    progress(0, 1, "evaluating the maps")
    subject = subject_of(case, maps, profile, beats=beats)
    if test is not None:
        subject = replace(subject, changed=test.changed, time_map=test.augmented.time_map)
    done = evaluate(subject)
    changed = {} if test is None else test.changed
    everything = {**maps, **{f"extra_beat/{name}": item for name, item in changed.items()}}
    arrays = {"r_peaks": beats.samples, **curve_arrays(done.curves)}
    metas = {}
    for name, value in everything.items():
        entry = entry_of(value)
        arrays |= {f"{name}/{field}": array for field, array in entry.arrays.items()}
        metas[name] = entry.meta
    rows = {
        "evaluation": _evaluation_rows(case, maps, done),
        "stability": _stability_rows(case, maps, changed, done, profile),
    }
    return arrays, {"maps": metas, **json_safe(rows)}


def _facts(case: Case, method: str, item: Map) -> Row:
    row, record = case.diagnosis, case.record
    return {
        "target": case.target,
        "target_name": row.name if row is not None else term_of(case.target).name,
        "record": record.name,
        "method": method,
        "probability": item.probability,
        "synthetic": record.synthetic,
        "warnings": joined_codes(warning.code for warning in item.warnings),
    }


def _evaluation_rows(case: Case, maps: Mapping[str, Map], done: Evaluation) -> list[Row]:
    """All that was computed without further explanations, one row per map."""
    return [
        {
            **_facts(case, name, item),
            "converged": _converged(item, maps),
            "map_gap": _gap(item, maps),
            **_columns(done, name, stability=False),
        }
        for name, item in maps.items()
    ]


def _stability_rows(
    case: Case,
    maps: Mapping[str, Map],
    changed: Mapping[str, Map],
    done: Evaluation,
    profile: Profile,
) -> list[Row]:
    manifest = case.classifier.manifest
    return [
        {
            **_facts(case, name, maps[name]),
            "probability_extra_beat": other.probability,
            "prediction_stayed": prediction_stayed(maps[name], other, manifest, profile),
            **_columns(done, name, stability=True),
        }
        for name, other in changed.items()
    ]


def _columns(done: Evaluation, name: str, *, stability: bool) -> dict[str, float]:
    """Columns of one map, of the stability metrics or of all others."""
    scores = done.scores[name].values()
    return score_columns(
        score for score in scores if (METRICS[score.metric].category == "stability") == stability
    )


def _converged(item: Map, maps: Mapping[str, Map]) -> bool | None:
    """Whether a map, or every map fused into it, says that it converged; ``None`` if none says."""
    if isinstance(item, Attribution):
        said = item.diagnostics.get("converged")
        return None if said is None else bool(said)
    methods = item.methods if isinstance(item, FusedMap) else ()
    parts = [_converged(maps[name], maps) for name in methods if name in maps]
    known = [part for part in parts if part is not None]
    return all(known) if known else None


def _gap(item: Map, maps: Mapping[str, Map]) -> float | None:
    """How far the weights of a map fail to add up; of a fused map, those of its worst method."""
    if isinstance(item, Attribution):
        said = item.diagnostics.get("map_gap")
        return None if said is None else float(said)
    methods = item.methods if isinstance(item, FusedMap) else ()
    known = [gap for n in methods if n in maps and (gap := _gap(maps[n], maps)) is not None]
    return max(known, default=None)
