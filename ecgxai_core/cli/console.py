"""What the command line says to people: errors, notes, tables and progress with time left."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["progress_bar", "say", "say_error", "set_up_logging", "show_table"]

ProgressCallback = Callable[[int, int, str], None]


def set_up_logging() -> None:
    """Warnings of the library on standard error, one line each."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # a run lowers the level of its loggers for its own log file
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger("ecgxai_core").addHandler(handler)
    # A log file on a full disk must print no traceback; what a run itself cannot write, it says.
    logging.raiseExceptions = False


def say(text: str) -> None:
    """One line of result on standard output."""
    sys.stdout.write(text + "\n")


def say_error(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write("error: " + " ".join(text.split()) + "\n")


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressCallback]:
    """A bar on standard error with what is being done and the time left.

    Yields ``report(done, total, what)``. Where standard error is no terminal nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None)

        def report(done: int, total: int, what: str = "") -> None:
            label = f"{title}: {what}" if what else title
            bar.update(task, completed=done, total=total, description=label)

        yield report


def show_table(frame: pd.DataFrame) -> None:
    """A table as aligned text; numbers with four decimals."""
    say(frame.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
