"""Mutation fuzz of the readers: ``python -m tests.benchmarks.bench_mutation``.

Real records (simulated ones where there are none) are damaged at random: the header, the MATLAB
file and the ``.dat`` file of WFDB records with first values and checksums, and DICOM files, which
have no checksum. Each mutant is read in a child process with limits of time and memory, and what
comes out is compared with the undamaged record:

refused
    one error that names the fault;
warned
    read, with a quality warning that the undamaged record lacks;
same
    read, and nothing differs;
silent
    something differs and no warning says so. It is counted by what differs: ``signal`` (any sample
    in mV, the rate or the leads) or ``person`` (labels, age, sex: comment lines, which nothing in
    the format protects).

The last lines state the upper end of the 95 % interval of the share of silent mutants (Clopper and
Pearson, Biometrika 26:404, 1934; with none of n it is about 3/n, the rule of three).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record, write_record
from ecgxai_core.types import Record
from tests.benchmarks.material import records_of
from tests.benchmarks.mutants import damaged
from tests.corpus.dicom_files import dicom_bytes

KINDS = ("hea", "mat", "dat", "dcm")
OUTCOMES = ("refused", "warned", "same", "silent signal", "silent person")
SOURCES = 20
BATCH = 250
CPU_SECONDS = 1.0
GROWTH_BYTES = 400 * 10**6
HANG_SECONDS = 60.0
"""A hang uses no processor time; how long to wait for one is a matter of the machine's load."""

_NOTHING = b"nothing"


@dataclass(frozen=True)
class Source:
    """An undamaged record: the file that is read and the file that is damaged."""

    header: Path
    victim: Path
    record: Record


def sources(kind: str, data: Path, folder: Path) -> list[Source]:
    """Undamaged records whose file of this kind will be damaged."""
    if kind == "dcm":
        return _dicom_sources(folder)
    found = []
    for number, record in enumerate(records_of(data, SOURCES)):
        place = folder / f"{kind}{number}"
        place.mkdir()
        header = write_record(
            place, record.name, record.signal, record.fs, record.leads, labels=record.labels,
            age=record.age, sex=record.sex, gain=1000.0, fmt="dat" if kind == "dat" else "mat",
        )  # fmt: skip
        found.append(Source(header, header.with_suffix(f".{kind}"), read_record(header)))
    return found


def _dicom_sources(folder: Path) -> list[Source]:
    import pydicom

    bodies = [dicom_bytes(), dicom_bytes(syntax="1.2.840.10008.1.2")]
    real = Path(pydicom.__file__).parent / "data" / "test_files" / "waveform_ecg.dcm"
    bodies += [real.read_bytes()] if real.is_file() else []
    found = []
    for number, body in enumerate(bodies):
        path = folder / f"dicom{number}.dcm"
        path.write_bytes(body)
        found.append(Source(path, path, read_record(path)))
    return found


def outcome(source: Source) -> dict[str, Any]:
    """What reading gives now, compared with the undamaged record."""
    before = source.record
    try:
        after = read_record(source.header)
    except RecordError as error:
        return {"kind": "refused", "text": str(error)}
    except BaseException as error:  # whatever else it is, it is a finding
        return {"kind": "exception", "text": repr(error)}
    news = {w.code for w in after.warnings} - {w.code for w in before.warnings}
    signal = _signal(after) != _signal(before)
    person = (after.labels, after.age, after.sex) != (before.labels, before.age, before.sex)
    if news:
        return {"kind": "warned", "text": ", ".join(sorted(news))}
    if not (signal or person):
        return {"kind": "same", "text": ""}
    return {"kind": "silent signal" if signal else "silent person", "text": _change(before, after)}


def _signal(record: Record) -> tuple[Any, ...]:
    return record.signal.tobytes(), record.signal.shape, record.fs, record.leads


def _change(before: Record, after: Record) -> str:
    pairs = {
        "fs": (before.fs, after.fs), "leads": (before.leads, after.leads),
        "shape": (before.signal.shape, after.signal.shape),
        "gain": (before.adc_gain, after.adc_gain),
        "zero": (before.adc_zero, after.adc_zero), "labels": (before.labels, after.labels),
        "age": (before.age, after.age), "sex": (before.sex, after.sex),
    }  # fmt: skip
    told = [f"{name} {one} -> {other}" for name, (one, other) in pairs.items() if one != other]
    return "; ".join(told) or "samples"


