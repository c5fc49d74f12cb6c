"""An explanation over the traces: signed cells, unexplored cells hatched, conflicts marked.

The sign is shown twice: by colour, and by position (evidence for in the upper half of a row,
evidence against in the lower half), so it survives greyscale. Colour stands for density (weight per
second), so cutting a segment in two does not change the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.theme import Theme, veil
from ecgxai_core.types import Attribution, BoolArray, FloatArray, FusedMap

__all__ = ["ALPHA", "colour_bar", "full_scale", "marked_area", "overlay_traces"]

ALPHA = 0.35
"""Opacity of the strongest cell; the trace and the grid stay readable under it."""
_HALF = 0.46


def full_scale(*maps: Attribution | FusedMap) -> float:
    """The largest |density| of several maps: one colour scale for all of them."""
    largest = [float(np.nanmax(np.abs(m.density()), initial=0.0)) for m in maps]
    return max([*largest, 0.0]) or 1.0


def overlay_traces(
    overlay: Attribution | FusedMap,
    places: tuple[Panel, ...],
    theme: Theme,
    scale: float | None = None,
) -> list[Any]:
    """Plotly traces of a map, to be drawn before (under) the ECG."""
    limit = scale if scale is not None else full_scale(overlay)
    density = overlay.density()
    traces = [_cells(overlay, places, density / limit)]
    hatched = _boxes(overlay, places, ~overlay.explored)
    if hatched[0]:
        traces.append(
            marked_area(
                hatched,
                "not explored",
                theme.unexplored,
                {"shape": "/", "size": 9, "solidity": 0.12},
            )
        )
    if isinstance(overlay, FusedMap) and np.any(overlay.agreement == -1):
        conflict = _boxes(overlay, places, overlay.agreement == -1)
        traces.append(marked_area(conflict, "conflict", theme.conflict, None))
    return traces


def _cells(overlay: Attribution | FusedMap, places: tuple[Panel, ...], share: FloatArray) -> Any:
    """All cells of all panels as one heat map of half rows."""
    edges = np.unique(
        np.concatenate([overlay.edges_sec, [p.start for p in places], [p.stop for p in places]])
    )
    middles = (edges[:-1] + edges[1:]) / 2
    column = np.searchsorted(overlay.edges_sec, middles, side="right") - 1
    inside = (column >= 0) & (column < len(overlay.edges_sec) - 1)
    rows: list[float] = []
    values: list[list[float | None]] = []
    offsets = sorted({(panel.offset, panel.height) for panel in places})
    for number, (offset, height) in enumerate(offsets):
        line = np.full(len(middles), np.nan)
        for panel in (p for p in places if p.offset == offset and p.lead in overlay.leads):
            here = inside & (middles >= panel.start) & (middles < panel.stop)
            line[here] = share[overlay.leads.index(panel.lead), column[here]]
        if number:
            values.append([None] * len(middles))  # the gap between two rows
        rows += [offset - height * _HALF, offset, offset + height * _HALF]
        values.append(_only(line, line < 0))
        values.append(_only(line, line > 0))
    return {
        "type": "heatmap",
        "x": np.round(edges, 4),
        "y": np.round(rows, 3),
        "z": values,
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
        "name": "explanation",
    }


def colour_bar(theme: Theme, y: float = 1.0, length: float = 0.42) -> dict[str, Any]:
    """The one colour scale of a figure, symmetric about 0, with its legend above the paper;
    ``length`` is its share of the width."""
    return {
        "cmin": -1,
        "cmax": 1,
        "cmid": 0,
        "colorscale": veil(theme, ALPHA),
        "colorbar": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": y,
            "yanchor": "bottom",
            "ypad": 4,
            "len": length,
            "thickness": 8,
            "outlinewidth": 0.5,
            "outlinecolor": theme.muted,
            "title": {
                "text": "share of largest |attribution| per s",
                "side": "top",
                "font": {"size": 10},
            },
            "tickvals": [-1, 0, 1],
            "ticktext": ["against −1", "0", "for 1"],
            "tickfont": {"size": 10},
            "ticklabelposition": "outside",
        },
    }


def _only(line: FloatArray, where: BoolArray) -> list[float | None]:
    return [round(float(v), 4) if ok else None for v, ok in zip(line, where, strict=True)]


def _boxes(
    overlay: Attribution | FusedMap, places: tuple[Panel, ...], cells: BoolArray
) -> tuple[list[float | None], list[float | None]]:
    """Outlines of marked cells, neighbours joined, as one path with gaps."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    edges = overlay.edges_sec
    for panel in places:
        if panel.lead not in overlay.leads:
            continue
        row = np.concatenate([[False], cells[overlay.leads.index(panel.lead)], [False]])
        turns = np.flatnonzero(np.diff(row.astype(np.int8)))
        low, high = panel.offset - panel.height * _HALF, panel.offset + panel.height * _HALF
        for begin, end in zip(edges[turns[::2]], edges[turns[1::2]], strict=True):
            left, right = max(begin, panel.start), min(end, panel.stop)
            if left < right:
                xs += [left, right, right, left, left, None]
                ys += [low, low, high, high, low, None]
    return xs, ys


def marked_area(
    path: tuple[list[float | None], list[float | None]],
    name: str,
    colour: str,
    pattern: dict[str, Any] | None,
) -> Any:
    """Areas of one kind (boxes as one path with gaps), hatched where there is a pattern."""
    fill: dict[str, Any] = {"fill": "toself", "fillcolor": "rgba(0,0,0,0)"}
    if pattern is not None:
        fill["fillpattern"] = {**pattern, "fgcolor": colour, "bgcolor": "rgba(0,0,0,0)"}
    return dict(
        type="scatter",
        x=path[0],
        y=path[1],
        mode="lines",
        line={"color": colour, "width": 0 if pattern is not None else 1.5},
        opacity=0.5 if pattern is not None else 1.0,
        name=name,
        hoverinfo="skip",
        showlegend=True,
        **fill,
    )
