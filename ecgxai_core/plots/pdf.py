"""An ECG with its explanation on A4 pages in true millimetres, as PDF, SVG or PNG.

On a page the coordinates are millimetres, so 25 mm/s and 10 mm/mV are what a ruler finds on the
print (Kligfield et al., AHA/ACC/HRS, Circulation 2007;115:1306). Records longer than a page take
several.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.plots.layout import Panel, panels
from ecgxai_core.plots.page_overlay import draw_legend, draw_overlay
from ecgxai_core.plots.paper import PaperStyle, thinned
from ecgxai_core.types import Attribution, FusedMap, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "MOST_PAGES",
    "PAGE_MM",
    "Caption",
    "Page",
    "drawing",
    "ecg_pages",
    "ecg_pdf",
    "ecg_png",
    "ecg_svg",
    "page_windows",
]

PAGE_MM = (297.0, 210.0)
"""Width and height of A4 landscape, mm."""

MOST_PAGES = 60

_INCH = 25.4
_LEFT, _RIGHT = 27.0, 277.0  # where the traces begin and end, mm: 250 mm are 10 s at 25 mm/s
_GRID_LEFT, _GRID_RIGHT = 12.0, 287.0
_TOP, _BOTTOM = 183.0, 23.0
_LINE, _SMALL, _LARGE = 0.7, 0.12, 0.3  # points
_LOCK = threading.Lock()  # text layout in matplotlib is not made for several threads


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands above the traces: a title, lines under it, and what must not be overlooked."""

    title: str
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """One page: its matplotlib figure, the panels on it and where 0 mV of each row lies, mm.

    ``x_mm(t)`` and ``y_mm(panel, mv)`` are the scale of the page.
    """

    figure: Figure
    panels: tuple[Panel, ...]
    rows_mm: dict[float, float]
    start: float
    style: PaperStyle

    def x_mm(self, seconds: Any) -> Any:
        """Millimetres from the left edge of the page."""
        return _LEFT + (seconds - self.start) * self.style.speed_mm_s

    def y_mm(self, panel: Panel, millivolts: Any) -> Any:
        """Millimetres from the lower edge of the page."""
        return self.rows_mm[panel.offset] + panel.flip * millivolts * self.style.gain_mm_mv


def page_windows(start: float, stop: float, speed_mm_s: float) -> list[tuple[float, float]]:
    """The stretch of time of each page, seconds.

    Raises
    ------
    ParameterError
        More than :data:`MOST_PAGES` pages.
    """
    each = (_RIGHT - _LEFT) / speed_mm_s
    number = max(1, int(np.ceil((stop - start) / each - 1e-9)))
    if number > MOST_PAGES:
        raise ParameterError(
            "PDF", "length", f"{stop - start:.0f} s need {number} pages", "choose a shorter part"
        )
    edges = [min(stop, start + i * each) for i in range(number + 1)]
    edges[-1] = stop
    return list(pairwise(edges))


def ecg_pages(
    record: Record,
    style: PaperStyle,
    caption: Caption,
    *,
    start: float = 0.0,
    stop: float | None = None,
    overlay: Attribution | FusedMap | None = None,
    scale: float | None = None,
) -> list[Page]:
    """Draw a record and an explanation over it; the parameters are those of ``ecg_figure``.

    Raises
    ------
    ParameterError
        Too many pages.
    """
    end = min(record.duration, stop if stop is not None else record.duration)
    windows = page_windows(start, end, style.speed_mm_s)
    return [
        _page(record, style, caption, window, (number, len(windows)), overlay, scale)
        for number, window in enumerate(windows, start=1)
    ]


def ecg_pdf(record: Record, style: PaperStyle, caption: Caption, **what: Any) -> bytes:
    """The pages as one PDF; ``what`` are the keywords of :func:`ecg_pages`.

    The same input gives the same bytes: no date is written.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    about = {"CreationDate": None, "Producer": None, "Creator": "ECG-XAI", "Title": "ECG"}
    stream = io.BytesIO()
    with drawing(), PdfPages(stream, metadata=about) as book:
        for page in ecg_pages(record, style, caption, **what):
            book.savefig(page.figure)
    return stream.getvalue()


def ecg_svg(record: Record, style: PaperStyle, caption: Caption, **what: Any) -> list[bytes]:
    """One SVG a page, in millimetres; see :func:`ecg_pages`."""
    made = []
    with drawing():
        for page in ecg_pages(record, style, caption, **what):
            stream = io.BytesIO()
            page.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
            made.append(stream.getvalue())
    return made


def ecg_png(
    record: Record, style: PaperStyle, caption: Caption, *, dpi: int = 150, **what: Any
) -> bytes:
    """The first page as PNG; see :func:`ecg_pages`."""
    stream = io.BytesIO()
    with drawing():
        page = ecg_pages(record, style, caption, **what)[0]
        page.figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """Fixed settings, and one picture at a time, for whatever is drawn with matplotlib."""
    from matplotlib import rc_context

    fixed: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "ecgxai"}
    with _LOCK, rc_context({**fixed, "hatch.linewidth": 0.3, "font.family": "DejaVu Sans"}):
        yield


def _page(
    record: Record,
    style: PaperStyle,
    caption: Caption,
    window: tuple[float, float],
    number: tuple[int, int],
    overlay: Attribution | FusedMap | None,
    scale: float | None,
) -> Page:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE_MM[0] / _INCH, PAGE_MM[1] / _INCH), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, PAGE_MM[0]), ylim=(0, PAGE_MM[1]))
    axes.axis("off")
    places = panels(style.layout, record.leads, *window, cabrera=style.cabrera)
    page = Page(figure, places, _rows(places), window[0], style)
    _grid(axes, style, overlay is not None)
    if overlay is not None:
        draw_overlay(axes, overlay, places, _scale_of(page), style.theme, scale)
        draw_legend(axes, overlay, style.theme, (_GRID_LEFT, 12.0))
    _traces(axes, page, record)
    _words(axes, page, caption, window, number)
    return page


def _scale_of(page: Page) -> Any:
    """Millimetres of a panel's cell: left, right, middle and half height of its row."""
    half = _pitch(len(page.rows_mm)) / 2

    def place(panel: Panel, begin: float, end: float) -> tuple[float, float, float, float]:
        return page.x_mm(begin), page.x_mm(end), page.rows_mm[panel.offset], half

    return place


