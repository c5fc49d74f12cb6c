"""Commands and process trees that benchmarks measure: wall time, and memory while they run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.serving import REPO

__all__ = ["Spent", "children", "command", "memory_mb", "table", "watched"]

_LOOK_SEC = 0.25


@dataclass
class Spent:
    """Seconds that something took, and the most memory, MB, that its processes had together."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    output: str = ""
    _begun: float = field(default_factory=time.perf_counter)


def children(pid: int) -> list[int]:
    """A process and all below it."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("ascii", "replace")
            except OSError:
                continue  # it has just ended
            below.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += below.get(one, [])
    return found


def memory_mb(pid: int) -> float:
    """Memory of a process and all below it: pages that several share are counted once (PSS)."""
    return sum(map(_pss_kb, children(pid))) / 1024


def _pss_kb(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


@contextmanager
def watched(pid: int) -> Iterator[Spent]:
    """Time and memory of a process tree for as long as the block lasts."""
    spent, over = Spent(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SEC):
            spent.peak_mb = max(spent.peak_mb, memory_mb(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield spent
    finally:
        spent.seconds = time.perf_counter() - spent._begun
        over.set()
        thread.join()


def command(
    *words: object, environment: Mapping[str, str] = {}, during: Callable[[int], None] | None = None
) -> Spent:
    """Run ``ecgxai WORDS`` in a process of its own; ``during`` is called with its number.

    Raises
    ------
    SystemExit
        It failed; its last words say why.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ecgxai_core", *map(str, words)], cwd=REPO, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(REPO), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with watched(process.pid) as spent:
        if during is not None:
            during(process.pid)
        spent.output = process.communicate()[0]
    if process.returncode not in (0, 3):  # 3: some records failed, and are listed
        raise SystemExit(f"ecgxai {words[0]} failed: {spent.output[-500:]}")
    return spent


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
