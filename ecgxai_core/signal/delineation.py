"""P, QRS and T waves of every beat: the one place that delineates, and what is measured from it.

All leads are delineated together. The QRS complex lies where the leads' slopes stand out; P and T
are humps of the leads' joint magnitude over the level before the QRS. On LUDB
(``tests/benchmarks/bench_delineation.py``) this finds the QRS nearer to the cardiologists'
marks than the delineators of ``neurokit2`` fused over the leads, says where there is no P wave
(they find one in every beat, in fibrillation too), and needs no heavy import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.types import Float32Array, FloatArray, IntArray, frozen_array

__all__ = ["ABSENT_BELOW", "BORDERS", "P_REACH_SEC", "Delineation", "bridged", "delineate"]

ABSENT_BELOW = 0.6
"""P waves of less confidence count as absent."""

P_REACH_SEC = 0.26
"""P waves are looked for so long before the QRS complex: no PR interval reads longer."""

BORDERS: tuple[str, ...] = (
    "p_onset", "p_peak", "p_offset", "qrs_onset", "r_peak", "qrs_offset",
    "t_onset", "t_peak", "t_offset",
)  # fmt: skip

_QRS_BAND = (0.5, 40.0)  # Hz
_WAVE_HZ = {"p": 25.0, "t": 12.0}
_P_BAND = (1.0, 25.0)  # Hz, in which P waves of one record are compared
_SMOOTH_SEC = 0.016
_QRS_LEVEL = 0.06  # of the steepest slope above the quiet level: where a QRS begins and ends
_QRS_GAP_SEC = 0.02  # a notch in the QRS may be this flat
_QRS_REACH_SEC = (0.12, 0.16)  # before and after R: the widest paced complexes
_LEVEL_SEC = (0.03, 0.012)  # before the QRS onset: the PR segment
_P_GAP_SEC, _P_LEAST_SEC = 0.02, 0.05
_P_FOOT = (0.15, 0.25)  # of the height: onset, offset
_T_BEGIN_SEC, _T_END_SEC, _T_SHARE, _T_LEAST_SEC = 0.08, 0.5, 0.6, 0.08
_T_REACH_SEC, _T_QRS_SEC = 0.2, 0.06
_T_FOOT = (0.2, 0.12)
_T_AGREE_SEC = 0.04
_P_WINDOW_SEC = 0.22


@dataclass(frozen=True, slots=True)
class Delineation:
    """Borders of the waves of every beat, ``float64[beat]``, seconds from the first sample.

    NaN = the beat has no such wave, or the record ends first. ``p_confidence``: how much
    what precedes the QRS is like in the record's other beats (a P wave comes at the same time in
    the same shape, fibrillation does not). ``qrs_confidence``: how far the
    slopes of the QRS stand above the quiet level. ``t_confidence``: share of the leads whose own
    largest deflection lies within 40 ms of the peak. All in [0, 1]; NaN where undefined.
    """

    p_onset: FloatArray
    p_peak: FloatArray
    p_offset: FloatArray
    qrs_onset: FloatArray
    r_peak: FloatArray
    qrs_offset: FloatArray
    t_onset: FloatArray
    t_peak: FloatArray
    t_offset: FloatArray
    p_confidence: FloatArray
    qrs_confidence: FloatArray
    t_confidence: FloatArray

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, frozen_array(getattr(self, item.name), np.float64))

    def __len__(self) -> int:
        return len(self.r_peak)


def delineate(
    values: Float32Array | FloatArray,
    fs: float,
    leads: Sequence[str] | None = None,
    peaks: npt.ArrayLike | None = None,
) -> Delineation:
    """Find the waves of every beat from all leads together.

    Parameters
    ----------
    values
        ``float[lead, sample]``, any unit; NaN runs are bridged, flat leads have no say.
    fs
        Sampling rate, Hz; 100 and more.
    leads
        Names of the rows, for the R peaks.
    peaks
        R peaks in samples; found where they are not given. Those outside the record are left out.

    Returns
    -------
    One entry a beat; none where there is no R peak. Never raises for what a signal holds.
    """
    clean = bridged(np.asarray(values, np.float64))
    if peaks is None:
        swing = float(np.median(np.ptp(clean, axis=1))) if clean.size else 0.0
        peaks = r_peaks(clean / (swing or 1.0), fs, leads)
    places: IntArray = np.unique(np.asarray(peaks, np.int64))
    places = places[(places >= 0) & (places < clean.shape[-1])]
    clean = clean[np.ptp(clean, axis=1) > 0] if clean.size else clean
    if places.size == 0 or clean.size == 0 or clean.shape[1] < fs / 2:
        return Delineation(
            **dict.fromkeys((item.name for item in fields(Delineation)), np.zeros(0))
        )
    onset, offset, sure = _qrs(clean, places, fs)
    t_waves, t_agreed = _t_waves(clean, places, onset, offset, fs)
    p_waves = _p_waves(clean, onset, t_waves[:, 2], fs)
    alike = _p_likeness(clean, onset, fs)
    p_waves[~(alike >= ABSENT_BELOW)] = np.nan
    rows = (*p_waves.T, onset, places, offset, *t_waves.T)
    borders = {name: np.asarray(row) / fs for name, row in zip(BORDERS, rows, strict=True)}
    return Delineation(**borders, p_confidence=alike, qrs_confidence=sure, t_confidence=t_agreed)


def bridged(values: FloatArray) -> FloatArray:
    """Lines through what is not finite; 0 in leads without a finite sample."""
    clean = np.array(values, np.float64)
    for row in clean:
        known = np.flatnonzero(np.isfinite(row))
        if known.size < len(row):
            row[:] = np.interp(np.arange(len(row)), known, row[known]) if known.size else 0.0
    return clean


def _filtered(values: FloatArray, fs: float, band: tuple[float, float]) -> FloatArray:
    """Zero-phase Butterworth filter of order 2 along time; a low edge of 0 is a low-pass."""
    from scipy import signal  # half a second to import

    low, high = band[0], min(band[1], 0.45 * fs)
    if low <= 0:
        sos = signal.butter(2, high, "lowpass", fs=fs, output="sos")
    else:
        sos = signal.butter(2, [low, high], "bandpass", fs=fs, output="sos")
    pad = min(int(fs), values.shape[1] - 1)
    return np.asarray(signal.sosfiltfilt(sos, values, axis=1, padlen=pad), np.float64)


def _qrs(
    values: FloatArray, peaks: IntArray, fs: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Onset and offset (samples) and confidence of every QRS, from the leads' joint slope."""
    slope = np.gradient(_filtered(values, fs, _QRS_BAND), axis=1)
    size = np.percentile(np.abs(slope), 99, axis=1, keepdims=True)
    slope = slope / np.where(size > 0, size, 1.0)
    kernel = np.hanning(max(round(_SMOOTH_SEC * fs), 1) + 2)[1:-1]
    joint = np.convolve(np.sqrt((slope**2).mean(axis=0)), kernel / kernel.sum(), "same")
    before, after = (round(reach * fs) for reach in _QRS_REACH_SEC)
    near, gap = max(round(0.05 * fs), 1), max(round(_QRS_GAP_SEC * fs), 1)
    found = []
    for peak in peaks:
        start = max(0, int(peak) - before)
        window = joint[start : int(peak) + after + 1]
        top = float(joint[max(0, int(peak) - near) : int(peak) + near + 1].max())
        quiet = float(np.percentile(window, 10))
        steep = np.flatnonzero(window > quiet + _QRS_LEVEL * (top - quiet))
        centre = int(peak) - start
        first = _unbroken(steep[steep <= centre + gap][::-1], centre, gap)
        last = _unbroken(steep[steep >= centre - gap], centre, gap)
        found.append((start + first, start + last, 1 - quiet / top if top > 0 else 0.0))
    onset, offset, sure = np.array(found, np.float64).T
    return onset, offset, np.clip(sure, 0.0, 1.0)


