"""Baselines: what replaces a masked cell.

A baseline is one fixed signal, the same in every coalition; a cell is masked by copying its samples
from there.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from threading import Lock

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.types import (
    STANDARD_LEADS,
    Float32Array,
    FloatArray,
    IntArray,
    ModelInput,
    Segmentation,
    array_digest,
    content_seed,
)

__all__ = [
    "BASELINES",
    "BY_SEGMENT",
    "baseline_signal",
    "healthy_beat",
    "isoelectric",
    "masked_input",
    "median_beat",
    "noise",
    "peaks_of",
]

BY_SEGMENT = frozenset({"linear"})
"""Baselines that depend on how time is cut: a finer cut fills cells with another signal."""

_REMEMBERED = 8

Baseline = Callable[[ModelInput, Segmentation], Float32Array]


def _zero(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """0 mV in every lead, as the model sees 0 mV."""
    del segmentation
    return np.broadcast_to(model_input.zero, model_input.values.shape).astype(np.float32)


def _mean(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """Each lead's mean over its valid samples (padding does not count)."""
    del segmentation
    first, stop = model_input.valid
    mean = model_input.values[first:stop].mean(axis=0, dtype=np.float64)
    return np.broadcast_to(mean, model_input.values.shape).astype(np.float32)


def _linear(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """In each cell the straight line from its first to its last sample.

    It leaves no step at the borders of a masked cell, but it keeps the cell's drift: what happens
    inside is removed, the level is not.
    """
    signal = np.array(model_input.values, dtype=np.float32)
    for start, stop in zip(segmentation.edges[:-1], segmentation.edges[1:], strict=True):
        position = np.linspace(0.0, 1.0, int(stop - start))[:, None]
        ends = model_input.values[[start, stop - 1]].astype(np.float64)
        signal[start:stop] = ends[0] + position * (ends[1] - ends[0])
    return signal


def _whole(make: Callable[[ModelInput], Float32Array]) -> Baseline:
    """A baseline that does not depend on the segmentation, kept for a few model inputs.

    A game needs its baseline in every batch of coalitions, and finding beats takes longer than
    masking.
    """
    known: OrderedDict[str, Float32Array] = OrderedDict()
    lock = Lock()

    def baseline(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
        del segmentation
        about = [model_input.fs, list(model_input.leads), list(model_input.valid)]
        key = array_digest(model_input.values, extra=about)
        with lock:
            if key in known:
                return known[key]
        signal = make(model_input)
        signal.flags.writeable = False
        with lock:
            known[key] = signal
            while len(known) > _REMEMBERED:
                known.popitem(last=False)
        return signal

    return baseline


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
    """The isoelectric line, interpolated between TP or PR segments.

    In the second half of every RR interval, up to 60 ms before the R peak, the 60 ms in which all
    leads together change least are taken as isoelectric; their mean is the level of each lead
    there. Straight lines join these levels, as in the removal of baseline wander (Meyer and Keiser,
    Comput Biomed Res 1977;10:459-470); before the first and after the last the level is constant.
    With fewer than two R peaks each lead has the median of its samples.

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
    """A healthy beat at every R peak of the record.

    The median beat of healthy simulated hearts (:func:`healthy_beat`) is added to the isoelectric
    line at every R peak; what follows the QRS is compressed with the square root of the RR interval
    (Bazett), and premature beats that overlap add up. All leads are scaled by one factor, so that
    the root mean square is the record's: the model input may not be in mV. Rhythm, timing and
    overall voltage are the record's; every wave has a normal shape, P waves included.

    The record's own median beat would keep abnormalities of every beat, such as a bundle branch
    block, and so would not mask them.

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
    intervals = np.diff(peaks) / model_input.fs  # the last beat has the interval before it
    following = [*intervals, intervals[-1] if len(intervals) else 1.0]
    for peak, rr in zip(peaks, following, strict=True):
        _paste(beats, int(peak), float(rr), model_input)
    seen = slice(first, stop)
    own = float(np.square(model_input.values[seen].astype(np.float64) - line[seen]).mean())
    healthy = float(np.square(beats[seen]).mean())
    scale = np.sqrt(own / healthy) if healthy > 0 else 0.0
    return (line + scale * beats).astype(np.float32)


def _paste(beats: FloatArray, peak: int, rr: float, model_input: ModelInput) -> None:
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
    from ecgxai_core.simulation.dipole import INDEPENDENT_LEADS, twelve_leads

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
    from ecgxai_core.simulation import Noise, simulate

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


BASELINES: Mapping[str, Baseline] = {
    "zero": _zero,
    "mean": _mean,
    "linear": _linear,
    "isoelectric": _whole(isoelectric),
    "noise": _whole(noise),
    "median_beat": _whole(median_beat),
}


def baseline_signal(kind: str, model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """The signal that masked cells are copied from.

    Parameters
    ----------
    kind
        ``"zero"``: 0 mV. ``"mean"``: each lead's mean over the samples that come from the record.
        ``"linear"``: in each cell the line between its first and last sample. ``"isoelectric"``:
        the line through the rests between T and QRS. ``"noise"``: noise with the record's own
        spectrum. ``"median_beat"``: a healthy beat at every R peak.
    model_input, segmentation
        What the model sees, and how its time is cut.

    Returns
    -------
    ``float32[sample, lead]`` in the model's units and lead order. It is independent of the
    coalition; samples outside every segment are never masked, so their values do not matter.

    Raises
    ------
    ParameterError
        There is no such baseline.
    """
    if kind not in BASELINES:
        raise ParameterError("baseline", kind, "no such baseline", f"use {', '.join(BASELINES)}")
    signal = BASELINES[kind](model_input, segmentation)
    signal.flags.writeable = False
    return signal


def masked_input(kind: str, model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """``float32[sample, lead]``: the model input with every cell from a baseline.

    Samples outside every segment (padding) stay, so this is the empty coalition of the games.
    """
    inside = slice(int(segmentation.edges[0]), int(segmentation.edges[-1]))
    signal = np.array(model_input.values, dtype=np.float32)
    signal[inside] = baseline_signal(kind, model_input, segmentation)[inside]
    return signal
