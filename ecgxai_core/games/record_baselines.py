"""Baselines that are made from the whole record: isoelectric line, noise, median healthy beat.

None of them knows the segmentation, so one signal serves every game on a model input.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ecgxai_core.beats import r_peaks
from ecgxai_core.types import (
    STANDARD_LEADS,
    Float32Array,
    FloatArray,
    IntArray,
    ModelInput,
    array_digest,
    content_seed,
)

__all__ = ["healthy_beat", "isoelectric", "median_beat", "noise", "peaks_of"]

_REST_SEC = 0.06
"""Length of the rest that is looked for: shorter than a PR segment with the end of P before it."""
_REST_FROM, _REST_BEFORE_R_SEC = 0.5, 0.06
"""The rest lies in the second half of an RR interval and ends before the QRS: never on ST, whose
level is what an infarction moves, and not on the T wave of a heart that leaves room behind it."""
_HEALTHY_FS = 500.0
_HEALTHY_BEFORE_SEC, _HEALTHY_AFTER_SEC = 0.28, 0.56
_HEALTHY_RECORDS = 15
_HEALTHY_RR_SEC = (0.9, 1.1)
_TAPER_SEC = 0.04


def peaks_of(model_input: ModelInput) -> IntArray:
    """R peaks in samples of the model input (padding holds none), whatever its units are."""
    first, stop = model_input.valid
    values = model_input.values[first:stop].T.astype(np.float64)
    swing = float(np.median(np.ptp(values, axis=1))) if values.size else 0.0
    if swing <= 0:
        return np.zeros(0, np.int64)
    return r_peaks(values / swing, model_input.fs, model_input.leads) + first


def isoelectric(model_input: ModelInput) -> Float32Array:
    """The isoelectric line: where the heart rests between T and QRS, joined from beat to beat.

    In the second half of every RR interval, up to 60 ms before the R peak, the 60 ms in which all
    leads together change least are the rest (a TP or PR segment, whichever is longer); its mean is
    the level of each lead there. Straight lines join the rests, as in the removal of baseline
    wander through isoelectric knots (Meyer and Keiser, Comput Biomed Res 1977;10:459-470); before
    the first and behind the last rest the level stays. With fewer than two R peaks each lead has
    the median of its samples.

    Returns
    -------
    ``float32[sample, lead]``.
    """
    first, stop = model_input.valid
    values = model_input.values.astype(np.float64)
    knots = _rests(values, peaks_of(model_input), model_input.fs)
    if not knots:
        level = np.median(values[first:stop], axis=0)
        return np.broadcast_to(level, values.shape).astype(np.float32)
    width = max(2, round(_REST_SEC * model_input.fs))
    places = np.array(knots) + (width - 1) / 2
    levels = np.stack([values[knot : knot + width].mean(axis=0) for knot in knots])
    time = np.arange(len(values))
    lines = [np.interp(time, places, levels[:, lead]) for lead in range(values.shape[1])]
    return np.stack(lines, axis=1).astype(np.float32)


def _rests(values: FloatArray, peaks: IntArray, fs: float) -> list[int]:
    """First samples of the quietest stretch before each R peak but the first."""
    width = max(2, round(_REST_SEC * fs))
    swing = np.ptp(values, axis=0)
    steps = np.abs(np.diff(values, axis=0)) / np.where(swing > 0, swing, 1.0)
    change = np.concatenate(([0.0], np.cumsum(steps.sum(axis=1))))
    knots = []
    for before, peak in itertools.pairwise(peaks):
        low = int(before + _REST_FROM * (peak - before))
        high = int(peak) - round(_REST_BEFORE_R_SEC * fs)
        starts = np.arange(low, high - width + 1)
        if starts.size:
            knots.append(int(starts[np.argmin(change[starts + width - 1] - change[starts])]))
    return knots


def noise(model_input: ModelInput) -> Float32Array:
    """Noise with the record's own spectrum: its Fourier phases drawn anew, the same in all leads.

    Prichard and Theiler, Phys Rev Lett 1994;73:951-954: adding one random phase a frequency to
    every lead keeps all auto- and cross-spectra, so means, variances and, because it is linear,
    Einthoven's law hold as in the record; what is gone is that waves happen at a time. The seed is
    the content of the model input.

    Returns
    -------
    ``float32[sample, lead]``; padding keeps its values.
    """
    first, stop = model_input.valid
    signal = np.array(model_input.values, dtype=np.float32)
    seen = model_input.values[first:stop].astype(np.float64)
    if len(seen) < 4:
        return signal
    spectrum = np.fft.rfft(seen, axis=0)
    rng = np.random.default_rng(content_seed("noise baseline", array_digest(model_input.values)))
    turn = np.exp(2j * np.pi * rng.random(len(spectrum)))
    turn[0] = 1.0  # the mean stays
    if len(seen) % 2 == 0:
        turn[-1] = 1.0  # the highest frequency of an even length has no phase
    signal[first:stop] = np.fft.irfft(spectrum * turn[:, None], len(seen), axis=0)
    return signal


def median_beat(model_input: ModelInput) -> Float32Array:
    """A healthy heart that beats when the patient's does.

    The median beat of healthy simulated hearts (:func:`healthy_beat`) is added to the isoelectric
    line at every R peak; what follows the QRS is compressed with the square root of the RR
    interval (Bazett), and beats that come so early that they overlap add up. It is scaled, all
    leads alike, so that its root mean square over the seen part is the record's: the model input
    does not say how large a millivolt is. So the rhythm, the time of the beats and the overall
    voltage stay; the shape of every wave is a healthy one, P waves included.

    Not the record's own median beat: it has what is wrong with every beat, a bundle branch block
    say, and masking with it would hide nothing of it.

    Returns
    -------
    ``float32[sample, lead]``; the isoelectric line where no R peak is found.
    """
    line = isoelectric(model_input)
    peaks = peaks_of(model_input)
    first, stop = model_input.valid
    if peaks.size == 0:
        return line
    beats = np.zeros(line.shape)
    for peak, rr in zip(peaks, _rr_seconds(peaks, model_input.fs), strict=True):
        _paste(beats, int(peak), float(rr), model_input)
    seen = slice(first, stop)
    own = float(np.square(model_input.values[seen].astype(np.float64) - line[seen]).mean())
    healthy = float(np.square(beats[seen]).mean())
    scale = np.sqrt(own / healthy) if healthy > 0 else 0.0
    return (line + scale * beats).astype(np.float32)


def _rr_seconds(peaks: IntArray, fs: float) -> FloatArray:
    """``float64[peak]``: RR interval that follows each peak, s; the last has that before it."""
    if peaks.size < 2:
        return np.ones(peaks.size)
    rr = np.diff(peaks) / fs
    return np.append(rr, rr[-1])


def _paste(beats: FloatArray, peak: int, rr: float, model_input: ModelInput) -> None:
    """Add the healthy beat at one R peak."""
    template, squeeze = healthy_beat(), min(1.0, float(np.sqrt(rr)))
    fs = model_input.fs
    low = max(0, int(np.ceil(peak - _HEALTHY_BEFORE_SEC * fs)))
    high = min(len(beats), int(np.floor(peak + _HEALTHY_AFTER_SEC * squeeze * fs)) + 1)
    time = (np.arange(low, high) - peak) / fs
    time = np.where(time > 0, time / squeeze, time)
    grid = np.arange(len(template)) / _HEALTHY_FS - _HEALTHY_BEFORE_SEC
    for column, lead in enumerate(model_input.leads):
        row = template[:, STANDARD_LEADS.index(lead)]
        beats[low:high, column] += np.interp(time, grid, row)


@lru_cache(maxsize=1)
def healthy_beat() -> FloatArray:
    """Median beat of 15 simulated healthy hearts at rest, ``float64[sample, lead]``, mV at 500 Hz.

    Sinus rhythm without noise at about 60 beats per minute, so that no next P wave lies within the
    window; the R peak is 0.28 s after the first sample. Leads in standard order. The median is
    taken of the eight independent leads and the other four follow, so the beat obeys Einthoven's
    law; both ends fade to 0 within 40 ms.
    """
    from ecgxai_core.simulate.projection import INDEPENDENT_LEADS, twelve_leads

    rows = [STANDARD_LEADS.index(lead) for lead in INDEPENDENT_LEADS]
    cuts = list(itertools.islice(_healthy_cuts(), _HEALTHY_RECORDS))
    middle = np.median(np.stack(cuts), axis=0)[rows]
    n = round(_TAPER_SEC * _HEALTHY_FS)
    fade = np.ones(middle.shape[1])
    fade[:n] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    fade[-n:] = fade[:n][::-1]
    beat = np.ascontiguousarray(twelve_leads(middle * fade).T)
    beat.flags.writeable = False
    return beat


def _healthy_cuts() -> Iterator[FloatArray]:
    """Beats ``float64[lead, sample]`` around R of healthy hearts, 0 mV where they begin."""
    from ecgxai_core.simulate import Noise, simulate

    before = round(_HEALTHY_BEFORE_SEC * _HEALTHY_FS)
    after = round(_HEALTHY_AFTER_SEC * _HEALTHY_FS)
    for seed in itertools.count():
        made = simulate(seed=seed, fs=_HEALTHY_FS, duration=4, noise=Noise.none())
        low, high = _HEALTHY_RR_SEC
        if not low <= float(np.median(np.diff(made.r_peaks_sec))) <= high:
            continue
        places = np.round(made.r_peaks_sec * _HEALTHY_FS).astype(np.int64)
        peak = int(places[places >= before][0])
        cut = made.record.signal[:, peak - before : peak + after + 1].astype(np.float64)
        yield cut - cut[:, :1]
