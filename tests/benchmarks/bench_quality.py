"""Power and false alarms of the quality checks: ``python -m tests.benchmarks.bench_quality``.

Sound records are all of PTB-XL (100 Hz, folds 1-9), of the CinC 2020 sample (its 30 records of
PTB-XL state a gain five times too small, which is put right first) and of LUDB. The first table
holds the share of them with each warning; some of those warnings are true. The second holds the
share of records with a made fault that have the warning meant for it. Of PTB-XL every
``--every``-th record is taken, and made faulty every ``--faulty``-th of those. The last line is the
cost of the checks for 12 leads of 10 s at 500 Hz.

The limits were chosen on every sixteenth record of PTB-XL and every second one of the other sets.
"""

from __future__ import annotations

import argparse
import runpy
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ecgxai_core.records import find_records, read_record
from ecgxai_core.signal.quality import signal_warnings
from ecgxai_core.types import STANDARD_LEADS, FloatArray

CODES = (
    "implausible_amplitude", "implausible_rate", "leads_exchanged", "isolated_spike",
    "doubtful_beats",
)  # fmt: skip
SETS = ("CinC 2020 sample", "LUDB", "PTB-XL")
Sample = tuple[FloatArray, float]
Fault = Callable[[FloatArray, float, np.random.Generator], Sample]


def sound_records(name: str, data: Path) -> Iterator[Sample]:
    """``float64[12, sample]`` in mV and Hz of every record of a set, leads in standard order."""
    if name == "PTB-XL":
        load = runpy.run_path(str(data / "ptbxl100" / "unpack.py"))["load_fold"]
        for fold in range(1, 10):
            for counts in load(fold)[1]:
                yield counts / 1000.0, 100.0
        return
    folder = data / ("ludb/data" if name == "LUDB" else "cinc2020_sample")
    for path in find_records([folder]):
        record = read_record(path)
        factor = 0.2 if record.name.startswith("HR") else 1.0
        yield factor * record.signal.astype(np.float64), record.fs


def scaled(factor: float) -> Fault:
    return lambda signal, fs, rng: (factor * signal, fs)


def stated(factor: float) -> Fault:
    return lambda signal, fs, rng: (signal, factor * fs)


def exchanged(one: str, other: str) -> Fault:
    pair = [STANDARD_LEADS.index(lead) for lead in (one, other)]

    def fault(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
        changed = signal.copy()
        changed[pair] = signal[pair[::-1]]
        return changed, fs

    return fault


def arms_exchanged(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
    """What the electrodes of the arms write when they are exchanged."""
    changed = signal.copy()
    changed[:6] = signal[[0, 2, 1, 4, 3, 5]]
    changed[0] = -signal[0]
    return changed, fs


def spike(height: float) -> Fault:
    """One deflection of 2 ms (one sample at least) in one chest lead."""

    def fault(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
        changed = signal.copy()
        place = int(rng.integers(signal.shape[1]))
        sign = rng.choice([-1.0, 1.0])
        changed[rng.integers(6, 12), place : place + max(1, round(0.002 * fs))] += sign * height
        return changed, fs

    return fault


FAULTS: dict[str, tuple[str, Fault]] = {
    **{f"amplitudes x {k:g}": (CODES[0], scaled(k)) for k in (0.1, 0.2, 0.5, 2, 5, 10)},
    "rate stated half": (CODES[1], stated(0.5)),
    "rate stated double": (CODES[1], stated(2.0)),
    **{
        f"{one} and {other} exchanged": (CODES[2], exchanged(one, other))
        for one, other in (
            ("V1", "V6"), ("V1", "V2"), ("V1", "V3"), ("V2", "V3"), ("V2", "V5"), ("V3", "V4"),
            ("V3", "V6"), ("V4", "V5"), ("V4", "V6"), ("V5", "V6"),
        )
    },
    "arm electrodes exchanged": (CODES[2], arms_exchanged),
    **{f"spike of {k:g} mV": (CODES[3], spike(k)) for k in (1, 2, 5, 16)},
}  # fmt: skip


def found(signal: FloatArray, fs: float) -> set[str]:
    """Codes of the warnings."""
    return {warning.code for warning in signal_warnings(signal, fs, STANDARD_LEADS)}


def measure(
    name: str, data: Path, every: int, faulty: int
) -> tuple[int, Counter[str], int, Counter[str]]:
    """Sound records and their warnings, records with faults and the faults that were noticed."""
    sound, noticed, n, n_faults = Counter[str](), Counter[str](), 0, 0
    large = name == "PTB-XL"
    for number, (signal, fs) in enumerate(sound_records(name, data)):
        if large and number % every:
            continue
        codes = found(signal, fs)
        sound.update(codes)
        sound["any of them"] += bool(codes)
        n += 1
        if large and n % faulty:
            continue
        n_faults += 1
        rng = np.random.default_rng(number)
        for fault, (code, change) in FAULTS.items():
            noticed[fault] += code in found(*change(signal, fs, rng))
    return n, sound, n_faults, noticed


def cost_ms(data: Path) -> float:
    """Milliseconds of processor time of all checks, median of 15."""
    signal, fs = next(s for s in sound_records(SETS[0], data) if s[0].shape[1] == 5000)
    signal_warnings(signal, fs, STANDARD_LEADS)  # imports
    times = []
    for _ in range(15):
        started = time.process_time()
        signal_warnings(signal, fs, STANDARD_LEADS)
        times.append(time.process_time() - started)
    return 1000 * float(np.median(times))


def main() -> None:
    """Print both tables and the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--faulty", type=int, default=20)
    chosen = parser.parse_args()
    thin = chosen.every, chosen.faulty
    results = {name: measure(name, chosen.data, *thin) for name in chosen.sets}
    _table(
        "sound records, share with a warning",
        {name: (n, counts) for name, (n, counts, _, _) in results.items()},
        (*CODES, "any of them"),
    )
    _table(
        "made fault, share noticed",
        {name: (n, counts) for name, (_, _, n, counts) in results.items()},
        tuple(FAULTS),
    )
    print(f"cost: {cost_ms(chosen.data):.0f} ms")


def _table(title: str, columns: dict[str, tuple[int, Counter[str]]], rows: tuple[str, ...]) -> None:
    print(f"| {title} | " + " | ".join(f"{name} ({n})" for name, (n, _) in columns.items()) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for row in rows:
        shares = (f"{100 * counts[row] / max(n, 1):.1f} %" for n, counts in columns.values())
        print(f"| {row} | " + " | ".join(shares) + " |")
    print()


if __name__ == "__main__":
    main()
