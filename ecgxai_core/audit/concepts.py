"""From the signal to concepts: which measured features of an ECG does a model use?

Two tests that fail in different ways. Over a cohort: does the output follow a feature when the
others are held? Records differ in more than is measured, so what follows may only go with the
feature. On each record: does the output move when this feature alone is changed? A change is only
one of the ways in which the feature varies. ``used`` needs both, ``not used`` that neither does
with the precision for saying so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecgxai_core.audit.card_evidence import WAVES, wave_times
from ecgxai_core.audit.cohort import labelled_paths
from ecgxai_core.audit.partial_ranks import (
    NOTHING,
    PartialCorrelation,
    false_discovery,
    partial_rank_correlation,
)
from ecgxai_core.bootstrap import LEAST_RECORDS, Interval, all_equal, interval_of
from ecgxai_core.case import Case, find_target
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError, ExplanationError, RunError
from ecgxai_core.explainers import find_method
from ecgxai_core.games.links import to_link
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import EvaluationParams, Profile
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.measurements import measured_record
from ecgxai_core.pipeline.predict import Failure, checksum_policy, predict_paths
from ecgxai_core.pipeline.what_if import outputs_of
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.read import read_record
from ecgxai_core.signal.delineation import delineate
from ecgxai_core.signal.intervals import Measured
from ecgxai_core.simulation.edits import EDITS, Place, edited
from ecgxai_core.store.cache import Store
from ecgxai_core.types import DERIVED_LEADS, FloatArray, Map, Record, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FEATURES",
    "LEAST_MOVE",
    "NO_FOLLOWING",
    "Concept",
    "ConceptRecord",
    "ConceptRequest",
    "Concepts",
    "Feature",
    "change_words",
    "concept_record",
    "concept_table",
    "find_concepts",
    "to_frame",
]

LEVEL = 0.05
"""Share of false discoveries that is allowed."""

LEAST_MOVE = 0.2
"""Change of the output (logit), in standard deviations over the records, from which on a model
counts as moved: Cohen's small effect (Statistical Power Analysis, 1988). Every network answers
every change by something."""

NO_FOLLOWING = 0.5
"""A partial correlation counts as absent where it is not significant and its interval lies within
this: Cohen's large effect, which some 30 records can rule out."""

