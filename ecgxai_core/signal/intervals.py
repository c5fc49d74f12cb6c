"""One table of measurements: rate, rhythm, intervals, axis, and each lead's amplitudes.

Whoever needs a number of an ECG takes it from here: the intervals on the page, quality checks,
criteria of diagnoses. Each has a unit, a confidence, and where it cannot be measured the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.signal.beats import Beats, find_beats
from ecgxai_core.signal.delineation import (
    ABSENT_BELOW,
    P_REACH_SEC,
    Delineation,
    bridged,
    delineate,
)
from ecgxai_core.types import BoolArray, Float32Array, FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "IRREGULAR_PERCENT",
    "LEAD_WAVES",
    "QTC_FORMULA",
    "ST_AFTER_J_MS",
    "Measured",
    "Measurement",
    "measure",
    "measure_signal",
    "qtc_fridericia",
]

QTC_FORMULA = "Fridericia"
"""QT / RR^(1/3) (Fridericia, Acta Med Scand 1920;53:469-486), which the AHA/ACCF/HRS prefer to
Bazett's, as that calls fast hearts long (Rautaharju et al., Circulation 2009;119:e241-e250)."""

IRREGULAR_PERCENT = 8.0
"""Irregularity above which a rhythm counts as irregular. On simulated records sinus rhythm stays
below 4 and fibrillation above 10."""

ST_AFTER_J_MS = 60.0
"""ST levels are taken this long after the end of the QRS complex (J + 60 ms)."""

LEAD_WAVES: tuple[str, ...] = ("P", "Q", "R", "S", "ST", "T")

FEW_P_PERCENT = 50.0
"""P waves in fewer beats than this do not make a PR interval where the rhythm is irregular."""

_NAN = float("nan")
_STEADY = 0.25  # of the value: half the beats further from the median than this: no confidence
_STEADY_DEG, _STEADY_MV = 20.0, 0.05  # the same for the axis, and the least for amplitudes
_LEAST_WAVE_MV = 0.025  # a quarter of a small box: what is lower is no Q, R or S wave
_FIRST_R_MV = 0.1  # a small box: what rises so high before a trough makes it an S wave. Ripples of
# 0.05 to 0.09 mV before the Q waves of LUDB's records would make them S waves in every other beat.
_LEVEL_SEC = (0.03, 0.01)  # before the QRS onset: the level that amplitudes are measured from
_MEAN_SEC = 0.02  # P, ST and T are means over so long, which takes muscle noise out

