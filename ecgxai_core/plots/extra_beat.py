"""The extra-beat test as a picture: a record and the same record with one beat more, one below the
other on one time axis, each with its lead of most evidence on ECG paper and all leads below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.overlay import Path, box_path, marked_area, runs
from ecgxai_core.plots.ramp import ink, ramp_colour, ramp_scale
from ecgxai_core.plots.sheet import NARROW_PX, PaperStyle, paper_axes
from ecgxai_core.plots.theme import FONT, Theme
from ecgxai_core.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Side", "extra_beat_figure"]

STRENGTH = 0.9
"""Opacity of cells on the paper, as the viewer begins."""
_STRIP_PX, _TITLE_PX, _GAP_PX, _FOOT_PX = 10, 24, 6, 62
_LEFT_SEC = 0.5
"""Room for the names of the leads."""
_GROUND = {"light": "#f1f2f4", "dark": "#23272d"}
"""Behind the strip of all leads, as in the viewer."""
_TALL_MV = 3.0
"""Higher traces are drawn at half gain."""
_NAME_PX, _LETTER_PX = 13, 6.0
"""Least width of a stretch that is named, and mean width of a letter of 10 px."""
_LEAST_SEC = 0.05
_OUTSIDE = "outside the model's input"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two records.

    Attributes
    ----------
    title
        Text above it.
    seconds, trace
        ``float64[n]``: times on the common axis, and mV of the lead that is drawn; NaN breaks it.
    leads, edges_sec, share
        Rows and columns of ``float64[lead, cell]``: signed density over the largest of both maps;
        NaN = not explored.
    """

    title: str
    seconds: FloatArray
    trace: FloatArray
    leads: tuple[str, ...]
    edges_sec: FloatArray
    share: FloatArray


@dataclass(frozen=True, slots=True)
class _Rows:
    """Heights of a figure: ``mv`` are the lowest and highest value of the paper at 10 mm/mV, and
    ``paper``, ``strip`` the pixels of a trace and of all leads."""

    mv: tuple[float, float]
    gain: float
    paper: float
    strip: float

    @property
    def whole(self) -> float:
        return 2 * (self.paper + self.strip + _TITLE_PX + _GAP_PX)

    def domains(self) -> list[list[float]]:
        """Of the four y axes, from the top: trace, leads, trace, leads."""
        found, top = [], self.whole
        for _ in range(2):
            top -= _TITLE_PX
            found.append([(top - self.paper) / self.whole, top / self.whole])
            top -= self.paper + _GAP_PX
            found.append([max(0.0, (top - self.strip) / self.whole), top / self.whole])
            top -= self.strip
        return found


def extra_beat_figure(
    sides: Sequence[Side],
    lead: str,
    style: PaperStyle,
    *,
    inserted_sec: tuple[float, float],
    compared_sec: FloatArray,
    least: float = 0.0,
    span_sec: tuple[float, float] | None = None,
) -> go.Figure:
    """Draw the record as recorded, and with the beat, on one time axis and one colour scale.

    Parameters
    ----------
    sides
        The two records, in this order.
    lead
        The lead on the paper.
    style
        Colours, and the expected width, from which the height follows.
    inserted_sec
        The new beat; outlined.
    compared_sec
        ``float64[n, 2]``, s: what was compared; the rest is hatched.
    least
        Cells of a smaller share (either sign) are not drawn, as in the viewer.
    span_sec
        The part that is drawn, for a narrow screen; all of it if not given.
    """
    import plotly.graph_objects as go

    if span_sec is not None:
        sides = [_cut(side, span_sec) for side in sides]
    rows = _rows_of(sides, style, span_sec)
    drawn: list[dict[str, Any]] = []
    for number, side in enumerate(sides):
        paper, strip = (
            {"xaxis": "x", "yaxis": name} for name in (("y", "y2"), ("y3", "y4"))[number]
        )
        row = side.leads.index(lead)
        drawn += [{**trace, **paper} for trace in _bands(side, row, rows, style.theme, least)]
        drawn.append({**_trace(side, lead, rows, style.theme), **paper})
        drawn.append({**_strip(side, least), **strip})
        room = inserted_sec if number == 0 else None
        unknown = (_unexplored(side, room), "not explored", "/")
        rest = (_not_compared(side, compared_sec), "not compared", "\\")
        for boxes, name, slash in (unknown, rest):
            on_paper = [
                (left, right, *rows.mv) for left, right, low, _ in boxes if low == row - 0.5
            ]
            for places, axes in ((boxes, strip), (on_paper, paper)):
                drawn += [{**area, **axes} for area in _hatched(places, name, slash, style.theme)]
    shown = span_sec or _seconds(sides)
    layout = _layout(sides, lead, rows, style, (shown[0] - _LEFT_SEC, shown[1] + 0.05))
    px_per_sec = style.width_px / (shown[1] - shown[0] + _LEFT_SEC)
    for number, side in enumerate(sides):
        named = _stretches(side, compared_sec, inserted_sec, shown[1], changed=number == 1)
        names = _named(side, number, named, px_per_sec, style.theme)
        layout["annotations"] = [*names, *layout["annotations"]]
    layout["annotations"] = [
        *_doubled(inserted_sec, shown, rows, style.theme), *layout["annotations"],
    ]  # fmt: skip
    figure = go.Figure(drawn, layout)
    for number, side in enumerate(sides):
        if shown[1] - side.edges_sec[-1] > _LEAST_SEC:  # what the model does not get is faded
            figure.add_shape(
                type="rect", xref="x", yref=("y", "y3")[number], x0=float(side.edges_sec[-1]),
                x1=shown[1], y0=rows.mv[0], y1=rows.mv[1], line={"width": 0}, layer="above",
                fillcolor=style.theme.paper, opacity=0.6,
            )  # fmt: skip
    for low, high in rows.domains():
        figure.add_shape(
            type="rect", xref="x", yref="paper", x0=inserted_sec[0], x1=inserted_sec[1], y0=low,
            y1=high, line={"color": style.theme.disagreement, "width": 1.6, "dash": "dot"},
        )  # fmt: skip
    return figure


