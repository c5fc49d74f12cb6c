"""Options that several verbs share: one spelling and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ArraysOption",
    "ChecksumOption",
    "DataOption",
    "JobsOption",
    "ModelOption",
    "ProfileOption",
    "SeedOption",
    "SetOption",
    "StartOption",
    "TargetsOption",
]

ModelOption = Annotated[
    Path,
    typer.Option("--model", help="Keras model (.keras or .h5) with its JSON manifest beside it"),
]
DataOption = Annotated[
    Path, typer.Option("--data", help="folder of records (.hea with .mat or .dat, or DICOM)")
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option("--target", help="SNOMED-CT code or abbreviation; repeat for several"),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="'default', or 'reference' (the published settings)")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="name=value, overrides one parameter; repeatable")
]
StartOption = Annotated[
    float | None,
    # The upper end also keeps infinity out.
    typer.Option("--start", min=0, max=1e6, help="where the explained window begins, seconds"),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="user seed")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, max=64, help="worker processes")]
ArraysOption = Annotated[
    Path | None,
    typer.Option(
        "--arrays",
        help="folder with ecg_filenames.npy, ecg_model_probs.npy, ecg_y_true.npy, "
        "snomed_classes.npy instead of computing predictions",
    ),
]
ChecksumOption = Annotated[
    str, typer.Option("--checksum", help="wrong WFDB checksum: 'warn' or 'error'")
]
