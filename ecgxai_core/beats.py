"""R peaks: the one place that finds heartbeats.

Every lead is searched by itself, the leads vote, and the R peak is placed at the median of the
leads' own R waves. A beat that one lead does not show, a tall T wave in one lead or noise in a few
leads therefore does not change the result. On the 100 odd-numbered records of LUDB
(``tests/test_beats.py`` measures it) this finds what the cardiologists marked more completely than
single-lead detectors of ``neurokit2`` and ``wfdb`` do, keeps the first and last beat of a record
(both libraries' detectors need a run-in), and needs no heavy import.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["heart_rate", "r_peaks", "rr_midpoints"]

_LEAST_FS = 50.0  # Hz: below it the QRS band has too few samples
_LEAST_SEC = 0.5
_FLAT_MV = 0.02  # a lead that spans less has no vote
_QRS_BAND = (5.0, 25.0)  # Hz, where QRS stands out from P, T and muscle noise
_R_BAND = (3.0, 40.0)  # Hz, takes out the baseline and T so that R is the highest point
_ENVELOPE_SEC = 0.1  # about one QRS complex
_REFRACTORY_SEC = 0.25  # two beats are never closer
_LEVEL_RATE = 0.5  # peaks per second that surely are QRS complexes (30 beats per minute)
_THRESHOLD = 0.4  # of the level
_VOTE_SEC = 0.06  # leads agree within this on either side
_SHARE = 0.5  # of the leads that must see a beat
_T_SEC = 0.36  # a T wave comes no later after its QRS complex (Pan and Tompkins 1985)
_STEEP_BAND = (10.0, 40.0)  # Hz, where a QRS complex has energy and a T wave hardly any
# A T wave has less than these shares of its complex's energy, in the QRS band and in the steep one.
# Those of simulated paced beats have up to 0.63 and 0.36; real beats so close have at least 0.70
# and 0.61, premature ventricular ones, which are smooth, 0.92 in the QRS band.
_T_SHARE, _T_STEEP = 0.7, 0.5
_BEFORE_SEC, _AFTER_SEC = 0.08, 0.05  # where R lies around the middle of the QRS energy
_LEAST_R = 0.25  # of the trough: a lower highest point is the rim of a QS complex, not an R wave


def r_peaks(
    values: Float32Array | FloatArray, fs: float, leads: Sequence[str] | None = None
) -> IntArray:
    """Find the R peaks of a record.

    The energy in the QRS band is smoothed and thresholded lead by lead (after Pan and Tompkins,
    IEEE Trans Biomed Eng 1985;32:230-236, with the threshold taken from the whole lead instead of
    a running estimate, so that the first beats are found too); at least half of the leads must
    agree. What follows a beat within 0.36 s, lower and less steep, is its T wave (there too): that
    of a paced or otherwise broad QRS complex can be large enough for a beat. The position is the
    median over the leads of their own R wave (highest point of the QRS complex; aVR is turned over;
    a lead with a pure QS complex counts its trough).

    Parameters
    ----------
    values
        ``float[lead, sample]``, mV. NaN runs are bridged; flat leads have no vote.
    fs
        Sampling rate, Hz.
    leads
        Names of the rows; only ``"aVR"`` matters.

    Returns
    -------
    ``int64[n]``, rising sample numbers; empty where there is nothing to find (flat, too short, or
    sampled too slowly). Never raises for what a signal holds.
    """
    clean, usable = _clean(np.asarray(values, np.float64))
    n_samples = clean.shape[1] if clean.ndim == 2 else 0
    if not usable.any() or fs < _LEAST_FS or n_samples < _LEAST_SEC * fs:
        return np.zeros(0, np.int64)
    names = list(leads) if leads is not None else [""] * len(clean)
    turned = np.array([-1.0 if name == "aVR" else 1.0 for name in names])
    clean = (clean * turned[:, None])[usable]
    energy = _energy(clean, fs, _QRS_BAND)
    places = _without_t_waves(_voted(energy, fs), energy, _energy(clean, fs, _STEEP_BAND), fs)
    return _r_positions(clean, places, fs)


def heart_rate(peaks: npt.ArrayLike, fs: float) -> float:
    """Beats per minute from the median RR interval; NaN with fewer than two R peaks.

    Parameters
    ----------
    peaks
        R peaks in samples.
    fs
        Sampling rate, Hz.
    """
    places = np.asarray(peaks, np.float64)
    if places.size < 2:
        return float("nan")
    return float(60.0 * fs / np.median(np.diff(places)))


def rr_midpoints(peaks: npt.ArrayLike) -> IntArray:
    """Samples half-way between neighbouring R peaks, ``int64[n - 1]``."""
    places = np.asarray(peaks, np.int64)
    return np.asarray((places[:-1] + places[1:] + 1) // 2, np.int64)


def _clean(values: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Bridge what is not finite; tell which leads carry a signal."""
    if values.ndim != 2 or values.shape[1] == 0:
        return np.zeros((0, 0)), np.zeros(0, np.bool_)
    clean = np.clip(values, -1e6, 1e6)  # NaN stays NaN; infinities would survive no filter
    clean[~np.isfinite(values)] = np.nan
    usable = np.zeros(len(clean), np.bool_)
    for row, lead in enumerate(clean):
        known = np.flatnonzero(np.isfinite(lead))
        if known.size < 2:
            clean[row] = 0
            continue
        clean[row] = np.interp(np.arange(lead.size), known, lead[known])
        usable[row] = np.ptp(clean[row]) >= _FLAT_MV
    return clean, usable


