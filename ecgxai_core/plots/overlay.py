"""An explanation over the traces: signed cells, unexplored cells hatched, disagreements marked.

The sign is shown by colour and by position (evidence for in the upper half of a row, evidence
against in the lower half), so it remains visible in greyscale. Colour encodes density (weight per
second), so splitting a segment does not change the picture. Many boxes are drawn as one path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.theme import Theme, veil
from ecgxai_core.types import BoolArray, FloatArray, FusedMap, Map

__all__ = [
    "ALPHA", "Path", "box_path", "colour_bar", "full_scale", "marked_area", "marked_spans",
    "overlay_traces", "runs", "signed_rows",
]  # fmt: skip

ALPHA = 0.35
"""Opacity of the strongest cell; trace and grid stay readable below it."""
_HALF = 0.46

Path = tuple[list[float | None], list[float | None]]
"""x and y of the points; ``None`` lifts the pen."""


def full_scale(*maps: Map) -> float:
    """The largest |density| of several maps, as their common colour scale."""
    return max((float(np.nanmax(np.abs(m.density()), initial=0.0)) for m in maps), default=0) or 1.0


def overlay_traces(
    overlay: Map, places: tuple[Panel, ...], theme: Theme, scale: float | None = None
) -> list[Any]:
    """Plotly traces of a map, to be drawn before (below) the ECG."""
    limit = scale if scale is not None else full_scale(overlay)
    traces = [_cells(overlay, places, overlay.density() / limit)]
    hatched = _boxes(overlay, places, overlay.missing)
    if hatched[0]:
        traces.append(marked_area(hatched, "not explored", theme.unexplored, hatch=9))
    if isinstance(overlay, FusedMap) and np.any(overlay.agreement == -1):
        disagreement = _boxes(overlay, places, overlay.agreement == -1)
        traces.append(marked_area(disagreement, "disagreement", theme.disagreement))
    return traces


def _cells(overlay: Map, places: tuple[Panel, ...], share: FloatArray) -> Any:
    edges = np.unique(
        np.concatenate([overlay.edges_sec, [p.start for p in places], [p.stop for p in places]])
    )
    middles = (edges[:-1] + edges[1:]) / 2
    column = np.searchsorted(overlay.edges_sec, middles, side="right") - 1
    inside = (column >= 0) & (column < len(overlay.edges_sec) - 1)
    rows = []
    for offset, height in sorted({(panel.offset, panel.height) for panel in places}):
        line = np.full(len(middles), np.nan)
        for panel in (p for p in places if p.offset == offset and p.lead in overlay.leads):
            here = inside & (middles >= panel.start) & (middles < panel.stop)
            line[here] = share[overlay.leads.index(panel.lead), column[here]]
        rows.append(((offset - height * _HALF, offset, offset + height * _HALF), line))
    return signed_rows(edges, rows)


def signed_rows(
    edges: FloatArray, rows: Iterable[tuple[tuple[float, float, float], FloatArray]]
) -> dict[str, Any]:
    """All cells of a sheet as one heat map with two lines per row (against, for).

    ``rows`` are the lower end, middle and upper end of each row, the lowest first, and its values
    between ``edges``; NaN = nothing.
    """
    y: list[float] = []
    values: list[list[float | None]] = []
    for levels, line in rows:
        if y:
            values.append([None] * len(line))  # the gap between two rows
        y += levels
        values += [_plain(np.where(keep, line, np.nan)) for keep in (line < 0, line > 0)]
    return {
        "type": "heatmap", "x": np.round(edges, 4), "y": np.round(y, 3), "z": values,
        "coloraxis": "coloraxis", "hoverinfo": "skip", "name": "explanation",
    }  # fmt: skip


def _plain(values: FloatArray) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]


def colour_bar(theme: Theme, y: float = 1.0, length: float = 0.42) -> dict[str, Any]:
    """The symmetric colour scale of a figure, with its legend above the paper.

    ``y`` is its position and ``length`` its width, relative to the plot.
    """
    return {
        "cmin": -1, "cmax": 1, "cmid": 0, "colorscale": veil(theme, ALPHA),
        "colorbar": {
            "orientation": "h", "x": 1, "xanchor": "right", "y": y, "yanchor": "bottom",
            "ypad": 4, "len": length, "thickness": 8, "outlinewidth": 0.5,
            "outlinecolor": theme.muted, "tickvals": [-1, 0, 1],
            "ticktext": ["against −1", "0", "for 1"], "tickfont": {"size": 10},
            "title": {
                "text": "attribution per s, relative to maximum", "side": "top",
                "font": {"size": 10},
            },
        },
    }  # fmt: skip


def _boxes(overlay: Map, places: tuple[Panel, ...], cells: BoolArray) -> Path:
    return box_path(
        (left, right, panel.offset - panel.height * _HALF, panel.offset + panel.height * _HALF)
        for panel, left, right in marked_spans(overlay, places, cells)
    )


def marked_spans(
    overlay: Map, places: Sequence[Panel], cells: BoolArray
) -> list[tuple[Panel, float, float]]:
    """Panel, start and end (s) of marked cells, with adjacent cells joined."""
    spans = (
        (p, max(overlay.edges_sec[begin], p.start), min(overlay.edges_sec[end], p.stop))
        for p in places
        if p.lead in overlay.leads
        for begin, end in runs(cells[overlay.leads.index(p.lead)])
    )
    return [span for span in spans if span[1] < span[2]]


def runs(where: BoolArray) -> list[tuple[int, int]]:
    """``[begin, end)`` of every stretch of ``True``."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    return list(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))


def box_path(boxes: Iterable[tuple[float, float, float, float]]) -> Path:
    """One path around boxes ``(left, right, low, high)``."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for left, right, low, high in boxes:
        xs += [left, right, right, left, left, None]
        ys += [low, low, high, high, low, None]
    return xs, ys


def marked_area(
    path: Path, name: str, colour: str, hatch: int = 0, solidity: float = 0.12
) -> dict[str, Any]:
    """Trace of marked areas: hatched with lines ``hatch`` px apart, else framed."""
    clear = "rgba(0,0,0,0)"
    marked = {
        "type": "scatter", "x": path[0], "y": path[1], "mode": "lines", "name": name,
        "line": {"color": colour, "width": 0 if hatch else 1.5}, "opacity": 0.5 if hatch else 1.0,
        "hoverinfo": "skip", "showlegend": True, "fill": "toself", "fillcolor": clear,
    }  # fmt: skip
    if hatch:
        pattern = {"shape": "/", "size": hatch, "solidity": solidity}
        marked["fillpattern"] = {**pattern, "fgcolor": colour, "bgcolor": clear}
    return marked
