"""``ecgxai model``: manifests of a user's own models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.errors import ModelError

__all__ = ["app"]

app = typer.Typer(help="Manifests of your own models.", no_args_is_help=True)
FileArgument = Annotated[Path, typer.Argument(help="Keras model (.keras or .h5)", metavar="FILE")]


@app.command()
def draft(
    file: FileArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="manifest to write; default: beside the model")
    ] = None,
) -> None:
    """Write a first manifest; what only you can know is marked FILL IN."""
    from ecgxai_core.models.draft import draft_manifest
    from ecgxai_core.models.manifest import FILL_IN, manifest_path
    from ecgxai_core.store.atomic import write_json_atomic

    target = out or manifest_path(file)
    if target.exists():
        raise ModelError(target.name, "", "exists already", "remove it, or give another --out")
    values = draft_manifest(file)
    write_json_atomic(target, values)
    say(f"manifest drafted: {target}; replace every '{FILL_IN}' in it, then: ecgxai model check")


@app.command()
def check(file: FileArgument) -> None:
    """Load a model with its manifest as every other command does, and say what it is."""
    from ecgxai_core.models.loading import load_classifier

    classifier = load_classifier(file)
    manifest = classifier.manifest
    say(
        f"{file.name}: {len(manifest.classes)} classes, {len(manifest.leads)} leads, "
        f"{manifest.samples} samples at {manifest.fs:g} Hz in {manifest.units}, "
        f"digest {classifier.digest[:12]}"
    )


@app.command()
def baselines(
    file: FileArgument,
    records: Annotated[list[Path], typer.Argument(help="records, or folders of records")],
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file with every record, baseline and class")
    ] = None,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="classes below this are not shown")
    ] = 0.05,
) -> None:
    """What the model says of records that are masked whole: no baseline is neutral."""
    from ecgxai_core.models.loading import load_classifier
    from ecgxai_core.pipeline.baselines import baseline_table
    from ecgxai_core.store.atomic import write_csv_atomic

    table = baseline_table(records, load_classifier(file))
    if out is not None:
        write_csv_atomic(out, table)
    n = table["record"].nunique()
    wide = table.pivot_table(
        index=["code", "name"], columns="baseline", values="probability", aggfunc="mean", sort=False
    )
    kinds = list(dict.fromkeys(table["baseline"]))
    say(f"mean probability over {n} records; intact = the records themselves")
    say(f"{'class':32}" + "".join(f"{kind:>13}" for kind in kinds))
    for row in wide[kinds].itertuples():
        values = row[1:]
        if max(values) >= least:
            name = f"{row[0][1]} ({row[0][0]})" if row[0][1] != row[0][0] else str(row[0][0])
            say(f"{name[:31]:32}" + "".join(f"{value:13.3f}" for value in values))
