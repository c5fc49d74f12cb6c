"""The median beat of a record on ECG paper, with the explanation over it and its band under it.

Each lead is a panel: the trace, the map as a veil over it (evidence for above 0 mV, against below),
and under it a strip with the mean of the map over the beats and its bootstrap band. All panels
share one pair of axes, with the R peak of each on a line of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecgxai_core.plots.overlay import colour_bar, marked_area
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["TypicalBeat", "beat_figure"]

_MARGIN_SEC, _PULSE_SEC = 0.62, 0.2
_STRIP_MV = 0.5  # half the height of a strip
_AIR_MV = 0.2
_HEAD, _FOOT = 92, 98
_NARROW = 500


class TypicalBeat(Protocol):
    """What is drawn: see :class:`ecgxai_core.fusion.median_beat.MedianBeat`."""

    @property
    def time_sec(self) -> FloatArray: ...
    @property
    def leads(self) -> tuple[str, ...]: ...
    @property
    def signal(self) -> FloatArray: ...
    @property
    def mean(self) -> FloatArray: ...
    @property
    def low(self) -> FloatArray: ...
    @property
    def high(self) -> FloatArray: ...
    @property
    def n(self) -> IntArray: ...
    @property
    def n_beats(self) -> int: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a lead stands: seconds of its R peak and mV of its 0 on the paper, reach of its trace
    around that, and the middle of its strip."""

    lead: int
    at: float
    zero: float
    down: float
    up: float
    strip: float


def beat_figure(beat: TypicalBeat, style: PaperStyle) -> go.Figure:
    """Draw a median beat; six leads a row, three on a narrow sheet.

    Parameters
    ----------
    beat
        At least one beat and one lead.
    style
        Speed, gain, colours and width; the layout is this figure's own.
    """
    import plotly.graph_objects as go

    columns = 3 if style.width_px < _NARROW else 6
    places = _places(beat, style, columns)
    largest = _largest(beat.mean)
    reach = max(1.0, _largest(np.stack((beat.mean, beat.low, beat.high))) / largest)
    share = (beat.mean / largest, beat.low / largest, beat.high / largest)
    drawn = [
        _veil(beat, places, share[0]),
        *_unexplored(beat, places, style),
        *_strips(beat, places, share, reach, style),
        *_traces(beat, places, style),
        _pulses(places, _edges(beat)[0], style),
    ]
    layout = _page(beat, places, style)
    notes = _notes(beat, places, reach, style)
    return go.Figure(drawn, {**layout, "annotations": notes}, _validate=False)


def _largest(values: FloatArray) -> float:
    """Largest |value|; 1 where there is none, so that it may divide."""
    return float(np.nanmax(np.abs(values), initial=0.0)) or 1.0


def _edges(beat: TypicalBeat) -> FloatArray:
    """Borders of the bins, seconds from the R peak."""
    half = (beat.time_sec[1] - beat.time_sec[0]) / 2 if len(beat.time_sec) > 1 else 0.005
    return np.append(beat.time_sec - half, beat.time_sec[-1] + half)


def _places(beat: TypicalBeat, style: PaperStyle, columns: int) -> tuple[_Place, ...]:
    """Panels row by row, each row as high as its traces need, in half millivolts."""
    edges = _edges(beat)
    pitch = np.ceil((edges[-1] - edges[0] + 0.1) / 0.2 - 1e-9) * 0.2
    y, found = 0.0, []
    for first in range(0, len(beat.leads), columns):
        rows = range(first, min(first + columns, len(beat.leads)))
        drawn = beat.signal[list(rows)] * style.gain_mm_mv / 10
        up = max(0.5, float(np.ceil(np.nanmax(drawn, initial=0.0) * 2 + 0.2) / 2))
        down = min(-0.5, float(np.floor(np.nanmin(drawn, initial=0.0) * 2 - 0.2) / 2))
        zero = y - up - _AIR_MV
        strip = zero + down - _AIR_MV - _STRIP_MV
        found += [_Place(row, (row - first) * pitch, zero, down, up, strip) for row in rows]
        y = float(np.floor((strip - _STRIP_MV - _AIR_MV) * 2) / 2)
    return tuple(found)


def _traces(beat: TypicalBeat, places: Sequence[_Place], style: PaperStyle) -> list[Any]:
    """The median trace of every lead."""
    return [
        {
            "type": "scatter",
            "x": (beat.time_sec + p.at).round(4),
            "y": _open(beat.signal[p.lead] * style.gain_mm_mv / 10 + p.zero),
            "mode": "lines",
            "line": {"color": style.theme.trace, "width": 1.4},
            "name": beat.leads[p.lead],
            "customdata": (beat.time_sec * 1000).round(0),
            "hovertemplate": f"{beat.leads[p.lead]}  %{{customdata:.0f}} ms from R<extra></extra>",
            "showlegend": False,
        }
        for p in places
    ]


def _open(values: FloatArray) -> list[float | None]:
    """Numbers for a line that is broken where there is none."""
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]


def _veil(beat: TypicalBeat, places: Sequence[_Place], share: FloatArray) -> Any:
    """The mean map over the traces, all panels as one heat map of half rows."""
    edges = _edges(beat)
    columns = sorted({p.at for p in places})
    x = np.concatenate([edges + at for at in columns])
    rows: list[float] = []
    values: list[list[float | None]] = []
    for zero in sorted({p.zero for p in places}):
        line: list[list[float | None]] = [[], []]
        own = {p.at: p for p in places if p.zero == zero}
        for number, at in enumerate(columns):
            here = share[own[at].lead] if at in own else np.full(len(edges) - 1, np.nan)
            for half, where in zip(line, (here < 0, here > 0), strict=True):
                half += [*([None] if number else []), *_open(np.where(where, here, np.nan))]
        place = next(iter(own.values()))
        values += [[None] * (len(x) - 1)] * bool(rows)  # what lies between two rows
        values += line
        rows += [zero + place.down, zero, zero + place.up]
    return {
        "type": "heatmap",
        "x": x.round(4),
        "y": np.round(rows, 3),
        "z": values,
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
        "name": "explanation",
    }


def _runs(where: BoolArray) -> list[tuple[int, int]]:
    """First and last-but-one positions of unbroken stretches."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    return list(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))


def _unexplored(beat: TypicalBeat, places: Sequence[_Place], style: PaperStyle) -> list[Any]:
    """Hatching where the map was explored in no beat."""
    edges, xs, ys = _edges(beat), [], []
    for p in places:
        missing = np.isnan(beat.mean[p.lead]) & np.isfinite(beat.signal[p.lead])
        low, high = p.zero + p.down, p.zero + p.up
        for begin, end in _runs(missing):
            left, right = float(edges[begin] + p.at), float(edges[end] + p.at)
            xs += [left, right, right, left, left, None]
            ys += [low, low, high, high, low, None]
    pattern = {"shape": "/", "size": 9, "solidity": 0.12}
    return [marked_area((xs, ys), "not explored", style.theme.unexplored, pattern)] if xs else []


def _strips(
    beat: TypicalBeat,
    places: Sequence[_Place],
    share: tuple[FloatArray, FloatArray, FloatArray],
    reach: float,
    style: PaperStyle,
) -> list[Any]:
    """Mean of the map as a filled curve, its band, and the line of zero."""
    theme, scale = style.theme, _STRIP_MV / reach
    mean, low, high = share
    signs = (
        (np.fmax(mean, 0), "mean of the map: for", theme.in_favour),
        (np.fmin(mean, 0), "against", theme.against),
    )
    drawn = [
        _between(beat, places, np.where(np.isfinite(mean), part, np.nan), None, scale, name, colour,
                 0.75)
        for part, name, colour in signs
    ]  # fmt: skip
    words = f"{beat.confidence:.0%} band over beats"
    drawn.append(_between(beat, places, high, low, scale, words, theme.muted, 0.35))
    x: list[float | None] = []
    y: list[float | None] = []
    for p in places:
        x += [p.at + float(beat.time_sec[0]), p.at + float(beat.time_sec[-1]), None]
        y += [p.strip, p.strip, None]
    drawn.append({
        "type": "scatter", "x": x, "y": y, "mode": "lines", "hoverinfo": "skip",
        "line": {"color": theme.muted, "width": 0.8}, "showlegend": False, "name": "zero",
    })  # fmt: skip
    return drawn


def _between(
    beat: TypicalBeat,
    places: Sequence[_Place],
    upper: FloatArray,
    lower: FloatArray | None,
    scale: float,
    name: str,
    colour: str,
    opacity: float,
) -> Any:
    """The area between two curves of every strip (``None`` = the line of zero), as one path."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for p in places:
        top = upper[p.lead]
        bottom = lower[p.lead] if lower is not None else np.where(np.isfinite(top), 0.0, np.nan)
        for begin, end in _runs(np.isfinite(top) & np.isfinite(bottom)):
            time = beat.time_sec[begin:end] + p.at
            xs += [*time.round(4).tolist(), *time[::-1].round(4).tolist(), None]
            path = np.concatenate([top[begin:end], bottom[begin:end][::-1]])
            ys += [*(p.strip + path * scale).round(4).tolist(), None]
    return {
        "type": "scatter", "x": xs, "y": ys, "mode": "lines", "fill": "toself",
        "fillcolor": colour, "line": {"color": colour, "width": 0.6}, "opacity": opacity,
        "name": name, "hoverinfo": "skip", "showlegend": True,
    }  # fmt: skip


def _pulses(places: Sequence[_Place], first: float, style: PaperStyle) -> Any:
    """A calibration pulse of 1 mV and 200 ms before every row."""
    height, x0 = style.gain_mm_mv / 10, first - 0.36
    xs: list[float | None] = []
    ys: list[float | None] = []
    for zero in sorted({p.zero for p in places}):
        end = x0 + _PULSE_SEC
        xs += [x0 - 0.06, x0, x0, end, end, end + 0.06, None]
        ys += [zero, zero, zero + height, zero + height, zero, zero, None]
    return {
        "type": "scatter", "x": xs, "y": ys, "mode": "lines", "hoverinfo": "skip",
        "line": {"color": style.theme.trace, "width": 1}, "showlegend": False,
        "name": "calibration 1 mV, 200 ms",
    }  # fmt: skip


def _page(beat: TypicalBeat, places: Sequence[_Place], style: PaperStyle) -> dict[str, Any]:
    """Size, grid, colours and legend."""
    theme, edges = style.theme, _edges(beat)
    left, right = float(edges[0]) - _MARGIN_SEC, max(p.at for p in places) + float(edges[-1]) + 0.1
    low, high = min(p.strip for p in places) - _STRIP_MV - _AIR_MV, 0.0
    plot = style.width_px * (high - low) * 10 / ((right - left) * style.speed_mm_s)
    narrow = style.width_px < _NARROW
    head = _HEAD + (34 if narrow else 0)
    box = 5.0 / style.speed_mm_s
    grid = {
        "showgrid": True, "gridcolor": theme.overlay_grid_large, "gridwidth": 0.8, "tick0": 0,
        "zeroline": False, "constrain": "domain", "showticklabels": False, "ticks": "",
    }  # fmt: skip
    small = {"showgrid": True, "gridcolor": theme.overlay_grid_small, "gridwidth": 0.4}
    return {
        "height": round(plot + head + _FOOT),
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 6, "r": 6, "t": head, "b": _FOOT},
        "font": {"color": theme.text, "size": 12},
        "hovermode": "closest",
        "dragmode": "pan",
        "uirevision": "beat",
        "coloraxis": colour_bar(theme, 1 + (62 if narrow else 36) / plot, 0.7 if narrow else 0.42),
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.text},
        "legend": {
            "orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom",
            "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)",
        },
        "xaxis": {
            **grid, "dtick": box, "minor": {"dtick": box / 5, **small}, "range": [left, right],
            "constraintoward": "left",
        },
        "yaxis": {
            **grid, "dtick": 0.5, "minor": {"dtick": 0.1, **small}, "range": [low, high],
            "scaleanchor": "x", "scaleratio": 10.0 / style.speed_mm_s, "constraintoward": "top",
        },
    }  # fmt: skip


def _notes(
    beat: TypicalBeat, places: Sequence[_Place], reach: float, style: PaperStyle
) -> list[dict[str, Any]]:
    """Names of the leads, times under the lowest row, what the strips are, and the scale."""
    theme, edges = style.theme, _edges(beat)
    plain = {"showarrow": False, "font": {"size": 10, "color": theme.muted}}
    notes: list[dict[str, Any]] = [
        {
            "showarrow": False, "x": p.at + float(edges[0]), "y": p.zero + p.up, "xanchor": "left",
            "yanchor": "top", "text": f"<b>{beat.leads[p.lead]}</b>", "borderpad": 0,
            "bgcolor": theme.label_background, "font": {"size": 12, "color": theme.text},
        }
        for p in places
    ]  # fmt: skip
    bottom = min(p.strip for p in places) - _STRIP_MV - _AIR_MV
    step = 0.4 if style.width_px < _NARROW else 0.2
    first, last = np.ceil(edges[0] / step - 1e-6), np.floor(edges[-1] / step + 1e-6)
    for at in sorted({p.at for p in places}):
        notes += [
            {**plain, "x": at + k * step, "y": bottom, "yanchor": "top",
             "text": f"{k * step:g}".replace("-", "−") if k else "R"}
            for k in np.arange(first, last + 1)
        ]  # fmt: skip
    for strip in sorted({p.strip for p in places}):
        notes += [
            {**plain, "x": float(edges[0]) - 0.04, "y": strip + side * _STRIP_MV,
             "xanchor": "right", "text": text}
            for side, text in ((1, f"+{reach:.1f}"), (0, "0"), (-1, f"−{reach:.1f}"))
        ]  # fmt: skip
    scale = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV; pulse 1 mV, 200 ms"
    strips = "strips: mean of the map over the beats, per s;<br>1 = its largest |mean|; s from R"
    words = "<br>".join((scale, strips, style.filter_text))
    notes.append({
        **plain, "xref": "x domain", "yref": "y domain", "x": 0, "y": 0, "xanchor": "left",
        "yanchor": "top", "yshift": -16, "align": "left", "text": words,
        "font": {"size": 11, "color": theme.muted},
    })  # fmt: skip
    return notes
