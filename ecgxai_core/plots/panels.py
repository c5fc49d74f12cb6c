"""One record beside what one or two models make of it: trace, map, overlay, prediction.

With one model four panels, with two six: trace and predictions on top, then the maps, then the maps
over the trace, one column per model. Each map is relative to its own largest density, since models
differ in scale.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgxai_core.plots.overlay import ALPHA, full_scale
from ecgxai_core.plots.pdf import drawing, figure_svg
from ecgxai_core.plots.theme import DIVERGING, LIGHT, method_colour
from ecgxai_core.types import FloatArray, Map, Record

__all__ = ["ModelSide", "panel_figure"]

_SIZE = (11.7, 8.3)  # A4 landscape, inches
_GAP = 1.15  # of a lead's row, so that neighbours rarely touch
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ModelSide:
    """A model's name, its map, and its probabilities by the name of the class."""

    name: str
    item: Map
    probabilities: Mapping[str, float]


def panel_figure(
    record: Record,
    sides: Sequence[ModelSide],
    title: str,
    form: Literal["svg", "pdf", "png"] = "svg",
    *,
    span: tuple[float, float] | None = None,
) -> bytes:
    """The figure as a file.

    Parameters
    ----------
    record
        The ECG.
    sides
        One or two models.
    title
        Text above the panels.
    form
        Kind of file; the same figure gives the same bytes.
    span
        Seconds that are drawn; by default all that the maps cover.

    Raises
    ------
    ValueError
        Neither one nor two models.
    """
    from matplotlib.figure import Figure

    if len(sides) not in (1, 2):
        raise ValueError(f"one or two models can be drawn, not {len(sides)}")
    first, last = span or _covered(record, sides)
    with drawing():
        figure = Figure(figsize=_SIZE, facecolor="white", layout="constrained")
        rows = 1 + len(sides)
        axes = figure.subplots(rows, 2, squeeze=False, height_ratios=[1.0] * rows)
        _trace(axes[0, 0], record, (first, last), "Trace")
        _prediction(axes[0 if len(sides) == 2 else 1, 1], sides)
        for column, side in enumerate(sides):
            flat = axes[1, column] if len(sides) == 2 else axes[0, 1]
            over = axes[2, column] if len(sides) == 2 else axes[1, 0]
            drawn = _cells(flat, record, side.item, (first, last))
            flat.set_title(f"Map: {side.name}", fontsize=9, loc="left", parse_math=False)
            _cells(over, record, side.item, (first, last), alpha=ALPHA)
            _trace(over, record, (first, last), f"Overlay: {side.name}")
        bar = figure.colorbar(drawn, ax=axes[:, :], shrink=0.4, pad=0.01, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["against", "0", "for"], fontsize=7)
        figure.suptitle(title, fontsize=11, color=LIGHT.text, parse_math=False)
        if form == "svg":
            return figure_svg(figure)
        stream = io.BytesIO()
        nothing = {"Software": None} if form == "png" else {"CreationDate": None}
        figure.savefig(stream, format=form, dpi=150, metadata=nothing)
        return stream.getvalue()


def _covered(record: Record, sides: Sequence[ModelSide]) -> tuple[float, float]:
    first = min(float(side.item.edges_sec[0]) for side in sides)
    last = max(float(side.item.edges_sec[-1]) for side in sides)
    return max(0.0, first), min(record.duration, last)


def _levels(record: Record) -> FloatArray:
    """Height of 0 mV of each lead, the first on top; one row is 1."""
    return np.arange(len(record.leads) - 1, -1, -1, dtype=np.float64)


def _axes(axes: Any, record: Record, span: tuple[float, float]) -> None:
    axes.set(xlim=span, ylim=(-0.6, len(record.leads) - 0.4))
    axes.set_yticks(_levels(record), record.leads, fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(length=0)
    axes.set_xlabel("seconds", fontsize=7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _trace(axes: Any, record: Record, span: tuple[float, float], title: str) -> None:
    begin = max(0, int(span[0] * record.fs))
    end = min(record.n_samples, int(np.ceil(span[1] * record.fs)))
    signal = np.asarray(record.signal[:, begin:end], np.float64)
    seconds = np.arange(begin, end) / record.fs
    centred = signal - np.nanmedian(signal, axis=1, keepdims=True)
    size = float(np.nanquantile(np.abs(centred), 0.999)) or 1.0
    for level, line in zip(_levels(record), centred, strict=True):
        axes.plot(seconds, level + line / size / 2 * _GAP, color=LIGHT.trace, linewidth=0.5)
    _axes(axes, record, span)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)


def _cells(
    axes: Any, record: Record, item: Map, span: tuple[float, float], alpha: float = 1.0
) -> Any:
    """The cells of a map in the rows of its leads; what was not explored is hatched."""
    from matplotlib.colors import LinearSegmentedColormap

    share = item.drawn_density() / full_scale(item)
    rows = np.full((len(record.leads), share.shape[1]), np.nan)
    for place, lead in enumerate(record.leads):
        if lead in item.leads:
            rows[place] = share[item.leads.index(lead)]
    colours = LinearSegmentedColormap.from_list("signed", DIVERGING)
    borders = np.arange(len(record.leads) + 1) - 0.5
    axes.set_facecolor("#f4f4f4" if np.isnan(rows).any() else "white")
    drawn = axes.pcolormesh(
        item.edges_sec, borders, rows[::-1], cmap=colours, vmin=-1, vmax=1, alpha=alpha,
        edgecolors="none", rasterized=True,
    )  # fmt: skip
    if np.isnan(rows).any():
        axes.text(
            0.995, 0.01, "grey: not explored", transform=axes.transAxes, fontsize=6,
            ha="right", va="bottom", color=LIGHT.muted,
        )  # fmt: skip
    _axes(axes, record, span)
    return drawn


def _prediction(axes: Any, sides: Sequence[ModelSide]) -> None:
    """Probabilities of the classes that any model thinks likeliest, the highest on top."""
    names = list(dict.fromkeys(name for side in sides for name in side.probabilities))
    names.sort(key=lambda name: -max(side.probabilities.get(name, 0.0) for side in sides))
    names = names[:_SHOWN][::-1]
    height = 0.8 / len(sides)
    for number, side in enumerate(sides):
        at = np.arange(len(names)) + (0.5 * (len(sides) - 1) - number) * height
        values = [side.probabilities.get(name, np.nan) for name in names]
        axes.barh(
            at, values, height * 0.9, color=method_colour(number), label=side.name,
            hatch="" if number == 0 else "///", edgecolor="white",
        )  # fmt: skip
        for y, value in zip(at, values, strict=True):
            if np.isfinite(value):
                axes.text(value + 0.01, y, f"{value:.2f}", va="center", fontsize=7)
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=7)
    axes.yaxis.tick_right()  # long names would push the two columns apart
    axes.set(xlim=(0, 1.08))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("probability", fontsize=7)
    axes.set_title("Prediction", fontsize=9, loc="left")
    if len(sides) == 2:
        axes.legend(fontsize=7, frameon=False, loc="lower center")
    for side_name in ("top", "left"):
        axes.spines[side_name].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:32]}…"
