"""Changes of the times of a record: intervals inside the beats, and the times of the beats.

Every lead follows the same map of time, so the identities of the limb leads hold as well as before,
and samples whose time does not change keep their bytes. Between the knots of a map time runs
evenly; the signal is read between its samples by a cubic spline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.signal.delineation import Delineation, bridged
from ecgxai_core.types import Float32Array, FloatArray, IntArray, Record, content_seed

__all__ = [
    "inserted_beat",
    "longer_pr",
    "longer_qrs",
    "longer_qt",
    "more_irregular",
    "more_regular",
    "next_beat",
    "other_rate",
    "premature_beat",
    "removed_beat",
]

_ROOM_SEC = 0.02
"""What is left of a segment that a change shortens, at least."""

_MARGIN_SEC = 0.03
"""Before a P wave (or a QRS complex without one) and after a T wave: still part of the beat."""

_READY_SEC = 0.1
"""After the QRS complex: earlier no beat begins."""

_NO_P_SEC = 0.08
"""Before the QRS complex of a beat without P wave: still part of the beat."""


def _refuse(record: Record, change: str, problem: str, fix: str) -> ExplanationError:
    return ExplanationError(record.name, change, problem, fix)


def _enough(record: Record, waves: Delineation, least: int, change: str) -> None:
    if len(waves) < least:
        problem = f"{len(waves)} beats were found; {least} are needed"
        raise _refuse(record, change, problem, "take another record")


# ---- inside the beats ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Beat:
    """What one beat allows, seconds, and the (old, new) times of its knots for a change."""

    least: float
    most: float
    knots: Callable[[float], list[tuple[float, float]]]


def longer_pr(record: Record, waves: Delineation, by_ms: float) -> Float32Array:
    """Let P waves come earlier (later, below 0) by so many ms; the PR segment takes it up."""
    beats, ended = [], 0.0
    for beat in range(len(waves)):
        on, off, qrs = waves.p_onset[beat], waves.p_offset[beat], waves.qrs_onset[beat]
        if ended < on < off < qrs:
            beats.append(_earlier_p(ended, float(on), float(off), float(qrs)))
        ended = _end(waves, beat)
    return _changed(record, "PR", beats, by_ms)


def _earlier_p(ended: float, on: float, off: float, qrs: float) -> _Beat:
    def knots(by: float) -> list[tuple[float, float]]:
        return [(ended, ended), (on, on - by), (off, off - by), (qrs, qrs)]

    return _Beat(off - qrs + _ROOM_SEC / 2, on - ended - _ROOM_SEC, knots)


def longer_qrs(record: Record, waves: Delineation, by_ms: float) -> Float32Array:
    """Stretch QRS complexes about their R peaks by so many ms.

    The P wave moves with the onset, so the PR interval stays; so does the peak of the T wave.
    """
    beats, ended = [], 0.0
    for beat in range(len(waves)):
        onset, offset = float(waves.qrs_onset[beat]), float(waves.qrs_offset[beat])
        if ended < onset < offset:
            p_on, t_peak = float(waves.p_onset[beat]), float(waves.t_peak[beat])
            first = p_on if ended < p_on < onset else onset
            until = t_peak if t_peak > offset else next_beat(waves, beat, record.duration)
            times = ended, first, onset, float(waves.r_peak[beat]), offset, until
            beats.append(_wider_qrs(times))
            ended = until
        ended = max(ended, _end(waves, beat))
    return _changed(record, "QRS", beats, by_ms)


def _wider_qrs(times: tuple[float, float, float, float, float, float]) -> _Beat:
    ended, first, onset, peak, offset, until = times
    before = min(max((peak - onset) / (offset - onset), 0.0), 1.0)
    most = min(
        (first - ended - _ROOM_SEC) / max(before, 1e-9),
        (until - offset - _ROOM_SEC) / max(1 - before, 1e-9),
    )

    def knots(by: float) -> list[tuple[float, float]]:
        early, late = before * by, (1 - before) * by
        return [
            (ended, ended), (first, first - early), (onset, onset - early), (peak, peak),
            (offset, offset + late), (until, until),
        ]  # fmt: skip

    return _Beat(2 * _ROOM_SEC - (offset - onset), most, knots)


def longer_qt(record: Record, waves: Delineation, by_ms: float) -> Float32Array:
    """Stretch ST segment and T wave by so many ms; the pause before the next beat takes it up."""
    beats = []
    for beat in range(len(waves)):
        offset, end = float(waves.qrs_offset[beat]), float(waves.t_offset[beat])
        following = next_beat(waves, beat, record.duration)
        if offset < end < following:
            beats.append(_later_t(offset, end, following))
    return _changed(record, "QT", beats, by_ms)


def _later_t(offset: float, end: float, following: float) -> _Beat:
    def knots(by: float) -> list[tuple[float, float]]:
        return [(offset, offset), (end, end + by), (following, following)]

    return _Beat((offset - end) / 2, following - end - _ROOM_SEC, knots)


def _changed(record: Record, name: str, beats: Sequence[_Beat], by_ms: float) -> Float32Array:
    """Change every beat as far as it has room; at least half of them by all of it."""
    change, by = f"{name} {by_ms:+g} ms", by_ms / 1e3
    if not beats:
        problem = "the waves that it lies between were not found"
        raise _refuse(record, change, problem, "take another change")
    least = [min(beat.least, 0.0) for beat in beats]
    most = [max(beat.most, 0.0) for beat in beats]
    low, high = float(np.median(least)), float(np.median(most))
    if not low <= by <= high:
        problem = f"half of the beats have room for {1e3 * low:.0f} to {1e3 * high:+.0f} ms only"
        raise _refuse(record, change, problem, "take a change in this range")
    possible = np.clip(by, least, most)
    pairs = [
        pair for beat, size in zip(beats, possible, strict=True) for pair in beat.knots(float(size))
    ]
    return _warped(record, np.array(pairs, np.float64))


def _end(waves: Delineation, beat: int) -> float:
    """Where the last known wave of a beat ends, seconds."""
    ends = (waves.qrs_offset[beat], waves.t_offset[beat])
    return float(np.nanmax(ends)) if np.isfinite(ends).any() else float(waves.r_peak[beat])


def next_beat(waves: Delineation, beat: int, duration: float) -> float:
    """Where the next beat begins, or the record ends, seconds."""
    if beat + 1 >= len(waves):
        return duration
    p_on, onset = waves.p_onset[beat + 1], waves.qrs_onset[beat + 1]
    return float(p_on if np.isfinite(p_on) else onset)


def _warped(record: Record, pairs: FloatArray) -> Float32Array:
    """The signal with (old, new) seconds, ``float64[knot, 2]`` in order, and even time between."""
    old = np.concatenate([[0.0], pairs[:, 0], [record.duration]])
    new = np.concatenate([[0.0], pairs[:, 1], [record.duration]])
    kept = np.concatenate([[True], np.diff(new) > 1e-9])  # two knots of one moment are one
    time = np.arange(record.n_samples) / record.fs
    source = np.interp(time, new[kept], old[kept])
    return _read(record, source, np.abs(source - time) > 1e-9)


def _read(record: Record, source: FloatArray, moved: np.ndarray) -> Float32Array:
    """Samples read at ``source`` seconds where ``moved``; missing ones stay missing."""
    from scipy.interpolate import CubicSpline

    out = np.array(record.signal)
    if not moved.any():
        return out
    time = np.arange(record.n_samples) / record.fs
    curve = CubicSpline(time, bridged(record.signal.astype(np.float64)), axis=1)
    out[:, moved] = curve(source[moved])
    gaps = ~np.isfinite(record.signal)
    if gaps.any():
        nearest = np.clip(np.round(source * record.fs), 0, record.n_samples - 1).astype(np.int64)
        out[gaps[:, nearest] & moved] = np.nan
    return out


# ---- the times of the beats ----------------------------------------------------------------------


def other_rate(record: Record, waves: Delineation, by_bpm: float) -> Float32Array:
    """Change the heart rate by so many beats a minute; waves keep their lengths.

    Every RR interval is scaled by the same factor, so an irregular rhythm stays one.
    """
    rr = _intervals(record, waves, "heart rate")
    rate = 60.0 / float(np.median(rr))
    if rate + by_bpm <= 5.0:
        problem = f"the record has {rate:.0f}/min"
        raise _refuse(record, f"heart rate {by_bpm:+g}/min", problem, "take a smaller change")
    return _retimed(record, waves, rr * rate / (rate + by_bpm), "heart rate")


def more_regular(record: Record, waves: Delineation, share: float) -> Float32Array:
    """Bring every RR interval nearer to their mean by this share; 1 = all the same."""
    rr = _intervals(record, waves, "regular RR")
    return _retimed(record, waves, rr + share * (rr.mean() - rr), "regular RR")


def more_irregular(record: Record, waves: Delineation, percent: float) -> Float32Array:
    """Add chance to the RR intervals: a standard deviation of so many % of their mean.

    It is drawn from the record's content, the same for every size, so a larger change is more of
    the same.
    """
    rr = _intervals(record, waves, "irregular RR")
    rng = np.random.default_rng(content_seed("irregular", record.digest))
    drawn = rng.standard_normal(len(rr))
    drawn = (drawn - drawn.mean()) / max(float(drawn.std()), 1e-12)
    return _retimed(record, waves, rr + rr.mean() * percent / 100 * drawn, "irregular RR")


def premature_beat(record: Record, waves: Delineation, by_ms: float) -> Float32Array:
    """Let the beat nearest to the middle come early by so many ms, with a full pause after it."""
    rr = _intervals(record, waves, "premature beat")
    beat = _middle(record, waves)
    rr[beat - 1] -= by_ms / 1e3
    rr[beat] += by_ms / 1e3
    return _retimed(record, waves, rr, "premature beat")


def removed_beat(record: Record, waves: Delineation, number: float) -> Float32Array:
    """Leave out so many beats next to the middle of the record: a pause."""
    rr = _intervals(record, waves, "removed beat")
    beat, count = _middle(record, waves), round(number)
    if beat + count >= len(waves):
        raise _refuse(record, "removed beat", "the record has too few beats", "remove fewer")
    order = np.delete(np.arange(len(waves)), np.arange(beat, beat + count))
    left = np.concatenate([rr[: beat - 1], [rr[beat - 1 : beat + count].sum()], rr[beat + count :]])
    return _retimed(record, waves, left, "removed beat", order)


def inserted_beat(record: Record, waves: Delineation, number: float) -> Float32Array:
    """Repeat the beat nearest to the middle so many times, at its own rate; the end moves out."""
    rr = _intervals(record, waves, "inserted beat")
    beat, count = _middle(record, waves), round(number)
    order = np.insert(np.arange(len(waves)), beat + 1, np.full(count, beat))
    more = np.insert(rr, beat, np.full(count, float(np.median(rr))))
    return _retimed(record, waves, more, "inserted beat", order)


def _intervals(record: Record, waves: Delineation, change: str) -> FloatArray:
    """RR intervals, seconds; a copy."""
    _enough(record, waves, 4, change)
    return np.diff(waves.r_peak)


def _middle(record: Record, waves: Delineation) -> int:
    """The inner beat nearest to the middle of the record."""
    inner = np.abs(waves.r_peak[1:-1] - record.duration / 2)
    return 1 + int(np.argmin(inner))


def _bodies(record: Record, waves: Delineation) -> tuple[IntArray, IntArray, IntArray]:
    """First and last sample of each beat from P to T, and its R peak."""
    peaks = np.round(waves.r_peak * record.fs).astype(np.int64)
    begins = np.where(
        np.isfinite(waves.p_onset), waves.p_onset - _MARGIN_SEC, waves.qrs_onset - _NO_P_SEC
    )
    ends = np.where(np.isfinite(waves.t_offset), waves.t_offset + _MARGIN_SEC, waves.qrs_offset)
    first = np.clip(np.round(begins * record.fs), 0, None).astype(np.int64)
    last = np.clip(np.round(ends * record.fs), None, record.n_samples - 1).astype(np.int64)
    last[:-1] = np.minimum(last[:-1], first[1:] - 1)  # a T wave that the next P wave rides on
    return first, last, peaks


def _retimed(
    record: Record,
    waves: Delineation,
    rr: FloatArray,
    change: str,
    order: IntArray | None = None,
) -> Float32Array:
    """Lay the beats ``order`` out at RR intervals ``rr`` (s); the pauses between them give way.

    The first beat stays where it is. Where the beats end before the record does, the inner ones
    follow once more at the same intervals.
    """
    first, last, peaks = _bodies(record, waves)
    order = np.arange(len(waves)) if order is None else order
    beats, moves = _laid_out(record, peaks, order, np.round(rr * record.fs).astype(np.int64))
    pause = np.append(first[1:], last[-1])  # after the last beat there is no pause to copy
    ready = np.round((waves.qrs_offset + _READY_SEC) * record.fs).astype(np.int64)
    out, signal = np.array(record.signal), record.signal.astype(np.float64)
    for place, (beat, by) in enumerate(zip(beats, moves - peaks[beats], strict=True)):
        _put(out, signal[:, first[beat] : last[beat] + 1], int(first[beat] + by))
        if place == 0:
            continue
        before, earlier = beats[place - 1], moves[place - 1] - peaks[beats[place - 1]]
        start, stop = int(last[before] + 1 + earlier), int(first[beat] + by)
        if stop < min(ready[before] + earlier, start):
            problem = f"the beat at {moves[place] / record.fs:.2f} s would begin too early"
            raise _refuse(record, change, problem, "take a smaller change")
        meets = signal[:, first[beat]]
        if start <= stop:
            part = signal[:, last[before] : max(pause[before], last[before]) + 1]
            _put(out, _pause(part, stop - start, meets), start)
        else:
            tail = signal[:, last[before] + 1 - (start - stop) : last[before] + 1]
            body = signal[:, first[beat] : first[beat] + start - stop]
            _put(out, _fused(tail, body, meets), stop)
    return out


def _laid_out(
    record: Record, peaks: IntArray, order: IntArray, rr: IntArray
) -> tuple[IntArray, IntArray]:
    """The beats that follow each other, and the samples of their R peaks, to the record's end."""
    beats, moves = [int(order[0])], [int(peaks[order[0]])]
    inner = range(1, max(2, len(order) - 1))
    for turn in chain(range(1, len(order)), cycle(inner)):
        if moves[-1] > record.n_samples + record.fs:
            break
        beats.append(int(order[turn]))
        moves.append(moves[-1] + max(1, int(rr[turn - 1])))
    return np.array(beats), np.array(moves)


