"""What pages ask for: data sets, models, predictions, records, attributions.

Nothing here waits for TensorFlow in the thread of the page: what needs a forward pass is a job
(:mod:`app.shell.jobs`), and until it has ended the answer is ``None``. All sessions share records
and finished predictions; own records (:mod:`app.data.uploads`) belong to one session.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import streamlit as st

from app.data import uploads, work
from app.shell import jobs, users
from app.shell.server_settings import most_passes, needs_operator
from app.shell.state import View
from ecgxai_core.case import Case, find_target
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import DiagnosisError, EcgXaiError, ModelError, RecordError
from ecgxai_core.explainers import METHODS, params_for
from ecgxai_core.explainers.cost import Cost
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.manifest import manifest_path
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.cost import OPTIMISTIC_FIELD, explain_cost, unit_cost
from ecgxai_core.pipeline.explain import cached_attributions, cached_previews
from ecgxai_core.pipeline.file_index import file_facts
from ecgxai_core.pipeline.fitting_edit import cached_quote
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.plots.words import listed
from ecgxai_core.records.catalogues.ptbxl import clinical_classes
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import assets_dir, settings
from ecgxai_core.simulation.demonstration import demonstration_folder
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution, Prediction, Record

DEMONSTRATION = "Demonstration"
_MODEL_ENDINGS = {".keras", ".h5", ".hdf5", ".onnx"}
_MODELS_SEEN = "models-seen"
_MOST_MODELS = 50
_SHORT_SET = 1000
"""A data set of at most so many files is read in a moment."""
_USUAL_MODEL, _USUAL_TARGET = "ptbxl_resnet", "164889003"
"""Shown first where a link names none: the shipped model, and atrial fibrillation."""
_PLAIN = ("426783006", "NORM")
"""Sinus rhythm and PTB-XL's normal ECG: explained first only where nothing else is called."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of records. ``synthetic``: made by this program; ``own``: of this session only."""

    name: str
    path: Path
    synthetic: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model file with its manifest; ``problem`` says in one line why it cannot be used.

    ``stamps`` tell the files from what they are after a change.
    """

    name: str
    path: Path
    problem: str = ""
    stamps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the operator keeps data sets (one per folder) and models."""

    data: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()


def folders() -> Folders:
    """Folders that the operator set: ``ECGXAI_DATA`` and ``ECGXAI_MODELS`` (separated as in
    ``PATH``), else ``folders.json`` in the cache folder (written by :func:`save_folders`)."""
    file = settings().cache_dir / "folders.json"
    saved = _saved(file, stamps(file))

    def of(variable: str, name: str) -> tuple[Path, ...]:
        given = os.environ.get(variable)
        listed = saved.get(name, []) if isinstance(saved, dict) else []
        texts = given.split(os.pathsep) if given is not None else listed
        return tuple(Path(text) for text in texts if isinstance(text, str) and text)

    return Folders(of("ECGXAI_DATA", "data"), of("ECGXAI_MODELS", "models"))


@lru_cache(maxsize=4)
def _saved(file: Path, _stamps: tuple[int, ...]) -> Any:
    """What ``folders.json`` holds; a page asks hundreds of times."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def save_folders(chosen: Folders) -> None:
    """Write ``folders.json``; environment variables still win. For the operator only.

    Raises
    ------
    RunError
        A visitor asks, or the file cannot be written.
    """
    needs_operator()
    listed = {"data": list(map(str, chosen.data)), "models": list(map(str, chosen.models))}
    write_json_atomic(settings().cache_dir / "folders.json", listed)
    look_again()


def data_sets() -> tuple[DataSet, ...]:
    """The operator's folders, else the demonstration set; then own records."""
    named: dict[str, DataSet] = {}
    for path in folders().data:
        name = path.name or "data"
        while name in named:
            name += "'"
        named[name] = DataSet(name, path)
    if not named:
        path = demonstration_folder()
        named[DEMONSTRATION] = DataSet(DEMONSTRATION, path, synthetic=True)
    if (own := uploads.own_records()) is not None:
        named[uploads.OWN] = DataSet(uploads.OWN, own.folder, own=True)
    return tuple(named.values())


def data_set(view: View) -> DataSet | None:
    """The view's data set; the first if it names none; ``None`` if it is not here."""
    sets = data_sets()
    return next((item for item in sets if view.data in ("", item.name)), None)


def _own(view: View) -> uploads.OwnRecords | None:
    """The session's own records, if they are the view's data set."""
    data = data_set(view)
    return uploads.own_records() if data is not None and data.own else None