def _unbroken(samples: IntArray, centre: int, gap: int) -> int:
    """The last of ``samples``, going away from the centre, before a break longer than ``gap``."""
    if samples.size == 0:
        return centre
    breaks = np.flatnonzero(np.abs(np.diff(samples)) > gap)
    return int(samples[breaks[0] if breaks.size else -1])


def _over_pr_level(values: FloatArray, onset: FloatArray, fs: float, high: float) -> FloatArray:
    """Leads with the line through the levels before each QRS taken away."""
    smooth = _filtered(values, fs, (0.0, high))
    far, close = (round(back * fs) for back in _LEVEL_SEC)
    starts = np.maximum(onset.astype(np.int64) - far, 0)
    stops = np.maximum(onset.astype(np.int64) - close, 0) + 1
    levels = np.stack([smooth[:, a:b].mean(axis=1) for a, b in zip(starts, stops, strict=True)])
    time, knots = np.arange(values.shape[1]), (starts + stops - 1) / 2
    return np.stack([row - np.interp(time, knots, levels[:, i]) for i, row in enumerate(smooth)])


def _hump(
    size: FloatArray,
    window: tuple[int, int],
    bounds: tuple[int, int],
    reach: int,
    feet: tuple[float, float],
) -> tuple[int, int, int]:
    """Onset, peak and offset of the highest hump over the line through the ends of a window.

    The feet lie where the magnitude has fallen to a share of the peak's height over the lowest
    point on that side, not further than ``reach`` samples away and within ``bounds``.
    """
    part = size[window[0] : window[1]]
    peak = window[0] + int(np.argmax(part - np.linspace(part[0], part[-1], len(part))))
    before = _foot(size[max(bounds[0], peak - reach) : peak + 1][::-1], feet[0])
    after = _foot(size[peak : min(bounds[1], peak + reach + 1)], feet[1])
    return peak - before, peak, peak + after