def _put(out: Float32Array, part: FloatArray, at: int) -> None:
    """Write samples ``[lead, n]`` from sample ``at`` on, as far as the record goes."""
    low, high = max(at, 0), min(at + part.shape[1], out.shape[1])
    if low < high:
        out[:, low:high] = part[:, low - at : high - at]


def _pause(part: FloatArray, length: int, meets: FloatArray) -> FloatArray:
    """``float64[lead, length]``: what lies between the end of a beat and the next, stretched.

    ``part`` starts with the last sample of the beat and ends with the first one of the beat that
    followed it; the result is tilted so that it meets the first sample of the one that does now.
    """
    share = np.arange(1, length + 1) / (length + 1)
    where, time = share * (part.shape[1] - 1), np.arange(part.shape[1])
    rows = [np.interp(where, time, row) for row in part]
    return np.stack(rows) + share * (meets - part[:, -1])[:, None]


def _fused(tail: FloatArray, body: FloatArray, meets: FloatArray) -> FloatArray:
    """The end of a beat and the start of the next where they overlap: their sum over the level
    between them, as a P wave rides on a T wave."""
    share = np.arange(1, tail.shape[1] + 1) / (tail.shape[1] + 1)
    level = tail[:, -1:] + share * (meets - tail[:, -1])[:, None]
    width = min(tail.shape[1], body.shape[1])
    return np.asarray((tail + meets[:, None] - level)[:, :width] + body[:, :width] - meets[:, None])
