"""R peaks: the one place that finds heartbeats, and says how far its list can be trusted.

Every lead is searched by itself and weighed by how plainly it shows beats; then the beats are
chosen together, as the series that explains the whole record best. A premature beat six times as
tall as the others, a lead without an electrode, a burst of motion or a tall T wave therefore does
not decide what counts as a beat. ``tests/benchmarks/bench_beats.py`` measures it on cardiologists'
marks and on simulated stress, beside detectors of ``neurokit2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray, frozen_array

__all__ = ["DOUBTFUL_BELOW", "Beats", "find_beats", "heart_rate", "r_peaks", "rr_midpoints"]

DOUBTFUL_BELOW = 0.8
"""Beat lists of less confidence are called doubtful."""

_LEAST_FS = 50.0  # Hz: below it the QRS band has too few samples
_LEAST_SEC = 0.5
_FLAT_MV = 0.02  # a lead that spans less has no say
_INNER_FS = 200.0  # Hz: beats are searched at about this rate, placed at the record's own
_SPIKE_FS = 250.0  # Hz: from here on spikes narrower than 8 ms can be told from QRS complexes
_BANDS = ((5.0, 20.0), (10.0, 40.0))  # Hz
"""A QRS complex stands out from P and T in the first; the second makes tall, broad premature beats
and narrow ordinary ones more alike, and has hardly any T. Each lead uses both, by their noise."""

_R_BAND = (3.0, 40.0)  # Hz, takes out the baseline and T so that R is the highest point
_ENVELOPE_SEC = 0.1  # about one QRS complex
_LEAD_SHIFT_SEC = 0.06  # leads show one beat within this on either side
_APART_SEC = 0.12  # candidates are never closer
_REFRACTORY_SEC = 0.25  # two beats are never closer
_LOW_MAXIMUM = 0.35  # quantile of the maxima of 2 s: the first guess of a lead's beat height
_PLAIN = 2.2  # a lead whose beats are this many times its median envelope shows nothing but noise
_LEAST_SHARE, _MOST_SHARE = 0.02, 2.5  # of a lead in the vote
_ROUNDS = 3  # the second and third measure height by the beats that were found
_PIECE_SEC, _OVERLAP_SEC = 30.0, 6.0  # longer records: heights and rates are those of each piece

# All scores are in bits (log2 of a ratio); a beat counts where the sum over the series grows.
_LEVEL = 1.3  # a candidate of 0.41 of the usual height scores 0
_FLOOR, _CEILING = -4.0, 0.7  # how far one lead may pull down; a tall beat counts as a usual one
_OVER_NOISE, _OVER_NOISE_GAIN = 2.4, 1.5  # times the median envelope around
_LEVEL_SHIFT = (-0.3, 1.0)  # how far the level moves towards the middle between beats and the rest
_MIDDLE, _REST = 0.55, 0.9  # where that middle lies; quantile of the rest
_GAP_COST = 2.0  # for each doubling of the distance between beats over the longest ordinary one
_GAP_SEC, _GAP_LEAST_SEC, _GAP_RR = 1.3, 0.6, 1.5  # that is, s, or this many times the usual RR
_PAUSE, _PAUSE_COST = 3.0, 1.5  # from this many times on, also for each second
_REACH_SEC = 6.0  # no distance between beats is longer
_T_COST = 3.0
_T_SEC, _T_LATER_SEC = 0.36, 0.10  # latest T wave (Pan and Tompkins 1985); if small, that later
_SPIKE_COST = 2.5
_SPIKE_SEC, _SPIKE_STEEP, _SPIKE_STEEPER = 0.31, 1.15, 1.7
_STEP_COST = 2.0
_STEP_SEC, _STEP_LEVEL_SEC = 0.1, 0.04

_BEFORE_SEC, _AFTER_SEC = 0.08, 0.05  # where R lies around the middle of the QRS energy
_LEAST_R = 0.25  # of the trough: a lower highest point is the rim of a QS complex, not an R wave


@dataclass(frozen=True, slots=True)
class Beats:
    """The beats of a record.

    Attributes
    ----------
    peaks
        R peaks, ``int64[beat]``, rising sample numbers.
    confidence
        In [0, 1]: the share of beats that is expected to be right, counting made-up and missed
        ones; 0 where no beat was found. It says nothing of the rhythm: fibrillation that is seen
        plainly has a confidence near 1.
    each
        ``float64[beat]``: the probability that a beat is one.
    """

    peaks: IntArray
    confidence: float = 0.0
    each: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "peaks", frozen_array(self.peaks, np.int64))
        object.__setattr__(self, "each", frozen_array(self.each, np.float64))

    def __len__(self) -> int:
        return len(self.peaks)

    @property
    def doubtful(self) -> bool:
        """Whether what rests on these beats should say so."""
        return self.confidence < DOUBTFUL_BELOW


def r_peaks(
    values: Float32Array | FloatArray, fs: float, leads: Sequence[str] | None = None
) -> IntArray:
    """R peaks of a record in samples, ``int64[beat]``: ``find_beats(...).peaks``."""
    return find_beats(values, fs, leads).peaks


def find_beats(
    values: Float32Array | FloatArray, fs: float, leads: Sequence[str] | None = None
) -> Beats:
    """Find the beats of a record.

    The energy in two QRS bands is smoothed lead by lead (after Pan and Tompkins, IEEE Trans Biomed
    Eng 1985;32:230-236) and compared with the height of the lead's beats and with its noise around.
    Leads count by how far their beats stand above that noise. Among the places where the leads'
    energy peaks, dynamic programming takes the series with the largest sum of scores. Against it
    count gaps longer than the usual RR interval (in place of a search back with a lower threshold),
    a beat that follows another as a T wave does (soon, lower and less steep), a pacing spike before
    a QRS complex, and a step of the baseline. Heights and the usual RR interval are taken again
    from the beats so found, twice.

    The position is the median over the leads of their own R wave (highest point of the QRS complex;
    aVR is turned over; a lead with a pure QS complex counts its trough).

    Confidence: the score that the best series would lose without a beat (gain with another
    candidate) gives the probability that it is a beat; the curve was fitted on simulated stress and
    on single leads of LUDB.

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
    The beats; none where there is nothing to find (flat, too short, or sampled too slowly). Never
    raises for what a signal holds.
    """
    clean, usable = _clean(np.asarray(values, np.float64))
    n_samples = clean.shape[1] if clean.ndim == 2 else 0
    if not usable.any() or fs < _LEAST_FS or n_samples < _LEAST_SEC * fs:
        return Beats(np.zeros(0, np.int64))
    names = list(leads) if leads is not None else [""] * len(clean)
    turned = np.array([-1.0 if name == "aVR" else 1.0 for name in names])
    clean = (clean * turned[:, None])[usable]
    inner, every = _inner(clean, fs)
    found = _in_pieces(inner, fs / every)
    if found.places.size == 0:
        return Beats(np.zeros(0, np.int64))
    peaks, first = np.unique(_r_positions(clean, found.places * every, fs), return_index=True)
    return Beats(peaks, found.confidence, found.each[first])


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
        if known.size < lead.size:
            clean[row] = np.interp(np.arange(lead.size), known, lead[known])
        usable[row] = np.ptp(clean[row]) >= _FLAT_MV
    return clean, usable


@lru_cache(maxsize=32)
def _filter(fs: float, low: float, high: float) -> FloatArray:
    """Second-order sections of a Butterworth band-pass of order 2."""
    from scipy import signal  # half a second to import

    edges = [low, min(high, 0.45 * fs)]
    return np.asarray(signal.butter(2, edges, "bandpass", fs=fs, output="sos"), np.float64)


def _band(values: FloatArray, fs: float, band: tuple[float, float]) -> FloatArray:
    """Zero-phase band-pass along time (the filter runs forwards and backwards)."""
    from scipy import signal

    pad = min(int(fs), values.shape[1] - 1)
    return np.asarray(signal.sosfiltfilt(_filter(fs, *band), values, axis=1, padlen=pad))


def _inner(values: FloatArray, fs: float) -> tuple[FloatArray, int]:
    """The signal at about 200 Hz, without spikes; every how many samples it was taken.

    The mean of the samples left out is filter enough: what it lets through above 100 Hz is little,
    and lands far from the QRS bands.
    """
    from scipy import ndimage

    if fs >= _SPIKE_FS:
        values = median_of_five(values, max(1, round(fs / 500.0)))
    every = max(1, int(fs / _INNER_FS))
    if every > 1:
        values = ndimage.uniform_filter1d(values, every, axis=1)[:, ::every]
    return values, every


def median_of_five(values: FloatArray, apart: int) -> FloatArray:
    """Running median of five samples ``apart`` samples from each other (a sorting network).

    What is narrower than 8 ms is no part of a heartbeat, but a pacing spike or a fault.
    """
    n = values.shape[1]
    padded = np.pad(values, ((0, 0), (2 * apart, 2 * apart)), mode="edge")
    a, b, c, d, e = (padded[:, k * apart : k * apart + n] for k in range(5))
    low, high = np.minimum, np.maximum
    a, b, d, e = low(a, b), high(a, b), low(d, e), high(d, e)
    b, d = low(b, e), high(a, d)  # the least and the largest of the four are out
    return np.asarray(high(low(b, d), low(high(b, d), c)), np.float64)


@dataclass(frozen=True, slots=True)
class _Found:
    """Places of beats (samples of the inner signal), their probabilities, and of the list."""

    places: IntArray
    each: FloatArray
    confidence: float


def _in_pieces(values: FloatArray, fs: float) -> _Found:
    """Beats of a record; a long one piece by piece, with overlap."""
    n, length, overlap = values.shape[1], int(_PIECE_SEC * fs), int(_OVERLAP_SEC * fs)
    if n <= 2 * length:
        return _chosen(values, fs)
    parts = []
    for start in range(0, n, length):
        first, stop = max(0, start - overlap), min(n, start + length + overlap)
        found = _chosen(values[:, first:stop], fs)
        own = (found.places + first >= start) & (found.places + first < start + length)
        parts.append(_Found(found.places[own] + first, found.each[own], found.confidence))
    places = np.concatenate([part.places for part in parts])
    kept = np.diff(places, prepend=-n) >= _REFRACTORY_SEC * fs
    each = np.concatenate([part.each for part in parts])[kept]
    return _Found(places[kept], each, float(np.mean([part.confidence for part in parts])))


def _chosen(values: FloatArray, fs: float) -> _Found:
    """The series of beats that explains all leads best."""
    energy = _Energy(values, fs)
    places = energy.candidates()
    nothing = _Found(np.zeros(0, np.int64), np.zeros(0), 0.0)
    if places.size == 0:
        return nothing
    series = _Series(places / fs, energy.heights(places), values.shape[1] / fs)
    steps = _step_costs(values, places, fs)
    level, usual_rr, taken, margin = _LEVEL, None, np.zeros(0, np.int64), np.zeros(0)
    for turn in range(_ROUNDS):
        score = energy.scores(places, level, steps)
        taken, margin = series.best(score, usual_rr)
        if taken.size < 2 or turn == _ROUNDS - 1:
            break
        energy.measure_by(places[taken])
        usual_rr = float(np.median(np.diff(places[taken]))) / fs
        if turn == _ROUNDS - 2:
            level += _shift(score, taken)
    if taken.size == 0:
        return nothing
    each, confidence = _probabilities(margin, taken)
    return _Found(places[taken], each, confidence)


def _shift(score: FloatArray, taken: IntArray) -> float:
    """How far the level moves towards the middle between the beats and what is none."""
    rest = np.delete(score, taken)
    if rest.size <= 3:
        return 0.0
    middle = _MIDDLE * np.quantile(rest, _REST) + (1 - _MIDDLE) * np.median(score[taken])
    return float(np.clip(-middle, *_LEVEL_SHIFT))


def _probabilities(margin: FloatArray, taken: IntArray) -> tuple[FloatArray, float]:
    """Probability of each beat, and the expected share of right ones among found and missed."""
    each = 1 / (1 + np.exp(-4.0 * margin[taken]))
    missed = 1 / (1 + np.exp(1.8 - 2.0 * np.delete(margin, taken)))
    return each, float(each.sum() / (each.size + missed.sum()))


class _Energy:
    """How plainly each lead shows a beat, at every sample of the inner signal.

    ``bands`` is ``float64[band, lead, sample]``, the smoothed magnitude; ``level`` the height of a
    beat and ``noise`` the median, by band and lead; ``joined`` the leads' heights over both bands
    (1 = a usual beat), ``floor`` its running median and ``share`` the lead's say,
    ``float64[lead, sample]``.
    """

    def __init__(self, values: FloatArray, fs: float) -> None:
        from scipy import ndimage

        kernel = np.hanning(max(round(_ENVELOPE_SEC * fs), 1) + 2)[1:-1]
        kernel /= kernel.sum()
        self.fs = fs
        self.bands: FloatArray = np.stack(
            [
                ndimage.convolve1d(np.abs(_band(values, fs, band)), kernel, axis=1, mode="nearest")
                for band in _BANDS
            ]
        )
        self._tiny = max(float(self.bands.max()), 1e-9) * 1e-9
        self._every = max(1, int(fs / 50.0))  # medians need no more: the envelope is slow
        self._hop = max(1, round(fs / self._every))
        thin = self.bands[..., :: self._every]
        self._starts = np.arange(0, max(1, thin.shape[-1] - self._hop), self._hop)
        highest = np.stack(
            [thin[..., a : a + 2 * self._hop].max(axis=-1) for a in self._starts], axis=-1
        )
        self.noise = np.maximum(np.median(thin, axis=-1), self._tiny)
        self._use(np.quantile(highest, _LOW_MAXIMUM, axis=-1), np.ones(self.noise.shape))

    def _use(self, level: FloatArray, plain: FloatArray) -> None:
        """Take heights of beats; ``plain`` is how far they stand above what lies between."""
        self.level = np.maximum(level, self._tiny)
        say = np.log2(self.level / self.noise / _PLAIN).clip(_LEAST_SHARE, _MOST_SHARE) * plain
        mix = say / say.sum(axis=0) / self.level
        self.joined = np.einsum("bl,bln->ln", mix, self.bands)
        thin = self.joined[:, :: self._every]
        medians = np.stack(
            [
                np.median(thin[:, max(0, a - self._hop) : a + 2 * self._hop], axis=1)
                for a in self._starts
            ]
        )
        at = (self._starts + self._hop / 2) * self._every
        time = np.arange(self.joined.shape[1])
        self.floor = np.stack([np.interp(time, at, lead) for lead in medians.T]).clip(1e-6)
        share = (-np.log2(self.floor * _PLAIN)).clip(_LEAST_SHARE, _MOST_SHARE)
        self.share = share * ((say * plain).sum(axis=0) / say.sum(axis=0))[:, None]

    def candidates(self) -> IntArray:
        """Places where the leads together have most energy, ``int64[candidate]``."""
        from scipy import signal

        together = (self.share * np.minimum(self.joined, 2.0)).sum(axis=0) / self.share.sum(axis=0)
        # a step up at the first and down at the last sample lets a peak at the border count
        apart = max(1, int(_APART_SEC * self.fs))
        return np.asarray(signal.find_peaks(np.pad(together, 1), distance=apart)[0] - 1, np.int64)

    def _near(self, values: FloatArray, places: IntArray) -> FloatArray:
        """The largest value that a lead has around each place."""
        from scipy import ndimage

        width = 2 * round(_LEAD_SHIFT_SEC * self.fs) + 1
        return np.asarray(ndimage.maximum_filter1d(values, width, axis=-1)[..., places])

    def heights(self, places: IntArray) -> FloatArray:
        """``float64[band, lead, candidate]``."""
        return np.maximum(self._near(self.bands, places), self._tiny)

    def scores(self, places: IntArray, level: float, costs: FloatArray) -> FloatArray:
        """``float64[candidate]``: mean over the leads, by their say; ``costs`` by lead."""
        height, share = self._near(self.joined, places).clip(1e-9), self.share[:, places]
        over_noise = np.log2(height / self.floor[:, places] / _OVER_NOISE)
        score = np.minimum(np.log2(height) + level, _OVER_NOISE_GAIN * over_noise)
        score = score.clip(_FLOOR, _CEILING + level) - costs
        return np.asarray((share * score).sum(axis=0) / share.sum(axis=0))

    def measure_by(self, beats: IntArray) -> None:
        """Take heights, and how plainly each lead shows beats, from beats that were found."""
        level = np.median(self.heights(beats), axis=-1)
        between = np.ones(self.bands.shape[-1], np.bool_)
        reach = round(_APART_SEC * self.fs)
        for beat in beats:
            between[max(0, beat - reach) : beat + reach + 1] = False
        plain = np.ones(level.shape)
        if between.sum() > self.fs:
            rest = np.quantile(self.bands[..., between][..., :: self._every], 0.95, axis=-1)
            plain = np.log2(level / rest.clip(self._tiny)).clip(_LEAST_SHARE, 2.0) / 2
        self._use(level, plain)


def _step_costs(values: FloatArray, places: IntArray, fs: float) -> FloatArray:
    """``float64[lead, candidate]``: cost of what looks like a step of the baseline.

    A step departs from the line through the levels before and after it by half its height, a QRS
    complex by much more.
    """
    n, reach, width = values.shape[1], round(_STEP_SEC * fs), max(1, round(_STEP_LEVEL_SEC * fs))
    total = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))

    def level(first: IntArray) -> FloatArray:
        start = first.clip(0, n - 1)
        stop = (first + width).clip(start + 1, n)
        return np.asarray((total[:, stop] - total[:, start]) / (stop - start))

    before, after = level(places - reach - width), level(places + reach)
    offsets = np.arange(-reach, reach + 1)
    part = values[:, (places[:, None] + offsets).clip(0, n - 1)]
    line = before[..., None] + (after - before)[..., None] * (offsets + reach) / (2 * reach)
    departs = np.abs(part - line).max(axis=-1)
    ratio = departs / np.abs(after - before).clip(1e-9)
    return np.asarray(_STEP_COST * ((0.8 - ratio) / 0.2).clip(0, 1))


class _Series:
    """The series of candidates with the largest score, by dynamic programming.

    ``seconds`` are the candidates' times, ``heights`` is ``float64[band, lead, candidate]``. Row
    ``i`` of every table holds what lies between candidate ``i`` and those before it, nearest first.
    """

    def __init__(self, seconds: FloatArray, heights: FloatArray, duration: float) -> None:
        self.seconds, self.duration, n = seconds, duration, len(seconds)
        reached = np.arange(n) - np.searchsorted(seconds, seconds - _REACH_SEC)
        self.width = max(1, int(reached.max()))
        before = np.arange(n)[:, None] - 1 - np.arange(self.width)
        distance = seconds[:, None] - seconds[before.clip(0)]
        self.allowed = (before >= 0) & (distance >= _REFRACTORY_SEC) & (distance <= _REACH_SEC)
        self.distance = np.where(self.allowed, distance, 1.0)
        self.cost = np.zeros((n, self.width))
        near = self.allowed & (distance < _T_SEC + _T_LATER_SEC)
        row, back = np.nonzero(near)
        if row.size:
            apart = self.distance[row, back]
            self.cost[row, back] = _follow_cost(heights, row, before[row, back], apart)

    def best(self, score: FloatArray, usual_rr: float | None) -> tuple[IntArray, FloatArray]:
        """The best series, and for every candidate what leaving it out (taking it) would cost.

        Returns
        -------
        Numbers of the candidates in the series; ``float64[candidate]``, bits: positive in the
        series, negative outside.
        """
        longest = _GAP_SEC
        if usual_rr is not None:
            longest = min(_GAP_SEC, max(_GAP_LEAST_SEC, _GAP_RR * usual_rr))

        def gap(distance: Any) -> FloatArray:
            pause = np.maximum(distance - _PAUSE * longest, 0.0)
            doublings = np.log2(np.maximum(distance / longest, 1.0))
            return np.asarray(_GAP_COST * doublings + _PAUSE_COST * pause)

        step = np.where(self.allowed, -gap(self.distance) - self.cost, -np.inf)
        first, last = -gap(self.seconds), -gap(self.duration - self.seconds)
        forth, origin = _forward(score, first, step)
        back = _backward(score, last, step)
        ended = forth + last
        series = [int(np.argmax(ended))]
        while origin[series[-1]] >= 0:
            series.append(int(origin[series[-1]]))
        taken = np.array(series[::-1], np.int64)
        margin = forth + back - score - ended.max()
        # without a beat: all ends before it, all begins after it, or steps over it
        without = np.full(len(score), -float(gap(self.duration)))
        without[1:] = np.maximum(without[1:], np.maximum.accumulate(ended)[:-1])
        begun = np.maximum.accumulate((first + back)[::-1])[::-1]
        without[:-1] = np.maximum(without[:-1], begun[1:])
        for beat in taken:
            without[beat] = max(without[beat], self._over(int(beat), forth, back, step))
        margin[taken] = ended.max() - without[taken]
        return taken, margin

    def _over(self, beat: int, forth: FloatArray, back: FloatArray, step: FloatArray) -> float:
        """The best series with a step from before a beat to after it."""
        after = np.arange(beat + 1, min(len(forth), beat + self.width + 1))
        before = after[:, None] - 1 - np.arange(self.width)
        over = (before < beat) & (before >= 0)
        ways = np.where(over, forth[before.clip(0)] + step[after], -np.inf) + back[after][:, None]
        return float(ways.max(initial=-np.inf))


def _forward(score: FloatArray, first: FloatArray, step: FloatArray) -> tuple[FloatArray, IntArray]:
    """The best score of a series that ends at each candidate, and the one before it (-1: none)."""
    n, width = step.shape
    best, origin = np.full(width + n, -np.inf), np.full(n, -1, np.int64)
    ways = step[:, ::-1]
    for i in range(n):
        reached = best[i : i + width] + ways[i]
        k = int(reached.argmax())
        if reached[k] > first[i]:
            best[width + i], origin[i] = reached[k] + score[i], i - width + k
        else:
            best[width + i] = first[i] + score[i]
    return best[width:], origin


def _backward(score: FloatArray, last: FloatArray, step: FloatArray) -> FloatArray:
    """The best score of a series that begins at each candidate."""
    n, width = step.shape
    back = np.arange(width)
    after = np.arange(n)[:, None] + 1 + back
    ways = np.where(after < n, step[after.clip(0, n - 1), back], -np.inf)
    best = np.full(n + width, -np.inf)
    for i in range(n - 1, -1, -1):
        best[i] = score[i] + max(last[i], (best[i + 1 : i + 1 + width] + ways[i]).max())
    return best[:n]


def _follow_cost(
    heights: FloatArray, place: IntArray, before: IntArray, apart: FloatArray
) -> FloatArray:
    """Cost of pairs that look like a QRS complex and its T wave, or a spike and its QRS complex."""
    low, steep = np.median(heights[:, :, place] / heights[:, :, before], axis=1)
    latest = _T_SEC + _T_LATER_SEC * ((0.6 - low) / 0.3).clip(0, 1)
    wave = ((0.75 - low) / 0.2).clip(0, 1) * ((0.5 - steep) / 0.15).clip(0, 1)
    wave *= ((latest - apart) / 0.03).clip(0, 1)
    steepness = np.median(heights[1] / heights[0], axis=0)
    spike = (apart < _SPIKE_SEC) & (steepness[before] > _SPIKE_STEEP)
    spike &= steepness[before] > _SPIKE_STEEPER * steepness[place]
    return np.asarray(_T_COST * wave + _SPIKE_COST * spike)


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
    return np.asarray(moved, np.int64)
