"""The report card of a model on a data set: which explanations pass which tests.

Records are selected as for a run, every map is evaluated by every test, and verdicts are based on
intervals over records (:mod:`ecgxai_core.audit.card_rules`). Explanations and evaluated units are
cached, so an interrupted card can be resumed, and an additional record costs only its own time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.audit.baselines import INTACT, audit_baselines
from ecgxai_core.audit.card_evidence import EvidenceRow, Share, evidence_rows, shares, wave_times
from ecgxai_core.audit.card_rules import TESTS, Measured, Verdict, verdicts_of
from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError, RunError
from ecgxai_core.explainers import METHODS, askable, find_method
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.games.local.engine import engine_of, receptive_field
from ecgxai_core.metrics.base import GATES
from ecgxai_core.metrics.robustness import stayed
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, Profile, SelectionParams
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.full_evaluation import Depth, evaluate_all, weights_reachable
from ecgxai_core.pipeline.given_maps import MapFolder, bound, content_key, maps_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.predict import (
    Failure,
    RecordInfo,
    predict_data,
)
from ecgxai_core.pipeline.run.units import Unit, same_record
from ecgxai_core.pipeline.select import select_records
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.signal.segments import segment
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Attribution, Map, canonical_json
from ecgxai_core.version import code_version, library_versions

__all__ = [
    "DEPTH",
    "REFERENCE_MAPS",
    "BaselineRow",
    "CardRequest",
    "ModelFacts",
    "ReportCard",
    "build_card",
]

SCHEMA = "ecgxai-report-card/1"

REFERENCE_MAPS: tuple[str, ...] = (*GATES, "template")
"""Maps that say nothing of the model; they take the tests that apply to them."""

DEPTH = Depth(road=True, noises=1, sanity_stages=1)
"""Costly tests of a card: ROAD, one noisy copy, a shift, two gains, all weights randomised."""

_AUDIT_SEC = 0.5  # segments of the ``linear`` baseline; the others do not know the segmentation


@dataclass(frozen=True, slots=True)
class CardRequest:
    """Request for a card: records, model, parameters and methods (those of the profile).

    ``folders`` hold maps that another program made; ``shuffled`` is the file of a model trained on
    shuffled labels.
    """

    data: Path
    model: Path
    profile: Profile
    selection: SelectionParams
    targets: tuple[str, ...] | None = None
    depth: Depth = field(default_factory=lambda: DEPTH)
    checksum: str = "warn"
    folders: tuple[MapFolder, ...] = ()
    shuffled: Path | None = None

    def describe(self, model_digest: str) -> dict[str, Any]:
        """Plain values of everything that determines the card, without paths."""
        blind = None if self.shuffled is None else LazyClassifier(self.shuffled).digest
        return {
            "data": self.data.name,
            "model": self.model.name,
            "model_digest": model_digest,
            "targets": list(self.targets) if self.targets is not None else None,
            "profile": self.profile.as_key(),
            "selection": self.selection.as_key(),
            "depth": asdict(self.depth),
            "checksum": self.checksum,
            "shuffled_digest": blind,
            "maps": {item.name: item.digest for item in self.folders},
            "code": code_version(),
            "libraries": library_versions(),
        }


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Properties of a model.

    ``receptive_field`` is empty if the graph could not be analysed; ``engine`` is ``local`` or
    ``whole``, with the ``reason`` if it is not local; ``error`` is the largest difference in
    probability in its self-check. ``thresholds`` are by class.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    fs: float
    seconds: float
    leads: tuple[str, ...]
    output: str
    source: str
    receptive_field: str
    engine: str
    reason: str
    error: float | None
    thresholds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """Prediction on one baseline: mean, lowest and highest probability of one class.

    ``said_yes`` is the fraction of records whose fully masked copy is predicted positive;
    ``baseline`` may be ``intact``, the records themselves.
    """

    baseline: str
    code: str
    mean: float
    low: float
    high: float
    said_yes: float
    n: int


@dataclass(frozen=True)
class ReportCard:
    """Contents of a card; the same request gives the same card.

    ``n_by_target`` are the records evaluated for each diagnosis; ``verdicts`` hold those of
    all diagnoses together (target empty) and of each; ``maps`` are the methods, ``fused`` where
    there are several, and the maps without knowledge; ``warnings`` the evaluated records with the
    codes of their quality warnings, where they have any.
    """

    request: Mapping[str, Any]
    model: ModelFacts
    n_read: int
    n_records: int
    n_simulated: int
    n_by_target: Mapping[str, int]
    maps: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    baselines: tuple[BaselineRow, ...]
    evidence: tuple[EvidenceRow, ...]
    failures: tuple[Failure, ...]
    records_digest: str
    warnings: Mapping[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """SHA-256 of the request and the records."""
        text = canonical_json([json_safe(self.request), self.records_digest])
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; what is undefined is ``null``."""
        values: dict[str, Any] = json_safe(asdict(self))
        rules = {
            name: {"title": test.title, "question": test.question, "rule": test.rule}
            for name, test in TESTS.items()
        }
        return {"schema": SCHEMA, "digest": self.digest, "rules": rules, **values}


