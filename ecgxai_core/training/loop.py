"""The training loop: resumable at any step, with the same result as an uninterrupted run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.params import checked
from ecgxai_core.records.catalogues.ptbxl import (
    STATEMENT,
    frequent_classes,
    output_groups,
)
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.training.batches import TrainingBatches, whole_records
from ecgxai_core.training.config import ScheduleParams, TrainParams
from ecgxai_core.training.distil import SoftLabels, distilled
from ecgxai_core.training.reviewed import Reviews, Start, relabelled, soft_targets
from ecgxai_core.training.runs import git_revision, load_bundle, read_json, save_bundle, write_json
from ecgxai_core.training.scores import auroc, f1, macro, sensitivity, specificity
from ecgxai_core.training.trainer import Trainer, class_weights
from ecgxai_core.training.zoo import Shape
from ecgxai_core.types import BoolArray, Float32Array, IntArray, content_seed

__all__ = [
    "Progress",
    "choose_classes",
    "learning_rate",
    "predict_rows",
    "stalled_epochs",
    "train",
    "training_truth",
]

log = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any]], None]
"""Called with the history row of each finished epoch."""


@dataclass
class _State:
    """Progress of a run; stored in the checkpoint beside the weights."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def choose_classes(params: TrainParams, arrays: EcgArrays) -> tuple[str, ...]:
    """The outputs: codes and superclasses with enough records in the training and tuning folds, and
    every statement of the data set, as far as the configuration asks for each.

    Raises
    ------
    RunError
        Statements are asked for, and the data set was prepared without them.
    """
    asked = params.data.outputs
    rows = arrays.in_folds((*params.data.train_folds, *params.data.tune_folds))
    frequent = frequent_classes([arrays.labels[row] for row in rows], params.data.least_records)
    groups = output_groups(frequent)
    chosen = [frequent[place] for group in groups if group in asked for place in groups[group]]
    every = {name for labels in arrays.labels for name in labels}
    statements = sorted(name for name in every if name.startswith(STATEMENT))
    if "statements" in asked and not statements:
        problem, fix = "the data set has no statements", "prepare it again from PTB-XL"
        raise RunError("data", "outputs", problem, fix)
    return (*chosen, *(statements if "statements" in asked else ()))


def train(
    params: TrainParams,
    arrays: EcgArrays,
    run: Path,
    progress: Progress | None = None,
    start: Start | None = None,
    teacher: SoftLabels | None = None,
) -> Path:
    """Train, or resume the run in the directory; returns the directory.

    With a ``start`` a trained model is trained further; where readers' labels come with it, on the
    records of the training folds that were reviewed. Labels of the tuning folds, readers' too, only
    choose the epoch. With a ``teacher`` the targets are its probabilities, in part
    (``loss.teacher_share``), on the training records that it has.

    Afterwards ``best.npz`` contains the (averaged) weights of the epoch with the best macro AUROC
    on the tuning folds, ``history.json`` one row per epoch, ``config.json`` the configuration.

    Raises
    ------
    RunError
        The directory belongs to a run with another configuration, data set or start; a patient is
        in training and tuning folds; there are no records or classes; the start is a model of
        another architecture; or the teacher does not fit (:func:`distilled`).
    """
    reviews = start.reviews if start is not None else None
    if reviews is not None:
        arrays = relabelled(arrays, reviews)
    classes = start.classes if start is not None else choose_classes(params, arrays)
    rows, tune = _rows(params, arrays, reviews)
    _claim(run, params, arrays, classes, start, teacher)
    truth = training_truth(params, arrays, classes, rows)
    targets = None
    if teacher is not None:
        targets = distilled(teacher, params, arrays, rows, classes, truth)
    samples, leads = int(arrays.signals.shape[1]), int(arrays.signals.shape[2])
    shape = Shape(samples, leads, len(classes))
    trainer = Trainer(params, shape, class_weights(truth, params.loss.class_weights))
    if start is not None:
        trainer.begin_from(start.weights)
        if reviews is not None:
            p = predict_rows(trainer.predictor(), arrays, rows, params.optimiser.batch_size)
            targets = soft_targets(arrays, rows, classes, reviews, p)
    batches = TrainingBatches(arrays, rows, truth, params, targets)
    state = _resume(run / "checkpoint.npz", trainer)
    while state.epoch < params.schedule.epochs and not _stopped(params, state):
        _train_epoch(trainer, batches, state, run)
        row = _score_epoch(trainer, batches, tune, classes, state)
        state.history.append(row)
        _keep(run, trainer, state)
        if progress is not None:
            progress(row)
    return run


def training_truth(
    params: TrainParams, arrays: EcgArrays, classes: tuple[str, ...], rows: IntArray
) -> BoolArray:
    """Labels to learn, ``bool[record, class]``: those of the records, or, shuffled, each record's
    those of another, so that how often labels occur and occur together stays as it is.

    Notes
    -----
    Data randomisation test: Adebayo et al. 2018, arXiv 1810.03292.
    """
    truth = arrays.truth(classes, rows)
    if not params.data.shuffle_labels:
        return truth
    rng = np.random.default_rng(content_seed("shuffled labels", params.seed))
    return truth[rng.permutation(len(truth))]


def _rows(
    params: TrainParams, arrays: EcgArrays, reviews: Reviews | None
) -> tuple[IntArray, IntArray]:
    rows, tune = arrays.in_folds(params.data.train_folds), arrays.in_folds(params.data.tune_folds)
    if reviews is not None:
        rows = np.array([row for row in rows if arrays.names[row] in reviews], np.int64)
        if not len(rows):
            problem, fix = "contain no reviewed record", "review some, or choose other folds"
            raise RunError("data", "train_folds", problem, fix)
    if params.data.limit:
        rows, tune = rows[: params.data.limit], tune[: params.data.limit]
    if not len(rows) or not len(tune):
        problem = "contain no records"
        raise RunError("data", "train_folds, tune_folds", problem, "choose other folds")
    both = {arrays.patients[row] for row in rows} & {arrays.patients[row] for row in tune}
    if both:
        problem = f"{len(both)} patients are in training and tuning"
        raise RunError("data", "folds", problem, "split by patient")
    return rows, tune


