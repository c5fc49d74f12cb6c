"""Progress of long work: the callback that reports it, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "no_progress", "part_of", "progress_bar"]

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""


def no_progress(_done: int, _total: int, _what: str = "") -> None:
    """Progress that is not shown."""


def part_of(progress: Progress, number: int, count: int, title: str) -> Progress:
    """Progress of one of ``count`` equal parts of some work."""

    def report(done: int, total: int, what: str = "") -> None:
        progress(number * total + done, count * total, f"{title}: {what}")

    return report


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar on standard error with what is being done and the time left.

    Yields ``report(done, total, what)``. Where standard error is not a terminal nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

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
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def report(done: int, total: int, what: str = "") -> None:
            label = f"{title}: {what}" if what else title
            bar.update(task, completed=done, total=total, description=label)

        yield report
