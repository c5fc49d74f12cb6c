"""``ecgxai predict`` and ``ecgxai explain``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import (
    finish,
    progress_bar,
    say,
    say_error,
    say_map_warnings,
    say_warnings,
)
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from ecgxai_core.types import Attribution, FusedMap, QualityWarning

__all__ = ["explain", "predict"]


def predict(
    records: Annotated[list[Path], typer.Argument(help="records, or folders of records")],
    model: options.ModelOption,
    out: Annotated[
        Path, typer.Option("--out", help="CSV or .parquet file to write; of a shard a folder")
    ],
    jobs: options.JobsOption = 1,
    executor: options.ExecutorOption = "processes",
    scheduler: options.SchedulerOption = None,
    shard: options.ShardOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Probabilities of every class for every record, as CSV.

    The same command continues after an interruption.
    """
    from ecgxai_core.pipeline.predict_many import predict_table
    from ecgxai_core.pipeline.run.workers import executor_named
    from ecgxai_core.pipeline.shards import Shard

    part = Shard.of(shard) if shard is not None else None
    each = executor_named(executor, jobs, scheduler)
    with progress_bar("predict") as report:
        done = predict_table(
            records, model, out, checksum=checksum, jobs=jobs, shard=part, progress=report,
            executor=None if executor == "processes" else each,
        )  # fmt: skip
    if not done.records and part is None:
        for failure in done.failures:
            say_error(failure.reason)
        raise typer.Exit(2)
    before = f" ({done.reused} files from an earlier attempt)" if done.reused else ""
    say(f"{done.records} records predicted{before}, {len(done.failures)} refused: {out}")
    say_warnings(done.warned)
    finish(done.failures)


def explain(
    record: Annotated[Path, typer.Argument(help="one record (.hea, .mat, .dat or .dcm)")],
    model: options.ModelOption,
    target: Annotated[
        str,
        typer.Option(
            "--target", help="SNOMED-CT code or abbreviation; all = every output of the model"
        ),
    ],
    method: Annotated[
        str, typer.Option("--method", help=f"fused, or one of {options.METHODS_MARK}")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="file to write; with --target all a folder, one file per code"),
    ],
    form: Annotated[
        str,
        typer.Option("--format", help="json (all that is known), npz or csv (what others read)"),
    ] = "json",
    fuse: Annotated[
        list[str] | None,
        typer.Option("--fuse", help="with --method fused: a method to fuse; repeat"),
    ] = None,
    profile: options.ProfileOption = "default",
    start: options.StartOption = None,
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Explain predictions: signed weights for every lead and segment."""
    from ecgxai_core.case import Case
    from ecgxai_core.explainers import askable, params_for
    from ecgxai_core.fusion import family_warning
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.explain import (
        all_targets,
        explain_case,
        fused_map,
    )
    from ecgxai_core.pipeline.predict import checksum_policy
    from ecgxai_core.progress import part_of
    from ecgxai_core.records.read import read_record
    from ecgxai_core.store.cache import open_store

    chosen = options.chosen_profile(profile, settings, seed)
    classifier = LazyClassifier(model)
    ecg = read_record(record, checksum=checksum_policy(checksum))
    if form not in ("json", "npz", "csv"):
        raise ParameterError("--format", form, "is none of json, npz, csv", "use one of them")
    if fuse and method != "fused":
        raise ParameterError("--fuse", fuse[0], "needs --method fused", "give --method fused")
    methods = tuple(fuse or askable(chosen, classifier).methods) if method == "fused" else (method,)
    params = params_for(chosen, methods)
    every = target == "all"
    codes = all_targets(classifier, params.values()) if every else (target,)
    cases = [Case(ecg, classifier, code, start) for code in codes]
    if every:
        out.mkdir(parents=True, exist_ok=True)
    warned: list[QualityWarning] = []
    reasons: set[str] = set()
    with open_store() as store, progress_bar(method) as report:
        for number, case in enumerate(cases):
            part = part_of(report, number, len(cases), case.target)
            maps = explain_case(case, params, store, part)
            answer = fused_map(maps, chosen) if method == "fused" else maps[method]
            path = out / f"{quote(case.target, safe=' ')}.{form}" if every else out
            _write(path, form, answer, profile, ecg.synthetic, maps)
            p = f"p = {answer.probability:.4f}"
            say(f"{ecg.name}, {case.target}: {p}; {method} written to {path}")
            warned += answer.warnings
            reasons |= {item.diagnostics["segments_reason"] for item in maps.values()} - {None}
    for reason in sorted(reasons):
        say(f"segments: {reason}")
    say_map_warnings(warned)
    if family_warning(methods):
        say(f"note: {family_warning(methods)}")


def _write(
    path: Path,
    form: str,
    answer: Attribution | FusedMap,
    profile: str,
    synthetic: bool,
    maps: Mapping[str, Attribution],
) -> None:
    from ecgxai_core.foreign_maps import write_map
    from ecgxai_core.pipeline.export import explanation_json
    from ecgxai_core.store.atomic import write_json_atomic

    if form == "json":
        write_json_atomic(path, explanation_json(answer, profile, synthetic, maps))
    else:
        write_map(answer, path, form)
