"""Dose-response curves: probabilities against the size of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.theme import Theme, method_colour
from ecgxai_core.types import Float32Array, FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Dose", "dose_chart"]


@dataclass(frozen=True, slots=True)
class Dose:
    """What a dose-response chart shows.

    Attributes
    ----------
    title
        Of the change, with its unit.
    sizes
        ``float64[n]``, ascending.
    curves
        Name of the class -> ``float32[n]`` probabilities, the target first; NaN = not possible.
    threshold
        From which the target counts as called.
    chosen
        The size that is looked at.
    unusual
        By size, whether the changed record leaves the natural range.
    """

    title: str
    sizes: FloatArray
    curves: Mapping[str, Float32Array]
    threshold: float
    chosen: float
    unusual: Sequence[bool]


def dose_chart(dose: Dose, theme: Theme) -> go.Figure:
    """One line per class, the target's thick; grey where the record is no longer a usual one."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (name, values) in enumerate(dose.curves.items()):
        figure.add_scatter(
            x=dose.sizes, y=values, name=name, mode="lines+markers",
            line={"color": method_colour(number), "width": 3 if number == 0 else 1.5},
            marker={"size": 7 if number == 0 else 4},
            hovertemplate=f"{name}: %{{y:.3f}} at %{{x:g}}<extra></extra>",
        )  # fmt: skip
    for low, high in _stretches(dose.sizes, dose.unusual):
        figure.add_vrect(x0=low, x1=high, fillcolor=theme.muted, opacity=0.15, line_width=0)
    figure.add_hline(
        y=dose.threshold, line={"color": theme.muted, "dash": "dot", "width": 1},
        annotation={"text": "threshold", "font": {"size": 11, "color": theme.muted}},
    )  # fmt: skip
    figure.add_vline(x=dose.chosen, line={"color": theme.text, "width": 1})
    figure.update_xaxes(title={"text": dose.title})
    figure.update_yaxes(title={"text": "probability"}, range=[-0.02, 1.02])
    styled(figure, theme, height=340)
    figure.update_layout(legend={"orientation": "h", "y": -0.25, "yanchor": "top"})
    return figure


def _stretches(sizes: FloatArray, marked: Sequence[bool]) -> list[tuple[float, float]]:
    """Stretches of the axis around marked sizes, half-way to their neighbours."""
    cuts = np.concatenate([sizes[:1], (sizes[1:] + sizes[:-1]) / 2, sizes[-1:]])
    return [(float(cuts[i]), float(cuts[i + 1])) for i, mark in enumerate(marked) if mark]
