"""Edits against borders of others: ``python -m tests.benchmarks.bench_edits --data DATA``.

Every record is changed, and each interval is measured by ``neurokit2`` (each lead by itself), which
shares nothing with the delineation that the edits rest on but the R peaks; and, where it is
installed, by ``wavedet``, the port of the published MATLAB delineator with its own peaks and fusion
of leads, which shares nothing at all (our R peaks where it is paired or given the median beat). By
neurokit2 PR is measured by prominence, QRS and QT by wavelets.

There are four ways to take a change from borders:

* the interval of the edited record less that of the original, each the median over the beats, of
  the median over the leads (neurokit2) or the fused leads (wavedet);
* ``paired``: border by border, in every lead and beat, its distance from the R peak in the edited
  record less that in the original; the median of these, of the last border less of the first. A
  lead in which a border is found on another wave in one version is one outlier among many;
* ``qt, vector``: the end of T of the vector magnitude (:func:`.bench_delineation.by_vector`), in
  which flat T waves of single leads have no say; the onset is neurokit2's, paired;
* ``qt, median beat``: both borders by wavedet in the median beat of every lead, as cardiographs
  measure (:func:`.bench_delineation.by_median_beat`), paired by leads.

QRS is measured without borders too (``qrs, spread``): the duration that the cardiologists marked,
times the relative change of the time over which the squared slope of all leads is spread about each
R peak.

Four more sets of rows say what such a measurement is worth. ``marks``: the borders that LUDB's
cardiologists drew, in every lead, carried along by the edit. How it moves each moment is read off
what it does to a record whose signal is its own time. ``control``: the same measurements of a
change that is known beforehand and owes nothing to this program: the interval between the
cardiologists' borders stretched by the size. ``all times``: the whole record slowed down or sped up
(the size is the factor; asked is that part of the cardiologists' interval). An instrument that sees
a part of those cannot be expected to see all of an edit. ``half``: a wrong edit, by half of what
is asked for.

Amplitudes are read off the samples: ST at 60 ms after the J point, T and P at the original's peak
over the level before the QRS complex. Simulated sinus rhythm, and those records of LUDB in which P
waves are found in most beats. The table has, by edit and size, the records that had room for it,
the median of what was measured and the share of records within 8 ms or 10 % (0.03 mV or 10 % for
amplitudes). 10 % of a QT interval are 40 ms, as much as an edit of 40 ms, so that doing nothing is
within too. ``close`` is therefore the share within 8 ms or 10 % of the change itself.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.records import find_records, read_record
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.signal.intervals import measure_signal
from ecgxai_core.simulation import simulate
from ecgxai_core.simulation.edits import Place, edited
from ecgxai_core.types import FloatArray, IntArray, Record
from tests.benchmarks.bench_delineation import Found, Marks, by_leads, marks, same_beats

LEAD = "V3"
ROOM_SEC = (0.12, 0.15)
"""Before and after a complex: what gives way in a control."""


@dataclass(frozen=True)
class Measure:
    """An edit of time, and the borders between which its interval is measured, with the methods;
    ``paired``: the change is the median of the changes of each lead and beat."""

    edit: str
    start: tuple[str, str]
    stop: tuple[str, str]
    sizes: tuple[float, ...]
    paired: bool = False


INTERVALS: dict[str, Measure] = {
    "pr": Measure("pr", ("prominence", "p_onset"), ("prominence", "qrs_onset"), (-20, 20, 40)),
    "qrs": Measure("qrs", ("dwt", "qrs_onset"), ("dwt", "qrs_offset"), (-20, 20, 40)),
    "qt": Measure("qt", ("dwt", "qrs_onset"), ("dwt", "t_offset"), (-40, 40, 80)),
}
if find_spec("wavedet"):
    INTERVALS |= {
        f"{name}, wavedet": Measure(
            name, ("wavedet", INTERVALS[name].start[1]), ("wavedet", INTERVALS[name].stop[1]),
            INTERVALS[name].sizes,
        )
        for name in ("pr", "qrs", "qt")
    }  # fmt: skip
INTERVALS |= {f"{name}, paired": replace(how, paired=True) for name, how in INTERVALS.items()}
INTERVALS["qt, vector"] = replace(INTERVALS["qt, paired"], stop=("vector", "t_offset"))
if find_spec("wavedet"):
    INTERVALS["qt, median beat"] = Measure(
        "qt", ("median beat", "qrs_onset"), ("median beat", "t_offset"),
        INTERVALS["qt"].sizes, paired=True,
    )  # fmt: skip
MARKED = {"pr": (("p", 0), ("N", 0)), "qrs": (("N", 0), ("N", 1)), "qt": (("N", 0), ("t", 1))}
"""Between which marks of a cardiologist an interval lies: the wave, and its onset (0) or end."""

FACTORS = (0.8, 1.2, 1.4)
AMPLITUDES = {"st_level": (-0.2, 0.2), "t_amplitude": (-1.0, 0.5, 2.0), "p_amplitude": (0.0, 2.0)}
RATES = (-10.0, 10.0)


def sinus(data: Path, n: int, sets: Sequence[str]) -> Iterator[tuple[str, Record, Marks]]:
    """Records with the set that each is of and what cardiologists marked."""
    for seed in range(n if "simulated" in sets else 0):
        yield "simulated", simulate("sinus_rhythm", seed=seed).record, []
    if "LUDB" not in sets:
        return
    found = 0
    for path in find_records([data / "ludb" / "data"]):
        record = read_record(path)
        waves = delineate(record.signal, record.fs, record.leads)
        if len(waves) >= 6 and np.isfinite(waves.p_onset).mean() > 0.8:
            found += 1
            yield "LUDB", record, marks(path)
        if found == n:
            return


def marked(drawn: Marks, name: str) -> FloatArray:
    """``float64[interval, 2]``: start and stop of an interval, seconds, of every lead and beat."""
    (first, side), (last, end) = MARKED[name]
    found = []
    for lead in drawn:
        for place, wave in enumerate(lead):
            later = wave if first == last else lead[place + 1] if place + 1 < len(lead) else None
            if wave[0] == first and later is not None and later[0] == last:
                found.append((wave[1 + side], later[1 + end]))
    pairs = np.array(found, np.float64).reshape(-1, 2)
    return pairs[np.isfinite(pairs).all(axis=1)]


def moments(record: Record, name: str, size: float, waves: Delineation) -> FloatArray:
    """Of every sample of an edited record, the time in the original that it shows, seconds."""
    time = np.tile(np.arange(record.n_samples) / record.fs, (len(record.leads), 1))
    clock = replace(record, signal=time.astype(np.float32))
    return edited(clock, name, size, None, waves).signal[0].astype(float)


def lengthened(pairs: FloatArray, source: FloatArray, fs: float) -> float:
    """Median change of intervals when the record shows ``source`` seconds at its samples, ms."""
    moved = np.interp(pairs, source, np.arange(len(source)) / fs)
    return float(1e3 * np.median(np.diff(moved, axis=1) - np.diff(pairs, axis=1)))


def complexes(drawn: Marks, name: str = "qrs") -> FloatArray:
    """``float64[beat, 2]``: start and stop of an interval, seconds, the median over six or more
    leads."""
    groups: list[list[tuple[float, float]]] = []
    for start, stop in sorted(map(tuple, marked(drawn, name))):
        if not groups or start - groups[-1][0][0] > 0.25:
            groups.append([])
        groups[-1].append((start, stop))
    return np.array([np.median(group, axis=0) for group in groups if len(group) >= 6])


def stretched(record: Record, source: FloatArray) -> Record:
    """The record as it was at ``source`` seconds, by a cubic spline."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(np.arange(record.n_samples) / record.fs, record.signal, axis=1)
    return replace(record, name=f"{record.name}_control", signal=curve(source).astype(np.float32))


