"""``ecgxai simulate``: records whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("simulate")(simulate)


def simulate(
    dest: Annotated[Path, typer.Argument(help="folder to write the records to", metavar="DEST")],
    n: Annotated[int, typer.Option("--n", min=1, max=100_000, help="number of records")] = 60,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the set")] = 1,
) -> None:
    """Write simulated 12-lead records (WFDB, marked synthetic) with their truth beside them."""
    from ecgxai_core.simulate.dataset import write_set

    paths = write_set(dest, n, seed)
    say(f"{len(paths)} simulated records written to {dest}; they say nothing of real performance")
