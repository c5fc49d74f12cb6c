"""What a model uses on many records: the mean map by wave and lead, and how two cohorts differ.

Every record becomes 60 numbers, its signed weight by wave and lead over the sum of its |weight|, so
each record counts once whatever its length, rate and scale, and memory does not grow with records
by more than these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecgxai_core.audit.card_evidence import WAVES, wave_times
from ecgxai_core.bootstrap import LEAST_RECORDS, interval_of
from ecgxai_core.case import Case, find_target
from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.errors import EcgXaiError, RunError
from ecgxai_core.explainers import find_method
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import EvaluationParams, Profile
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.pipeline.predict import (
    Failure,
    Predictions,
    checksum_policy,
    find_files,
    predict_files,
    with_labels,
)
from ecgxai_core.pipeline.shards import WHOLE, Shard
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.catalogues.catalogue import IN_HEADERS, find_layout, open_catalogue
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.store.cache import Store
from ecgxai_core.types import FloatArray, Map, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "WHO",
    "Cohort",
    "CohortMember",
    "CohortPart",
    "CohortRecord",
    "CohortRequest",
    "Difference",
    "cell_table",
    "cohort_of",
    "compare_cohorts",
    "distances",
    "explain_members",
    "labelled_paths",
    "make_cohort",
    "max_t",
    "outliers",
    "wave_shares",
]

Who = Literal["labelled", "predicted", "true-positive", "false-positive", "false-negative"]
WHO: tuple[Who, ...] = (
    "labelled", "predicted", "true-positive", "false-positive", "false-negative",
)  # fmt: skip
"""Which records belong to a cohort: by the labels of the target, by the model's threshold."""

PERMUTATIONS = 2000
_FAR = 3.5
"""A record is an outlier this many robust standard deviations above the median distance (Iglewicz
and Hoaglin, How to Detect and Handle Outliers, 1993)."""


@dataclass(frozen=True, slots=True)
class CohortRequest:
    """Records, model, target and method of a cohort; at most ``n`` records, drawn by a seed."""

    data: Path
    model: Path
    target: str
    profile: Profile
    who: Who = "labelled"
    n: int | None = None
    method: str = "integrated_gradients"


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """One record: ``shares`` ``float64[wave, lead]`` of its map."""

    name: str
    digest: str
    probability: float
    shares: FloatArray


@dataclass(frozen=True)
class Cohort:
    """Records with their maps by wave and lead; ``found`` belonged to it before the draw."""

    name: str
    target: str
    method: str
    leads: tuple[str, ...]
    records: tuple[CohortRecord, ...]
    found: int
    failures: tuple[Failure, ...]
    synthetic: bool

    @property
    def values(self) -> FloatArray:
        """``float64[record, wave, lead]``."""
        return np.stack([record.shares for record in self.records])

    @property
    def mean(self) -> FloatArray:
        """``float64[wave, lead]``."""
        return np.asarray(self.values.mean(axis=0), np.float64)


@dataclass(frozen=True, slots=True)
class CohortMember:
    """A record that belongs to a cohort: its ``place`` among the files, its ``order`` in the draw,
    and what was made of it, or the ``reason`` why nothing was."""

    place: int
    order: int
    name: str
    digest: str
    synthetic: bool
    record: CohortRecord | None
    reason: str


@dataclass(frozen=True, slots=True)
class CohortPart:
    """What one shard contributes: of ``looked_at`` records ``found`` belong to the cohort here, of
    which ``members`` were explained; ``asked`` names the group."""

    name: str
    asked: str
    target: str
    method: str
    leads: tuple[str, ...]
    looked_at: int
    found: int
    members: tuple[CohortMember, ...]
    unread: tuple[Failure, ...]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be read or explained."""
        failed = (Failure(m.name, m.reason) for m in self.members if m.record is None)
        return (*self.unread, *failed)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two cohorts: ``float64[wave, lead]`` difference of the means (first minus second; paired,
    over the records of both), and the p value of each cell, corrected for their number; NaN with
    too few records."""

    difference: FloatArray
    p: FloatArray
    paired: bool


