"""What pages ask for: data sets, models, predictions, records, attributions.

Nothing here waits for TensorFlow in the page's thread: what needs a forward pass is a job
(:mod:`app.jobs`), and until it has ended the answer is ``None``. Records and finished predictions
are shared by all sessions; own records (:mod:`app.uploads`) belong to one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import jobs, uploads
from app.state import View
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import DiagnosisError, EcgXaiError, ModelError, RecordError
from ecgxai_core.models.manifest import manifest_path
from ecgxai_core.params import ExplainParams, SelectionParams
from ecgxai_core.pipeline.explanation import (
    cached_attributions,
    explain_record,
    target_of,
)
from ecgxai_core.pipeline.lazy import LazyClassifier
from ecgxai_core.pipeline.prediction import Predictions, RecordInfo, list_paths, predict_paths
from ecgxai_core.pipeline.selecting import select_records
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import assets_dir, settings
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution, Prediction, Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DEMONSTRATION",
    "DataSet",
    "Folders",
    "ModelChoice",
    "attributions",
    "classifier",
    "data_set",
    "data_sets",
    "explain_job",
    "explain_key",
    "explain_params",
    "folders",
    "forget_predictions",
    "info",
    "look_again",
    "model",
    "models",
    "operator_folders",
    "prediction",
    "predictions",
    "predictions_job",
    "record",
    "save_folders",
    "selection",
    "store",
    "target",
    "targets",
    "threshold",
]

DEMONSTRATION = "Demonstration (simulated)"
_DEMONSTRATION_RECORDS, _DEMONSTRATION_SEED = 48, 2026
_MODEL_ENDINGS = {".keras", ".h5", ".hdf5"}
_MODELS_SEEN = "models-seen"
_MOST_MODELS = 50
_USUAL_MODEL, _USUAL_TARGET = "ptbxl_resnet", "164889003"
"""Shown first where a link names none: the shipped model, and atrial fibrillation."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of records. ``synthetic``: made by this program; ``own``: of this session only."""

    name: str
    path: Path
    synthetic: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model file with its manifest; ``problem`` says in one line why it cannot be used."""

    name: str
    path: Path
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the operator keeps data sets (one a folder) and models."""

    data: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()


def folders() -> Folders:
    """Folders that the operator set: ``ECGXAI_DATA`` and ``ECGXAI_MODELS`` (separated as in
    ``PATH``), else ``folders.json`` in the cache folder (written by :func:`save_folders`)."""
    try:
        saved = json.loads((settings().cache_dir / "folders.json").read_text("utf-8"))
    except (OSError, ValueError):
        saved = {}

    def of(variable: str, name: str) -> tuple[Path, ...]:
        given = os.environ.get(variable)
        listed = saved.get(name, []) if isinstance(saved, dict) else []
        texts = given.split(os.pathsep) if given is not None else listed
        return tuple(Path(text) for text in texts if isinstance(text, str) and text)

    return Folders(of("ECGXAI_DATA", "data"), of("ECGXAI_MODELS", "models"))


operator_folders = folders


def save_folders(chosen: Folders) -> None:
    """Write ``folders.json``; environment variables still win."""
    listed = {"data": list(map(str, chosen.data)), "models": list(map(str, chosen.models))}
    write_json_atomic(settings().cache_dir / "folders.json", listed)


def data_sets() -> tuple[DataSet, ...]:
    """What can be looked at: the operator's folders, else the demonstration; then own records."""
    named: dict[str, DataSet] = {}
    for path in folders().data:
        name = path.name or "data"
        while name in named:
            name += "'"
        named[name] = DataSet(name, path)
    if not named:
        path = settings().cache_dir / "demonstration"
        named[DEMONSTRATION] = DataSet(DEMONSTRATION, path, synthetic=True)
    own = uploads.own_records()
    if own is not None:
        named[uploads.OWN] = DataSet(uploads.OWN, own.folder, own=True)
    return tuple(named.values())


def data_set(view: View) -> DataSet | None:
    """The view's data set; the first where it names none; ``None`` where it is not here."""
    sets = data_sets()
    if not view.data:
        return sets[0] if sets else None
    return next((item for item in sets if item.name == view.data), None)


def models() -> tuple[ModelChoice, ...]:
    """Models: usable ones first, the operator's before the shipped ones.

    The folders are searched once a page run (:func:`look_again`), not at every question.
    """
    where = folders()
    kept = st.session_state.get(_MODELS_SEEN)
    if kept is None or kept[0] != where:
        kept = st.session_state[_MODELS_SEEN] = (where, _found_models(where))
    seen: tuple[ModelChoice, ...] = kept[1]
    return seen