def _cut(side: Side, span: tuple[float, float]) -> Side:
    """What lies in a span, so that nothing is drawn under the names of the leads."""
    inside = (side.edges_sec[:-1] < span[1]) & (side.edges_sec[1:] > span[0])
    kept = np.flatnonzero(inside)
    edges, share = np.array(span), np.full((len(side.leads), 1), np.nan)  # the map ends before
    if kept.size:
        edges = np.clip(side.edges_sec[kept[0] : kept[-1] + 2], *span)
        share = side.share[:, kept]
    shown = (side.seconds >= span[0]) & (side.seconds <= span[1])
    trace = np.where(shown, side.trace, np.nan)
    return replace(side, trace=trace, edges_sec=edges, share=share)


def _seconds(sides: Sequence[Side]) -> tuple[float, float]:
    """What both records cover on the common axis."""
    return 0.0, max(float(np.nanmax(side.seconds)) for side in sides)


def _rows_of(
    sides: Sequence[Side], style: PaperStyle, span_sec: tuple[float, float] | None
) -> _Rows:
    values = np.concatenate([side.trace for side in sides])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    gain = style.gain_mm_mv / (2 if high - low > _TALL_MV else 1)
    mv = (
        float(np.floor(low * gain - 0.8) / 10),
        float(np.ceil(high * gain + 0.8) / 10),
    )
    first, last = span_sec or _seconds(sides)
    px_per_mv = style.width_px / (last - first + _LEFT_SEC) * 10 / style.speed_mm_s
    return _Rows(mv, gain, (mv[1] - mv[0]) * px_per_mv, _STRIP_PX * len(sides[0].leads))


def _trace(side: Side, lead: str, rows: _Rows, theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": lead, "hoverinfo": "skip", "showlegend": False,
        "x": side.seconds.astype(np.float32),
        "y": (side.trace * rows.gain / 10).astype(np.float32),
        "line": {"color": theme.trace, "width": 1.2},
    }  # fmt: skip


def _bands(side: Side, row: int, rows: _Rows, theme: Theme, least: float) -> list[dict[str, Any]]:
    """The cells of a lead as the viewer draws them: what speaks for hangs from the top of the row,
    what speaks against stands on its bottom, and the band is the higher the stronger it is."""
    (low, high), drawn = rows.mv, []
    for cell in np.flatnonzero(np.abs(np.nan_to_num(side.share[row])) > max(least, 0.0)):
        share = float(side.share[row, cell])
        left, right = (float(edge) for edge in side.edges_sec[cell : cell + 2])
        size = min(1.0, abs(share))
        tall, edge = (high - low) * (0.3 + 0.7 * size), (high - low) * (0.02 + 0.02 * size)
        top, sign = (high, -1.0) if share > 0 else (low, 1.0)
        for height, colour, opacity in (
            (tall, ramp_colour(share, theme), STRENGTH),
            (edge, ink(1 if share > 0 else -1, theme), STRENGTH * (0.2 + 0.8 * size**0.6)),
        ):
            x, y = box_path([(left, right, top, top + sign * height)])
            drawn.append({
                "type": "scatter", "x": x[:-1], "y": y[:-1], "mode": "lines", "fill": "toself",
                "fillcolor": colour, "line": {"width": 0}, "opacity": opacity,
                "hoverinfo": "skip", "showlegend": False, "name": "evidence",
            })  # fmt: skip
    return drawn


