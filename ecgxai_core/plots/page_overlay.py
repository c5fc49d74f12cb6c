"""An explanation on a printed page: the same marks as :mod:`ecgxai_core.plots.overlay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.overlay import ALPHA, full_scale
from ecgxai_core.plots.theme import DIVERGING, Theme
from ecgxai_core.types import Attribution, BoolArray, FusedMap

__all__ = ["draw_legend", "draw_overlay"]

Place = Callable[[Panel, float, float], tuple[float, float, float, float]]
"""(panel, begin s, end s) -> left, right, middle of the row, half its height, all mm."""

_HALF = 0.92  # of half a row: a gap stays between rows
Box = list[tuple[float, float]]


def draw_overlay(
    axes: Any,
    overlay: Attribution | FusedMap,
    places: tuple[Panel, ...],
    place: Place,
    theme: Theme,
    scale: float | None,
) -> None:
    """Signed cells (for: upper half of the row, against: lower half), hatches and conflicts."""
    from matplotlib.collections import PolyCollection

    share = overlay.density() / (scale if scale is not None else full_scale(overlay))
    boxes: list[Box] = []
    colours: list[Any] = []
    for panel in (p for p in places if p.lead in overlay.leads):
        row = share[overlay.leads.index(panel.lead)]
        for column in np.flatnonzero(np.isfinite(row) & (row != 0)):
            begin, end = overlay.edges_sec[column], overlay.edges_sec[column + 1]
            box = _box(panel, place, begin, end, np.sign(row[column]))
            if box:
                boxes.append(box)
                colours.append(_colour(float(row[column])))
    axes.add_collection(
        PolyCollection(
            boxes, facecolors=colours, linewidths=0, alpha=ALPHA, zorder=1, gid="explanation"
        )
    )
    hatched = _joined(overlay, places, place, ~overlay.explored)
    axes.add_collection(
        PolyCollection(
            hatched,
            facecolors="none",
            edgecolors=theme.unexplored,
            linewidths=0,
            hatch="////",
            alpha=0.6,
            zorder=2,
            gid="not-explored",
        )
    )
    if isinstance(overlay, FusedMap):
        conflict = _joined(overlay, places, place, overlay.agreement == -1)
        axes.add_collection(
            PolyCollection(
                conflict,
                facecolors="none",
                edgecolors=theme.conflict,
                linewidths=0.9,
                zorder=3,
                gid="conflict",
            )
        )


def draw_legend(
    axes: Any, overlay: Attribution | FusedMap, theme: Theme, corner: tuple[float, float]
) -> None:
    """Colour bar with its unit, and what hatches and frames mean; ``corner`` in mm."""
    from matplotlib.patches import Rectangle

    x, y = corner
    steps = 56
    for i in range(steps):
        value = -1 + 2 * (i + 0.5) / steps
        axes.add_patch(
            Rectangle((x + i, y), 1.02, 3, facecolor=_colour(value), alpha=ALPHA, linewidth=0)
        )
    words = {"fontsize": 7, "color": theme.muted, "parse_math": False, "va": "top"}
    for at, text in ((0.0, "against, lower half"), (steps, "for, upper half")):
        axes.text(x + at, y - 0.8, text, ha="left" if at == 0 else "right", **words)
    axes.text(x + steps + 3, y + 2.7, "share of largest |attribution| per s", **words)
    x += steps + 52
    marks: list[tuple[str, dict[str, Any]]] = [
        ("not explored", {"hatch": "////", "edgecolor": theme.unexplored, "linewidth": 0.3})
    ]
    if isinstance(overlay, FusedMap):
        marks.append(("methods disagree in sign", {"edgecolor": theme.conflict, "linewidth": 0.9}))
    for text, look in marks:
        axes.add_patch(Rectangle((x, y), 6, 3, facecolor="none", **look))
        axes.text(x + 7.5, y + 2.7, text, **words)
        x += 34


def _colour(share: float) -> tuple[float, float, float]:
    """The colour of :data:`DIVERGING` at a share in [-1, 1]."""
    at = (min(1.0, max(-1.0, share)) + 1) / 2
    stops = np.array([stop for stop, _ in DIVERGING])
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, c in DIVERGING])
    red, green, blue = (float(np.interp(at, stops, rgb[:, i])) for i in range(3))
    return red, green, blue


def _box(panel: Panel, place: Place, begin: float, end: float, side: float = 0.0) -> Box:
    """Corners of a cell within its panel, mm; only its upper or lower half where it has a side."""
    begin, end = max(begin, panel.start), min(end, panel.stop)
    if begin >= end:
        return []
    left, right, middle, half = place(panel, begin, end)
    low = middle - (half * _HALF if side <= 0 else 0.0)
    high = middle + (half * _HALF if side >= 0 else 0.0)
    return [(left, low), (right, low), (right, high), (left, high)]


def _joined(
    overlay: Attribution | FusedMap, places: tuple[Panel, ...], place: Place, cells: BoolArray
) -> list[Box]:
    """Boxes of marked cells, neighbours in time joined."""
    boxes = []
    for panel in (p for p in places if p.lead in overlay.leads):
        row = np.concatenate([[False], cells[overlay.leads.index(panel.lead)], [False]])
        turns = np.flatnonzero(np.diff(row.astype(np.int8)))
        spans = zip(overlay.edges_sec[turns[::2]], overlay.edges_sec[turns[1::2]], strict=True)
        boxes += [_box(panel, place, begin, end) for begin, end in spans]
    return [box for box in boxes if box]
