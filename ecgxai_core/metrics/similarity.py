"""How alike maps of one record are, whatever grids they were made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.ranking import spearman
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.types import FloatArray, frozen_array

__all__ = ["MapChange", "map_change", "map_spearman"]

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class MapChange:
    """Rank correlations of several maps of one record and target.

    ``names`` of the maps; ``spearman`` ``float64[map, map]``; ``mean`` and ``least`` over pairs of
    different maps that have one, NaN where none has.
    """

    names: tuple[str, ...]
    spearman: FloatArray
    mean: float
    least: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "spearman", frozen_array(self.spearman, np.float64))


def map_spearman(one: Map, other: Map, bin_sec: float = 0.02) -> float:
    """Spearman correlation of two maps, signed, on one raster of bins x leads.

    What a map did not explore counts as zero, which is what it says; bins that neither explored
    are left out, so two maps of few cells are not alike because both call the rest zero.

    Returns
    -------
    In [-1, 1]; NaN where a map is constant over the compared bins.

    Raises
    ------
    ValueError
        The maps are of different leads or parts of the record.
    """
    if one.leads != other.leads or not np.allclose(
        [one.edges_sec[0], one.edges_sec[-1]],
        [other.edges_sec[0], other.edges_sec[-1]],
        atol=bin_sec / 2,
    ):
        raise ValueError("maps of different leads or parts of a record cannot be compared")
    raster = raster_for(one, bin_sec)
    leads = {*raster.leads, *raster_for(other, bin_sec).leads}
    raster = replace(raster, leads=tuple(lead for lead in one.leads if lead in leads))
    first, second = rasterise(one, raster), rasterise(other, raster)
    where = first.explored | second.explored
    if not where.any():
        return _NAN
    return spearman(first.scores[where], second.scores[where])


def map_change(maps: Mapping[str, Map], bin_sec: float = 0.02) -> MapChange:
    """Compare maps that differ in one choice, such as the baseline, pair by pair.

    A map that changes with a choice that the reader did not make says as much of the choice as of
    the record.
    """
    names = tuple(maps)
    table = np.full((len(names), len(names)), _NAN)
    for row, one in enumerate(names):
        for column in range(row, len(names)):
            value = map_spearman(maps[one], maps[names[column]], bin_sec)
            table[row, column] = table[column, row] = value
    pairs = table[np.triu_indices(len(names), 1)]
    pairs = pairs[~np.isnan(pairs)]
    mean, least = (float(pairs.mean()), float(pairs.min())) if pairs.size else (_NAN, _NAN)
    return MapChange(names, table, mean, least)