def control(record: Record, drawn: Marks, size: float, name: str = "qrs") -> Record:
    """The record with the intervals that the cardiologists marked longer by ``size`` ms.

    Complexes to both sides; QT from the onset on, where what lies behind T gives way, up to the
    room before the next onset, so that no onset moves.
    """
    knots, last, spans = [(0.0, 0.0)], record.duration, complexes(drawn, name)
    early, late = (0.0, size / 1e3) if name == "qt" else (size / 2e3, size / 2e3)
    following = [*(spans[1:, 0] - ROOM_SEC[0]), last] if name == "qt" else spans[:, 1] + ROOM_SEC[1]
    for (start, stop), after in zip(spans, following, strict=True):
        before = start - ROOM_SEC[0]
        if before >= knots[-1][0] and stop + late < after <= last:
            knots += [(before, before), (start, start - early), (stop, stop + late), (after, after)]
    old, new = np.unique([*knots, (last, last)], axis=0).T
    return stretched(record, np.interp(np.arange(record.n_samples) / record.fs, new, old))


def amplitude(record: Record, waves: Delineation, name: str) -> float:
    """Median over the beats of one lead's amplitude at the places of the original, mV."""
    lead = record.signal[record.leads.index(LEAD)].astype(float)
    places = {
        "st_level": waves.qrs_offset + 0.06, "t_amplitude": waves.t_peak,
        "p_amplitude": waves.p_peak,
    }[name]  # fmt: skip
    values = []
    for place, onset in zip(places, waves.qrs_onset, strict=True):
        at, level = place * record.fs, (onset - 0.02) * record.fs
        if (
            np.isfinite([at, level]).all()
            and min(at, level) >= 5
            and max(at, level) < len(lead) - 5
        ):
            parts = [lead[round(x) - 2 : round(x) + 3].mean() for x in (at, level)]
            values.append(parts[0] - parts[1])
    return float(np.median(values)) if values else float("nan")


