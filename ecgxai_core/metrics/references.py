"""Reference maps for every metric: without information, from the signal alone, or the truth.

They cover the leads that the map could explore
(:func:`ecgxai_core.metrics.raster.explorable_leads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ecgxai_core.metrics.raster import (
    beat_windows,
    explorable_leads,
    overlap_sec,
    raster_for,
    rasterise,
)
from ecgxai_core.types import Attribution, BoolArray, FloatArray, Map, Record, content_seed

__all__ = [
    "REFERENCES",
    "SIGNAL_REFERENCES",
    "amplitude_map",
    "constant_map",
    "empty_map",
    "energy_map",
    "lead_shuffled",
    "like",
    "oracle_map",
    "random_map",
    "reference_maps",
    "references_of",
    "template_map",
    "time_reversed",
    "time_shifted",
]

TEMPLATE_SEC = 0.05
"""The R-peak template is 1 this far on both sides of every R peak: a QRS complex of 100 ms."""

_NO_BEAT_SEC = 0.8
"""Length of a beat where none was found: 75 a minute."""


def empty_map(item: Map, seed: int = 0) -> Attribution:
    """All cells explored, none with a weight."""
    del seed
    return like(item, "empty", np.zeros(item.weights.shape))


def constant_map(item: Map, seed: int = 0) -> Attribution:
    """The same weight per second everywhere: it has a mass, but no order."""
    del seed
    return like(item, "constant", np.ones(item.weights.shape))


def random_map(item: Map, seed: int = 0) -> Attribution:
    """Standard normal weight per second in every cell, seeded by record, target and ``seed``."""
    rng = np.random.default_rng(_seed(item, "random", seed))
    return like(item, "random", rng.standard_normal(item.weights.shape))


def lead_shuffled(item: Map, seed: int = 0) -> Attribution:
    """The map with its rows given to other leads: right in time, wrong in place.

    The permutation leaves no lead where it was (a random cycle, Sattolo 1986).
    """
    rng = np.random.default_rng(_seed(item, "lead shuffled", seed))
    rows = _rows(item)
    order = np.array(rows)
    for last in range(len(order) - 1, 0, -1):
        other = int(rng.integers(last))
        order[[last, other]] = order[[other, last]]
    density = item.density()
    density[rows] = density[order]
    return like(item, "lead_shuffled", density)


def time_reversed(item: Map, seed: int = 0) -> Attribution:
    """The map read from the end of the explained part to its beginning: right leads, wrong time."""
    del seed
    edges = item.edges_sec[0] + item.edges_sec[-1] - item.edges_sec[::-1]
    return like(item, "time_reversed", item.density()[:, ::-1], edges)


def time_shifted(item: Map, heart_rate: float) -> Attribution:
    """The map half a beat later, wrapped round: right leads and rhythm, the wrong part of a beat.

    It stays on the segments of the map, each of which has the mean density of what comes to lie in
    it. ``heart_rate`` is in beats per minute; NaN counts as 75.
    """
    beat = 60 / heart_rate if np.isfinite(heart_rate) and heart_rate > 0 else _NO_BEAT_SEC
    edges, whole = item.edges_sec, item.edges_sec[-1] - item.edges_sec[0]
    segments = np.stack((edges[:-1], edges[1:]), axis=1)
    moved = segments + (beat / 2) % whole
    shared = overlap_sec(segments, moved) + overlap_sec(segments, moved - whole)
    density = item.density()
    known = np.isfinite(density)
    seconds = known.astype(np.float64) @ shared.T
    sums = np.where(known, density, 0.0) @ shared.T
    return like(
        item, "time_shifted", np.where(seconds > 1e-9, sums / np.maximum(seconds, 1e-9), np.nan)
    )


def template_map(item: Map, r_peaks_sec: npt.ArrayLike) -> Attribution:
    """The share of each segment near an R peak, in every lead: a QRS detector.

    Plausibility is measured in windows around the same R peaks, so this shows what knowing them is
    worth there.
    """
    near = beat_windows(r_peaks_sec, [(-TEMPLATE_SEC, TEMPLATE_SEC)])
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    share = overlap_sec(segments, near).sum(axis=1) / item.durations
    return like(item, "template", np.tile(share, (len(item.leads), 1)))


def amplitude_map(item: Map, record: Record) -> Attribution:
    """Mean distance of the signal from its lead's median, mV: large waves, whatever the model."""
    signal = np.asarray(record.signal, np.float64)
    middle = np.nanmedian(signal, axis=1, keepdims=True)
    return _of_signal(item, record, "amplitude", np.abs(signal - middle))


