"""A record before and after one change: the median beat of every lead, or the rhythm, on paper.

What was recorded is drawn in blue below what the change makes of it, in black (white on dark).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.sheet import PaperStyle, lead_label, paper_axes, pulses, scale_note
from ecgxai_core.plots.theme import FONT, method_colour
from ecgxai_core.types import FloatArray, Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["changed_beats", "changed_rhythm"]

Beat = tuple[FloatArray, FloatArray]
"""``float64[bin]`` seconds from the R peak, and ``float64[lead, bin]`` mV, as
:func:`ecgxai_core.fusion.median_beat.median_trace` gives them."""

_COLUMNS, _NARROW_COLUMNS, _NARROW_PX = 4, 3, 450
_GAP_MV, _PULSE_SEC = 0.25, 0.4
_GAP = np.full((2, 1), np.nan)
"""A point that ends a line."""
_RHYTHM_SEC, _NARROW_SEC = 5.0, 4.0
_PULSE_MV, _NAME_MV = 1.0, 0.5
_LABEL_MV = 0.6
"""Names stand at least so high above 0 mV."""
_HEAD_PX, _FOOT_PX, _TICKS_PX, _LINE_PX = 6, 40, 16, 16
_TALL_MV = 3.6
"""Rows that are higher are drawn at half gain."""
_RECORDED = method_colour(0)
"""Blue: it stands out from the trace on light and on dark paper."""


def changed_beats(
    leads: Sequence[str], before: Beat, after: Beat, style: PaperStyle, moved: Sequence[str] = ()
) -> go.Figure:
    """The median beat of every lead, columns of three leads as in print, three rows high; on a
    narrow sheet four rows.

    Parameters
    ----------
    leads
        Names of the rows of both signals.
    before, after
        The beat as recorded, and with the change; on the same bins.
    style
        Colours, and the expected width, from which the height follows.
    moved
        Leads that the change moves; their names are in colour, if there are others.
    """
    columns = _NARROW_COLUMNS if style.width_px < _NARROW_PX else _COLUMNS
    count = -(-len(leads) // columns)
    time = before[0]
    pitch = float(np.ceil((time[-1] - time[0] + 0.08) / 0.2) * 0.2)
    rows = [[c * count + r for c in range(columns) if c * count + r < len(leads)]
            for r in range(count)]  # fmt: skip
    gain, levels, low = _levels([np.stack((before[1][row], after[1][row])) for row in rows], style)
    start = float(time[0])
    lines: tuple[list[FloatArray], ...] = ([], [])
    notes = []
    for row, zero in zip(rows, levels, strict=True):
        for place, lead in enumerate(row):
            x = time + place * pitch
            for line, signal in zip(lines, (before[1], after[1]), strict=True):
                line.extend((np.stack((x, signal[lead] * gain / 10 + zero)), _GAP))
            some = leads[lead] in moved and len(moved) < len(leads)
            colour = style.theme.disagreement if some else style.theme.text
            top = zero + max(_LABEL_MV, _top(before[1][lead], after[1][lead]) * gain / 10)
            label = lead_label(leads[lead], start + place * pitch, top, style.theme)
            label["font"] |= {"color": colour}
            notes.append(label)
    last = start + len(rows[0]) * pitch
    drawn = [*_traces(lines, style), pulses(levels, start - _PULSE_SEC + 0.1, _at(style, gain))]
    key = f"<span style='color:{style.theme.disagreement}'>coloured names: leads that move</span>"
    return _sheet(
        drawn, notes, (start - _PULSE_SEC, last), (low, 0.0), _at(style, gain),
        more=key if 0 < len(moved) < len(leads) else "",
    )  # fmt: skip


def changed_rhythm(
    before: Record,
    after: Record,
    leads: Sequence[str],
    style: PaperStyle,
    around_sec: float,
    span_sec: tuple[float, float] | None = None,
) -> go.Figure:
    """Some seconds of both records, lead by lead as recorded and, below it, with the change.

    ``leads`` are few, as each has two rows; what is drawn lies around ``around_sec``; ``span_sec``
    is shaded, where it is all that changes.
    """
    wide = _NARROW_SEC if style.width_px < _NARROW_PX else _RHYTHM_SEC
    whole = min(before.duration, after.duration)
    first = max(0.0, min(around_sec - wide / 2, whole - wide))
    first, last = round(first, 1), min(first + wide, whole)
    pairs = [(lead, item) for lead in leads for item in (before, after)]
    signals = [_part(item, lead, first, last) for lead, item in pairs]
    # room for the name above the trace, of one height at each gain, and for the pulse
    gain, *_ = _levels(_with_heads(signals, _NAME_MV), style)
    name_mv = _NAME_MV * style.gain_mm_mv / gain
    gain, levels, low = _levels(_with_heads(signals, name_mv), style)
    lines: tuple[list[FloatArray], ...] = ([], [])
    notes = []
    for number, ((lead, _), (seconds, values), zero) in enumerate(
        zip(pairs, signals, levels, strict=True)
    ):
        lines[number % 2].extend((np.stack((seconds, values * gain / 10 + zero)), _GAP))
        words = f"{lead} {'changed' if number % 2 else 'as recorded'}"
        top = zero + (_top(values) + name_mv) * gain / 10
        notes.append(lead_label(words, first, top, style.theme))
    drawn = [*_traces(lines, style), pulses(levels, first - _PULSE_SEC + 0.1, _at(style, gain))]
    figure = _sheet(
        drawn, notes, (first - _PULSE_SEC, last), (low, 0.0), _at(style, gain),
        more=f"{last - first:.0f} of {whole:.0f} s", seconds=True,
    )  # fmt: skip
    if span_sec is not None:
        figure.add_vrect(x0=max(span_sec[0], first), x1=min(span_sec[1], last), line_width=0,
                         fillcolor=style.theme.muted, opacity=0.18, layer="below")  # fmt: skip
    return figure


def _with_heads(signals: Sequence[Beat], name_mv: float) -> list[FloatArray]:
    """Each trace with the height of what stands above it as one more value."""
    return [
        np.append(values, max(_PULSE_MV, _top(values) + name_mv))[None] for _, values in signals
    ]


def _part(record: Record, lead: str, first: float, last: float) -> tuple[FloatArray, FloatArray]:
    begin, stop = round(first * record.fs), round(last * record.fs)
    values = record.signal[record.leads.index(lead), begin:stop].astype(np.float64)
    return np.arange(begin, begin + len(values)) / record.fs, values


def _levels(rows: Sequence[FloatArray], style: PaperStyle) -> tuple[float, list[float], float]:
    """Gain (mm/mV), height of 0 mV of each row, and the lower border; at 10 mm/mV, from the top."""
    reach = [(float(np.nanmin(row, initial=-0.1)), float(np.nanmax(row, initial=_LABEL_MV)))
             for row in rows]  # fmt: skip
    gain = style.gain_mm_mv
    if max(high - low for low, high in reach) > _TALL_MV:
        gain /= 2
    levels, y = [], 0.0
    for low, high in reach:
        zero = float(np.floor((y - _GAP_MV - high * gain / 10) * 10) / 10)
        levels.append(zero)
        y = zero + low * gain / 10
    return gain, levels, y - _GAP_MV


def _at(style: PaperStyle, gain: float) -> PaperStyle:
    return replace(style, gain_mm_mv=gain)


def _top(*signals: FloatArray) -> float:
    return float(np.nanmax(np.concatenate(signals), initial=0.0))


def _traces(lines: Sequence[Sequence[FloatArray]], style: PaperStyle) -> list[dict[str, Any]]:
    """As recorded, and changed: of arrays, as plotly looks at each item of a list; ``float32`` is
    sent in half the bytes and is exact to a hundredth of a pixel."""
    looks = (("as recorded", _RECORDED, 2.6), ("changed", style.theme.trace, 1.4))
    traces = []
    for (name, colour, width), parts in zip(looks, lines, strict=True):
        x, y = np.concatenate(parts, axis=1).astype(np.float32)
        traces.append({
            "type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": colour, "width": width}, "showlegend": False,
        })  # fmt: skip
    return traces


def _sheet(
    drawn: list[dict[str, Any]],
    notes: list[dict[str, Any]],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    style: PaperStyle,
    *,
    more: str = "",
    seconds: bool = False,
) -> go.Figure:
    """The paper with what is drawn; ``more`` stands in the key, ``seconds`` along the axis."""
    import plotly.graph_objects as go

    x, y = paper_axes(style, list(x_range), list(y_range), overlaid=True)
    theme, foot = style.theme, _FOOT_PX
    if seconds:
        x |= {"showticklabels": True, "ticksuffix": " s", "ticklabelstep": 5,
              "tickfont": {"size": 10, "color": theme.muted}}  # fmt: skip
        foot += _TICKS_PX
    plot = (y_range[1] - y_range[0]) * style.width_px / (x_range[1] - x_range[0])
    narrow = style.width_px < _NARROW_PX
    foot += _LINE_PX if narrow else 0
    height = round(plot * 10 / style.speed_mm_s + _HEAD_PX + foot)
    trace = "white" if theme.name == "dark" else "black"
    key = [f"<b>{trace}: changed</b>", f"<span style='color:{_RECORDED}'>blue: as recorded</span>"]
    key += [more] if more else []
    note = {**scale_note(style), "yshift": -4 - (_TICKS_PX if seconds else 0), "align": "left"}
    scale = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV"
    note["text"] = ("<br>" if narrow else "  ·  ").join(("  ·  ".join(key), scale))
    layout = {
        "height": height,
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 4, "r": 4, "t": _HEAD_PX, "b": foot},
        "font": {"color": theme.text, "size": 12, "family": FONT},
        "uirevision": "changed",
        "dragmode": "pan",
        "annotations": [*notes, note],
        "xaxis": x,
        "yaxis": y,
    }
    return go.Figure(drawn, layout)
