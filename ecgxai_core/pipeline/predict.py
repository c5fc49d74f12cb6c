"""Read many records, predict them in batches, and keep what failed with its reason."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ecgxai_core.errors import EcgXaiError, ModelError, ParameterError, RecordError
from ecgxai_core.models.metadata_arrays import read_metadata_arrays
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training_range import UNLIKE, range_digest, unlike_training
from ecgxai_core.pipeline.file_index import NO_INDEX, FileIndex, open_index
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.shards import WHOLE, Shard
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.catalogues.catalogue import IN_HEADERS, find_layout, open_catalogue
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.store.cache import Store
from ecgxai_core.types import BoolArray, Float32Array, ModelInput, Prediction, Record, joined_codes

__all__ = [
    "Failure",
    "Predictions",
    "RecordInfo",
    "checksum_policy",
    "data_set_labels",
    "find_files",
    "list_paths",
    "predict_data",
    "predict_files",
    "predict_paths",
    "told_apart",
    "with_labels",
]

_CHUNK = 64
_LOOK_UP = 1000
"""Files that are looked up in the index at once."""
_KEPT = ("name", "digest", "duration_sec", "labels", "synthetic", "warnings")
"""Facts of a record that the index of files keeps."""


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """Facts of a record without its samples; ``path`` is never exported.

    ``warnings`` are the codes of the record itself, ``input_warnings`` those of what had to be done
    to it for the model (cropped, padded, gaps filled). ``place`` is that of its file among all.
    """

    path: Path
    name: str
    digest: str
    duration_sec: float
    labels: tuple[str, ...] | None
    synthetic: bool
    warnings: tuple[str, ...]
    input_warnings: tuple[str, ...] = ()
    place: int = 0

    @property
    def all_warnings(self) -> tuple[str, ...]:
        return (*self.warnings, *self.input_warnings)


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that was refused or failed, and why (one line)."""

    record: str
    reason: str