def energy_map(item: Map, record: Record) -> Attribution:
    """Mean squared slope of the signal, (mV/s)^2: QRS complexes, whatever the model.

    It is the feature of many QRS detectors (Pan and Tompkins 1985), independent of the model.
    """
    slope = np.gradient(np.asarray(record.signal, np.float64), 1 / record.fs, axis=1)
    return _of_signal(item, record, "energy", slope**2)


def _of_signal(item: Map, record: Record, name: str, values: FloatArray) -> Attribution:
    """A map whose density in a cell is the mean of ``values`` ``[lead, sample]`` there."""
    edges = np.clip(np.round(item.edges_sec * record.fs).astype(int), 0, record.n_samples)
    sums = np.concatenate(
        (np.zeros((len(values), 1)), np.cumsum(np.nan_to_num(values), axis=1)), axis=1
    )
    inside = np.diff(edges)
    density = np.full(item.weights.shape, np.nan)
    for row, lead in enumerate(item.leads):
        if lead in record.leads:
            own = np.diff(sums[record.leads.index(lead)][edges])
            density[row] = np.where(inside > 0, own / np.maximum(inside, 1), np.nan)
    return like(item, name, density)


def oracle_map(item: Map, mask: BoolArray, bin_sec: float = 0.02) -> Attribution:
    """Each cell's share of a known truth: the best possible map on this grid.

    ``item`` gives the grid; ``mask`` is ``bool[lead, bin]`` on its raster (:func:`raster_for`) with
    bins of ``bin_sec``.
    """
    raster = raster_for(item, bin_sec)
    if mask.shape != (len(raster.leads), raster.n_bins):
        raise ValueError(f"a mask {mask.shape} does not fit {len(raster.leads)} x {raster.n_bins}")
    cell = rasterise(like(item, "grid", np.ones(item.weights.shape)), raster).cell
    n = item.weights.shape[1]
    shares = np.zeros(item.weights.shape)
    for place, row in enumerate(_rows(item)):
        count = np.bincount(cell[place], minlength=n)
        hits = np.bincount(cell[place], weights=mask[place].astype(np.float64), minlength=n)
        shares[row] = hits / np.maximum(count, 1)
    return like(item, "oracle", shares)


REFERENCES: Mapping[str, Callable[[Map, int], Attribution]] = {
    "random": random_map,
    "empty": empty_map,
    "constant": constant_map,
    "lead_shuffled": lead_shuffled,
    "time_reversed": time_reversed,
}
"""Made from a map and a seed; the oracle needs the truth too."""

SIGNAL_REFERENCES: Mapping[str, Callable[[Map, Record], Attribution]] = {
    "amplitude": amplitude_map,
    "energy": energy_map,
}
"""Made from the signal alone, independent of the model: high where waves are large."""

_SHOWN = ("random", "empty")


def references_of(
    item: Map, record: Record, r_peaks_sec: npt.ArrayLike, heart_rate: float, seed: int = 0
) -> dict[str, Map]:
    """What a map is compared with beyond chance, by the names of
    :data:`ecgxai_core.metrics.base.BESIDE`."""
    made: dict[str, Map] = {name: make(item, record) for name, make in SIGNAL_REFERENCES.items()}
    made["lead_shuffled"] = lead_shuffled(item, seed)
    made["time_shifted"] = time_shifted(item, heart_rate)
    made["template"] = template_map(item, r_peaks_sec)
    return made


def reference_maps(
    item: Map, record: Record, r_peaks_sec: npt.ArrayLike, heart_rate: float, seed: int = 0
) -> dict[str, Map]:
    """The maps that every evaluation shows beside a map, by name."""
    shown: dict[str, Map] = {name: REFERENCES[name](item, seed) for name in _SHOWN}
    return shown | references_of(item, record, r_peaks_sec, heart_rate, seed)


def _seed(item: Map, kind: str, seed: int) -> int:
    return content_seed("reference map", kind, item.provenance.record_digest, item.target, seed)


def _rows(item: Map) -> list[int]:
    return [item.leads.index(lead) for lead in explorable_leads(item)]


def like(item: Map, name: str, density: FloatArray, edges: FloatArray | None = None) -> Attribution:
    """A map of the same record and target with another density (weight per second).

    Cells whose density is NaN, and leads that the map could not explore, are not explored.
    """
    edges = item.edges_sec if edges is None else edges
    explored: BoolArray = np.isfinite(density)
    explored[np.setdiff1d(np.arange(len(item.leads)), _rows(item))] = False
    return Attribution(
        record=item.record,
        target=item.target,
        method=name,
        probability=item.probability,
        leads=item.leads,
        edges_sec=edges,
        weights=(np.nan_to_num(density) * np.diff(edges)).astype(np.float32),
        explored=explored,
        provenance=item.provenance,
        diagnostics={"lead_group": "independent" if item.independent else "all"},
    )