def look_again() -> None:
    """Search the folders of models again, when next asked; every page begins so."""
    st.session_state.pop(_MODELS_SEEN, None)


def _found_models(where: Folders) -> tuple[ModelChoice, ...]:
    """Models of these folders and the shipped ones, in the order of :func:`models`."""
    found: dict[str, ModelChoice] = {}
    for folder in (*where.models, assets_dir() / "models"):
        patterns = (*folder.glob("*"), *folder.glob("*/*")) if folder.is_dir() else ()
        for path in sorted(patterns):
            if path.suffix.lower() in _MODEL_ENDINGS and path.is_file():
                name = path.stem if path.stem not in found else f"{path.parent.name}/{path.stem}"
                found.setdefault(name, ModelChoice(name, path, _problem(path)))
    assets = assets_dir()
    ordered = sorted(
        found.values(),
        key=lambda item: (
            bool(item.problem),
            item.path.is_relative_to(assets),
            item.path.parent.name != _USUAL_MODEL,
        ),
    )
    return tuple(ordered[:_MOST_MODELS])


def _problem(path: Path) -> str:
    if not manifest_path(path).is_file():
        return "has no manifest beside it"
    try:
        _classifier(str(path), *_stamp(path), *_stamp(manifest_path(path)))
    except EcgXaiError as error:
        return str(error)
    return ""


def model(view: View) -> ModelChoice | None:
    """The view's model; the first usable one where it names none; ``None`` where there is none."""
    usable = [item for item in models() if not item.problem]
    if not view.model:
        return usable[0] if usable else None
    return next((item for item in usable if item.name == view.model), None)


def classifier(view: View) -> LazyClassifier:
    """The view's classifier; the network itself is loaded by the first job that needs it.

    Raises
    ------
    ModelError
        There is no such model, or it is refused.
    """
    choice = model(view)
    if choice is None:
        where = view.model or "models"
        raise ModelError(where, "", "no usable model", "set ECGXAI_MODELS to a folder of models")
    path = choice.path
    return _classifier(str(path), *_stamp(path), *_stamp(manifest_path(path)))


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@st.cache_resource(show_spinner=False, max_entries=16)
def _classifier(path: str, *_stamps: int) -> LazyClassifier:
    return LazyClassifier(Path(path))


def targets(view: View) -> tuple[str, ...]:
    """What the view's model can say; empty without a model."""
    choice = model(view)
    return classifier(view).classes if choice is not None else ()


def target(view: View) -> str:
    """The class of the model that the view's target names (code, alias or abbreviation).

    The first class with expected evidence where it names none; empty where the model has no such
    class, or where there is no model.
    """
    known = targets(view)
    if not view.target or not known:
        judged = [code for code in known if (row := find_diagnosis(code)) and row.has_evidence]
        if _USUAL_TARGET in judged:
            return _USUAL_TARGET
        return next(iter((*judged, *known)), "")
    try:
        return target_of(view.target, classifier(view))
    except DiagnosisError:
        return ""


def threshold(view: View, code: str) -> float:
    """Probability from which the view's model counts a class as present; 0.5 where it says none."""
    choice = model(view)
    given = classifier(view).manifest.thresholds if choice is not None else None
    return float((given or {}).get(code, 0.5))


def store(view: View) -> Store:
    """The disk cache; for own records the one of the session, which ends with it."""
    data = data_set(view)
    own = uploads.own_records()
    if data is not None and data.own and own is not None:
        return own.store
    chosen = settings()
    return _store(str(chosen.cache_dir), int(chosen.cache_limit_gb * 1e9))


@st.cache_resource(show_spinner=False)
def _store(folder: str, limit: int) -> Store:
    return Store(folder, limit)


def predictions_job(view: View) -> jobs.Job | None:
    """The job that reads and predicts the view's data set; started if it is not there.

    Without a model the records are only read (no classes). ``None`` where there is no data set.
    """
    data = data_set(view)
    if data is None:
        return None
    chosen = classifier(view) if model(view) is not None else None
    where, own = store(view), uploads.own_records()
    version = own.version if data.own and own is not None else 0
    key = f"predict:{data.path}:{version}:{chosen.digest if chosen else '-'}"

    def work(progress: jobs.Progress) -> Predictions:
        if data.synthetic and len([*data.path.glob("*.hea")]) < _DEMONSTRATION_RECORDS:
            _write_demonstration(data.path, progress)
        if chosen is None:
            return list_paths([data.path], progress=progress)
        return predict_paths([data.path], chosen, where, progress=progress)

    return jobs.start(key, f"Reading {data.name}", work)