@dataclass(frozen=True)
class Predictions:
    """Probabilities of all readable records, in the order of their files.

    ``labels_complete``: labels were given for every class of the model, by whatever name.
    """

    records: tuple[RecordInfo, ...]
    values: tuple[Prediction, ...]
    classes: tuple[str, ...]
    failures: tuple[Failure, ...]
    labels_complete: bool = False

    @cached_property
    def probabilities(self) -> Float32Array:
        """``float32[record, class]``, read-only."""
        if not self.values:
            return np.zeros((0, len(self.classes)), np.float32)
        rows = np.stack([value.probabilities for value in self.values])
        rows.flags.writeable = False
        return rows

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Position by record name; of records of one name the first."""
        found: dict[str, int] = {}
        for place, info in enumerate(self.records):
            found.setdefault(info.name, place)
        return found

    @cached_property
    def labelled(self) -> Mapping[str, BoolArray]:
        """By label that any record has: ``bool[record]``, which records have it."""
        places: dict[str, list[int]] = {}
        for place, info in enumerate(self.records):
            for label in info.labels or ():
                places.setdefault(label, []).append(place)
        found = {label: np.zeros(len(self.records), np.bool_) for label in places}
        for label, own in places.items():
            found[label][own] = True
        return found

    @cached_property
    def records_digest(self) -> str:
        """SHA-256 of what the records are: names, contents, labels, warnings; not of where files
        are, nor of the model."""
        rows = [(i.name, i.digest, i.labels, i.synthetic, i.warnings) for i in self.records]
        return hashlib.sha256(repr((rows, self.labels_complete)).encode()).hexdigest()

    def frame(self) -> pd.DataFrame:
        """Columns ``record`` and ``warnings`` (codes separated by ``;``), then one ``float32``
        column per class, named by its code."""
        columns = dict(zip(self.classes, self.probabilities.T, strict=True))
        names = [info.name for info in self.records]
        warned = [joined_codes(info.all_warnings) for info in self.records]
        return pd.DataFrame({"record": names, "warnings": warned, **columns})

    def __reduce__(self) -> tuple[Any, ...]:
        """By columns: a hundred thousand records go to another process in a second, not in a
        minute."""
        infos = {name: [getattr(info, name) for info in self.records] for name in _INFO}
        infos["path"] = [os.fspath(path) for path in infos["path"]]
        said = [[getattr(value, name) for value in self.values] for name in _SAID]
        lengths = {len(value.probabilities) for value in self.values}
        rows = self.probabilities if len(lengths) == 1 else [v.probabilities for v in self.values]
        rest = (self.classes, self.failures, self.labels_complete)
        return _from_columns, (infos, said, rows, rest)


_INFO = tuple(field.name for field in fields(RecordInfo))
_SAID = ("record", "classes", "record_digest", "model_digest")


def _from_columns(
    infos: Mapping[str, list[Any]], said: Sequence[list[Any]], rows: Any, rest: tuple[Any, ...]
) -> Predictions:
    """What :meth:`Predictions.__reduce__` took apart."""
    paths = map(Path, infos["path"])
    others = (infos[name] for name in _INFO[1:])
    records = tuple(RecordInfo(*row) for row in zip(paths, *others, strict=True))
    if isinstance(rows, np.ndarray):
        rows.flags.writeable = False  # so that its rows are not copied one by one
    values = tuple(
        Prediction(record, classes, row, digest, model)
        for record, classes, digest, model, row in zip(*said, rows, strict=True)
    )
    return Predictions(records, values, *rest)


def predict_paths(
    paths: Sequence[Path],
    classifier: Classifier,
    store: Store,
    *,
    checksum: str = "warn",
    progress: Progress = no_progress,
) -> Predictions:
    """Predict every record found under ``paths`` (files or folders).

    One bad record does not stop the others: it is listed in ``failures``. Predictions are cached by
    record and model digest. Labels are those of :func:`data_set_labels`, else the headers'.

    Raises
    ------
    RecordError
        Nothing that looks like a record was found, or the table of a data set is damaged.
    """
    files = find_files(paths)
    found = predict_files(files, classifier, store, checksum=checksum, progress=progress)
    return with_labels(found, data_set_labels(paths))


def data_set_labels(paths: Sequence[Path]) -> dict[Path, tuple[str, ...]]:
    """Labels that data sets keep in tables of their own, not in headers (PTB-XL, LUDB), by file.

    Raises
    ------
    RecordError
        Such a table is damaged.
    """
    found: dict[Path, tuple[str, ...]] = {}
    for folder in paths:
        layout = find_layout(folder) if folder.is_dir() else IN_HEADERS
        if layout != IN_HEADERS:
            entries = open_catalogue(folder, layout)
            found |= {entry.path: entry.labels for entry in entries if entry.labels is not None}
    return found


def with_labels(
    predictions: Predictions, labels: Mapping[Path, tuple[str, ...] | None]
) -> Predictions:
    """Predictions whose records have these labels, where there are any for their files."""
    if not labels:
        return predictions
    given = ((info, labels.get(info.path)) for info in predictions.records)
    records = tuple(info if own is None else replace(info, labels=own) for info, own in given)
    return replace(predictions, records=records)


def told_apart(predictions: Predictions, folder: Path) -> Predictions:
    """Predictions whose records have a name each: where several share one, their files in
    ``folder`` (``p1/ecg.hea``) stand for it, for whoever opens records by their names."""
    names = Counter(info.name for info in predictions.records)
    if len(names) == len(predictions.records):
        return predictions
    files = [_file_in(info.path, folder) for info in predictions.records]
    taken = {*files}
    own = [
        info.name if names[info.name] == 1 and info.name not in taken else file
        for info, file in zip(predictions.records, files, strict=True)
    ]
    records = (replace(i, name=name) for i, name in zip(predictions.records, own, strict=True))
    values = (replace(v, record=name) for v, name in zip(predictions.values, own, strict=True))
    return replace(predictions, records=tuple(records), values=tuple(values))


def _file_in(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files of :func:`ecgxai_core.records.read.find_records`, of which there must be one.

    Raises
    ------
    RecordError
        Nothing that looks like a record was found.
    """
    files = find_records(paths)
    if not files:
        problem = "no records found (.hea with .mat or .dat, or DICOM)"
        fix = "give a record or a folder that holds some"
        raise RecordError(", ".join(path.name for path in paths) or "records", "", problem, fix)
    return files