def wave_shares(item: Map, times: dict[str, FloatArray]) -> FloatArray:
    """``float64[wave, lead]``: signed weight in each of :data:`WAVES` over the sum of |weight|.

    ``times`` are those of :func:`~ecgxai_core.audit.card_evidence.wave_times`. NaN where the map
    has no weight.
    """
    density = np.where(item.explored, np.nan_to_num(item.density()), 0.0)
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    total = float((np.abs(density) * item.durations).sum())
    sums = [density @ overlap_sec(segments, times[wave]).sum(axis=1) for wave in WAVES]
    return np.stack(sums) / (total or np.nan)


def make_cohort(
    request: CohortRequest,
    store: Store,
    *,
    checksum: str = "warn",
    classifier: LazyClassifier | None = None,
    progress: Progress = no_progress,
) -> Cohort:
    """Predict a folder, draw the records of the cohort, and explain one after the other.

    Explanations are kept in ``store``, so an interrupted cohort carries on. ``classifier`` is the
    model, if it is already loaded.

    Raises
    ------
    ParameterError, DiagnosisError, RecordError, ModelError
        No such method, target, records or model.
    RunError
        No record belongs to the cohort, or none could be explained.
    """
    part = explain_members(
        request, store, checksum=checksum, classifier=classifier, progress=progress
    )
    return cohort_of([part], request.n)


def explain_members(
    request: CohortRequest,
    store: Store,
    *,
    shard: Shard = WHOLE,
    checksum: str = "warn",
    classifier: LazyClassifier | None = None,
    progress: Progress = no_progress,
) -> CohortPart:
    """Explain the records of a cohort that a shard holds; raises as :func:`make_cohort`, but where
    the shard has none.

    Of a shard as many are explained as could be drawn from it, at most ``request.n``.
    """
    method = find_method(request.method).name
    classifier = classifier or LazyClassifier(request.model)
    target = find_target(request.target, classifier)
    labels = labelled_paths(request.data)
    known = {target, *aliases(target)}
    paths = [path for path, own in labels.items() if _may_belong(own, known, request.who)]
    predictions = predict_files(
        find_files(paths) if paths else [], classifier, store, checksum=checksum,
        progress=progress, shard=shard,
    )  # fmt: skip
    predictions = with_labels(predictions, labels)
    inside = members_of(predictions, classifier, target, request.who)
    records = predictions.records
    order = {i: content_seed("cohort", records[i].digest, request.profile.explain.seed)
             for i in inside}  # fmt: skip
    drawn = sorted(sorted(inside, key=lambda i: order[i])[: request.n])
    params = request.profile.for_method(method)
    members: list[CohortMember] = []
    leads: tuple[str, ...] = ()
    for done, i in enumerate(drawn):
        info = records[i]
        progress(done, len(drawn), info.name)
        about = info.place, order[i], info.name, info.digest, info.synthetic
        try:
            record = read_record(info.path, checksum=checksum_policy(checksum))
            times = wave_times(record)
            if not times:
                raise RunError(info.name, "", "no beat was found", "leave the record out")
            case = Case(record, classifier, target)
            item = explain_case(case, {method: params}, store)[method]
            shares = wave_shares(item, times)
            if not np.isfinite(shares).all():
                raise RunError(info.name, "", "its map has no weight", "leave the record out")
        except EcgXaiError as error:
            members.append(CohortMember(*about, None, str(error)))
            continue
        leads = item.leads
        made = CohortRecord(info.name, info.digest, item.probability, shares)
        members.append(CohortMember(*about, made, ""))
    progress(len(drawn), len(drawn), "")
    asked = f"{request.who} {term_of(target).name}"
    name = f"{asked}, {request.model.stem}, {request.data.name}"
    return CohortPart(
        name, asked, target, method, leads, len(labels), len(inside), tuple(members),
        predictions.failures,
    )  # fmt: skip


def cohort_of(parts: Sequence[CohortPart], n: int | None) -> Cohort:
    """The cohort that parts are of: at most ``n`` of their members, whatever the parts.

    Raises
    ------
    RunError
        No record belongs to it, or none could be explained.
    """
    first = parts[0]
    found = sum(part.found for part in parts)
    if not found:
        fix = "choose another target, or other records with --who"
        raise RunError("cohort", first.asked, f"fits none of {first.looked_at} records", fix)
    members = sorted((m for part in parts for m in part.members), key=lambda m: (m.order, m.place))
    drawn = sorted(members[:n], key=lambda m: m.place)
    made = tuple(m.record for m in drawn if m.record is not None)
    failed = [Failure(m.name, m.reason) for m in drawn if m.record is None]
    if not made:
        raise RunError("cohort", "records", "none could be explained", failed[-1].reason)
    failures = sorted(
        (*(failure for part in parts for failure in part.unread), *failed),
        key=lambda failure: (failure.record, failure.reason),
    )
    leads = next(part.leads for part in parts if part.leads)
    synthetic = any(m.synthetic for m in drawn)
    return Cohort(
        first.name, first.target, first.method, leads, made, found, tuple(failures), synthetic
    )


def labelled_paths(data: Path) -> dict[Path, tuple[str, ...] | None]:
    """Records of a folder with the labels that its data set gives them, without their samples.

    ``None`` = none are known here; the record itself may have some.

    Raises
    ------
    RecordError
        Nothing that looks like a record was found, or a table of the data set is damaged.
    """
    if not data.is_dir():
        return dict.fromkeys(find_records([data]))
    layout = find_layout(data)
    catalogue = open_catalogue(data, layout)
    found = {entry.path: entry.labels for entry in catalogue if entry.standard_leads}
    # what has no header that can be read, too: it is read again, and refused with its reason
    if not found or layout == IN_HEADERS:
        return {path: found.get(path) for path in find_records([data])}
    return found | dict.fromkeys(catalogue.unreadable)


def _may_belong(labels: tuple[str, ...] | None, known: set[str], who: Who) -> bool:
    """Whether a record need be looked at: not if its labels alone keep it out."""
    if labels is None or who == "predicted":
        return True
    return known.isdisjoint(labels) == (who == "false-positive")


def members_of(
    predictions: Predictions, classifier: LazyClassifier, target: str, who: Who
) -> list[int]:
    """Places of the records that belong to a cohort; a record without labels has no outcome."""
    least = float(dict(classifier.manifest.thresholds or {}).get(target, 0.5))
    known = {target, *aliases(target)}
    found = []
    for i, (info, value) in enumerate(zip(predictions.records, predictions.values, strict=True)):
        said = value.probability(target) >= least
        if who == "predicted":
            found += [i] if said else []
            continue
        if info.labels is None:
            continue
        has = not known.isdisjoint(info.labels)
        wanted = {
            "labelled": has,
            "true-positive": has and said,
            "false-positive": said and not has,
            "false-negative": has and not said,
        }
        found += [i] if wanted[who] else []
    return found


def cell_table(cohort: Cohort, params: EvaluationParams) -> pd.DataFrame:
    """One row per wave and lead: ``wave``, ``lead``, ``n``, ``mean``, and ``low``, ``high`` of its
    interval over records (NaN below :data:`~ecgxai_core.bootstrap.LEAST_RECORDS`)."""
    import pandas as pd

    values = cohort.values
    rows: list[tuple[Any, ...]] = []
    for row, wave in enumerate(WAVES):
        for column, lead in enumerate(cohort.leads):
            cell = values[:, row, column]
            interval = interval_of(cell, params, "cohort", cohort.name, wave, lead)
            rows.append((wave, lead, len(cell), float(cell.mean()), *interval))
    return pd.DataFrame(rows, columns=["wave", "lead", "n", "mean", "low", "high"])