def build_card(
    request: CardRequest,
    store: Store,
    *,
    classifier: LazyClassifier | None = None,
    progress: Progress = no_progress,
) -> ReportCard:
    """Select records, evaluate those that are not in the cache, and give the verdicts.

    ``classifier`` is the model, if it is already loaded; ``progress`` is called with (done, total,
    description).

    Raises
    ------
    ParameterError
        A method is unknown.
    RecordError, ModelError, DiagnosisError, RunError
        No record was found, selected, or could be explained.
    """
    classifier = classifier or LazyClassifier(request.model)
    wanted = askable(request.profile, classifier).methods
    methods = tuple(find_method(name).name for name in wanted)
    predictions = predict_data(request.data, classifier, store, None, request.checksum, progress)
    blind = None if request.shuffled is None else LazyClassifier(request.shuffled)
    units = select_records(predictions, request.selection, request.targets).units
    measured: list[tuple[Unit, Mapping[str, Any]]] = []
    failures = list(predictions.failures)
    for done, unit in enumerate(units):
        progress(done, len(units), f"{unit.record}, {unit.target}")
        try:
            measured.append((unit, _measured(unit, classifier, blind, request, store)))
        except EcgXaiError as error:
            failures.append(Failure(unit.record, str(error)))
    progress(len(units), len(units), "verdicts")
    if not measured:
        why = failures[-1].reason
        raise RunError("report card", "records", "none could be explained", why)
    return _card(request, classifier, methods, measured, predictions.records, failures)


def _card(
    request: CardRequest,
    classifier: LazyClassifier,
    methods: tuple[str, ...],
    measured: Sequence[tuple[Unit, Mapping[str, Any]]],
    read: Sequence[RecordInfo],
    failures: Sequence[Failure],
) -> ReportCard:
    params = request.profile.evaluation
    given = tuple(item.name for item in request.folders)
    own = (*methods, *(("fused",) if len(methods) > 1 else ()), *given)
    maps = (*own, *REFERENCE_MAPS)
    rows = [
        Measured(
            row["test"], row["method"], unit.digest, unit.target,
            _number(row["value"]), _number(row["chance"]),
            {side: _number(value) for side, value in row["beside"].items()},
        )
        for unit, meta in measured
        for row in meta["rows"]
    ]  # fmt: skip
    targets = list(dict.fromkeys(unit.target for unit, _ in measured))
    untested = _untested(request, classifier, own)
    verdicts = [
        verdict
        for target in ("", *targets)
        for verdict in verdicts_of(rows, maps, params, target, untested)
    ]
    places = [
        (
            unit.target,
            method,
            [Share(p["kind"], p["name"], _number(p["mass"]), _number(p["time"])) for p in parts],
        )
        for unit, meta in measured
        for method, parts in meta["evidence"].items()
        if method in own
    ]
    digests = {unit.digest for unit, _ in measured}
    used = [info for info in read if info.digest in digests]
    return ReportCard(
        request=request.describe(classifier.digest),
        model=_model_facts(request.model.name, classifier),
        n_read=len(read),
        n_records=len(digests),
        n_simulated=len({info.digest for info in used if info.synthetic}),
        n_by_target={
            target: len({unit.digest for unit, _ in measured if unit.target == target})
            for target in targets
        },
        maps=maps,
        verdicts=tuple(verdicts),
        baselines=_baseline_rows(measured, classifier),
        evidence=evidence_rows(places, params),
        failures=tuple(failures),
        records_digest=hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest(),
        warnings={
            info.name: tuple(sorted(set(info.all_warnings))) for info in used if info.all_warnings
        },
    )


def _number(value: float | None) -> float:
    """A number from JSON, where NaN is ``null``."""
    return np.nan if value is None else float(value)


def _measured(
    unit: Unit,
    classifier: LazyClassifier,
    blind: LazyClassifier | None,
    request: CardRequest,
    store: Store,
) -> Mapping[str, Any]:
    """Results of one unit, cached: ``rows`` of tests, ``evidence`` by map, ``baselines``."""
    record = same_record(unit, request.checksum, "make the card again")
    case = Case(record, classifier, unit.target)
    given = maps_of(case, request.folders)
    key = cache_key(
        "card unit",
        **case.key(),
        profile=request.profile.as_key(),
        depth=asdict(request.depth),
        **({"given": content_key(given)} if given else {}),
        **({"shuffled": blind.digest} if blind is not None else {}),
    )

    def computed() -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, json_safe(_computed(case, request, store, given, blind))

    return store.get_or_compute(key, computed).meta