def _strip(side: Side, least: float) -> dict[str, Any]:
    """All leads, one thin row each."""
    shown = np.where(np.abs(side.share) > max(least, 0.0), side.share, np.nan)
    return {
        "type": "heatmap", "x": np.round(side.edges_sec, 4), "y": list(range(len(side.leads))),
        "z": np.round(shown, 4), "coloraxis": "coloraxis", "name": side.title,
        "customdata": np.repeat(np.array(side.leads)[:, None], shown.shape[1], axis=1),
        "hovertemplate": "%{customdata} %{x:.2f} s: %{z:.2f} of the largest<extra></extra>",
    }  # fmt: skip


_Boxes = list[tuple[float, float, float, float]]
"""Left, right, low and high of boxes on the strip of all leads."""


def _unexplored(side: Side, room: tuple[float, float] | None) -> _Boxes:
    """All but the ``room`` for the added beat, where there is nothing to explore."""
    edges = [float(edge) for edge in side.edges_sec]
    middles = (side.edges_sec[:-1] + side.edges_sec[1:]) / 2
    none = np.zeros(len(middles), np.bool_)
    if room is not None:
        none = (middles > room[0]) & (middles < room[1]) & np.isnan(side.share).all(axis=0)
    return [
        (edges[begin], edges[end], row - 0.5, row + 0.5)
        for row, line in enumerate(np.isnan(side.share) & ~none)
        for begin, end in runs(line)
    ]


def _not_compared(side: Side, compared: FloatArray) -> _Boxes:
    """The seconds that were not compared, other than those not explored in any lead, which are
    hatched already."""
    edges = np.unique(np.concatenate((side.edges_sec, compared.reshape(-1))))
    edges = edges[(edges >= side.edges_sec[0]) & (edges <= side.edges_sec[-1])]
    middles = (edges[:-1] + edges[1:]) / 2
    column = np.searchsorted(side.edges_sec, middles, side="right") - 1
    blank: BoolArray = np.asarray(np.isnan(side.share).all(axis=0), np.bool_)
    known = ~blank[column]
    inside = ((middles[:, None] > compared[:, 0]) & (middles[:, None] < compared[:, 1])).any(axis=1)
    return [
        (float(edges[begin]), float(edges[end]), row - 0.5, row + 0.5)
        for begin, end in runs(np.asarray(known & ~inside))
        for row in range(len(side.leads))
    ]


def _named(
    side: Side,
    number: int,
    stretches: Sequence[tuple[float, float, str]],
    px_per_sec: float,
    theme: Theme,
) -> list[dict[str, Any]]:
    """Names of stretches on the strip of all leads, where they have room: upright ones where they
    are narrow."""
    notes = []
    for left, right, text in stretches:
        wide = (right - left) * px_per_sec
        if wide < _NAME_PX:
            continue
        notes.append({
            "x": (left + right) / 2, "y": (len(side.leads) - 1) / 2, "xref": "x",
            "yref": ("y2", "y4")[number], "text": text, "showarrow": False,
            "textangle": 0 if wide > _LETTER_PX * len(text) else -90,
            "font": {"size": 10, "color": theme.text}, "bgcolor": theme.label_background,
            "borderpad": 1,
        })  # fmt: skip
    return notes


def _doubled(
    inserted: tuple[float, float], shown: tuple[float, float], rows: _Rows, theme: Theme
) -> list[dict[str, Any]]:
    """The name of the beat of which the added one, which follows it, is a copy."""
    middle = inserted[0] - (inserted[1] - inserted[0]) / 2
    if not shown[0] < middle < shown[1]:
        return []
    return [{
        "x": middle, "y": rows.domains()[0][0], "xref": "x", "yref": "paper", "yanchor": "bottom",
        "text": "doubled", "showarrow": False, "borderpad": 1, "bgcolor": theme.label_background,
        "font": {"size": 10, "color": theme.disagreement},
    }]  # fmt: skip


