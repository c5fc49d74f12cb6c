"""Named warnings where the scale, the sampling rate, the leads or single samples look wrong.

Such faults leave a signal that reads well and means something else. Each check compares the record
with what is usual in people, and its limit was chosen on one half of the sound records of PTB-XL,
the CinC 2020 sample and LUDB so that at most 2 % of them have the warning.
``tests/benchmarks/bench_quality.py`` measures that share and how many made faults are noticed.

Codes: ``implausible_amplitude``, ``implausible_rate``, ``leads_exchanged``, ``isolated_spike`` and
``doubtful_beats``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from ecgxai_core.signal.beats import Beats, find_beats, heart_rate, median_of_five
from ecgxai_core.types import (
    INDEPENDENT_LEADS,
    BoolArray,
    Float32Array,
    FloatArray,
    QualityWarning,
)

__all__ = ["signal_warnings"]

MOST_SEC, MOST_SAMPLES = 30.0, 60_000
"""Beats are looked for in this first part of the record; it bounds the cost of reading."""

FLAT_MV = 0.005
AMPLITUDE_LEADS = 6
"""Fewer leads say little: one chest lead of a large heart swings by more than 5 mV."""
LOW_MV, HIGH_MV, IMPOSSIBLE_MV = 0.43, 1.9, 3.0
"""Typical swing of a lead (geometric mean over the leads of the median over seconds). Of the
records of PTB-XL 0.1 % are below the first, most of them with low voltages as a diagnosis, 1.4 %
above the second and 0.03 % above the third."""

LEAST_BEATS, MOST_BEATS = 3, 16
DOUBT_SEC = 3.0
"""A shorter record holds too few beats to call their list doubtful."""
LATE_T_SEC = 0.37
"""T waves that peak later after the R peak; of sound records 0.8 %."""
SHORT_BEAT_SEC2 = 0.0016
"""Least product of the time from R to the peak of T and of the spread of the QRS complex's slope.
Fast hearts have early T waves, but no narrower QRS complexes; of sound records 0.1 % are below."""
RATE_LEADS = 6

EXCHANGE_GAIN = 6.0
"""Log likelihood that an exchange of leads must gain; 1.1 % of sound records reach it."""
MOST_CORRELATION = 0.98

SPIKE_MV = 1.0
SPIKE_RATIO = 4.0
SPIKE_ELSEWHERE = 0.2
SPIKE_SEC, SPIKE_RANK, SPIKE_LEAST_SEC = 0.1, 4, 2.0
"""A spike is compared with the fourth largest of its lead (one for each 0.1 s), so that steep QRS
complexes and pacing spikes, which come with every beat, are none."""

# Upper triangle, leads in the order of INDEPENDENT_LEADS: Fisher's z of the correlation of two
# leads' median beats, mean and standard deviation over 1,302 records, most of them of PTB-XL.
_Z_MEAN = np.array([
    1.26, -0.97, -0.05, 0.52, 1.22, 1.63, 1.74,
    -0.73, -0.04, 0.58, 1.21, 1.52, 1.66,
    1.03, 0.34, -0.32, -0.71, -0.99,
    1.38, 0.50, 0.05, -0.17,
    1.30, 0.75, 0.48,
    1.83, 1.32,
    2.16,
])  # fmt: skip
_Z_SD = np.array([
    0.74, 0.59, 0.68, 0.83, 0.83, 0.67, 0.61,
    0.65, 0.67, 0.70, 0.69, 0.61, 0.63,
    0.68, 0.73, 0.71, 0.60, 0.60,
    0.65, 0.72, 0.69, 0.71,
    0.66, 0.76, 0.79,
    0.68, 0.79,
    0.46,
])  # fmt: skip


def signal_warnings(
    signal: Float32Array | FloatArray, fs: float, leads: Sequence[str]
) -> tuple[QualityWarning, ...]:
    """Look for faults of scale, sampling rate and lead order; nothing is changed.

    Parameters
    ----------
    signal
        ``float[lead, sample]``, mV, NaN where nothing was recorded.
    fs
        Sampling rate, Hz.
    leads
        Names of the rows.

    Returns
    -------
    At most one warning per code. Rate and exchanged leads are looked for only where the beats are
    sure. Never raises for what a signal holds.
    """
    typical = _typical_swing(signal, fs)
    part = np.asarray(signal[:, : min(round(MOST_SEC * fs), MOST_SAMPLES)], np.float64)
    # beats are found by mV; another scale must not hide what else is wrong
    plausible = not np.isfinite(typical) or LOW_MV <= typical <= IMPOSSIBLE_MV
    beats = find_beats(part if plausible else part / typical, fs, leads)
    found = [_amplitude(typical), *_spikes(signal, fs, leads)]
    if beats.doubtful:
        found.append(_doubt(beats, part, fs))
    elif len(beats) >= LEAST_BEATS:
        rows = [row for row, lead in enumerate(leads) if lead in INDEPENDENT_LEADS]
        median = _MedianBeat(part[rows], beats, fs)
        found += [median.rate_warning(heart_rate(beats.peaks, fs), fs)]
        found += [median.exchange_warning([leads[row] for row in rows])]
    return tuple(warning for warning in found if warning is not None)


def _typical_swing(values: Float32Array | FloatArray, fs: float) -> float:
    """Geometric mean over the leads of their usual peak-to-peak value, mV; NaN with few leads.

    Every lead counts by a ratio, so neither a large heart in the chest leads nor a spike in one
    lead is taken for a wrong gain; a wrong gain moves them all.
    """
    width = max(1, round(fs))
    n = values.shape[1] // width
    swings = np.full(len(values), np.nan)
    for lead in range(len(values)):
        seconds = np.asarray(values[lead, : n * width], np.float64).reshape(n, width)
        seconds = seconds[~np.isnan(seconds).any(axis=1)]
        if len(seconds):
            swings[lead] = np.median(seconds.max(axis=1) - seconds.min(axis=1))
    swings = swings[swings >= FLAT_MV]
    return float(np.exp(np.log(swings).mean())) if len(swings) >= AMPLITUDE_LEADS else float("nan")


def _amplitude(typical: float) -> QualityWarning | None:
    """Whether all leads together are too small or too large (``typical``: mV in a lead)."""
    if not (typical < LOW_MV or typical > HIGH_MV):
        return None
    if typical > IMPOSSIBLE_MV:
        judgement = f"hearts stay below {IMPOSSIBLE_MV:g} mV: the gain is probably wrong"
    elif typical > HIGH_MV:
        judgement = (
            f"few hearts exceed {HIGH_MV:g} mV: a very large heart, or a wrong gain; compare the "
            "counts per mV with the source of the record"
        )
    else:
        judgement = (
            f"few hearts stay below {LOW_MV:g} mV: very low voltages, or a wrong gain; compare the "
            "counts per mV with the source of the record"
        )
    text = f"swings by {typical:.2g} mV in a typical lead; {judgement}"
    return QualityWarning("implausible_amplitude", text)


def _doubt(beats: Beats, values: FloatArray, fs: float) -> QualityWarning | None:
    """Why the list of beats cannot be trusted; nothing to say of a short or flat record."""
    if values.shape[1] < DOUBT_SEC * fs or not _carrying(values).any():
        return None
    text = "no heartbeat was found" if len(beats) == 0 else (
        f"heartbeats are hard to tell from noise: about {100 * (1 - beats.confidence):.0f} % of "
        f"the {len(beats)} found may be wrong or missed"
    )  # fmt: skip
    text += "; do not rely on rate, intervals and waves"
    return QualityWarning("doubtful_beats", text)


def _carrying(values: FloatArray) -> BoolArray:
    """``bool[lead]``: recorded without gaps and not flat."""
    return np.asarray(np.ptp(values, axis=1) >= FLAT_MV)  # NaN is not


class _MedianBeat:
    """The median beat: from a quarter of an RR interval before R to 0.6 after it.

    ``beat`` is ``float64[lead, sample]`` with ``r`` the sample of R, ``rr`` the usual RR interval
    in samples; ``usable`` tells the leads without gaps that are not flat.
    """

    def __init__(self, values: FloatArray, beats: Beats, fs: float) -> None:
        peaks = beats.peaks
        self.rr = float(np.median(np.diff(peaks)))
        self.r, after = round(0.25 * self.rr), round(0.6 * self.rr)
        whole = peaks[(peaks >= self.r) & (peaks + after < values.shape[1])]
        chosen = whole[np.linspace(0, len(whole) - 1, min(len(whole), MOST_BEATS)).astype(int)]
        self.usable = _carrying(values)
        places = chosen[:, None] + np.arange(-self.r, after + 1)
        self.beat = np.zeros((len(values), places.shape[1]))
        if len(chosen):
            self.beat = np.median(values[:, places], axis=1)
            self.beat -= np.median(self.beat, axis=1, keepdims=True)
        self.usable &= _carrying(self.beat)

    def rate_warning(self, rate: float, fs: float) -> QualityWarning | None:
        """Whether the waves take longer, or less time, than at any heart rate."""
        if np.count_nonzero(self.usable) < RATE_LEADS:
            return None
        delay, spread = self._times(fs)
        if delay > LATE_T_SEC:
            wrong = (
                f"T waves peak {1000 * delay:.0f} ms after R at {rate:.0f} beats/min, later than "
                f"in 99 of 100 people: a long QT, or the sampling rate is stated too low ({fs:g} "
                f"Hz; {2 * fs:g} Hz would fit)"
            )
        elif delay * spread < SHORT_BEAT_SEC2:
            wrong = (
                f"T waves peak {1000 * delay:.0f} ms after R and QRS complexes are narrow at "
                f"{rate:.0f} beats/min, as in hardly anybody: the sampling rate may be stated too "
                f"high ({fs:g} Hz; {fs / 2:g} Hz would fit)"
            )
        else:
            return None
        return QualityWarning("implausible_rate", wrong + "; compare it with the source")

    def _times(self, fs: float) -> tuple[float, float]:
        """Seconds from R to the peak of T, and the spread of the QRS complex's slope, seconds.

        Windows are shares of the RR interval, so that a wrong sampling rate moves nothing else.
        """
        from scipy import ndimage

        beat = self.beat[self.usable]
        beat = beat / np.ptp(beat, axis=1, keepdims=True)
        width = max(2, round(0.12 * self.rr))
        qrs = slice(max(0, self.r - width), self.r + width + 1)
        steep = (np.gradient(beat, axis=1)[:, qrs] ** 2).sum(axis=0)
        time = np.arange(len(steep))
        centre = (steep * time).sum() / steep.sum()
        spread = float(np.sqrt((steep * (time - centre) ** 2).sum() / steep.sum()))
        size = np.sqrt((beat**2).mean(axis=0))
        size = ndimage.uniform_filter1d(size, max(1, round(0.04 * self.rr)))
        early = max(1, round(0.14 * self.rr))
        late = size[self.r + early : self.r + int(0.58 * self.rr) + 1]
        hump = late - np.linspace(late[0], late[-1], len(late))
        return (early + int(np.argmax(hump))) / fs, spread / fs

    def exchange_warning(self, leads: Sequence[str]) -> QualityWarning | None:
        """Whether the leads' beats are more alike, in the way of hearts, after an exchange."""
        if tuple(leads) != INDEPENDENT_LEADS or not self.usable.all():
            return None
        products = self.beat @ self.beat.T
        likelihood = {
            name: _likelihood(turn @ products @ turn.T) for name, turn in _EXCHANGES.items()
        }
        best = max(likelihood, key=lambda name: likelihood[name])
        if likelihood[best] - _likelihood(products) <= EXCHANGE_GAIN:
            return None
        text = (
            f"the beats of the leads fit together as if {' and '.join(best)} were exchanged: "
            "check the electrodes and the names of the leads"
        )
        if best == _ARMS:
            text += " (a heart on the right side looks alike)"
        named = best if best != _ARMS else ("I", "II", "III", "aVR", "aVL")
        return QualityWarning("leads_exchanged", text, named)


