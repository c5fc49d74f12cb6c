"""Whole jobs, one call each: train and export; several seeds, folds, architectures or settings."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.models.training.arrays import EcgArrays, open_arrays
from ecgxai_core.models.training.card import model_card, what_it_sees
from ecgxai_core.models.training.config import TrainParams, read_train_params
from ecgxai_core.models.training.export import export_run
from ecgxai_core.models.training.loop import Progress, train
from ecgxai_core.models.training.prepare import prepare_arrays
from ecgxai_core.models.training.rundir import read_json, write_atomically, write_json
from ecgxai_core.params import checked
from ecgxai_core.records.labels import SUPERCLASSES
from ecgxai_core.types import content_seed

__all__ = [
    "ablation",
    "cross_validation",
    "default_notes",
    "grid",
    "prepared",
    "random_search",
    "read_and_run",
    "run_many",
    "run_training",
    "seeds",
    "ship_model",
]

log = logging.getLogger(__name__)


def prepared(data: Path, work: Path) -> EcgArrays:
    """Training arrays of a folder: itself, if it holds them, else made from PTB-XL into ``work``.

    Raises
    ------
    RunError, RecordError
        The folder is neither.
    """
    if (data / "arrays.json").exists():
        return open_arrays(data)
    if not (work / "arrays.json").exists():
        from ecgxai_core.records.catalogue_ptbxl import read_ptbxl

        log.info("writing training arrays to %s", work.name)
        prepare_arrays(read_ptbxl(data), work)
    return open_arrays(work)


def run_training(
    params: TrainParams, data: Path, run: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Train (or go on), then write ``MODEL.keras``, manifest and ``results.json`` into the run.

    A run that is finished is only exported again.
    """
    arrays = prepared(data, run.parent / f"{data.name}-arrays")
    train(params, arrays, run, progress)
    return export_run(run, arrays, run / f"{params.name}.keras", notes=default_notes(params))


def ship_model(run: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Write weights, manifest and model card of a run into ``folder`` (``assets/models/NAME``).

    The card says what the run did: where it was stopped before the end of its schedule, the
    command in the card stops there as well.
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
    text = model_card(params, results, what_it_sees(params, arrays.fs), command, arrays.fs)
    write_atomically(folder / "README.md", text.encode("utf-8"))
    return results


def default_notes(params: TrainParams) -> str:
    """What a reader of the manifest should know."""
    supers = ", ".join(SUPERCLASSES)
    folds = ", ".join(map(str, params.data.train_folds))
    return (
        f"{supers} are PTB-XL's diagnostic superclasses, not SNOMED-CT codes. Trained on folds "
        f"{folds}; for research and teaching only."
    )


def run_many(
    variants: Sequence[TrainParams], data: Path, out: Path, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Run variants one after the other, each in a directory of its name; a stopped job goes on.

    ``summary.json`` in ``out`` holds one row a variant.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) != len(names):
        raise RunError(out.name, "name", "two variants have the same name", "name them apart")
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
    """The same run with several architectures, each with its own default sizes."""
    return [
        base.updated(name=f"{base.name}-{name}", model={"name": name, "options": None})
        for name in architectures
    ]


def cross_validation(base: TrainParams, folds: Sequence[int] | None = None) -> list[TrainParams]:
    """Each fold once as tuning fold, the others train. Folds never divide a patient."""
    every = sorted(folds or (*base.data.train_folds, *base.data.tune_folds))
    if len(every) < 2:
        raise ParameterError("folds", every, "are fewer than two", "give two or more")
    variants = []
    for fold in every:
        others = tuple(other for other in every if other != fold)
        data = base.data.updated(train_folds=others, tune_folds=(fold,))
        variants.append(base.updated(name=f"{base.name}-fold{fold}", data=data))
    return variants


def grid(base: TrainParams, choices: Mapping[str, Sequence[Any]]) -> list[TrainParams]:
    """Every combination of ``{"schedule.learning_rate": [1e-3, 3e-3], ...}``."""
    names = list(choices)
    combinations = itertools.product(*(choices[name] for name in names))
    return list(_changed(base, (dict(zip(names, c, strict=True)) for c in combinations)))


def random_search(
    base: TrainParams, choices: Mapping[str, Sequence[Any]], n: int, seed: int = 0
) -> list[TrainParams]:
    """``n`` random combinations; two numbers ``(low, high)`` in a tuple are a log-uniform range.

    Bergstra & Bengio, JMLR 13:281 (2012). Draw ``i`` depends on the seed and ``i`` alone.
    """
    draws = []
    for i in range(n):
        rng = np.random.default_rng(content_seed("random search", seed, i))
        draws.append({name: _draw(options, rng) for name, options in sorted(choices.items())})
    return list(_changed(base, draws))


def _draw(options: Sequence[Any], rng: np.random.Generator) -> Any:
    if isinstance(options, tuple) and len(options) == 2 and all(o > 0 for o in options):
        return float(np.exp(rng.uniform(np.log(options[0]), np.log(options[1]))))
    return options[int(rng.integers(len(options)))]


def _changed(
    base: TrainParams, changes: Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]]
) -> Iterator[TrainParams]:
    for number, change in enumerate(changes, start=1):
        values = base.model_dump()
        for dotted, value in change.items():
            *groups, last = dotted.split(".")
            inner = values
            for group in groups:
                inner = inner[group] if isinstance(inner.get(group), dict) else {}
            if last not in inner:
                raise ParameterError("parameter", dotted, "is unknown", "see the training file")
            inner[last] = value
        yield checked(TrainParams, {**values, "name": f"{base.name}-{number:03d}"})


def read_and_run(
    config: Path, data: Path, run: Path, changes: Mapping[str, Any], progress: Progress | None
) -> dict[str, Any]:
    """``ecgxai train CONFIG --data DATA --out RUN``."""
    return run_training(read_train_params(config, changes), data, run, progress)