def _write_demonstration(path: Path, progress: jobs.Progress) -> None:
    from ecgxai_core.simulate.dataset import write_set

    def simulated(done: int, total: int) -> None:
        progress(done, total, "simulating the demonstration set")

    write_set(path, _DEMONSTRATION_RECORDS, _DEMONSTRATION_SEED, progress=simulated)


def predictions(view: View) -> Predictions | None:
    """Predictions of the view's data set, or ``None`` until their job has ended."""
    job = predictions_job(view)
    return job.result if job is not None and job.state == "done" else None


def forget_predictions(view: View) -> None:
    """Read the view's folder again at the next call: files were added, changed or removed."""
    data = data_set(view)
    if data is not None:
        jobs.forget(f"predict:{data.path}:")


def selection(view: View, params: SelectionParams | None = None) -> pd.DataFrame:
    """``sel_df`` of the view's data set and model.

    Raises
    ------
    RunError
        Nothing fits, or predictions are not there yet.
    """
    found = predictions(view)
    if found is None or not found.classes:
        raise ModelError("selection", "", "needs predictions", "choose a model, and wait for it")
    return select_records(found, params or SelectionParams()).frame


def info(view: View) -> RecordInfo | None:
    """File, labels and warnings of the view's record, or ``None`` while it is not known."""
    found = predictions(view)
    if found is None:
        return None
    return next((item for item in found.records if item.name == view.record), None)


def prediction(view: View) -> Prediction | None:
    """All probabilities of the view's record, or ``None`` while they are not known."""
    found = predictions(view)
    if found is None or not found.classes:
        return None
    return next((item for item in found.values if item.record == view.record), None)


def record(view: View) -> Record:
    """The view's record.

    Raises
    ------
    RecordError
        It is not in the data set, or is refused.
    """
    known = info(view)
    path = known.path if known is not None else _path_of(view)
    if known is not None and (data := data_set(view)) is not None and data.own:
        return read_record(path)  # never in a cache that other sessions share
    return _record(str(path), *_stamp(path), *_stamp(path.with_suffix(".mat")))


def _path_of(view: View) -> Path:
    data = data_set(view)
    files = find_records([data.path]) if data is not None and data.path.is_dir() else []
    for path in files:
        if path.stem == view.record:
            return path
    raise RecordError(view.record or "record", "", "is not in this data set", "choose another")


@st.cache_resource(show_spinner=False, max_entries=64)
def _record(path: str, *_stamps: int) -> Record:
    return read_record(path)


def explain_params(view: View, methods: tuple[str, ...]) -> dict[str, ExplainParams]:
    """Parameters of each method under the view's profile."""
    return {method: view.parameters.for_method(method) for method in methods}


def attributions(
    view: View,
    methods: tuple[str, ...] | None = None,
    params: Mapping[str, ExplainParams] | None = None,
) -> dict[str, Attribution]:
    """Those attributions of the view's record and target that the cache has; never computed."""
    code = target(view)
    if not view.record or not code:
        return {}
    chosen = params or explain_params(view, methods or view.parameters.methods)
    return cached_attributions(
        record(view), classifier(view), code, chosen, store(view), start_sec=view.start
    )


def explain_key(view: View, params: Mapping[str, ExplainParams]) -> str:
    """Key of the job that :func:`explain_job` starts."""
    item, chosen = record(view), classifier(view)
    data = data_set(view)
    scope = data.path if data is not None and data.own else ""
    listed = sorted((name, value.model_dump_json()) for name, value in params.items())
    return f"explain:{scope}:{item.digest}:{chosen.digest}:{target(view)}:{view.start}:{listed}"


def explain_job(view: View, params: Mapping[str, ExplainParams]) -> jobs.Job:
    """Explain the view's record with every method in ``params``; results land in the cache."""
    item, chosen, code, where = record(view), classifier(view), target(view), store(view)

    def work(progress: jobs.Progress) -> None:
        explain_record(item, chosen, code, params, where, start_sec=view.start, progress=progress)

    title = f"Explaining {item.name} with {', '.join(params)}"
    return jobs.start(explain_key(view, params), title, work)
