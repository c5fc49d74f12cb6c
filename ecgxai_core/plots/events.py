"""The bar under the traces: how much each moment counts, whatever the lead.

For a method with an event game it is that game's value of each segment; for a fused map (which has
no game of its own) it is the sum of the cells over the leads. Up and orange = for, down and purple
= against; heights are shares of the largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgxai_core.plots.theme import AGAINST, FOR, Theme
from ecgxai_core.types import Attribution, FloatArray, FusedMap

__all__ = ["EVENT_ROW_MV", "event_traces", "event_values"]

EVENT_ROW_MV = 1.5
"""Height of the bar's row, in mV at 10 mm/mV."""


def event_values(overlay: Attribution | FusedMap) -> tuple[FloatArray, str]:
    """``float64[segment]`` and what they are, in words."""
    if isinstance(overlay, Attribution) and overlay.event_values is not None:
        return np.asarray(overlay.event_values, np.float64), "event game"
    return np.nansum(overlay.weights.astype(np.float64), axis=0), "sum over leads"


def event_traces(
    overlay: Attribution | FusedMap, top: float, span: tuple[float, float], theme: Theme
) -> list[Any]:
    """Plotly traces of the bar, in the row below ``top`` (mV at 10 mm/mV)."""
    values, name = event_values(overlay)
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    middle, half = top - EVENT_ROW_MV / 2, EVENT_ROW_MV * 0.45
    traces: list[Any] = [
        {
            "type": "scatter",
            "x": list(span),
            "y": [middle, middle],
            "mode": "lines",
            "line": {"color": theme.muted, "width": 0.8},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for side, colour, sign in (("for", FOR, 1), ("against", AGAINST, -1)):
        xs: list[float | None] = []
        ys: list[float | None] = []
        for i, value in enumerate(values):
            left = max(span[0], float(overlay.edges_sec[i]))
            right = min(span[1], float(overlay.edges_sec[i + 1]))
            if value * sign > 0 and left < right:
                end = round(middle + half * float(value) / largest, 4)
                xs += [round(v, 4) for v in (left, left, right, right, left)] + [None]
                ys += [middle, end, end, middle, middle, None]
        if xs:
            traces.append(
                {
                    "type": "scatter",
                    "x": xs,
                    "y": ys,
                    "mode": "lines",
                    "line": {"color": colour, "width": 0.5},
                    "fill": "toself",
                    "fillcolor": colour,
                    "opacity": 0.75,
                    "hoverinfo": "skip",
                    "showlegend": False,
                    "name": f"{name}, {side}",
                }
            )
    traces.append(
        {
            "type": "scatter",
            "x": [span[0] - 0.04],  # beside the bars, under the names of the leads
            "y": [middle],
            "mode": "text",
            "text": ["moments<br>" + name.replace(" ", "<br>", 1)],
            "textposition": "middle left",
            "textfont": {"size": 9, "color": theme.muted},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    )
    return traces
