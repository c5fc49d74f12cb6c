"""What worker processes do for the dashboard: plain functions of plain arguments.

Each takes ``progress`` last. Records and models are named by their files; a record that is not the
one the page saw is refused. Nothing here knows streamlit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from app.shell import memory
from ecgxai_core.audit.cohort import Cohort, CohortRequest, make_cohort
from ecgxai_core.audit.model_check import Probe, probe_model
from ecgxai_core.audit.model_quality import ModelQuality, evaluate_quality
from ecgxai_core.audit.report_card import CardRequest, ReportCard, build_card
from ecgxai_core.case import Case
from ecgxai_core.diagnoses import term_of
from ecgxai_core.errors import EcgXaiError, ExplanationError
from ecgxai_core.explainers import explain_each, params_for
from ecgxai_core.explainers.cost import Cost
from ecgxai_core.explainers.hierarchical import FIRST_SHOWN
from ecgxai_core.games.local.hierarchy import CORNERS
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.manifest import Manifest, manifest_path
from ecgxai_core.params import ExplainParams, Profile, SelectionParams, profile
from ecgxai_core.pipeline import what_if
from ecgxai_core.pipeline.cost import check_cost, explain_cost, field_of, unit_cost
from ecgxai_core.pipeline.explain import explain_case, explained, forget_prepared
from ecgxai_core.pipeline.extra_beat import ExtraBeatTest, extra_beat_test
from ecgxai_core.pipeline.fitting_edit import quoted
from ecgxai_core.pipeline.given_maps import bound
from ecgxai_core.pipeline.predict import Predictions, list_paths, predict_paths, told_apart
from ecgxai_core.pipeline.run.units import unit_entry
from ecgxai_core.pipeline.select import Selected, select_records
from ecgxai_core.pipeline.sweep import Axis, Sweep, cached_case, sweep
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import default_model
from ecgxai_core.simulation import edits
from ecgxai_core.simulation.demonstration import write_demonstration
from ecgxai_core.simulation.simulate import simulate
from ecgxai_core.store.cache import Store
from ecgxai_core.store.envelope import Entry
from ecgxai_core.study.review_queue import Doubts, doubts
from ecgxai_core.types import Attribution, Prediction

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]

_POINTS, _SECONDS = 90, 4

ALSO = "also: "
"""How the progress of work begins that is done beside what was asked for, and can be dropped."""

ALSO_EXPLAINED = 3
"""How many other diagnoses that are called are explained with the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a disk cache lies, and its limit."""

    folder: Path
    limit_bytes: int

    def store(self) -> closing[Store]:
        """The cache, open for one job: what is deleted meanwhile is not kept by an open file."""
        return closing(Store(self.folder, self.limit_bytes))


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case by its files: record, model, target, and where the model's window starts.

    ``digest`` is that of the record as the page saw it; ``most_passes`` the ceiling of the server.
    """

    record: Path
    digest: str
    model: Path
    target: str
    start_sec: float | None
    place: Place
    most_passes: float | None = None

    def read(self) -> Case:
        """The case itself.

        Raises
        ------
        ExplanationError
            The file holds another record by now.
        """
        found = read_record(self.record)
        if found.digest != self.digest:
            raise ExplanationError(
                found.name, "", "the file has changed since it was opened", "open it again"
            )
        return Case(found, _classifier(self.model), self.target, self.start_sec)


@dataclass(frozen=True, slots=True)
class Change:
    """An edit, its sizes, and where it acts."""

    edit: str
    sizes: tuple[float, ...]
    place: edits.Place


def warm() -> None:
    """Load TensorFlow and the shipped model, so that the first job need not."""
    try:
        chosen = _classifier(default_model()).loaded()
        shape = (1, chosen.manifest.samples, len(chosen.manifest.leads))
        chosen.predict(np.zeros(shape, np.float32))
        field_of(_classifier(default_model()))
    except EcgXaiError as error:
        log.warning("the shipped model cannot be used: %s", error)


def rehearse() -> None:
    """Explain a simulated record with the shipped model and the default profile, as far as the
    first map: TensorFlow builds its functions when they are first called, for seconds that the
    first reader would wait."""
    usual = profile("default")
    few = FIRST_SHOWN * CORNERS
    params = {
        name: choice.model_copy(update={"max_lead_coalitions": few})
        for name, choice in params_for(usual, usual.methods).items()
    }
    try:
        chosen = _classifier(default_model())
        record = simulate("sinus_rhythm", seed=0, fs=chosen.manifest.fs).record
        for _ in explain_each(Case(record, chosen, chosen.classes[0]), params):
            pass
    except EcgXaiError as error:
        log.warning("the shipped model cannot explain a simulated record: %s", error)


