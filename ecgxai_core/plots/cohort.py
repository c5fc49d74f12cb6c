"""Mean maps of cohorts by wave and lead, side by side, with the cells in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.pdf import drawing, figure_svg
from ecgxai_core.plots.theme import DIVERGING, LIGHT, Theme
from ecgxai_core.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["cohort_chart", "cohort_svg"]

_ROW, _TITLE = 30, 62  # of the chart, px: one wave, and what stands around a panel


def cohort_chart(
    panels: Mapping[str, FloatArray],
    waves: Sequence[str],
    leads: Sequence[str],
    theme: Theme,
    marked: Mapping[str, BoolArray] = {},
) -> go.Figure:
    """:func:`cohort_svg` for the screen: numbers are % of the map, and have no colour bar."""
    from plotly.subplots import make_subplots

    top = _top(panels)
    figure = make_subplots(
        rows=len(panels), cols=1, subplot_titles=list(panels),
        vertical_spacing=_TITLE / (len(panels) * (_ROW * len(waves) + _TITLE)),
    )  # fmt: skip
    middle = [[0, theme.against], [0.5, theme.paper], [1, theme.in_favour]]
    for row, (title, values) in enumerate(panels.items(), start=1):
        figure.add_heatmap(
            row=row, col=1, x=list(leads), y=list(waves), z=100 * values, zmin=-100 * top,
            zmax=100 * top, colorscale=middle, showscale=False, xgap=2, ygap=2, opacity=0.85,
            texttemplate="%{z:.1f}", textfont={"size": 11, "color": theme.text},
            hovertemplate="%{y} in %{x}: %{z:.2f} %<extra></extra>",
        )  # fmt: skip
        frame: dict[str, Any] = {"color": theme.text, "width": 2}
        for at, lead in np.argwhere(marked.get(title, np.zeros(values.shape, bool))):
            figure.add_shape(
                row=row, col=1, type="rect", x0=lead - 0.47, x1=lead + 0.47, y0=at - 0.45,
                y1=at + 0.45, line=frame,
            )  # fmt: skip
    styled(figure, theme, height=len(panels) * (_ROW * len(waves) + _TITLE) + 20)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=0)
    return figure.update_annotations(x=0, xanchor="left", font={"size": 12})


def _top(panels: Mapping[str, FloatArray]) -> float:
    """The largest |share|, at which the colours end."""
    return max((float(np.abs(values).max()) for values in panels.values()), default=0.0) or 1.0


def cohort_svg(
    panels: Mapping[str, FloatArray],
    waves: Sequence[str],
    leads: Sequence[str],
    marked: Mapping[str, BoolArray] = {},
) -> bytes:
    """One heat map per title, ``float64[wave, lead]`` of signed shares, on one colour scale.

    ``marked`` are cells that get a frame, by title.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("signed", DIVERGING)
    top = _top(panels)
    with drawing():
        size = (9.0, 0.5 + 2.3 * len(panels))
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for place, (title, values) in zip(axes, panels.items(), strict=True):
            drawn = place.imshow(values, cmap=colours, vmin=-top, vmax=top, aspect="auto")
            place.set_xticks(range(len(leads)), leads, fontsize=8)
            place.set_yticks(range(len(waves)), waves, fontsize=8)
            place.tick_params(length=0)
            place.set_title(title, fontsize=9, loc="left", parse_math=False, color=LIGHT.text)
            for row, column in np.ndindex(values.shape):
                strong = abs(values[row, column]) > 0.6 * top
                place.text(
                    column, row, f"{100 * values[row, column]:.1f}", ha="center", va="center",
                    fontsize=6.5, color="white" if strong else LIGHT.text,
                )  # fmt: skip
            for row, column in np.argwhere(marked.get(title, np.zeros(values.shape, bool))):
                corner = (column - 0.47, row - 0.45)
                place.add_patch(
                    Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=LIGHT.text, linewidth=1.4)
                )
        figure.colorbar(drawn, ax=axes, shrink=0.6, pad=0.01).set_label("share", fontsize=8)
        return figure_svg(figure)