_ARMS = ("the right", "the left arm")


def _exchanges() -> Mapping[tuple[str, ...], FloatArray]:
    """By what was exchanged: ``float64[8, 8]``, which puts the independent leads right again."""
    turns: dict[tuple[str, ...], FloatArray] = {}
    for one, other in combinations(range(2, len(INDEPENDENT_LEADS)), 2):
        turn = np.eye(len(INDEPENDENT_LEADS))
        turn[[one, other]] = turn[[other, one]]
        turns[INDEPENDENT_LEADS[one], INDEPENDENT_LEADS[other]] = turn
    arms = np.eye(len(INDEPENDENT_LEADS))
    arms[0, 0], arms[1, 0] = -1.0, -1.0  # lead I is reversed, II becomes III = II - I
    turns[_ARMS] = arms
    return turns


_EXCHANGES = _exchanges()


def _likelihood(products: FloatArray) -> float:
    """Log likelihood, but for a constant, of leads with these products (``float64[8, 8]``)."""
    size = np.sqrt(np.maximum(np.diag(products), 1e-12))
    correlation = (products / np.outer(size, size))[np.triu_indices(len(size), 1)]
    z = np.arctanh(np.clip(correlation, -MOST_CORRELATION, MOST_CORRELATION))
    return float(-0.5 * (((z - _Z_MEAN) / _Z_SD) ** 2).sum())


