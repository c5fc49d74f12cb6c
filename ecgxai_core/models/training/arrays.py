"""Training records as one memory-mapped file, so that a data set larger than memory can be used.

A folder holds ``signals.npy`` (``int16[record, sample, lead]``, microvolt, leads in the standard
order) and ``arrays.json`` (names, patients, folds, labels, ages, sexes, fs, source).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.types import STANDARD_LEADS, BoolArray, FloatArray, IntArray

__all__ = ["EcgArrays", "TrainingRecord", "open_arrays", "write_arrays"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One record on its way into the file.

    ``signal`` is ``int16[sample, lead]`` in microvolt; ``sex`` is ``"female"``, ``"male"`` or
    empty; ``age`` in years, NaN where unknown; ``quality`` names of quality flags.
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
        """Numbers of the records in these folds."""
        return np.flatnonzero(np.isin(self.folds, list(folds))).astype(np.int64)

    def truth(self, classes: Sequence[str], rows: IntArray) -> BoolArray:
        """``bool[record, class]`` of some records."""
        column = {name: number for number, name in enumerate(classes)}
        truth = np.zeros((len(rows), len(classes)), np.bool_)
        for place, row in enumerate(rows):
            for name in self.labels[row]:
                if name in column:
                    truth[place, column[name]] = True
        return truth


def write_arrays(
    records: Iterable[TrainingRecord], count: int, samples: int, fs: float, source: str, dest: Path
) -> None:
    """Write ``count`` records of ``samples`` samples; an interrupted write leaves no data set."""
    import hashlib

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
        raise RunError(dest.name, "records", f"{len(kept)} came, not {count}", "prepare it again")
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
    part = dest / "arrays.json.part"
    part.write_text(json.dumps(about), encoding="utf-8")
    os.replace(part, dest / "arrays.json")


def open_arrays(folder: Path) -> EcgArrays:
    """Open a prepared data set.

    Raises
    ------
    RunError
        The folder holds none, or an incomplete one.
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
        raise RunError(
            folder.name, "", f"holds no data set ({type(error).__name__})", fix
        ) from None
    if signals.ndim != 3 or signals.dtype != np.int16 or len(signals) != len(found):
        raise RunError(folder.name, "signals.npy", "does not fit arrays.json", fix)
    return found
