"""A 12-lead ECG on ECG paper, with explanations over it, as one light Plotly figure.

Conventions: Kligfield et al., AHA/ACC/HRS recommendations part I, Circulation 2007;115:1306:
25 mm/s and 10 mm/mV, small boxes 40 ms x 0.1 mV, large boxes 200 ms x 0.5 mV, calibration pulse
10 mm high and 200 ms wide. A screen's millimetres are unknowable, so the aspect is locked and the
pulse drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.events import event_traces
from ecgxai_core.plots.layout import Panel, panels
from ecgxai_core.plots.overlay import colour_bar, full_scale, overlay_traces
from ecgxai_core.plots.theme import LIGHT, Theme
from ecgxai_core.types import Attribution, Float32Array, FloatArray, FusedMap, Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["PaperStyle", "comparison_figure", "ecg_figure", "part_shown", "thinned"]

Map = Attribution | FusedMap

POINTS_PER_LEAD = 1200
"""About one point a pixel on a wide screen; 12 leads of it are 0.15 MB on the wire."""
_MARGIN_SEC = 0.62
_HEAD, _FOOT, _TITLE = 58, 50, 22
_NARROW, _SECOND_LINE = 500, 34
"""On narrower sheets (px) the colour bar stands above the other legend, not beside it."""
_LEAST_HEIGHT, _MOST_HEIGHT = 260, 1250


@dataclass(frozen=True, slots=True)
class PaperStyle:
    """How an ECG is put on paper; none of it touches what the model sees.

    ``filter_text`` is printed under the paper: what the display filter did, and what the model saw.
    ``width_px`` is a guess of the width on screen, from which the height follows.
    """

    layout: str = "3x4+II"
    cabrera: bool = False
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    filter_text: str = "display unfiltered; model input as in its manifest"
    theme: Theme = LIGHT
    width_px: int = 940


def ecg_figure(
    record: Record,
    style: PaperStyle,
    *,
    start: float = 0.0,
    stop: float | None = None,
    overlay: Map | None = None,
    scale: float | None = None,
    events: bool = False,
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
        Give one scale to figures that are compared.
    events
        Draw the bar of event values (or sums over leads) of the overlay under the traces.
    """
    title = {} if overlay is None else {"": overlay}
    return _sheets(record, style, start, stop, title or {"": None}, scale, events)


def comparison_figure(
    record: Record,
    style: PaperStyle,
    maps: Mapping[str, Map | None],
    *,
    start: float = 0.0,
    stop: float | None = None,
    own_scale: bool = False,
) -> go.Figure:
    """Several maps of one record side by side, on linked axes.

    ``maps`` are maps by the title that stands over each; ``None`` draws the plain trace. They share
    one colour scale, unless ``own_scale``: maps of different methods have different units, so
    each is then drawn relative to its own largest value.
    """
    given = [item for item in maps.values() if item is not None]
    scale = None if own_scale else full_scale(*given)
    return _sheets(record, style, start, stop, maps, scale, events=False)


def part_shown(record: Record, style: PaperStyle, start: float = 0.0, stop: float | None = None
               ) -> tuple[Panel, ...]:  # fmt: skip
    """The places that :func:`ecg_figure` draws leads at."""
    end = min(record.duration, stop if stop is not None else record.duration)
    return panels(style.layout, record.leads, start, end, cabrera=style.cabrera)