def predict_files(
    files: Sequence[Path],
    classifier: Classifier,
    store: Store,
    *,
    checksum: str = "warn",
    progress: Progress = no_progress,
    shard: Shard = WHOLE,
    first: int = 0,
) -> Predictions:
    """Predict these files, in this order; of a shard only its records.

    ``first`` is the place of the first file among all of its data set.
    """
    done: dict[int, tuple[RecordInfo, Prediction]] = {}
    failures: list[Failure] = []
    waiting: list[tuple[int, RecordInfo, ModelInput]] = []
    with open_index(store.folder, checksum) as known:
        found = _readable(files, checksum, progress, failures, shard, first, known)
        for index, info, read in found:
            entry = store.get(_key(info.digest, classifier))
            if entry is not None:
                codes = tuple(entry.meta["warnings"])
                done[index] = _predicted(info, classifier, entry.arrays["probabilities"], codes)
                continue
            try:
                record = read()
                info = _info(record, files[index], first + index)  # as it is now
                waiting.append((index, info, prepare(record, classifier.manifest)))
            except EcgXaiError as error:
                failures.append(Failure(files[index].stem, str(error)))
            if len(waiting) == _CHUNK:
                done.update(_batch(waiting, classifier, store))
                waiting.clear()
    done.update(_batch(waiting, classifier, store))
    progress(len(files), len(files), "")
    return _predictions([done[index] for index in sorted(done)], classifier.classes, failures)


def list_paths(
    paths: Sequence[Path],
    store: Store | None = None,
    *,
    checksum: str = "warn",
    progress: Progress = no_progress,
) -> Predictions:
    """The records under ``paths`` without a model: no classes, and probabilities of none.

    Beside the cache of ``store`` is kept what was read, so that only new and changed files are read
    again.
    """
    failures: list[Failure] = []
    nothing = np.empty(0, np.float32)
    with open_index(store.folder if store is not None else None, checksum) as known:
        found = _readable(find_records(paths), checksum, progress, failures, known=known)
        done = [(info, Prediction(info.name, (), nothing, info.digest, "")) for _, info, _ in found]
    return with_labels(_predictions(done, (), failures), data_set_labels(paths))


def predict_data(
    data: Path,
    classifier: Classifier,
    store: Store,
    arrays: Path | None = None,
    checksum: str = "warn",
    progress: Progress = no_progress,
    shard: Shard = WHOLE,
) -> Predictions:
    """Predict the records of a folder, or take what users of ECG-XAI already have.

    Parameters
    ----------
    data
        Folder of records.
    arrays
        Folder (or ``.npz``) with ``ecg_filenames``, ``ecg_model_probs``, ``ecg_y_true`` and
        ``snomed_classes``: their probabilities and labels then count, for the records named there.
    shard
        Only the records of this shard.

    Raises
    ------
    ModelError
        The arrays are of another model (other classes), name no record of the folder, or name one
        that several rows or several records could be.
    """
    if arrays is None:
        files = find_files([data])
        whole = predict_files(
            files, classifier, store, checksum=checksum, progress=progress, shard=shard
        )
        return with_labels(whole, data_set_labels([data]))
    given = read_metadata_arrays(arrays)
    if set(given.classes) != set(classifier.classes):
        raise ModelError(
            arrays.name, "snomed_classes", "are not the classes of the model", "give its own arrays"
        )
    order = [given.classes.index(code) for code in classifier.classes]
    row_of = {name: row for row, name in enumerate(given.record_names)}
    files = [path for path in find_records([data]) if path.stem in row_of]
    _refuse_repeated(given.record_names, arrays.name, "ecg_filenames")
    _refuse_repeated([path.stem for path in files], data.name, "--data")
    if not files:
        raise ModelError(
            arrays.name, "ecg_filenames", "name no record of --data", "give the folder they name"
        )
    done: list[tuple[RecordInfo, Prediction]] = []
    failures: list[Failure] = []
    with open_index(store.folder, checksum) as known:
        for index, info, _ in _readable(files, checksum, progress, failures, shard, known=known):
            row = row_of[files[index].stem]
            if given.labels is not None:
                positive = given.labels[row]
                labels = tuple(c for c, yes in zip(given.classes, positive, strict=True) if yes)
                info = replace(info, labels=labels)
            done.append(_predicted(info, classifier, given.probabilities[row, order]))
    found = _predictions(done, classifier.classes, failures)
    return replace(found, labels_complete=given.labels is not None)


