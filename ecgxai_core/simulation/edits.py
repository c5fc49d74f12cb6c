"""What-if edits of a real record: one change of one wave, interval, rhythm or lead at a time.

Each edit has a size with a neutral value, at which the record is given back as it is. Amplitudes
change lead by lead and fade in and out at the borders of the delineated waves. III, aVR, aVL and
aVF follow I and II in every edit, as in a recording: where an edit names limb leads, I and II get
the smallest change (least squares) that gives the named ones what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.signal.delineation import Delineation, bridged, delineate
from ecgxai_core.simulation import timing
from ecgxai_core.types import (
    DERIVED_LEADS,
    Float32Array,
    FloatArray,
    QualityWarning,
    Record,
    content_seed,
)

__all__ = ["EDITS", "SWAPS", "Edit", "Place", "edited"]

_RISE_SEC = 0.04  # of an ST level, at the end of the QRS complex
_T_FADE_SEC = 0.06  # behind the delineated T wave, whose foot lies above the level
_LEVEL_SEC = (0.03, 0.01)  # before the QRS onset: the level that amplitudes are measured from
_P_FEET_SEC = 0.03


@dataclass(frozen=True, slots=True)
class Place:
    """Where an edit acts: lead names (empty = all) and seconds from the start (``None`` = all).

    ``swap`` names the electrodes of an exchange, one of :data:`SWAPS`.
    """

    leads: tuple[str, ...] = ()
    span_sec: tuple[float, float] | None = None
    swap: str = ""


Change = Callable[[Record, Delineation, float, Place], Float32Array]


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of the registry.

    Attributes
    ----------
    title
        Name for people.
    unit
        Of the size.
    low, high, neutral
        Bounds of the size, and the value that changes nothing.
    apply
        ``(record, waves, size, place) -> float32[lead, sample]``, mV.
    measures
        Name of the measurement that it moves, as in :mod:`ecgxai_core.signal.intervals`; a wave
        name is that of the edited leads. Empty = none.
    graded
        Whether a smaller size is a smaller change; else it is all or nothing, or so many beats.
    """

    title: str
    unit: str
    low: float
    high: float
    neutral: float
    apply: Change
    measures: str = ""
    graded: bool = True


def edited(
    record: Record,
    name: str,
    size: float,
    place: Place | None = None,
    waves: Delineation | None = None,
) -> Record:
    """A record with one thing changed; the record itself where the size is neutral.

    Parameters
    ----------
    record
        The original.
    name, size
        One of :data:`EDITS`, and how much, in its unit.
    place
        Where; everywhere if not given. Edits of time act on all leads.
    waves
        The record's delineation, where it is known already.

    Raises
    ------
    ParameterError
        No such edit, a size out of its bounds, a lead that the record does not have.
    ExplanationError
        The waves leave no room for the change, or were not found.
    """
    edit, place = _checked(record, name, size, place or Place())
    if size == edit.neutral:
        return record
    if waves is None:
        waves = delineate(record.signal, record.fs, record.leads)
    signal = edit.apply(record, waves, size, place)
    where = f" in {', '.join(place.leads)}" if place.leads else ""
    words = f"{edit.title}{f' {place.swap}' if place.swap else ''} {size:g} {edit.unit}".strip()
    return replace(
        record,
        name=f"{record.name}_edited",
        signal=signal,
        warnings=(*record.warnings, QualityWarning("edited", f"{words}{where}")),
    )


def _checked(record: Record, name: str, size: float, place: Place) -> tuple[Edit, Place]:
    if name not in EDITS:
        raise ParameterError("edit", name, "no such edit", f"use one of {', '.join(EDITS)}")
    edit = EDITS[name]
    if not (edit.low <= size <= edit.high):  # NaN too
        problem = f"{size:g} lies outside {edit.low:g} to {edit.high:g} {edit.unit}".strip()
        raise ParameterError("edit", name, problem, "take a size in this range")
    unknown = [lead for lead in place.leads if lead not in record.leads]
    if unknown:
        known = ", ".join(record.leads)
        raise ParameterError("lead", unknown[0], "is not in the record", f"use one of {known}")
    return edit, place


