"""``ecgxai train``, ``ablate``, ``search``, ``cross-validate``, ``evaluate-model``, ``runs``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error, say_warnings, show_table
from ecgxai_core.cli.options import ModelOption
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from ecgxai_core.training.config import TrainParams

__all__ = [
    "ablate",
    "cross_validate",
    "evaluate_model",
    "runs_app",
    "search",
    "soft_labels",
    "train",
]

ConfigArgument = Annotated[
    Path, typer.Argument(help="TOML file with every hyperparameter", metavar="CONFIG")
]
DataOption = Annotated[
    Path, typer.Option("--data", help="PTB-XL folder, or training arrays made from one")
]
OutOption = Annotated[Path, typer.Option("--out", help="folder to write; a stopped job continues")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="group.name=value, e.g. schedule.epochs=3; repeatable"),
]
FoldsOption = Annotated[list[int] | None, typer.Option("--fold", help="fold; repeat for several")]

runs_app = typer.Typer(help="Training runs: list, best, compare, plot.", no_args_is_help=True)


def train(
    config: ConfigArgument,
    data: DataOption,
    out: OutOption,
    settings: SetOption = None,
    init: Annotated[
        Path | None, typer.Option("--init", help="model to train further, of the same architecture")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="readers' labels: the CSV of ecgxai feedback export"),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="soft labels to learn from: what ecgxai soft-labels wrote"),
    ] = None,
) -> None:
    """Train a classifier, or continue a stopped run, and export it with a manifest."""
    from ecgxai_core.training.config import read_train_params
    from ecgxai_core.training.distil import read_soft_labels
    from ecgxai_core.training.jobs import run_training
    from ecgxai_core.training.reviewed import initial

    params = read_train_params(config, _changes(settings))
    if labels is not None and init is None:
        fix = "give the model that is to learn from them: --init MODEL"
        raise ParameterError("--labels", labels.name, "needs a model", fix)
    start = initial(init, labels) if init is not None else None
    if start is not None and start.reviews is not None:
        number = sum(len(said) for said in start.reviews.values())
        say(f"{number} labels of {len(start.reviews)} reviewed records")
    if teacher is not None and labels is not None:
        fix = "give one of the two"
        raise ParameterError("--teacher", teacher.name, "and readers' labels exclude", fix)
    soft = read_soft_labels(teacher) if teacher is not None else None
    results = run_training(params, data, out, _say_epoch, start, soft)
    say(json.dumps(results.get("macro", results), indent=1))
    if "before" in results:
        before = ", ".join(f"{name} {value:.4f}" for name, value in results["before"].items())
        say(f"the initial model on the same records: {before}")
    say(f"run: {out}")


def ablate(
    config: ConfigArgument,
    data: DataOption,
    out: OutOption,
    architecture: Annotated[
        list[str] | None, typer.Option("--model", help="architecture; default: the whole zoo")
    ] = None,
    settings: SetOption = None,
) -> None:
    """The same training with every architecture of the zoo."""
    from ecgxai_core.training.jobs import ablation
    from ecgxai_core.training.zoo import ARCHITECTURES

    base = _base(config, settings)
    _run_all(ablation(base, architecture or list(ARCHITECTURES)), data, out)


def search(
    config: ConfigArgument,
    data: DataOption,
    out: OutOption,
    choices: Annotated[
        list[str],
        typer.Option("--choice", help="group.name=v1,v2,... or group.name=low..high (log-uniform)"),
    ],
    n: Annotated[int, typer.Option("--n", min=0, help="random draws; 0 = the whole grid")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the draws")] = 0,
    settings: SetOption = None,
) -> None:
    """Grid or random search over hyperparameters."""
    from ecgxai_core.training.jobs import grid, random_search

    base, wanted = _base(config, settings), _choices(choices)
    ranges = [name for name, choice in wanted.items() if isinstance(choice, tuple)]
    if ranges and not n:
        problem = "is a range, of which a grid would train the two ends only"
        fix = "say how many draws with --n, or list values: name=v1,v2"
        raise ParameterError("--choice", ranges[0], problem, fix)
    _run_all(random_search(base, wanted, n, seed) if n else grid(base, wanted), data, out)


def cross_validate(
    config: ConfigArgument,
    data: DataOption,
    out: OutOption,
    fold: FoldsOption = None,
    parts: Annotated[
        int, typer.Option("--parts", min=0, help="runs to deal the folds to; 0 = one per fold")
    ] = 0,
    settings: SetOption = None,
) -> None:
    """Each fold once as the tuning fold; no patient is in two folds."""
    from ecgxai_core.training.jobs import cross_validation

    _run_all(cross_validation(_base(config, settings), fold, parts), data, out)


def soft_labels(
    runs: Annotated[list[Path], typer.Argument(help="finished training runs", metavar="RUN...")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="npz file to write")],
) -> None:
    """What trained models say of their tuning folds, as targets for ecgxai train --teacher."""
    from ecgxai_core.training import jobs
    from ecgxai_core.training.distil import save_soft_labels

    soft = jobs.soft_labels(runs, data)
    save_soft_labels(soft, out)
    say(f"{len(soft.names)} records, {len(soft.classes)} classes, {len(soft.runs)} models: {out}")


def evaluate_model(
    model: ModelOption,
    data: Annotated[Path, typer.Option("--data", help="data set with labels")],
    out: OutOption,
    layout: Annotated[
        str | None, typer.Option("--layout", help="ptb-xl, ptb-xl-500, cinc2020, ludb, ...")
    ] = None,
    fold: FoldsOption = None,
    tune_fold: Annotated[
        list[int] | None, typer.Option("--tune-fold", help="fold on which thresholds are chosen")
    ] = None,
    n_bootstrap: Annotated[int, typer.Option(min=0, help="bootstrap resamples")] = 1000,
) -> None:
    """Evaluate a classifier: AUROC, AUPRC, F1, calibration, subgroups, failures, with intervals."""
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.records.catalogues.catalogue import open_catalogue
    from ecgxai_core.training.evaluation import evaluate_model as evaluated
    from ecgxai_core.training.evaluation import save_report

    classifier = LazyClassifier(model)
    catalogue = open_catalogue(data, layout)
    with progress_bar("predict") as report:
        found = evaluated(
            classifier, catalogue, folds=fold, tune_folds=tune_fold, n_bootstrap=n_bootstrap,
            done=lambda done, total: report(done, total, ""),
        )  # fmt: skip
    folder = save_report(found, out)
    say_warnings(zip(found.evaluated.names, found.warnings, strict=True))
    for name in found.refused:
        say_error(f"{name}: could not be read")
    say(json.dumps(found.results["macro"], indent=1))
    _say_tasks(found.results["tasks"])
    say(f"report: {folder}")
    if found.refused:
        raise typer.Exit(3)


def _say_tasks(rows: Sequence[Mapping[str, Any]]) -> None:
    """The published tasks, one line each; those that the model cannot answer for say so."""
    for row in rows:
        about = f"{row['task']}: {row['classes']} classes, {row['records']} records"
        if row["known"] < row["classes"]:
            say(f"{about}: the model can answer for {row['known']} of the classes")
            continue
        interval = "-".join(f"{end:.4f}" for end in row["interval"])
        said = f" ({interval})" if interval else ""
        say(f"{about}: macro AUROC {row['auroc']:.4f}{said}")


def _say_epoch(row: dict[str, Any]) -> None:
    """One line on standard error for each finished epoch."""
    numbers = (f"{name} {value:.4g}" for name, value in row.items() if isinstance(value, float))
    typer.echo(f"epoch {row.get('epoch', '?')}: {', '.join(numbers)}", err=True)


def _base(config: Path, settings: Sequence[str] | None) -> TrainParams:
    from ecgxai_core.training.config import read_train_params

    return read_train_params(config, _changes(settings))


def _run_all(variants: Sequence[TrainParams], data: Path, out: Path) -> None:
    import pandas as pd

    from ecgxai_core.training.jobs import run_many

    show_table(pd.DataFrame(run_many(variants, data, out, _say_epoch)))
    say(f"runs: {out}")


def _changes(settings: Sequence[str] | None) -> dict[str, Any]:
    return dict(_pair(text, "--set") for text in settings or ())


def _choices(texts: Sequence[str]) -> dict[str, Sequence[Any]]:
    choices: dict[str, Sequence[Any]] = {}
    for text in texts:
        name, value = _pair(text, "--choice")
        low, dots, high = str(value).partition("..")
        if dots:
            choices[name] = (_bound(low, text), _bound(high, text))
        else:
            choices[name] = [_value(part) for part in str(value).split(",")]
    return choices


def _pair(text: str, option: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ParameterError(option, text, "is not name=value", f"write {option} name=value")
    return name.strip(), _value(value.strip()) if option == "--set" else value.strip()


def _bound(text: str, choice: str) -> float:
    try:
        return float(text)
    except ValueError:
        problem, fix = f"{text!r} is no number", "write --choice name=low..high, or name=v1,v2"
        raise ParameterError("--choice", choice, problem, fix) from None


def _value(text: str) -> Any:
    """The JSON value of a text, or else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


