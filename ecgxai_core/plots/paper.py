"""A 12-lead ECG on ECG paper, with explanations over it, as one light Plotly figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.layout import Panel, panels
from ecgxai_core.plots.overlay import colour_bar, overlay_traces
from ecgxai_core.plots.sheet import (
    MARGIN_SEC,
    NARROW_PX,
    PaperStyle,
    lead_label,
    paper_axes,
    pulses,
    scale_note,
    sheet_layout,
)
from ecgxai_core.types import FloatArray, Map, Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["PaperStyle", "ecg_figure", "thinned"]

POINTS_PER_LEAD = 1200
"""About one point per pixel on a wide screen; 12 leads take 0.15 MB in transfer."""
_HEAD, _FOOT, _SECOND_LINE = 58, 50, 34
_LEAST_HEIGHT, _MOST_HEIGHT = 260, 1250


def ecg_figure(
    record: Record,
    style: PaperStyle,
    *,
    start: float = 0.0,
    stop: float | None = None,
    overlay: Map | None = None,
    scale: float | None = None,
) -> go.Figure:
    """Draw a record, and an explanation over it.

    Parameters
    ----------
    record
        Signal in mV.
    style
        Layout, paper speed, gain and colours.
    start, stop
        Part of the record to draw, in seconds.
    overlay
        Attribution or fused map of this record; ``None`` = the plain trace.
    scale
        Density (weight per second) at which the colour saturates; ``None`` = the map's largest.
        Use the same scale for figures that are compared.
    """
    import plotly.graph_objects as go

    end = min(record.duration, stop if stop is not None else record.duration)
    places = panels(style.layout, record.leads, start, end, cabrera=style.cabrera)
    sheet = _Sheet(style, places, overlay, scale)
    notes = [*_notes(sheet), scale_note(style)]
    # Without validation, which takes most of the time; the tests validate these figures.
    layout = {**_page(sheet), **_axes(sheet), "annotations": notes}
    return go.Figure(_traces(record, sheet), layout, _validate=False)


def thinned(
    record: Record, panel: Panel, points: int = POINTS_PER_LEAD
) -> tuple[FloatArray, FloatArray]:
    """Seconds and mV of one panel, downsampled to screen resolution.

    MinMaxLTTB (Van der Donckt et al., arXiv 2305.00332) keeps the first and last sample and all
    visible extremes.
    """
    first = max(0, round(panel.start * record.fs))
    last = min(record.n_samples, round(panel.stop * record.fs))
    values = record.signal[record.leads.index(panel.lead), first:last]
    times = np.arange(first, last) / record.fs
    if len(values) <= points or not np.all(np.isfinite(values)):
        return times, values.astype(np.float64)
    from tsdownsample import MinMaxLTTBDownsampler

    keep = MinMaxLTTBDownsampler().downsample(values, n_out=points)
    return times[keep], values[keep].astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A sheet of paper: how it looks, its panels, and the map over them."""

    style: PaperStyle
    places: tuple[Panel, ...]
    overlay: Map | None
    scale: float | None

    @property
    def span(self) -> tuple[float, float]:
        """Start and end of the time axis, s."""
        return min(p.start for p in self.places), max(p.stop for p in self.places)

    @property
    def reach(self) -> list[float]:
        """Lowest and highest value of the y axis, mV at 10 mm/mV."""
        height = self.places[0].height
        low, high = min(p.offset for p in self.places), max(p.offset for p in self.places)
        return [low - height * 0.6, high + height * 0.75]


def _traces(record: Record, sheet: _Sheet) -> list[Any]:
    """The overlay (drawn first, so it lies below), traces and pulses."""
    style, places = sheet.style, sheet.places
    traces = []
    if sheet.overlay is not None:
        traces = overlay_traces(sheet.overlay, places, style.theme, sheet.scale)
    for panel in places:
        x, y = thinned(record, panel)
        y = y * panel.flip * style.gain_mm_mv / 10 + panel.offset
        # float32 halves the transfer and still resolves a microsecond and a nanovolt.
        traces.append({
            "type": "scatter", "x": x.astype(np.float32), "y": y.astype(np.float32),
            "mode": "lines", "line": {"color": style.theme.trace, "width": 1},
            "name": panel.label, "showlegend": False,
            "hovertemplate": f"{panel.label}  %{{x:.3f}} s<extra></extra>",
        })  # fmt: skip
    traces.append(pulses(sorted({p.offset for p in places}), sheet.span[0] - 0.36, style))
    return traces


def _page(sheet: _Sheet) -> dict[str, Any]:
    """Size, margins and legend of the figure."""
    style, (start, end), (low, high) = sheet.style, sheet.span, sheet.reach
    mm_wide = (end - start + MARGIN_SEC + 0.05) * style.speed_mm_s
    overlaid = sheet.overlay is not None
    narrow = overlaid and style.width_px < NARROW_PX
    top = _HEAD + (_SECOND_LINE if narrow else 0)
    height = style.width_px * (high - low) * 10 / mm_wide + top + _FOOT
    height = int(min(_MOST_HEIGHT, max(_LEAST_HEIGHT, height)))
    plot = height - top - _FOOT
    layout = sheet_layout(style, height, top, _FOOT, 1)
    layout |= {"uirevision": "paper"}
    if overlaid:
        bar_y = 1 + (24 if narrow else 0) / plot
        layout["coloraxis"] = colour_bar(style.theme, bar_y, 0.7 if narrow else 0.42)
    return layout


def _axes(sheet: _Sheet) -> dict[str, Any]:
    """Grid and locked aspect."""
    style, (start, end) = sheet.style, sheet.span
    x_range = [start - MARGIN_SEC, end + 0.05]
    x, y = paper_axes(style, x_range, sheet.reach, overlaid=sheet.overlay is not None)
    boxes_per_sec = round(style.speed_mm_s / 5.0)
    x |= {
        "domain": [0, 1],
        "anchor": "y",
        "showticklabels": True,
        "ticklabelstep": boxes_per_sec * max(1, round((end - start) / 14)),
        "tickfont": {"size": 10, "color": style.theme.muted},
        "ticksuffix": " s",
    }
    return {"xaxis": x, "yaxis": y | {"scaleanchor": "x", "anchor": "x"}}


def _notes(sheet: _Sheet) -> list[dict[str, Any]]:
    """Lead labels."""
    start, theme = sheet.span[0], sheet.style.theme
    notes: list[dict[str, Any]] = []
    for panel in sheet.places:
        # Under the pulse in the first column, where there is no trace; else at the panel's start.
        x, y = panel.start, panel.offset + panel.height * 0.48
        if panel.start == start:
            x, y = start - MARGIN_SEC + 0.04, panel.offset - 0.08
        notes.append({**lead_label(panel.label, x, y, theme), "xref": "x", "yref": "y"})
    return notes
