"""Output of the command line: errors, notes, tables and progress with time left."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from ecgxai_core.progress import progress_bar
from ecgxai_core.types import ROUTINE_WARNINGS, QualityWarning

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "finish",
    "progress_bar",
    "say",
    "say_error",
    "say_map_warnings",
    "say_warnings",
    "set_up_logging",
    "show_table",
]

_NAMED = 3


def set_up_logging() -> None:
    """Warnings of the library on standard error, one line each."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # a run lowers the level of its loggers for its own log file
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger("ecgxai_core").addHandler(handler)
    # A log file on a full disk must print no traceback; a run itself reports what it cannot write.
    logging.raiseExceptions = False


def say(text: str) -> None:
    """One line of result on standard output."""
    sys.stdout.write(text + "\n")


def say_error(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write("error: " + " ".join(text.split()) + "\n")


def finish(failures: Iterable[Any]) -> None:
    """Report the reason of every failure, if there are any, and end with exit code 3."""
    listed = list(failures)
    for failure in listed:
        say_error(failure.reason)
    if listed:
        raise typer.Exit(3)


def say_warnings(records: Iterable[tuple[str, Iterable[str]]]) -> None:
    """One line about the quality warnings (name and codes of each record), by kind, if any."""
    named: dict[str, list[str]] = {}
    for name, codes in records:
        for code in sorted(set(codes) - ROUTINE_WARNINGS):
            named.setdefault(code, []).append(name)
    parts = [
        f"{len(names)} record{'s' if len(names) > 1 else ''} {code} ({_some(names)})"
        for code, names in sorted(named.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    if parts:
        say("warnings: " + ", ".join(parts))


def say_map_warnings(warnings: Iterable[QualityWarning]) -> None:
    """One line with the quality warnings of one record and its map, in their own words."""
    parts = []
    for warning in warnings:
        leads = f" ({', '.join(warning.leads)})" if warning.leads else ""
        if warning.code not in ROUTINE_WARNINGS:
            parts.append(f"{warning.code}{leads}: {warning.message}")
    if parts:
        say("warnings: " + "; ".join(dict.fromkeys(parts)))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def show_table(frame: pd.DataFrame) -> None:
    """A table as aligned text; numbers with four decimals."""
    say(frame.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
