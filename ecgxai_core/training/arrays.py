"""Training records in one memory-mapped file, so that data sets larger than memory can be used.

A folder contains ``signals.npy`` (``int16[record, sample, lead]``, microvolts, leads in standard
order) and ``arrays.json`` (names, patients, folds, labels, ages, sexes, fs, source).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.records.catalogues.catalogue import Catalogue, Entry, read_entry
from ecgxai_core.training.runs import write_atomically
from ecgxai_core.types import STANDARD_LEADS, BoolArray, Float32Array, FloatArray, IntArray

__all__ = [
    "EcgArrays",
    "TrainingRecord",
    "microvolts",
    "open_arrays",
    "prepare_arrays",
    "write_arrays",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One record to be written.

    ``signal`` is ``int16[sample, lead]`` in microvolts; ``age`` is in years, NaN if unknown;
    ``sex`` is ``"female"``, ``"male"`` or empty; ``quality`` lists names of quality flags.
    """

    name: str
    patient: str
    fold: int
    labels: tuple[str, ...]
    signal: npt.NDArray[np.int16]
    age: float = float("nan")
    sex: str = ""
    quality: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EcgArrays:
    """An opened data set; ``signals`` is memory-mapped and read-only."""

    signals: npt.NDArray[np.int16]
    fs: float
    names: tuple[str, ...]
    patients: tuple[str, ...]
    folds: IntArray
    ages: FloatArray
    sexes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    quality: tuple[tuple[str, ...], ...]
    source: str
    digest: str

    def __len__(self) -> int:
        return len(self.names)

    def in_folds(self, folds: Iterable[int]) -> IntArray:
        """Indices of the records in these folds."""
        return np.flatnonzero(np.isin(self.folds, list(folds))).astype(np.int64)

    def truth(self, classes: Sequence[str], rows: IntArray) -> BoolArray:
        """Labels of some records, ``bool[record, class]``."""
        labels = [set(self.labels[row]) for row in rows]
        truth = [[name in present for name in classes] for present in labels]
        return np.array(truth, np.bool_).reshape(len(rows), len(classes))


def write_arrays(
    records: Iterable[TrainingRecord], count: int, samples: int, fs: float, source: str, dest: Path
) -> None:
    """Write ``count`` records of ``samples`` samples; an interrupted write leaves no data set."""
    dest.mkdir(parents=True, exist_ok=True)
    (dest / "arrays.json").unlink(missing_ok=True)  # written last: its presence means complete
    shape = (count, samples, len(STANDARD_LEADS))
    signals = np.lib.format.open_memmap(dest / "signals.npy", "w+", np.int16, shape)
    kept: list[TrainingRecord] = []
    sha = hashlib.sha256()
    for number, record in enumerate(records):
        signals[number] = record.signal
        sha.update(np.ascontiguousarray(record.signal, "<i2").tobytes())
        sha.update(repr((record.name, record.patient, record.fold, record.labels)).encode())
        kept.append(record)
        if number % 2000 == 1999:
            log.info("%d of %d records written", number + 1, count)
    if len(kept) != count:
        problem = f"{len(kept)} records were given, not {count}"
        raise RunError(dest.name, "records", problem, "prepare the data set again")
    signals.flush()
    about: dict[str, Any] = {
        "fs": fs,
        "source": source,
        "digest": sha.hexdigest(),
        "names": [record.name for record in kept],
        "patients": [record.patient for record in kept],
        "folds": [record.fold for record in kept],
        "ages": [None if np.isnan(record.age) else record.age for record in kept],
        "sexes": [record.sex for record in kept],
        "labels": [list(record.labels) for record in kept],
        "quality": [list(record.quality) for record in kept],
    }
    write_atomically(dest / "arrays.json", json.dumps(about).encode("utf-8"))


def open_arrays(folder: Path) -> EcgArrays:
    """Open a prepared data set.

    Raises
    ------
    RunError
        The folder contains no data set, or an incomplete one.
    """
    fix = "prepare the data set again"
    try:
        about = json.loads((folder / "arrays.json").read_text(encoding="utf-8"))
        signals = np.load(folder / "signals.npy", mmap_mode="r", allow_pickle=False)
        found = EcgArrays(
            signals=signals,
            fs=float(about["fs"]),
            names=tuple(about["names"]),
            patients=tuple(about["patients"]),
            folds=np.asarray(about["folds"], np.int64),
            ages=np.asarray([np.nan if a is None else a for a in about["ages"]], np.float64),
            sexes=tuple(about["sexes"]),
            labels=tuple(tuple(names) for names in about["labels"]),
            quality=tuple(tuple(names) for names in about["quality"]),
            source=str(about["source"]),
            digest=str(about["digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"contains no data set ({type(error).__name__})"
        raise RunError(folder.name, "", problem, fix) from None
    if signals.ndim != 3 or signals.dtype != np.int16 or len(signals) != len(found):
        raise RunError(folder.name, "signals.npy", "does not match arrays.json", fix)
    return found


log = logging.getLogger(__name__)


def microvolts(signal: Float32Array) -> npt.NDArray[np.int16]:
    """``float32[lead, sample]`` mV -> ``int16[sample, lead]`` microvolts, clipped at 32.767 mV."""
    counts = np.rint(np.asarray(signal, np.float64).T * 1000)
    return np.clip(counts, -32767, 32767).astype(np.int16)


def prepare_arrays(catalogue: Catalogue, dest: Path, *, seconds: float = 10.0) -> Path:
    """Write the records of a catalogue as training arrays; returns ``dest``.

    Records whose sampling rate, length or leads differ from the catalogue's are refused, because
    training on silently cropped or resampled records would contradict the model card.

    Raises
    ------
    RunError
        The catalogue has no folds or no sampling rate, or a record does not fit.
    """
    if catalogue.fs is None or any(entry.fold is None for entry in catalogue):
        fix = "split the catalogue into folds first"
        raise RunError(catalogue.name, "fs, fold", "are not known", fix)
    fs, samples = catalogue.fs, round(seconds * catalogue.fs)
    records = (_training_record(entry, fs, samples) for entry in catalogue)
    write_arrays(records, len(catalogue), samples, fs, catalogue.citation, dest)
    return dest


def _training_record(entry: Entry, fs: float, samples: int) -> TrainingRecord:
    record = read_entry(entry)
    if record.fs != fs or record.n_samples != samples or record.leads != STANDARD_LEADS:
        problem = f"{record.fs:g} Hz, {record.n_samples} samples, {len(record.leads)} leads"
        fix = f"leave it out: the data set is {fs:g} Hz, {samples} samples, twelve leads"
        raise RunError(entry.name, "fs, length, leads", problem, fix)
    return TrainingRecord(
        name=entry.name,
        patient=entry.patient,
        fold=entry.fold or 0,
        labels=entry.all_labels,
        signal=microvolts(record.signal),
        age=float("nan") if entry.age is None else entry.age,
        sex=entry.sex or "",
        quality=entry.quality,
    )
