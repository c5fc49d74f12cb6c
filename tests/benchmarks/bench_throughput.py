"""Records per second and memory of predict, explain and run, and what they say of many cores.

``PYTHONPATH=. python -m tests.benchmarks.bench_throughput [--records 1000] [--units 6]``

Not a test: about five minutes on two cores. Simulated records of 10 s at 500 Hz, the shipped model,
the default profile, one diagnosis per record, and a cache that is empty every time. Start-up
(loading TensorFlow and the model) is kept apart: rates are between the first and the last result.
The overhead of a task is that of one that does nothing, for processes and for Dask. Prints two
Markdown tables: what was measured, and projections from it, which are no measurements.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from ecgxai_core.case import Case
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import profile
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.run.workers import executor_named
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import default_model
from ecgxai_core.simulation.dataset import write_set
from ecgxai_core.store.cache import Store
from tests.benchmarks.measured import command, table, watched

AF, JOBS, TASKS = "164889003", (1, 2), 5000
COLLECTIONS, CORES = (21_800, 800_000), (1, 16, 128)
_classifiers: dict[Path, LazyClassifier] = {}


@dataclass
class Rate:
    """Seconds per record between the first and the last result, and memory."""

    what: str
    jobs: int
    seconds: float
    start: float
    memory_mb: float


def explain_one(path: Path) -> float:
    """Explain a record with the default profile, without a cache; runs in a worker."""
    model = default_model()
    classifier = _classifiers.setdefault(model, LazyClassifier(model))
    chosen = profile("default")
    explained(Case(read_record(path), classifier, AF), chosen, Store.disabled(), chosen.methods)
    return time.time()


def nothing(job: int) -> int:
    """A task that costs only what it costs to give it out."""
    return job


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1000, help="predicted")
    parser.add_argument("--units", type=int, default=6, help="explained, and evaluated")
    chosen = parser.parse_args()
    rates: list[Rate] = []
    with tempfile.TemporaryDirectory(prefix="ecgxai-throughput-") as name:
        folder = Path(name)
        write_set(folder / "few", chosen.units, 3)
        write_set(folder / "many", chosen.records, 4)
        for jobs in JOBS:
            for measure in (_predicted, _explained, _evaluated):
                rates.append(measure(folder, jobs, chosen))
                print(rates[-1], flush=True)
    tasks = {name: _per_task(name) for name in ("processes", "dask")}
    print(_measured(rates, tasks))
    print()
    print(_projected(rates, tasks["dask"][1]))


def _predicted(folder: Path, jobs: int, chosen: argparse.Namespace) -> Rate:
    """The time of all records less that of a few, which is start-up."""
    model = ("--model", default_model(), "--jobs", jobs, "--out")
    some = command("predict", folder / "few", *model, folder / f"few{jobs}.csv",
                   environment=_empty(folder, f"few{jobs}"))  # fmt: skip
    every = command("predict", folder / "many", *model, folder / f"many{jobs}.csv",
                    environment=_empty(folder, f"many{jobs}"))  # fmt: skip
    seconds = (every.seconds - some.seconds) / (chosen.records - chosen.units)
    return Rate("predicted", jobs, seconds, some.seconds, every.peak_mb)


def _explained(folder: Path, jobs: int, chosen: argparse.Namespace) -> Rate:
    import os

    paths = find_records([folder / "few"])
    begun = time.time()
    with watched(os.getpid()) as spent:
        ends = sorted(end for _, end in executor_named("processes", jobs)(explain_one, paths))
    return _between("explained", jobs, begun, ends, spent.peak_mb)


def _evaluated(folder: Path, jobs: int, chosen: argparse.Namespace) -> Rate:
    out, selection = folder / f"run{jobs}", folder / f"selection{jobs}.csv"
    common = ("--data", folder / "few", "--model", default_model(), "--out")
    cache = _empty(folder, f"run{jobs}")
    command("select", *common, selection, "--all", environment=cache)
    rows = pd.read_csv(selection, dtype=str, keep_default_na=False)
    rows.drop_duplicates("record").to_csv(selection, index=False)
    begun = time.time()
    spent = command("run", *common, out, "--jobs", jobs, "--selection", selection,
                    environment=cache)  # fmt: skip
    lines = (out / "run.log").read_text("utf-8").splitlines()
    done = [line for line in lines if re.search(r": done$", line)]
    ends = [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp() for line in done]
    return _between("explained and evaluated", jobs, begun, sorted(ends), spent.peak_mb)


def _between(what: str, jobs: int, begun: float, ends: list[float], memory: float) -> Rate:
    """Rates from the time at which every worker had given its first result."""
    first = ends[jobs - 1]
    seconds = (ends[-1] - first) / max(1, len(ends) - jobs)
    return Rate(what, jobs, seconds, first - begun, memory)


def _empty(folder: Path, name: str) -> dict[str, str]:
    return {"ECGXAI_CACHE_DIR": str(folder / f"cache-{name}")}


def _per_task(name: str) -> tuple[float, float]:
    """Seconds until the first answer of two workers, and seconds per task that does nothing."""
    begun = time.perf_counter()
    ends = [
        time.perf_counter() - begun for _ in executor_named(name, 2)(nothing, list(range(TASKS)))
    ]
    assert len(ends) == TASKS
    first = TASKS // 10  # both workers are at work by then
    return ends[0], (ends[-1] - ends[first]) / (TASKS - 1 - first)


def _measured(rates: list[Rate], tasks: dict[str, tuple[float, float]]) -> str:
    rows = [
        (one.what, f"{one.jobs}", f"{1 / one.seconds:.2f}", f"{one.seconds:.3f}",
         f"{one.start:.1f}", f"{one.memory_mb:.0f}")
        for one in sorted(rates, key=lambda one: (one.what, one.jobs))
    ]  # fmt: skip
    rows += [
        (f"a task that does nothing, {name}", "2", f"{1 / each:.0f}", f"{each:.5f}",
         f"{start:.1f}", "")
        for name, (start, each) in tasks.items()
    ]  # fmt: skip
    head = ("records", "workers", "per second", "seconds each", "start, s", "memory, MB")
    return table(head, rows)


def _projected(rates: list[Rate], overhead: float) -> str:
    """Units share nothing but the scheduler, so N units on C cores take the longer of N * cost / C
    and N * overhead, after one start."""
    rows = []
    for one in (rate for rate in rates if rate.jobs == max(JOBS)):
        cost = one.seconds * one.jobs  # seconds of one worker
        for count in COLLECTIONS:
            times = (one.start + max(count * cost / cores, _tasks(one, count) * overhead)
                     for cores in CORES)  # fmt: skip
            rows.append((one.what, f"{count:,}", *map(_words, times)))
    return table(
        ("projection", "records", *(f"{cores} core{'s' * (cores > 1)}" for cores in CORES)), rows
    )


def _tasks(one: Rate, count: int) -> float:
    """Tasks that a scheduler gives out: parts of 256 records are predicted as one."""
    return count / 256 if one.what == "predicted" else count


def _words(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":  # workers import what they do by the name of its module
    from tests.benchmarks import bench_throughput

    bench_throughput.main()