def _computed(
    case: Case,
    request: CardRequest,
    store: Store,
    given: Mapping[str, Attribution],
    blind: LazyClassifier | None,
) -> dict[str, Any]:
    profile = request.profile
    frame = evaluate_all(case, profile, store, given=given, shuffled=blind, depth=request.depth)
    maps = {**explained(case, profile, store).maps, **bound(case, given)}
    rows = []
    for scores in frame.to_dict("records"):
        method = str(scores["method"])
        values = _tested(scores)
        if method in maps:
            values |= _of_the_map(method, maps[method])
        rows += [
            {
                "test": test, "method": method, "value": value, "chance": chance,
                "beside": {gate: float(scores.get(f"{test}_{gate}", np.nan)) for gate in GATES[1:]}
                if TESTS[test].kind == "better" else {},
            }
            for test, (value, chance) in values.items()
        ]  # fmt: skip
    times = wave_times(case.record)
    evidence = {name: [asdict(part) for part in shares(item, times)] for name, item in maps.items()}
    model_input = case.model_input()
    cut = segment(model_input, ExplainParams(), _AUDIT_SEC)
    audit = audit_baselines(case.classifier, model_input, cut, tuple(BASELINES))
    baselines = {kind: [float(p) for p in values] for kind, values in audit.items()}
    return {"rows": rows, "evidence": evidence, "baselines": baselines}


def _tested(scores: Mapping[Any, Any]) -> dict[str, tuple[float, float]]:
    """Value and chance level of the tests that :func:`evaluate_all` computes."""
    found = {
        name: (float(scores[name]), float(scores.get(f"{name}_random", np.nan)))
        for name in TESTS
        if name in scores
    }
    for test, column in (("sanity", "randomisation_similarity"), ("repeats", "self_similarity")):
        if column in scores:
            found[test] = (float(scores[column]), np.nan)
    blind = float(scores.get("shuffled_similarity", np.nan))
    if "sanity" in found and np.isfinite(blind):  # the more alike of the models without knowledge
        found["sanity"] = (float(np.fmax(found["sanity"][0], blind)), np.nan)
    if "spearman" in scores and not scores["reference"]:
        kept = stayed(float(scores["probability"]), float(scores["probability_extra_beat"]))
        pair = float(scores["spearman"]), float(scores["spearman_random"])
        found["extra_beat"] = pair if kept else (np.nan, np.nan)
    return found


def _of_the_map(method: str, item: Map) -> dict[str, tuple[float, float]]:
    """Deviation of the sum of the weights; sanity is 1 for a map of equal weights."""
    values: dict[str, tuple[float, float]] = {}
    gap = item.diagnostics.get("map_gap") if isinstance(item, Attribution) else None
    if gap is not None and method in METHODS and METHODS[method].gap:
        values["complete"] = (float(gap), np.nan)
    if np.ptp(np.nan_to_num(item.density())) <= 0:
        values["sanity"] = (1.0, np.nan)
    return values


def _untested(
    request: CardRequest, classifier: LazyClassifier, own: Sequence[str]
) -> dict[str, str]:
    """Maps of which it cannot be tested whether they depend on the model, and why."""
    if not request.depth.sanity_stages:
        return dict.fromkeys(own, "the card was asked for without this test")
    if not weights_reachable(classifier):
        return dict.fromkeys(own, "the weights of the model cannot be reached, so not randomised")
    why = "the maps are given; there are none of a model with randomised weights"
    return {item.name: why for item in request.folders}


def _model_facts(name: str, classifier: LazyClassifier) -> ModelFacts:
    manifest = classifier.manifest
    engine = engine_of(classifier)
    return ModelFacts(
        name=name,
        digest=classifier.digest,
        classes=classifier.classes,
        fs=manifest.fs,
        seconds=manifest.samples / manifest.fs,
        leads=tuple(manifest.leads),
        output=manifest.output,
        source=manifest.source,
        receptive_field="" if engine.part is None else receptive_field(engine.part, manifest.fs),
        engine=engine.name,
        reason=engine.reason,
        error=engine.error,
        thresholds={code: _threshold(classifier, code) for code in classifier.classes},
    )


def _threshold(classifier: Classifier, code: str) -> float:
    return float(dict(classifier.manifest.thresholds or {}).get(code, 0.5))


def _baseline_rows(
    measured: Sequence[tuple[Unit, Mapping[str, Any]]], classifier: Classifier
) -> tuple[BaselineRow, ...]:
    """One row per baseline and class, over records."""
    by_record = {unit.digest: meta["baselines"] for unit, meta in measured}
    rows = []
    for kind in (INTACT, *BASELINES):
        table = np.array([audit[kind] for audit in by_record.values()], np.float64)
        for column, code in enumerate(classifier.classes):
            p = table[:, column]
            low, high = float(p.min()), float(p.max())
            positive = float(np.mean(p >= _threshold(classifier, code)))
            rows.append(BaselineRow(kind, code, float(p.mean()), low, high, positive, len(p)))
    return tuple(rows)