def rate(record: Record) -> float:
    import neurokit2 as nk

    row = record.signal[record.leads.index("II")].astype(float)
    clean = nk.ecg_clean(row, sampling_rate=int(record.fs))
    peaks = nk.ecg_peaks(clean, sampling_rate=int(record.fs))[1]["ECG_R_Peaks"]
    return float(60.0 / np.median(np.diff(peaks) / record.fs))


def spread(record: Record) -> float:
    """Standard deviation in time of the squared slope of all leads around an R peak, seconds; the
    median over beats. A complex that is stretched evenly has one as many times larger."""
    slope = np.gradient(record.signal.astype(float), axis=1)
    smooth = np.stack([np.convolve(row, np.ones(5) / 5, "same") for row in slope])
    energy, found = (smooth**2).sum(axis=0), []
    for peak in r_peaks(record.signal, record.fs, record.leads):
        start, stop = peak - round(0.11 * record.fs), peak + round(0.13 * record.fs)
        if start < 0 or stop > len(energy):
            continue
        part = energy[start:stop]
        weight = np.clip(part - np.quantile(part, 0.3), 0, None)
        time = np.arange(start, stop) / record.fs
        middle = (weight * time).sum() / weight.sum()
        found.append(np.sqrt((weight * (time - middle) ** 2).sum() / weight.sum()))
    return float(np.median(found))