def rest() -> None:
    """Give back memory that the last records needed, now that nobody asks for anything."""
    forget_prepared()
    memory.give_back()


def _classifier(path: Path) -> LazyClassifier:
    """The model of a file, kept while neither it nor its manifest changes."""
    stamps = [(s.st_mtime_ns, s.st_size) for s in map(Path.stat, (path, manifest_path(path)))]
    return _known_classifier(path, tuple(stamps))


@lru_cache(maxsize=4)
def _known_classifier(path: Path, _stamps: tuple[tuple[int, int], ...]) -> LazyClassifier:
    return LazyClassifier(path)


def predictions(
    data: Path,
    model: Path | None,
    place: Place,
    demonstration: bool,
    *,
    progress: Progress,
) -> Predictions:
    """Read and predict the records of a folder; without a model they are only read.

    The records of the ``demonstration`` are written first, where they are not there. Pages open
    records by their names, so that no two may share one.
    """
    if demonstration:
        write_demonstration(progress)
    with place.store() as store:
        if model is None:
            found = list_paths([data], store, progress=progress)
        else:
            found = predict_paths([data], _classifier(model), store, progress=progress)
    return told_apart(found, data)


def thumbnails(paths: Mapping[str, Path], *, progress: Progress) -> dict[str, list[float]]:
    """Lead II of each record (or its first lead) as a few points, by the names that are given."""
    made = {}
    for done, (name, path) in enumerate(paths.items()):
        progress(done, len(paths), "")
        try:
            record = read_record(path)
        except EcgXaiError:
            continue
        row = record.leads.index("II") if "II" in record.leads else 0
        signal = np.nan_to_num(record.signal[row, : round(_SECONDS * record.fs)])
        parts = np.array_split(signal, min(_POINTS, len(signal)))
        made[name] = [round(float(part[np.abs(part).argmax()]), 3) for part in parts]
    return made


def selection(found: Predictions, params: SelectionParams, *, progress: Progress) -> Selected:
    """``sel_df`` of a data set."""
    progress(0, 1, "drawing")
    return select_records(found, params)


def model_quality(found: Predictions, model: Path, *, progress: Progress) -> ModelQuality:
    """Performance of a model on the labelled records of a data set."""
    progress(0, 1, "resampling records")
    return evaluate_quality(found, _classifier(model).manifest)


def prediction(file: CaseFile, *, progress: Progress) -> Prediction:
    """All probabilities of one record."""
    progress(0, 1, "")
    case = file.read().changed(start_sec=None)
    chosen = case.classifier
    values = chosen.predict(case.model_input().values[None])[0]
    return Prediction(case.record.name, chosen.classes, values, case.record.digest, chosen.digest)


def explanation(file: CaseFile, params: Mapping[str, ExplainParams], *, progress: Progress) -> None:
    """Explain with every method in ``params``, and ask the what-if that fits the target; the
    results, and preliminary maps on the way, land in the cache. So do the maps of what else the
    model calls, where the games that were played are theirs too."""
    case = _affordable(file, explain_cost, params)
    with file.place.store() as store:
        explain_case(case, params, store, progress, _read_from_the_cache)
        quoted(case, store)
        for code in _also_called(case, params):
            progress(1, 1, f"{ALSO}{term_of(code).name}")
            explain_case(case.changed(target=code), params, store)


def _also_called(case: Case, params: Mapping[str, ExplainParams]) -> list[str]:
    """The most probable other diagnoses that the model calls, if they cost next to nothing: the
    network is local, and its games are cut by the record and not by the diagnosis."""
    cut_by_record = all(choice.segments != "uniform" for choice in params.values())
    if not cut_by_record or field_of(case.classifier) is None:
        return []
    values = case.classifier.predict(case.model_input().values[None])[0]
    limits = case.classifier.manifest.thresholds or {}
    called = [
        (float(value), code)
        for code, value in zip(case.classifier.classes, values, strict=True)
        if value >= limits.get(code, 0.5) and code != case.target
    ]
    return [code for _, code in sorted(called, reverse=True)[:ALSO_EXPLAINED]]


