"""Stability: is a map stable under a change that should not matter (an extra beat)?

Both maps are compared on the same regions, lead x beat, with beats cut at RR midpoints and matched
through the known time map. Only beats that both explanations cover completely take part. A region's
value is the sum of density x seconds in it; cells that were not explored count as zero.

Spearman ranks the signed values; Jaccard@k and RBO_ext rank magnitudes. Weighted Jaccard compares
the shares of all |weight|, positive and negative parts apart: it is independent of the unit of a
map, and a change of sign lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.metrics.base import Direction, Metric, MetricGroup, Outcome, Subject, TimeMapping
from ecgxai_core.metrics.ranking import (
    jaccard_at_k,
    jaccard_chance,
    rbo_ext,
    rbo_ext_chance,
    settled,
    spearman,
    weighted_jaccard,
)
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.params import StabilityParams
from ecgxai_core.types import (
    BoolArray,
    FloatArray,
    Map,
    Score,
    array_digest,
    content_seed,
    frozen_array,
)

__all__ = ["GROUP", "beat_intervals", "compare", "match", "stability"]

_SEEN_TOLERANCE_SEC, _LENGTH_TOLERANCE_SEC = 1e-6, 2e-3
_N_PERMUTATIONS = 100
_INSET = 0.02  # of a beat: 6 ms of the shortest, more than half a sample at 100 Hz


@dataclass(frozen=True, slots=True)
class Regions:
    """Matched regions of two maps.

    ``original``, ``changed`` ``float64[lead, beat]``: sum of density x seconds; ``beats``
    ``float64[beat, 2]``: borders in the original, seconds; ``n_beats``: how many the original
    explanation saw whole; ``explored`` ``bool[lead, beat]``: something was explored in both maps.
    """

    original: FloatArray
    changed: FloatArray
    beats: FloatArray
    n_beats: int
    explored: BoolArray

    def __post_init__(self) -> None:
        for name in ("original", "changed", "beats"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


def beat_intervals(r_peaks_sec: npt.ArrayLike) -> FloatArray:
    """``float64[n, 2]``: each beat from RR midpoint to RR midpoint (s).

    The outer borders of the first and last beat lie half their one known RR interval away.
    Fewer than two peaks give none.
    """
    peaks = np.unique(np.asarray(r_peaks_sec, np.float64))
    if len(peaks) < 2:
        return np.zeros((0, 2))
    middles = (peaks[:-1] + peaks[1:]) / 2
    first = peaks[0] - (middles[0] - peaks[0])
    last = peaks[-1] + (peaks[-1] - middles[-1])
    borders = np.concatenate(([first], middles, [last]))
    return np.stack((borders[:-1], borders[1:]), axis=1)


def match(
    original: Map,
    changed: Map,
    r_peaks_sec: npt.ArrayLike,
    time_map: TimeMapping,
) -> Regions:
    """The regions that both maps cover completely.

    ``r_peaks_sec`` are those of the original record; ``time_map`` gives where each moment of it is
    in the changed record. A beat whose image differs in length (cut, stretched, or with something
    inserted into it) is left out.
    """
    if original.leads != changed.leads:
        raise ValueError("maps of different leads cannot be compared")
    beats = beat_intervals(r_peaks_sec)
    beats = beats[_inside(beats, original)]
    images = _images(beats, time_map)
    with np.errstate(invalid="ignore"):
        kept = np.abs(np.diff(images - beats, axis=1)[:, 0]) <= _LENGTH_TOLERANCE_SEC
    kept &= _inside(images, changed)
    one, seen_one = _region_values(original, beats[kept])
    other, seen_other = _region_values(changed, images[kept])
    return Regions(one, other, beats[kept], len(beats), seen_one & seen_other)


def compare(regions: Regions, params: StabilityParams, seed: int) -> tuple[Score, ...]:
    """Scores of matched regions.

    ``spearman``, ``jaccard_at_k``, ``weighted_jaccard``, ``rbo_ext``; each beside ``random``, its
    expectation for an unrelated ranking (weighted Jaccard: mean over seeded permutations of the
    regions), with ceiling 1. The all-zero map has no ranking: NaN, as for every constant map.
    ``regions_compared`` is the share of the beats seen whole in the original that were compared,
    ``regions_explored`` the share of compared regions in which both maps explored something.
    """
    joined = settled(np.stack((regions.original.reshape(-1), regions.changed.reshape(-1))))
    one, other = joined[0], joined[1]
    n = len(one)
    share = regions.beats.shape[0] / regions.n_beats if regions.n_beats else np.nan
    explored = float(regions.explored.mean()) if n else np.nan
    size_one, size_other = np.abs(one), np.abs(other)
    rows = (
        ("spearman", spearman(one, other) if n else np.nan, 0.0),
        ("jaccard_at_k", jaccard_at_k(size_one, size_other, params.k), jaccard_chance(n, params.k)),
        ("weighted_jaccard", _shared_mass(one, other), _permuted_mass(one, other, seed)),
        ("rbo_ext", rbo_ext(size_one, size_other, params.rbo_p), rbo_ext_chance(n, params.rbo_p)),
    )
    scores = [
        Score(name, value, random=chance if np.isfinite(value) else np.nan, ceiling=1.0)
        for name, value, chance in rows
    ]
    scores.append(Score("regions_compared", share, ceiling=1.0))
    scores.append(Score("regions_explored", explored, ceiling=1.0))
    return tuple(scores)


def stability(
    original: Map,
    changed: Map,
    r_peaks_sec: npt.ArrayLike,
    time_map: TimeMapping,
    params: StabilityParams,
) -> tuple[Score, ...]:
    """:func:`match`, then :func:`compare` with a seed from record, target and ``params.seed``."""
    regions = match(original, changed, r_peaks_sec, time_map)
    peaks = array_digest(np.asarray(r_peaks_sec, np.float64))
    seed = content_seed(
        "stability", original.provenance.record_digest, original.target, peaks, params.seed
    )
    return compare(regions, params, seed)


def _inside(intervals: FloatArray, item: Map) -> BoolArray:
    """Which intervals the map covers whole; NaN borders are outside."""
    first, last = item.edges_sec[0] - _SEEN_TOLERANCE_SEC, item.edges_sec[-1] + _SEEN_TOLERANCE_SEC
    inside: BoolArray = (intervals[:, 0] >= first) & (intervals[:, 1] <= last)
    return inside


def _images(beats: FloatArray, time_map: TimeMapping) -> FloatArray:
    """``float64[beat, 2]``: where the beats went.

    Borders are where beats are inserted, cut at the nearest sample, and there a moment has two
    images; so points a little inside are followed, and what they lie inside is given back.
    """
    inset = _INSET * np.diff(beats, axis=1)
    toward = np.concatenate((inset, -inset), axis=1)
    moved = np.asarray(time_map.forward((beats + toward).reshape(-1)), np.float64)
    return moved.reshape(beats.shape) - toward


def _region_values(item: Map, beats: FloatArray) -> tuple[FloatArray, BoolArray]:
    """``float64[lead, beat]`` sums of density x seconds, and where something was explored."""
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    shared = overlap_sec(beats, segments).T
    shared = np.where(shared > _SEEN_TOLERANCE_SEC, shared, 0.0)  # no region by rounding alone
    values = np.nan_to_num(item.density()) @ shared
    return values, (item.explored.astype(np.float64) @ shared) > _SEEN_TOLERANCE_SEC


def _shared_mass(one: FloatArray, other: FloatArray) -> float:
    """Weighted Jaccard of the shares of |weight|, positive and negative parts apart."""
    totals = float(np.abs(one).sum()), float(np.abs(other).sum())
    if max(totals) <= 0:
        return np.nan
    parts = [
        np.concatenate((np.maximum(values, 0), np.maximum(-values, 0))) / (total or 1.0)
        for values, total in zip((one, other), totals, strict=True)
    ]
    return weighted_jaccard(parts[0], parts[1])


def _permuted_mass(one: FloatArray, other: FloatArray, seed: int) -> float:
    """Mean of :func:`_shared_mass` over seeded permutations of the regions."""
    rng = np.random.default_rng(seed)
    if len(one) == 0:
        return np.nan
    return float(
        np.mean([_shared_mass(one, rng.permutation(other)) for _ in range(_N_PERMUTATIONS)])
    )


_CONSTANT = "no region compared, or a map without any order (all regions equal)"

_DESCRIBED: tuple[tuple[str, str, Direction, str, str, str], ...] = (
    ("spearman", "Spearman", "higher", "0", _CONSTANT, "midranks"),
    (
        "jaccard_at_k", "Jaccard@k", "higher",
        "hypergeometric; for 5 of 20/40/12 regions 0.155/0.073/0.279", _CONSTANT,
        "ties shared at the border",
    ),
    (
        "weighted_jaccard", "Weighted Jaccard", "higher", "mean over permuted regions",
        "no region compared, or both maps zero", "sum min / sum max of shares",
    ),
    (
        "rbo_ext", "RBO (extrapolated)", "higher", "E[X_d / d] = d / n", _CONSTANT,
        "Webber et al. 2010, eq. 32",
    ),
    ("regions_compared", "Beats compared", "none", "-", "no beat seen whole", ""),
    ("regions_explored", "Regions explored in both", "none", "-", "no region compared", ""),
)  # fmt: skip

_METRICS = tuple(
    Metric(
        name, title, direction, "stability", chance, undefined, source,
        sides=("ceiling",) if name.startswith("regions_") else ("random", "ceiling"),
    )
    for name, title, direction, chance, undefined, source in _DESCRIBED
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.changed is not None
    assert subject.time_map is not None
    return Outcome(
        {
            name: stability(
                subject.maps[name], item, subject.peaks_sec, subject.time_map, subject.stability
            )
            for name, item in subject.changed.items()
            if name in subject.maps
        }
    )


GROUP = MetricGroup(
    "stability", _METRICS, ("extra_beat",), _of, "one explanation of the changed record"
)
