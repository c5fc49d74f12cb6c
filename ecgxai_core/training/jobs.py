"""Training jobs: train and export one model, or vary seeds, folds, architectures or settings."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.models.manifest import Manifest, OutputNames, manifest_path, save_manifest
from ecgxai_core.params import checked
from ecgxai_core.records.catalogues.ptbxl import SUPERCLASSES
from ecgxai_core.training.arrays import EcgArrays, open_arrays, prepare_arrays
from ecgxai_core.training.card import model_card, receptive_field_text
from ecgxai_core.training.config import TrainParams, set_parameter
from ecgxai_core.training.distil import Answers, SoftLabels, pooled
from ecgxai_core.training.evaluation import EvaluationData, evaluate, failures, subgroups
from ecgxai_core.training.loop import Progress, predict_rows, train
from ecgxai_core.training.reviewed import Start, relabelled
from ecgxai_core.training.runs import load_bundle, read_json, write_atomically, write_json
from ecgxai_core.training.scores import (
    auprc,
    auroc,
    best_f1_thresholds,
    fit_temperature,
    macro,
    with_temperature,
)
from ecgxai_core.training.trainer import class_probabilities
from ecgxai_core.training.zoo import Shape, build, receptive_field
from ecgxai_core.types import STANDARD_LEADS, Float32Array, FloatArray, IntArray, content_seed

__all__ = [
    "FinishedRun",
    "ablation",
    "cross_validation",
    "default_notes",
    "export_run",
    "finished_run",
    "grid",
    "prepared",
    "random_search",
    "run_many",
    "run_training",
    "seeds",
    "ship_model",
    "soft_labels",
]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """Configuration of a run, and its Keras model with the best weights."""

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
        The directory contains no run, or no epoch of it is complete.
    """
    config = read_json(run / "config.json")
    if not (run / "best.npz").exists():
        raise RunError(run.name, "best.npz", "no epoch is complete", "continue the training")
    params = checked(TrainParams, config["params"])
    classes = tuple(config["classes"])
    shape = Shape(samples, len(STANDARD_LEADS), len(classes))
    model = build(params.model.name, shape, params.model.options, params.seed)
    groups, best = load_bundle(run / "best.npz")
    model.set_weights(groups["weights"])
    return FinishedRun(params, classes, config, best, model)


