"""``ecgxai select``, ``ecgxai run`` and ``ecgxai summary``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import finish, progress_bar, say, say_warnings, show_table
from ecgxai_core.params import SelectionParams, checked

if TYPE_CHECKING:
    import pandas as pd

    from ecgxai_core.models.loading import LazyClassifier

__all__ = ["HEADLINE", "merge", "run", "select", "summary"]


def select(
    data: options.DataOption,
    model: options.ModelOption,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write")],
    target: options.TargetsOption = None,
    k_per_class: options.KPerClassOption = None,
    min_prob: options.MinProbOption = None,
    max_duration: options.MaxDurationOption = None,
    everything: options.AllOption = False,
    seed: options.SeedOption = None,
    arrays: options.ArraysOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Select good examples of every diagnosis (sel_df), as CSV."""
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.predict import predict_data
    from ecgxai_core.pipeline.run.request import choose_records
    from ecgxai_core.pipeline.select import select_records
    from ecgxai_core.store.atomic import write_csv_atomic
    from ecgxai_core.store.cache import open_store

    limits = _limits(k_per_class, min_prob, max_duration)
    given = {name: value for name, value in limits.items() if value is not None}
    params = checked(SelectionParams, {**given, "seed": seed or 0})
    if everything:
        choose_records(targets=target, limits=limits, every=True)  # refuses what does not fit
    classifier = LazyClassifier(model)
    _note_free_names(classifier)
    with open_store() as store, progress_bar("predict") as report:
        predictions = predict_data(data, classifier, store, arrays, checksum, report)
    called_from = classifier.manifest.thresholds or {} if everything else None
    frame = select_records(predictions, params, target, called_from).frame
    write_csv_atomic(out, frame)
    say(f"{len(frame)} records of {len(predictions.records)} selected: {out}")
    chosen = [predictions.records[index] for index in sorted(set(frame["record_index"]))]
    say_warnings((info.name, info.all_warnings) for info in chosen)
    finish(predictions.failures)