class Changes:
    """Durations of intervals (ms) of one record in its versions, and how they changed; what was
    found once in a version is kept."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._found: dict[tuple[str, str], tuple[Found, Found]] = {}
        self._peaks: dict[str, IntArray] = {}

    def peaks(self, one: Record) -> IntArray:
        if one.digest not in self._peaks:
            self._peaks[one.digest] = r_peaks(one.signal, one.fs, one.leads)
        return self._peaks[one.digest]

    def found(self, one: Record, method: str) -> tuple[Found, Found]:
        key = one.digest, method
        if key not in self._found:
            self._found[key] = by_leads(method, one.signal.astype(float), one.fs, one.leads)
        return self._found[key]

    def duration(self, one: Record, how: Measure) -> float:
        start, stop = (self.found(one, method)[0][name] for method, name in (how.start, how.stop))
        length = stop - start if len(stop) == len(start) else np.array([np.nan])
        return float(np.nanmedian(length) * 1e3)

    def change(self, after: Record, how: Measure, factor: float = 1.0) -> float:
        """Of the interval in a version whose beats lie at ``factor`` times their old times."""
        if not how.paired:
            return self.duration(after, how) - self.duration(self.record, how)
        old, new = (self.peaks(one) / one.fs for one in (self.record, after))
        was, now = same_beats(old * factor, new)

        def moved(method: str, name: str) -> float:
            before, later = (self.found(one, method)[1][name] for one in (self.record, after))
            return float(np.nanmedian((later - new)[:, now] - (before - old)[:, was]))

        return 1e3 * (moved(*how.stop) - moved(*how.start))


Row = tuple[str, str, float, float, float, float, float]
Change = Callable[[Record, float], float]
"""Of an interval in a version of a record, whose times are longer by a factor, ms."""


def known_ways(changes: Changes, drawn: Marks, name: str) -> dict[str, tuple[float, Change]]:
    """The ways in which a QRS duration or QT is measured: its size in the record, and its change,
    ms."""
    ways: dict[str, tuple[float, Change]] = {
        key: (
            changes.duration(changes.record, how),
            lambda one, factor, how=how: changes.change(one, how, factor),  # type: ignore[misc]
        )
        for key, how in INTERVALS.items()
        if how.edit == name
    }
    if name == "qrs":
        duration = 1e3 * float(np.median(np.diff(marked(drawn, "qrs"), axis=1)))
        before = spread(changes.record)
        ways["qrs, spread"] = duration, lambda one, _: duration * (spread(one) / before - 1)
    return ways


def of_control(changes: Changes, drawn: Marks, edit: str) -> Iterator[Row]:
    """What the ways of measuring an interval see of a change that is known."""
    record = changes.record
    duration = 1e3 * float(np.median(np.diff(marked(drawn, edit), axis=1)))
    time = np.arange(record.n_samples) / record.fs
    for name, (before, change) in known_ways(changes, drawn, edit).items():
        for size in INTERVALS[edit].sizes:
            seen = _seen(change(control(record, drawn, size, edit), 1.0))
            yield "LUDB, control", name, size, size, seen, _near(before, size), np.nan
        for factor in FACTORS:
            asked = (factor - 1) * duration
            slower = stretched(record, np.minimum(time / factor, time[-1]))
            seen = _seen(change(slower, factor))
            yield "LUDB, all times", name, factor, asked, seen, _near(before, asked), np.nan


def _seen(change: float) -> float:
    """A change, infinite where no border was found."""
    return change if np.isfinite(change) else np.inf


def _near(before: float, change: float) -> float:
    """How far a measured change (ms) may lie from the one asked for."""
    return max(8.0, 0.1 * (before + change))


def of_record(kind: str, record: Record, drawn: Marks, edits: Sequence[str]) -> Iterator[Row]:
    """Set, edit, size; asked and measured change, tolerance, and the change by our measurement."""
    waves = delineate(record.signal, record.fs, record.leads)
    changes = Changes(record)

    def changed(name: str, size: float, place: Place | None = None) -> Record | None:
        try:
            return edited(record, name, size, place, waves)
        except ExplanationError:
            return None

    def own(one: Record, name: str) -> float:
        return measure_signal(one.signal, one.fs, one.leads).named()[name.upper()].value

    for name, how in INTERVALS.items():
        if how.edit not in edits:
            continue
        before, ours = changes.duration(record, how), own(record, how.edit)
        for size in how.sizes:
            after = changed(how.edit, size)
            values = (np.nan, np.nan)
            if after is not None:
                values = _seen(changes.change(after, how)), own(after, how.edit) - ours
            yield kind, name, size, size, values[0], _near(before, size), values[1]
            if 2 * size in how.sizes:
                near = _near(before, 2 * size)
                yield f"{kind}, half", name, size, 2 * size, values[0], near, values[1]
    if drawn and "qrs" in edits:
        before, by_spread = known_ways(changes, drawn, "qrs")["qrs, spread"]
        for size in INTERVALS["qrs"].sizes:
            after = changed("qrs", size)
            value = np.nan if after is None else by_spread(after, 1.0)
            yield kind, "qrs, spread", size, size, value, _near(before, size), np.nan
    for edit in ("qrs", "qt") if drawn else ():
        if edit in edits:
            yield from of_control(changes, drawn, edit)
    for name in MARKED if drawn else ():
        pairs = marked(drawn, name)
        if name not in edits or not len(pairs):
            continue
        before = 1e3 * float(np.median(np.diff(pairs, axis=1)))
        for size in INTERVALS[name].sizes:
            value = np.nan
            if changed(name, size) is not None:
                value = lengthened(pairs, moments(record, name, size, waves), record.fs)
            yield "LUDB, marks", name, size, size, value, _near(before, size), np.nan
    for name, levels in AMPLITUDES.items():
        if name not in edits:
            continue
        old = amplitude(record, waves, name)
        for size in levels:
            after = changed(name, size, Place((LEAD,)))
            asked = size if name == "st_level" else (size - 1) * old
            value = np.nan if after is None else amplitude(after, waves, name) - old
            yield kind, name, size, asked, value, max(0.03, 0.1 * abs(asked)), np.nan
    for size in RATES if "rate" in edits else ():
        after = changed("rate", size)
        value = np.nan if after is None else rate(after) - rate(record)
        yield kind, "rate", size, size, value, 0.1 * rate(record), np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=20, help="records of each set")
    parser.add_argument("--sets", nargs="+", default=["simulated", "LUDB"])
    every = [*dict.fromkeys(how.edit for how in INTERVALS.values()), *AMPLITUDES, "rate"]
    parser.add_argument("--edits", nargs="+", default=every, choices=every)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [
        row
        for kind, record, drawn in sinus(options.data, options.n, options.sets)
        for row in of_record(kind, record, drawn, options.edits)
    ]
    print("| records | edit | size | had room | asked | measured | within | close | ours |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind, name, size in dict.fromkeys(row[:3] for row in rows):
        part = np.array([row[3:] for row in rows if row[:3] == (kind, name, size)])
        known = part[~np.isnan(part[:, 1])]  # infinite: there was room, and no border was found
        error = np.abs(known[:, 1] - known[:, 0])
        asked, found = np.median(known[:, 0]), np.median(known[:, 1])
        close, ours = "", ""
        if name.split(",")[0] in MARKED:
            close = f"{(error <= np.maximum(8.0, 0.1 * np.abs(known[:, 0]))).mean():.0%}"
        if np.isfinite(known[:, 3]).any():
            ours = f"{np.nanmedian(known[:, 3]):+.0f}"
        print(
            f"| {kind} | {name} | {size:g} | {len(known)} of {len(part)} | {asked:+.2f} "
            f"| {found:+.2f} | {(error <= known[:, 2]).mean():.0%} | {close} | {ours} |"
        )


if __name__ == "__main__":
    main()