# ---- amplitudes ----------------------------------------------------------------------------------


def _st_level(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    """A plateau that rises with the end of the QRS complex and fades out with the T wave."""
    change = np.zeros(record.signal.shape)
    for beat in _beats(record, waves, place, "ST level"):
        j_point, stop = float(waves.qrs_offset[beat]), _ending(record, waves, beat)
        start = max(j_point - _RISE_SEC, float(waves.r_peak[beat]))
        full = waves.t_onset[beat] if np.isfinite(waves.t_onset[beat]) else stop
        weight = _trapezoid(record, start, j_point, min(float(full), stop), stop)
        change += size * weight
    return _added(record, change, place)


def _t_amplitude(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    """T waves over the line through the levels before the QRS complexes, which they are measured
    from; the change fades in over the ST segment and out behind the wave."""
    over = bridged(record.signal.astype(np.float64)) - _levels(record, waves)
    weight = np.zeros(record.n_samples)
    for beat in _beats(record, waves, place, "T wave"):
        on, off = float(waves.t_onset[beat]), float(waves.t_offset[beat])
        if np.isfinite([on, off]).all():
            start = min(float(waves.qrs_offset[beat]), on)
            stop = max(min(off + _T_FADE_SEC, timing.next_beat(waves, beat, record.duration)), off)
            weight = np.maximum(weight, _trapezoid(record, start, on, off, stop))
    if not weight.any():
        raise ExplanationError(record.name, "T wave", "was not found there", "try another edit")
    return _added(record, (size - 1.0) * weight * over, place)


def _levels(record: Record, waves: Delineation) -> FloatArray:
    """``float64[lead, sample]``: the line through the levels before the QRS complexes, mV."""
    clean, time = bridged(record.signal.astype(np.float64)), np.arange(record.n_samples)
    far, close = (round(back * record.fs) for back in _LEVEL_SEC)
    onsets = np.round(waves.qrs_onset[np.isfinite(waves.qrs_onset)] * record.fs).astype(np.int64)
    onsets = onsets[onsets >= far]
    if onsets.size == 0:
        return np.zeros(clean.shape)
    knots = onsets - (far + close) / 2
    levels = [clean[:, at - far : at - close + 1].mean(axis=1) for at in onsets]
    return np.stack([np.interp(time, knots, row) for row in np.stack(levels, axis=1)])


def _p_amplitude(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    spans = []
    for beat in _beats(record, waves, place, "P wave"):
        on, off = float(waves.p_onset[beat]), float(waves.p_offset[beat])
        if np.isfinite([on, off]).all():
            ended = float(waves.t_offset[beat - 1]) if beat else 0.0
            lowest = ended if np.isfinite(ended) else 0.0
            highest = float(waves.qrs_onset[beat])
            spans.append((max(on - _P_FEET_SEC, lowest, 0.0), min(off + _P_FEET_SEC, highest)))
    return _scaled(record, spans, size, place, "P wave")


def _mask(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    """Bring a stretch nearer to the straight line between its ends; 1 = the line."""
    span = place.span_sec or (0.0, record.duration)
    return _scaled(record, [span], 1.0 - size, place, "masked stretch")


def _gain(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    return _added(record, (size - 1.0) * record.signal.astype(np.float64), place)


def _noise(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    """White noise of a root mean square in mV, independent in I, II and the chest leads; where limb
    leads are named, in the first two of them."""
    drawn = []
    for lead in record.leads:
        rng = np.random.default_rng(content_seed("noise", record.digest, lead))
        drawn.append(rng.standard_normal(record.n_samples))
    return _added(record, size * np.stack(drawn), _drawn(record, place))


def _wander(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    """Baseline wander of an amplitude in mV at a breathing rate (0.25 Hz), with a phase of its own
    in the leads where noise is independent."""
    time = np.arange(record.n_samples) / record.fs
    rows = []
    for lead in record.leads:
        phase = content_seed("wander", record.digest, lead) % 1000 / 1000
        rows.append(np.sin(2 * np.pi * (0.25 * time + phase)))
    return _added(record, size * np.stack(rows), _drawn(record, place))


def _drawn(record: Record, place: Place) -> Place:
    """The place with its first two limb leads, which give all others: least squares of more than
    two that were drawn apart would be smaller than what was asked, and alike."""
    wanted = place.leads or record.leads
    if not {"I", "II"} <= set(record.leads):
        return place
    limbs = [lead for lead in ("I", "II", *DERIVED_LEADS) if lead in wanted]
    return replace(place, leads=tuple(lead for lead in wanted if lead not in limbs[2:]))


def _beats(record: Record, waves: Delineation, place: Place, change: str) -> list[int]:
    """Beats whose R peak lies in the span."""
    low, high = place.span_sec or (0.0, record.duration)
    found = [int(beat) for beat in np.flatnonzero((waves.r_peak >= low) & (waves.r_peak <= high))]
    if not found:
        raise ExplanationError(record.name, change, "no beat was found there", "take another span")
    return found


def _ending(record: Record, waves: Delineation, beat: int) -> float:
    """End of the T wave, or where it would be at the latest, seconds."""
    end = float(waves.t_offset[beat])
    following = timing.next_beat(waves, beat, record.duration)
    return min(end, following) if np.isfinite(end) else following


def _trapezoid(record: Record, start: float, full: float, fall: float, stop: float) -> FloatArray:
    """0 until ``start`` (s), 1 from ``full`` to ``fall``, 0 from ``stop``; half cosines between."""
    time = np.arange(record.n_samples) / record.fs
    up = np.clip((time - start) / max(full - start, 1e-9), 0, 1)
    down = np.clip((stop - time) / max(stop - fall, 1e-9), 0, 1)
    return np.asarray(0.25 * (1 - np.cos(np.pi * up)) * (1 - np.cos(np.pi * down)))


def _scaled(
    record: Record, spans: Sequence[tuple[float, float]], size: float, place: Place, change: str
) -> Float32Array:
    """What stands out of the line through the ends of each span (s), multiplied by ``size``."""
    clean = bridged(record.signal.astype(np.float64))
    out = np.zeros(clean.shape)
    done = False
    for low, high in spans:
        first, last = round(low * record.fs), min(round(high * record.fs), record.n_samples - 1)
        if last - first < 3:
            continue
        part = clean[:, first : last + 1]
        line = np.linspace(part[:, 0], part[:, -1], last + 1 - first, axis=1)
        out[:, first : last + 1] = (size - 1.0) * (part - line)
        done = True
    if not done:
        raise ExplanationError(record.name, change, "was not found in this record", "try another")
    return _added(record, out, place)


def _added(record: Record, change: FloatArray, place: Place) -> Float32Array:
    """The signal plus a change in the leads of the place; limb leads stay consistent."""
    wanted = place.leads or record.leads
    rows = {lead: row for row, lead in enumerate(record.leads)}
    kept = np.zeros(change.shape)
    factors = {"I": (1.0, 0.0), "II": (0.0, 1.0), **DERIVED_LEADS}
    linked = {"I", "II"} <= set(rows)
    limbs = [lead for lead in wanted if lead in factors]
    for lead in wanted:
        if lead not in factors or not linked:
            kept[rows[lead]] = change[rows[lead]]
    if limbs and linked:
        asked = np.stack([change[rows[lead]] for lead in limbs])
        pair = np.linalg.pinv(np.array([factors[lead] for lead in limbs])) @ asked
        for lead in rows.keys() & factors.keys():
            kept[rows[lead]] = np.array(factors[lead]) @ pair
    moved = np.asarray(kept != 0)
    out = np.array(record.signal)
    out[moved] = (record.signal[moved] + kept[moved]).astype(np.float32)
    return out


# ---- leads ---------------------------------------------------------------------------------------

_LIMB_SWAPS: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "RA-LA": {
        "I": ("I", -1.0), "II": ("III", 1.0), "III": ("II", 1.0),
        "aVR": ("aVL", 1.0), "aVL": ("aVR", 1.0),
    },
    "LA-LL": {
        "I": ("II", 1.0), "II": ("I", 1.0), "III": ("III", -1.0),
        "aVL": ("aVF", 1.0), "aVF": ("aVL", 1.0),
    },
    "RA-LL": {
        "I": ("III", -1.0), "II": ("II", -1.0), "III": ("I", -1.0),
        "aVR": ("aVF", 1.0), "aVF": ("aVR", 1.0),
    },
}  # fmt: skip
"""What a lead shows after an exchange of limb electrodes: which lead, with which sign (Kligfield et
al., AHA/ACC/HRS part I, J Am Coll Cardiol 2007;49:1109-1127; the chest leads hardly change)."""

SWAPS: tuple[str, ...] = (
    *_LIMB_SWAPS,
    *(f"V{a}-V{b}" for a in range(1, 7) for b in range(a + 1, 7)),
)
"""Electrodes that can be exchanged."""


def _swap(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
    if place.swap not in SWAPS:
        known = ", ".join(_LIMB_SWAPS)
        raise ParameterError("swap", place.swap, "no such exchange", f"use {known}, V1-V2, ...")
    if place.swap in _LIMB_SWAPS:
        table = _LIMB_SWAPS[place.swap]
    else:
        one, other = place.swap.split("-")
        table = {one: (other, 1.0), other: (one, 1.0)}
    rows = {lead: row for row, lead in enumerate(record.leads)}
    missing = [lead for lead, (source, _) in table.items() if lead in rows and source not in rows]
    if missing:
        problem = f"needs leads that the record does not have ({missing[0]})"
        raise ExplanationError(record.name, f"exchange {place.swap}", problem, "try another")
    out = np.array(record.signal)
    for lead, (source, sign) in table.items():
        if lead in rows:
            out[rows[lead]] = sign * record.signal[rows[source]]
    return out


def _in_time(change: Callable[[Record, Delineation, float], Float32Array]) -> Change:
    """A change of times, which acts on all leads and the whole record."""

    def apply(record: Record, waves: Delineation, size: float, place: Place) -> Float32Array:
        if place.leads or place.span_sec:
            problem = "a change of times acts on all leads and the whole record"
            raise ParameterError("edit", "place", problem, "name no leads and no span")
        return change(record, waves, size)

    return apply


EDITS: Mapping[str, Edit] = {
    "st_level": Edit("ST level", "mV", -1.0, 1.0, 0.0, _st_level, "ST"),
    "t_amplitude": Edit("T wave times", "", -3.0, 5.0, 1.0, _t_amplitude, "T"),
    "p_amplitude": Edit("P wave times", "", 0.0, 5.0, 1.0, _p_amplitude, "P"),
    "mask": Edit("stretch masked", "", 0.0, 1.0, 0.0, _mask),
    "pr": Edit("PR interval", "ms", -100.0, 300.0, 0.0, _in_time(timing.longer_pr), "PR"),
    "qrs": Edit("QRS duration", "ms", -100.0, 120.0, 0.0, _in_time(timing.longer_qrs), "QRS"),
    "qt": Edit("QT interval", "ms", -150.0, 250.0, 0.0, _in_time(timing.longer_qt), "QT"),
    "rate": Edit(
        "heart rate", "1/min", -100.0, 150.0, 0.0, _in_time(timing.other_rate), "heart rate"
    ),
    "regular": Edit("RR intervals evened out", "", 0.0, 1.0, 0.0, _in_time(timing.more_regular)),
    "irregular": Edit("RR irregularity", "%", 0.0, 40.0, 0.0, _in_time(timing.more_irregular)),
    "premature": Edit("beat early", "ms", 0.0, 600.0, 0.0, _in_time(timing.premature_beat)),
    "removed": Edit(
        "beats removed", "", 0.0, 5.0, 0.0, _in_time(timing.removed_beat), graded=False
    ),
    "inserted": Edit(
        "beats inserted", "", 0.0, 5.0, 0.0, _in_time(timing.inserted_beat), graded=False
    ),
    "swap": Edit("electrodes exchanged", "", 0.0, 1.0, 0.0, _swap, graded=False),
    "noise": Edit("white noise", "mV", 0.0, 1.0, 0.0, _noise),
    "wander": Edit("baseline wander", "mV", 0.0, 2.0, 0.0, _wander),
    "gain": Edit("gain times", "", 0.1, 5.0, 1.0, _gain),
}
"""Every edit by name."""
