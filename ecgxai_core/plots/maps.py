"""Maps without the paper: leads by time, several on one time axis, with a trace above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.theme import Theme
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["MapPanel", "Trace", "map_panels", "sweep_map"]

_ROW = 15
_TRACE = 90
_SEQUENTIAL = "Cividis"
_LEAST_SPAN = 0.02
"""Of the colours of a sweep: differences far below it must not look like differences."""


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
    marked_sec: tuple[float, float] | None = None,
    x_title: str = "time (s)",
) -> go.Figure:
    """Traces and maps under each other on one shared time axis: zooming one zooms all.

    All maps have one colour scale, -1 to 1. What was not explored is hatched. ``marked_sec`` is
    outlined through all panels (an inserted beat).
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    heights = [_TRACE] * len(traces) + [_ROW * len(panel.leads) for panel in panels]
    gap = 34
    plot = sum(heights) + gap * (len(heights) - 1)
    figure = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=True,
        row_heights=heights,
        vertical_spacing=gap / plot if len(heights) > 1 else 0,
        subplot_titles=[*(t.title for t in traces), *(p.title for p in panels)],
    )
    for row, trace in enumerate(traces, start=1):
        figure.add_trace(
            go.Scatter(
                x=trace.seconds.astype(np.float32),
                y=trace.values.astype(np.float32),
                mode="lines",
                line={"color": theme.trace, "width": 1},
                showlegend=False,
                hoverinfo="skip",
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(title={"text": "mV"}, nticks=4, row=row, col=1)
    for row, panel in enumerate(panels, start=len(traces) + 1):
        for drawn in _drawn(panel, theme, first=row == len(traces) + 1):
            figure.add_trace(drawn, row=row, col=1)
        figure.update_yaxes(
            range=[len(panel.leads) - 0.5, -0.5],
            tickvals=list(range(len(panel.leads))),
            ticktext=list(panel.leads),
            tickfont={"size": 10},
            showgrid=False,
            zeroline=False,
            row=row,
            col=1,
        )
    styled(figure, theme, height=plot + 150)
    figure.update_layout(coloraxis=_colour_axis(theme, plot))
    if marked_sec is not None:
        figure.add_vrect(
            x0=marked_sec[0],
            x1=marked_sec[1],
            row="all",
            col=1,
            line={"color": theme.conflict, "width": 1.5, "dash": "dot"},
            fillcolor="rgba(0,0,0,0)",
        )
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
    """What two parameters do to one measure, as numbers on colour; the best cell is ringed.

    Parameters
    ----------
    x, y
        Name and values of the two parameters.
    values
        ``float64[y value, x value]``; higher is better, NaN = no value.
    title
        Name of the measure for people.
    theme
        Colours.
    chance
        Chance level (NaN = none); it stands under the title, and cells that do not reach it are
        crossed.
    current
        Values of ``x`` and ``y`` that are in force; that cell is outlined where it is in the grid.
    """
    import plotly.graph_objects as go

    names_x, names_y = [_text(v) for v in x[1]], [_text(v) for v in y[1]]
    low, high = _span(values)
    figure = go.Figure(
        go.Heatmap(
            x=names_x,
            y=names_y,
            z=values,
            colorscale=_SEQUENTIAL,
            zmin=low,
            zmax=high,
            text=[[_cell(v, chance) for v in line] for line in values],
            texttemplate="%{text}",
            textfont={"size": 11},
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate=f"{x[0]} %{{x}}, {y[0]} %{{y}}: %{{z:.4f}}<extra></extra>",
        )
    )
    for place, dash, colour in _places(values, x[1], y[1], current, theme):
        figure.add_shape(
            type="rect",
            x0=place[1] - 0.46,
            x1=place[1] + 0.46,
            y0=place[0] - 0.46,
            y1=place[0] + 0.46,
            line={"color": colour, "width": 3, "dash": dash},
        )
    styled(figure, theme, height=36 * max(3, len(names_y)) + 130)
    level = f"chance {chance:.3g}; × = not above it" if np.isfinite(chance) else "no chance level"
    figure.update_xaxes(title={"text": x[0]}, type="category", showgrid=False)
    figure.update_yaxes(title={"text": y[0]}, type="category", showgrid=False)
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 62, "b": 8},
        title={
            "text": f"<b>{title}</b><br>{level}",
            "font": {"size": 12, "color": theme.text},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 22},
        },
        uirevision="sweep",
    )
    return figure


