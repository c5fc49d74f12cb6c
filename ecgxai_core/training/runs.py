"""Training runs: their files, and how they are listed, ranked and compared.

A run is a directory with configuration, history, checkpoint, weights and results. Every file is
written completely or not at all, so a run can be killed at any moment. There is no database, so a
directory can be moved, copied or deleted.
"""

from __future__ import annotations

import io
import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.store.atomic import write_bytes_atomic
from ecgxai_core.store.values import json_safe

__all__ = [
    "METRICS",
    "Arrays",
    "RunFilter",
    "TrainingRun",
    "best_run",
    "compare_runs",
    "find_runs",
    "git_revision",
    "load_bundle",
    "over_seeds",
    "read_json",
    "read_run",
    "run_table",
    "same_but_seed",
    "save_bundle",
    "write_atomically",
    "write_json",
]

Arrays = Sequence[npt.NDArray[Any]]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a temporary file, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(path, data)


def write_json(path: Path, value: Any) -> None:
    """Write JSON; numbers that are not finite become ``null``."""
    text = json.dumps(json_safe(value), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode("utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    RunError
        The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        problem = "is missing or not JSON"
        raise RunError(path.parent.name, path.name, problem, "give a run directory") from None


def save_bundle(path: Path, groups: Mapping[str, Arrays], about: Mapping[str, Any]) -> None:
    """Write groups of arrays and a JSON text to one ``npz`` file, so that they stay consistent."""
    named = {
        f"{group}/{number:05d}": np.asarray(array)
        for group, arrays in groups.items()
        for number, array in enumerate(arrays)
    }
    text = np.frombuffer(json.dumps(dict(about)).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, about=text, **named)
    write_atomically(path, stream.getvalue())


def load_bundle(path: Path) -> tuple[dict[str, list[npt.NDArray[Any]]], dict[str, Any]]:
    """Read what :func:`save_bundle` wrote.

    Raises
    ------
    RunError
        The file is damaged.
    """
    groups: dict[str, list[npt.NDArray[Any]]] = {}
    try:
        with np.load(path, allow_pickle=False) as bundle:
            about = json.loads(bundle["about"].tobytes())
            for name in sorted(bundle.files):
                if "/" in name:
                    groups.setdefault(name.split("/")[0], []).append(bundle[name])
    except (OSError, ValueError, KeyError, EOFError) as error:
        problem = f"is damaged ({type(error).__name__})"
        raise RunError(path.parent.name, path.name, problem, "delete it") from None
    return groups, about


def git_revision() -> str:
    """Git revision of the source, with ``+changes`` if it was edited since, or ``"unknown"``."""
    folder = Path(__file__).resolve().parent
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


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
    """A training run: ``params`` as written in its directory, one history row per epoch."""

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
        """The best value of a metric over epochs; NaN if no epoch has one."""
        values = [row[metric] for row in self.history if row.get(metric) is not None]
        if not values:
            return math.nan
        return float(max(values) if METRICS[metric] else min(values))


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Conditions on runs; ``None`` = no condition. ``least`` is the worst accepted ``metric``."""

    model: str | None = None
    lowest_rate: float | None = None
    highest_rate: float | None = None
    metric: str = "auroc"
    least: float | None = None

    def takes(self, run: TrainingRun) -> bool:
        """Whether a run meets the conditions."""
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
    """Read a run directory.

    Raises
    ------
    RunError
        It is not the directory of a training run.
    """
    config = read_json(path / "config.json")
    try:
        params = dict(config["params"])
        model, seed = str(params["model"]["name"]), int(params["seed"])
    except (KeyError, TypeError, ValueError):
        problem = "is not that of a training run"
        raise RunError(path.name, "config.json", problem, "give a training run") from None
    rows = read_json(path / "history.json") if (path / "history.json").exists() else []
    finished = (path / "results.json").exists()
    return TrainingRun(path.name, path, model, seed, params, tuple(rows), finished)


def find_runs(folder: Path, chosen: RunFilter | None = None) -> list[TrainingRun]:
    """Runs in a folder and its subfolders that pass a filter, sorted by path.

    Raises
    ------
    RunError
        The folder does not exist.
    """
    if not folder.is_dir():
        raise RunError(folder.name, "", "is not a folder", "give the folder of the runs")
    runs = []
    for config in sorted(folder.rglob("config.json")):
        try:
            run = read_run(config.parent)
        except RunError:
            continue  # some other tool's config.json
        if chosen is None or chosen.takes(run):
            runs.append(run)
    return runs


def best_run(runs: Sequence[TrainingRun], metric: str = "auroc") -> TrainingRun:
    """The run with the best value; the first, if tied.

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
    """One row per run, with its settings and best values."""
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
    """One row per parameter that differs between the runs, then one per metric.

    Each row has ``"what"`` and one column per run.
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
    """Mean and standard deviation over runs that differ only in seed and name."""
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
    """Group runs whose parameters differ only in seed and name."""
    groups: dict[str, list[TrainingRun]] = {}
    for run in runs:
        same = {key: v for key, v in _flat(run.params).items() if key not in ("name", "seed")}
        groups.setdefault(repr(sorted(same.items())), []).append(run)
    return list(groups.values())


def _known(metric: str) -> str:
    if metric not in METRICS:
        known = f"use one of {', '.join(METRICS)}"
        raise RunError("runs", metric, "is not a metric of training runs", known)
    return metric


def _titles(runs: Sequence[TrainingRun]) -> list[str]:
    """Run names; paths where names are not unique."""
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