def _claim(
    run: Path,
    params: TrainParams,
    arrays: EcgArrays,
    classes: tuple[str, ...],
    start: Start | None,
    teacher: SoftLabels | None,
) -> None:
    """Write the run's configuration, or check that the directory belongs to the same run."""
    if not classes:
        raise RunError("data", "least_records", "no class has so many records", "lower it")
    wanted: dict[str, Any] = {
        "params": params.as_key(), "data": arrays.digest, "classes": list(classes),
    }  # fmt: skip
    if start is not None:
        wanted["start"] = start.key()
    if teacher is not None:
        wanted["teacher"] = teacher.digest
    if (run / "config.json").exists():
        found = read_json(run / "config.json")
        same = all(found.get(key) == wanted.get(key) for key in _SAME)
        if not (same and _same_params(found.get("params"), params)):
            fix = "choose an empty directory"
            raise RunError(run.name, "config.json", "belongs to another run", fix)
        return
    about = {
        "name": params.name,
        "model": params.model.name,
        "fs": arrays.fs,
        "source": arrays.source,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(run / "config.json", {**about, **wanted, "revision": git_revision()})


_SAME = ("data", "classes", "start", "teacher")


def _same_params(found: Any, params: TrainParams) -> bool:
    """Whether a run has these parameters, apart from ``stop_after``, which may be raised."""
    try:
        old = checked(TrainParams, found)
    except (ParameterError, TypeError):
        return False
    schedule = old.schedule.updated(stop_after=params.schedule.stop_after)
    return old.updated(schedule=schedule) == params


def _resume(path: Path, trainer: Trainer) -> _State:
    if not path.exists():
        return _State()
    groups, about = load_bundle(path)
    trainer.restore(groups)
    log.info("resuming at epoch %d, step %d", about["epoch"] + 1, about["step"])
    return _State(**about)


def _stopped(params: TrainParams, state: _State) -> bool:
    if params.schedule.stop_after and state.epoch >= params.schedule.stop_after:
        return True
    patience = params.schedule.early_stop_patience
    return bool(patience) and stalled_epochs([row["auroc"] for row in state.history]) >= patience


def _train_epoch(trainer: Trainer, batches: TrainingBatches, state: _State, run: Path) -> None:
    params, steps = batches.params, batches.steps
    scores = [row["auroc"] for row in state.history]
    equal = params.optimiser.equal_average_from
    started = time.monotonic()
    for signals, targets in batches.epoch(state.epoch, state.step):
        rate = learning_rate(params.schedule, state.epoch, state.step, steps, scores)
        since = (state.epoch - equal) * steps + state.step if 0 < equal <= state.epoch else -1
        state.loss_sum += trainer.step(signals, targets, rate, since)
        state.step += 1
        every = params.checkpoint_steps
        if every and state.step % every == 0 and state.step < steps:
            state.seconds += time.monotonic() - started
            started = time.monotonic()
            _checkpoint(run, trainer, state)
    if 0 < equal <= state.epoch:
        trainer.renormalise(_some_of_training(batches))
    state.seconds += time.monotonic() - started


_NORMALISING_BATCHES = 40


def _some_of_training(batches: TrainingBatches) -> Iterator[Float32Array]:
    """Unaltered training records, spread evenly over the data set, in batches."""
    size = batches.params.optimiser.batch_size
    number = min(len(batches.rows), _NORMALISING_BATCHES * size)
    some = batches.rows[np.linspace(0, len(batches.rows) - 1, number).astype(np.int64)]
    return whole_records(batches.arrays, some[: max(size, number // size * size)], size)


def _score_epoch(
    trainer: Trainer,
    batches: TrainingBatches,
    tune: IntArray,
    classes: tuple[str, ...],
    state: _State,
) -> dict[str, Any]:
    """History row of the epoch that has just ended; advances the state to the next epoch."""
    arrays, params = batches.arrays, batches.params
    truth = arrays.truth(classes, tune)
    p = predict_rows(trainer.predictor(), arrays, tune, params.optimiser.batch_size)
    scores = [row["auroc"] for row in state.history]
    last = batches.steps - 1
    row = {
        "epoch": state.epoch + 1,
        "loss": state.loss_sum / batches.steps,
        "tune_loss": _cross_entropy(truth, p),
        "learning_rate": learning_rate(params.schedule, state.epoch, last, batches.steps, scores),
        **_summary(truth, p, classes),
        "seconds": state.seconds,
    }
    state.epoch, state.step, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
    return row


def _summary(truth: BoolArray, p: Float32Array, classes: tuple[str, ...]) -> dict[str, float]:
    each = auroc(truth, p)
    groups = {"superclasses": (), **output_groups(classes)}
    return {
        "auroc": macro(each),
        **{f"auroc_{name}": macro(each[list(places)]) for name, places in groups.items()},
        "f1": macro(f1(truth, p)),
        "sensitivity": macro(sensitivity(truth, p)),
        "specificity": macro(specificity(truth, p)),
    }


def _cross_entropy(truth: BoolArray, probabilities: Float32Array) -> float:
    p = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(truth, np.log(p), np.log1p(-p))))


def _keep(run: Path, trainer: Trainer, state: _State) -> None:
    """Save the best weights, then the history, then the checkpoint that completes the epoch."""
    if stalled_epochs([row["auroc"] for row in state.history]) == 0:
        about = {"epoch": state.epoch, "auroc": state.history[-1]["auroc"]}
        save_bundle(run / "best.npz", {"weights": trainer.averaged()}, about)
    write_json(run / "history.json", state.history)
    _checkpoint(run, trainer, state)


def _checkpoint(run: Path, trainer: Trainer, state: _State) -> None:
    save_bundle(run / "checkpoint.npz", trainer.groups(), vars(state))


def predict_rows(
    predict: Callable[[Float32Array], Float32Array], arrays: EcgArrays, rows: IntArray, size: int
) -> Float32Array:
    """Probabilities ``float32[record, class]`` of unaltered records, in batches of ``size``."""
    parts = [predict(signals) for signals in whole_records(arrays, rows, size)]
    return np.concatenate(parts).astype(np.float32)


def learning_rate(
    params: ScheduleParams, epoch: int, step: int, steps: int, scores: Sequence[float]
) -> float:
    """Learning rate at one step: linear warm-up, then a cosine, or reductions on plateaus.

    Parameters
    ----------
    epoch, step, steps
        Epoch and step within it, from 0; steps per epoch.
    scores
        Tuning score of each earlier epoch (plateau only).
    """
    done = epoch + step / steps
    warmup = params.warmup_epochs
    if done < warmup:
        return params.learning_rate * (done + 1 / steps) / (warmup + 1 / steps)
    if params.kind == "plateau":
        return max(
            params.learning_rate * params.plateau_factor ** _cuts(scores, params.plateau_patience),
            params.learning_rate * params.final_share,
        )
    share = (done - warmup) / max(params.epochs - warmup, 1e-9)
    falling = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return params.learning_rate * (params.final_share + (1 - params.final_share) * falling)


def stalled_epochs(scores: Sequence[float]) -> int:
    """Epochs since the best score (the first, if tied); 0 without scores."""
    if not scores:
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def _cuts(scores: Sequence[float], patience: int) -> int:
    """Number of times that ``patience`` successive epochs brought no new best score."""
    best, waited, cuts = -math.inf, 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
        else:
            waited += 1
            if waited >= patience:
                cuts, waited = cuts + 1, 0
    return cuts