def models() -> tuple[ModelChoice, ...]:
    """Models: usable ones first, the operator's before the shipped ones.

    The folders are searched once per page run (:func:`look_again`), not at every question.
    """
    seen: tuple[ModelChoice, ...] | None = st.session_state.get(_MODELS_SEEN)
    if seen is None:
        seen = st.session_state[_MODELS_SEEN] = _found_models(folders())
    return seen


def look_again() -> None:
    """Search the folders of models again when next asked; every page begins with this."""
    st.session_state.pop(_MODELS_SEEN, None)


def _found_models(where: Folders) -> tuple[ModelChoice, ...]:
    found: dict[str, ModelChoice] = {}
    assets = assets_dir()
    for folder in (*where.models, assets / "models"):
        patterns = (*folder.glob("*"), *folder.glob("*/*")) if folder.is_dir() else ()
        for path in sorted(patterns):
            if path.suffix.lower() in _MODEL_ENDINGS and path.is_file():
                name = path.stem if path.stem not in found else f"{path.parent.name}/{path.stem}"
                seen = stamps(path, manifest_path(path))
                found.setdefault(name, ModelChoice(name, path, _problem(path, seen), seen))

    def rank(item: ModelChoice) -> tuple[bool, bool, bool]:
        usual = item.path.parent.name == _USUAL_MODEL
        return bool(item.problem), item.path.is_relative_to(assets), not usual

    return tuple(sorted(found.values(), key=rank)[:_MOST_MODELS])


def _problem(path: Path, seen: tuple[int, ...]) -> str:
    if not manifest_path(path).is_file():
        return "has no manifest beside it"
    try:
        _classifier(path, seen)
    except EcgXaiError as error:
        return str(error)
    return ""


def model(view: View) -> ModelChoice | None:
    """The view's model; the first usable one if it names none; ``None`` if there is none."""
    usable = (item for item in models() if not item.problem)
    return next((item for item in usable if view.model in ("", item.name)), None)


def classifier(view: View) -> LazyClassifier:
    """The view's classifier; the network itself is loaded by the first job that needs it.

    Raises
    ------
    ModelError
        There is no such model, or it is refused.
    """
    choice = _usable_model(view)
    return _classifier(choice.path, choice.stamps)


def _usable_model(view: View) -> ModelChoice:
    choice = model(view)
    if choice is None:
        where = view.model or "models"
        raise ModelError(where, "", "no usable model", "set ECGXAI_MODELS to a folder of models")
    return choice


def stamps(*paths: Path) -> tuple[int, ...]:
    """Numbers that change when one of the files does: part of the keys of what is cached."""
    found: list[int] = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found += [0, 0]
        else:
            found += [stat.st_mtime_ns, stat.st_size]
    return tuple(found)


@lru_cache(maxsize=16)
def _classifier(path: Path, _stamps: tuple[int, ...]) -> LazyClassifier:
    """Kept for all sessions; a page asks hundreds of times, which ``st.cache_resource`` is too slow
    for."""
    return LazyClassifier(path)


def targets(view: View) -> tuple[str, ...]:
    """The classes of the view's model that are offered as targets; empty without a model.

    The statements of a model that also has codes are targets only by name.
    """
    return clinical_classes(classifier(view).classes) if model(view) is not None else ()


def target(view: View) -> str:
    """The class of the model that the view's target names (code, alias or abbreviation).

    If it names none: what the record is explained for first (:func:`first_target`), and without a
    record the first class with expected evidence. Empty if the model has no such class, or if there
    is no model.
    """
    known = targets(view)
    if not view.target or not known:
        if first := first_target(view):
            return first
        evaluated = [code for code in known if (row := find_diagnosis(code)) and row.has_evidence]
        if _USUAL_TARGET in evaluated:
            return _USUAL_TARGET
        return next(iter((*evaluated, *known)), "")
    try:
        return find_target(view.target, classifier(view))
    except DiagnosisError:
        return ""


def first_target(view: View) -> str:
    """The most probable diagnosis that the model calls in the view's record.

    Those whose evidence the table describes go before others (PTB-XL's superclasses), and plain
    sinus rhythm is named only where nothing else is called; where nothing is, the most probable
    class. Empty while the record's probabilities are not known; they are never asked for here.
    """
    found: Predictions | None = jobs.result(predictions_key(view)) if view.record else None
    value = _value(found, view.record)
    if value is None:
        return ""
    plain = {name for code in _PLAIN for name in (code, *aliases(code))}

    def rank(code: str) -> tuple[bool, bool, bool, float]:
        p = value.probability(code)
        called, row = p >= threshold(view, code), find_diagnosis(code)
        described = row is not None and row.has_evidence
        return called, called and code not in plain, called and described, p

    return max(clinical_classes(value.classes), key=rank)


