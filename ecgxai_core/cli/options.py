"""Options that several verbs share: one spelling and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from ecgxai_core.params import Profile, SelectionParams, profile, profile_with

__all__ = [
    "METHODS_MARK",
    "AllOption",
    "ArraysOption",
    "ChecksumOption",
    "DataOption",
    "ExecutorOption",
    "JobsOption",
    "KPerClassOption",
    "ListingCommand",
    "MaxDurationOption",
    "MethodsOption",
    "MinProbOption",
    "ModelOption",
    "ProfileOption",
    "SchedulerOption",
    "SeedOption",
    "SetOption",
    "ShardOption",
    "StartOption",
    "TargetsOption",
    "chosen_profile",
]

METHODS_MARK = "{methods}"
"""In a help text: the names of all methods, filled in when the help is shown."""


class ListingCommand(TyperCommand):
    """A command whose help lists the methods of the registry.

    The registry is loaded only when such help is shown, so that commands start without it.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for option in self.params:
            if isinstance(option, TyperOption) and METHODS_MARK in (option.help or ""):
                from ecgxai_core.explainers import METHODS

                option.help = str(option.help).replace(METHODS_MARK, ", ".join(METHODS))
        super().format_help(ctx, formatter)


def chosen_profile(name: str, settings: list[str] | None, seed: int | None) -> Profile:
    """The profile of the options ``--profile``, ``--set`` and ``--seed``."""
    return profile_with(profile(name), settings or [], seed)


MethodsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help=f"repeat for several, which are fused; {' and '.join(profile('default').methods)} if "
        "left out; name:FOLDER adds a folder of maps by another program, which are evaluated "
        f"beside these; else one of {METHODS_MARK}",
    ),
]
ModelOption = Annotated[
    Path,
    typer.Option("--model", help="Keras model (.keras or .h5) with its JSON manifest beside it"),
]
DataOption = Annotated[
    Path, typer.Option("--data", help="folder of records (.hea with .mat or .dat, or DICOM)")
]
KPerClassOption = Annotated[
    int | None,
    typer.Option(
        "--k-per-class",
        help=f"records per diagnosis at most  [default: {SelectionParams().k_per_class}; "
        "of run: that of its mode]",
    ),
]
AllOption = Annotated[
    bool,
    typer.Option(
        "--all", help="every record that is labelled or called by the model, not only good examples"
    ),
]
MinProbOption = Annotated[
    float | None,
    typer.Option(
        "--min-prob",
        help=f"least probability of a good example  [default: {SelectionParams().min_prob:g}]",
    ),
]
MaxDurationOption = Annotated[
    float | None,
    typer.Option(
        "--max-duration",
        "--max-duration-sec",
        help=f"longest record, seconds  [default: {SelectionParams().max_duration_sec:g}]",
    ),
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
ExecutorOption = Annotated[
    str,
    typer.Option("--executor", help="'processes' of this machine, or 'dask' (extra dask)"),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="with dask: address of a scheduler (tcp://host:8786) on a network that you trust; "
        "else --jobs workers are started here",
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="I/N: only part I of N, by the records' digests; 'ecgxai merge' joins the parts",
    ),
]
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
