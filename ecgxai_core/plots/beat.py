"""The median beat of a record on ECG paper, with its explanation.

Each lead is a panel: the trace, overlaid with the map (evidence for above 0 mV, against below), and
below it a strip with the mean of the map over the beats and its bootstrap band. All panels share
one pair of axes; their R peaks lie on grid lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.overlay import box_path, colour_bar, marked_area, runs, signed_rows
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
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ecgxai_core.fusion.median_beat import MedianBeat

__all__ = ["beat_figure"]

_STRIP_MV, _GAP_MV = 0.5, 0.2  # half the height of a strip; gap above and below it
_HEAD, _FOOT = 92, 98


@dataclass(frozen=True, slots=True)
class _Place:
    """Place of a lead on the paper.

    ``at`` is the time of its R peak (s), ``zero`` the level of 0 mV, ``down`` and ``up`` the extent
    of its trace relative to that, and ``strip`` the middle of its strip (mV at 10 mm/mV).
    """

    lead: int
    at: float
    zero: float
    down: float
    up: float
    strip: float


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is drawn where.

    ``edges`` bound the bins (s from the R peak), ``largest`` is the largest |mean|, and a strip
    extends to ``reach`` times that.
    """

    beat: MedianBeat
    style: PaperStyle
    edges: FloatArray
    places: tuple[_Place, ...]
    largest: float
    reach: float

    @property
    def narrow(self) -> bool:
        return self.style.width_px < NARROW_PX

    @property
    def bottom(self) -> float:
        return min(p.strip for p in self.places) - _STRIP_MV - _GAP_MV


def beat_figure(beat: MedianBeat, style: PaperStyle) -> go.Figure:
    """Draw a median beat with six leads per row, or three on a narrow sheet.

    Parameters
    ----------
    beat
        At least one beat and one lead.
    style
        Speed, gain, colours and width; its layout is not used.
    """
    import plotly.graph_objects as go

    half = (beat.time_sec[1] - beat.time_sec[0]) / 2 if len(beat.time_sec) > 1 else 0.005
    edges = np.append(beat.time_sec - half, beat.time_sec[-1] + half)
    largest = _largest(beat.mean)
    reach = max(1.0, _largest(np.stack((beat.mean, beat.low, beat.high))) / largest)
    sheet = _Sheet(beat, style, edges, _places(beat, style, edges), largest, reach)
    drawn = [
        _cells(sheet),
        *_unexplored(sheet),
        *_strips(sheet),
        *_traces(sheet),
        pulses(sorted({p.zero for p in sheet.places}), float(edges[0]) - 0.36, style),
    ]
    layout = {**_page(sheet), "annotations": _notes(sheet)}
    return go.Figure(drawn, layout, _validate=False)  # as in ecg_figure, for speed


def _largest(values: FloatArray) -> float:
    """Largest |value|, or 1 if all are 0 or NaN, to divide by."""
    return float(np.nanmax(np.abs(values), initial=0.0)) or 1.0


def _places(beat: MedianBeat, style: PaperStyle, edges: FloatArray) -> tuple[_Place, ...]:
    """Panels row by row; the height of a row follows its traces, in steps of 0.5 mV."""
    columns = 3 if style.width_px < NARROW_PX else 6
    pitch = np.ceil((edges[-1] - edges[0] + 0.1) / 0.2 - 1e-9) * 0.2
    y, found = 0.0, []
    for first in range(0, len(beat.leads), columns):
        rows = range(first, min(first + columns, len(beat.leads)))
        drawn = beat.signal[list(rows)] * style.gain_mm_mv / 10
        up = max(0.5, float(np.ceil(np.nanmax(drawn, initial=0.0) * 2 + 0.2) / 2))
        down = min(-0.5, float(np.floor(np.nanmin(drawn, initial=0.0) * 2 - 0.2) / 2))
        zero = y - up - _GAP_MV
        strip = zero + down - _GAP_MV - _STRIP_MV
        found += [_Place(row, (row - first) * pitch, zero, down, up, strip) for row in rows]
        y = float(np.floor((strip - _STRIP_MV - _GAP_MV) * 2) / 2)
    return tuple(found)


def _traces(sheet: _Sheet) -> list[Any]:
    """The median trace of every lead; ``None`` breaks a line."""
    beat, style = sheet.beat, sheet.style
    levels = {p: beat.signal[p.lead] * style.gain_mm_mv / 10 + p.zero for p in sheet.places}
    return [
        {
            "type": "scatter", "x": (beat.time_sec + p.at).round(4),
            "y": [round(float(v), 4) if np.isfinite(v) else None for v in values],
            "mode": "lines", "line": {"color": style.theme.trace, "width": 1.4},
            "name": beat.leads[p.lead], "showlegend": False,
            "customdata": (beat.time_sec * 1000).round(0),
            "hovertemplate": f"{beat.leads[p.lead]}  %{{customdata:.0f}} ms from R<extra></extra>",
        }
        for p, values in levels.items()
    ]  # fmt: skip


def _cells(sheet: _Sheet) -> dict[str, Any]:
    """The mean map of all panels, with a gap of one cell between two columns."""
    places, edges = sheet.places, sheet.edges
    columns = sorted({p.at for p in places})
    rows = []
    for zero in sorted({p.zero for p in places}):
        own = {p.at: p for p in places if p.zero == zero}
        parts = [
            sheet.beat.mean[own[at].lead] / sheet.largest if at in own
            else np.full(len(edges) - 1, np.nan)
            for at in columns
        ]  # fmt: skip
        line = np.concatenate([value for part in parts for value in (part, [np.nan])])[:-1]
        place = next(iter(own.values()))
        rows.append(((zero + place.down, zero, zero + place.up), line))
    return signed_rows(np.concatenate([edges + at for at in columns]), rows)


def _unexplored(sheet: _Sheet) -> list[Any]:
    """Hatching where the map was not explored in any beat."""
    beat, edges = sheet.beat, sheet.edges
    path = box_path(
        (float(edges[begin] + p.at), float(edges[end] + p.at), p.zero + p.down, p.zero + p.up)
        for p in sheet.places
        for begin, end in runs(np.isnan(beat.mean[p.lead]) & np.isfinite(beat.signal[p.lead]))
    )
    colour = sheet.style.theme.unexplored
    return [marked_area(path, "not explored", colour, hatch=9)] if path[0] else []


def _strips(sheet: _Sheet) -> list[Any]:
    """Mean of the map as a filled curve, its band, and the zero line."""
    beat, theme = sheet.beat, sheet.style.theme
    mean = beat.mean
    zero = np.where(np.isfinite(mean), 0.0, np.nan)
    above, below = (np.where(np.isfinite(mean), f(mean, 0), np.nan) for f in (np.fmax, np.fmin))
    band = f"{beat.confidence:.0%} band over beats"
    drawn = [
        _between(sheet, above, zero, ("mean map: for", theme.in_favour, 0.75)),
        _between(sheet, below, zero, ("against", theme.against, 0.75)),
        _between(sheet, beat.high, beat.low, (band, theme.muted, 0.35)),
    ]
    first, last = float(beat.time_sec[0]), float(beat.time_sec[-1])
    drawn.append({
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "x": [x for p in sheet.places for x in (p.at + first, p.at + last, None)],
        "y": [y for p in sheet.places for y in (p.strip, p.strip, None)],
        "line": {"color": theme.muted, "width": 0.8}, "name": "zero",
    })  # fmt: skip
    return drawn


def _between(
    sheet: _Sheet, upper: FloatArray, lower: FloatArray, look: tuple[str, str, float]
) -> dict[str, Any]:
    """The area between two curves of every strip as one path; name, colour and opacity."""
    name, colour, opacity = look
    xs: list[float | None] = []
    ys: list[float | None] = []
    for p in sheet.places:
        top, bottom = upper[p.lead] / sheet.largest, lower[p.lead] / sheet.largest
        for begin, end in runs(np.isfinite(top) & np.isfinite(bottom)):
            time = sheet.beat.time_sec[begin:end] + p.at
            xs += [*time.round(4).tolist(), *time[::-1].round(4).tolist(), None]
            path = np.concatenate([top[begin:end], bottom[begin:end][::-1]])
            ys += [*(p.strip + path * (_STRIP_MV / sheet.reach)).round(4).tolist(), None]
    return {
        "type": "scatter", "x": xs, "y": ys, "mode": "lines", "fill": "toself",
        "fillcolor": colour, "line": {"color": colour, "width": 0.6}, "opacity": opacity,
        "name": name, "hoverinfo": "skip", "showlegend": True,
    }  # fmt: skip


def _page(sheet: _Sheet) -> dict[str, Any]:
    """Size, grid, colours and legend."""
    style, edges, low = sheet.style, sheet.edges, sheet.bottom
    left = float(edges[0]) - MARGIN_SEC
    right = max(p.at for p in sheet.places) + float(edges[-1]) + 0.1
    plot = style.width_px * -low * 10 / ((right - left) * style.speed_mm_s)
    top = _HEAD + (34 if sheet.narrow else 0)
    x, y = paper_axes(style, [left, right], [low, 0.0], overlaid=True)
    bar_y = 1 + (62 if sheet.narrow else 36) / plot
    return {
        **sheet_layout(style, round(plot + top + _FOOT), top, _FOOT),
        "dragmode": "pan",
        "uirevision": "beat",
        "coloraxis": colour_bar(style.theme, bar_y, 0.7 if sheet.narrow else 0.42),
        "xaxis": x,
        "yaxis": y,
    }


def _notes(sheet: _Sheet) -> list[dict[str, Any]]:
    """Lead names, times below the lowest row, the scale of the strips and of the paper."""
    theme, edges, places = sheet.style.theme, sheet.edges, sheet.places
    plain = {"showarrow": False, "font": {"size": 10, "color": theme.muted}}
    notes = [
        lead_label(sheet.beat.leads[p.lead], p.at + float(edges[0]), p.zero + p.up, theme)
        for p in places
    ]  # fmt: skip
    step = 0.4 if sheet.narrow else 0.2
    first, last = np.ceil(edges[0] / step - 1e-6), np.floor(edges[-1] / step + 1e-6)
    for at in sorted({p.at for p in places}):
        notes += [
            {**plain, "x": at + k * step, "y": sheet.bottom, "yanchor": "top",
             "text": f"{k * step:g}".replace("-", "−") if k else "R"}
            for k in np.arange(first, last + 1)
        ]  # fmt: skip
    for strip in sorted({p.strip for p in places}):
        notes += [
            {**plain, "x": float(edges[0]) - 0.04, "y": strip + side * _STRIP_MV,
             "xanchor": "right", "text": text}
            for side, text in ((1, f"+{sheet.reach:.1f}"), (0, "0"), (-1, f"−{sheet.reach:.1f}"))
        ]  # fmt: skip
    words = "strips: mean of the map over the beats, per s;<br>1 = largest |mean|; time in s from R"
    return [*notes, scale_note(sheet.style, words)]