def _stretches(
    side: Side, compared: FloatArray, inserted: tuple[float, float], last: float, *, changed: bool
) -> list[tuple[float, float, str]]:
    """Left, right and name of what carries no evidence, or takes no part in the comparison."""
    edges, middle = side.edges_sec, sum(inserted) / 2
    blank: BoolArray = np.asarray(np.isnan(side.share).all(axis=0), np.bool_)
    empty = [(float(edges[begin]), float(edges[end])) for begin, end in runs(blank)]
    rest = sorted({(left, right) for left, right, *_ in _not_compared(side, compared)})
    found = []
    for spans, text, there in (
        (empty, "not explored", "not explored" if changed else "room for the added beat"),
        (rest, "not compared", "added beat, not compared" if changed else "not compared"),
    ):
        found += [(a, b, there if a < middle < b else text) for a, b in spans]
    if last - edges[-1] > _LEAST_SEC:
        found.append((float(edges[-1]), last, _OUTSIDE))
    return found


def _hatched(boxes: _Boxes, name: str, slash: str, theme: Theme) -> list[dict[str, Any]]:
    path: Path = box_path(boxes)
    if not path[0]:
        return []
    area = marked_area(path, name, theme.unexplored, hatch=7, solidity=0.2)
    area["fillpattern"] |= {"shape": slash}
    return [{**area, "opacity": 0.9, "showlegend": False}]


def _layout(
    sides: Sequence[Side], lead: str, rows: _Rows, style: PaperStyle, x_range: tuple[float, float]
) -> dict[str, Any]:
    theme, domains = style.theme, rows.domains()
    x, paper = paper_axes(style, list(x_range), list(rows.mv), overlaid=True)
    x |= {"anchor": "y4", "showticklabels": True, "ticksuffix": " s", "domain": [0, 1],
          "ticklabelstep": 5, "tickfont": {"size": 10, "color": theme.muted}}  # fmt: skip
    leads = list(sides[0].leads)
    strip = {
        "range": [len(leads) - 0.5, -0.5], "tickvals": list(range(len(leads))), "side": "left",
        "ticktext": leads, "tickfont": {"size": 8, "color": theme.muted}, "showgrid": False,
        "zeroline": False, "anchor": "x", "ticks": "", "fixedrange": True,
        "ticklabelposition": "inside", "ticklabeloverflow": "allow", "ticklabelstandoff": 4,
    }  # fmt: skip
    axes = {
        "yaxis": {**paper, "domain": domains[0], "anchor": "x"},
        "yaxis2": {**strip, "domain": domains[1]},
        "yaxis3": {**paper, "domain": domains[2], "anchor": "x"},
        "yaxis4": {**strip, "domain": domains[3]},
    }
    return {
        "height": round(rows.whole + _FOOT_PX),
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "font": {"color": theme.text, "size": 12, "family": FONT},
        "margin": {"l": 6, "r": 6, "t": 2, "b": _FOOT_PX - 2},
        "coloraxis": {"cmin": -1, "cmax": 1, "colorscale": ramp_scale(theme), "showscale": False},
        "annotations": _notes(sides, lead, rows, style),
        "shapes": [
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": x_range[0],
                "x1": x_range[1],
                "y0": low,
                "y1": high,
                "line": {"width": 0},
                "layer": "between",
                "fillcolor": _GROUND[theme.name],
            }
            for low, high in domains[1::2]
        ],
        "dragmode": "pan",
        "uirevision": "extra-beat",
        "xaxis": x,
        **axes,
    }


def _notes(
    sides: Sequence[Side], lead: str, rows: _Rows, style: PaperStyle
) -> list[dict[str, Any]]:
    """Titles, the name of the lead, and what the colours mean."""
    theme, domains = style.theme, rows.domains()
    plain = {"showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "xanchor": "left"}
    notes: list[dict[str, Any]] = []
    for number, side in enumerate(sides):
        low, high = domains[2 * number]
        notes += [
            {**plain, "y": high, "yanchor": "bottom", "text": f"<b>{side.title}</b>",
             "font": {"size": 12, "color": theme.text}},
            {**plain, "y": (low + high) / 2, "yanchor": "middle", "text": f"<b>{lead}</b>",
             "font": {"size": 13, "color": theme.text}},
        ]  # fmt: skip
    key = (
        f"<span style='color:{ink(1, theme)}'>■</span> for  "
        f"<span style='color:{ink(-1, theme)}'>■</span> against  "
        f"<span style='color:{theme.disagreement}'>┊</span> the added beat  "
        f"\\\\\\ not compared  /// not explored"
    )
    between = "<br>" if style.width_px < NARROW_PX else "  ·  "
    scale = f"{style.speed_mm_s:g} mm/s, {rows.gain:g} mm/mV"
    notes.append({
        **plain, "y": 0, "yanchor": "top", "yshift": -22, "align": "left",
        "text": f"{key}{between}{scale}", "font": {"size": 11, "color": theme.muted},
    })  # fmt: skip
    return notes
