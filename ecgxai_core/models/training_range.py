"""Whether a record is unlike those that a model was trained on: then its figures say little of it.

The distance is that of Mahalanobis between the features of a record (what enters the model's last
dense layer) and those of the training records, their covariance shrunk as Ledoit and Wolf do. A
record is called unlike where its distance is larger than that of all but 1 % of records that were
kept out of training. The numbers lie beside the model, in ``NAME.range.safetensors``.

References
----------
K. Lee et al., A simple unified framework for detecting out-of-distribution samples and adversarial
attacks, NeurIPS 2018; here with one mean for all records, as an ECG has several labels (J. Ren et
al., A simple fix to Mahalanobis distance, arXiv:2106.09022, call it the background model).
O. Ledoit and M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
Journal of Multivariate Analysis 88:365, 2004.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError, RunError
from ecgxai_core.store.atomic import read_arrays, write_arrays_atomic
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, QualityWarning

__all__ = [
    "UNLIKE",
    "TrainingRange",
    "fit_range",
    "load_range",
    "range_digest",
    "range_path",
    "save_range",
    "unlike_training",
]

KEPT_SHARE = 0.99
"""Share of the records kept out of training that are not called unlike it."""

UNLIKE = QualityWarning(
    "unlike_training_data",
    "the model's features of this record are farther from those of its training data than "
    f"{KEPT_SHARE:.0%} of records kept out of training: its answer may mean little; check gain, "
    "leads and rate",
)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRange:
    """Where the features of training records lie.

    Attributes
    ----------
    mean, precision
        ``float64[feature]`` and ``float64[feature, feature]``: of the training records.
    distances
        ``float64[record]``: distances of records kept out of training, in increasing order.
    model_digest
        The model whose features these are.
    source
        The data, for people.
    """

    mean: FloatArray
    precision: FloatArray
    distances: FloatArray
    model_digest: str
    source: str

    @property
    def limit(self) -> float:
        """The largest distance that is not called unlike."""
        return float(np.quantile(self.distances, KEPT_SHARE))

    @property
    def median(self) -> float:
        """The middle distance of records kept out of training."""
        return float(np.median(self.distances))

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers, for cache keys."""
        arrays = (self.mean, self.precision, self.distances)
        parts = b"".join(np.ascontiguousarray(array, "<f8").tobytes() for array in arrays)
        return hashlib.sha256(parts + self.model_digest.encode()).hexdigest()

    def distance(self, features: Float32Array) -> FloatArray:
        """Mahalanobis distances ``float64[n]`` of ``features``, ``float32[n, feature]``."""
        off = features.astype(np.float64) - self.mean
        # A record at a time: the bytes of one must not depend on how many stand beside it.
        squared = [float(row @ self.precision @ row) for row in off]
        return np.sqrt(np.maximum(np.array(squared, np.float64), 0.0))


def fit_range(
    training: Float32Array, kept_out: Float32Array, model_digest: str, source: str
) -> TrainingRange:
    """Fit the range of a model's features.

    Parameters
    ----------
    training, kept_out
        ``float32[record, feature]``: of training records, and of others of the same source.
    model_digest, source
        The model, and the data for people.

    Raises
    ------
    ModelError
        Fewer training records than two a feature, or fewer than 100 others.
    """
    from sklearn.covariance import LedoitWolf

    if len(training) < 2 * training.shape[1] or len(kept_out) < 100:
        problem = f"{len(training)} training records and {len(kept_out)} others are too few"
        fix = f"give at least {2 * training.shape[1]} and 100"
        raise ModelError(source, "records", problem, fix)
    fitted = LedoitWolf().fit(training.astype(np.float64))
    empty = np.empty(0)
    found = TrainingRange(fitted.location_, fitted.precision_, empty, model_digest, source)
    distances = np.sort(found.distance(kept_out))
    return TrainingRange(found.mean, found.precision, distances, model_digest, source)


def range_path(model: str | os.PathLike[str]) -> Path:
    """Where the range of a model file lies: beside it."""
    path = Path(model)
    return path.with_name(f"{path.stem}.range.safetensors")


def save_range(found: TrainingRange, model: str | os.PathLike[str]) -> Path:
    """Write the range beside its model file; returns the file written."""
    arrays = {"mean": found.mean, "precision": found.precision, "distances": found.distances}
    meta = {"model_digest": found.model_digest, "source": found.source}
    write_arrays_atomic(range_path(model), arrays, meta)
    return range_path(model)


def load_range(model: str | os.PathLike[str], model_digest: str) -> TrainingRange | None:
    """The range that lies beside a model file; ``None`` if there is none.

    Raises
    ------
    ModelError
        The file is damaged, or belongs to another model.
    """
    path = range_path(model)
    if not path.exists():
        return None
    fix = "make it anew with 'ecgxai model training-range', or remove it"
    try:
        entry = read_arrays(path)
    except RunError as error:
        raise ModelError(path.name, "", error.problem, fix) from None
    if entry.meta.get("model_digest") != model_digest:
        raise ModelError(path.name, "model_digest", "belongs to another model", fix)
    mean, precision, distances = (_array(entry.arrays, name, path.name, fix) for name in _NAMES)
    shapes = (mean.ndim, precision.shape, distances.ndim)
    if shapes != (1, (len(mean), len(mean)), 1) or not len(distances):
        raise ModelError(path.name, "arrays", "do not fit each other", fix)
    return TrainingRange(mean, precision, distances, model_digest, str(entry.meta.get("source")))


def unlike_training(classifier: object, values: Float32Array) -> BoolArray:
    """Whether model inputs ``float32[n, sample, lead]`` are unlike what a classifier was trained
    on, ``bool[n]``; ``False`` throughout where the classifier cannot say."""
    ask = getattr(classifier, "unlike_training", None)
    return np.zeros(len(values), np.bool_) if ask is None else ask(values)


def range_digest(classifier: object) -> str:
    """What the answers of :func:`unlike_training` depend on beside the model, for cache keys."""
    return getattr(classifier, "range_digest", "")


_NAMES = ("mean", "precision", "distances")


def _array(arrays: Mapping[str, Any], name: str, where: str, fix: str) -> FloatArray:
    found = arrays.get(name)
    if found is None or found.dtype != np.float64 or not np.all(np.isfinite(found)):
        raise ModelError(where, name, "is missing, or not finite numbers", fix)
    array: FloatArray = found
    return array