def run(
    data: options.DataOption,
    model: options.ModelOption,
    out: Annotated[Path, typer.Option("--out", help="run directory to write or to continue")],
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="'demo' (3 records per diagnosis; the default) or 'eval' (50)"),
    ] = None,
    target: options.TargetsOption = None,
    k_per_class: options.KPerClassOption = None,
    min_prob: options.MinProbOption = None,
    max_duration: options.MaxDurationOption = None,
    selection: Annotated[
        Path | None,
        typer.Option("--selection", help="CSV of 'ecgxai select': exactly these records, targets"),
    ] = None,
    everything: options.AllOption = False,
    method: options.MethodsOption = None,
    profile: options.ProfileOption = "default",
    seed: options.SeedOption = None,
    jobs: options.JobsOption = 1,
    executor: options.ExecutorOption = "processes",
    scheduler: options.SchedulerOption = None,
    shard: options.ShardOption = None,
    settings: options.SetOption = None,
    arrays: options.ArraysOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Select, explain, fuse and evaluate; the same command continues after an interruption."""
    from ecgxai_core.fusion import family_warning
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.given_maps import methods_and_folders
    from ecgxai_core.pipeline.run.request import RunRequest, choose_records
    from ecgxai_core.pipeline.run.run import run_pipeline
    from ecgxai_core.pipeline.run.workers import executor_named
    from ecgxai_core.pipeline.shards import Shard

    part = Shard.of(shard) if shard is not None else None
    each = executor_named(executor, jobs, scheduler)
    limits = _limits(k_per_class, min_prob, max_duration)
    wanted = choose_records(mode, target, limits, seed, selection, every=everything)
    chosen = options.chosen_profile(profile, settings, seed)
    methods, folders = methods_and_folders(method or ())
    if methods:
        chosen = chosen.updated(methods=methods)
    request = RunRequest(data, model, out, chosen, wanted, arrays, checksum, folders)
    _note_free_names(LazyClassifier(model))
    if family_warning(request.profile.methods):
        say(f"note: {family_warning(request.profile.methods)}")
    with progress_bar("run") as report:
        done = run_pipeline(request, executor=each, progress=report, shard=part)
    say(
        f"{done.done} explained ({done.reused} from an earlier run), {len(done.failures)} failed, "
        f"{done.seconds:.1f} s: {out}"
    )
    say_warnings(done.warnings)
    finish(done.failures)


def _limits(
    k_per_class: int | None, min_prob: float | None, max_duration: float | None
) -> dict[str, float | None]:
    """The limits of a selection, by the names of their parameters."""
    return {"k_per_class": k_per_class, "min_prob": min_prob, "max_duration_sec": max_duration}


def _note_free_names(classifier: LazyClassifier) -> None:
    """A note about classes that only the model names."""
    from ecgxai_core.models.manifest import free_names_note

    if note := free_names_note(classifier.classes):
        say(f"note: {note}")


def merge(
    out: Annotated[Path, typer.Argument(help="run directory, or table or page, to write")],
    shards: Annotated[
        list[Path], typer.Argument(help="what the shards wrote, all of them", metavar="SHARD...")
    ],
) -> None:
    """Put the shards of a run, prediction or cohort together: the same bytes as without shards."""
    from ecgxai_core.audit.cohort_shards import is_cohort, merge_cohorts
    from ecgxai_core.cli.comparing import refuse_cohort_form, write_cohorts
    from ecgxai_core.pipeline.predict_many import is_prediction, merge_predictions
    from ecgxai_core.pipeline.run.merge import merge_runs

    if any(is_cohort(folder) for folder in shards):
        refuse_cohort_form(out)
        made, evaluation = merge_cohorts(shards)
        write_cohorts(out, made, evaluation)
        return
    with progress_bar("merge") as report:
        if any(is_prediction(folder) for folder in shards):
            result = merge_predictions(out, shards)
            said, failures = f"{result.records} records", result.failures
        else:
            done, failures = merge_runs(out, shards, progress=report)
            said = f"{done} explained, {len(failures)} failed"
    say(f"{len(shards)} shards merged, {said}: {out}")
    finish(failures)


HEADLINE = (
    "attauc_strict", "attauc_lenient", "deletion_gain", "insertion_gain",
    "spearman", "jaccard_at_k", "weighted_jaccard", "rbo_ext",
)  # fmt: skip
"""Metrics shown without ``--all``."""


def summary(
    run_dir: Annotated[Path, typer.Argument(help="run directory", metavar="RUN")],
    metric: Annotated[str | None, typer.Option("--metric", help="one metric only")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="all metrics, not only the main ones")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="compare maps: paired tests over records, with Holm's correction"
        ),
    ] = False,
) -> None:
    """Per-class summary of a finished run, with chance level and confidence intervals."""
    from ecgxai_core.pipeline.run.tables import read_summary

    table = read_summary(run_dir, metric)
    if metric is None and not everything:
        table = table[table["metric"].isin(HEADLINE)]
    show_table(_compared(run_dir, list(table["metric"].unique())) if compare else table)


def _compared(run_dir: Path, metrics: list[str]) -> pd.DataFrame:
    """Every pair of maps on these metrics, averaged by record; one correction for all tests."""
    from ecgxai_core.metrics.testing import compare_methods
    from ecgxai_core.pipeline.run.finished import read_finished_run
    from ecgxai_core.pipeline.run.tables import EVALUATION, STABILITY

    tables = read_finished_run(run_dir).tables
    keys = ["target", "record", "method"]
    evaluated, stable = (
        tables[name][[*keys, *(m for m in metrics if m in tables[name])]]
        for name in (EVALUATION, STABILITY)
    )
    return compare_methods(evaluated.merge(stable, on=keys, how="left"), metrics)
