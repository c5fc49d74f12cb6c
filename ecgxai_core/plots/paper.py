"""A 12-lead ECG on ECG paper, with an explanation over it, as one light Plotly figure.

Conventions: Kligfield et al., AHA/ACC/HRS recommendations part I, Circulation 2007;115:1306:
25 mm/s and 10 mm/mV, small boxes 40 ms x 0.1 mV, large boxes 200 ms x 0.5 mV, calibration pulse
10 mm high and 200 ms wide. A screen's millimetres are unknowable, so the aspect is locked and the
pulse drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.layout import Panel, panels
from ecgxai_core.plots.overlay import overlay_traces
from ecgxai_core.plots.theme import LIGHT, Theme
from ecgxai_core.types import Attribution, Float32Array, FloatArray, FusedMap, Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["PaperStyle", "ecg_figure", "thinned"]

POINTS_PER_LEAD = 1200
_MARGIN_SEC = 0.5


@dataclass(frozen=True, slots=True)
class PaperStyle:
    """How an ECG is put on paper; none of it touches what the model sees."""

    layout: str = "3x4+II"
    cabrera: bool = False
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    filter_text: str = "display unfiltered; model input as in its manifest"
    theme: Theme = LIGHT


def ecg_figure(
    record: Record,
    style: PaperStyle,
    *,
    start: float = 0.0,
    stop: float | None = None,
    overlay: Attribution | FusedMap | None = None,
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
        Density (weight per second) at which the colour is full; ``None`` = the map's own largest.
        Give one scale to panels that are compared.
    """
    import plotly.graph_objects as go

    end = min(record.duration, stop if stop is not None else record.duration)
    places = panels(style.layout, record.leads, start, end, cabrera=style.cabrera)
    figure = go.Figure()
    if overlay is not None:
        figure.add_traces(overlay_traces(overlay, places, style.theme, scale))
    for panel in places:
        x, y = thinned(record, panel)
        figure.add_trace(
            go.Scatter(
                x=_compact(x),
                y=_compact(y * panel.flip * style.gain_mm_mv / 10 + panel.offset),
                mode="lines",
                line={"color": style.theme.trace, "width": 1},
                name=panel.label,
                hovertemplate=f"{panel.label}  %{{x:.3f}} s<extra></extra>",
                showlegend=False,
            )
        )
    figure.add_trace(_pulse(places, start, style))
    _finish(figure, places, start, end, style, overlay is not None)
    return figure


def thinned(record: Record, panel: Panel) -> tuple[FloatArray, FloatArray]:
    """Seconds and mV of one panel, thinned to what a screen can show (MinMaxLTTB).

    Van der Donckt et al. 2022, "MinMaxLTTB", arXiv 2305.00332: first and last sample and all
    visible extremes stay.
    """
    first = round(panel.start * record.fs)
    last = min(record.n_samples, round(panel.stop * record.fs))
    values = record.signal[record.leads.index(panel.lead), first:last]
    times = np.arange(first, last) / record.fs
    if len(values) <= POINTS_PER_LEAD or not np.all(np.isfinite(values)):
        return times, values.astype(np.float64)
    from tsdownsample import MinMaxLTTBDownsampler

    keep = MinMaxLTTBDownsampler().downsample(values, n_out=POINTS_PER_LEAD)
    return times[keep], values[keep].astype(np.float64)


def _compact(values: FloatArray) -> Float32Array:
    """Half the bytes on the wire; float32 resolves a microsecond and a nanovolt here."""
    return values.astype(np.float32)


def _pulse(places: tuple[Panel, ...], start: float, style: PaperStyle) -> Any:
    """Calibration pulses of 1 mV and 200 ms (at 25 mm/s: 5 mm wide) before every row."""
    import plotly.graph_objects as go

    width = 5.0 / style.speed_mm_s
    height = style.gain_mm_mv / 10
    x0 = start - 0.4
    xs: list[float | None] = []
    ys: list[float | None] = []
    for offset in sorted({panel.offset for panel in places}):
        xs += [x0 - 0.04, x0, x0, x0 + width, x0 + width, x0 + width + 0.04, None]
        ys += [offset, offset, offset + height, offset + height, offset, offset, None]
    return go.Scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"color": style.theme.trace, "width": 1},
        hoverinfo="skip",
        showlegend=False,
        name="calibration 1 mV, 200 ms",
    )


def _finish(
    figure: go.Figure,
    places: tuple[Panel, ...],
    start: float,
    end: float,
    style: PaperStyle,
    overlaid: bool,
) -> None:
    """Grid, locked aspect, lead labels and scale text."""
    theme = style.theme
    small = theme.overlay_grid_small if overlaid else theme.grid_small
    large = theme.overlay_grid_large if overlaid else theme.grid_large
    top = max(panel.offset + panel.height * 0.75 for panel in places)
    bottom = min(panel.offset for panel in places) - places[0].height * 0.6
    box_x = 5.0 / style.speed_mm_s  # a large box is 5 mm wide and high, whatever the scale
    grid: dict[str, Any] = {
        "showgrid": True,
        "gridcolor": large,
        "gridwidth": 0.8,
        "zeroline": False,
        "constrain": "domain",
    }
    figure.update_xaxes(
        **grid,
        dtick=box_x,
        tick0=0,
        minor={"dtick": box_x / 5, "showgrid": True, "gridcolor": small, "gridwidth": 0.4},
        range=[start - _MARGIN_SEC, end + 0.05],
        tickvals=None,
        showticklabels=False,
        ticks="",
    )
    figure.update_yaxes(
        **grid,
        dtick=0.5,
        tick0=0,
        minor={"dtick": 0.1, "showgrid": True, "gridcolor": small, "gridwidth": 0.4},
        range=[bottom, top],
        scaleanchor="x",
        scaleratio=10.0 / style.speed_mm_s,
        showticklabels=False,
        ticks="",
        fixedrange=False,
    )
    for panel in places:
        figure.add_annotation(
            x=panel.start,
            y=panel.offset + panel.height * 0.36,
            text=f"<b>{panel.label}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"size": 12, "color": theme.text},
        )
    scale_text = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV; {style.filter_text}"
    figure.add_annotation(
        x=0,
        y=0,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="top",
        yshift=-6,
        text=scale_text,
        showarrow=False,
        font={"size": 11, "color": theme.muted},
    )
    figure.update_layout(
        paper_bgcolor=theme.paper,
        plot_bgcolor=theme.paper,
        margin={"l": 8, "r": 8, "t": 8, "b": 30},
        font={"color": theme.text},
        dragmode="zoom",
        hovermode="closest",
        uirevision="paper",
    )