Verdict = Literal["used", "not used", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Feature:
    """A measured feature.

    Attributes
    ----------
    title, unit
        For people.
    measured
        ``(measurements, leads) -> value``; NaN = not measurable.
    low, high
        Edit and size that make it small and large; within what is usual in PTB-XL.
    waves
        Parts of the beat that it is seen in, of :data:`~ecgxai_core.audit.card_evidence.WAVES`.
    by_lead
        Whether it belongs to leads.
    signed
        Whether the edit scales it, so that a negative value gets smaller.
    """

    title: str
    unit: str
    measured: Callable[[Measured, Sequence[str]], float]
    low: tuple[str, float]
    high: tuple[str, float]
    waves: tuple[str, ...]
    by_lead: bool = False
    signed: bool = False


def _of_leads(wave: str) -> Callable[[Measured, Sequence[str]], float]:
    def mean(measured: Measured, leads: Sequence[str]) -> float:
        values = np.array([measured.leads[lead][wave].value for lead in leads])
        known = values[np.isfinite(values)]
        return float(known.mean()) if known.size else float("nan")

    return mean


FEATURES: Mapping[str, Feature] = {
    "pr": Feature(
        "PR interval", "ms", lambda m, _: m.pr.value, ("pr", -20.0), ("pr", 40.0), ("P", "between")
    ),
    "qrs": Feature(
        "QRS duration", "ms", lambda m, _: m.qrs.value, ("qrs", -10.0), ("qrs", 40.0), ("QRS",)
    ),
    "qtc": Feature("QTc", "ms", lambda m, _: m.qtc.value, ("qt", -40.0), ("qt", 60.0), ("T",)),
    "st_level": Feature(
        "ST level", "mV", _of_leads("ST"), ("st_level", -0.1), ("st_level", 0.1), ("ST",), True
    ),
    "t_amplitude": Feature(
        "T amplitude", "mV", _of_leads("T"), ("t_amplitude", 0.5), ("t_amplitude", 1.5), ("T",),
        True, True,
    ),
    "p_absent": Feature(
        "P waves absent", "%", lambda m, _: 100.0 - m.p_present.value, ("p_amplitude", 1.0),
        ("p_amplitude", 0.0), ("P",),
    ),
    "irregularity": Feature(
        "RR irregularity", "%", lambda m, _: m.irregularity.value, ("regular", 1.0),
        ("irregular", 15.0), ("QRS",),
    ),
}  # fmt: skip
"""Every feature by name. A beat's rhythm is seen in where its QRS complexes are."""


@dataclass(frozen=True, slots=True)
class ConceptRecord:
    """One record: its output (logit) and, by feature, what was measured, the map's |weight| in the
    feature's waves over the share of the time there (1 = as if spread evenly), and the change of
    the output from the small to the large feature. NaN where it does not exist."""

    name: str
    output: float
    values: Mapping[str, float]
    enrichment: Mapping[str, float]
    moves: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Concept:
    """One feature of one model's output.

    Attributes
    ----------
    output, weight
        Partial rank correlation of the output, and of the map's weight in the feature's waves, with
        the feature while all other features are held.
    output_q, weight_q, move_q
        p values corrected over the features.
    n_moved, move, interval
        Mean change of the logit when the feature alone is changed on the record.
    size_high
        Upper limit of the mean |change|.
    least
        What counts as a change.
    """

    feature: str
    output: PartialCorrelation
    output_q: float
    weight: PartialCorrelation
    weight_q: float
    n_moved: int
    move: float
    interval: Interval
    move_q: float
    size_high: float
    least: float
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Concepts:
    """What a model's output uses, of the records that were drawn."""

    target: str
    method: str | None
    leads: tuple[str, ...]
    records: tuple[ConceptRecord, ...]
    table: tuple[Concept, ...]
    failures: tuple[Failure, ...]
    synthetic: bool


@dataclass(frozen=True, slots=True)
class ConceptRequest:
    """Records, model and target; at most ``n`` records, half of them with the target.

    ``method`` makes the maps (``None`` = none are looked at); ``leads`` are those of ST level and T
    amplitude, the recorded ones (not derived) if empty.
    """

    data: Path
    model: Path
    target: str
    profile: Profile
    n: int = 100
    method: str | None = "integrated_gradients"
    leads: tuple[str, ...] = ()


def find_concepts(
    request: ConceptRequest,
    store: Store,
    *,
    checksum: str = "warn",
    progress: Progress = no_progress,
) -> Concepts:
    """Draw records, measure, change and explain each, and test every feature.

    Half of the records have the target, by their labels or, where there are none, by the model's
    threshold: else a rare one would hardly vary. All that is costly is kept in ``store``.

    Raises
    ------
    ParameterError, DiagnosisError, RecordError, ModelError
        No such method, lead, target, records or model.
    RunError
        No record could be used.
    """
    method = None if request.method is None else find_method(request.method).name
    classifier = LazyClassifier(request.model)
    target = find_target(request.target, classifier)
    paths, failures = _drawn(request, classifier, target, store, (checksum, progress))
    made, synthetic = [], False
    for done, path in enumerate(paths):
        progress(done, len(paths), path.stem)
        try:
            record = read_record(path, checksum=checksum_policy(checksum))
            case = Case(record, classifier, target)
            made.append(concept_record(case, store, request.profile, method, request.leads))
        except EcgXaiError as error:
            failures.append(Failure(path.stem, str(error)))
            continue
        synthetic |= record.synthetic
    progress(len(paths), len(paths), "")
    if not made:
        reason = failures[-1].reason if failures else "give other records"
        raise RunError("concepts", "records", "none could be used", reason)
    table = concept_table(made, request.profile.evaluation)
    return Concepts(target, method, request.leads, tuple(made), table, tuple(failures), synthetic)


def _drawn(
    request: ConceptRequest,
    classifier: LazyClassifier,
    target: str,
    store: Store,
    how: tuple[str, Progress],
) -> tuple[list[Path], list[Failure]]:
    """Paths of at most ``n`` records, half with the target, in the order of their files."""
    labels = labelled_paths(request.data)
    known = {target, *aliases(target)}
    has = {path: not known.isdisjoint(own) for path, own in labels.items() if own is not None}
    failures: list[Failure] = []
    if not has:
        found = predict_paths([*labels], classifier, store, checksum=how[0], progress=how[1])
        least = float(dict(classifier.manifest.thresholds or {}).get(target, 0.5))
        failures += found.failures
        has = {
            info.path: value.probability(target) >= least
            for info, value in zip(found.records, found.values, strict=True)
        }
    seed = request.profile.explain.seed
    order = sorted(has, key=lambda path: (content_seed("concepts", path.stem, seed), str(path)))
    sides = [path for path in order if has[path]], [path for path in order if not has[path]]
    few = min(request.n // 2, len(sides[0]), len(sides[1]))
    rest = [*sides[0][few:], *sides[1][few:]]
    taken = [*sides[0][:few], *sides[1][:few], *rest][: request.n]
    return sorted(taken, key=str), failures


def concept_record(
    case: Case,
    store: Store,
    profile: Profile,
    method: str | None = None,
    leads: Sequence[str] = (),
) -> ConceptRecord:
    """Measure a record, change each feature of it, and explain it where ``method`` is given.

    Raises
    ------
    ParameterError
        A lead that the record does not have.
    ExplanationError
        No beat was found.
    """
    record = case.record
    chosen = tuple(leads) or tuple(lead for lead in record.leads if lead not in DERIVED_LEADS)
    edited(record, "st_level", 0.0, Place(chosen))  # an unknown lead is told before all else
    measured = measured_record(record, store)
    if not measured.qrs.measurable:
        raise ExplanationError(record.name, "beats", "none was found", "leave the record out")
    values = {name: one.measured(measured, chosen) for name, one in FEATURES.items()}
    output, moves = _moves(case, chosen, store)
    for name, one in FEATURES.items():
        if one.signed and values[name] < 0:
            moves[name] = -moves[name]
    nothing = dict.fromkeys(FEATURES, float("nan"))
    enrichment = nothing
    if method is not None:
        item = explain_case(case, {method: profile.for_method(method)}, store)[method]
        enrichment = _enrichment(item, wave_times(record)) or nothing
    return ConceptRecord(record.name, output, values, enrichment, moves)


def _moves(case: Case, leads: tuple[str, ...], store: Store) -> tuple[float, dict[str, float]]:
    """The output (logit), and by feature its change from the small to the large feature."""
    changes = [(edit, size, one.by_lead) for one in FEATURES.values()
               for edit, size in (one.low, one.high)]  # fmt: skip
    key = cache_key("concept moves", **case.key(), changes=changes, leads=list(leads))

    def compute() -> tuple[dict[str, Any], dict[str, Any]]:
        record = case.record
        waves = delineate(record.signal, record.fs, record.leads)
        made: list[Record | None] = [record]
        for edit, size, by_lead in changes:
            try:
                made.append(edited(record, edit, size, Place(leads if by_lead else ()), waves))
            except ExplanationError:  # no room for it, or no such wave
                made.append(None)
        return {"outputs": outputs_of(case, made)}, {}

    kept = store.get_or_compute(key, compute).arrays["outputs"]
    column = to_link(kept[:, case.classifier.classes.index(case.target)], "logit")
    pairs = column[1:].reshape(-1, 2)
    gaps = pairs[:, 1] - pairs[:, 0]
    return float(column[0]), dict(zip(FEATURES, map(float, gaps), strict=True))


def _enrichment(item: Map, times: Mapping[str, FloatArray]) -> dict[str, float]:
    """Share of |weight| in each feature's waves over their share of the time: a long wave gets no
    more for being long. Empty where there is no weight or no beat."""
    density = np.where(item.explored, np.abs(np.nan_to_num(item.density())), 0.0)
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    seconds = item.explored * item.durations
    total = float((density * item.durations).sum())
    if not times or total <= 0:
        return {}
    inside = {wave: overlap_sec(segments, times[wave]).sum(axis=1) for wave in WAVES}
    found = {}
    for name, one in FEATURES.items():
        part = sum(inside[wave] for wave in one.waves)
        time = float((item.explored * part).sum() / seconds.sum())
        found[name] = float((density * part).sum() / total / time) if time > 0 else float("nan")
    return found


def concept_table(
    records: Sequence[ConceptRecord], params: EvaluationParams
) -> tuple[Concept, ...]:
    """Every feature with both tests and what they say together.

    ``params`` give the confidence and the bootstrap of the intervals. Records of one patient count
    as independent.
    """
    output = np.array([record.output for record in records])
    values, weight, moves = (
        np.array([[kind[name] for name in FEATURES] for kind in kinds], np.float64)
        for kinds in zip(*((r.values, r.enrichment, r.moves) for r in records), strict=True)
    )
    least = LEAST_MOVE * float(output.std(ddof=1)) if len(output) > 1 else float("nan")
    rows = []
    for i, name in enumerate(FEATURES):
        held = np.delete(values, i, axis=1)
        x = values[:, i]
        enough = len(records) >= LEAST_RECORDS
        level = params.confidence
        follows = partial_rank_correlation(x, output, held, level) if enough else NOTHING
        shown = partial_rank_correlation(x, weight[:, i], held, level) if enough else NOTHING
        rows.append((name, follows, shown, moves[np.isfinite(moves[:, i]), i]))
    corrected = [
        false_discovery(np.array(p))
        for p in ([r[1].p for r in rows], [r[2].p for r in rows], [_moved_p(r[3]) for r in rows])
    ]
    return tuple(
        _concept(name, follows, shown, gaps, (float(a), float(b), float(c)), least, params)
        for (name, follows, shown, gaps), a, b, c in zip(rows, *corrected, strict=True)
    )


def _moved_p(gaps: FloatArray) -> float:
    """Wilcoxon's signed-rank test that changes are not about zero."""
    from scipy import stats

    if len(gaps) < LEAST_RECORDS:
        return float("nan")
    return float(stats.wilcoxon(gaps).pvalue) if gaps.any() else 1.0


def _concept(
    name: str,
    follows: PartialCorrelation,
    shown: PartialCorrelation,
    gaps: FloatArray,
    q: tuple[float, float, float],
    least: float,
    params: EvaluationParams,
) -> Concept:
    mean = float(gaps.mean()) if len(gaps) else float("nan")
    limits = _interval(gaps, params, name)
    high = _interval(np.abs(gaps), params, name, "size").high
    moved = q[2] < LEVEL and (limits.low > least or limits.high < -least)
    still = high < least
    verdict, why = _verdict(follows, q[0], moved, still, mean)
    return Concept(
        name, follows, q[0], shown, q[1], len(gaps), mean, limits, q[2], high, least, verdict, why
    )


def _interval(values: FloatArray, params: EvaluationParams, *purpose: str) -> Interval:
    """Of the mean; values that are all the same, such as no change at all, are their own limits."""
    if len(values) >= LEAST_RECORDS and all_equal(values):
        return Interval(float(values[0]), float(values[0]))
    return interval_of(values, params, "concepts", *purpose)


def _verdict(
    follows: PartialCorrelation, q: float, moved: bool, still: bool, mean: float
) -> tuple[Verdict, str]:
    """What both tests say together."""
    with_it = q < LEVEL
    without = q >= LEVEL and follows.low > -NO_FOLLOWING and follows.high < NO_FOLLOWING
    if moved and with_it and (mean > 0) == (follows.r > 0):
        return "used", "the output follows it, and moves with it alone"
    if moved and with_it:
        return "cannot tell", "over records and on the record, it acts in opposite directions"
    if still and without:
        return "not used", "the output does not follow it, and moves with it by less than counts"
    if still and with_it:
        why = "the output follows it but does not move with it alone: perhaps what goes with it"
        return "cannot tell", why
    if moved:
        return (
            "cannot tell",
            "the output moves with it alone, but is not shown to follow it over records",
        )
    return "cannot tell", "too few records, or too uneven an answer"


def to_frame(found: Concepts) -> pd.DataFrame:
    """One row per feature: both tests with their intervals, the map, the verdict and why."""
    import pandas as pd

    rows = []
    for one in found.table:
        feature = FEATURES[one.feature]
        row: dict[str, Any] = {"target": found.target, "feature": one.feature, "unit": feature.unit}
        row |= {"verdict": one.verdict}
        for name, test, q in (
            ("output", one.output, one.output_q), ("map", one.weight, one.weight_q),
        ):  # fmt: skip
            row |= {f"{name}_r": test.r, f"{name}_low": test.low, f"{name}_high": test.high,
                    f"{name}_q": q, f"{name}_n": test.n}  # fmt: skip
        row |= {
            "changed": change_words(feature), "move": one.move,
            "move_low": one.interval.low, "move_high": one.interval.high, "move_q": one.move_q,
            "move_n": one.n_moved, "size_high": one.size_high, "least": one.least, "why": one.why,
        }  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def change_words(feature: Feature) -> str:
    """From what to what a feature is changed on the record."""
    parts = []
    for name, size in (feature.low, feature.high):
        edit = EDITS[name]
        amount = f"{size:g}" if edit.title.endswith("times") else f"{size:+g}"
        parts.append(f"{edit.title} {amount} {edit.unit}".strip())
    return " to ".join(parts)
