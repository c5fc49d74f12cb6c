"""Delineation against LUDB's cardiologists: ``python tests/benchmarks/bench_delineation.py``.

Every mark that a cardiologist made in any lead is compared with the nearest border that was found
for the record: sensitivity within 150 ms, mean error (found minus marked) and its standard
deviation. ``--fs 100`` resamples first, ``--methods ours dwt prominence`` compares with
``neurokit2`` (each lead by itself with the same R peaks, then the median over the leads),
``--methods wavedet`` with the published MATLAB delineator as the package ``wavedet`` has ported it
(with its own R peaks and fusion of leads; install it first), ``--methods vector`` with the end of T
of the vector magnitude by its tangent, and ``--half 1`` takes the records on which no constant was
chosen. The last lines say how well beats without a P wave are told: beats between others, marked in
at least six leads.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.models.preprocess import resample
from ecgxai_core.records.read import read_record
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.delineation import delineate
from ecgxai_core.types import FloatArray, IntArray

WITHIN_SEC = 0.15
ANNOTATED = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
WAVES = {"P": ("p", "p_onset", "p_offset"), "QRS": ("N", "qrs_onset", "qrs_offset"),
         "T": ("t", "t_onset", "t_offset")}  # fmt: skip
NEUROKIT = {
    "p_onset": "ECG_P_Onsets",
    "p_offset": "ECG_P_Offsets",
    "qrs_onset": "ECG_R_Onsets",
    "qrs_offset": "ECG_R_Offsets",
    "t_onset": "ECG_T_Onsets",
    "t_offset": "ECG_T_Offsets",
}
WAVEDET = {
    "p_onset": "p_on",
    "p_offset": "p_off",
    "qrs_onset": "qrs_on",
    "qrs_offset": "qrs_off",
    "t_onset": "t_on",
    "t_offset": "t_off",
}

Found = dict[str, FloatArray]
Delineator = Callable[[FloatArray, float, tuple[str, ...]], Found]
Marks = list[list[tuple[str, float, float]]]


def marks(path: Path) -> Marks:
    """By lead: kind, onset and offset (s) of every wave; NaN where one was not marked."""
    import wfdb

    leads = []
    for extension in ANNOTATED:
        read = wfdb.rdann(str(path.with_suffix("")), extension)
        waves, onset, kind = [], float("nan"), ""
        for sample, symbol in zip(read.sample / 500.0, read.symbol, strict=True):
            if symbol == "(":
                onset = float(sample)
            elif symbol == ")":
                waves.append((kind, onset, float(sample)))
                onset = float("nan")
            else:
                kind = symbol
        leads.append(waves)
    return leads


def ours(signal: FloatArray, fs: float, leads: tuple[str, ...]) -> Found:
    """Borders by this program, seconds."""
    waves = delineate(signal, fs, leads)
    return {name: getattr(waves, name) for name in NEUROKIT}


def by_wavedet(signal: FloatArray, fs: float, peaks: FloatArray) -> tuple[Found, Found]:
    """Borders by wavedet, seconds, and those of each lead, at the R peaks (s) that its own lie
    nearest to; the first share nothing with this program, R peaks neither."""
    import wavedet

    def named(one: Any) -> Found:
        return {name: np.asarray(getattr(one, key), float) / fs for name, key in WAVEDET.items()}

    found = wavedet.delineate(signal.T, int(fs))
    each = {name: np.full((len(signal), len(peaks)), np.nan) for name in WAVEDET}
    if len(found.per_lead) == len(signal):  # it leaves out leads in which it fails, without names
        for row, lead in enumerate(found.per_lead):
            at, its = same_beats(peaks, np.asarray(lead.qrs, float) / fs)
            for name, values in named(lead).items():
                each[name][row, at] = values[its]
    return named(found), each


def same_beats(one: FloatArray, other: FloatArray) -> tuple[IntArray, IntArray]:
    """Which beat of one list is which of another, of those within 0.1 s of each other."""
    if not (one.size and other.size):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    nearest = np.abs(other[None] - one[:, None]).argmin(axis=1)
    kept = np.flatnonzero(np.abs(other[nearest] - one) < 0.1)
    return kept, nearest[kept]


def by_vector(signal: FloatArray, fs: float, peaks: IntArray) -> Found:
    """``float64[1, R peak]``: the end of the T wave of the median beat, laid at every R peak,
    seconds; no other border.

    In the vector magnitude (root mean square of the leads, 0.5 to 40 Hz) T is the highest point
    from 0.1 s + 4 % to 75 % of the RR interval after R. It ends where the tangent to its steepest
    descent meets the lowest level behind it (Lepeschkin and Surawicz, Circulation 1952;6:378).
    """
    from scipy.signal import butter, sosfiltfilt

    each = {name: np.full((1, len(peaks)), np.nan) for name in NEUROKIT}
    clean = sosfiltfilt(butter(2, (0.5, 40.0), "bandpass", fs=fs, output="sos"), signal, axis=1)
    rr = float(np.median(np.diff(peaks))) if len(peaks) > 1 else np.inf
    inner = [at for at in peaks if at + 0.75 * rr < signal.shape[1]]
    if inner:
        beat = np.median([clean[:, at : at + int(0.75 * rr)] for at in inner], axis=0)
        beat -= np.median(beat[:, -round(0.02 * fs) :], axis=1, keepdims=True)
        size = np.sqrt((beat**2).mean(axis=0))
        first = round(0.1 * fs + 0.04 * rr)
        peak = first + int(size[first:].argmax())
        slope = np.gradient(size)
        steepest = peak + int(slope[peak:].argmin())
        if slope[steepest] < 0:
            end = steepest + (size[steepest:].min() - size[steepest]) / slope[steepest]
            each["t_offset"] = (end + peaks[None]) / fs
    return each


REPEATED = 12
"""Beats in a row, where a delineator of rhythms is given one beat."""


def repeated_beat(signal: FloatArray, peaks: IntArray) -> tuple[FloatArray, IntArray]:
    """The median beat of every lead, one RR interval long and without a step from its end to its
    beginning, over and over; and its R peaks. Empty where there is no whole beat."""
    rr = int(np.median(np.diff(peaks))) if len(peaks) > 1 else 0
    before = round(0.35 * rr)
    starts = [at - before for at in peaks if at >= before and at - before + rr <= signal.shape[1]]
    if not rr or not starts:
        return np.empty((len(signal), 0)), np.empty(0, np.int64)
    beat = np.median([signal[:, start : start + rr] for start in starts], axis=0)
    beat = beat - np.linspace(beat[:, 0], beat[:, -1], rr, axis=1)
    return np.tile(beat, REPEATED), before + rr * np.arange(REPEATED)


def by_median_beat(signal: FloatArray, fs: float, peaks: IntArray) -> Found:
    """``float64[lead, R peak]``: wavedet's borders of the median beat, as cardiographs measure,
    laid at every R peak, seconds."""
    beats, at = repeated_beat(signal, peaks)
    each = {name: np.full((len(signal), len(peaks)), np.nan) for name in WAVEDET}
    if at.size:
        for name, found in by_wavedet(beats, fs, at / fs)[1].items():
            each[name] = np.nanmedian(found - at / fs, axis=1)[:, None] + peaks[None] / fs
    return each


def delineator(method: str) -> Delineator:
    """``ours``, ``wavedet``, ``median beat`` (of wavedet), ``vector``, or a method of neurokit2."""
    return ours if method == "ours" else lambda *record: by_leads(method, *record)[0]


def by_leads(
    method: str, signal: FloatArray, fs: float, leads: tuple[str, ...]
) -> tuple[Found, Found]:
    """Borders of a record by ``wavedet``, ``median beat``, ``vector`` or a method of neurokit2,
    seconds; and ``float64[lead, R peak]`` those of every lead."""
    peaks = r_peaks(signal, fs, leads)
    if method == "wavedet":
        return by_wavedet(signal, fs, peaks / fs)
    of_beat = {"vector": by_vector, "median beat": by_median_beat}
    if method in of_beat:
        each = of_beat[method](signal, fs, peaks)
    else:
        each = by_neurokit(method, signal, fs, peaks)
    return {name: np.nanmedian(rows, axis=0) for name, rows in each.items()}, each


def by_neurokit(method: str, signal: FloatArray, fs: float, peaks: IntArray) -> Found:
    """``float64[lead, R peak]``: borders by one method of neurokit2, seconds."""
    import neurokit2 as nk

    each = {name: np.full((len(signal), len(peaks)), np.nan) for name in NEUROKIT}
    for lead, row in enumerate(signal):
        clean = nk.ecg_clean(row, sampling_rate=int(fs))
        try:
            waves = nk.ecg_delineate(clean, peaks, sampling_rate=int(fs), method=method)[1]
        except (ValueError, IndexError, ZeroDivisionError):
            continue  # it fails on some leads
        for name, key in NEUROKIT.items():
            values = np.array([np.nan if v is None else v for v in waves.get(key, [])], float)
            if len(values) == len(peaks):
                each[name][lead] = values / fs
    return each


def errors(found: FloatArray, marked: FloatArray) -> FloatArray:
    """Nearest found minus marked, seconds; infinite where nothing was found."""
    found = found[np.isfinite(found)]
    if found.size == 0:
        return np.full(len(marked), np.inf)
    distance = found[None] - marked[:, None]
    return distance[np.arange(len(marked)), np.abs(distance).argmin(axis=1)]


def p_presence(
    found: Found, leads: list[list[tuple[str, float, float]]]
) -> list[tuple[bool, bool]]:
    """(marked, found) for every inner QRS complex that at least six leads have."""
    onsets = found["qrs_onset"]
    told = []
    for i in range(1, len(onsets) - 1):
        onset = onsets[i]
        seen = [any(k == "N" and abs(a - onset) < 0.1 for k, a, _ in lead) for lead in leads]
        first = min((a for lead in leads for k, a, _ in lead if k == "N"), default=0.0)
        if sum(seen) < 6 or onset - first < 0.3:
            continue
        with_p = [any(k == "p" and 0 <= onset - b < 0.3 for k, _, b in lead) for lead in leads]
        told.append((sum(with_p) >= 3, bool(np.isfinite(found["p_onset"][i]))))
    return told


def main() -> None:
    """Print one table a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["ours"])
    parser.add_argument("--fs", type=float, default=500.0)
    parser.add_argument("--half", type=int, choices=(0, 1), default=None)
    asked = parser.parse_args()
    folder = Path(os.environ.get("ECGXAI_TEST_DATA", "../shared/data")) / "ludb" / "data"
    paths = sorted(folder.glob("*.hea"), key=lambda path: int(path.stem))
    paths = paths if asked.half is None else paths[asked.half :: 2]
    truth = [marks(path) for path in paths]
    records = [read_record(path) for path in paths]
    ratio = Fraction(asked.fs) / 500
    warnings.simplefilter("ignore")
    for method in asked.methods:
        started = time.perf_counter()
        find = delineator(method)
        found = [find(resample(r.signal.astype(float), ratio), asked.fs, r.leads) for r in records]
        each = (time.perf_counter() - started) / len(records)
        print(f"{method}: {len(records)} records at {asked.fs:g} Hz, {each * 1e3:.0f} ms a record")
        report(found, truth)


def report(found: list[Found], truth: list[Marks]) -> None:
    """Print the table of one method."""
    pairs = list(zip(found, truth, strict=True))
    for wave, (symbol, *borders) in WAVES.items():
        for side, border in enumerate(borders):
            parts = []
            for one, leads in pairs:
                given = np.array([w[1 + side] for lead in leads for w in lead if w[0] == symbol])
                parts.append(errors(one[border], given[np.isfinite(given)]))
            error = np.concatenate(parts)
            near = error[np.abs(error) <= WITHIN_SEC] * 1e3
            print(
                f"  {wave:3} {('onset', 'offset')[side]:6} "
                f"sensitivity {len(near) / len(error):.4f} of {len(error)}, "
                f"error {near.mean():+.1f} +- {near.std():.1f} ms"
            )
    told = np.array([row for one, leads in pairs for row in p_presence(one, leads)])
    if told.size == 0:
        return  # the method finds no QRS borders
    with_p = told[:, 0]
    print(
        f"  beats with P: found in {told[with_p, 1].mean():.3f} of {with_p.sum()};"
        f" without: absent in {1 - told[~with_p, 1].mean():.3f} of {(~with_p).sum()}"
    )


if __name__ == "__main__":
    main()
