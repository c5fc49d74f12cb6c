"""The report card of a model on a data set: which explanations pass which tests, and what it sees.

Records are selected as for a run, every map is judged by every test, and verdicts come from
intervals over records (:mod:`ecgxai_core.pipeline.card_rules`). Explanations and measured units go
through the cache, so a card that was interrupted carries on, and one more record costs one more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import EcgXaiError, ExplanationError, RunError
from ecgxai_core.explain import find_method
from ecgxai_core.games.baseline_audit import INTACT, audit_baselines
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.games.engine import engine_of, sight
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.robustness import stayed
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, Profile, SelectionParams
from ecgxai_core.pipeline.card_evidence import EvidenceRow, Share, evidence_rows, shares, wave_times
from ecgxai_core.pipeline.card_rules import TESTS, Measured, Verdict, verdicts_of
from ecgxai_core.pipeline.evaluating import Depth, evaluate_all
from ecgxai_core.pipeline.explanation import Explained, explained
from ecgxai_core.pipeline.judging import beats_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.lazy import LazyClassifier
from ecgxai_core.pipeline.prediction import (
    Failure,
    Progress,
    checksum_policy,
    no_progress,
    predict_data,
)
from ecgxai_core.pipeline.selecting import select_records
from ecgxai_core.pipeline.shaking import shake, stability_scores
from ecgxai_core.pipeline.units import Unit
from ecgxai_core.records.read import read_record
from ecgxai_core.segments import segment
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Record, canonical_json
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

REFERENCE_MAPS: tuple[str, ...] = ("random", "empty")
"""Maps without knowledge that go through the tests which can be asked of them."""

DEPTH = Depth(road=True, noises=1, sanity_stages=1)
"""Costly tests of a card: ROAD, one noisy copy, a shift, two gains, all weights randomised."""

_SUMS = {
    "timeshap": "efficiency_gap",
    "shap_permutation": "efficiency_gap",
    "shap_gradient": "efficiency_gap",
    "integrated_gradients": "completeness_gap",
    "lrp": "conservation_gap",
}
"""Methods whose weights are meant to add up, and the diagnostic that says how far they do not."""

_AUDIT_SEC = 0.5  # segments of the ``linear`` baseline; the others do not know the segmentation
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class CardRequest:
    """What a card is made of: records, model, methods (those of the profile) and parameters."""

    data: Path
    model: Path
    profile: Profile
    selection: SelectionParams
    targets: tuple[str, ...] | None = None
    depth: Depth = field(default_factory=lambda: DEPTH)
    checksum: str = "warn"

    def describe(self, model_digest: str) -> dict[str, Any]:
        """Plain values of everything that decides the card; no path of a machine."""
        return {
            "data": self.data.name,
            "model": self.model.name,
            "model_digest": model_digest,
            "targets": list(self.targets) if self.targets is not None else None,
            "profile": self.profile.as_key(),
            "selection": self.selection.as_key(),
            "depth": asdict(self.depth),
            "checksum": self.checksum,
            "code": code_version(),
            "libraries": library_versions(),
        }


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model is and can see.

    ``sight`` is empty where the network could not be read; ``engine`` is ``local`` or ``whole``,
    with the reason where it is not local; ``error`` is the largest difference in probability of its
    self-check. ``thresholds`` are by class.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    fs: float
    seconds: float
    leads: tuple[str, ...]
    output: str
    source: str
    sight: str
    engine: str
    reason: str
    error: float | None
    thresholds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """What the model says of one baseline: mean, least and largest probability of one class.

    ``said_yes`` is the share of the records whose all-masked copy gets the diagnosis; ``baseline``
    may be ``intact``, the records themselves.
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
    """Everything that a card says; the same request gives the same card.

    ``n_by_target`` are the records that were judged for each diagnosis; ``verdicts`` hold those of
    all diagnoses together (target empty) and of each; ``maps`` are the methods, ``fused`` where
    there are several, and the maps without knowledge.
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
    """Select records, measure what the cache does not have, and judge.

    Parameters
    ----------
    request
        What to do.
    store
        The cache.
    classifier
        The model, where it is loaded already.
    progress
        Called with (done, total, what).

    Raises
    ------
    ParameterError
        No such method.
    RecordError, ModelError, DiagnosisError, RunError
        Nothing to judge: no record was found, selected, or could be explained.
    """
    methods = tuple(find_method(name).name for name in request.profile.methods)
    classifier = classifier or LazyClassifier(request.model)
    predictions = predict_data(request.data, classifier, store, None, request.checksum, progress)
    units = select_records(predictions, request.selection, request.targets).units
    measured: list[tuple[Unit, Mapping[str, Any]]] = []
    failures = list(predictions.failures)
    for done, unit in enumerate(units):
        progress(done, len(units), f"{unit.record}, {unit.target}")
        try:
            measured.append((unit, _measured(unit, classifier, request, store)))
        except EcgXaiError as error:
            failures.append(Failure(unit.record, str(error)))
    progress(len(units), len(units), "verdicts")
    if not measured:
        why = failures[-1].reason
        raise RunError("report card", "records", "none could be explained", why)
    simulated = {info.digest for info in predictions.records if info.synthetic}
    return _card(request, classifier, methods, measured, len(predictions.records), simulated,
                 failures)  # fmt: skip


def _card(
    request: CardRequest,
    classifier: LazyClassifier,
    methods: tuple[str, ...],
    measured: Sequence[tuple[Unit, Mapping[str, Any]]],
    n_read: int,
    simulated: set[str],
    failures: Sequence[Failure],
) -> ReportCard:
    """Verdicts and tables from what was measured."""
    params = request.profile.evaluation
    own = (*methods, "fused") if len(methods) > 1 else methods
    maps = (*own, *REFERENCE_MAPS)
    rows = [
        Measured(
            row["test"], row["method"], unit.digest, unit.target,
            _number(row["value"]), _number(row["chance"]),
        )
        for unit, meta in measured
        for row in meta["rows"]
    ]  # fmt: skip
    targets = list(dict.fromkeys(unit.target for unit, _ in measured))
    verdicts = [
        verdict
        for target in ("", *targets)
        for verdict in verdicts_of(rows, maps, params, target, REFERENCE_MAPS)
    ]
    places = [
        (unit.target, method, [_share(part) for part in parts])
        for unit, meta in measured
        for method, parts in meta["evidence"].items()
        if method in own
    ]
    digests = {unit.digest for unit, _ in measured}
    return ReportCard(
        request=request.describe(classifier.digest),
        model=_model_facts(request.model.name, classifier),
        n_read=n_read,
        n_records=len(digests),
        n_simulated=len(digests & simulated),
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
    )


def _number(value: float | None) -> float:
    """A number from JSON, where NaN is ``null``."""
    return _NAN if value is None else float(value)


def _share(part: Mapping[str, Any]) -> Share:
    return Share(part["kind"], part["name"], _number(part["mass"]), _number(part["time"]))


def _measured(
    unit: Unit, classifier: LazyClassifier, request: CardRequest, store: Store
) -> Mapping[str, Any]:
    """What the tests gave on one unit, cached: ``rows``, ``evidence`` by map, ``baselines``."""
    record = read_record(unit.path, checksum=checksum_policy(request.checksum))
    if record.digest != unit.digest:
        raise ExplanationError(
            unit.record, "", "the file changed since it was selected", "make the card again"
        )
    key = cache_key(
        "card unit",
        record=record.digest,
        name=record.name,
        warnings=[[w.code, w.message, list(w.leads)] for w in record.warnings],
        model=classifier.digest,
        target=unit.target,
        profile=request.profile.as_key(),
        depth=asdict(request.depth),
    )

    def computed() -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, json_safe(_computed(record, classifier, unit.target, request, store))

    return store.get_or_compute(key, computed).meta


def _computed(
    record: Record, classifier: Classifier, target: str, request: CardRequest, store: Store
) -> dict[str, Any]:
    profile = request.profile
    found = explained(record, classifier, target, profile, store, methods=profile.methods)
    maps: dict[str, Map] = {**found.attributions, "fused": found.fused}
    frame = evaluate_all(
        record, classifier, target, profile, store, methods=profile.methods, depth=request.depth
    )
    shaken = _extra_beat(record, classifier, target, found, profile, store)
    rows = []
    for scores in frame.to_dict("records"):
        method = str(scores["method"])
        values = _tested(scores)
        if method in maps:
            values |= {"extra_beat": shaken.get(method, (_NAN, _NAN))}
            values |= _of_the_map(method, maps[method], found)
        rows += [
            {"test": test, "method": method, "value": value, "chance": chance}
            for test, (value, chance) in values.items()
        ]
    times = wave_times(record)
    evidence = {name: [asdict(part) for part in shares(item, times)] for name, item in maps.items()}
    model_input = prepare(record, classifier.manifest)
    cut = segment(model_input, ExplainParams(), _AUDIT_SEC)
    audit = audit_baselines(classifier, model_input, cut, tuple(BASELINES))
    baselines = {kind: [float(p) for p in values] for kind, values in audit.items()}
    return {"rows": rows, "evidence": evidence, "baselines": baselines}


def _tested(scores: Mapping[Any, Any]) -> dict[str, tuple[float, float]]:
    """Value and chance of the tests whose numbers :func:`evaluate_all` gives."""
    found = {
        name: (float(scores[name]), float(scores.get(f"{name}_random", _NAN)))
        for name in TESTS
        if name in scores
    }
    for test, column in (("sanity", "randomisation_similarity"), ("repeats", "self_similarity")):
        if column in scores:
            found[test] = (float(scores[column]), _NAN)
    return found


def _of_the_map(method: str, item: Map, found: Explained) -> dict[str, tuple[float, float]]:
    """Whether the weights add up, and what a map without any order says of randomised weights."""
    values: dict[str, tuple[float, float]] = {}
    if method in _SUMS:
        gap = found.attributions[method].diagnostics.get(_SUMS[method])
        values["complete"] = (_number(gap), _NAN)
    if np.ptp(np.nan_to_num(item.density())) <= 0:
        values["sanity"] = (1.0, _NAN)
    return values


def _extra_beat(
    record: Record,
    classifier: Classifier,
    target: str,
    found: Explained,
    profile: Profile,
    store: Store,
) -> dict[str, tuple[float, float]]:
    """Spearman and its chance by map; none with too few beats or where the prediction changed."""
    try:
        shaken = shake(
            record, classifier, target, found, profile, store, peaks=beats_of(record).samples
        )
    except ExplanationError:
        return {}
    made = {}
    for name, scores in stability_scores(shaken, profile.stability).items():
        before, after = shaken.original[name].probability, shaken.changed[name].probability
        if stayed(before, after):
            score = next(s for s in scores if s.metric == "spearman")
            made[name] = (score.value, score.random)
    return made


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
        sight=sight(engine.part, manifest.fs) if engine.part is not None else "",
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
    """By baseline and class over the records, each once."""
    by_record = {unit.digest: meta["baselines"] for unit, meta in measured}
    rows = []
    for kind in (INTACT, *BASELINES):
        table = np.array([audit[kind] for audit in by_record.values()], np.float64)
        for column, code in enumerate(classifier.classes):
            p = table[:, column]
            yes = float(np.mean(p >= _threshold(classifier, code)))
            rows.append(
                BaselineRow(
                    kind, code, float(p.mean()), float(p.min()), float(p.max()), yes, len(p)
                )
            )
    return tuple(rows)
