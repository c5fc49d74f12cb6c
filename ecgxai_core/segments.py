"""Cutting the part of a record that the model sees into time windows.

Padding lies in no segment: it is never masked and never gets a weight.
"""

from __future__ import annotations

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import FloatArray, IntArray, ModelInput, Segmentation
from ecgxai_core.waves import Delineation, delineate

__all__ = ["WAVE_LABELS", "beat_edges", "segment", "uniform_edges", "wave_edges"]

WAVE_LABELS: tuple[str, ...] = ("P", "PR", "QRS", "ST", "T", "TP")
"""Labels of wave segments. ``ST`` and ``TP`` reach to the next wave there is: in a beat without
P the TP segment ends at the QRS complex, and what precedes the first wave is TP too."""

_LEAST_WAVE_SEC = 0.02  # a shorter PR or ST segment is part of the wave before it


def segment(
    model_input: ModelInput,
    params: ExplainParams,
    segment_sec: float,
    r_peaks_sec: FloatArray | None = None,
) -> Segmentation:
    """Segment the valid part of a model input.

    Parameters
    ----------
    model_input
        What the model sees of a record.
    params
        ``segments`` names the kind; ``window_sec``, where given, replaces ``segment_sec``.
    segment_sec
        Length of uniform segments in seconds (the diagnosis's own).
    r_peaks_sec
        ``float64[n]``, R peaks in seconds of the record; needed by kind ``"beat"``, and used by
        kind ``"wave"`` where they are given.

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
    first, stop = model_input.valid
    fs = model_input.fs
    peaks = None
    if r_peaks_sec is not None:
        seen = _seen_peaks(r_peaks_sec, origin_sec, fs, first, stop)
        peaks = np.floor(seen + 0.5).astype(np.int64) - first
    waves = delineate(model_input.values[first:stop].T, fs, model_input.leads, peaks)
    if len(waves) == 0:
        raise ExplanationError(
            "segments",
            "wave",
            "no R peak was found in the part that the model sees",
            "use uniform segments",
        )
    return waves


def _seen_peaks(
    r_peaks_sec: FloatArray | None, origin_sec: float, fs: float, first: int, stop: int
) -> FloatArray:
    peaks = (np.asarray([] if r_peaks_sec is None else r_peaks_sec, float) - origin_sec) * fs
    peaks = np.unique(peaks[np.isfinite(peaks) & (peaks >= first) & (peaks <= stop - 1)])
    if peaks.size < 2:
        raise ExplanationError(
            "segments",
            "beat",
            f"{peaks.size} R peaks were found in the part that the model sees; beats need 2",
            "use uniform segments",
        )
    return peaks