def thinned(
    record: Record, panel: Panel, points: int = POINTS_PER_LEAD
) -> tuple[FloatArray, FloatArray]:
    """Seconds and mV of one panel, thinned to what a screen can show (MinMaxLTTB).

    Van der Donckt et al. 2022, "MinMaxLTTB", arXiv 2305.00332: first and last sample and all
    visible extremes stay.
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


def _sheets(
    record: Record,
    style: PaperStyle,
    start: float,
    stop: float | None,
    maps: Mapping[str, Map | None],
    scale: float | None,
    events: bool,
) -> go.Figure:
    """Sheets of paper beside each other, one a map."""
    import plotly.graph_objects as go

    places = part_shown(record, style, start, stop)
    events = events and any(item is not None for item in maps.values())
    overlaid = any(item is not None for item in maps.values())
    layout = dict(_page(style, places, len(maps), events, overlaid))
    drawn: list[Any] = []
    notes: list[dict[str, Any]] = []
    for number, (title, overlay) in enumerate(maps.items(), start=1):
        axis = str(number) if number > 1 else ""
        traces = _sheet_traces(record, style, places, overlay, scale, len(maps), events)
        for trace in traces:
            trace.update(xaxis=f"x{axis}", yaxis=f"y{axis}")
            if number > 1:
                trace.update(showlegend=False)
        drawn += traces
        layout |= _axes(style, places, number, len(maps), overlaid, events)
        notes += _notes(style, places, axis, title, number == 1)
    # All at once and unchecked: Plotly's checks take most of the time, at every move of a slider.
    # The tests check what is built here.
    return go.Figure(drawn, {**layout, "annotations": notes}, _validate=False)


def _sheet_traces(
    record: Record,
    style: PaperStyle,
    places: tuple[Panel, ...],
    overlay: Map | None,
    scale: float | None,
    sheets: int,
    events: bool,
) -> list[Any]:
    """Overlay first (it lies under), then the traces, the pulses and the event bar."""
    traces = overlay_traces(overlay, places, style.theme, scale) if overlay is not None else []
    for panel in places:
        x, y = thinned(record, panel, max(300, POINTS_PER_LEAD // sheets))
        trace = {
            "type": "scatter",
            "x": _compact(x),
            "y": _compact(y * panel.flip * style.gain_mm_mv / 10 + panel.offset),
            "mode": "lines",
            "line": {"color": style.theme.trace, "width": 1},
            "name": panel.label,
            "hovertemplate": f"{panel.label}  %{{x:.3f}} s<extra></extra>",
            "showlegend": False,
        }
        traces.append(trace)
    traces.append(_pulse(places, style))
    if events and overlay is not None:
        traces += event_traces(overlay, _bottom(places), _span(places), style.theme)
    return traces


def _compact(values: FloatArray) -> Float32Array:
    """Half the bytes on the wire; float32 resolves a microsecond and a nanovolt here."""
    return values.astype(np.float32)


def _span(places: tuple[Panel, ...]) -> tuple[float, float]:
    return min(panel.start for panel in places), max(panel.stop for panel in places)


def _bottom(places: tuple[Panel, ...]) -> float:
    return min(panel.offset for panel in places) - places[0].height * 0.6


def _reach(places: tuple[Panel, ...], events: bool) -> tuple[float, float]:
    """Lowest and highest value of the y axis, in mV at 10 mm/mV."""
    top = max(panel.offset for panel in places) + places[0].height * 0.75
    return _bottom(places) - (1.6 if events else 0.0), top


def _pulse(places: tuple[Panel, ...], style: PaperStyle) -> Any:
    """Calibration pulses of 1 mV and 200 ms (at 25 mm/s: 5 mm wide) before every row."""
    width, height = 0.2, style.gain_mm_mv / 10
    x0 = _span(places)[0] - 0.36
    xs: list[float | None] = []
    ys: list[float | None] = []
    for offset in sorted({panel.offset for panel in places}):
        xs += [x0 - 0.06, x0, x0, x0 + width, x0 + width, x0 + width + 0.06, None]
        ys += [offset, offset, offset + height, offset + height, offset, offset, None]
    return {
        "type": "scatter",
        "x": xs,
        "y": ys,
        "mode": "lines",
        "line": {"color": style.theme.trace, "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "calibration 1 mV, 200 ms",
    }


def _page(
    style: PaperStyle, places: tuple[Panel, ...], sheets: int, events: bool, overlaid: bool
) -> dict[str, Any]:
    """Size, margins, legend and behaviour of the whole figure."""
    start, end = _span(places)
    low, high = _reach(places, events)
    mm_wide = (end - start + _MARGIN_SEC + 0.05) * style.speed_mm_s * sheets
    mm_high = (high - low) * 10
    above = _TITLE if sheets > 1 else 0
    narrow = overlaid and style.width_px < _NARROW
    head = _HEAD + (_SECOND_LINE if narrow else 0)
    height = style.width_px * mm_high / mm_wide + head + _FOOT + above
    height = int(min(_MOST_HEIGHT, max(_LEAST_HEIGHT, height)))
    plot = height - head - _FOOT - above
    theme = style.theme
    bar = (
        {
            "coloraxis": colour_bar(
                theme, 1 + (above + (24 if narrow else 0)) / plot, 0.7 if narrow else 0.42
            )
        }
        if overlaid
        else {}
    )
    return {
        **bar,
        "height": height,
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 6, "r": 6, "t": head + above, "b": _FOOT},
        "font": {"color": theme.text, "size": 12},
        "dragmode": "select",
        "selectdirection": "any",
        "hovermode": "closest",
        "uirevision": "paper",
        "newselection": {"line": {"color": theme.accent, "width": 1.5, "dash": "dot"}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.text},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1 + above / plot,
            "xanchor": "left",
            "yanchor": "bottom",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        },
    }


def _axes(
    style: PaperStyle,
    places: tuple[Panel, ...],
    number: int,
    sheets: int,
    overlaid: bool,
    events: bool,
) -> dict[str, Any]:
    """Grid, locked aspect and linked ranges of one sheet."""
    theme, axis = style.theme, str(number) if number > 1 else ""
    small = theme.overlay_grid_small if overlaid else theme.grid_small
    large = theme.overlay_grid_large if overlaid else theme.grid_large
    start, end = _span(places)
    box = 5.0 / style.speed_mm_s  # a large box is 5 mm wide and high, whatever the scale
    common: dict[str, Any] = {
        "showgrid": True,
        "gridcolor": large,
        "gridwidth": 0.8,
        "zeroline": False,
        "constrain": "domain",
        "tick0": 0,
    }
    gap = 0.012 if sheets > 1 else 0.0
    x = {
        **common,
        "dtick": box,
        "minor": {"dtick": box / 5, "showgrid": True, "gridcolor": small, "gridwidth": 0.4},
        "range": [start - _MARGIN_SEC, end + 0.05],
        "domain": [(number - 1) / sheets + gap * (number > 1), number / sheets],
        "constraintoward": "left",
        "anchor": f"y{axis}",
        "showticklabels": True,
        "ticklabelstep": round(1 / box) * max(1, round((end - start) * sheets / 14)),
        "tickfont": {"size": 10, "color": theme.muted},
        "ticksuffix": " s",
        "ticks": "",
    }
    y = {
        **common,
        "dtick": 0.5,
        "minor": {"dtick": 0.1, "showgrid": True, "gridcolor": small, "gridwidth": 0.4},
        "range": list(_reach(places, events)),
        "scaleanchor": f"x{axis}",
        "scaleratio": 10.0 / style.speed_mm_s,
        "constraintoward": "top",
        "anchor": f"x{axis}",
        "showticklabels": False,
        "ticks": "",
    }
    if number > 1:
        x["matches"], y["matches"] = "x", "y"
    return {f"xaxis{axis}": x, f"yaxis{axis}": y}


def _label_place(panel: Panel, places: tuple[Panel, ...]) -> dict[str, float]:
    """Under the pulse for the first column, where no trace runs; else over the panel's start."""
    first = _span(places)[0]
    if panel.start == first:
        return {"x": first - _MARGIN_SEC + 0.04, "y": panel.offset - 0.08}
    return {"x": panel.start, "y": panel.offset + panel.height * 0.48}


