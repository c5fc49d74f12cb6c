"""The training runs below a folder: list, best, compare, seeds together.

A run is a directory with ``config.json`` and ``history.json`` (see ``models.training.rundir``); no
database stands beside them, so a directory can be moved, copied or deleted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import RunError
from ecgxai_core.models.training.rundir import read_json

__all__ = [
    "METRICS",
    "RunFilter",
    "TrainingRun",
    "best_run",
    "compare_runs",
    "find_runs",
    "over_seeds",
    "read_run",
    "run_table",
    "same_but_seed",
]

METRICS: Mapping[str, bool] = {
    "auroc": True,
    "auroc_superclasses": True,
    "f1": True,
    "sensitivity": True,
    "specificity": True,
    "tune_loss": False,
    "loss": False,
}
"""Metrics of a history row -> whether larger is better."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run directory, read: ``params`` as written in it, one history row an epoch."""

    name: str
    path: Path
    model: str
    seed: int
    params: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    finished: bool

    @property
    def learning_rate(self) -> float:
        """The highest learning rate of the schedule."""
        return float(self.params.get("schedule", {}).get("learning_rate", math.nan))

    def best(self, metric: str) -> float:
        """The metric in the epoch where it is best; NaN where no epoch has it."""
        values = [row[metric] for row in self.history if row.get(metric) is not None]
        if not values:
            return math.nan
        return float(max(values) if METRICS[metric] else min(values))


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are meant; what is ``None`` does not matter.

    ``least`` is the worst value of ``metric`` that still counts.
    """

    model: str | None = None
    lowest_rate: float | None = None
    highest_rate: float | None = None
    metric: str = "auroc"
    least: float | None = None

    def takes(self, run: TrainingRun) -> bool:
        """Whether a run passes."""
        rate, value = run.learning_rate, run.best(_known(self.metric))
        good = self.least is None or (
            value >= self.least if METRICS[self.metric] else value <= self.least
        )
        return (
            (self.model is None or run.model == self.model)
            and (self.lowest_rate is None or rate >= self.lowest_rate)
            and (self.highest_rate is None or rate <= self.highest_rate)
            and good
        )


def read_run(path: Path) -> TrainingRun:
    """Read one run directory.

    Raises
    ------
    RunError
        It is none.
    """
    config = read_json(path / "config.json")
    try:
        params = dict(config["params"])
        model, seed = str(params["model"]["name"]), int(params["seed"])
    except (KeyError, TypeError, ValueError):
        raise RunError(
            path.name, "config.json", "is not that of a training run", "give a training run"
        ) from None
    rows = read_json(path / "history.json") if (path / "history.json").exists() else []
    finished = (path / "results.json").exists()
    return TrainingRun(path.name, path, model, seed, params, tuple(rows), finished)


def find_runs(folder: Path, chosen: RunFilter | None = None) -> list[TrainingRun]:
    """Runs below a folder that pass a filter, by path; directories that are no runs are left out.

    Raises
    ------
    RunError
        The folder does not exist.
    """
    if not folder.is_dir():
        raise RunError(folder.name, "", "is no folder", "give the folder of the runs")
    runs = []
    for config in sorted(folder.rglob("config.json")):
        try:
            run = read_run(config.parent)
        except RunError:
            continue  # another tool's config.json is nobody's error
        if chosen is None or chosen.takes(run):
            runs.append(run)
    return runs


def best_run(runs: Sequence[TrainingRun], metric: str = "auroc") -> TrainingRun:
    """The run with the best value; the first of equal ones.

    Raises
    ------
    RunError
        No run has the metric.
    """
    better = 1 if METRICS[_known(metric)] else -1
    scored = [run for run in runs if not math.isnan(run.best(metric))]
    if not scored:
        raise RunError("runs", metric, "no run has it", "train, or choose another folder")
    return max(scored, key=lambda run: better * run.best(metric))


def run_table(runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """One row a run: what it is and its best values."""
    return [
        {
            "run": run.name,
            "model": run.model,
            "seed": run.seed,
            "learning_rate": run.learning_rate,
            "epochs": len(run.history),
            "finished": run.finished,
            **{metric: run.best(metric) for metric in METRICS},
        }
        for run in runs
    ]


def compare_runs(runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """What differs: one row per parameter that is not the same in all runs, then the metrics.

    Each row has ``"what"`` and one column per run name.
    """
    flat = [_flat(run.params) for run in runs]
    names = sorted({name for params in flat for name in params} - {"name"})
    rows = []
    for name in names:
        values = [params.get(name) for params in flat]
        if any(value != values[0] for value in values):
            rows.append({"what": name, **dict(zip(_titles(runs), values, strict=True))})
    for metric in METRICS:
        values = [run.best(metric) for run in runs]
        rows.append({"what": metric, **dict(zip(_titles(runs), values, strict=True))})
    return rows


def over_seeds(runs: Sequence[TrainingRun], metric: str = "auroc") -> list[dict[str, Any]]:
    """Runs that differ in nothing but seed and name, together: mean and sample deviation."""
    _known(metric)
    rows = []
    for members in same_but_seed(runs):
        values = np.array([run.best(metric) for run in members])
        values = values[~np.isnan(values)]
        rows.append(
            {
                "model": members[0].model,
                "learning_rate": members[0].learning_rate,
                "runs": len(members),
                "seeds": sorted(run.seed for run in members),
                f"{metric}_mean": float(values.mean()) if len(values) else math.nan,
                f"{metric}_sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
            }
        )
    return rows


def same_but_seed(runs: Sequence[TrainingRun]) -> list[list[TrainingRun]]:
    """Runs in groups whose parameters differ in nothing but seed and name."""
    groups: dict[str, list[TrainingRun]] = {}
    for run in runs:
        same = {key: v for key, v in _flat(run.params).items() if key not in ("name", "seed")}
        groups.setdefault(repr(sorted(same.items())), []).append(run)
    return list(groups.values())


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise RunError("runs", metric, "is no metric of a run", f"use one of {', '.join(METRICS)}")
    return metric


def _titles(runs: Sequence[TrainingRun]) -> list[str]:
    """Run names, with their folder where two are the same."""
    names = [run.name for run in runs]
    twice = {name for name in names if names.count(name) > 1}
    return [str(run.path) if run.name in twice else run.name for run in runs]


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat
