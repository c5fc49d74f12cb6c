"""Layouts of leads on the paper: 12x1, 6x2, 3x4 + rhythm strip, standard or Cabrera order.

All panels share one pair of axes (twelve subplots are five times slower in a browser); a panel is
an interval of time and a vertical offset in millivolts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ecgxai_core.types import STANDARD_LEADS

__all__ = ["CABRERA", "LAYOUTS", "Panel", "panels"]

CABRERA: tuple[str, ...] = (
    "aVL", "I", "-aVR", "II", "aVF", "III", "V1", "V2", "V3", "V4", "V5", "V6",
)  # fmt: skip
LAYOUTS: tuple[str, ...] = ("3x4+II", "6x2", "12x1")
_ROW_MV = {"3x4+II": 3.0, "6x2": 2.4, "12x1": 2.0}


@dataclass(frozen=True, slots=True)
class Panel:
    """The place of one lead.

    ``label`` is printed (``"-aVR"`` if the trace is inverted), ``lead`` names the row of the
    record, and ``flip`` is -1 or 1. The panel shows seconds ``[start, stop)`` of the record, with
    0 mV at ``y = offset``; the row is ``height`` mV high.
    """

    lead: str
    label: str
    flip: int
    start: float
    stop: float
    offset: float
    height: float


def panels(
    layout: str, leads: tuple[str, ...], start: float, stop: float, *, cabrera: bool = False
) -> tuple[Panel, ...]:
    """Panels of a layout for seconds ``[start, stop)`` of a record with these leads.

    Columns divide the time shown: in 3x4 each lead shows consecutive quarters of it, as on paper;
    the rhythm strip shows all of it.
    """
    order = [lead for lead in (CABRERA if cabrera else STANDARD_LEADS) if lead.strip("-") in leads]
    columns = {"3x4+II": 4, "6x2": 2, "12x1": 1}[layout]
    rows = -(-len(order) // columns)
    height = _ROW_MV[layout]
    width = (stop - start) / columns
    strip = "II" if layout == "3x4+II" and "II" in leads else None
    total = rows + (strip is not None)
    made = []
    for index, label in enumerate(order):
        column, row = divmod(index, rows)
        begin = start + column * width
        made.append(_panel(label, begin, begin + width, (total - 1 - row) * height, height))
    if strip is not None:
        made.append(_panel(strip, start, stop, 0.0, height))
    return tuple(made)


def _panel(label: str, start: float, stop: float, offset: float, height: float) -> Panel:
    flip = -1 if label.startswith("-") else 1
    return Panel(label.lstrip("-"), label, flip, start, stop, offset, height)