def _band(values: FloatArray, fs: float, band: tuple[float, float]) -> FloatArray:
    """Zero-phase band-pass along time (Butterworth, order 2, run forwards and backwards)."""
    from scipy import signal  # half a second to import

    high = min(band[1], 0.45 * fs)
    sos = signal.butter(2, [band[0], high], "bandpass", fs=fs, output="sos")
    pad = min(int(fs), values.shape[1] - 1)
    return np.asarray(signal.sosfiltfilt(sos, values, axis=1, padlen=pad), np.float64)


def _energy(values: FloatArray, fs: float, band: tuple[float, float]) -> FloatArray:
    """Smoothed magnitude in a band, ``float64[lead, sample]``."""
    from scipy import ndimage

    width = max(round(_ENVELOPE_SEC * fs), 1)
    kernel = np.hanning(width + 2)[1:-1]
    magnitude = np.abs(_band(values, fs, band))
    return np.asarray(ndimage.convolve1d(magnitude, kernel / kernel.sum(), axis=1, mode="nearest"))


def _voted(energy: FloatArray, fs: float) -> IntArray:
    """Places where enough leads have a QRS complex."""
    from scipy import ndimage, signal

    n_leads, n_samples = energy.shape
    reach, distance = round(_VOTE_SEC * fs), max(round(_REFRACTORY_SEC * fs), 1)
    n_level = max(1, round(n_samples / fs * _LEVEL_RATE))
    votes = np.zeros(n_samples)
    for lead in energy:
        # a step up at the first and down at the last sample lets a peak at the border count
        found = signal.find_peaks(np.pad(lead, 1), distance=distance)[0] - 1
        heights = lead[found]
        level = np.median(np.sort(heights)[::-1][:n_level]) if found.size else 0.0
        seen = np.zeros(n_samples, np.bool_)
        for place in found[heights > _THRESHOLD * level]:
            seen[max(0, place - reach) : place + reach + 1] = True
        votes += seen
    # smoothing turns a plateau of equal votes into one maximum in its middle
    smooth = ndimage.uniform_filter1d(votes, 2 * reach + 1, mode="constant")
    enough = ndimage.maximum_filter1d(votes, 2 * reach + 1) >= _SHARE * n_leads
    places = signal.find_peaks(np.pad(smooth, 1), distance=distance)[0] - 1
    return np.asarray(places[enough[places]], np.int64)


def _without_t_waves(
    places: IntArray, energy: FloatArray, steep: FloatArray, fs: float
) -> IntArray:
    """Leave out what follows a beat so soon and so weakly that it is the beat's T wave.

    At the start of a record the beat may lie before it; there the next beat tells what is weak.
    """
    reach = round(_VOTE_SEC * fs)

    def share(values: FloatArray, place: int, beat: int) -> float:
        """How large one is over the other, as the median over the leads."""
        one, other = (
            values[:, max(0, at - reach) : at + reach + 1].max(axis=1) for at in (place, beat)
        )
        return float(np.median(one / np.maximum(other, np.finfo(np.float64).tiny)))

    def weak(place: int, beat: int) -> bool:
        low = share(energy, place, beat) < _T_SHARE
        return low and share(steep, place, beat) < _T_STEEP

    kept: list[int] = []
    for place in places.tolist():
        if not (kept and place - kept[-1] < _T_SEC * fs and weak(place, kept[-1])):
            kept.append(place)
    if len(kept) > 1 and kept[0] < _T_SEC * fs and weak(kept[0], kept[1]):
        kept = kept[1:]
    return np.array(kept, np.int64)


def _r_positions(values: FloatArray, places: IntArray, fs: float) -> IntArray:
    """Move each place to the median of the leads' own R waves."""
    waves = _band(values, fs, _R_BAND)
    before, after = round(_BEFORE_SEC * fs), round(_AFTER_SEC * fs)
    moved = []
    for place in places:
        start = max(0, int(place) - before)
        near = waves[:, start : int(place) + after + 1]
        up, down = near.max(axis=1), -near.min(axis=1)
        own = np.where(up >= _LEAST_R * down, near.argmax(axis=1), near.argmin(axis=1))
        moved.append(start + int(np.median(own)))
    return np.unique(np.asarray(moved, np.int64))
