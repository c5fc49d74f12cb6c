"""Charts of numbers: rankings, distributions, intervals and paired comparisons.

Every builder takes plain values (tables, mappings) and gives a Plotly figure. What a number must be
judged against - a random map, an empty map, the best possible - is drawn beside it with a mark of
its own shape, so that it does not depend on colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.theme import METHOD_COLOURS, Theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "MARKS",
    "box_plots",
    "broken",
    "grouped_bars",
    "interval_plot",
    "lead_bars",
    "paired_plot",
    "styled",
]

MARKS: Mapping[str, tuple[str, str]] = {
    "random": ("x-thin-open", "random map"),
    "empty": ("circle-open", "empty map"),
    "ceiling": ("line-ew-open", "best possible"),
}
"""Column -> (symbol, name) of what a score is judged against."""


def lead_bars(rows: Sequence[Mapping[str, Any]], top: Sequence[str], theme: Theme) -> go.Figure:
    """Leads by their share of the map: evidence for the target to the right, against to the left.

    Parameters
    ----------
    rows
        As :func:`ecgxai_core.plots.words.lead_ranking` gives them.
    top
        Leads named in the ranking; their names are bold.
    theme
        Colours.
    """
    import plotly.graph_objects as go

    order = list(reversed(rows))
    names = [f"<b>{row['lead']}</b>" if row["lead"] in top else row["lead"] for row in order]
    bars = []
    for label, colour, sign in (("for", theme.in_favour, 1), ("against", theme.against, -1)):
        parts = [_part(row, sign) for row in order]
        bars.append(
            {
                "type": "bar",
                "x": parts,
                "y": names,
                "orientation": "h",
                "name": label,
                "marker": {"color": colour, "pattern": {"shape": "" if sign > 0 else "/"}},
                "customdata": [abs(part) for part in parts],
                "hovertemplate": f"%{{y}} {label}: %{{customdata:.1%}} of the map<extra></extra>",
            }
        )
    layout = _style(theme, 21 * len(order) + 110) | {"barmode": "relative", "bargap": 0.25}
    x_title = {**_axis(theme)["title"], "text": "share of the sum of |weight|"}
    layout |= {
        "xaxis": {**_axis(theme), "title": x_title, "tickformat": ".0%"},
        "yaxis": _axis(theme),
    }
    # unchecked, as the ECG paper: it is drawn anew at every move of a slider
    return go.Figure(bars, layout, _validate=False)


def _part(row: Mapping[str, Any], sign: int) -> float:
    """Signed share of a lead that speaks for (1) or against (-1) the target."""
    inside = row["for_share"] if row["share"] > 0 else 0.0
    return float(sign * row["share"] * (inside if sign > 0 else 1 - inside))


def box_plots(
    frame: pd.DataFrame, metric: str, title: str, theme: Theme, *, by: str = "target_name"
) -> go.Figure:
    """Values of one metric by group and method: a box, every record as a point, and marks.

    Parameters
    ----------
    frame
        One row a record and method, columns ``by``, ``method``, ``record``, the metric, and its
        ``_random``, ``_empty``, ``_ceiling`` where it has some (their means are marked).
    metric, title
        Column, and its name for people.
    theme
        Colours.
    by
        Column of the groups on the horizontal axis.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (method, rows) in enumerate(frame.groupby("method", sort=True)):
        figure.add_trace(
            go.Box(
                x=rows[by],
                y=rows[metric],
                name=str(method),
                offsetgroup=str(method),
                text=rows["record"],
                boxpoints="all",
                jitter=0.4,
                pointpos=0,
                marker={"color": METHOD_COLOURS[number % len(METHOD_COLOURS)], "size": 5},
                line={"width": 1.2},
                hovertemplate="%{text}: %{y:.3f}<extra>" + str(method) + "</extra>",
            )
        )
    _mark_groups(figure, frame, metric, by, theme)
    figure.update_layout(boxmode="group", boxgap=0.35, boxgroupgap=0.25)
    figure.update_xaxes(categoryorder="category ascending")
    figure.update_yaxes(title={"text": title})
    return styled(figure, theme, height=420)


