"""Soft labels: what trained models say of records that they were not trained on, as targets.

Every teacher answers for its tuning folds only, so no probability comes from a model that has seen
the record's own label; over the runs of a cross-validation that makes the predictions of all folds.
A student learns from them (Hinton et al., arXiv:1503.02531): with one sigmoid per class and binary
cross-entropy, a loss against the labels plus one against the teachers is the loss against their
weighted mean.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgxai_core.errors import RunError
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.config import TrainParams
from ecgxai_core.training.runs import load_bundle, save_bundle
from ecgxai_core.types import BoolArray, Float32Array, IntArray

log = logging.getLogger(__name__)

__all__ = ["Answers", "SoftLabels", "distilled", "pooled", "read_soft_labels", "save_soft_labels"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one teacher says of its tuning folds.

    ``probabilities`` is ``float32[record, class]`` of the records ``names``; ``folds`` are those
    that it was trained or tuned on.
    """

    run: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    probabilities: Float32Array
    folds: frozenset[int]
    data: str


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """Probabilities ``float32[record, class]`` of several teachers.

    ``folds`` are all that any of them has seen, ``data`` the digest of the data set.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    probabilities: Float32Array
    folds: tuple[int, ...]
    runs: tuple[str, ...]
    data: str

    @property
    def digest(self) -> str:
        """SHA-256 of what a student learns from."""
        sha = hashlib.sha256(repr((self.classes, self.names)).encode())
        sha.update(np.ascontiguousarray(self.probabilities, "<f4").tobytes())
        return sha.hexdigest()


def pooled(teachers: Iterable[Answers]) -> SoftLabels:
    """The mean logit of the teachers that answer for a record, as a probability.

    Raises
    ------
    RunError
        There is no teacher, or two differ in their classes or their data set.
    """
    given = list(teachers)
    if not given:
        raise RunError("teachers", "", "there is none", "give runs of ecgxai cross-validate")
    first, fix = given[0], "give runs of one data set and one set of outputs"
    for one in given[1:]:
        if (one.classes, one.data) != (first.classes, first.data):
            raise RunError(one.run, "classes, data", f"are not those of {first.run}", fix)
    names = tuple(sorted({name for one in given for name in one.names}))
    place = {name: at for at, name in enumerate(names)}
    total = np.zeros((len(names), len(first.classes)))
    count = np.zeros((len(names), 1))
    for one in given:
        at = [place[name] for name in one.names]
        p = np.clip(one.probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
        total[at] += np.log(p) - np.log1p(-p)
        count[at] += 1
    folds = sorted(frozenset[int]().union(*(one.folds for one in given)))
    soft = (1 / (1 + np.exp(-total / count))).astype(np.float32)
    runs = tuple(one.run for one in given)
    return SoftLabels(first.classes, names, soft, tuple(folds), runs, first.data)


def save_soft_labels(soft: SoftLabels, path: Path) -> Path:
    """Write soft labels to one ``npz`` file; returns it."""
    about = {
        "classes": soft.classes, "names": soft.names, "folds": soft.folds, "runs": soft.runs,
        "data": soft.data,
    }  # fmt: skip
    save_bundle(path, {"probabilities": [soft.probabilities]}, about)
    return path


def read_soft_labels(path: Path) -> SoftLabels:
    """Read what :func:`save_soft_labels` wrote.

    Raises
    ------
    RunError
        The file is damaged or no such file.
    """
    groups, about = load_bundle(path)
    try:
        (p,) = groups["probabilities"]
        soft = SoftLabels(
            classes=tuple(about["classes"]),
            names=tuple(about["names"]),
            probabilities=p.astype(np.float32),
            folds=tuple(about["folds"]),
            runs=tuple(about["runs"]),
            data=str(about["data"]),
        )
        fits = p.shape == (len(soft.names), len(soft.classes)) and ((p >= 0) & (p <= 1)).all()
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise RunError(path.name, "", "holds no soft labels", "write it with: ecgxai soft-labels")
    return soft


def distilled(
    soft: SoftLabels,
    params: TrainParams,
    arrays: EcgArrays,
    rows: IntArray,
    classes: Sequence[str],
    truth: BoolArray,
) -> Float32Array:
    """Targets ``float32[record, class]``: labels and soft labels in the configured proportion.

    Records that no teacher answered for, and classes that the teachers do not have, keep their
    labels.

    Raises
    ------
    RunError
        The soft labels are of another data set, share no class or no record, or come from teachers
        that have seen the folds on which this run is tuned.
    """
    fix = "make them anew: ecgxai cross-validate, then ecgxai soft-labels"
    if soft.data != arrays.digest:
        raise RunError("teacher", "data", "are those of another data set", fix)
    shared = [column for column, name in enumerate(classes) if name in soft.classes]
    if not shared:
        raise RunError("teacher", "classes", "are none of this run's", fix)
    if len(shared) < len(classes):
        missing = [name for name in classes if name not in soft.classes]
        log.warning("the teachers do not have %s: learned from labels alone", ", ".join(missing))
    seen = sorted(set(soft.folds) & set(params.data.tune_folds))
    if seen:
        problem = f"have seen fold {seen[0]}, on which this run is tuned"
        raise RunError("teacher", "folds", problem, "leave it out: cross-validate --fold ...")
    place = {name: at for at, name in enumerate(soft.names)}
    known = np.array([arrays.names[row] in place for row in rows])
    if not known.any():
        raise RunError("teacher", "records", "are none of the training folds", fix)
    at = [place[arrays.names[row]] for row in rows[known]]
    answers = soft.probabilities[at][:, [soft.classes.index(classes[c]) for c in shared]]
    targets = truth.astype(np.float32)
    share, where = np.float32(params.loss.teacher_share), np.ix_(known, np.array(shared))
    targets[where] = (1 - share) * targets[where] + share * answers
    return targets
