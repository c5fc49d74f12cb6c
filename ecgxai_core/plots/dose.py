"""Dose-response curves: probabilities against the size of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.line_labels import Frame, label_places
from ecgxai_core.plots.theme import METHOD_COLOURS, Theme
from ecgxai_core.types import Float32Array, FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Dose", "dose_chart"]

_WIDE_PX, _HIGH_PX = 450, 280
_Y = (-0.03, 1.05)
_COLOURS = tuple(colour for colour in METHOD_COLOURS if colour != "#56b4e9")
"""The target's blue first; without sky blue, which is taken for it."""


@dataclass(frozen=True, slots=True)
class Dose:
    """What a dose-response chart shows.

    Attributes
    ----------
    title
        Of the change, with its unit.
    sizes
        ``float64[n]``, ascending.
    neutral
        The size at which the record is as it was recorded.
    curves
        Name of the class -> ``float32[n]`` probabilities, the target first; NaN = not possible.
    threshold
        From which the target counts as called.
    chosen
        The size that is looked at.
    unusual
        By size, whether the changed record leaves the natural range.
    limits
        Name of the class -> probability from which it counts as called; a class without one is
        drawn as if it were called everywhere.
    """

    title: str
    sizes: FloatArray
    neutral: float
    curves: Mapping[str, Float32Array]
    threshold: float
    chosen: float
    unusual: Sequence[bool]
    limits: Mapping[str, float] = field(default_factory=dict)


def dose_chart(dose: Dose, theme: Theme, *, width_px: int = _WIDE_PX) -> go.Figure:
    """One line per class with its name beside it, the target's thick; solid with filled markers
    where the class is called, dashed with open ones where not; each threshold a tick at the right
    edge in the colour of its class; grey where the record is no longer a usual one.

    ``width_px`` is the expected width of the plot, by which names are placed.
    """
    import plotly.graph_objects as go

    narrow = width_px < _WIDE_PX
    grey = [
        {"type": "rect", "x0": low, "x1": high, "yref": "y domain", "y0": 0, "y1": 1,
         "fillcolor": theme.muted, "opacity": 0.15, "line": {"width": 0}}
        for low, high in _stretches(dose.sizes, dose.unusual)
    ]  # fmt: skip
    uprights, sizes = _mark_sizes(dose, theme)
    names = _names(dose, theme, width_px)
    title = {"text": f"{dose.title}<br>{_key(dose, theme, narrow)}"}
    # of one dictionary: each add_* of plotly looks at the whole figure again
    figure = go.Figure(
        [trace for number, (name, values) in enumerate(dose.curves.items())
         for trace in _line(dose, number, name, np.asarray(values, np.float64))],
        {
            "shapes": [*grey, *uprights, *_ticks(dose)],
            "annotations": [*sizes, *names],
            "xaxis": {"title": title, "range": list(_x(dose)), "zeroline": False},
            "yaxis": {"title": {"text": "probability"}, "range": list(_Y), "zeroline": False},
        },
    )  # fmt: skip
    styled(figure, theme, height=_HIGH_PX + (150 if narrow else 104))
    figure.update_layout(margin={"l": 8, "r": 12, "t": 30, "b": 8})
    return figure


def _line(dose: Dose, number: int, name: str, values: FloatArray) -> list[dict[str, Any]]:
    """Traces of a class: solid, dashed, and its markers."""
    limit, first = dose.limits.get(name, -np.inf), number == 0
    colour, width = _colour(number), 3.2 if first else 1.5
    x, solid, dashed = _parts(dose.sizes, values, limit)
    common = {"type": "scatter", "name": name, "showlegend": False}
    lines = [
        {**common, "x": x, "y": y, "mode": "lines", "hoverinfo": "skip",
         "line": {"color": colour, "width": width, "dash": dash}}
        for y, dash in ((solid, "solid"), (dashed, "dot"))
        if np.isfinite(y).any()
    ]  # fmt: skip
    called = values >= limit
    words = ["called" if one else "not called" for one in called]
    marks = {
        **common, "x": dose.sizes, "y": values, "mode": "markers", "customdata": words,
        "marker": {"size": 8 if first else 5, "color": colour,
                   "symbol": ["circle" if one else "circle-open" for one in called]},
        "hovertemplate": f"{name}: %{{y:.3f}} at %{{x:g}}"
        + (", %{customdata}" if name in dose.limits else "")
        + "<extra></extra>",
    }  # fmt: skip
    return [*lines, marks]


