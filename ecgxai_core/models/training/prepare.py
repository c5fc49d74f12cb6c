"""From a catalogue to the memory-mapped file that training reads."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.models.training.arrays import TrainingRecord, write_arrays
from ecgxai_core.records.catalogue import Catalogue, Entry
from ecgxai_core.types import STANDARD_LEADS, Float32Array

__all__ = ["microvolts", "prepare_arrays"]

log = logging.getLogger(__name__)


def microvolts(signal: Float32Array) -> npt.NDArray[np.int16]:
    """``float32[lead, sample]`` mV -> ``int16[sample, lead]`` microvolt, limited to +-32.767 mV."""
    counts = np.rint(np.asarray(signal, np.float64).T * 1000)
    return np.clip(counts, -32767, 32767).astype(np.int16)


def prepare_arrays(catalogue: Catalogue, dest: Path, *, seconds: float = 10.0) -> Path:
    """Write the records of a catalogue as training arrays; returns ``dest``.

    Records of another sampling rate, length or lead set than the catalogue's are refused: training
    on records that were silently cut or resampled would not be what the model card says.

    Raises
    ------
    RunError
        No fold or rate in the catalogue, or a record that does not fit.
    """
    if catalogue.fs is None or any(entry.fold is None for entry in catalogue):
        raise RunError(
            catalogue.name, "fs, fold", "are not known", "split the catalogue into folds first"
        )
    fs, samples = catalogue.fs, round(seconds * catalogue.fs)
    records = (_training_record(entry, fs, samples) for entry in catalogue)
    write_arrays(records, len(catalogue), samples, fs, catalogue.citation, dest)
    return dest


def _training_record(entry: Entry, fs: float, samples: int) -> TrainingRecord:
    return TrainingRecord(
        name=entry.name,
        patient=entry.patient,
        fold=entry.fold or 0,
        labels=entry.labels or (),
        signal=_signal(entry, fs, samples),
        age=float("nan") if entry.age is None else entry.age,
        sex=entry.sex or "",
        quality=entry.quality,
    )


def _signal(entry: Entry, fs: float, samples: int) -> npt.NDArray[np.int16]:
    from ecgxai_core.records.catalogue import read_entry

    record = read_entry(entry)
    fits = record.fs == fs and record.n_samples == samples and record.leads == STANDARD_LEADS
    if not fits:
        raise RunError(
            entry.name,
            "fs, length, leads",
            f"{record.fs:g} Hz, {record.n_samples} samples, {len(record.leads)} leads",
            f"leave it out: the data set is {fs:g} Hz, {samples} samples, twelve leads",
        )
    return microvolts(record.signal)
