"""From a training run to a model that can be shipped: weights, manifest, results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import RunError
from ecgxai_core.models.manifest import Manifest, OutputNames, manifest_path, save_manifest
from ecgxai_core.models.training.arrays import EcgArrays
from ecgxai_core.models.training.calibration import fit_temperature, with_temperature
from ecgxai_core.models.training.config import TrainParams
from ecgxai_core.models.training.evaluation import Judged, evaluate, failures, subgroups
from ecgxai_core.models.training.loop import predict_rows
from ecgxai_core.models.training.rundir import load_bundle, read_json, write_json
from ecgxai_core.models.training.scores import best_f1_thresholds
from ecgxai_core.models.zoo import Options, Shape, build
from ecgxai_core.params import checked
from ecgxai_core.types import STANDARD_LEADS, BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["FinishedRun", "export_run", "finished_run", "judge_rows"]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run directory says, and the Keras model with its best weights."""

    params: TrainParams
    classes: tuple[str, ...]
    config: dict[str, Any]
    best: dict[str, Any]
    model: Any


def finished_run(run: Path, samples: int) -> FinishedRun:
    """Rebuild the best model of a run, for inputs of ``samples`` samples.

    Raises
    ------
    RunError
        The directory holds no run, or none that has finished an epoch.
    """
    config = read_json(run / "config.json")
    if not (run / "best.npz").exists():
        raise RunError(run.name, "best.npz", "no epoch is finished", "train on")
    params = checked(TrainParams, config["params"])
    classes = tuple(config["classes"])
    shape = Shape(samples, len(STANDARD_LEADS), len(classes))
    model = build(params.model.name, shape, params.model.options, params.seed)
    groups, best = load_bundle(run / "best.npz")
    model.set_weights(groups["weights"])
    return FinishedRun(params, classes, config, best, model)


def export_run(run: Path, arrays: EcgArrays, dest: Path, *, notes: str = "") -> dict[str, Any]:
    """Write ``dest`` (``NAME.keras``) and its manifest; returns the results, also in the run.

    Temperature and thresholds (largest F1 of each class) are chosen on the tuning folds, so the
    scores at those thresholds are optimistic there; AUROC and AUPRC do not depend on them.

    Raises
    ------
    RunError
        See :func:`finished_run`.
    """
    samples = int(arrays.signals.shape[1])
    finished = finished_run(run, samples)
    rows = arrays.in_folds(finished.params.data.tune_folds)
    truth = arrays.truth(finished.classes, rows)
    raw = _predict(finished.model, arrays, rows)
    temperature = fit_temperature(truth, raw)
    p = with_temperature(raw, temperature)
    thresholds = best_f1_thresholds(truth, p)
    judged = judge_rows(arrays, rows, finished.classes, p, thresholds)
    results = {
        "name": finished.params.name,
        "model": finished.params.model.name,
        "parameters": int(finished.model.count_params()),
        "epoch": finished.best["epoch"],
        "revision": finished.config["revision"],
        "temperature": temperature,
        "folds": list(finished.params.data.tune_folds),
        **evaluate(judged),
        "subgroups": subgroups(judged),
        "failures": failures(judged),
    }
    write_json(run / "results.json", results)
    _save(finished, dest)
    manifest = _manifest(finished, arrays, dest, temperature, thresholds, notes)
    save_manifest(manifest, manifest_path(dest))
    return results


def judge_rows(
    arrays: EcgArrays,
    rows: IntArray,
    classes: tuple[str, ...],
    probabilities: FloatArray,
    thresholds: FloatArray,
) -> Judged:
    """Put truth, probabilities and what is known of the records side by side."""
    truth: BoolArray = arrays.truth(classes, rows)
    return Judged(
        classes=classes,
        names=tuple(arrays.names[row] for row in rows),
        patients=tuple(arrays.patients[row] for row in rows),
        truth=truth,
        probabilities=probabilities,
        thresholds=thresholds,
        ages=arrays.ages[rows],
        sexes=tuple(arrays.sexes[row] for row in rows),
        quality=tuple(arrays.quality[row] for row in rows),
    )


def _predict(model: Any, arrays: EcgArrays, rows: IntArray) -> Float32Array:
    import tensorflow as tf

    tell = tf.function(lambda signals: model(signals, training=False), reduce_retracing=True)

    def predict(signals: Float32Array) -> Float32Array:
        outputs = tell(tf.constant(signals))
        found = outputs["probability"] if isinstance(outputs, dict) else outputs
        return np.asarray(found.numpy(), np.float32)

    return predict_rows(predict, arrays, rows, _BATCH)


def _save(finished: FinishedRun, dest: Path) -> None:
    """The model alone: never compiled, so the file holds no optimiser."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    part = dest.with_name(f"part-{dest.name}")
    finished.model.save(part)
    part.replace(dest)


def _manifest(
    finished: FinishedRun,
    arrays: EcgArrays,
    dest: Path,
    temperature: float,
    thresholds: FloatArray,
    notes: str,
) -> Manifest:
    several = isinstance(finished.model.output, dict)
    attention = (
        tuple(name for name in finished.model.output if "attention" in name) if several else ()
    )
    return Manifest(
        classes=finished.classes,
        fs=arrays.fs,
        samples=int(arrays.signals.shape[1]),
        leads=STANDARD_LEADS,
        units="mV",
        pad="end_zero",
        crop="start",
        output="probability",
        temperature=round(temperature, 6),
        source=f"{finished.params.name}, trained by this project on {arrays.source}",
        sha256=hashlib.sha256(dest.read_bytes()).hexdigest(),
        thresholds={
            name: round(float(p), 6) for name, p in zip(finished.classes, thresholds, strict=True)
        },
        receptive_field_samples=_receptive_field(finished.params),
        outputs=OutputNames(probability="probability", attention=attention) if several else None,
        card="README.md",
        notes=notes or None,
    )


def _receptive_field(params: TrainParams) -> int | None:
    """Only the residual network has one that is short and told by its kernels."""
    if params.model.name != "resnet1d":
        return None
    from ecgxai_core.models.zoo.resnet1d import DEFAULT, receptive_field

    options: Options = params.model.options or DEFAULT
    return receptive_field(options)
