"""``ecgxai predict`` and ``ecgxai explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error
from ecgxai_core.cli.options import (
    ChecksumOption,
    ModelOption,
    ProfileOption,
    SeedOption,
    SetOption,
    StartOption,
)
from ecgxai_core.errors import ParameterError
from ecgxai_core.params import profile as named_profile
from ecgxai_core.params import profile_with

__all__ = ["explain", "predict"]


def predict(
    records: Annotated[list[Path], typer.Argument(help="records, or folders of records")],
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write")],
    checksum: ChecksumOption = "warn",
) -> None:
    """Probabilities of every class for every record, as CSV."""
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.prediction import predict_paths
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.store.atomic import write_csv_atomic

    classifier = LazyClassifier(model)
    with open_store() as store, progress_bar("predict") as report:
        result = predict_paths(records, classifier, store, checksum=checksum, progress=report)
    for failure in result.failures:
        say_error(failure.reason)
    if not result.records:
        raise typer.Exit(2)
    write_csv_atomic(out, result.frame())
    say(f"{len(result.records)} records predicted, {len(result.failures)} refused: {out}")
    if result.failures:
        raise typer.Exit(3)


def explain(
    record: Annotated[Path, typer.Argument(help="one record (.hea, .mat, .dat or .dcm)")],
    model: ModelOption,
    target: Annotated[str, typer.Option("--target", help="SNOMED-CT code or abbreviation")],
    method: Annotated[str, typer.Option("--method", help="lime, occlusion, ... or fused")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write")],
    fuse: Annotated[
        list[str] | None,
        typer.Option("--fuse", help="with --method fused: a method to fuse; repeat"),
    ] = None,
    profile: ProfileOption = "default",
    start: StartOption = None,
    settings: SetOption = None,
    seed: SeedOption = None,
    checksum: ChecksumOption = "warn",
) -> None:
    """Explain one prediction: signed weights for every lead and segment, as JSON."""
    from ecgxai_core.fusion import family_warning
    from ecgxai_core.pipeline.explanation import FUSED_METHODS, explain_record, fused_map, target_of
    from ecgxai_core.pipeline.export import explanation_json
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.prediction import checksum_policy
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.records.read import read_record
    from ecgxai_core.store.atomic import write_json_atomic

    chosen = profile_with(named_profile(profile), settings or [], seed)
    classifier = LazyClassifier(model)
    code = target_of(target, classifier)
    ecg = read_record(record, checksum=checksum_policy(checksum))
    if fuse and method != "fused":
        raise ParameterError("--fuse", fuse[0], "goes with --method fused", "give --method fused")
    methods = tuple(fuse or FUSED_METHODS) if method == "fused" else (method,)
    params = {name: chosen.for_method(name) for name in methods}
    with open_store() as store, progress_bar(method) as report:
        maps = explain_record(
            ecg, classifier, code, params, store, start_sec=start, progress=report
        )
    answer = fused_map(maps, chosen) if method == "fused" else maps[method]
    write_json_atomic(out, explanation_json(answer, profile, ecg.synthetic, maps))
    say(f"{ecg.name}, {code}: p = {answer.probability:.4f}; {method} written to {out}")
    if family_warning(methods):
        say(f"note: {family_warning(methods)}")
