"""Deletion and insertion curves beside the band of random orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.theme import METHOD_COLOURS, Theme
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["CurveSet", "removal_curves"]

_DASHES = ("solid", "dash", "dot", "dashdot")


class CurveSet(Protocol):
    """What is asked of :class:`ecgxai_core.metrics.faithfulness.Curves`."""

    @property
    def share(self) -> FloatArray: ...
    @property
    def deletion(self) -> FloatArray: ...
    @property
    def insertion(self) -> FloatArray: ...
    @property
    def random_low(self) -> FloatArray: ...
    @property
    def random_mean(self) -> FloatArray: ...
    @property
    def random_high(self) -> FloatArray: ...


def removal_curves(curves: Mapping[str, CurveSet], theme: Theme) -> go.Figure:
    """Probability while the record is removed (left) and shown (right), a line a map.

    The band holds the middle 90 % of random orders. A good map falls below it on the left and
    rises above it on the right.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.1,
        subplot_titles=("most important<br>removed first", "most important<br>shown first"),
    )
    any_map = next(iter(curves.values()))
    # inserting in a random order is deleting in one, seen from the other end
    bands = (
        (any_map.random_low, any_map.random_mean, any_map.random_high),
        (any_map.random_low[::-1], any_map.random_mean[::-1], any_map.random_high[::-1]),
    )
    for column, band in enumerate(bands, start=1):
        for trace in _band(any_map.share, band, theme, named=column == 1):
            figure.add_trace(trace, row=1, col=column)
    for number, (name, item) in enumerate(curves.items()):
        for column, line in ((1, item.deletion), (2, item.insertion)):
            figure.add_trace(_line(name, number, item.share, line, column == 1), row=1, col=column)
    figure.update_xaxes(
        title={"text": "share of the record"},
        tickformat=".0%",
        range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["0", "", "50 %", "", "100 %"],
    )
    figure.update_yaxes(range=_reach(curves))
    figure.update_yaxes(title={"text": "probability"}, row=1, col=1)
    styled(figure, theme, height=370)
    figure.update_annotations(font={"size": 12, "color": theme.text})
    figure.update_layout(
        legend={"y": -0.3, "yanchor": "top"}, margin={"l": 8, "r": 16, "t": 58, "b": 8}
    )
    return figure


def _reach(curves: Mapping[str, CurveSet]) -> list[float]:
    """What is drawn, with a margin: at least a tenth high, within 0 to 1.02."""
    lines = [
        line
        for item in curves.values()
        for line in (item.deletion, item.insertion, item.random_low, item.random_high)
    ]
    low, high = min(float(v.min()) for v in lines), max(float(v.max()) for v in lines)
    pad = max(0.05 * (high - low), (0.1 - (high - low)) / 2)
    return [max(0.0, low - pad), min(1.02, high + pad)]


def _band(
    share: FloatArray,
    band: tuple[FloatArray, FloatArray, FloatArray],
    theme: Theme,
    *,
    named: bool,
) -> tuple[Any, ...]:
    import plotly.graph_objects as go

    low, mean, high = band
    common: dict[str, Any] = {"x": share, "mode": "lines", "hoverinfo": "skip"}
    grey = "rgba(128,134,140,0.28)"
    return (
        go.Scatter(y=low, line={"width": 0}, showlegend=False, **common),
        go.Scatter(
            y=high,
            line={"width": 0},
            fill="tonexty",
            fillcolor=grey,
            name="random orders, 5–95 %",
            showlegend=named,
            **common,
        ),
        go.Scatter(
            y=mean,
            line={"width": 1, "color": theme.muted},
            name="random orders, mean",
            showlegend=named,
            **common,
        ),
    )


def _line(name: str, number: int, share: FloatArray, values: FloatArray, named: bool) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=share,
        y=values,
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=named,
        line={
            "color": METHOD_COLOURS[number % len(METHOD_COLOURS)],
            "dash": _DASHES[number % len(_DASHES)],
            "width": 2,
        },
        marker={"size": 5},
        hovertemplate=f"{name}: %{{y:.3f}} at %{{x:.0%}}<extra></extra>",
    )