def _span(values: FloatArray) -> tuple[float, float]:
    """Ends of the colours: those of the values, but never closer than :data:`_LEAST_SPAN`."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    spare = max(0.0, _LEAST_SPAN - (high - low)) / 2
    return low - spare, high + spare


def _drawn(panel: MapPanel, theme: Theme, *, first: bool) -> tuple[Any, ...]:
    """A map as a heat map, and hatching over the cells that nobody explored."""
    import plotly.graph_objects as go

    xs, ys = _hatched(panel)
    hatch = go.Scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"width": 0, "color": theme.unexplored},
        fill="toself",
        fillcolor="rgba(0,0,0,0)",
        fillpattern={
            "shape": "/", "size": 6, "solidity": 0.15,
            "fgcolor": theme.unexplored, "bgcolor": "rgba(0,0,0,0)",
        },
        name="not explored",
        showlegend=first and bool(xs),
        hoverinfo="skip",
    )  # fmt: skip
    cells = go.Heatmap(
        x=np.round(panel.edges_sec, 4),
        y=list(range(len(panel.leads))),
        z=np.round(panel.values, 4),
        coloraxis="coloraxis",
        customdata=np.repeat(np.array(panel.leads)[:, None], panel.values.shape[1], axis=1),
        hovertemplate="%{customdata} %{x:.2f} s: %{z:.2f}<extra></extra>",
        name=panel.title,
    )
    return cells, hatch


def _hatched(panel: MapPanel) -> tuple[list[float | None], list[float | None]]:
    """Outlines of the cells without a value, neighbours joined, as one path with gaps."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for row, line in enumerate(np.isnan(panel.values)):
        turns = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
        for begin, end in zip(turns[::2], turns[1::2], strict=True):
            left, right = (round(float(panel.edges_sec[i]), 4) for i in (begin, end))
            xs += [left, right, right, left, left, None]
            ys += [row - 0.5, row - 0.5, row + 0.5, row + 0.5, row - 0.5, None]
    return xs, ys


def _colour_axis(theme: Theme, plot: int) -> dict[str, Any]:
    """One scale for all maps, with its legend in the top right corner."""
    return {
        "cmin": -1,
        "cmax": 1,
        "colorscale": [[0, theme.against], [0.5, theme.paper], [1, theme.in_favour]],
        "colorbar": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1 + 22 / plot,
            "yanchor": "bottom",
            "ypad": 0,
            "len": 0.62,
            "thickness": 8,
            "outlinewidth": 0.5,
            "outlinecolor": theme.muted,
            "tickvals": [-1, 0, 1],
            "ticktext": ["against", "0", "for"],
            "tickfont": {"size": 10},
            "title": {
                "text": "share of largest |attribution| per s",
                "side": "top",
                "font": {"size": 10},
            },
        },
    }


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(value: float, chance: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" + (" ×" if np.isfinite(chance) and value <= chance else "")


def _places(
    values: FloatArray,
    xs: Sequence[Any],
    ys: Sequence[Any],
    current: tuple[Any, Any] | None,
    theme: Theme,
) -> list[tuple[tuple[int, int], str, str]]:
    """Cells to outline: the best (solid), and the one in force (dotted)."""
    found: list[tuple[tuple[int, int], str, str]] = []
    if np.any(np.isfinite(values)):
        row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
        found.append(((int(row), int(column)), "solid", theme.conflict))
    if current is not None and current[0] in xs and current[1] in ys:
        found.append(((ys.index(current[1]), xs.index(current[0])), "dot", theme.text))
    return found
