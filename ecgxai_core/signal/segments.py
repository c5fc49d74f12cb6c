"""Cutting the part of a record that the model sees into time windows.

Padding lies in no segment: it is never masked and never gets a weight.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.params import ExplainParams
from ecgxai_core.signal.beats import DOUBTFUL_BELOW
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.types import FloatArray, IntArray, Map, ModelInput, Segmentation

__all__ = [
    "SEGMENT_SEC",
    "WAVE_LABELS",
    "Moved",
    "beat_edges",
    "carried",
    "segment",
    "uniform_edges",
    "wave_edges",
    "waves_of_map",
    "waves_of_segments",
]

SEGMENT_SEC = 0.5
"""Length of uniform segments where no diagnosis has its own, seconds."""

WAVE_LABELS: tuple[str, ...] = ("P", "PR", "QRS", "ST", "T", "TP")
"""Labels of wave segments. ``ST`` and ``TP`` reach to the next wave there is: in a beat without
P the TP segment ends at the QRS complex, and what precedes the first wave is TP too."""

WAVES_FROM = 0.8
"""Median confidence of the QRS complexes from which waves are clear enough to be cut by: white
noise as strong as the record itself lowers it to about this."""

_LEAST_WAVE_SEC = 0.02  # a shorter PR or ST segment is part of the wave before it


class Moved(Protocol):
    """Where the moments of a record lie in a changed copy of it."""

    def images(self, times: FloatArray) -> tuple[FloatArray, IntArray]:
        """All places of moments of the original, seconds of the changed record: ``float64[n]``,
        rising and perhaps outside the record; and ``int64[n]``, the moment that each comes from.
        """


def segment(
    model_input: ModelInput,
    params: ExplainParams,
    segment_sec: float,
    r_peaks_sec: FloatArray | None = None,
    confidence: float = 1.0,
    *,
    local: bool = True,
) -> Segmentation:
    """Segment the valid part of a model input.

    Parameters
    ----------
    model_input
        What the model sees of a record.
    params
        ``segments`` names the kind; ``window_sec``, where given, replaces ``segment_sec``.
    segment_sec
        Length of uniform segments in seconds (the diagnosis's own); kind ``"auto"`` does not depend
        on the diagnosis and takes :data:`SEGMENT_SEC`.
    r_peaks_sec
        ``float64[n]``, R peaks in seconds of the record; needed by kinds ``"beat"`` and ``"auto"``,
        and used by kind ``"wave"`` where they are given.
    confidence
        How far the R peaks can be trusted, in [0, 1]; kind ``"auto"`` uses beats and waves only
        where they are not doubtful (:data:`~ecgxai_core.signal.beats.DOUBTFUL_BELOW`).
    local
        Whether the exact local engine plays; kind ``"auto"`` cuts into waves only then, as whole
        passes would leave most of so many cells unexplored.

    Raises
    ------
    ExplanationError
        Nothing of the record is seen, or beats or waves were asked for and no R peak is in it.
    """
    first, stop = model_input.valid
    if stop <= first:
        raise ExplanationError(
            "segments",
            "valid part",
            "the model sees no sample of the record",
            "choose another part",
        )
    fs = model_input.fs
    origin_sec = model_input.start_sec - first / fs
    if params.segments == "auto":
        return _clearest(model_input, params.window_sec, r_peaks_sec, confidence, local)
    if params.segments == "wave":
        waves = _seen_waves(model_input, r_peaks_sec, origin_sec)
        edges, labels = wave_edges(first, stop, waves, fs)
        return Segmentation("wave", edges, fs, origin_sec, labels)
    if params.segments == "beat":
        peaks = _seen_peaks(r_peaks_sec, origin_sec, fs, first, stop)
        edges = beat_edges(first, stop, peaks)
    else:
        window = (params.window_sec or segment_sec) * fs
        edges = uniform_edges(first, stop, window)
    return Segmentation(kind=params.segments, edges=edges, fs=fs, origin_sec=origin_sec)


def _clearest(
    model_input: ModelInput,
    window_sec: float | None,
    r_peaks_sec: FloatArray | None,
    confidence: float,
    local: bool,
) -> Segmentation:
    """Waves where delineation is sure enough, else beats, else windows; with the reason."""
    (first, stop), fs = model_input.valid, model_input.fs
    origin_sec = model_input.start_sec - first / fs
    peaks = _inside(r_peaks_sec, origin_sec, fs, first, stop)
    if peaks.size < 2 or confidence < DOUBTFUL_BELOW:
        window = window_sec or SEGMENT_SEC
        why = f"R peaks are doubtful (confidence {confidence:.2f}, under {DOUBTFUL_BELOW:g})"
        if peaks.size < 2:
            why = "fewer than two R peaks are seen"
        edges = uniform_edges(first, stop, window * fs)
        return Segmentation("uniform", edges, fs, origin_sec, (), f"windows of {window:g} s: {why}")
    if not local:
        why = "beats: each masked record goes through the model as a whole, too slow for waves"
        return Segmentation("beat", beat_edges(first, stop, peaks), fs, origin_sec, (), why)
    waves = _delineated(model_input, peaks)
    sure = float(np.median(waves.qrs_confidence)) if len(waves) else 0.0
    if sure >= WAVES_FROM:
        edges, labels = wave_edges(first, stop, waves, fs)
        why = f"waves: they stand out clearly (confidence {sure:.2f}, at least {WAVES_FROM:g})"
        return Segmentation("wave", edges, fs, origin_sec, labels, why)
    why = f"beats: the waves are not clear (confidence {sure:.2f}, under {WAVES_FROM:g})"
    return Segmentation("beat", beat_edges(first, stop, peaks), fs, origin_sec, (), why)


def carried(cut: Segmentation, moved: Moved, model_input: ModelInput) -> Segmentation:
    """The same segments in a changed copy of the record, which is not cut anew.

    Parameters
    ----------
    cut
        Segments of the original.
    moved
        Where its moments lie in the changed record.
    model_input
        What the model sees of the changed record.

    Returns
    -------
    Segments of all that is seen. Parts of less than 20 ms that the change leaves at either end
    belong to their neighbour.
    """
    (first, stop), fs = model_input.valid, model_input.fs
    origin_sec = model_input.start_sec - first / fs
    times, sources = moved.images(cut.edges_sec[:-1])
    starts = np.clip(np.floor((times - origin_sec) * fs + 0.5).astype(np.int64), first, stop)
    least = max(1, round(_LEAST_WAVE_SEC * fs))
    # of the segments that would begin together, or too close to an end, the last is kept
    ends = np.append(starts[1:], stop)
    kept = np.flatnonzero(ends - starts >= np.where((starts > first) & (ends < stop), 1, least))
    if kept.size == 0:
        kept = np.array([len(starts) - 1])
    edges = np.concatenate([[first], starts[kept[1:]], [stop]])
    labels = tuple(cut.labels[sources[i]] for i in kept) if cut.labels else ()
    return Segmentation(cut.kind, edges, fs, origin_sec, labels, cut.reason)


def uniform_edges(first: int, stop: int, window: float) -> IntArray:
    """Edges of equal windows over samples ``[first, stop)``.

    A last remainder shorter than half a window joins its neighbour, a longer one stands alone. A
    window that is no whole number of samples does not drift: edge ``k`` is the sample nearest to
    ``first + k * window``.

    Returns
    -------
    ``int64[n + 1]``, from ``first`` to ``stop``.
    """
    window = max(window, 1.0)
    # the small term keeps 0.3 s * 100 Hz = 30.000000000000004 from counting one window fewer
    whole = int((stop - first) / window + 1e-9)
    inner = first + np.floor(np.arange(1, whole + 1) * window + 0.5).astype(np.int64)
    if inner.size and stop - inner[-1] < window / 2:
        inner = inner[:-1]
    return np.concatenate([[first], inner, [stop]]).astype(np.int64)


def beat_edges(first: int, stop: int, peaks: FloatArray) -> IntArray:
    """Edges half-way between neighbouring R peaks, over samples ``[first, stop)``.

    Each segment holds exactly one of ``peaks``; the first and last also hold what lies before and
    after, such as a beat whose R peak is outside the seen part.

    Parameters
    ----------
    peaks
        ``float64[n]``, rising, in samples, inside ``[first, stop)``.

    Returns
    -------
    ``int64[n + 1]``, from ``first`` to ``stop``.
    """
    middles = np.floor((peaks[:-1] + peaks[1:]) / 2 + 0.5).astype(np.int64)
    return np.unique(np.concatenate([[first], middles, [stop]])).astype(np.int64)


def wave_edges(
    first: int, stop: int, waves: Delineation, fs: float
) -> tuple[IntArray, tuple[str, ...]]:
    """Edges and labels of P, QRS and T and of what lies between them, over ``[first, stop)``.

    Parameters
    ----------
    first, stop
        Samples of the part that is cut.
    waves
        Borders in seconds from sample ``first``.
    fs
        Sampling rate, Hz.

    Returns
    -------
    ``int64[n + 1]`` from ``first`` to ``stop``, and ``n`` of :data:`WAVE_LABELS`. A wave that a
    beat lacks has no segment; a segment of less than 20 ms joins the one before it.
    """
    marks = [(first, "TP")]
    for beat in range(len(waves)):
        borders = (
            (waves.p_onset, "P"), (waves.p_offset, "PR"), (waves.qrs_onset, "QRS"),
            (waves.qrs_offset, "ST"), (waves.t_onset, "T"), (waves.t_offset, "TP"),
        )  # fmt: skip
        for seconds, label in borders:
            if np.isfinite(seconds[beat]):
                marks.append((first + round(float(seconds[beat]) * fs), label))
    least = max(1, round(_LEAST_WAVE_SEC * fs))
    marks.sort(key=lambda mark: mark[0])
    ends = [at for at, _ in marks[1:]] + [stop]
    kept: list[tuple[int, str]] = []
    for (at, label), end in zip(marks, ends, strict=True):
        if end - at >= least and (not kept or kept[-1][1] != label):
            kept.append((at if kept else first, label))
    kept = kept or [(first, "TP")]
    edges = np.array([*(at for at, _ in kept), stop], np.int64)
    return edges, tuple(label for _, label in kept)


def _seen_waves(
    model_input: ModelInput, r_peaks_sec: FloatArray | None, origin_sec: float
) -> Delineation:
    (first, stop), fs = model_input.valid, model_input.fs
    peaks = None
    if r_peaks_sec is not None:
        peaks = _seen_peaks(r_peaks_sec, origin_sec, fs, first, stop)
    waves = _delineated(model_input, peaks)
    if len(waves) == 0:
        raise ExplanationError(
            "segments",
            "wave",
            "no R peak was found in the part that the model sees",
            "use uniform segments",
        )
    return waves


def _delineated(model_input: ModelInput, peaks: FloatArray | None) -> Delineation:
    """Waves of what the model sees, seconds from its first sample; ``peaks`` in samples."""
    first, stop = model_input.valid
    places = None if peaks is None else np.floor(peaks + 0.5).astype(np.int64) - first
    seen = model_input.values[first:stop].T
    return delineate(seen, model_input.fs, model_input.leads, places)


def _inside(
    r_peaks_sec: FloatArray | None, origin_sec: float, fs: float, first: int, stop: int
) -> FloatArray:
    """R peaks of the seen part, in samples of the model input."""
    peaks = (np.asarray([] if r_peaks_sec is None else r_peaks_sec, float) - origin_sec) * fs
    return np.unique(peaks[np.isfinite(peaks) & (peaks >= first) & (peaks <= stop - 1)])


def _seen_peaks(
    r_peaks_sec: FloatArray | None, origin_sec: float, fs: float, first: int, stop: int
) -> FloatArray:
    peaks = _inside(r_peaks_sec, origin_sec, fs, first, stop)
    if peaks.size < 2:
        raise ExplanationError(
            "segments",
            "beat",
            f"{peaks.size} R peaks were found in the part that the model sees; beats need 2",
            "use uniform segments",
        )
    return peaks


_WITHIN = 0.9  # of a segment in one wave, and of the time in such segments


def waves_of_map(item: Map, waves: Segmentation | None = None) -> tuple[str, ...] | None:
    """The wave that each segment of a map belongs to; ``None`` where they cut through waves.

    A map that was cut into waves says itself which they are: the same record delineated at another
    rate has borders some samples away. Any other is compared with the record's ``waves``.
    """
    own = item.diagnostics.get("waves")
    if own is not None and len(own) == item.edges_sec.size - 1:
        return tuple(own)
    return None if waves is None else waves_of_segments(item.edges_sec, waves)


def waves_of_segments(edges_sec: FloatArray, waves: Segmentation) -> tuple[str, ...] | None:
    """The wave that each segment belongs to; ``None`` where the segments cut through waves.

    Parameters
    ----------
    edges_sec
        ``float64[segment + 1]``, s of the record, rising.
    waves
        The record's waves.

    Returns
    -------
    One label per segment: that of the wave that covers at least nine tenths of it, else ``""``. At
    least nine tenths of the time must lie in segments with a label.
    """
    labels, within = [], 0.0
    starts, stops = waves.edges_sec[:-1], waves.edges_sec[1:]
    for low, high in pairwise(edges_sec):
        cover = np.minimum(stops, high) - np.maximum(starts, low)
        best = int(cover.argmax())
        inside = bool(cover[best] >= _WITHIN * (high - low))
        labels.append(waves.labels[best] if inside else "")
        within += float(high - low) if inside else 0.0
    return tuple(labels) if within >= _WITHIN * float(edges_sec[-1] - edges_sec[0]) else None
