"""Charts about a model: ROC, precision-recall, calibration, confusion, training, two models."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import broken, styled
from ecgxai_core.plots.theme import METHOD_COLOURS, Theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "calibration_chart",
    "confusion_chart",
    "precision_recall_chart",
    "probabilities_chart",
    "roc_chart",
    "training_chart",
]

_HEIGHT = 380
_UNIT = {"range": [-0.02, 1.02], "dtick": 0.2, "constrain": "domain"}


def roc_chart(points: pd.DataFrame, area: float, theme: Theme) -> go.Figure:
    """Sensitivity against 1 - specificity; the diagonal is guessing."""
    name = f"ROC, area {area:.3f}" if math.isfinite(area) else "ROC"
    figure = _curve(points, name, theme)
    _guide(figure, (0, 1), (0, 1), "guessing", theme)
    return _square(figure, points.columns, theme)


def precision_recall_chart(
    points: pd.DataFrame, area: float, share: float, theme: Theme
) -> go.Figure:
    """Precision against recall, as steps; the dotted line is the share of records with the class,
    which is what guessing reaches."""
    name = f"precision, mean {area:.3f}" if math.isfinite(area) else "precision"
    figure = _curve(points, name, theme, shape="vh")
    _guide(figure, (0, 1), (share, share), f"guessing, {share:.3f}", theme)
    return _square(figure, points.columns, theme)


def calibration_chart(points: pd.DataFrame, theme: Theme) -> go.Figure:
    """Share of records with the label against mean probability, a dot a bin; area = records."""
    import plotly.graph_objects as go

    largest = max([1, *points["records"]])
    figure = go.Figure()
    figure.add_scatter(
        x=points["mean probability"],
        y=points["share with the label"],
        mode="lines+markers",
        name="bins of 0.1 (dot: records)",
        customdata=points["records"],
        hovertemplate="p %{x:.3f}: %{y:.3f} of %{customdata} records<extra></extra>",
        line={"color": METHOD_COLOURS[0], "width": 1},
        marker={"size": [6 + 18 * math.sqrt(n / largest) for n in points["records"]]},
    )
    _guide(figure, (0, 1), (0, 1), "probabilities at their word", theme)
    return _square(figure, points.columns, theme)


def confusion_chart(counts: Mapping[str, int], threshold: float, theme: Theme) -> go.Figure:
    """Two by two counts at the threshold; shading is the share of each row."""
    import plotly.graph_objects as go

    rows = (
        (counts["true_positives"], counts["false_negatives"]),
        (counts["false_positives"], counts["true_negatives"]),
    )
    shares = [[n / max(sum(row), 1) for n in row] for row in rows]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=["predicted", "not predicted"],
            y=["labelled", "not labelled"],
            zmin=0,
            zmax=1,
            colorscale=[[0, theme.paper], [1, METHOD_COLOURS[0]]],
            showscale=False,
            opacity=0.75,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
        )
    )
    for y, row in enumerate(rows):
        for x, n in enumerate(row):
            figure.add_annotation(
                x=x,
                y=y,
                text=f"<b>{n}</b><br>{shares[y][x]:.0%}",
                showarrow=False,
                font={"size": 15, "color": theme.text},
            )
    styled(figure, theme, height=_HEIGHT)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, side="top", title=None)
    figure.add_annotation(
        x=0.5, y=0, xref="paper", yref="paper", yanchor="top", yshift=-8, showarrow=False,
        text=f"present from a probability of {threshold:.3f}",
        font={"size": 12, "color": theme.muted},
    )  # fmt: skip
    return figure


def training_chart(curves: Sequence[Any], metric: str, theme: Theme) -> go.Figure:
    """A metric over epochs, a line a run (``models.runs_curves.Curve``)."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, curve in enumerate(curves):
        figure.add_scatter(
            x=list(curve.epochs),
            y=list(curve.values),
            mode="lines+markers",
            name=_plain(curve.title),
            line={"color": METHOD_COLOURS[number % len(METHOD_COLOURS)], "width": 1.5},
            marker={"size": 5},
        )
    styled(figure, theme, height=_HEIGHT)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=metric.replace("_", " "))
    return figure


def probabilities_chart(
    frame: pd.DataFrame, names: tuple[str, str], theme: Theme, most: int = 12
) -> go.Figure:
    """Probabilities of two models for the classes they share, a dumbbell a class.

    ``frame`` has ``class``, ``first`` and ``second``; the classes of largest probability are drawn.
    """
    import plotly.graph_objects as go

    top = frame.assign(largest=frame[["first", "second"]].max(axis=1))
    top = top.sort_values("largest", ascending=False, kind="stable").head(most).iloc[::-1]
    top["class"] = [broken(_plain(str(name)), 28) for name in top["class"]]
    figure = go.Figure()
    xs: list[Any] = []
    ys: list[Any] = []
    for name, first, second in zip(top["class"], top["first"], top["second"], strict=True):
        xs += [first, second, None]
        ys += [name, name, None]
    figure.add_scatter(
        x=xs, y=ys, mode="lines", line={"color": theme.muted, "width": 2}, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
    for column, name, symbol, colour in (
        ("first", names[0], "circle", METHOD_COLOURS[0]),
        ("second", names[1], "diamond", METHOD_COLOURS[1]),
    ):
        figure.add_scatter(
            x=top[column],
            y=top["class"],
            mode="markers",
            name=_plain(name),
            marker={"size": 11, "symbol": symbol, "color": colour},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    styled(figure, theme, height=max(260, 110 + 34 * len(top)))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="probability", range=[-0.02, 1.02])
    return figure


def _plain(text: str) -> str:
    """Text that Plotly shows as it is; it would read some tags."""
    return html.escape(text, quote=False)


def _curve(points: pd.DataFrame, name: str, theme: Theme, shape: str = "linear") -> go.Figure:
    import plotly.graph_objects as go

    x, y = points.columns
    return go.Figure(
        go.Scatter(
            x=points[x],
            y=points[y],
            mode="lines",
            name=name,
            line={"color": METHOD_COLOURS[0], "width": 2, "shape": shape},
        )
    )


def _guide(
    figure: go.Figure, x: Sequence[float], y: Sequence[float], name: str, theme: Theme
) -> None:
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        name=name,
        line={"color": theme.muted, "width": 1.2, "dash": "dot"},
        hoverinfo="skip",
    )


def _square(figure: go.Figure, titles: Any, theme: Theme) -> go.Figure:
    styled(figure, theme, height=_HEIGHT)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=titles[0], **_UNIT)
    figure.update_yaxes(title_text=titles[1], **_UNIT)
    return figure
