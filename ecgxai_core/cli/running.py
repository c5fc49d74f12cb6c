"""``ecgxai select``, ``ecgxai run`` and ``ecgxai summary``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error, show_table
from ecgxai_core.cli.options import (
    ArraysOption,
    ChecksumOption,
    DataOption,
    JobsOption,
    ModelOption,
    ProfileOption,
    SeedOption,
    SetOption,
    TargetsOption,
)
from ecgxai_core.params import SelectionParams, checked, profile_with
from ecgxai_core.params import profile as named_profile

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEADLINE", "run", "select", "summary"]


def select(
    data: DataOption,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write")],
    target: TargetsOption = None,
    k_per_class: Annotated[int, typer.Option(help="records per diagnosis at most")] = 50,
    min_prob: Annotated[float, typer.Option(help="least meta-probability")] = 0.85,
    max_duration_sec: Annotated[float, typer.Option(help="longest record, seconds")] = 20.0,
    seed: SeedOption = None,
    arrays: ArraysOption = None,
    checksum: ChecksumOption = "warn",
) -> None:
    """Select good examples of every diagnosis (sel_df), as CSV."""
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.prediction import predict_data
    from ecgxai_core.pipeline.selecting import select_records
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.store.atomic import write_csv_atomic

    params = checked(
        SelectionParams,
        {
            "k_per_class": k_per_class,
            "min_prob": min_prob,
            "max_duration_sec": max_duration_sec,
            "seed": seed or 0,
        },
    )
    classifier = LazyClassifier(model)
    with open_store() as store, progress_bar("predict") as report:
        predictions = predict_data(data, classifier, store, arrays, checksum, report)
    frame = select_records(predictions, params, target).frame
    for failure in predictions.failures:
        say_error(failure.reason)
    write_csv_atomic(out, frame)
    say(f"{len(frame)} records of {len(predictions.records)} selected: {out}")
    if predictions.failures:
        raise typer.Exit(3)


def run(
    data: DataOption,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="run directory to write, or to carry on")],
    mode: Annotated[str, typer.Option("--mode", help="'demo' (3 a class) or 'eval' (50)")] = "demo",
    target: TargetsOption = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="repeat for several; they are fused; lime and timeshap"),
    ] = None,
    profile: ProfileOption = "default",
    seed: SeedOption = None,
    jobs: JobsOption = 1,
    settings: SetOption = None,
    arrays: ArraysOption = None,
    checksum: ChecksumOption = "warn",
) -> None:
    """Select, explain, fuse and judge; the same command carries on after an interruption."""
    from ecgxai_core.fusion import family_warning
    from ecgxai_core.pipeline.request import make_request
    from ecgxai_core.pipeline.run import run_pipeline

    request = make_request(
        data,
        model,
        out,
        mode=mode,
        targets=target,
        profile=profile_with(named_profile(profile), settings or [], seed),
        seed=seed,
        arrays=arrays,
        checksum=checksum,
        methods=method,
    )
    if family_warning(request.profile.methods):
        say(f"note: {family_warning(request.profile.methods)}")
    with progress_bar("run") as report:
        done = run_pipeline(request, jobs=jobs, progress=report)
    for failure in done.failures:
        say_error(failure.reason)
    say(
        f"{done.done} explained ({done.reused} from an earlier run), {len(done.failures)} failed, "
        f"{done.seconds:.1f} s: {out}"
    )
    if done.failures:
        raise typer.Exit(3)


HEADLINE = (
    "attauc_strict",
    "attauc_lenient",
    "deletion_gain",
    "insertion_gain",
    "spearman",
    "jaccard_at_k",
    "weighted_jaccard",
    "rbo_ext",
)


def summary(
    run_dir: Annotated[Path, typer.Argument(help="run directory", metavar="RUN")],
    metric: Annotated[str | None, typer.Option("--metric", help="one metric only")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="every metric, not only the main")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="maps against each other: paired tests by record, Holm's correction"
        ),
    ] = False,
) -> None:
    """Per-class summary of a finished run, with chance level and confidence intervals."""
    from ecgxai_core.pipeline.tables import read_summary

    table = read_summary(run_dir, metric)
    if metric is None and not everything:
        table = table[table["metric"].isin(HEADLINE)]
    show_table(_compared(run_dir, list(table["metric"].unique())) if compare else table)


def _compared(run_dir: Path, metrics: list[str]) -> pd.DataFrame:
    """Every pair of maps on these metrics, averaged by record; one correction for all."""
    from ecgxai_core.metrics.testing import compare_methods
    from ecgxai_core.pipeline.finished import read_finished_run
    from ecgxai_core.pipeline.tables import EVALUATION, STABILITY

    tables = read_finished_run(run_dir).tables
    keys = ["target", "record", "method"]
    judged, shaken = (
        tables[name][[*keys, *(m for m in metrics if m in tables[name])]]
        for name in (EVALUATION, STABILITY)
    )
    return compare_methods(judged.merge(shaken, on=keys, how="left"), metrics)
