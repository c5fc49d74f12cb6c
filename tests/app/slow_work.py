"""Work for worker processes under test."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from ecgxai_core.errors import RecordError
from ecgxai_core.stopping import check_stop

ASIDE = "also: more"
"""Begins as ``app.data.work.ALSO``, which would take seconds to import in every process."""


def echo(*given: Any, progress: Any) -> Any:
    progress(1, 2, "half")
    return given


def nothing() -> None:
    """No tools are needed."""


def process(*, progress: Any) -> int:
    return os.getpid()


def noted(file: Path, *, progress: Any) -> None:
    """A line for every call."""
    with file.open("a") as out:
        out.write("called\n")


def process_for(seconds: float, *, progress: Any) -> None:
    """Tell the process's number, and keep it busy."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        progress(1, 2, str(os.getpid()))
        time.sleep(0.02)


def steps(file: Path, seconds: float, *, progress: Any) -> str:
    """Batches of a hundredth of a second, each noted in a file."""
    begun, done = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        check_stop(1.0)
        with file.open("a") as out:
            out.write(".")
        time.sleep(0.01)
        done += 1
        progress(done, 10_000, f"batch {done}")
    return "to the end"


def aside(file: Path, seconds: float, *, progress: Any) -> str:
    """Has done what was asked for, and goes on with something else."""
    progress(1, 1, ASIDE)
    return steps(file, seconds, progress=lambda *_: None)


def deaf(file: Path, *, progress: Any) -> None:
    """Looks at no flag."""
    file.write_text(str(os.getpid()))
    time.sleep(120)


def absent_minded(file: Path, seconds: float, *, progress: Any) -> None:
    """Looks at the flag only after a while."""
    file.write_text(str(os.getpid()))
    time.sleep(seconds)
    check_stop()


def refuse(*, progress: Any) -> None:
    raise RecordError("a.hea", "fs", "is missing", "add it")


def fault(*, progress: Any) -> None:
    raise ValueError("/secret/path")


def die(*, progress: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def untellable(*, progress: Any) -> Any:
    return lambda: None


def grow(*, progress: Any) -> int:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    grow.held = held  # type: ignore[attr-defined]
    return os.getpid()