def mutants(kind: str, count: int, seed: int, data: Path) -> Iterator[dict[str, Any]]:
    """The outcome of every mutant of a kind; the same seed gives the same mutants."""
    with tempfile.TemporaryDirectory() as name:
        given = sources(kind, data, Path(name))
        whole = [source.victim.read_bytes() for source in given]

        def tried(number: int) -> dict[str, Any]:
            rng = np.random.default_rng([seed, KINDS.index(kind), number])
            chosen = number % len(given)
            victim = given[chosen].victim
            victim.write_bytes(damaged(whole[chosen], rng, text=kind == "hea"))
            started = time.process_time()
            answer = outcome(given[chosen])
            slow = time.process_time() - started > CPU_SECONDS
            victim.write_bytes(whole[chosen])
            return {**answer, "kind": "slow" if slow else answer["kind"], "number": number}

        number = 0
        while number < count:
            for answer in _in_a_child(tried, range(number, min(number + BATCH, count))):
                number += 1
                yield answer
            # a mutant that ends or stops its child leaves its damage behind
            for source, body in zip(given, whole, strict=True):
                source.victim.write_bytes(body)


def _in_a_child(work: Callable[[int], dict[str, Any]], numbers: range) -> Iterator[dict[str, Any]]:
    """Answers of a child with a limit of memory, up to the one that it does not survive."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _limit_memory()
        for number in numbers:
            os.write(writing, json.dumps(work(number)).encode() + b"\n")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        for number in numbers:
            line = _line(pipe)
            if not line.endswith(b"\n"):
                kind = "hang" if line == _NOTHING else "killed"
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                yield {"kind": kind, "number": number, "text": ""}
                return
            yield json.loads(line)
    os.waitpid(child, 0)


def _line(pipe: Any) -> bytes:
    """The next line; cut where the child ended, ``_NOTHING`` where none came in time."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], HANG_SECONDS)[0]:
            return _NOTHING
        part = pipe.read(1)
        if not part:
            return line
        line += part
    return line


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def upper(count: int, n: int) -> float:
    """Upper end of the two-sided 95 % interval of a share; one-sided where there are none."""
    if count == 0:
        return 1 - 0.05 ** (1 / n)
    return float(beta.ppf(0.975, count + 1, n - count))


def main() -> int:
    """Print the table; the exit status is 1 where a mutant crashed or hung the reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=3000, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--log", type=Path, help="file for the silent and the crashed ones, JSON")
    chosen = parser.parse_args()
    tables: dict[str, Counter[str]] = {}
    log: list[dict[str, Any]] = []
    for kind in chosen.kinds:
        started = time.monotonic()
        counts: Counter[str] = Counter()
        for answer in mutants(kind, chosen.n, chosen.seed, chosen.data):
            counts[answer["kind"]] += 1
            if answer["kind"] not in ("refused", "warned", "same"):
                log.append({"file": kind, **answer})
        tables[kind] = counts
        print(f"{kind}: {chosen.n} mutants in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if chosen.log is not None:
        chosen.log.write_text("".join(json.dumps(row) + "\n" for row in log), "utf-8")
    return _print(tables, chosen.n)


def _print(tables: dict[str, Counter[str]], n: int) -> int:
    names = [*OUTCOMES, "crashed or hung"]
    print("| file | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    bad = 0
    for kind, counts in tables.items():
        other = sum(number for name, number in counts.items() if name not in OUTCOMES)
        bad += other
        cells = [*(counts[name] for name in OUTCOMES), other]
        print(f"| .{kind} | " + " | ".join(map(str, cells)) + " |")
    for title, kinds in (("WFDB with checksum", KINDS[:3]), ("DICOM", KINDS[3:])):
        some = [counts for kind, counts in tables.items() if kind in kinds]
        if some:
            total = n * len(some)
            for name in OUTCOMES[3:]:
                silent = sum(counts[name] for counts in some)
                share = f"{silent} of {total}, at most {100 * upper(silent, total):.3f} % (95 %)"
                print(f"{title}, {name}: {share}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
