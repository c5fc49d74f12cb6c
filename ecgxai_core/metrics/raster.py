"""One raster for every localisation metric: bins of time x lead over what the model saw.

A bin's score is the weight density of the segment it lies in (largest overlap); it is in a mask if
at least half of it is. So any segmentation, window and truth are compared in one way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.metrics.ranking import settled
from ecgxai_core.records.leads import DERIVED_LEADS
from ecgxai_core.types import BoolArray, FloatArray, IntArray, Map

__all__ = [
    "Raster",
    "RasterMap",
    "beat_windows",
    "explorable_leads",
    "mask_from_intervals",
    "merged",
    "overlap_sec",
    "raster_for",
    "rasterise",
]

_TINY_SEC = 1e-9


@dataclass(frozen=True, slots=True)
class Raster:
    """``n_bins`` bins of ``bin_sec`` seconds from ``start_sec`` on, for each of ``leads``.

    What is left at the end, shorter than one bin, is not part of the raster.
    """

    start_sec: float
    bin_sec: float
    n_bins: int
    leads: tuple[str, ...]

    @property
    def intervals(self) -> FloatArray:
        """``float64[bin, 2]``: start and end of every bin, seconds."""
        edges = self.start_sec + self.bin_sec * np.arange(self.n_bins + 1)
        return np.stack((edges[:-1], edges[1:]), axis=1)


@dataclass(frozen=True, slots=True)
class RasterMap:
    """A map on a raster.

    ``scores`` ``float64[lead, bin]``: weight per second, 0 where not explored; ``explored``
    ``bool[lead, bin]``; ``cell`` ``int64[lead, bin]``: the segment whose density a bin has.
    """

    scores: FloatArray
    explored: BoolArray
    cell: IntArray


def explorable_leads(item: Map) -> tuple[str, ...]:
    """The leads that a map could explore, in its order."""
    return tuple(lead for lead, can in zip(item.leads, item.explorable, strict=True) if can)


def raster_for(item: Map, bin_sec: float) -> Raster:
    """The raster over the part of the record that the map covers: what the model saw.

    Its leads are those that could be explored (:func:`explorable_leads`).
    """
    start, stop = float(item.edges_sec[0]), float(item.edges_sec[-1])
    n_bins = int((stop - start) / bin_sec + 1e-6)
    return Raster(start, bin_sec, n_bins, explorable_leads(item))


def overlap_sec(intervals: FloatArray, others: FloatArray) -> FloatArray:
    """``float64[n, m]``: seconds shared by intervals ``[n, 2]`` and intervals ``[m, 2]``."""
    start = np.maximum(intervals[:, None, 0], others[None, :, 0])
    stop = np.minimum(intervals[:, None, 1], others[None, :, 1])
    return np.asarray(np.maximum(stop - start, 0.0))


def merged(intervals: npt.ArrayLike) -> FloatArray:
    """``float64[m, 2]``: the union of intervals ``[n, 2]`` as disjoint, rising intervals."""
    array = np.asarray(intervals, np.float64).reshape(-1, 2)
    array = array[array[:, 1] > array[:, 0]]
    if len(array) == 0:
        return array
    array = array[np.argsort(array[:, 0], kind="stable")]
    reach = np.maximum.accumulate(array[:, 1])
    first = np.concatenate(([True], array[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.stack((array[first, 0], reach[last]), axis=1)


def beat_windows(r_peaks_sec: npt.ArrayLike, windows: Sequence[tuple[float, float]]) -> FloatArray:
    """``float64[n, 2]``: the union of windows (start, stop relative to R) around every R peak."""
    peaks = np.asarray(r_peaks_sec, np.float64).reshape(-1, 1, 1)
    relative = np.asarray(windows, np.float64).reshape(1, -1, 2)
    return merged((peaks + relative).reshape(-1, 2))


def mask_from_intervals(raster: Raster, intervals: Mapping[str, npt.ArrayLike]) -> BoolArray:
    """``bool[lead, bin]``: bins of which at least half lies in the lead's intervals (seconds).

    Leads without an entry have no truth; this serves windows around R peaks and planted truth. What
    lies in III, aVR, aVL or aVF counts for I and for II, from which they are made, where the raster
    is that of a map with independent leads as players and does not have them.
    """
    intervals = _of_players(raster, intervals)
    mask = np.zeros((len(raster.leads), raster.n_bins), dtype=np.bool_)
    known: dict[int, BoolArray] = {}
    for row, lead in enumerate(raster.leads):
        if lead in intervals:
            given = intervals[lead]
            if id(given) not in known:
                covered = overlap_sec(raster.intervals, merged(given)).sum(axis=1)
                known[id(given)] = covered >= raster.bin_sec / 2 - _TINY_SEC
            mask[row] = known[id(given)]
    return mask


def _of_players(
    raster: Raster, intervals: Mapping[str, npt.ArrayLike]
) -> Mapping[str, npt.ArrayLike]:
    absent = [lead for lead in DERIVED_LEADS if lead in intervals and lead not in raster.leads]
    if not absent:
        return intervals
    parts = [np.asarray(intervals[lead], np.float64).reshape(-1, 2) for lead in absent]
    limbs = {
        lead: np.concatenate(
            [np.asarray(intervals.get(lead, ()), np.float64).reshape(-1, 2), *parts]
        )
        for lead in ("I", "II")
    }
    return {**intervals, **limbs}


def rasterise(item: Map, raster: Raster) -> RasterMap:
    """A map on a raster of some or all of its leads.

    Where two segments share a bin evenly, the earlier one has it. Where three or more do,
    segments of equal density count as one, so cutting a segment in two changes nothing. Densities
    that differ by rounding only are equal.
    """
    rows = [item.leads.index(lead) for lead in raster.leads]
    density = settled(item.density())[rows]
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    shared = np.round(overlap_sec(raster.intervals, segments), 9)
    cell = np.repeat(np.argmax(shared, axis=1)[None, :], len(rows), axis=0).astype(np.int64)
    for place in np.flatnonzero((shared > 0).sum(axis=1) > 2):
        cell[:, place] = _longest_by_lead(density, shared[place])
    scores = np.take_along_axis(density, cell, axis=1)
    explored: BoolArray = ~np.isnan(scores)
    return RasterMap(np.where(explored, scores, 0.0), explored, cell)


def _longest_by_lead(density: FloatArray, shared: FloatArray) -> IntArray:
    """``int64[lead]``: for one bin, the segment that stands for the density covering most of it."""
    inside = np.flatnonzero(shared > 0)
    winners = np.empty(len(density), dtype=np.int64)
    for row, values in enumerate(density[:, inside]):
        _, kind = np.unique(values, return_inverse=True, equal_nan=True)
        length = np.round(np.bincount(kind.reshape(-1), weights=shared[inside]), 9)
        first = {int(k): place for place, k in reversed(list(enumerate(kind.reshape(-1))))}
        best = min(first, key=lambda k: (-length[k], first[k]))
        own = inside[kind.reshape(-1) == best]
        winners[row] = own[np.argmax(shared[own])]
    return winners