def _read_from_the_cache(_preview: Attribution) -> None:
    """A preliminary map: the page finds it in the cache."""


def bound_maps(
    file: CaseFile, given: Mapping[str, Attribution], *, progress: Progress
) -> dict[str, Attribution]:
    """Maps from elsewhere as maps of this case."""
    progress(0, 1, "")
    return bound(file.read(), given)


def evaluation(
    file: CaseFile, profile: Profile, given: Mapping[str, Attribution], *, progress: Progress
) -> Entry:
    """Explain, evaluate, and explain again with one beat doubled; ``given`` are maps from elsewhere
    that are evaluated too."""
    case = _affordable(file, unit_cost, profile)
    with file.place.store() as store:
        return unit_entry(case, profile, store, progress, given=given)


def extra_beat(file: CaseFile, profile: Profile, *, progress: Progress) -> ExtraBeatTest:
    """The extra-beat test of one record."""
    case = _affordable(file, unit_cost, profile)
    with file.place.store() as store:
        first = explained(case, profile, store, progress=progress)
        return extra_beat_test(case, first, profile, store, progress=progress)


def dose_response(
    file: CaseFile, change: Change, threshold: float, *, progress: Progress
) -> tuple[what_if.DoseResponse, tuple[float, ...]]:
    """What the model says of each size of an edit of one record, and where the call flips."""
    progress(0, 2, "changing the record")
    case = file.read()
    found = what_if.dose_response(case, change.edit, change.sizes, change.place)
    progress(1, 2, "looking for the least change that flips the call")
    return found, what_if.flips(case, found, threshold, change.place)


def map_doubts(
    files: Sequence[CaseFile], profile: Profile, threshold: float, *, progress: Progress
) -> list[Doubts | None]:
    """What the maps of each record give reason to doubt; ``None`` where it cannot be explained.

    The explanations land in the cache, where the pages of the records find them.
    """
    made: list[Doubts | None] = []
    for number, file in enumerate(files):
        progress(number, len(files), file.record.stem)
        try:
            with file.place.store() as store:
                made.append(doubts(file.read(), profile, store, threshold))
        except EcgXaiError as error:
            log.warning("%s: not explained: %s", file.record.stem, error)
            made.append(None)
    return made


def report_card(request: CardRequest, place: Place, *, progress: Progress) -> ReportCard:
    """The report card of a model on a data set."""
    with place.store() as store:
        return build_card(request, store, classifier=_classifier(request.model), progress=progress)


def cohorts(
    requests: Sequence[CohortRequest], place: Place, *, progress: Progress
) -> tuple[Cohort, ...]:
    """One cohort after the other."""
    with place.store() as store:
        return tuple(
            make_cohort(one, store, classifier=_classifier(one.model), progress=progress)
            for one in requests
        )


def sweep_cases(
    file: CaseFile,
    others: Sequence[Path] | None,
    axes: tuple[Axis, Axis],
    profile: Profile,
    deletion: bool,
    *,
    progress: Progress,
) -> Sweep:
    """Fuse and evaluate cached explanations at every point of a grid of two parameters.

    They are those of the case's own record if ``others`` is ``None``, else of all records there.
    ``deletion`` adds the deletion gain, which needs forward passes.
    """
    case = file.read()
    cases = []
    with file.place.store() as store:
        if others is None:
            cases.append(cached_case(case, profile, store))
        for number, path in enumerate(others or ()):
            progress(number, 2 * len(others or ()), f"looking for explanations: {path.stem}")
            other = case.changed(record=read_record(path), start_sec=None)
            cases.append(cached_case(other, profile, store))
    there = [item for item in cases if item is not None]
    return sweep(there, *axes, profile, deletion=deletion, progress=progress)


def probe(model: Path, manifest: Manifest, data: Path, *, progress: Progress) -> Probe:
    """Try a model with a manifest on the labelled records of a folder."""
    return probe_model(model, manifest, [data], progress=progress)


def _affordable(file: CaseFile, cost: Callable[..., Cost], asked: Any) -> Case:
    """The case, unless what is asked for costs more than the server allows. The page has checked
    this too, but only here is it known whether the network is local."""
    case = file.read()
    chosen = case.classifier
    cost_here = cost(asked, chosen.manifest, case.target, field_of(chosen))
    check_cost(cost_here, file.most_passes, "explanation")
    return case
