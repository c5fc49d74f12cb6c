"""Maps as heat maps of leads by time, on a shared time axis with ECG traces above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.charts import styled, text_grid
from ecgxai_core.plots.overlay import box_path, colour_bar, marked_area, runs
from ecgxai_core.plots.theme import Theme
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MapPanel", "Trace", "map_panels", "sweep_map"]

_ROW = 15
_TRACE = 90
_SEQUENTIAL = "Cividis"
_LEAST_SPAN = 0.02
"""Smallest range of a sweep's colours, so that negligible differences look alike."""


@dataclass(frozen=True, slots=True)
class MapPanel:
    """One map: ``values[lead, cell]`` in [-1, 1] (NaN = not explored) on edges in seconds."""

    title: str
    leads: tuple[str, ...]
    edges_sec: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Trace:
    """One lead over time: seconds and mV; NaN breaks the line."""

    title: str
    seconds: FloatArray
    values: FloatArray


def map_panels(
    panels: Sequence[MapPanel],
    theme: Theme,
    *,
    traces: Sequence[Trace] = (),
    x_title: str = "time (s)",
) -> go.Figure:
    """Traces and maps stacked on a shared time axis, so that they zoom together.

    All maps share one colour scale, -1 to 1. Unexplored cells are hatched.
    """
    from plotly.subplots import make_subplots

    heights = [_TRACE] * len(traces) + [_ROW * len(panel.leads) for panel in panels]
    gap = 34
    plot = sum(heights) + gap * (len(heights) - 1)
    figure = make_subplots(
        len(heights), 1, shared_xaxes=True, row_heights=heights,
        vertical_spacing=gap / plot if len(heights) > 1 else 0,
        subplot_titles=[*(t.title for t in traces), *(p.title for p in panels)],
    )  # fmt: skip
    for row, trace in enumerate(traces, start=1):
        figure.add_scatter(
            x=trace.seconds.astype(np.float32), y=trace.values.astype(np.float32), mode="lines",
            line={"color": theme.trace, "width": 1}, showlegend=False, hoverinfo="skip",
            row=row, col=1,
        )  # fmt: skip
        figure.update_yaxes(title={"text": "mV"}, nticks=4, row=row, col=1)
    for row, panel in enumerate(panels, start=len(traces) + 1):
        hatch = _hatch(panel, theme, first=row == len(traces) + 1)
        figure.add_traces([_cells(panel), hatch], rows=row, cols=1)
        figure.update_yaxes(
            range=[len(panel.leads) - 0.5, -0.5], tickvals=list(range(len(panel.leads))),
            ticktext=list(panel.leads), tickfont={"size": 10}, showgrid=False, zeroline=False,
            row=row, col=1,
        )  # fmt: skip
    styled(figure, theme, height=plot + 150)
    bar = colour_bar(theme, 1 + 22 / plot, 0.62)
    bar["colorscale"] = [[0, theme.against], [0.5, theme.paper], [1, theme.in_favour]]
    bar["colorbar"] |= {"ypad": 0}
    figure.update_layout(coloraxis=bar)
    figure.update_xaxes(title={"text": x_title}, row=len(heights), col=1)
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_annotations(font={"size": 12, "color": theme.text}, x=0, xanchor="left")
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 84, "b": 66},
        legend={"y": 0, "yanchor": "bottom", "yref": "container", "x": 0},
        uirevision="maps",
    )
    return figure


def sweep_map(
    x: tuple[str, Sequence[Any]],
    y: tuple[str, Sequence[Any]],
    values: FloatArray,
    title: str,
    theme: Theme,
    *,
    chance: float = float("nan"),
    current: tuple[Any, Any] | None = None,
) -> go.Figure:
    """The effect of two parameters on a measure, as a heat map with the best cell outlined.

    Parameters
    ----------
    x, y
        Name and values of each parameter.
    values
        ``float64[y value, x value]``; higher is better, NaN = no value.
    title
        Name of the measure.
    theme
        Colours.
    chance
        Chance level (NaN = none), given below the title; cells that do not exceed it have a cross.
    current
        Current values of ``x`` and ``y``; their cell is outlined if it is in the grid.
    """
    (name_x, values_x), (name_y, values_y) = x, y
    low, high = _span(values)
    figure = text_grid(
        theme, 36 * max(3, len(values_y)) + 130,
        x=[_text(v) for v in values_x], y=[_text(v) for v in values_y], z=values,
        text=[[_cell(v, chance) for v in line] for line in values], textfont={"size": 11},
        colorscale=_SEQUENTIAL, zmin=low, zmax=high,
        hovertemplate=f"{name_x} %{{x}}, {name_y} %{{y}}: %{{z:.4f}}<extra></extra>",
    )  # fmt: skip
    outlines = []
    if np.any(np.isfinite(values)):
        best = np.unravel_index(int(np.nanargmax(values)), values.shape)
        outlines.append((int(best[1]), int(best[0]), "solid", theme.disagreement))
    if current is not None and current[0] in values_x and current[1] in values_y:
        place = values_x.index(current[0]), values_y.index(current[1])
        outlines.append((*place, "dot", theme.text))
    for column, row, dash, colour in outlines:
        figure.add_shape(
            type="rect", x0=column - 0.46, x1=column + 0.46, y0=row - 0.46, y1=row + 0.46,
            line={"color": colour, "width": 3, "dash": dash},
        )  # fmt: skip
    level = f"chance {chance:.3g}; × = not above it" if np.isfinite(chance) else "no chance level"
    figure.update_xaxes(title={"text": name_x}, type="category", showgrid=False)
    figure.update_yaxes(title={"text": name_y}, type="category", showgrid=False)
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 62, "b": 8},
        title={
            "text": f"<b>{title}</b><br>{level}", "font": {"size": 12, "color": theme.text},
            "x": 0, "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top",
            "pad": {"t": 22},
        },
        uirevision="sweep",
    )  # fmt: skip
    return figure


def _span(values: FloatArray) -> tuple[float, float]:
    """Range of the colours: that of the values, but at least :data:`_LEAST_SPAN`."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    spare = max(0.0, _LEAST_SPAN - (high - low)) / 2
    return low - spare, high + spare


def _cells(panel: MapPanel) -> Any:
    """A map as a heat map."""
    import plotly.graph_objects as go

    return go.Heatmap(
        x=np.round(panel.edges_sec, 4),
        y=list(range(len(panel.leads))),
        z=np.round(panel.values, 4),
        coloraxis="coloraxis",
        customdata=np.repeat(np.array(panel.leads)[:, None], panel.values.shape[1], axis=1),
        hovertemplate="%{customdata} %{x:.2f} s: %{z:.2f}<extra></extra>",
        name=panel.title,
    )


def _hatch(panel: MapPanel, theme: Theme, *, first: bool) -> Any:
    """Hatching over unexplored cells, with adjacent cells joined."""
    edges = [round(float(edge), 4) for edge in panel.edges_sec]
    path = box_path(
        (edges[begin], edges[end], row - 0.5, row + 0.5)
        for row, line in enumerate(np.isnan(panel.values))
        for begin, end in runs(line)
    )
    hatch = marked_area(path, "not explored", theme.unexplored, hatch=6, solidity=0.15)
    return {**hatch, "opacity": 1.0, "showlegend": first and bool(path[0])}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(value: float, chance: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" + (" ×" if np.isfinite(chance) and value <= chance else "")
