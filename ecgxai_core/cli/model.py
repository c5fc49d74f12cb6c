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
