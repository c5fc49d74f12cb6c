"""Charts of models: ROC, precision-recall, calibration, confusion, training, two models."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import broken, styled, text_grid
from ecgxai_core.plots.theme import METHOD_COLOURS, Theme, method_colour

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
    """Sensitivity against 1 - specificity, with the diagonal as chance level."""
    name = f"ROC, area {area:.2f}" if math.isfinite(area) else "ROC"
    figure = _curve(points, name)
    _guide(figure, (0, 1), "chance", theme)
    return _square(figure, points.columns, theme)


def precision_recall_chart(
    points: pd.DataFrame, area: float, share: float, theme: Theme
) -> go.Figure:
    """Precision against recall, as steps, with the prevalence as chance level (dotted)."""
    name = f"average precision {area:.2f}" if math.isfinite(area) else "precision"
    figure = _curve(points, name, shape="vh")
    _guide(figure, (share, share), f"chance, {share:.2f}", theme)
    return _square(figure, points.columns, theme)


def calibration_chart(points: pd.DataFrame, theme: Theme) -> go.Figure:
    """Observed frequency against mean probability: one dot per bin, with its number of records.

    Bins are not joined: between them nothing is known.
    """
    import plotly.graph_objects as go

    largest = max([1, *points["records"]])
    figure = go.Figure()
    figure.add_scatter(
        x=points["mean probability"], y=points["share with the label"], mode="markers+text",
        name="bins of 0.1, with their records", text=points["records"],
        textposition="middle right", cliponaxis=False, customdata=points["records"],
        hovertemplate="p %{x:.3f}: %{y:.3f} of %{customdata} records<extra></extra>",
        marker={
            "color": METHOD_COLOURS[0],
            "size": [6 + 18 * math.sqrt(n / largest) for n in points["records"]],
        },
    )  # fmt: skip
    _guide(figure, (0, 1), "perfect calibration", theme)
    return _square(figure, points.columns, theme)


def confusion_chart(counts: Mapping[str, int], threshold: float, theme: Theme) -> go.Figure:
    """Confusion matrix at a threshold, shaded by the fraction of each row."""
    rows = (
        (counts["true_positives"], counts["false_negatives"]),
        (counts["false_positives"], counts["true_negatives"]),
    )
    shares = [[n / max(sum(row), 1) for n in row] for row in rows]
    figure = text_grid(
        theme, _HEIGHT, top=True, z=shares,
        text=[[f"<b>{n}</b><br>{n / max(sum(row), 1):.0%}" for n in row] for row in rows],
        textfont={"size": 15, "color": theme.text},
        x=["predicted", "not predicted"], y=["labelled", "not labelled"], zmin=0, zmax=1,
        colorscale=[[0, theme.paper], [1, METHOD_COLOURS[0]]], opacity=0.75, xgap=3, ygap=3,
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_annotation(
        x=0.5, y=0, xref="paper", yref="paper", yanchor="top", yshift=-8, showarrow=False,
        text=f"predicted if the probability is at least {threshold:.2f}",
        font={"size": 12, "color": theme.muted},
    )  # fmt: skip
    return figure


def training_chart(curves: Sequence[Any], metric: str, theme: Theme) -> go.Figure:
    """A metric over epochs, one line per :class:`ecgxai_core.training.figures.Curve`."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, curve in enumerate(curves):
        figure.add_scatter(
            x=list(curve.epochs), y=list(curve.values), mode="lines+markers",
            name=_plain(curve.title), line={"color": method_colour(number), "width": 1.5},
            marker={"size": 5},
        )  # fmt: skip
    styled(figure, theme, height=_HEIGHT)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=metric.replace("_", " "))
    return figure


def probabilities_chart(
    frame: pd.DataFrame, names: tuple[str, str], theme: Theme, most: int = 12
) -> go.Figure:
    """Probabilities of two models for their common classes, one dumbbell per class.

    ``frame`` has ``class``, ``first`` and ``second``; the ``most`` largest probabilities are drawn.
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
            x=top[column], y=top["class"], mode="markers", name=_plain(name),
            marker={"size": 11, "symbol": symbol, "color": colour},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )  # fmt: skip
    styled(figure, theme, height=max(260, 110 + 34 * len(top)))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="probability", range=[-0.02, 1.02])
    return figure


def _plain(text: str) -> str:
    """Text without markup; Plotly would interpret some tags."""
    return html.escape(text, quote=False)


def _curve(points: pd.DataFrame, name: str, shape: str = "linear") -> go.Figure:
    import plotly.graph_objects as go

    x, y = points.columns
    line = {"color": METHOD_COLOURS[0], "width": 2, "shape": shape}
    return go.Figure(go.Scatter(x=points[x], y=points[y], mode="lines", name=name, line=line))


def _guide(figure: go.Figure, y: Sequence[float], name: str, theme: Theme) -> None:
    line = {"color": theme.muted, "width": 1.2, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=list(y), mode="lines", name=name, line=line, hoverinfo="skip")


def _square(figure: go.Figure, titles: Any, theme: Theme) -> go.Figure:
    styled(figure, theme, height=_HEIGHT)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=titles[0], **_UNIT)
    figure.update_yaxes(title_text=titles[1], **_UNIT)
    return figure