def export_run(run: Path, arrays: EcgArrays, dest: Path, *, notes: str = "") -> dict[str, Any]:
    """Write ``dest`` (``NAME.keras``) and its manifest; return the results, also kept in the run.

    Temperature and thresholds (largest F1 of each class) are chosen on the tuning folds, so scores
    at those thresholds are optimistic; AUROC and AUPRC do not depend on them.

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
    evaluated = EvaluationData(
        classes=finished.classes,
        names=tuple(arrays.names[row] for row in rows),
        patients=tuple(arrays.patients[row] for row in rows),
        truth=truth,
        probabilities=p,
        thresholds=thresholds,
        ages=arrays.ages[rows],
        sexes=tuple(arrays.sexes[row] for row in rows),
        quality=tuple(arrays.quality[row] for row in rows),
    )
    results = {
        "name": finished.params.name,
        "model": finished.params.model.name,
        "parameters": int(finished.model.count_params()),
        "epoch": finished.best["epoch"],
        "revision": finished.config["revision"],
        "temperature": temperature,
        "folds": list(finished.params.data.tune_folds),
        **evaluate(evaluated),
        "subgroups": subgroups(evaluated),
        "failures": failures(evaluated),
    }
    write_json(run / "results.json", results)
    _save(finished, dest)
    manifest = _manifest(finished, arrays, dest, temperature, thresholds, notes)
    save_manifest(manifest, manifest_path(dest))
    return results


def _predict(model: Any, arrays: EcgArrays, rows: IntArray) -> Float32Array:
    import tensorflow as tf

    forward = tf.function(lambda signals: model(signals, training=False), reduce_retracing=True)

    def predict(signals: Float32Array) -> Float32Array:
        outputs = forward(tf.constant(signals))
        return np.asarray(class_probabilities(outputs).numpy(), np.float32)

    return predict_rows(predict, arrays, rows, _BATCH)


def _save(finished: FinishedRun, dest: Path) -> None:
    """Save the model; as it was never compiled, the file contains no optimiser."""
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
        receptive_field_samples=receptive_field(
            finished.params.model.name, finished.params.model.options
        ),
        outputs=OutputNames(probability="probability", attention=attention) if several else None,
        card="README.md",
        notes=notes or None,
    )


log = logging.getLogger(__name__)


def prepared(data: Path, work: Path) -> EcgArrays:
    """Open the training arrays in ``data``, or make them from PTB-XL in ``data`` into ``work``.

    Raises
    ------
    RunError, RecordError
        ``data`` contains neither.
    """
    if (data / "arrays.json").exists():
        return open_arrays(data)
    if not (work / "arrays.json").exists():
        from ecgxai_core.records.catalogues.ptbxl import read_ptbxl

        log.info("writing training arrays to %s", work.name)
        prepare_arrays(read_ptbxl(data), work)
    return open_arrays(work)


def run_training(
    params: TrainParams,
    data: Path,
    run: Path,
    progress: Progress | None = None,
    start: Start | None = None,
    teacher: SoftLabels | None = None,
) -> dict[str, Any]:
    """Train or resume, then write ``NAME.keras``, its manifest and ``results.json`` into the run.

    A finished run is only exported again. With a ``start`` the results also hold what the initial
    model scores on the tuning folds (``before``).
    """
    arrays = prepared(data, run.parent / f"{data.name}-arrays")
    train(params, arrays, run, progress, start, teacher)
    if start is not None and start.reviews is not None:
        arrays = relabelled(arrays, start.reviews)
    dest, notes = run / f"{params.name}.keras", default_notes(params)
    if teacher is not None:
        notes += f" Distilled from {len(teacher.runs)} models that had not seen the record."
    if start is not None:
        notes += f" Trained further from the model with SHA-256 {start.digest[:12]}"
        said = start.reviews
        notes += "." if said is None else f", on readers' labels of {len(said)} records."
    results = export_run(run, arrays, dest, notes=notes)
    if start is not None:
        results["before"] = _before(start, params, arrays)
        write_json(run / "results.json", results)
    return results


def soft_labels(runs: Sequence[Path], data: Path) -> SoftLabels:
    """What finished runs say of their tuning folds, pooled (:func:`ecgxai_core.training.distil`).

    ``data`` is the folder of the runs' training arrays, or of PTB-XL.

    Raises
    ------
    RunError
        A run is not finished, was made on other data, or does not fit the others.
    """
    arrays = prepared(data, runs[0].parent / f"{data.name}-arrays") if runs else None
    return pooled(_answers(run, arrays) for run in runs if arrays is not None)


def _answers(run: Path, arrays: EcgArrays) -> Answers:
    finished = finished_run(run, int(arrays.signals.shape[1]))
    if finished.config["data"] != arrays.digest:
        raise RunError(run.name, "data", "is another data set", "give the folder it was made on")
    folds = finished.params.data
    rows = arrays.in_folds(folds.tune_folds)
    seen = frozenset((*folds.train_folds, *folds.tune_folds))
    p, names = _predict(finished.model, arrays, rows), tuple(arrays.names[row] for row in rows)
    return Answers(run.name, finished.classes, names, p, seen, arrays.digest)


def _before(start: Start, params: TrainParams, arrays: EcgArrays) -> dict[str, float]:
    """AUROC and AUPRC of the initial model on the tuning folds, which need no threshold."""
    shape = Shape(int(arrays.signals.shape[1]), len(STANDARD_LEADS), len(start.classes))
    model = build(params.model.name, shape, params.model.options, params.seed)
    model.set_weights(list(start.weights))
    rows = arrays.in_folds(params.data.tune_folds)
    truth, p = arrays.truth(start.classes, rows), _predict(model, arrays, rows)
    return {"auroc": macro(auroc(truth, p)), "auprc": macro(auprc(truth, p))}


def ship_model(run: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Write weights, manifest and model card of a run into ``folder`` (``assets/models/NAME``).

    If the run was stopped before the end of its schedule, so does the command in the card.
    """
    arrays = prepared(data, run.parent / f"{data.name}-arrays")
    config = read_json(run / "config.json")
    params = checked(TrainParams, config["params"])
    done = len(read_json(run / "history.json"))
    results = export_run(run, arrays, folder / f"{params.name}.keras", notes=default_notes(params))
    command = (
        f"ecgxai train assets/models/{params.name}/train.toml --data PTB-XL "
        f"--out runs/{params.name}"
    )
    if done < params.schedule.epochs:
        command += f" --set schedule.stop_after={done}"
    if "teacher" in config:
        command += " --teacher soft.npz"
    field = receptive_field_text(params, arrays.fs)
    text = model_card(params, results, field, command, arrays.fs)
    write_atomically(folder / "README.md", text.encode("utf-8"))
    return results