RunsArgument = Annotated[Path, typer.Argument(help="folder of training runs", metavar="FOLDER")]
MetricOption = Annotated[str, typer.Option("--metric", help="auroc, f1, loss, ...")]


@runs_app.command("list")
def list_runs(
    folder: RunsArgument,
    model: Annotated[str | None, typer.Option("--model", help="architecture")] = None,
    lowest_rate: Annotated[float | None, typer.Option(help="least learning rate")] = None,
    highest_rate: Annotated[float | None, typer.Option(help="largest learning rate")] = None,
    metric: MetricOption = "auroc",
    least: Annotated[float | None, typer.Option(help="worst value of --metric that passes")] = None,
    seeds: Annotated[bool, typer.Option("--seeds", help="mean and spread over seeds")] = False,
) -> None:
    """Every run that passes the filter."""
    from ecgxai_core.training.runs import RunFilter, find_runs, over_seeds, run_table

    chosen = RunFilter(model, lowest_rate, highest_rate, metric, least)
    found = find_runs(folder, chosen)
    if not found:
        say(f"{folder.name}: no run passes the filter")
        return
    _show(over_seeds(found, metric) if seeds else run_table(found))


@runs_app.command("best")
def best(folder: RunsArgument, metric: MetricOption = "auroc") -> None:
    """The run with the best value of a metric."""
    from ecgxai_core.training.runs import best_run, find_runs, run_table

    _show(run_table([best_run(find_runs(folder), metric)]))


@runs_app.command("compare")
def compare(
    runs: Annotated[list[Path], typer.Argument(help="run directories", metavar="RUN...")],
) -> None:
    """What differs between runs: parameters and results."""
    from ecgxai_core.training.runs import compare_runs, read_run

    _show(compare_runs([read_run(path) for path in runs]))


@runs_app.command("plot")
def plot(
    runs: Annotated[list[Path], typer.Argument(help="run directories", metavar="RUN...")],
    out: Annotated[Path, typer.Option("--out", help="HTML page to write")],
) -> None:
    """Training curves of one or several runs, as one self-contained page."""
    from ecgxai_core.training.figures import save_curves
    from ecgxai_core.training.runs import read_run

    say(f"curves: {save_curves([read_run(path) for path in runs], out)}")


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    import pandas as pd

    show_table(pd.DataFrame(list(rows)))
