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
    predict_paths,
    with_labels,
)
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
    "CohortRecord",
    "CohortRequest",
    "Difference",
    "cell_table",
    "compare_cohorts",
    "distances",
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
class Difference:
    """Two cohorts: ``float64[wave, lead]`` difference of the means (first minus second), and the
    p value of each cell, corrected for their number; NaN with too few records."""

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
    method = find_method(request.method).name
    classifier = classifier or LazyClassifier(request.model)
    target = find_target(request.target, classifier)
    labels = labelled_paths(request.data)
    known = {target, *aliases(target)}
    paths = [path for path, own in labels.items() if _may_belong(own, known, request.who)]
    nobody = RunError(
        "cohort", f"{request.who} {request.target}", f"fits none of {len(labels)} records",
        "choose another target, or other records with --who",
    )  # fmt: skip
    if not paths:
        raise nobody
    predictions = predict_paths(paths, classifier, store, checksum=checksum, progress=progress)
    predictions = with_labels(predictions, labels)
    inside = _members(predictions, classifier, target, request.who)
    if not inside:
        raise nobody
    seed = request.profile.explain.seed
    records = predictions.records
    inside.sort(key=lambda i: content_seed("cohort", records[i].digest, seed))
    drawn = sorted(inside[: request.n])
    params = request.profile.for_method(method)
    made: list[CohortRecord] = []
    failures = list(predictions.failures)
    leads: tuple[str, ...] = ()
    for done, i in enumerate(drawn):
        info = records[i]
        progress(done, len(drawn), info.name)
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
            failures.append(Failure(info.name, str(error)))
            continue
        leads = item.leads
        made.append(CohortRecord(info.name, info.digest, item.probability, shares))
    progress(len(drawn), len(drawn), "")
    if not made:
        raise RunError("cohort", "records", "none could be explained", failures[-1].reason)
    synthetic = any(records[i].synthetic for i in drawn)
    name = f"{request.who} {term_of(target).name}, {request.model.stem}, {request.data.name}"
    return Cohort(name, target, method, leads, tuple(made), len(inside), tuple(failures), synthetic)


def labelled_paths(data: Path) -> dict[Path, tuple[str, ...] | None]:
    """Records of a folder with the labels that its data set gives them, without their samples.

    ``None`` = none are known here; the record itself may have some.

    Raises
    ------
    RecordError
        Nothing that looks like a record was found, or a table of the data set is damaged.
    """
    layout = find_layout(data) if data.is_dir() else ""
    entries = (
        [entry for entry in open_catalogue(data, layout) if entry.standard_leads] if layout else []
    )
    found = {entry.path: entry.labels for entry in entries}
    if not entries or layout == IN_HEADERS:  # what has no header that can be read, too
        found = {path: found.get(path) for path in find_records([data])}
    return found


def _may_belong(labels: tuple[str, ...] | None, known: set[str], who: Who) -> bool:
    """Whether a record need be looked at: not if its labels alone keep it out."""
    if labels is None or who == "predicted":
        return True
    return known.isdisjoint(labels) == (who == "false-positive")


def _members(
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

    Record by record where both are of the same records (two models), else between groups.

    Raises
    ------
    RunError
        The models have other leads.
    """
    if one.leads != other.leads:
        raise RunError("cohort", "leads", "of the two models differ", "compare models of one input")
    first = {record.digest: record.shares for record in one.records}
    second = {record.digest: record.shares for record in other.records}
    paired = set(first) == set(second)
    difference = one.mean - other.mean
    if min(len(first), len(second)) < LEAST_RECORDS:
        return Difference(difference, np.full(difference.shape, np.nan), paired)
    if paired:
        gaps = np.stack([first[digest] - second[digest] for digest in sorted(first)])
        p = max_t(gaps, None, seed)
    else:
        p = max_t(one.values, other.values, seed)
    return Difference(difference, p, paired)


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