def _pitch(rows: int) -> float:
    """Whole millimetres from row to row."""
    return float(np.floor((_TOP - _BOTTOM) / rows))


def _rows(places: tuple[Panel, ...]) -> dict[float, float]:
    """Where 0 mV of each row lies, mm, on a small box; the lowest row first."""
    offsets = sorted({panel.offset for panel in places})
    pitch = _pitch(len(offsets))
    first = _BOTTOM + np.floor(pitch / 2)
    return {offset: float(first + i * pitch) for i, offset in enumerate(offsets)}


def _grid(axes: Any, style: PaperStyle, overlaid: bool) -> None:
    """Small boxes of 1 mm, large ones of 5 mm, counted from where the traces begin."""
    from matplotlib.collections import LineCollection

    theme = style.theme
    colours = (
        (theme.overlay_grid_small, theme.overlay_grid_large)
        if overlaid
        else (theme.grid_small, theme.grid_large)
    )
    for step, colour, width in ((1.0, colours[0], _SMALL), (5.0, colours[1], _LARGE)):
        first = _LEFT - step * np.floor((_LEFT - _GRID_LEFT) / step)
        down = [[(x, _BOTTOM), (x, _TOP)] for x in np.arange(first, _GRID_RIGHT + 0.1, step)]
        low = _BOTTOM + (step - (_BOTTOM - 3.0) % step) % step
        across = [[(_GRID_LEFT, y), (_GRID_RIGHT, y)] for y in np.arange(low, _TOP + 0.1, step)]
        axes.add_collection(
            LineCollection(down + across, colors=colour, linewidths=width, zorder=0)
        )


def _traces(axes: Any, page: Page, record: Record) -> None:
    """Traces, lead names and a calibration pulse (1 mV, 200 ms) before each row."""
    style = page.style
    ink = {"color": style.theme.trace, "linewidth": _LINE, "solid_joinstyle": "round", "zorder": 4}
    for panel in page.panels:
        seconds, millivolts = thinned(record, panel)
        axes.plot(page.x_mm(seconds), page.y_mm(panel, millivolts), gid=panel.label, **ink)
        x, y = page.x_mm(panel.start), page.rows_mm[panel.offset]
        up = min(7.0, _pitch(len(page.rows_mm)) * 0.32)
        _text(axes, x + 0.6, y + up, panel.label, 8, page.style.theme.text, weight="bold")
    wide, high = 0.2 * style.speed_mm_s, style.gain_mm_mv
    for number, y in enumerate(page.rows_mm.values()):
        x = _LEFT - 3.0 - wide
        xs = [x - 1, x, x, x + wide, x + wide, x + wide + 1]
        axes.plot(xs, [y, y, y + high, y + high, y, y], gid=f"calibration-{number}", **ink)


def _words(
    axes: Any, page: Page, caption: Caption, window: tuple[float, float], number: tuple[int, int]
) -> None:
    theme, style = page.style.theme, page.style
    _text(axes, _GRID_LEFT, 202.0, _short(caption.title, 110), 12, theme.text, weight="bold")
    for i, line in enumerate(caption.lines[:3]):
        _text(axes, _GRID_LEFT, 196.5 - 4.2 * i, _short(line, 190), 8, theme.muted)
    # What must not be overlooked stands at the right, in the colour of conflicts.
    for i, line in enumerate(caption.warnings[:3]):
        _text(axes, _GRID_RIGHT, 202.0 - 4.2 * i, _short(line, 80), 8, theme.conflict, ha="right")
    if len(caption.warnings) > 3:
        more = f"and {len(caption.warnings) - 3} more warnings (see the report)"
        _text(axes, _GRID_RIGHT, 202.0 - 4.2 * 3, more, 8, theme.conflict, ha="right")
    scale = (
        f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV (print at 100 %); "
        f"{style.filter_text}"
    )
    _text(axes, _GRID_LEFT, 18.5, scale, 7.5, theme.muted)
    part = f"{window[0]:.1f} to {window[1]:.1f} s; page {number[0]} of {number[1]}"
    _text(axes, _GRID_RIGHT, 18.5, part, 7.5, theme.muted, ha="right")
    _text(
        axes, _GRID_RIGHT, 6.0, "Research use only. Not for diagnosis.", 8, theme.text, ha="right"
    )


def _text(axes: Any, x: float, y: float, text: str, size: float, colour: str, **more: Any) -> None:
    """Text as it is: a dollar sign in a record's name starts no formula."""
    axes.text(x, y, text, fontsize=size, color=colour, parse_math=False, zorder=5, **more)


def _short(text: str, most: int) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