def threshold(view: View, code: str) -> float:
    """Probability from which the view's model counts a class as present; 0.5 if it names none."""
    given = classifier(view).manifest.thresholds if model(view) is not None else None
    return float((given or {}).get(code, 0.5))


def place(view: View) -> work.Place:
    """Where results of the view are kept: the disk cache, or the session's own folder."""
    if (own := _own(view)) is not None:
        return work.Place(own.cache, own.cache_limit)
    return work.Place(settings().cache_dir, int(settings().cache_limit_gb * 1e9))


def store(view: View) -> Store:
    """The disk cache; for own records the one of the session, which ends with it."""
    own, where = _own(view), place(view)
    return own.store if own is not None else _store(str(where.folder), where.limit_bytes)


@st.cache_resource(show_spinner=False)
def _store(folder: str, limit: int) -> Store:
    return Store(folder, limit)


def predictions_job(view: View) -> jobs.Job | None:
    """The job that reads and predicts the view's data set; started if it is not there.

    Without a model the records are only read (no classes). ``None`` if there is no data set.
    """
    data, key = data_set(view), predictions_key(view)
    if data is None:
        return None
    known = jobs.get(key)
    if known is not None and not known.active:
        return known
    choice = model(view)
    return jobs.start(
        key, f"Reading {data.name}", work.predictions,
        data.path, choice.path if choice is not None else None, place(view),
        data.synthetic,
        short=_entries(data.path) <= _SHORT_SET,
    )  # fmt: skip


def predictions_key(view: View) -> str:
    """Key of the job that :func:`predictions_job` starts."""
    data, own = data_set(view), _own(view)
    if data is None:
        return "predict:"
    digest = classifier(view).digest if model(view) is not None else "-"
    return f"predict:{data.path}:{own.version if own is not None else 0}:{digest}"


def _entries(folder: Path) -> int:
    """Files of a folder, counted no further than is needed."""
    try:
        return sum(1 for _ in islice(folder.iterdir(), _SHORT_SET + 1))
    except OSError:
        return 0


def predictions(view: View) -> Predictions | None:
    """Predictions of the view's data set, or ``None`` until their job has ended."""
    job = predictions_job(view)
    return job.result if job is not None and job.state == "done" else None


def forget_predictions(view: View) -> None:
    """Read the view's folder again at the next call: files were added, changed or removed."""
    data = data_set(view)
    if data is not None:
        jobs.forget(f"predict:{data.path}:")


def info(view: View) -> RecordInfo | None:
    """File, labels and warnings of the view's record, or ``None`` while it is not known."""
    found = predictions(view)
    at = found.places.get(view.record) if found is not None else None
    return found.records[at] if found is not None and at is not None else None


def prediction(view: View) -> Prediction | None:
    """All probabilities of the view's record, or ``None`` while they are not known."""
    return _value(predictions(view), view.record)


def _value(found: Predictions | None, name: str) -> Prediction | None:
    at = found.places.get(name) if found is not None and found.classes else None
    return found.values[at] if found is not None and at is not None else None


def record(view: View) -> Record:
    """The view's record, with the labels that its predictions have.

    Raises
    ------
    RecordError
        It is not in the data set, is refused, or is not the one that was predicted any more.
    RunError
        That it is opened cannot be noted in the audit log.
    """
    read = unopened_record(view)
    own = _own(view) is not None  # a name of theirs may be a patient's
    users.record_opened(view.data, "" if own else read.name, read.digest)
    return read


def unopened_record(view: View) -> Record:
    """The view's record for a question about it that shows nothing of it: the audit log has no
    line. Raises as :func:`record` does."""
    known = info(view)
    path = known.path if known is not None else _path_of(view)
    if _own(view) is not None:
        read = read_record(path)  # never in a cache that other sessions share
    else:
        read = _record(str(path), *(part for file in file_facts(path) for part in file))
    if known is None:
        return read
    _same(read, known)
    # PTB-XL and LUDB have labels in a table, not in headers
    return read if read.labels == known.labels else replace(read, labels=known.labels)


def _same(read: Record, known: RecordInfo) -> None:
    """Refuse a record whose files were replaced: its probabilities are of what they held before."""
    if read.digest != known.digest:
        raise RecordError(
            read.file or read.name, "file", "has changed since its folder was read",
            "press 'Read the folder again' on the Records page",
        )  # fmt: skip


def _path_of(view: View) -> Path:
    data = data_set(view)
    folder = data.path if data is not None else Path()
    files = find_records([folder]) if data is not None and folder.is_dir() else []
    found = [p for p in files if p.stem == view.record or p == folder / view.record]
    if len(found) > 1:
        problem = "is the name of more than one record of this data set"
        raise RecordError(view.record, "", problem, "choose one in the list of records")
    if not found:
        raise RecordError(view.record or "record", "", "is not in this data set", "choose another")
    return found[0]


