"""What every map offers at a prompt or in a notebook: tables, a figure, a file.

The value types know nothing of plots and files: each method imports what it needs when called.
"""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import xarray as xr

    from ecgxai_core.types import Map, Record

__all__ = ["MapFace"]


class MapFace:
    """Base of the map types; see :class:`ecgxai_core.types.Map` for the fields it needs."""

    __slots__ = ()

    @property
    def durations(self) -> npt.NDArray[np.float64]:
        """``float64[segment]``: lengths of the segments in seconds."""
        return np.diff(self._map.edges_sec)

    def density(self) -> npt.NDArray[np.float64]:
        """``float64[lead, segment]``: weight per second; NaN where not explored."""
        return self._map.weights.astype(np.float64) / self.durations

    @property
    def independent(self) -> bool:
        """Whether the map, or one fused into it, was made with III, aVR, aVL and aVF following I
        and II.

        What was done says so, else the parameters; maps without knowledge keep those of the map
        that they were made from.
        """
        item = self._map
        if said := item.diagnostics.get("lead_group"):
            return bool(said == "independent")
        params = item.provenance.params
        parts = [params, *(part["params"] for part in params.get("methods", ()))]
        return any(part.get("lead_group") == "independent" for part in parts)

    @property
    def explorable(self) -> npt.NDArray[np.bool_]:
        """``bool[lead]``: leads that could be explored.

        With independent leads as players a derived lead of which no cell was explored is not among
        them: it could not be explored, so its zeros carry no information.
        """
        from ecgxai_core.types import DERIVED_LEADS

        follows = np.array([self.independent and lead in DERIVED_LEADS for lead in self._map.leads])
        return np.asarray(~follows | self._map.explored.any(axis=1), dtype=np.bool_)

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """``bool[lead, segment]``: cells that could be explored, and were not."""
        return np.asarray(~self._map.explored & self.explorable[:, None], dtype=np.bool_)

    def drawn_density(self) -> npt.NDArray[np.float64]:
        """As :meth:`density`, NaN only where cells are missing: leads that follow others have no
        weight of their own, which is known."""
        return np.where(self.missing, np.nan, np.nan_to_num(self.density()))

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: lead, from_sec, to_sec, weight, weight_per_sec, explored, ..."""
        from ecgxai_core.plots.words import cell_table

        return cell_table(self._map)

    def to_xarray(self) -> xr.Dataset:
        """``weight``, ``weight_per_sec`` and ``explored`` over lead x segment.

        Start and end of each segment are coordinates, what else the map says of itself attributes.
        Needs the optional extra ``xarray``.
        """
        import xarray as xr

        item = self._map
        axes = ("lead", "segment")
        fields: dict[str, Any] = {
            "weight": (axes, item.weights),
            "weight_per_sec": (axes, self.density()),
            "explored": (axes, item.explored),
        }
        for name in ("standard_errors", "agreement"):
            values = getattr(item, name, None)
            if values is not None:
                fields[name] = (axes, values)
        return xr.Dataset(
            fields,
            coords={
                "lead": list(item.leads),
                "start_sec": ("segment", item.edges_sec[:-1]),
                "end_sec": ("segment", item.edges_sec[1:]),
            },
            attrs={
                "record": item.record,
                "target": item.target,
                "method": item.method,
                "probability": item.probability,
                "warnings": [warning.code for warning in item.warnings],
            },
        )

    def plot(self, record: Record, **style: Any) -> go.Figure:
        """The map on the record's ECG paper, as an interactive figure.

        Parameters
        ----------
        record
            The record that the map explains.
        style
            Fields of :class:`ecgxai_core.plots.paper.PaperStyle`, such as ``layout="3x4"``.

        Raises
        ------
        ParameterError
            The map is of another record.
        """
        from ecgxai_core.plots.paper import PaperStyle, ecg_figure
        from ecgxai_core.plots.words import check_record

        check_record(self._map, record)
        return ecg_figure(record, PaperStyle(**style), overlay=self._map)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map as one safetensors file (arrays, and JSON in its header).

        Raises
        ------
        RunError
            The file cannot be written.
        """
        from ecgxai_core.store.atomic import write_arrays_atomic
        from ecgxai_core.store.values import entry_of

        write_arrays_atomic(path, *entry_of(cast(Any, self)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        RunError
            A file that is missing, changed or not an array file of this program.
        CacheError
            A sound file that holds another kind of value.
        """
        from ecgxai_core.store.atomic import read_arrays
        from ecgxai_core.store.values import value_as

        return value_as(read_arrays(path), cls)

    def _repr_html_(self) -> str:
        """A short table for notebooks; names are shown as text."""
        from ecgxai_core.plots.words import lead_ranking

        item = self._map
        leads = ", ".join(f"{row['lead']} {row['share']:.0%}" for row in lead_ranking(item)[:5])
        explored = float(np.mean(item.explored))
        rows = {
            "record": item.record,
            "target": f"{item.target} (p = {item.probability:.3f})",
            "method": item.method,
            "cells": f"{len(item.leads)} leads x {len(self.durations)} segments, "
            f"{explored:.0%} explored",
            "largest leads": leads,
            "warnings": ", ".join(warning.code for warning in item.warnings) or "none",
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(str(text))}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table>{cells}</table>"

    @property
    def _map(self) -> Map:
        return cast("Map", self)