def _spikes(
    values: Float32Array | FloatArray, fs: float, leads: Sequence[str]
) -> list[QualityWarning]:
    """Deflections of a few samples that stand in one lead alone and come once."""
    n, width = values.shape[1], max(1, round(SPIKE_SEC * fs))
    if n < SPIKE_LEAST_SEC * fs:
        return []
    found: dict[str, tuple[float, float]] = {}
    for row, lead in enumerate(leads):
        sharp = _sharp(values[row : row + 1], fs)[0]
        largest = sharp[: n // width * width].reshape(-1, width).max(axis=1)
        usual = float(np.partition(largest, -SPIKE_RANK)[-SPIKE_RANK])
        place = int(np.argmax(sharp))
        height = float(sharp[place])
        if height < max(SPIKE_MV, SPIKE_RATIO * usual):
            continue
        first = max(0, place - width)
        around = _sharp(values[:, first : place + width + 1], fs)
        near = around[:, max(0, place - first - width // 5) : place - first + width // 5 + 1]
        if float(np.delete(near.max(axis=1), row).max(initial=0.0)) <= SPIKE_ELSEWHERE * height:
            found[lead] = (height, place / fs)
    if not found:
        return []
    highest = max(found, key=lambda lead: found[lead])
    text = (
        f"has a spike of a few samples that no other lead shows: {found[highest][0]:.1f} mV at "
        f"{found[highest][1]:.2f} s in {highest}; it is no heartbeat, leave that part out"
    )
    return [QualityWarning("isolated_spike", text, tuple(found))]


def _sharp(values: Float32Array | FloatArray, fs: float) -> FloatArray:
    """``float64[lead, sample]``: distance from the running median of about 10 ms; 0 in gaps."""
    known = np.nan_to_num(np.asarray(values, np.float64))
    sharp = np.abs(known - median_of_five(known, max(1, round(fs / 500.0))))
    sharp[np.isnan(values)] = 0.0
    return sharp
