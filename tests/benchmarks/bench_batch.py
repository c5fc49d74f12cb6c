"""Many records, nothing cached: ``PYTHONPATH=. python tests/benchmarks/bench_batch.py``.

Explanation by LIME and TimeSHAP, fusion and the extra-beat experiment, and all of it with the
evaluation of a run, by the exact engine and by whole passes. Not a test: what it prints depends on
the machine. Writes ``batch.json`` and ``batch.md`` into ``--out``.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import ExplainParams, Profile, profile
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.extra_beat import extra_beat_test
from ecgxai_core.pipeline.run.units import unit_entry
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Record
from tests.benchmarks.material import AF, model_path, records_of

ALL = 10_000
"""More windows than any record has."""

Work = Callable[[Record, Any, Profile, Store], None]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``cpu``: seconds of all cores together, which hardly change with what else runs; ``memory_mb``:
    largest memory of the process after n records.
    """

    model: str
    what: str
    how: str
    records: int
    seconds: float
    cpu: float
    memory_mb: dict[int, int]

    @property
    def each(self) -> float:
        """Seconds a record."""
        return self.seconds / self.records


def stability(record: Record, classifier: Any, chosen: Profile, store: Store) -> None:
    """Fused explanation, and again with one beat doubled."""
    found = explained(Case(record, classifier, AF), chosen, store)
    try:
        extra_beat_test(Case(record, classifier, AF), found, chosen, store)
    except EcgXaiError as error:
        print(f"{record.name}: {error}")


def evaluation(record: Record, classifier: Any, chosen: Profile, store: Store) -> None:
    """The same with everything that a run computes of a record."""
    unit_entry(Case(record, classifier, AF), chosen, store)


def settings(
    records: int, some: int, generic: int, without: str | None
) -> dict[str, tuple[Profile, int]]:
    """What is compared, and on how many records; the exact engine first, for its memory.

    Settings whose name holds ``without`` are left out.
    """
    usual, published = profile("default"), profile("reference")
    five, every = (usual.explain.updated(top_events=n) for n in (5, ALL))
    as_published = usual.updated(
        explain=published.explain, lime=published.lime, timeshap=published.timeshap
    )
    chosen = {
        "exact engine, leads of five windows": (_with(five), records),
        "exact engine, leads of all windows": (usual, some),
        "generic path, same masks, five windows": (_with(five.updated(engine="whole")), generic),
        "generic path, same masks, all windows": (_with(every.updated(engine="whole")), generic),
        "generic path, published settings": (as_published, generic),
    }
    return {how: one for how, one in chosen.items() if without is None or without not in how}


def _with(params: ExplainParams) -> Profile:
    return profile("default").updated(explain=params, lime=params, timeshap=params)


def measured(
    name: str, path: Path, records: list[Record], some: int, generic: int, without: str | None
) -> list[Row]:
    """Every setting on one model."""
    classifier = load_classifier(path)
    rows = []
    works: dict[str, Work] = {"fused + extra beat": stability, "full evaluation": evaluation}
    for what, work in works.items():
        every = len(records) if work is stability else some
        for how, (chosen, count) in settings(every, some, generic, without).items():
            row = Row(name, what, how, count, *_timed(work, classifier, records[:count], chosen))
            rows.append(row)
            told = f"{count} records, {row.each:.2f} s each ({row.cpu / count:.2f} of cores)"
            print(f"{name}: {what}, {how}: {told}, MB {row.memory_mb}", flush=True)
    return rows


def _timed(
    work: Work, classifier: Any, records: list[Record], chosen: Profile
) -> tuple[float, float, dict[int, int]]:
    """Seconds of all records, of the clock and of the cores, and memory after some of them."""
    memory: dict[int, int] = {}
    if chosen.explain.engine == "auto":  # crops are compiled, whole passes are already
        with _fresh_store() as store:
            work(records[-1], classifier, chosen, store)
    with _fresh_store() as store:
        begun, worked = time.perf_counter(), time.process_time()
        for n, record in enumerate(records, start=1):
            work(record, classifier, chosen, store)
            if n in {1, 5, 10, 20, len(records)}:
                memory[n] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    return seconds, cpu, memory


@contextmanager
def _fresh_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), 10**9)
        yield store
        store.close()


def _table(rows: list[Row]) -> str:
    head = (
        "model",
        "what",
        "how",
        "records",
        "seconds each",
        "cpu seconds each",
        "published / this",
    )
    lines = [head, ("---",) * len(head)]
    slow = {(r.model, r.what): r for r in rows if r.how.endswith("published settings")}
    for row in rows:
        cells = [row.model, row.what, row.how, str(row.records), f"{row.each:.2f}"]
        cells.append(f"{row.cpu / row.records:.2f}")
        other = slow.get((row.model, row.what))
        times = "" if other is None else f"{other.cpu / other.records * row.records / row.cpu:.1f}"
        lines.append((*cells, times))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Measure everything, print it, and write JSON and Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench_batch"))
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--some", type=int, default=6, help="records of what takes longer")
    parser.add_argument("--generic", type=int, default=1, help="records of the generic path")
    parser.add_argument("--without", help="leave settings out whose name holds this")
    parser.add_argument("--model", nargs="+", default=["default", "reference"])
    chosen = parser.parse_args()
    records = records_of(chosen.data, chosen.records)
    rows: list[Row] = []
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.model:
        path = model_path(name, chosen.data)
        if not path.exists():
            print(f"{name}: {path} is not here")
            continue
        some, generic = (min(n, len(records)) for n in (chosen.some, chosen.generic))
        rows += measured(name, path, records, some, generic, chosen.without)
        (chosen.out / "batch.md").write_text(_table(rows))
        (chosen.out / "batch.json").write_text(json.dumps([asdict(r) for r in rows], indent=1))
    print(_table(rows))


if __name__ == "__main__":
    main()