def default_notes(params: TrainParams) -> str:
    """Notes for the manifest."""
    supers = ", ".join(SUPERCLASSES)
    folds = ", ".join(map(str, params.data.train_folds))
    return (
        f"{supers} are PTB-XL's diagnostic superclasses, not SNOMED-CT codes. Trained on folds "
        f"{folds}; for research and teaching only."
    )


def run_many(
    variants: Sequence[TrainParams], data: Path, out: Path, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Run variants in turn, each in a directory named after it; an interrupted job resumes.

    ``summary.json`` in ``out`` has one row per variant.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) != len(names):
        fix = "give every variant its own name"
        raise RunError(out.name, "name", "two variants have the same name", fix)
    rows = []
    for variant in variants:
        results = run_training(variant, data, out / variant.name, progress)
        supers = results["superclasses"]["auroc"]
        row = {"run": variant.name, "model": variant.model.name, "seed": variant.seed}
        rows.append({**row, **results["macro"], "auroc_superclasses": supers})
        write_json(out / "summary.json", rows)
    return rows


def seeds(base: TrainParams, values: Sequence[int]) -> list[TrainParams]:
    """The same run with several seeds."""
    return [base.updated(name=f"{base.name}-seed{seed}", seed=seed) for seed in values]


def ablation(base: TrainParams, architectures: Sequence[str]) -> list[TrainParams]:
    """The same run with several architectures, each with its default sizes."""
    return [
        base.updated(name=f"{base.name}-{name}", model={"name": name, "options": None})
        for name in architectures
    ]


def cross_validation(
    base: TrainParams, folds: Sequence[int] | None = None, parts: int = 0
) -> list[TrainParams]:
    """Use each fold once for tuning and the others for training; patients are never split.

    With ``parts`` the folds are dealt into so many groups, which makes so many runs.
    """
    every = sorted(folds or (*base.data.train_folds, *base.data.tune_folds))
    parts = parts or len(every)
    if not 2 <= parts <= len(every):
        problem = "needs two folds or more, and two parts to one per fold"
        raise ParameterError("folds", every, problem, "give more folds, or another --parts")
    variants = []
    for part in range(parts):
        held = tuple(every[part::parts])
        others = tuple(other for other in every if other not in held)
        data = base.data.updated(train_folds=others, tune_folds=held)
        name = "-".join(map(str, held))
        variants.append(base.updated(name=f"{base.name}-fold{name}", data=data))
    return variants


def grid(base: TrainParams, choices: Mapping[str, Sequence[Any]]) -> list[TrainParams]:
    """Every combination of ``{"schedule.learning_rate": [1e-3, 3e-3], ...}``."""
    combinations = itertools.product(*choices.values())
    return _changed(base, (dict(zip(choices, c, strict=True)) for c in combinations))


def random_search(
    base: TrainParams, choices: Mapping[str, Sequence[Any]], n: int, seed: int = 0
) -> list[TrainParams]:
    """``n`` random combinations; a tuple ``(low, high)`` of two numbers is a log-uniform range.

    Bergstra & Bengio, JMLR 13:281 (2012). Draw ``i`` depends only on the seed and ``i``.
    """
    draws = []
    for i in range(n):
        rng = np.random.default_rng(content_seed("random search", seed, i))
        draws.append({name: _draw(options, rng) for name, options in sorted(choices.items())})
    return _changed(base, draws)


def _draw(options: Sequence[Any], rng: np.random.Generator) -> Any:
    if isinstance(options, tuple) and len(options) == 2 and all(o > 0 for o in options):
        return float(np.exp(rng.uniform(np.log(options[0]), np.log(options[1]))))
    return options[int(rng.integers(len(options)))]


def _changed(base: TrainParams, changes: Iterable[Mapping[str, Any]]) -> list[TrainParams]:
    variants = []
    for number, change in enumerate(changes, start=1):
        values = {**base.model_dump(), "name": f"{base.name}-{number:03d}"}
        for dotted, value in change.items():
            set_parameter(values, dotted, value)
        variants.append(checked(TrainParams, values))
    return variants