def compare_cohorts(one: Cohort, other: Cohort, seed: int = 0) -> Difference:
    """Where two cohorts differ, by wave and lead.

    Record by record where both are of the same records (two models), but for what failed in one of
    them; else between groups.

    Raises
    ------
    RunError
        The models have other leads.
    """
    if one.leads != other.leads:
        raise RunError("cohort", "leads", "of the two models differ", "compare models of one input")
    first = {record.digest: record.shares for record in one.records}
    second = {record.digest: record.shares for record in other.records}
    both = sorted(first.keys() & second.keys())
    paired = bool(both) and _lacks_what_failed(one, other) and _lacks_what_failed(other, one)
    if paired:
        gaps = np.stack([first[digest] - second[digest] for digest in both])
        difference, n = np.asarray(gaps.mean(axis=0), np.float64), len(both)
    else:
        difference, n = one.mean - other.mean, min(len(first), len(second))
    if n < LEAST_RECORDS:
        return Difference(difference, np.full(difference.shape, np.nan), paired)
    p = max_t(gaps, None, seed) if paired else max_t(one.values, other.values, seed)
    return Difference(difference, p, paired)


def _lacks_what_failed(one: Cohort, other: Cohort) -> bool:
    """Whether every record of ``other`` that ``one`` lacks is among its failures."""
    known = {record.digest for record in one.records}
    failed = {failure.record for failure in one.failures}
    return all(r.digest in known or r.name in failed for r in other.records)


def max_t(one: FloatArray, other: FloatArray | None, seed: int = 0) -> FloatArray:
    """p values of many cells at once, corrected for their number.

    Permutations of the largest |t| over all cells (Westfall and Young, Resampling-Based Multiple
    Testing, 1993; for maps Nichols and Holmes, Hum Brain Mapp 2002;15:1-25), which keeps the chance
    of any false cell at the level, however the cells depend on each other.

    Parameters
    ----------
    one, other
        ``float64[record, ...]``: two groups, whose labels are permuted (Welch's t); or differences
        of pairs and ``None``, whose signs are flipped.
    seed
        Of the permutations.

    Returns
    -------
    ``float64[...]`` in (0, 1].
    """
    rng = np.random.default_rng(content_seed("max t", seed))
    shape = one.shape[1:]
    a = one.reshape(len(one), -1)
    joint = a if other is None else np.concatenate((a, other.reshape(len(other), -1)))
    n = len(a)
    observed = _t(joint, n, other is None)
    reached = np.ones(observed.shape)
    for _ in range(PERMUTATIONS):
        if other is None:
            drawn = joint * rng.choice([-1.0, 1.0], (n, 1))
        else:
            drawn = joint[rng.permutation(len(joint))]
        reached += _t(drawn, n, other is None).max() >= observed - 1e-9
    return (reached / (PERMUTATIONS + 1)).reshape(shape)


def _t(joint: FloatArray, n: int, paired: bool) -> FloatArray:
    """|t| of every column: of pairs against 0, or of the first ``n`` rows against the others."""
    one = joint[:n]
    variance = one.var(axis=0, ddof=1) / n
    gap = one.mean(axis=0)
    if not paired:
        other = joint[n:]
        variance = variance + other.var(axis=0, ddof=1) / len(other)
        gap = gap - other.mean(axis=0)
    return np.asarray(np.abs(gap) / np.sqrt(np.maximum(variance, 1e-24)))


def distances(cohort: Cohort) -> FloatArray:
    """``float64[record]``: sum over cells of |share - median share|, at most 2."""
    values = cohort.values
    return np.asarray(np.abs(values - np.median(values, axis=0)).sum(axis=(1, 2)), np.float64)


def outliers(cohort: Cohort) -> tuple[tuple[CohortRecord, float], ...]:
    """Records whose map is far from the cohort's, the farthest first, with their distance."""
    if len(cohort.records) < LEAST_RECORDS:
        return ()
    distance = distances(cohort)
    middle = float(np.median(distance))
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    far = np.flatnonzero(distance > middle + _FAR * spread)
    order: Sequence[int] = far[np.argsort(-distance[far], kind="stable")].tolist()
    return tuple((cohort.records[i], float(distance[i])) for i in order)