_NO_BEATS = "no beat was found"
_P_SOUGHT = f"up to {1e3 * P_REACH_SEC:.0f} ms before the QRS complex"
_NO_P = f"no P wave was found {_P_SOUGHT}; a longer PR interval is not measured"
_CUT_PR = f"or more: P waves are looked for {_P_SOUGHT}"
_CUT_SEC = 0.005  # P waves that begin so near to the border of the search may begin before it
_FIBRILLATION = "irregular beats without P waves, as in atrial fibrillation"
_AVERAGED = "mean over the beats, uncertain: irregular rhythm"
_UNEVEN = "uncertain: irregular rhythm"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The median over beats, and what it rests on.

    Attributes
    ----------
    value
        In ``unit``; NaN = not measurable (no P wave, no beat).
    unit
        ``"1/min"``, ``"ms"``, ``"deg"``, ``"%"`` or ``"mV"``.
    confidence
        In [0, 1]; 0 where not measurable. For the heart rate, its irregularity and the share of P
        waves, how far the beats (P waves) can be trusted. For the others, the mean confidence of
        the waves that it is taken between, times the share of beats in which it could be measured,
        times how steady it is from beat to beat (1 - median absolute deviation over a quarter of
        the value; 20 degrees for the axis; at least 0.05 mV for amplitudes).
    spread
        Median absolute deviation over the beats, in ``unit``.
    n
        Beats in which it was measured.
    note
        Why it is not measurable, or what makes it uncertain; empty otherwise.
    """

    value: float
    unit: str
    confidence: float
    spread: float
    n: int
    note: str = ""

    @property
    def measurable(self) -> bool:
        """Whether there is a value."""
        return bool(np.isfinite(self.value))


_NOTHING = Measurement(_NAN, "%", 0.0, _NAN, 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of one record.

    Attributes
    ----------
    heart_rate, pr, qrs, qt, qtc, axis
        What a cardiograph prints; ``qtc_formula`` says how QT was corrected for the rate.
    irregularity
        Median difference of successive RR intervals, in % of the median RR interval.
    p_present
        Beats with a P wave, in % of those where it was looked for.
    leads
        By lead and :data:`LEAD_WAVES`: amplitudes in mV over the level before the QRS complex. P
        and T have the sign of their larger deflection; Q and S are negative. Q lies before the
        first positive wave (0.1 mV) of the complex, S after it, R is the highest (R' of rSR'). A
        wave that is not there is 0. A complex without R (QS) is an S wave. ST is the level at
        J + 60 ms.
    """

    heart_rate: Measurement
    pr: Measurement
    qrs: Measurement
    qt: Measurement
    qtc: Measurement
    axis: Measurement
    qtc_formula: str = QTC_FORMULA
    irregularity: Measurement = _NOTHING
    p_present: Measurement = _NOTHING
    leads: Mapping[str, Mapping[str, Measurement]] = field(default_factory=dict)

    def named(self) -> dict[str, Measurement]:
        """By the name that a cardiograph prints."""
        return {
            "heart rate": self.heart_rate,
            "PR": self.pr,
            "QRS": self.qrs,
            "QT": self.qt,
            "QTc": self.qtc,
            "axis": self.axis,
        }

    @property
    def irregular(self) -> bool:
        """Whether the beats come unevenly; false where it is not known."""
        return self.irregularity.value > IRREGULAR_PERCENT

    @property
    def fibrillating(self) -> bool:
        """Whether the beats are irregular and hardly any has a P wave, as in fibrillation."""
        return self.irregular and self.p_present.value < FEW_P_PERCENT

    def rows(self) -> list[dict[str, Any]]:
        """The table: one row per measurement, with ``lead`` empty for those of the record."""
        record = {**self.named(), "RR irregularity": self.irregularity, "P present": self.p_present}
        rows = [{"lead": "", "name": name, **asdict(item)} for name, item in record.items()]
        for lead, waves in self.leads.items():
            rows += [{"lead": lead, "name": name, **asdict(item)} for name, item in waves.items()]
        return rows

    def to_frame(self) -> pd.DataFrame:
        """:meth:`rows` as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows())


def qtc_fridericia(qt: FloatArray | float, rr: FloatArray | float) -> FloatArray | float:
    """QT corrected for the rate; both in seconds, result in seconds."""
    return qt / np.cbrt(rr)


def measure_signal(values: Float32Array | FloatArray, fs: float, leads: Sequence[str]) -> Measured:
    """Find the beats and waves of a signal (``float[lead, sample]``, mV) and measure them."""
    beats = find_beats(values, fs, leads)
    waves = delineate(values, fs, leads, beats.peaks)
    return measure(waves, values, fs, leads, beats)


def measure(
    waves: Delineation,
    values: Float32Array | FloatArray,
    fs: float,
    leads: Sequence[str],
    beats: Beats | None = None,
) -> Measured:
    """Measure every beat and take medians.

    Parameters
    ----------
    waves
        From :func:`ecgxai_core.signal.delineation.delineate` of the same signal.
    values
        ``float[lead, sample]``, mV; only amplitudes and the axis need it.
    fs, leads
        Sampling rate, Hz, and names of the rows.
    beats
        Where the R peaks come from; their confidence limits that of everything. ``None`` = they
        are taken for right.

    Returns
    -------
    Intervals in ms. The axis is the direction of the net QRS area in the frontal plane,
    ``atan2(2 aVF / sqrt 3, I)`` in degrees: lead aVF is weaker than lead I by that factor
    (Malmivuo and Plonsey 1995, chapter 15); NaN without I and either aVF or II, and where one of
    them is flat. The irregularity is a robust form of the root mean square of successive
    differences over the mean RR interval (Dash et al., Ann Biomed Eng 2009;37:1701-1709): one
    premature beat does not make a rhythm irregular.

    Notes
    -----
    A PR interval is measured only in beats with a P wave, and not at all in fibrillation, where
    what looks like one is chance. P waves are looked for up to
    :data:`~ecgxai_core.signal.delineation.P_REACH_SEC` before the QRS complex: a longer interval
    reads as that, with a note, or no P wave is found. The QTc takes the RR interval before the
    beat; in fibrillation it is the mean over the beats. What a border of the record cuts is not
    measured.
    """
    values = np.asarray(values, np.float64)
    trust = 1.0 if beats is None else beats.confidence
    rr = np.diff(waves.r_peak, prepend=np.nan)
    onset, offset = _uncut(waves, values.shape[1], fs)
    qt = waves.t_offset - onset
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = np.asarray(qtc_fridericia(qt, rr))
    sure = waves.qrs_confidence * trust
    both = np.minimum(waves.qrs_confidence, waves.t_confidence) * trust
    with_p = np.minimum(waves.qrs_confidence, np.nan_to_num(waves.p_confidence)) * trust
    irregularity, p_present = _irregularity(rr, trust), _p_present(waves, trust)
    rhythm = Measured(
        heart_rate=_rate(rr, trust),
        pr=_pr(_median(1e3 * (onset - waves.p_onset), "ms", with_p, note=_NO_P), fs),
        qrs=_median(1e3 * (offset - onset), "ms", sure),
        qt=_median(1e3 * qt, "ms", both),
        qtc=_median(1e3 * corrected, "ms", both, possible=len(rr) - 1),
        axis=_axis(onset, offset, sure, values, fs, leads),
        irregularity=irregularity,
        p_present=p_present,
        leads=_amplitudes(waves, values, fs, leads, trust, p_present),
    )
    return _by_rhythm(rhythm, 1e3 * corrected)


def _by_rhythm(item: Measured, corrected: FloatArray) -> Measured:
    """What an irregular rhythm changes: no PR in fibrillation, a QTc averaged over the beats."""
    changes: dict[str, Any] = {}
    if item.fibrillating:
        changes["pr"] = Measurement(_NAN, "ms", 0.0, _NAN, 0, _FIBRILLATION)
        if item.qtc.measurable:
            mean = float(corrected[np.isfinite(corrected)].mean())
            changes["qtc"] = replace(item.qtc, value=mean, note=_AVERAGED)
    elif item.irregular and item.qtc.measurable:
        changes["qtc"] = replace(item.qtc, note=_UNEVEN)
    if not changes:
        return item
    return replace(item, **changes)


def _pr(found: Measurement, fs: float) -> Measurement:
    """The PR interval, with a note where it is as long as the search for P waves."""
    cut = found.value >= 1e3 * (P_REACH_SEC - max(_CUT_SEC, 1 / fs))
    return replace(found, note=_CUT_PR) if cut else found


def _uncut(waves: Delineation, n_samples: int, fs: float) -> tuple[FloatArray, FloatArray]:
    """QRS onsets and offsets (s); NaN on the first and last sample, where the record cuts them."""
    onset, offset = waves.qrs_onset, waves.qrs_offset
    last = (n_samples - 1) / fs
    return (
        np.where(onset < 0.5 / fs, np.nan, onset),
        np.where(offset > last - 0.5 / fs, np.nan, offset),
    )


def _rate(rr: FloatArray, trust: float) -> Measurement:
    """Beats per minute. Uneven beats are not unsure ones: only the beat list counts."""
    known = rr[np.isfinite(rr) & (rr > 0)]
    if known.size == 0:
        return Measurement(_NAN, "1/min", 0.0, _NAN, 0, "fewer than two beats were found")
    rate = 60.0 / known
    middle = float(np.median(rate))
    return Measurement(middle, "1/min", trust, float(np.median(np.abs(rate - middle))), known.size)


def _irregularity(rr: FloatArray, trust: float) -> Measurement:
    known = rr[np.isfinite(rr)]
    changes = np.abs(np.diff(known))
    if changes.size < 3:
        return Measurement(_NAN, "%", 0.0, _NAN, 0, "fewer than five beats were found")
    share = 100.0 * changes / np.median(known)
    middle = float(np.median(share))
    few = min(1.0, changes.size / 8.0)  # half a dozen beats say little of a rhythm
    spread = float(np.median(np.abs(share - middle)))
    return Measurement(middle, "%", trust * few, spread, changes.size)


def _p_present(waves: Delineation, trust: float) -> Measurement:
    """Share of beats with a P wave; sure where the likeness is far from the limit."""
    looked = np.isfinite(waves.p_confidence)
    if not looked.any():
        note = _NO_BEATS if len(waves) == 0 else "too few beats to compare"
        return Measurement(_NAN, "%", 0.0, _NAN, 0, note)
    alike = waves.p_confidence[looked]
    share = 100.0 * float(np.isfinite(waves.p_onset[looked]).mean())
    room = np.where(alike >= ABSENT_BELOW, 1 - ABSENT_BELOW, ABSENT_BELOW)
    sure = float(np.median(np.abs(alike - ABSENT_BELOW) / room))
    return Measurement(share, "%", trust * sure, 0.0, int(looked.sum()))


def _median(
    values: FloatArray,
    unit: str,
    confidence: FloatArray,
    possible: int | None = None,
    note: str = "",
) -> Measurement:
    """The median of the beats that have a value; ``note`` where none has."""
    known = np.isfinite(values)
    n, beats = int(known.sum()), len(values) if possible is None else possible
    if n == 0 or beats <= 0:
        reason = _NO_BEATS if len(values) == 0 else note or "not measurable in this record"
        return Measurement(_NAN, unit, 0.0, _NAN, 0, reason)
    middle = float(np.median(values[known]))
    spread = float(np.median(np.abs(values[known] - middle)))
    allowed = _STEADY * abs(middle)
    allowed = {"deg": _STEADY_DEG, "mV": max(allowed, _STEADY_MV)}.get(unit, allowed)
    steady = max(0.0, 1.0 - spread / allowed) if allowed > 0 else 0.0
    sure = float(np.nanmean(confidence[known])) if np.isfinite(confidence[known]).any() else 0.0
    return Measurement(middle, unit, sure * min(1.0, n / beats) * steady, spread, n)


def _axis(
    onset: FloatArray,
    offset: FloatArray,
    confidence: FloatArray,
    values: FloatArray,
    fs: float,
    leads: Sequence[str],
) -> Measurement:
    """Frontal axis of the QRS; deviations of single beats are taken around the circle."""
    areas = _net_areas(onset, offset, values, fs, leads)
    known = np.zeros(0, np.bool_) if areas is None else np.isfinite(areas).all(axis=0)
    if areas is None or not known.any():
        note = "leads I and aVF (or II) are missing or flat" if areas is None else _NO_BEATS
        return Measurement(_NAN, "deg", 0.0, _NAN, 0, note)
    one, foot = np.where(known, areas, np.nan)
    whole = float(np.arctan2(2 / np.sqrt(3) * np.median(foot[known]), np.median(one[known])))
    each = np.arctan2(2 / np.sqrt(3) * foot, one)
    turned = np.degrees(np.angle(np.exp(1j * (each - whole))))
    around = _median(turned, "deg", confidence)
    return Measurement(float(np.degrees(whole)), "deg", around.confidence, around.spread, around.n)


def _net_areas(
    onset: FloatArray, offset: FloatArray, values: FloatArray, fs: float, leads: Sequence[str]
) -> FloatArray | None:
    """``float64[2, beat]``: net QRS areas of leads I and aVF over the level at the QRS onset."""
    row = {lead: values[i] for i, lead in enumerate(leads)}
    if "I" not in row or not {"aVF", "II"} & set(row):
        return None
    foot = row["aVF"] if "aVF" in row else row["II"] - row["I"] / 2
    found = np.full((2, len(onset)), _NAN)
    for place, lead in enumerate((row["I"], foot)):
        if _fault(lead):
            return None  # an electrode is off: any angle would be made up
        for beat in np.flatnonzero(np.isfinite(onset) & np.isfinite(offset)):
            part = lead[round(float(onset[beat]) * fs) : round(float(offset[beat]) * fs) + 1]
            found[place, beat] = (part - part[0]).sum() if len(part) else _NAN
    return found


def _amplitudes(
    waves: Delineation,
    values: FloatArray,
    fs: float,
    leads: Sequence[str],
    trust: float,
    p_present: Measurement,
) -> Mapping[str, Mapping[str, Measurement]]:
    """Amplitudes of every lead, medians over the beats."""
    from scipy import ndimage

    onset, offset = _uncut(waves, values.shape[1], fs)
    whole = np.isfinite(onset) & np.isfinite(offset)
    found = np.full((len(LEAD_WAVES), len(values), len(waves)), _NAN)
    clean = bridged(values)
    smooth = ndimage.uniform_filter1d(clean, max(1, round(_MEAN_SEC * fs)), axis=1, mode="nearest")
    for beat in np.flatnonzero(whole):
        found[:, :, beat] = _of_beat(waves, int(beat), clean, smooth, fs)
    found[:, np.isnan(values).any(axis=1)] = _without_gaps(waves, values, fs, found)
    sure = {
        "P": np.nan_to_num(waves.p_confidence) * trust,
        "T": np.nan_to_num(waves.t_confidence) * trust,
    }
    table: dict[str, Mapping[str, Measurement]] = {}
    for row, lead in enumerate(leads):
        fault = _fault(values[row])
        items = {}
        for kind, name in enumerate(LEAD_WAVES):
            each, note = found[kind, row], fault
            if name == "P" and not fault and not p_present.value >= FEW_P_PERCENT:
                note = p_present.note or "P waves in fewer than half of the beats"
            if note:
                items[name] = Measurement(_NAN, "mV", 0.0, _NAN, 0, note)
                continue
            confidence = sure.get(name, waves.qrs_confidence * trust)
            items[name] = _median(each, "mV", confidence, possible=int(whole.sum()))
        table[lead] = items
    return table


def _fault(lead: FloatArray) -> str:
    """Why nothing can be measured in a lead; empty where it can."""
    known: BoolArray = np.isfinite(lead)
    if not known.any():
        return "the lead has no samples"
    return "" if np.ptp(lead[known]) > 0 else "the lead is flat"


def _without_gaps(
    waves: Delineation, values: FloatArray, fs: float, found: FloatArray
) -> FloatArray:
    """Leads with gaps, without the beats that a gap falls into."""
    rows = np.isnan(values).any(axis=1)
    kept = found[:, rows]
    before, after = round(0.3 * fs), round(0.5 * fs)
    for beat, peak in enumerate(np.round(waves.r_peak * fs).astype(np.int64)):
        part = values[rows, max(0, peak - before) : peak + after]
        kept[:, np.isnan(part).any(axis=1), beat] = _NAN
    return kept


def _of_beat(
    waves: Delineation, beat: int, values: FloatArray, smooth: FloatArray, fs: float
) -> FloatArray:
    """``float64[wave, lead]`` of one beat, mV."""
    found = np.full((len(LEAD_WAVES), len(values)), _NAN)
    onset, offset = waves.qrs_onset[beat], waves.qrs_offset[beat]
    first, stop = round(float(onset) * fs), round(float(offset) * fs) + 1
    far, close = (max(0, first - round(back * fs)) for back in _LEVEL_SEC)
    level = values[:, far : close + 1].mean(axis=1)
    found[1:4] = _qrs_waves(values[:, first:stop] - level[:, None])
    found[0] = _largest(smooth, waves.p_onset[beat], waves.p_offset[beat], fs) - level
    found[5] = _largest(smooth, waves.t_onset[beat], waves.t_offset[beat], fs, level) - level
    late = stop - 1 + round(1e-3 * ST_AFTER_J_MS * fs)
    if late < values.shape[1]:
        found[4] = smooth[:, late] - level
    return found


def _largest(
    smooth: FloatArray, start: float, end: float, fs: float, level: FloatArray | None = None
) -> FloatArray:
    """``float64[lead]``: the value that departs most from the level, or from the wave's feet."""
    if not (np.isfinite(start) and np.isfinite(end)):
        return np.full(len(smooth), _NAN)
    part = smooth[:, round(float(start) * fs) : round(float(end) * fs) + 1]
    if part.shape[1] == 0:
        return np.full(len(smooth), _NAN)
    zero = (part[:, :1] + part[:, -1:]) / 2 if level is None else level[:, None]
    place = np.abs(part - zero).argmax(axis=1)
    return np.asarray(part[np.arange(len(part)), place], np.float64)


def _qrs_waves(part: FloatArray) -> FloatArray:
    """``float64[3, lead]``: Q, R and S of ``float64[lead, sample]`` over the level before it."""
    rows, time = np.arange(len(part)), np.arange(part.shape[1])
    top = part.argmax(axis=1)
    # a maximum at the end is the ST segment; the R wave lies before the trough then
    rising = top >= part.shape[1] - max(1, part.shape[1] // 16)
    early = np.where(time <= part.argmin(axis=1)[:, None], part, -np.inf).argmax(axis=1)
    top = np.where(rising, early, top)
    r = part[rows, top]
    # in rSR' the trough before the highest wave is an S wave: a first r lies before it
    first = (part >= np.minimum(r, _FIRST_R_MV)[:, None]).argmax(axis=1)
    q = np.where(time <= first[:, None], part, 0.0).min(axis=1)
    s = np.where(time >= first[:, None], part, 0.0).min(axis=1)
    without_r = r < _LEAST_WAVE_MV
    s = np.where(without_r, part.min(axis=1), s)
    q, r = np.where(without_r, 0.0, q), np.where(without_r, 0.0, r)
    waves = np.stack([q, r, s])
    return np.where(np.abs(waves) < _LEAST_WAVE_MV, 0.0, waves)
