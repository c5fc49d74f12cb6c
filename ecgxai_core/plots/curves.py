"""Deletion and insertion curves with the band of random orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.theme import Theme, method_colour
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ecgxai_core.metrics.base import Curves

__all__ = ["removal_curves"]

_DASHES = ("solid", "dash", "dot", "dashdot")


def removal_curves(curves: Mapping[str, Curves], theme: Theme) -> go.Figure:
    """Probability during deletion (left) and insertion (right), one line per map.

    The band contains the middle 90 % of random maps (random orders of the cells). A good map lies
    below it on the left and above it on the right.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        1, 2, shared_yaxes=True, horizontal_spacing=0.1,
        subplot_titles=("most important<br>removed first", "most important<br>shown first"),
    )  # fmt: skip
    any_map = next(iter(curves.values()))
    band = (any_map.random_low, any_map.random_mean, any_map.random_high)
    figure.add_traces(_band(any_map.share, band, theme, named=True), 1, 1)
    # Insertion in random order is deletion in random order, reversed.
    low, mean, high = (line[::-1] for line in band)
    figure.add_traces(_band(any_map.share, (low, mean, high), theme, named=False), 1, 2)
    for number, (name, item) in enumerate(curves.items()):
        for column, line in ((1, item.deletion), (2, item.insertion)):
            figure.add_scatter(
                x=item.share, y=line, mode="lines+markers", name=name, legendgroup=name,
                showlegend=column == 1, marker={"size": 5}, row=1, col=column,
                line={"color": method_colour(number), "dash": _DASHES[number % 4], "width": 2},
                hovertemplate=f"{name}: %{{y:.3f}} at %{{x:.0%}}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(
        title={"text": "share of the record"}, tickformat=".0%", range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1], ticktext=["0", "", "50 %", "", "100 %"],
    )  # fmt: skip
    figure.update_yaxes(range=_reach(curves))
    figure.update_yaxes(title={"text": "probability"}, row=1, col=1)
    styled(figure, theme, height=370)
    figure.update_annotations(font={"size": 12, "color": theme.text})
    figure.update_layout(
        legend={"y": -0.3, "yanchor": "top"}, margin={"l": 8, "r": 16, "t": 58, "b": 8}
    )
    return figure


def _reach(curves: Mapping[str, Curves]) -> list[float]:
    """Range of the y axis: the curves with a margin, at least 0.1 wide, within [0, 1.02]."""
    lines = [
        line
        for item in curves.values()
        for line in (item.deletion, item.insertion, item.random_low, item.random_high)
    ]
    low, high = min(float(v.min()) for v in lines), max(float(v.max()) for v in lines)
    pad = max(0.05 * (high - low), (0.1 - (high - low)) / 2)
    return [max(0.0, low - pad), min(1.02, high + pad)]


def _band(
    share: FloatArray, band: tuple[FloatArray, FloatArray, FloatArray], theme: Theme, *, named: bool
) -> list[dict[str, Any]]:
    low, mean, high = band
    common = {"type": "scatter", "x": share, "mode": "lines", "hoverinfo": "skip"}
    return [
        {**common, "y": low, "line": {"width": 0}, "showlegend": False},
        {
            **common, "y": high, "line": {"width": 0}, "fill": "tonexty", "showlegend": named,
            "fillcolor": "rgba(128,134,140,0.28)", "name": "random maps, 5–95 %",
        },
        {
            **common, "y": mean, "line": {"width": 1, "color": theme.muted}, "showlegend": named,
            "name": "random map, mean",
        },
    ]  # fmt: skip
