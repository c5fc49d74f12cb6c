"""Charts of numbers: rankings, distributions, intervals and paired comparisons.

Every function takes plain values (tables, mappings) and returns a Plotly figure. The references of
a score (random map, empty map, best possible) are drawn as marks of different shapes, so that they
do not rely on colour.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.theme import FONT, METHOD_COLOURS, Theme, method_colour

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "MARKS",
    "box_plots",
    "broken",
    "grouped_bars",
    "interval_plot",
    "paired_plot",
    "styled",
    "text_grid",
]

MARKS: Mapping[str, tuple[str, str]] = {
    "random": ("x-thin-open", "random map"),
    "empty": ("circle-open", "empty map"),
    "amplitude": ("diamond-tall-open", "|amplitude|"),
    "energy": ("star-triangle-up-open", "squared slope"),
    "lead_shuffled": ("hourglass-open", "leads shuffled"),
    "time_shifted": ("triangle-right-open", "half a beat later"),
    "template": ("asterisk-open", "R-peak template"),
    "ceiling": ("line-ew-open", "best possible"),
}
"""Column -> (symbol, name) of what a score stands beside
(:data:`ecgxai_core.metrics.base.SIDE_TITLES`)."""


def box_plots(frame: pd.DataFrame, metric: str, title: str, theme: Theme) -> go.Figure:
    """Box plots of one metric by class and method, with every record as a point.

    Parameters
    ----------
    frame
        One row per record and method, with columns ``target_name``, ``method``, ``record``, the
        metric, and optionally columns of :data:`MARKS` (``<metric>_energy``), whose means over
        records and methods are marked.
    metric, title
        Column, and the name displayed.
    theme
        Colours.
    """
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (method, rows) in enumerate(frame.groupby("method", sort=True)):
        figure.add_box(
            x=rows["target_name"], y=rows[metric], name=str(method), offsetgroup=str(method),
            text=rows["record"], boxpoints="all", jitter=0.4, pointpos=0, line={"width": 1.2},
            marker={"color": method_colour(number), "size": 5},
            hovertemplate="%{text}: %{y:.3f}<extra>" + str(method) + "</extra>",
        )  # fmt: skip
    for side in (side for side in MARKS if f"{metric}_{side}" in frame):
        numbers = pd.to_numeric(frame[f"{metric}_{side}"])
        means = numbers.groupby(frame["target_name"]).mean().dropna()
        _add_marks(figure, list(means.index), list(means), side, theme)
    figure.update_layout(boxmode="group", boxgap=0.35, boxgroupgap=0.25)
    figure.update_xaxes(categoryorder="category ascending")
    figure.update_yaxes(title={"text": title})
    return styled(figure, theme, height=420)


def interval_plot(summary: pd.DataFrame, title: str, theme: Theme) -> go.Figure:
    """Means with confidence intervals by class (rows) and method (colours), with references.

    Parameters
    ----------
    summary
        Rows of one metric with ``target_name``, ``method``, ``n``, ``mean``, ``ci_low``,
        ``ci_high``, and the columns of :data:`MARKS` that there are; without an interval (few
        records) the single ``values``, a text, are drawn where they are given.
    title
        Name of the metric.
    theme
        Colours.
    """
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    classes = sorted(summary["target_name"].unique(), reverse=True)
    methods = sorted(summary["method"].unique())
    place = {name: row for row, name in enumerate(classes)}
    step = 0.5 / max(1, len(methods))
    heights: pd.Series = pd.Series(0.0, index=summary.index)
    for number, method in enumerate(methods):
        rows = summary[summary["method"] == method]
        y = [place[n] - step * (number - (len(methods) - 1) / 2) for n in rows["target_name"]]
        heights.loc[rows.index] = y
        if "values" in rows:
            _add_values(figure, rows["values"], y, method_colour(number))
        figure.add_scatter(
            x=rows["mean"], y=y, mode="markers", name=str(method),
            marker={"color": method_colour(number), "size": 8},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5,
                "array": (rows["ci_high"] - rows["mean"]).fillna(0),
                "arrayminus": (rows["mean"] - rows["ci_low"]).fillna(0),
            },
            customdata=rows[["target_name", "n"]],
            hovertemplate="%{customdata[0]}: %{x:.3f} (%{customdata[1]} records)"
            f"<extra>{method}</extra>",
        )  # fmt: skip
    for side in (side for side in MARKS if side in summary and summary[side].notna().any()):
        known = summary[side].dropna()
        _add_marks(figure, list(known), list(heights[known.index]), side, theme)
    figure.update_yaxes(
        tickvals=list(place.values()), ticktext=[broken(name) for name in place], zeroline=False
    )
    figure.update_xaxes(title={"text": title})
    return styled(figure, theme, height=max(260, 64 * len(classes) + 150))


def _add_values(figure: go.Figure, texts: pd.Series, y: Sequence[float], colour: str) -> None:
    """The single values of records that are too few for an interval, as faint points."""
    points = [
        (float(value), height)
        for text, height in zip(texts, y, strict=True)
        if isinstance(text, str)
        for value in text.split(";")
        if value.strip()
    ]
    if points:
        figure.add_scatter(
            x=[x for x, _ in points], y=[height for _, height in points], mode="markers",
            marker={"color": colour, "size": 6, "symbol": "line-ns-open", "opacity": 0.6},
            showlegend=False, hovertemplate="one record: %{x:.3g}<extra></extra>",
        )  # fmt: skip


def paired_plot(frame: pd.DataFrame, one: str, other: str, title: str, theme: Theme) -> go.Figure:
    """Scores of two methods on the same records; above the diagonal the second is higher.

    ``frame`` has columns ``record``, ``target_name``, and one per method.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    symbols = ("circle", "square", "diamond", "triangle-up", "cross")
    for number, (name, rows) in enumerate(frame.groupby("target_name", sort=True)):
        figure.add_scatter(
            x=rows[one], y=rows[other], mode="markers", name=broken(str(name)),
            text=rows["record"],
            marker={
                "color": method_colour(number), "symbol": symbols[number % len(symbols)],
                "size": 8, "opacity": 0.85,
            },
            hovertemplate=f"%{{text}}<br>{one} %{{x:.3f}}, {other} %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    both = frame[[one, other]]
    low, high = float(both.min().min()), float(both.max().max())
    edge = 0.05 * (high - low or 1.0)
    ends = [low - edge, high + edge]
    figure.add_shape(
        type="line", x0=ends[0], y0=ends[0], x1=ends[1], y1=ends[1], layer="below",
        line={"color": theme.muted, "dash": "dot", "width": 1},
    )  # fmt: skip
    figure.update_xaxes(title={"text": f"{title}: {one}"}, range=ends)
    figure.update_yaxes(title={"text": other}, range=ends)
    return styled(figure, theme, height=420)


def grouped_bars(
    frame: pd.DataFrame,
    names: str,
    values: Mapping[str, str],
    theme: Theme,
    *,
    title: str,
    chance: float | None = None,
) -> go.Figure:
    """Grouped bars with their values, and the chance level as a dotted line.

    ``values`` is column -> legend; bars after the first are hatched, for greyscale printing.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (column, label) in enumerate(values.items()):
        figure.add_bar(
            x=[broken(str(name), 12) for name in frame[names]],
            y=frame[column],
            name=label,
            text=[f"{value:.2f}" if value == value else "" for value in frame[column]],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": METHOD_COLOURS[number],
                "pattern": {"shape": "/" if number else "", "solidity": 0.3},
            },
        )
    if chance is not None:
        line = {"color": theme.text, "dash": "dot", "width": 1}
        figure.add_hline(y=chance, line=line, name=f"chance {chance:g}", showlegend=True)
    figure.update_yaxes(title={"text": title}, range=[0, 1.08])
    figure.update_layout(barmode="group", bargap=0.3)
    return styled(figure, theme, height=360)


def styled(figure: go.Figure, theme: Theme, *, height: int) -> go.Figure:
    """Apply colours, margins, and a legend above the chart, where it also fits on a phone."""
    axes = {name for name in figure.layout if name.startswith(("xaxis", "yaxis"))}
    figure.update_layout(
        **dict.fromkeys(sorted(axes | {"xaxis", "yaxis"}), _axis(theme)), **_style(theme, height)
    )
    return figure


def text_grid(theme: Theme, height: int, *, top: bool = False, **heatmap: Any) -> go.Figure:
    """A heat map with text in its cells; with ``top`` the first row and the names are at the top.

    ``heatmap`` are properties of :class:`plotly.graph_objects.Heatmap`.
    """
    import plotly.graph_objects as go

    look = {"texttemplate": "%{text}", "showscale": False, "xgap": 2, "ygap": 2}
    figure = styled(go.Figure(go.Heatmap(**(look | heatmap))), theme, height=height)
    if top:
        figure.update_yaxes(autorange="reversed", showgrid=False)
        figure.update_xaxes(side="top", showgrid=False, tickangle=0)
    return figure


def _axis(theme: Theme) -> dict[str, Any]:
    return {
        "gridcolor": theme.overlay_grid_large,
        "zerolinecolor": theme.muted,
        "linecolor": theme.muted,
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": 12}},
    }


def _style(theme: Theme, height: int) -> dict[str, Any]:
    """Layout that all charts share, except their axes."""
    return {
        "height": height,
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "font": {"color": theme.text, "size": 13, "family": FONT},
        "margin": {"l": 8, "r": 12, "t": 44, "b": 8},
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom",
            "yref": "paper",
        },
        "uirevision": "chart",
    }  # fmt: skip


def _add_marks(
    figure: go.Figure, x: Sequence[Any], y: Sequence[Any], side: str, theme: Theme
) -> None:
    if not x:
        return
    symbol, name = MARKS[side]
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 11, "color": theme.text, "line": {"width": 1.5}},
        hovertemplate=f"{name}<extra></extra>",
    )


def broken(text: str, width: int = 22) -> str:
    """A long name on several lines, with Plotly's line breaks."""
    return "<br>".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))
