"""``ecgxai evaluate-map``: the scores of a map that another program made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import progress_bar, say, say_map_warnings, show_table
from ecgxai_core.errors import ParameterError

__all__ = ["evaluate_map"]


def evaluate_map(
    record: Annotated[Path, typer.Argument(help="the record that the map explains")],
    maps: Annotated[
        list[Path],
        typer.Option("--map", help=".npz, .npy with .json, .csv or .safetensors; repeat"),
    ],
    model: options.ModelOption,
    target: Annotated[str, typer.Option("--target", help="SNOMED-CT code or abbreviation")],
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV or JSON file to write; else a table is shown")
    ] = None,
    profile: options.ProfileOption = "default",
    start: options.StartOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Evaluate maps of one prediction, whatever made them, beside chance and reference maps."""
    from ecgxai_core import api
    from ecgxai_core.case import Case
    from ecgxai_core.foreign_maps import bind, read_map
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.store.atomic import write_csv_atomic, write_json_atomic
    from ecgxai_core.store.values import json_safe

    if out is not None and out.suffix.lower() not in {".csv", ".json"}:
        raise ParameterError("--out", out.name, "is neither .csv nor .json", "use one of them")
    case = Case(api.read(record, checksum=checksum), LazyClassifier(model), target, start)
    given = [bind(read_map(path), case) for path in maps]
    names = [item.method for item in given]
    if len(set(names)) < len(names):
        raise ParameterError("--map", ", ".join(names), "share a name", "rename the files")
    with progress_bar("evaluate") as report:
        found = api.evaluate(
            {item.method: item for item in given},
            case.record, case.classifier, profile=profile, progress=report,
        )  # fmt: skip
    table = found.to_frame()
    if out is None:
        shown = ["map", "metric", "value", "chance", "empty", "energy", "reachable", "direction"]
        show_table(table[shown].round(3))
    elif out.suffix.lower() == ".csv":
        write_csv_atomic(out, table)
    else:
        facts = [
            {"map": item.method, "probability": item.probability, **item.diagnostics,
             "explored": float(item.explored.mean())}
            for item in given
        ]  # fmt: skip
        values = {
            "record": case.record.name,
            "target": case.target,
            "synthetic": case.record.synthetic,
            "warnings": sorted({warning.code for item in given for warning in item.warnings}),
            "maps": facts,
            "scores": json_safe(table.to_dict("records")),
        }
        write_json_atomic(out, values)
    where = "" if out is None else f": {out}"
    say(f"{case.record.name}, {case.target}: p = {given[0].probability:.4f}; evaluated{where}")
    for item in given:
        say_map_warnings(item.warnings)
