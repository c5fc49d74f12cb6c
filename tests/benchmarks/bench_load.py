"""Several readers at once: how long they wait, whether they get errors, and what the server keeps.

``PYTHONPATH=. python tests/benchmarks/bench_load.py [--seconds 45] [--soak MINUTES]``

Not a test: about five minutes. A server of its own with simulated records. One session explains the
first records, which are cached from then on. Then 20 sessions at once, of which four explain
records that nobody has explained, one after the other, and the others read: another cached record,
the Fusion lab with another setting, the list of records, with 5 to 15 seconds between; then 50
that only read. Two minutes after all have left, the server's memory is compared with that after the
first explanation. With ``--soak`` (60 minutes where no number is given) instead 20
readers of which two explain, with the memory of every minute. Sessions are those of
:mod:`tests.benchmarks.sessions`: a time is from the request to the end of the page's script, with
all that is sent for it. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ecgxai_core.simulation.dataset import write_set
from tests.benchmarks.measured import children, memory_mb, table
from tests.benchmarks.sessions import Reader
from tests.browser.serving import serving

AF = "164889003"
OTHERS = ("164909002", "713427006", "59118001", "270492004", "39732003", "426783006")
FRESH, LEAVE_SEC, THINK_SEC = 80, 120.0, (5.0, 15.0)
EXPLAIN = "Explain with"
MAP = re.compile(r'"id":\s*"fused"')


@dataclass
class Phase:
    """What the sessions of one phase saw."""

    seconds: float
    waits: list[float] = field(default_factory=list)
    maps: dict[int, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    used: float = 0.0
    """Processor seconds of the server itself, without its workers."""
    ends: float = 0.0

    def __post_init__(self) -> None:
        self.ends = time.perf_counter() + self.seconds

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.ends


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=45.0, help="of each of the two phases")
    parser.add_argument(
        "--leave", type=float, default=LEAVE_SEC, help="seconds after all have left"
    )
    parser.add_argument("--cached", type=int, default=6, help="records explained before")
    parser.add_argument("--soak", type=float, nargs="?", const=60.0, metavar="MINUTES")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ecgxai-load-") as name:
        folder = Path(name)
        paths = write_set(folder / "data", chosen.cached + FRESH, 1)
        environment = {"ECGXAI_DATA": str(folder / "data"), "ECGXAI_MODELS": "", "ECGXAI_RUNS": "",
                       "ECGXAI_CACHE_DIR": str(folder / "cache")}  # fmt: skip
        with serving(environment, folder / "server.log") as address:
            server = children(os.getpid())[1]
            names = [path.stem for path in paths]
            rows = asyncio.run(_all(address, server, names, chosen))
        said = (folder / "server.log").read_text("utf-8", "replace")
        print(table(("what", "measured", "goal"), rows))
        print("the server's log has", said.count("Traceback"), "tracebacks")


async def _all(
    address: str, server: int, names: list[str], chosen: argparse.Namespace
) -> list[tuple[str, str, str]]:
    cached, pairs = names[: chosen.cached], _fresh(names[chosen.cached :])
    first = await _prepare(address, server, cached)
    if chosen.soak is not None:
        return await _soak(address, server, cached, pairs, 60 * chosen.soak)
    rows = []
    mixed = await _together(address, server, 16, 4, cached, pairs, chosen.seconds)
    counts = [len(mixed.maps[i]) for i in sorted(mixed.maps)]
    waits = sorted(itertools.chain(*mixed.maps.values()))
    rows += [
        ("20 sessions, 4 of them explaining: pages of the others, median, p95", _two(mixed), "1 s"),
        ("the same: errors", _errors(mixed), "0"),
        ("the same: fresh maps, by session", ", ".join(map(str, counts)), "in turn"),
        ("the same: a fresh map, median and longest", f"{_middle(waits):.1f} s, "
         f"{max(waits, default=float('nan')):.1f} s", ""),
    ]  # fmt: skip
    print(*rows, sep="\n", flush=True)
    light = await _together(address, server, 50, 0, cached, pairs, chosen.seconds)
    rows += [
        ("50 sessions that read: median, p95", _two(light), "1.5 s"),
        ("the same: errors", _errors(light), "0"),
        ("the same: the server's processor time per page", f"{light.used / len(light.waits):.2f} s",
         ""),
    ]  # fmt: skip
    busy = memory_mb(server)
    await asyncio.sleep(chosen.leave)
    last = memory_mb(server)
    rows.append((
        f"memory after a first explanation; with 50 sessions; {chosen.leave:.0f} s after they left",
        f"{first:.0f} MB; {busy:.0f} MB; {last:.0f} MB ({last / first - 1:+.1%})", "+10 %",
    ))  # fmt: skip
    return rows


def _fresh(names: list[str]) -> Iterator[tuple[str, str]]:
    """Records and targets that nobody has explained, each once."""
    return iter([(name, target) for target in (AF, *OTHERS) for name in names])


async def _prepare(address: str, server: int, cached: list[str]) -> float:
    """Explain the records that are read later; the memory, MB, after the first."""
    first = 0.0
    async with Reader(address) as reader:
        await reader.open("explain", record=cached[0], target=AF)
        await reader.until(_shown)
        await asyncio.sleep(20)  # both workers have loaded what jobs need
        for name in cached:
            print(f"{name}: explained in {await _explain(reader, name, AF):.1f} s", flush=True)
            if not first:
                await asyncio.sleep(5)
                first = memory_mb(server)
    return first


def _shown(reader: Reader) -> bool:
    """The record is there, with its map or the button that asks for it."""
    return any("ecgxai-viewer" in data for data in reader.json) and (
        _mapped(reader) or any(name.startswith(EXPLAIN) for name in reader.buttons)
    )


def _mapped(reader: Reader) -> bool:
    return bool(reader.errors) or any(map(MAP.search, reader.json))


async def _explain(reader: Reader, record: str, target: str) -> float:
    """Open a record, ask for its maps, and wait until the fused one is shown; seconds from the
    click, 0 where they have been made already, beside those of another diagnosis."""
    await reader.open("explain", record=record, target=target)
    await reader.until(_shown)
    if _mapped(reader) and not reader.errors:
        return 0.0
    begun = time.perf_counter()
    await reader.click(EXPLAIN)
    await reader.until(_mapped)
    if reader.errors:
        raise LookupError(f"{record}, {target}: {reader.errors[-1]}")
    return time.perf_counter() - begun


async def _together(
    address: str, server: int, light: int, explaining: int, cached: list[str],
    pairs: Iterator[tuple[str, str]], seconds: float,
) -> Phase:  # fmt: skip
    phase, before = Phase(seconds), _used(server)
    async with asyncio.TaskGroup() as group:
        for number in range(light):
            group.create_task(_guarded(phase, _read(address, phase, number, cached)))
        for number in range(explaining):
            group.create_task(_guarded(phase, _explain_on(address, phase, number, pairs)))
    phase.used = _used(server) - before
    return phase


def _used(pid: int) -> float:
    """Processor seconds of a process."""
    words = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def _guarded(phase: Phase, session: object) -> None:
    """A session that fails is an error of the phase; the others go on."""
    try:
        await session  # type: ignore[misc]
    except Exception as error:
        phase.errors.append(f"{type(error).__name__}: {error}")


async def _read(address: str, phase: Phase, number: int, cached: list[str]) -> None:
    drawn = random.Random(number)
    await asyncio.sleep(drawn.uniform(0, THINK_SEC[1]))
    async with Reader(address) as reader:
        while not phase.over:
            record, kind = drawn.choice(cached), drawn.random()
            common = {"record": record, "target": AF}
            if kind < 0.7:
                spent = await reader.open("explain", **common)
            elif kind < 0.9:
                beta = f"{drawn.randrange(1, 20) / 10:.1f}"
                spent = await reader.open("fusion_lab", **common, beta=beta)
            else:
                spent = await reader.open("records", target=AF)
            phase.waits.append(spent)
            if kind < 0.9 and not any(map(MAP.search, reader.json)):
                phase.errors.append(f"{record}: a page without its map")
            await asyncio.sleep(drawn.uniform(*THINK_SEC))
        phase.errors += reader.errors


async def _explain_on(
    address: str, phase: Phase, number: int, pairs: Iterator[tuple[str, str]]
) -> None:
    phase.maps[number] = []
    async with Reader(address) as reader:
        while not phase.over:
            spent = await _explain(reader, *next(pairs))
            phase.maps[number] += [spent] if spent else []
            await asyncio.sleep(2)
        phase.errors += reader.errors


async def _soak(
    address: str, server: int, cached: list[str], pairs: Iterator[tuple[str, str]], seconds: float
) -> list[tuple[str, str, str]]:
    memory: list[float] = []

    async def look() -> None:
        while True:
            await asyncio.sleep(60)
            memory.append(memory_mb(server))
            print(f"minute {len(memory)}: {memory[-1]:.0f} MB", flush=True)

    looking = asyncio.create_task(look())
    phase = await _together(address, server, 18, 2, cached, pairs, seconds)
    looking.cancel()
    tenth = max(1, len(memory) // 10)
    early, late = _middle(memory[tenth : 2 * tenth]), _middle(memory[-tenth:])
    maps = sum(map(len, phase.maps.values()))
    return [
        (f"{seconds / 60:g} minutes, 20 sessions, 2 explaining: pages, median, p95",
         f"{len(phase.waits)} pages: {_two(phase)}", "1 s"),
        ("the same: errors, fresh maps", f"{_errors(phase)}, {maps}", "0"),
        ("the same: memory in the second tenth and the last", f"{early:.0f} MB, {late:.0f} MB", ""),
    ]  # fmt: skip


def _two(phase: Phase) -> str:
    ordered = sorted(phase.waits)
    return f"{_middle(ordered):.2f} s, {ordered[int(0.95 * (len(ordered) - 1))]:.2f} s"


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else float("nan")


def _errors(phase: Phase) -> str:
    return f"{len(phase.errors)}" + (f" ({phase.errors[0][:120]})" if phase.errors else "")


if __name__ == "__main__":
    main()
