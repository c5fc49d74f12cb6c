"""Records with a known truth, maps that know all or nothing of it, and a model that uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecgxai_core.metrics.raster import beat_windows, mask_from_intervals, raster_for
from ecgxai_core.metrics.references import REFERENCES, oracle_map
from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    BoolArray,
    FloatArray,
    Map,
    Provenance,
    Segmentation,
)

FS, SECONDS, WINDOW = 100.0, 8.0, 0.25
EDGES = np.arange(0, SECONDS + WINDOW / 2, WINDOW)
GRID = Segmentation("uniform", np.round(EDGES * FS).astype(np.int64), FS, 0.0)


@dataclass(frozen=True)
class Planted:
    """One record: R peaks, truth on the raster, and maps by name."""

    peaks: FloatArray
    mask: BoolArray
    maps: dict[str, Map]

    @property
    def effect(self) -> FloatArray:
        """``float64[lead, segment]``: what each cell adds to the probability; 0.8 in all."""
        share = np.asarray(self.maps["oracle"].weights, np.float64)
        return 0.8 * share / share.sum()


class Additive:
    """A probability that is 0.1 plus the effects of the cells that are kept."""

    leads = STANDARD_LEADS

    def __init__(self, effect: FloatArray) -> None:
        self.density = effect / np.diff(GRID.edges)
        self.asked = 0

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        self.asked += len(keep)
        samples = np.repeat(self.density, np.diff(GRID.edges), axis=1)
        effect = np.add.reduceat(samples, segmentation.edges[:-1], axis=1)
        return 0.1 + (keep * effect).sum(axis=(1, 2))


def planted(seed: int, leads: tuple[str, ...] = ("II", "V1")) -> Planted:
    """Beats at irregular times; the truth is 100 ms on either side of R in two leads."""
    rng = np.random.default_rng(seed)
    peaks = 0.3 + np.cumsum(rng.uniform(0.5, 1.3, 12)) - 0.5
    peaks = peaks[peaks < SECONDS - 0.2]
    blank = Attribution(
        f"R{seed}", "164889003", "blank", 0.9, STANDARD_LEADS, EDGES, np.zeros((12, len(GRID))),
        np.ones((12, len(GRID)), bool), Provenance(f"r{seed}", "m", {}, 0, "0"),
    )  # fmt: skip
    raster = raster_for(blank, 0.02)
    mask = mask_from_intervals(raster, dict.fromkeys(leads, beat_windows(peaks, [(-0.1, 0.1)])))
    oracle = oracle_map(blank, mask)
    maps: dict[str, Map] = {"oracle": oracle}
    kinds: dict[str, Callable[[Map, int], Map]] = dict(REFERENCES)
    maps |= {name: make(oracle, seed) for name, make in kinds.items()}
    return Planted(peaks, mask, maps)
