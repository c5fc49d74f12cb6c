"""The explanation of one typical beat: beats aligned at the R peak, their mean map with a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import (
    FloatArray,
    Map,
    Record,
    content_seed,
    frozen_array,
)

__all__ = ["MedianBeat", "median_beat", "median_trace"]

BEFORE_SEC, AFTER_SEC, BIN_SEC = 0.3, 0.5, 0.01
"""Window around the R peak, shorter than an RR interval at rest, and width of its bins."""
_CHUNK = 64  # bootstrap resamples at a time


@dataclass(frozen=True, slots=True)
class MedianBeat:
    """A typical beat and what the map says of it.

    ``time_sec`` ``float64[bin]``: middles of the bins, seconds from the R peak. Rows are ``leads``:
    ``signal`` ``float64[lead, bin]``, mV: median over beats; ``mean`` ``float64[lead, bin]``: mean
    density (weight per second) over the beats in which the bin was explored, NaN where in none;
    ``low``, ``high``: its bootstrap interval over beats at level ``confidence``, NaN with fewer
    than two; ``n`` ``int64[lead, bin]``: beats in which the bin was explored. ``n_beats`` take
    part. ``segment_sec``: median length of the map's segments; no time of the map is finer.
    """

    time_sec: FloatArray
    leads: tuple[str, ...]
    signal: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    n: npt.NDArray[np.int64]
    n_beats: int
    confidence: float
    segment_sec: float = 0.0

    def __post_init__(self) -> None:
        for name in ("time_sec", "signal", "mean", "low", "high"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
        object.__setattr__(self, "n", frozen_array(self.n, np.int64))


def median_beat(
    item: Map,
    record: Record,
    r_peaks_sec: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> MedianBeat:
    """Align the beats of a record at their R peaks and average the map over them.

    Times are not stretched. At a fast rate a bin may lie in the next beat, so a beat counts only up
    to half-way to its neighbours, and the ends of the window rest on fewer beats (``n``).

    The band is a percentile bootstrap (Efron and Tibshirani 1993, chapter 13) over whole beats, all
    leads and bins together. It shows how far the beats of this record agree; it does not generalise
    to other records, and beats of one record are not independent.

    Parameters
    ----------
    item, record
        The map, and the record it explains.
    r_peaks_sec
        R peaks, seconds of the record.
    confidence, n_resamples, seed
        Of the bootstrap; the seed is mixed with the record's content.

    Returns
    -------
    All NaN, with ``n_beats`` 0, where no R peak lies in the explained part.
    """
    n_bins = round((BEFORE_SEC + AFTER_SEC) / BIN_SEC)
    time: FloatArray = np.asarray(-BEFORE_SEC + BIN_SEC * (np.arange(n_bins) + 0.5), np.float64)
    peaks = np.unique(np.asarray(r_peaks_sec, np.float64))
    own = _own_bins(peaks, time)
    inside = (peaks >= item.edges_sec[0]) & (peaks <= item.edges_sec[-1])
    peaks, own = peaks[inside], own[inside]
    at = peaks[:, None] + time
    density = np.where(own[:, None], _map_at(item, at), np.nan)
    signal = np.where(own[:, None], _signal_at(record, item.leads, at), np.nan)
    count = np.isfinite(density).sum(axis=0)
    seed = content_seed("median beat", record.digest, item.target, seed)
    low, high = _band(density, confidence, n_resamples, seed)
    return MedianBeat(
        time_sec=time,
        leads=item.leads,
        signal=_over_beats(np.nanmedian, signal),
        mean=_over_beats(np.nanmean, density),
        low=low,
        high=high,
        n=count,
        n_beats=len(peaks),
        confidence=confidence,
        segment_sec=float(np.median(item.durations)),
    )


def median_trace(
    record: Record, r_peaks_sec: npt.ArrayLike, span_sec: tuple[float, float], bin_sec: float
) -> tuple[FloatArray, FloatArray]:
    """The record's beats aligned at their R peaks, without a map.

    Parameters
    ----------
    record
        Signal in mV.
    r_peaks_sec
        R peaks, seconds of the record.
    span_sec, bin_sec
        The window around the R peak, and the width of its bins, s.

    Returns
    -------
    ``float64[bin]``: middles of the bins, seconds from the R peak; ``float64[lead, bin]``: median
    over the beats, mV, NaN where fewer than half of them reach. A beat counts up to half-way to its
    neighbours.
    """
    first, last = span_sec
    n_bins = round((last - first) / bin_sec)
    time: FloatArray = np.asarray(first + bin_sec * (np.arange(n_bins) + 0.5), np.float64)
    peaks = np.unique(np.asarray(r_peaks_sec, np.float64))
    own = _own_bins(peaks, time)
    signal = _signal_at(record, record.leads, peaks[:, None] + time)
    signal = np.where(own[:, None], signal, np.nan)
    few = np.isfinite(signal).sum(axis=0) < len(peaks) / 2
    return time, np.asarray(np.where(few, np.nan, _over_beats(np.nanmedian, signal)), np.float64)


def _own_bins(peaks: FloatArray, time: FloatArray) -> npt.NDArray[np.bool_]:
    """``bool[beat, bin]``: bins nearer to this R peak than half-way to its neighbours."""
    half = np.diff(peaks) / 2
    before = np.concatenate(([np.inf], half))[:, None]
    after = np.concatenate((half, [np.inf]))[:, None]
    return np.asarray((time >= -before[: len(peaks)]) & (time < after[: len(peaks)]))


def _map_at(item: Map, at: FloatArray) -> FloatArray:
    """``float64[beat, lead, bin]``: density at times ``[beat, bin]``; NaN outside the map."""
    column = np.searchsorted(item.edges_sec, at, side="right") - 1
    inside = (column >= 0) & (column < len(item.edges_sec) - 1)
    density = item.drawn_density()[:, np.where(inside, column, 0)]
    return np.asarray(np.where(inside, density, np.nan).transpose(1, 0, 2))


def _signal_at(record: Record, leads: Sequence[str], at: FloatArray) -> FloatArray:
    """``float64[beat, lead, bin]``, mV; NaN outside the record and for leads it does not have."""
    samples = np.arange(record.n_samples) / record.fs
    rows = {lead: i for i, lead in enumerate(record.leads)}
    out = np.full((len(at), len(leads), at.shape[1]), np.nan)
    for place, lead in enumerate(leads):
        if lead in rows and record.n_samples:
            row = record.signal[rows[lead]].astype(np.float64)
            out[:, place] = np.interp(at, samples, row, left=np.nan, right=np.nan)
    return out


def _over_beats(function: Callable[..., FloatArray], values: FloatArray) -> FloatArray:
    """``float64[lead, bin]``: nanmean or nanmedian over beats, NaN where there is none."""
    out = np.full(values.shape[1:], np.nan)
    some = np.isfinite(values).any(axis=0)
    if some.any():
        out[some] = function(values[:, some], axis=0)
    return out


def _band(
    density: FloatArray, confidence: float, n_resamples: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of the mean over beats drawn with replacement."""
    n_beats, *shape = density.shape
    nothing = np.full(shape, np.nan)
    if n_beats < 2:
        return nothing, nothing
    rng = np.random.default_rng(seed)
    explored = np.isfinite(density).reshape(n_beats, -1)
    values = np.where(explored, density.reshape(n_beats, -1), 0.0)
    means = []
    for begin in range(0, n_resamples, _CHUNK):
        drawn = rng.integers(0, n_beats, (min(_CHUNK, n_resamples - begin), n_beats))
        weight = np.stack([np.bincount(row, minlength=n_beats) for row in drawn]).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append((weight @ values) / (weight @ explored))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    resampled = np.concatenate(means)
    enough = explored.sum(axis=0) >= 2
    low, high = np.full((2, values.shape[1]), np.nan)
    if enough.any():
        low[enough], high[enough] = np.nanquantile(resampled[:, enough], tails, axis=0)
    return low.reshape(shape), high.reshape(shape)