def _foot(falling: FloatArray, share: float) -> int:
    """Samples from the peak (first of ``falling``) to its foot."""
    lowest = int(np.argmin(falling))
    level = falling[lowest] + share * (falling[0] - falling[lowest])
    return int(np.argmax(falling[: lowest + 1] <= level))


def _t_waves(
    values: FloatArray, peaks: IntArray, onset: FloatArray, offset: FloatArray, fs: float
) -> tuple[FloatArray, FloatArray]:
    """``float64[beat, 3]`` onset, peak, offset in samples, and the share of leads that agree."""
    over = _over_pr_level(values, onset, fs, _WAVE_HZ["t"])
    size = np.sqrt((over**2).mean(axis=0))
    n, n_beats = len(size), len(peaks)
    rr = np.diff(peaks, append=peaks[-1] + int(np.median(np.diff(peaks)) if n_beats > 1 else fs))
    following = np.append(onset[1:], n)
    waves, agreed = np.full((n_beats, 3), np.nan), np.full(n_beats, np.nan)
    for beat in range(n_beats):
        start = int(offset[beat] + _T_BEGIN_SEC * fs)
        furthest = peaks[beat] + min(_T_SHARE * rr[beat], _T_END_SEC * fs)
        stop = int(min(following[beat] - _T_QRS_SEC * fs, furthest, n))
        if stop - start <= _T_LEAST_SEC * fs:
            continue
        bounds = (int(offset[beat]), int(min(following[beat] - 0.02 * fs, n)))
        wave = _hump(size, (start, stop), bounds, round(_T_REACH_SEC * fs), _T_FOOT)
        waves[beat] = wave
        own = wave[0] + np.argmax(np.abs(over[:, wave[0] : wave[2] + 1]), axis=1)
        agreed[beat] = float(np.mean(np.abs(own - wave[1]) <= _T_AGREE_SEC * fs))
    return waves, agreed


def _p_waves(values: FloatArray, onset: FloatArray, t_end: FloatArray, fs: float) -> FloatArray:
    """``float64[beat, 3]`` onset, peak, offset in samples, wherever there is room for a P wave."""
    over = _over_pr_level(values, onset, fs, _WAVE_HZ["p"])
    size = np.sqrt((over**2).mean(axis=0))
    waves = np.full((len(onset), 3), np.nan)
    for beat, begin in enumerate(onset):
        ended = t_end[beat - 1] if beat and np.isfinite(t_end[beat - 1]) else 0.0
        start = int(max(ended, begin - P_REACH_SEC * fs, 0))
        stop = int(begin - _P_GAP_SEC * fs)
        if stop - start > _P_LEAST_SEC * fs:
            waves[beat] = _hump(size, (start, stop), (start, stop), stop - start, _P_FOOT)
    return waves


def _p_likeness(values: FloatArray, onset: FloatArray, fs: float) -> FloatArray:
    """``float64[beat]``: correlation of each beat's 220 ms before the QRS with the other beats'.

    All leads together, straight lines taken away, against the median of the other beats. It is
    averaged (geometric mean) with its median over the record, because a fibrillating atrium is
    now and then alike by chance. NaN where the record begins too late, or with fewer than three
    beats to compare.
    """
    from scipy import signal

    waves = _filtered(values, fs, _P_BAND)
    length, gap = round(_P_WINDOW_SEC * fs), round(_P_GAP_SEC * fs)
    stops = onset.astype(np.int64) - gap
    usable = np.flatnonzero(stops >= length)
    alike = np.full(len(onset), np.nan)
    if usable.size < 3:
        return alike
    cuts = np.stack([waves[:, stops[i] - length : stops[i]] for i in usable])
    cuts = signal.detrend(cuts, axis=2)
    for place, beat in enumerate(usable):
        other = np.median(np.delete(cuts, place, axis=0), axis=0)
        norm = float(np.linalg.norm(other) * np.linalg.norm(cuts[place]))
        alike[beat] = max(0.0, float((other * cuts[place]).sum()) / norm) if norm > 0 else 0.0
    return np.asarray(np.sqrt(alike * np.median(alike[usable])))
