"""Read many records, predict them in batches, and keep what failed with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecgxai_core.errors import EcgXaiError, ModelError, ParameterError, RecordError
from ecgxai_core.models.metadata_arrays import read_metadata_arrays
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Float32Array, ModelInput, Prediction, Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Failure",
    "Predictions",
    "RecordInfo",
    "checksum_policy",
    "list_paths",
    "no_progress",
    "predict_data",
    "predict_paths",
]

Progress = Callable[[int, int, str], None]
_CHUNK = 64


def no_progress(_done: int, _total: int, _what: str = "") -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """What a table needs to know of a record without its samples; ``path`` is never exported."""

    path: Path
    name: str
    digest: str
    duration_sec: float
    labels: tuple[str, ...] | None
    synthetic: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that was refused or failed, and why (one line)."""

    record: str
    reason: str


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities of all readable records, in the order of their files."""

    records: tuple[RecordInfo, ...]
    values: tuple[Prediction, ...]
    classes: tuple[str, ...]
    failures: tuple[Failure, ...]

    def frame(self) -> pd.DataFrame:
        """Column ``record``, then one ``float32`` column per class, named by its code."""
        import pandas as pd

        matrix = np.stack([value.probabilities for value in self.values]) if self.values else None
        columns = {
            code: matrix[:, i] if matrix is not None else np.empty(0, np.float32)
            for i, code in enumerate(self.classes)
        }
        return pd.DataFrame({"record": [info.name for info in self.records], **columns})


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
    record and model digest.

    Raises
    ------
    RecordError
        Nothing that looks like a record was found.
    """
    files = find_records(paths)
    if not files:
        raise RecordError(
            ", ".join(path.name for path in paths) or "records",
            "",
            "no records found (.hea with .mat or .dat, or DICOM)",
            "give a record or a folder that holds some",
        )
    done: dict[int, tuple[RecordInfo, Prediction]] = {}
    failures: list[Failure] = []
    numbered, policy = enumerate(files), checksum_policy(checksum)
    while chunk := list(islice(numbered, _CHUNK)):
        waiting: list[tuple[int, RecordInfo, ModelInput]] = []
        for index, path in chunk:
            progress(index, len(files), path.stem)
            try:
                record = read_record(path, checksum=policy)
                info = _info(path, record)
                cached = _cached(record, classifier, store)
                if cached is not None:
                    done[index] = (info, cached)
                else:
                    waiting.append((index, info, prepare(record, classifier.manifest)))
            except EcgXaiError as error:
                failures.append(Failure(path.stem, str(error)))
        for index, info, prediction in _predicted(waiting, classifier, store):
            done[index] = (info, prediction)
    progress(len(files), len(files), "")
    return _predictions([done[index] for index in sorted(done)], classifier, failures)


def list_paths(
    paths: Sequence[Path], *, checksum: str = "warn", progress: Progress = no_progress
) -> Predictions:
    """The records under ``paths`` without a model: no classes, and probabilities of none."""
    files, policy = find_records(paths), checksum_policy(checksum)
    done: list[tuple[RecordInfo, Prediction]] = []
    failures: list[Failure] = []
    for index, path in enumerate(files):
        progress(index, len(files), path.stem)
        try:
            info = _info(path, read_record(path, checksum=policy))
        except EcgXaiError as error:
            failures.append(Failure(path.stem, str(error)))
            continue
        nothing = np.empty(0, np.float32)
        done.append((info, Prediction(info.name, (), nothing, info.digest, "")))
    infos, values = tuple(i for i, _ in done), tuple(v for _, v in done)
    return Predictions(infos, values, (), tuple(failures))


def predict_data(
    data: Path,
    classifier: Classifier,
    store: Store,
    arrays: Path | None = None,
    checksum: str = "warn",
    progress: Progress = no_progress,
) -> Predictions:
    """Predict the records of a folder, or take what users of ECG-XAI already have.

    Parameters
    ----------
    data
        Folder of records.
    arrays
        Folder (or ``.npz``) with ``ecg_filenames``, ``ecg_model_probs``, ``ecg_y_true`` and
        ``snomed_classes``: their probabilities and labels then count, for the records named there.

    Raises
    ------
    ModelError
        The arrays are of another model (other classes), name no record of the folder, or name one
        that several rows or several records could be.
    """
    if arrays is None:
        return predict_paths([data], classifier, store, checksum=checksum, progress=progress)
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
    for index, path in enumerate(files):
        progress(index, len(files), path.stem)
        try:
            info = _info(path, read_record(path, checksum=checksum_policy(checksum)))
        except EcgXaiError as error:
            failures.append(Failure(path.stem, str(error)))
            continue
        row = row_of[path.stem]
        if given.labels is not None:
            positive = given.labels[row]
            labels = tuple(c for c, yes in zip(given.classes, positive, strict=True) if yes)
            info = replace(info, labels=labels)
        values = given.probabilities[row, order]
        done.append((info, _prediction(info.name, info.digest, classifier, values)))
    return _predictions(done, classifier, failures)


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


def _predictions(
    done: Sequence[tuple[RecordInfo, Prediction]],
    classifier: Classifier,
    failures: Sequence[Failure],
) -> Predictions:
    infos, values = tuple(info for info, _ in done), tuple(value for _, value in done)
    return Predictions(infos, values, classifier.classes, tuple(failures))


def _info(path: Path, record: Record) -> RecordInfo:
    codes = tuple(warning.code for warning in record.warnings)
    return RecordInfo(
        path, record.name, record.digest, record.duration, record.labels, record.synthetic, codes
    )


def _key(record_digest: str, classifier: Classifier) -> dict[str, object]:
    return cache_key("prediction", record=record_digest, model=classifier.digest)


def _cached(record: Record, classifier: Classifier, store: Store) -> Prediction | None:
    entry = store.get(_key(record.digest, classifier))
    if entry is None:
        return None
    return _prediction(record.name, record.digest, classifier, entry.arrays["probabilities"])


def _prediction(
    name: str, digest: str, classifier: Classifier, probabilities: Float32Array
) -> Prediction:
    return Prediction(name, classifier.classes, probabilities, digest, classifier.digest)


def _predicted(
    waiting: Sequence[tuple[int, RecordInfo, ModelInput]], classifier: Classifier, store: Store
) -> Iterator[tuple[int, RecordInfo, Prediction]]:
    if not waiting:
        return
    rows = classifier.predict(np.stack([model_input.values for _, _, model_input in waiting]))
    for (index, info, _), row in zip(waiting, rows, strict=True):
        store.put(_key(info.digest, classifier), {"probabilities": row}, {})
        yield index, info, _prediction(info.name, info.digest, classifier, row)