def _parts(x: FloatArray, y: FloatArray, limit: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The line with the points where it crosses ``limit``, from it on, and up to it; NaN = not part
    of it."""
    cross = [
        (x[i] + (limit - y[i]) / (y[i + 1] - y[i]) * (x[i + 1] - x[i]), i + 1)
        for i in range(len(x) - 1)
        if np.isfinite(y[i : i + 2]).all() and (y[i] >= limit) != (y[i + 1] >= limit)
    ]
    places = [place for _, place in cross]
    xs = np.insert(np.asarray(x, np.float64), places, [at for at, _ in cross])
    ys = np.insert(np.asarray(y, np.float64), places, limit)
    return xs, np.where(ys >= limit, ys, np.nan), np.where(ys <= limit, ys, np.nan)


def _key(dose: Dose, theme: Theme, narrow: bool) -> str:
    """What kinds of line and the grey mean."""
    said = []
    if dose.limits:
        said = ["●━ called by its own threshold (tick at right)", "○┄ not called"]
    if any(dose.unusual):
        said.append(f"<span style='color:{theme.unexplored}'>▉</span> rare in PTB-XL")
    text = ("<br>" if narrow else "  ·  ").join(said)
    return f"<span style='font-size:11px;color:{theme.muted}'>{text}</span>"


def _x(dose: Dose) -> tuple[float, float]:
    first, last = float(dose.sizes[0]), float(dose.sizes[-1])
    spare = 0.03 * (last - first or 1.0)
    return first - spare, last + spare


def _mark_sizes(dose: Dose, theme: Theme) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Upright lines at the record as it was recorded, and at the size that is looked at; and what
    is written above them."""
    middle = (dose.sizes[0] + dose.sizes[-1]) / 2
    looks = {dose.neutral: ("as recorded", "dot", theme.muted)}
    looks |= {dose.chosen: ("now", "solid", theme.text)} if dose.chosen != dose.neutral else {}
    lines, notes = [], []
    for size, (text, dash, colour) in looks.items():
        right = size > min(dose.chosen, dose.neutral) or (len(looks) == 1 and size < middle)
        note = {"text": text, "font": {"size": 11, "color": colour}, "xanchor": "center",
                "yanchor": "bottom", "yref": "y domain", "y": 1.0, "x": size}  # fmt: skip
        near = abs(dose.chosen - dose.neutral) < 0.2 * (_x(dose)[1] - _x(dose)[0])
        if len(looks) == 2 and near:
            note["xanchor"] = "left" if right else "right"
        lines.append({"type": "line", "x0": size, "x1": size, "yref": "y domain", "y0": 0, "y1": 1,
                      "line": {"color": colour, "width": 1.2, "dash": dash}})  # fmt: skip
        notes.append({"showarrow": False, "xref": "x", **note})
    return lines, notes


def _ticks(dose: Dose) -> list[dict[str, Any]]:
    """The threshold of each class: a tick right of all curves, so that none seems to cross it."""
    limits = {**dose.limits, next(iter(dose.curves)): dose.threshold}
    ticks = [
        {"type": "line", "x0": float(dose.sizes[-1]), "x1": _x(dose)[1], "y0": limits[name],
         "y1": limits[name], "line": {"color": _colour(number), "width": 2 if number else 4}}
        for number, name in enumerate(dose.curves) if name in limits
    ]  # fmt: skip
    return ticks[::-1]  # the target's above the others


def _names(dose: Dose, theme: Theme, width_px: int) -> list[dict[str, Any]]:
    """The names of the classes, and of the target's threshold."""
    target = next(iter(dose.curves))
    limit = f"{target}: threshold {dose.threshold:.2f}"
    lines: dict[str, tuple[FloatArray, FloatArray]] = {
        name: (dose.sizes, np.asarray(values, np.float64)) for name, values in dose.curves.items()
    }
    tick = np.array([dose.sizes[-1], _x(dose)[1]], np.float64)
    lines[limit] = (tick, np.full(2, dose.threshold))
    notes = []
    for name, (x, y) in label_places(lines, Frame(_x(dose), _Y, width_px, _HIGH_PX)).items():
        number = 0 if name == limit else list(dose.curves).index(name)
        notes.append({
            "x": x, "y": y, "text": f"<b>{name}</b>" if name == target else name,
            "font": {"size": 11, "color": _colour(number)}, "showarrow": False,
            "bgcolor": theme.label_background, "borderpad": 0,
        })  # fmt: skip
    return notes


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _stretches(sizes: FloatArray, marked: Sequence[bool]) -> list[tuple[float, float]]:
    """Stretches of the axis around marked sizes, half-way to their neighbours."""
    cuts = np.concatenate([sizes[:1], (sizes[1:] + sizes[:-1]) / 2, sizes[-1:]])
    return [(float(cuts[i]), float(cuts[i + 1])) for i, mark in enumerate(marked) if mark]
