"""R peaks against marks and under stress: ``python tests/benchmarks/bench_beats.py``.

Sensitivity and positive predictive value, within 150 ms, of the beats of LUDB's cardiologists (12
leads, single leads, pairs of leads) and of simulated records under stress (``beat_stress.py``) with
12 leads, II alone, II and V1. ``--methods ours neurokit pantompkins1985 ...`` compares with
detectors of ``neurokit2``, lead by lead, half of the leads agreeing; ``--seeds 12`` sets how many
records each stress has. Lists are also sorted by their confidence: what share of beats is right.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecgxai_core.records.read import read_record
from ecgxai_core.signal import beats as ours
from ecgxai_core.types import STANDARD_LEADS, FloatArray
from tests.beat_stress import STRESSES, scored, stressed

LEAD_SETS = {"12 leads": STANDARD_LEADS, "II": ("II",), "II, V1": ("II", "V1")}
ANNOTATED = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")

Detector = Callable[[FloatArray, float, Sequence[str]], tuple[FloatArray, float]]
"""Signal, rate and leads to R peaks in seconds and confidence."""


def our_own(signal: FloatArray, fs: float, leads: Sequence[str]) -> tuple[FloatArray, float]:
    """This program's."""
    if not hasattr(ours, "find_beats"):  # an older version of the program
        return ours.r_peaks(signal, fs, leads) / fs, float("nan")
    found = ours.find_beats(signal, fs, leads)
    return found.peaks / fs, found.confidence


def neurokit(method: str) -> Detector:
    """One of neurokit2's, lead by lead; half of the leads must agree within 60 ms."""

    def detect(signal: FloatArray, fs: float, leads: Sequence[str]) -> tuple[FloatArray, float]:
        import neurokit2 as nk
        from scipy import ndimage
        from scipy import signal as filters

        reach = round(0.06 * fs)
        votes = np.zeros(signal.shape[1])
        usable = [row for row in signal if np.ptp(row) > 0.02]
        for row in usable:
            try:
                clean = nk.ecg_clean(row, sampling_rate=int(fs), method=method)
                found = nk.ecg_peaks(clean, sampling_rate=int(fs), method=method)[1]["ECG_R_Peaks"]
            except (ValueError, IndexError, ZeroDivisionError):
                continue  # it fails on some leads
            seen = np.zeros(votes.size, np.bool_)
            for place in np.asarray(found, int):
                seen[max(0, place - reach) : place + reach + 1] = True
            votes += seen
        smooth = ndimage.uniform_filter1d(votes, 2 * reach + 1, mode="constant")
        enough = ndimage.maximum_filter1d(votes, 2 * reach + 1) >= max(1.0, len(usable) / 2)
        places = filters.find_peaks(np.pad(smooth, 1), distance=round(0.25 * fs))[0] - 1
        return places[enough[places]] / fs, float("nan")

    return detect


def ludb(folder: Path) -> list[tuple[FloatArray, float, tuple[str, ...], FloatArray]]:
    """Signal, rate, leads and beats (s) that at least six leads are marked with."""
    import wfdb

    rows = []
    for header in sorted(folder.glob("*.hea"), key=lambda path: int(path.stem)):
        base = str(header.with_suffix(""))
        marks = []
        for extension in ANNOTATED:
            read = wfdb.rdann(base, extension)
            marks += [s for s, k in zip(read.sample, read.symbol, strict=True) if k == "N"]
        ordered = np.sort(marks)
        groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > 50) + 1)
        beats = np.array([np.median(group) for group in groups if len(group) >= 6]) / 500
        record = read_record(header)
        rows.append((record.signal.astype(np.float64), record.fs, record.leads, beats))
    return rows


def line(name: str, counts: FloatArray) -> str:
    """Sensitivity and positive predictive value of hits, misses and extras."""
    hit, missed, extra = counts
    found = f"{hit / max(hit + missed, 1):.4f} / {hit / max(hit + extra, 1):.4f}"
    return f"{name:26} {found}  missed {missed:.0f}, made up {extra:.0f} of {hit + missed:.0f}"


def on_ludb(detect: Detector, folder: Path) -> None:
    """Print the table of LUDB."""
    rows = ludb(folder)
    pairs = [("II", "V1"), ("I", "V2"), ("V3", "V6"), ("aVR", "V1")]
    sets = {"12 leads": [STANDARD_LEADS], "pairs": pairs, "single": [(x,) for x in STANDARD_LEADS]}
    for name, choices in sets.items():
        counts, spent = np.zeros(3), 0.0
        for signal, fs, leads, beats in rows:
            for chosen in choices:
                started = time.process_time()
                found, _ = detect(signal[[leads.index(x) for x in chosen]], fs, chosen)
                spent += time.process_time() - started
                # the marks leave out the first and last beats of a record
                counts += scored(found, beats, beats[0] - 0.075, beats[-1] + 0.075)
        each = 1e3 * spent / len(rows) / len(choices)
        print(line(f"LUDB, {name}", counts), f"({each:.0f} ms of one core a record)")


def under_stress(detect: Detector, seeds: int) -> None:
    """Print the table of stresses, and how right the confidence is."""
    total = {name: np.zeros(3) for name in LEAD_SETS}
    sorted_by: list[tuple[float, float, float]] = []
    print(f"{'sensitivity / PPV':26}", "".join(f"{name:>18}" for name in LEAD_SETS))
    for stress in STRESSES:
        cells = []
        for name, chosen in LEAD_SETS.items():
            counts = np.zeros(3)
            for seed in range(1000, 1000 + seeds):
                made = stressed(stress, seed)
                rows = [STANDARD_LEADS.index(lead) for lead in chosen]
                found, sure = detect(made.signal[rows], made.fs, chosen)
                one = np.array(scored(found, made.beats, 0.2, 9.8), float)
                counts += one
                sorted_by.append((sure, one[0], one.sum()))
            total[name] += counts
            hit, missed, extra = counts
            cells.append(f"{hit / (hit + missed):.3f} / {hit / max(hit + extra, 1):.3f}")
        print(f"{stress:26}", "".join(f"{cell:>18}" for cell in cells), flush=True)
    for name, counts in total.items():
        print(line(f"all, {name}", counts))
    table = np.array(sorted_by)
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.01)):
        part = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        if len(part):
            right = part[:, 1].sum() / part[:, 2].sum()
            print(
                f"confidence {low:.2f} to {min(high, 1):.2f}: {right:.3f} right, {len(part)} lists"
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["ours"])
    parser.add_argument("--seeds", type=int, default=12)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = Path(os.environ.get("ECGXAI_TEST_DATA", "../shared/data")) / "ludb" / "data"
    for method in asked.methods:
        detect = our_own if method == "ours" else neurokit(method)
        print(f"--- {method}")
        if folder.is_dir():
            on_ludb(detect, folder)
        under_stress(detect, asked.seeds)


if __name__ == "__main__":
    main()