def _refuse_repeated(names: Sequence[str], where: str, field: str) -> None:
    """Rows belong to records by name alone, so a name may stand for one thing only."""
    if len(set(names)) == len(names):
        return
    twice = next(name for place, name in enumerate(names) if name in names[:place])
    raise ModelError(
        where, field, f"has {twice!r} in more than one folder", "give one folder at a time"
    )


def checksum_policy(text: str) -> Literal["warn", "error"]:
    """The policy for wrong WFDB checksums that a text names."""
    if text not in {"warn", "error"}:
        raise ParameterError("--checksum", text, "no such policy", "use 'warn' or 'error'")
    return "error" if text == "error" else "warn"


def _readable(
    files: Sequence[Path],
    checksum: str,
    progress: Progress,
    failures: list[Failure],
    shard: Shard = WHOLE,
    first: int = 0,
    known: FileIndex = NO_INDEX,
) -> Iterator[tuple[int, RecordInfo, Callable[[], Record]]]:
    """Records with their place in ``files``, and how to get them: those that the index knows are
    not read before. Those that are refused go to ``failures``."""
    policy = checksum_policy(checksum)
    bodies: Mapping[Path, Mapping[str, Any]] = {}
    for index, path in enumerate(files):
        if index % _LOOK_UP == 0:
            bodies = known.known(files[index : index + _LOOK_UP])
        progress(index, len(files), path.stem)
        info = _known_info(bodies.get(path), path, first + index)
        read: Callable[[], Record] = partial(read_record, path, checksum=policy)
        if info is None:
            facts = known.facts(path)
            try:
                record = read()
            except EcgXaiError as error:
                if shard.holds_name(path.stem):
                    failures.append(Failure(path.stem, str(error)))
                continue
            info = _info(record, path, first + index)
            known.add(path, facts, {name: getattr(info, name) for name in _KEPT})
            read = partial(_itself, record)
        if shard.holds(info.digest):
            yield index, info, read


def _itself(record: Record) -> Record:
    return record


def _info(record: Record, path: Path, place: int) -> RecordInfo:
    codes = tuple(warning.code for warning in record.warnings)
    return RecordInfo(
        path, record.name, record.digest, record.duration, record.labels, record.synthetic, codes,
        place=place,
    )  # fmt: skip


def _known_info(body: Mapping[str, Any] | None, path: Path, place: int) -> RecordInfo | None:
    """Facts of a record as the index of files keeps them."""
    if body is None:
        return None
    name, digest, duration, labels, synthetic, warnings = (body[key] for key in _KEPT)
    kept = None if labels is None else tuple(labels)
    return RecordInfo(path, name, digest, duration, kept, synthetic, tuple(warnings), place=place)


def _predictions(
    done: Sequence[tuple[RecordInfo, Prediction]],
    classes: tuple[str, ...],
    failures: Sequence[Failure],
) -> Predictions:
    infos, values = tuple(info for info, _ in done), tuple(value for _, value in done)
    return Predictions(infos, values, classes, tuple(failures))


def _key(record_digest: str, classifier: Classifier) -> dict[str, object]:
    return cache_key(
        "prediction",
        record=record_digest,
        model=classifier.digest,
        training_range=range_digest(classifier),
    )


def _predicted(
    info: RecordInfo,
    classifier: Classifier,
    probabilities: Float32Array,
    input_warnings: tuple[str, ...] = (),
) -> tuple[RecordInfo, Prediction]:
    value = Prediction(info.name, classifier.classes, probabilities, info.digest, classifier.digest)
    return replace(info, input_warnings=input_warnings), value


def _batch(
    waiting: Sequence[tuple[int, RecordInfo, ModelInput]], classifier: Classifier, store: Store
) -> Iterator[tuple[int, tuple[RecordInfo, Prediction]]]:
    """Predict records that the cache lacks, and keep their probabilities there."""
    if not waiting:
        return
    values = np.stack([model_input.values for _, _, model_input in waiting])
    rows, unlike = classifier.predict(values), unlike_training(classifier, values)
    for (index, info, model_input), row, odd in zip(waiting, rows, unlike, strict=True):
        warned = (*model_input.warnings, *([UNLIKE] if odd else []))
        codes = tuple(sorted({warning.code for warning in warned}))
        store.put(_key(info.digest, classifier), {"probabilities": row}, {"warnings": list(codes)})
        yield index, _predicted(info, classifier, row, codes)
