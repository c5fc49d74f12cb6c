"""Cutting the part of a record that the model sees into time windows.

Padding lies in no segment: it is never masked and never gets a weight.
"""

from __future__ import annotations

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import FloatArray, IntArray, ModelInput, Segmentation

__all__ = ["beat_edges", "segment", "uniform_edges"]


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
        ``float64[n]``, R peaks in seconds of the record; needed by kind ``"beat"`` only.

    Raises
    ------
    ExplanationError
        Nothing of the record is seen, or beat segments were asked for without R peaks in it.
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
