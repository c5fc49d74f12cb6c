"""What a cardiograph prints: heart rate, PR, QRS, QT, QTc and axis, each with a confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.types import Float32Array, FloatArray
from ecgxai_core.waves import Delineation

__all__ = ["QTC_FORMULA", "Measured", "Measurement", "measure", "qtc_fridericia"]

QTC_FORMULA = "Fridericia"
"""QT / RR^(1/3) (Fridericia, Acta Med Scand 1920;53:469-486), which the AHA/ACCF/HRS prefer to
Bazett's, as that calls fast hearts long (Rautaharju et al., Circulation 2009;119:e241-e250)."""

_NAN = float("nan")
_STEADY = 0.25  # of the value: half the beats further from the median than this: no confidence


@dataclass(frozen=True, slots=True)
class Measurement:
    """The median over beats, and what it rests on.

    Attributes
    ----------
    value
        In ``unit``; NaN = not measurable (no P wave, no beat).
    unit
        ``"1/min"``, ``"ms"`` or ``"deg"``.
    confidence
        In [0, 1]: mean confidence of the waves it is taken between, times the share of beats in
        which it could be measured, times how steady it is from beat to beat (1 - median absolute
        deviation over a quarter of the value, 20 degrees for the axis); 0 where not measurable.
    spread
        Median absolute deviation over the beats, in ``unit``.
    n
        Beats in which it was measured.
    """

    value: float
    unit: str
    confidence: float
    spread: float
    n: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of one record; ``qtc_formula`` says how QT was corrected for the rate."""

    heart_rate: Measurement
    pr: Measurement
    qrs: Measurement
    qt: Measurement
    qtc: Measurement
    axis: Measurement
    qtc_formula: str = QTC_FORMULA

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


def qtc_fridericia(qt: FloatArray | float, rr: FloatArray | float) -> FloatArray | float:
    """QT corrected for the rate; both in seconds, result in seconds."""
    return qt / np.cbrt(rr)


def measure(
    waves: Delineation,
    values: Float32Array | FloatArray,
    fs: float,
    leads: Sequence[str],
) -> Measured:
    """Measure every beat and take medians.

    Parameters
    ----------
    waves
        From :func:`ecgxai_core.waves.delineate` of the same signal.
    values
        ``float[lead, sample]``, any unit; only the axis needs it.
    fs, leads
        Sampling rate, Hz, and names of the rows.

    Returns
    -------
    Intervals in ms. The axis is the direction of the net QRS area in the frontal plane,
    ``atan2(2 aVF / sqrt 3, I)`` in degrees: lead aVF is weaker than lead I by that factor
    (Malmivuo and Plonsey 1995, chapter 15); NaN without I and either aVF or II, and where one of
    them is flat.

    Notes
    -----
    A PR interval is measured only in beats with a P wave; in fibrillation there is none. The QTc
    takes the RR interval before the beat. What a border of the record cuts is not measured.
    """
    values = np.asarray(values, np.float64)
    rr = np.diff(waves.r_peak, prepend=np.nan)
    onset, offset = _uncut(waves, values.shape[1], fs)
    qrs = offset - onset
    qt = waves.t_offset - onset
    both = np.minimum(waves.qrs_confidence, waves.t_confidence)
    with_p = np.minimum(waves.qrs_confidence, np.nan_to_num(waves.p_confidence))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = 60.0 / rr
        corrected = np.asarray(qtc_fridericia(qt, rr))
    return Measured(
        heart_rate=_median(rate, "1/min", waves.qrs_confidence, possible=len(rr) - 1),
        pr=_median(1e3 * (onset - waves.p_onset), "ms", with_p),
        qrs=_median(1e3 * qrs, "ms", waves.qrs_confidence),
        qt=_median(1e3 * qt, "ms", both),
        qtc=_median(1e3 * corrected, "ms", both, possible=len(rr) - 1),
        axis=_axis(onset, offset, waves.qrs_confidence, values, fs, leads),
    )


def _uncut(waves: Delineation, n_samples: int, fs: float) -> tuple[FloatArray, FloatArray]:
    """QRS onsets and offsets (s); NaN on the first and last sample, where the record cuts them."""
    onset, offset = waves.qrs_onset, waves.qrs_offset
    last = (n_samples - 1) / fs
    return (
        np.where(onset < 0.5 / fs, np.nan, onset),
        np.where(offset > last - 0.5 / fs, np.nan, offset),
    )


def _median(
    values: FloatArray, unit: str, confidence: FloatArray, possible: int | None = None
) -> Measurement:
    """The median of the beats that have a value."""
    known = np.isfinite(values)
    n, beats = int(known.sum()), len(values) if possible is None else possible
    if n == 0 or beats <= 0:
        return Measurement(_NAN, unit, 0.0, _NAN, 0)
    middle = float(np.median(values[known]))
    spread = float(np.median(np.abs(values[known] - middle)))
    allowed = 20.0 if unit == "deg" else _STEADY * abs(middle)
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
        return Measurement(_NAN, "deg", 0.0, _NAN, 0)
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
        if not np.nan_to_num(lead - lead[:1]).any():
            return None  # an electrode is off: any angle would be made up
        for beat in np.flatnonzero(np.isfinite(onset) & np.isfinite(offset)):
            part = lead[round(float(onset[beat]) * fs) : round(float(offset[beat]) * fs) + 1]
            found[place, beat] = (part - part[0]).sum() if len(part) else _NAN
    return found