@st.cache_resource(show_spinner=False, max_entries=64)
def _record(path: str, *_facts: str | int) -> Record:
    return read_record(path)


def case(view: View, read: Record) -> Case:
    """The open record with model, target and start of the model's window."""
    return Case(read, classifier(view), target(view), view.start)


def case_file(view: View, read: Record) -> work.CaseFile:
    """The same case by its files, for a worker.

    Raises
    ------
    RecordError, ModelError
        There is no such record or model.
    """
    found: Predictions | None = jobs.result(predictions_key(view))  # never started for this
    at = found.places.get(view.record) if found is not None else None
    path = found.records[at].path if found is not None and at is not None else _path_of(view)
    return work.CaseFile(
        path, read.digest, _usable_model(view).path, target(view), view.start, place(view),
        most_passes(),
    )  # fmt: skip


def case_files(view: View, found: Predictions) -> tuple[work.CaseFile, ...]:
    """The cases of all records of a data set, for the view's target, by their files."""
    model_path, code, where = _usable_model(view).path, target(view), place(view)
    return tuple(
        work.CaseFile(info.path, info.digest, model_path, code, None, where, most_passes())
        for info in found.records
    )


def job_key(kind: str, view: View, read: Record, *more: object) -> str:
    """Key of a job about one case. The jobs of own records end with the session, so their keys name
    its folder."""
    own = _own(view)
    parts = (own.folder if own is not None else "", read.digest, classifier(view).digest,
             target(view), view.start, *more)  # fmt: skip
    return f"{kind}:" + ":".join(map(str, parts))


def data_key(kind: str, view: View, found: Predictions | None, *more: object) -> str:
    """Key of a job about the records of the view's data set: the folder (that of own records is one
    session's), the names, contents and labels of the records, the model, and ``more``.

    ``found`` are the predictions; they keep their digest, so that a page need not look at a hundred
    thousand records.
    """
    data = data_set(view)
    parts = (data.path if data is not None else "", found.records_digest if found else "-",
             classifier(view).digest if model(view) is not None else "-", *more)  # fmt: skip
    return f"{kind}:" + ":".join(map(str, parts))


def field_sec(view: View) -> float:
    """Receptive field assumed for a cost, s; only a worker knows whether the network is local."""
    manifest = classifier(view).manifest
    return OPTIMISTIC_FIELD * manifest.samples / manifest.fs


def unit_passes(view: View) -> Cost:
    """What it costs to evaluate the open record, if the network is local."""
    return unit_cost(view.parameters, classifier(view).manifest, target(view), field_sec(view))


def explain_params(view: View, methods: tuple[str, ...]) -> dict[str, ExplainParams]:
    """Parameters of each method under the view's profile."""
    return params_for(view.parameters, methods)


def attributions(view: View, read: Record, methods: tuple[str, ...]) -> dict[str, Attribution]:
    """Those attributions of a case that the cache has; never computed."""
    if not target(view):
        return {}
    return cached_attributions(case(view, read), explain_params(view, methods), store(view))


def previews(view: View, read: Record, methods: tuple[str, ...]) -> dict[str, Attribution]:
    """Preliminary maps of a case: they are being refined, or were left so."""
    if not target(view):
        return {}
    return cached_previews(case(view, read), explain_params(view, methods), store(view))


def what_if_quote(view: View, read: Record) -> str:
    """What the model makes of the record without the finding of the target, in a sentence, where
    the target is called and the cache has the answer; never computed here."""
    code, value = target(view), prediction(view)
    if not code or value is None or value.probability(code) < threshold(view, code):
        return ""
    found = cached_quote(case(view, read), store(view))
    return found.sentence if found is not None else ""


def explain_key(view: View, read: Record, methods: tuple[str, ...]) -> str:
    """Key of the job that :func:`explain_job` starts; it stays the same while maps come in."""
    params = explain_params(view, methods)
    listed = sorted((name, value.model_dump_json()) for name, value in params.items())
    return job_key("explain", view, read, listed)


def explain_job(view: View, read: Record, methods: tuple[str, ...]) -> jobs.Job:
    """Explain a case with those methods whose maps the cache lacks; they land there one by one."""
    known, every = attributions(view, read, methods), explain_params(view, methods)
    params = {name: choice for name, choice in every.items() if name not in known}
    manifest = classifier(view).manifest
    titles = listed([METHODS[name].title for name in params])
    return jobs.start(
        explain_key(view, read, methods), f"Explaining {read.name} with {titles}",
        work.explanation, case_file(view, read), params,
        cost=explain_cost(params, manifest, target(view), field_sec(view)),
    )  # fmt: skip