def _notes(
    style: PaperStyle, places: tuple[Panel, ...], axis: str, title: str, first: bool
) -> list[dict[str, Any]]:
    """Lead labels, the title of a sheet, and once the scale text."""
    theme = style.theme
    shared = {"xref": f"x{axis}", "yref": f"y{axis}", "showarrow": False}
    notes: list[dict[str, Any]] = [
        {
            **shared,
            **_label_place(panel, places),
            "text": f"<b>{panel.label}</b>",
            "xanchor": "left",
            "yanchor": "top",
            "borderpad": 0,
            "bgcolor": theme.label_background,
            "font": {"size": 12, "color": theme.text},
        }
        for panel in places
    ]
    under = {"xref": f"x{axis} domain", "yref": f"y{axis} domain", "showarrow": False}
    if title:
        notes.append(
            {
                **under,
                "x": 0.5,
                "y": 1,
                "yanchor": "bottom",
                "text": f"<b>{title}</b>",
                "font": {"size": 13, "color": theme.text},
            }
        )
    if first:
        scale = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV; pulse 1 mV, 200 ms"
        notes.append(
            {
                **under,
                "x": 0,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "yshift": -16,
                "align": "left",
                "text": f"{scale}<br>{style.filter_text}",
                "font": {"size": 11, "color": theme.muted},
            }
        )
    return notes
