"""``ecgxai feedback``: what readers said of maps, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say, show_table
from ecgxai_core.errors import ParameterError
from ecgxai_core.settings import settings

__all__ = ["app"]

app = typer.Typer(help="Feedback on explanations; it stays on this machine.", no_args_is_help=True)

FileOption = Annotated[
    Path | None, typer.Option("--file", help="file of feedback; this machine's own if left out")
]


@app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="CSV or JSON file to write")],
    file: FileOption = None,
) -> None:
    """Write every answer, withdrawn ones marked: one row per answer."""
    from ecgxai_core.store.atomic import write_csv_atomic, write_json_atomic
    from ecgxai_core.study.feedback import FeedbackStore

    store = FeedbackStore(file or settings().feedback_file)
    if out.suffix.lower() == ".csv":
        write_csv_atomic(out, store.frame())
    elif out.suffix.lower() == ".json":
        write_json_atomic(out, store.rows())
    else:
        raise ParameterError("--out", out.name, "is neither .csv nor .json", "use one of them")
    say(f"{len(store.rows())} answers written to {out}")


@app.command("summary")
def summary(file: FileOption = None) -> None:
    """Counts of verdicts and mean ratings by target and map, without what was taken back."""
    from ecgxai_core.study import feedback

    store = feedback.FeedbackStore(file or settings().feedback_file)
    table = feedback.summary(store.frame())
    if table.empty:
        say("no feedback yet")
        return
    show_table(table)