def interval_plot(summary: pd.DataFrame, title: str, theme: Theme) -> go.Figure:
    """Means with confidence intervals by class (rows) and method (colours), and marks.

    Parameters
    ----------
    summary
        Rows of one metric with ``target_name``, ``method``, ``n``, ``mean``, ``ci_low``,
        ``ci_high``, ``random``, ``empty``, ``ceiling``.
    title
        Name of the metric for people.
    theme
        Colours.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    classes = sorted(summary["target_name"].unique(), reverse=True)
    methods = sorted(summary["method"].unique())
    place = {name: row for row, name in enumerate(classes)}
    step = 0.5 / max(1, len(methods))
    for number, method in enumerate(methods):
        rows = summary[summary["method"] == method]
        y = [place[n] - step * (number - (len(methods) - 1) / 2) for n in rows["target_name"]]
        figure.add_trace(
            go.Scatter(
                x=rows["mean"],
                y=y,
                mode="markers",
                name=str(method),
                marker={"color": METHOD_COLOURS[number % len(METHOD_COLOURS)], "size": 8},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (rows["ci_high"] - rows["mean"]).fillna(0),
                    "arrayminus": (rows["mean"] - rows["ci_low"]).fillna(0),
                    "thickness": 1.5,
                },
                customdata=rows[["target_name", "n"]],
                hovertemplate="%{customdata[0]}: %{x:.3f} (n = %{customdata[1]})"
                f"<extra>{method}</extra>",
            )
        )
    for side in MARKS:
        if side in summary and summary[side].notna().any():
            means = summary.groupby("target_name")[side].mean()
            figure.add_trace(_marks(list(means), [place[n] for n in means.index], side, theme))
    figure.update_yaxes(
        tickvals=list(place.values()), ticktext=[broken(name) for name in place], zeroline=False
    )
    figure.update_xaxes(title={"text": title})
    return styled(figure, theme, height=max(260, 64 * len(classes) + 150))


def paired_plot(frame: pd.DataFrame, one: str, other: str, title: str, theme: Theme) -> go.Figure:
    """Two methods on the same records: above the diagonal the second is higher.

    ``frame`` has columns ``record``, ``target_name``, and one named like each method.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    symbols = ("circle", "square", "diamond", "triangle-up", "cross")
    for number, (name, rows) in enumerate(frame.groupby("target_name", sort=True)):
        figure.add_trace(
            go.Scatter(
                x=rows[one],
                y=rows[other],
                mode="markers",
                name=broken(str(name)),
                text=rows["record"],
                marker={
                    "color": METHOD_COLOURS[number % len(METHOD_COLOURS)],
                    "symbol": symbols[number % len(symbols)],
                    "size": 8,
                    "opacity": 0.85,
                },
                hovertemplate=f"%{{text}}<br>{one} %{{x:.3f}}, {other} %{{y:.3f}}<extra></extra>",
            )
        )
    low = float(frame[[one, other]].min().min())
    high = float(frame[[one, other]].max().max())
    edge = 0.05 * (high - low or 1.0)
    ends = [low - edge, high + edge]
    figure.add_shape(
        type="line",
        x0=ends[0],
        y0=ends[0],
        x1=ends[1],
        y1=ends[1],
        line={"color": theme.muted, "dash": "dot", "width": 1},
        layer="below",
    )
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
    """Bars side by side, with their numbers, and the chance level as a dotted line.

    ``values`` is column -> legend; the second and later bars are hatched, to survive greyscale.
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
    """Colours, margins and a legend above the chart, where it also fits on a phone."""
    axes = {name for name in figure.layout if name.startswith(("xaxis", "yaxis"))}
    figure.update_layout(
        **dict.fromkeys(sorted(axes | {"xaxis", "yaxis"}), _axis(theme)), **_style(theme, height)
    )
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
    """What all charts share beside their axes."""
    return {
        "height": height,
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "font": {"color": theme.text, "size": 12},
        "margin": {"l": 8, "r": 12, "t": 44, "b": 8},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "yref": "paper",
        },
        "uirevision": "chart",
    }


def _mark_groups(
    figure: go.Figure, frame: pd.DataFrame, metric: str, by: str, theme: Theme
) -> None:
    """Mean random, empty and best scores of every group, over its boxes."""
    import pandas as pd

    for side in MARKS:
        column = f"{metric}_{side}"
        if column not in frame:
            continue
        numbers = frame.assign(**{column: pd.to_numeric(frame[column])})
        means = numbers.groupby(by)[column].mean().dropna()
        if len(means):
            figure.add_trace(_marks(list(means.index), list(means), side, theme))


def _marks(x: Sequence[Any], y: Sequence[Any], side: str, theme: Theme) -> Any:
    import plotly.graph_objects as go

    symbol, name = MARKS[side]
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 13, "color": theme.text, "line": {"width": 2}},
        hovertemplate=f"{name}<extra></extra>",
    )


def broken(text: str, width: int = 22) -> str:
    """A long name on several lines, as Plotly breaks them."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)
