"""An ECG with its explanation on A4 pages to scale, as PDF, SVG or PNG.

Coordinates are millimetres on the page, so a print has exactly 25 mm/s and 10 mm/mV (Kligfield et
al., AHA/ACC/HRS, Circulation 2007;115:1306). Long records take several pages.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.plots.layout import Panel, panels
from ecgxai_core.plots.overlay import ALPHA, full_scale, marked_spans
from ecgxai_core.plots.paper import PaperStyle, thinned
from ecgxai_core.plots.theme import DIVERGING, Theme
from ecgxai_core.types import BoolArray, FusedMap, Map, Record

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
    "figure_svg",
    "page_windows",
]

PAGE_MM = (297.0, 210.0)
"""Width and height of A4 landscape, mm."""

MOST_PAGES = 60

_INCH = 25.4
_LEFT, _RIGHT = 27.0, 277.0  # start and end of the traces, mm: 250 mm are 10 s at 25 mm/s
_GRID_LEFT, _GRID_RIGHT = 12.0, 287.0
_TOP, _BOTTOM = 183.0, 23.0
_LINE, _SMALL, _LARGE = 0.7, 0.12, 0.3  # points
_FILL = 0.92  # of a row, so that a gap remains between rows
_LOCK = threading.Lock()  # text layout in matplotlib is not thread-safe


@dataclass(frozen=True, slots=True)
class Caption:
    """Text above the traces: a title, lines below it, and prominent warnings."""

    title: str
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """One page: its matplotlib figure, its panels, and the height of 0 mV of each row, mm.

    It shows the record from ``start`` to ``stop``, in seconds.
    """

    figure: Figure
    panels: tuple[Panel, ...]
    rows_mm: dict[float, float]
    start: float
    stop: float
    style: PaperStyle

    @property
    def pitch(self) -> float:
        """Whole millimetres from row to row."""
        return float(np.floor((_TOP - _BOTTOM) / len(self.rows_mm)))

    def x_mm(self, seconds: Any) -> Any:
        """Millimetres from the left edge of the page."""
        return _LEFT + (seconds - self.start) * self.style.speed_mm_s

    def y_mm(self, panel: Panel, millivolts: Any) -> Any:
        """Millimetres from the lower edge of the page."""
        return self.rows_mm[panel.offset] + panel.flip * millivolts * self.style.gain_mm_mv


def page_windows(start: float, stop: float, speed_mm_s: float) -> list[tuple[float, float]]:
    """The time interval of each page, seconds.

    Raises
    ------
    ParameterError
        More than :data:`MOST_PAGES` pages.
    """
    each = (_RIGHT - _LEFT) / speed_mm_s
    number = max(1, int(np.ceil((stop - start) / each - 1e-9)))
    if number > MOST_PAGES:
        problem = f"{stop - start:.0f} s take {number} pages, more than {MOST_PAGES}"
        raise ParameterError("PDF", "length", problem, "choose a shorter part")
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
    overlay: Map | None = None,
    scale: float | None = None,
) -> list[Page]:
    """Draw a record with an explanation; parameters as in ``ecg_figure``.

    Raises
    ------
    ParameterError
        Too many pages.
    """
    end = min(record.duration, stop if stop is not None else record.duration)
    windows = page_windows(start, end, style.speed_mm_s)
    pages = []
    for number, window in enumerate(windows, start=1):
        page = _page(record, style, *window)
        axes = page.figure.axes[0]
        _grid(axes, style, overlay is not None)
        if overlay is not None:
            _draw_overlay(axes, page, overlay, scale)
            _draw_legend(axes, overlay, style.theme)
        _traces(axes, page, record)
        _words(axes, page, caption, f"page {number} of {len(windows)}")
        pages.append(page)
    return pages


def ecg_pdf(record: Record, style: PaperStyle, caption: Caption, **what: Any) -> bytes:
    """The pages as one PDF; keywords as in :func:`ecg_pages`.

    The same input gives the same bytes, as no date is written.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    about = {"CreationDate": None, "Producer": None, "Creator": "ECG-XAI", "Title": "ECG"}
    stream = io.BytesIO()
    with drawing(), PdfPages(stream, metadata=about) as book:
        for page in ecg_pages(record, style, caption, **what):
            book.savefig(page.figure)
    return stream.getvalue()


def ecg_svg(record: Record, style: PaperStyle, caption: Caption, **what: Any) -> list[bytes]:
    """One SVG per page, in millimetres; keywords as in :func:`ecg_pages`."""
    with drawing():
        return [figure_svg(page.figure) for page in ecg_pages(record, style, caption, **what)]


def figure_svg(figure: Figure) -> bytes:
    """A matplotlib figure as SVG, without a date; call within :func:`drawing`."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def ecg_png(
    record: Record, style: PaperStyle, caption: Caption, *, dpi: int = 150, **what: Any
) -> bytes:
    """The first page as PNG; keywords as in :func:`ecg_pages`."""
    stream = io.BytesIO()
    with drawing():
        page = ecg_pages(record, style, caption, **what)[0]
        page.figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """Context for drawing with matplotlib: fixed settings, one thread at a time."""
    from matplotlib import rc_context

    fixed: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "ecgxai"}
    with _LOCK, rc_context({**fixed, "hatch.linewidth": 0.3, "font.family": "DejaVu Sans"}):
        yield


def _page(record: Record, style: PaperStyle, start: float, stop: float) -> Page:
    """An empty page; 0 mV of each row is on a grid line, the lowest row first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE_MM[0] / _INCH, PAGE_MM[1] / _INCH), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, PAGE_MM[0]), ylim=(0, PAGE_MM[1]))
    axes.axis("off")
    places = panels(style.layout, record.leads, start, stop, cabrera=style.cabrera)
    rows = dict.fromkeys(sorted({panel.offset for panel in places}), 0.0)
    page = Page(figure, places, rows, start, stop, style)
    first = _BOTTOM + np.floor(page.pitch / 2)
    rows |= {offset: float(first + i * page.pitch) for i, offset in enumerate(rows)}
    return page


def _grid(axes: Any, style: PaperStyle, overlaid: bool) -> None:
    """Small boxes of 1 mm and large boxes of 5 mm, counted from the start of the traces."""
    from matplotlib.collections import LineCollection

    theme = style.theme
    small = theme.overlay_grid_small if overlaid else theme.grid_small
    large = theme.overlay_grid_large if overlaid else theme.grid_large
    for step, colour, width in ((1.0, small, _SMALL), (5.0, large, _LARGE)):
        first = _LEFT - step * np.floor((_LEFT - _GRID_LEFT) / step)
        down = [[(x, _BOTTOM), (x, _TOP)] for x in np.arange(first, _GRID_RIGHT + 0.1, step)]
        low = _BOTTOM + (step - (_BOTTOM - 3.0) % step) % step
        across = [[(_GRID_LEFT, y), (_GRID_RIGHT, y)] for y in np.arange(low, _TOP + 0.1, step)]
        axes.add_collection(
            LineCollection(down + across, colors=colour, linewidths=width, zorder=0)
        )


def _draw_overlay(axes: Any, page: Page, overlay: Map, scale: float | None) -> None:
    """Signed cells (for: upper half of the row), unexplored cells and disagreements, as in
    :mod:`ecgxai_core.plots.overlay`."""
    from matplotlib.collections import PolyCollection

    theme = page.style.theme
    share = overlay.density() / (scale if scale is not None else full_scale(overlay))
    boxes, colours = [], []
    for panel in (p for p in page.panels if p.lead in overlay.leads):
        row = share[overlay.leads.index(panel.lead)]
        for column in np.flatnonzero(np.isfinite(row) & (row != 0)):
            begin = max(overlay.edges_sec[column], panel.start)
            end = min(overlay.edges_sec[column + 1], panel.stop)
            if begin < end:
                boxes.append(_box(page, panel, begin, end, np.sign(row[column])))
                colours.append(_colour(float(row[column])))

    def add(shapes: list[Any], name: str, zorder: int, **look: Any) -> None:
        axes.add_collection(PolyCollection(shapes, gid=name, zorder=zorder, **look))

    def marked(cells: BoolArray) -> list[Any]:
        return [_box(page, *span) for span in marked_spans(overlay, page.panels, cells)]

    add(boxes, "explanation", 1, facecolors=colours, linewidths=0, alpha=ALPHA)
    hatch = {"edgecolors": theme.unexplored, "linewidths": 0, "hatch": "////", "alpha": 0.6}
    add(marked(~overlay.explored), "not-explored", 2, facecolors="none", **hatch)
    if isinstance(overlay, FusedMap):
        frame = {"edgecolors": theme.disagreement, "linewidths": 0.9}
        add(marked(overlay.agreement == -1), "disagreement", 3, facecolors="none", **frame)


def _draw_legend(axes: Any, overlay: Map, theme: Theme) -> None:
    """The colour bar, and the legend of hatches and frames."""
    from matplotlib.patches import Rectangle

    x, y, steps = _GRID_LEFT, 12.0, 56
    for i in range(steps):
        value = -1 + 2 * (i + 0.5) / steps
        axes.add_patch(
            Rectangle((x + i, y), 1.02, 3, facecolor=_colour(value), alpha=ALPHA, linewidth=0)
        )
    words = {"fontsize": 7, "color": theme.muted, "parse_math": False, "va": "top"}
    for at, text in ((0.0, "against, lower half"), (steps, "for, upper half")):
        axes.text(x + at, y - 0.8, text, ha="left" if at == 0 else "right", **words)
    axes.text(x + steps + 3, y + 2.7, "attribution per s, relative to maximum", **words)
    x += steps + 52
    marks: list[tuple[str, dict[str, Any]]] = [
        ("not explored", {"hatch": "////", "edgecolor": theme.unexplored, "linewidth": 0.3})
    ]
    if isinstance(overlay, FusedMap):
        marks.append(
            ("methods disagree in sign", {"edgecolor": theme.disagreement, "linewidth": 0.9})
        )
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


def _box(
    page: Page, panel: Panel, begin: float, end: float, side: float = 0.0
) -> list[tuple[float, float]]:
    """Corners (mm) of a part of a panel's row; of its upper or lower half if signed."""
    left, right, middle = page.x_mm(begin), page.x_mm(end), page.rows_mm[panel.offset]
    half = page.pitch / 2 * _FILL
    low, high = middle - (half if side <= 0 else 0.0), middle + (half if side >= 0 else 0.0)
    return [(left, low), (right, low), (right, high), (left, high)]


def _traces(axes: Any, page: Page, record: Record) -> None:
    """Traces, lead names and a calibration pulse (1 mV, 200 ms) before each row."""
    style = page.style
    ink = {"color": style.theme.trace, "linewidth": _LINE, "solid_joinstyle": "round", "zorder": 4}
    for panel in page.panels:
        seconds, millivolts = thinned(record, panel)
        axes.plot(page.x_mm(seconds), page.y_mm(panel, millivolts), gid=panel.label, **ink)
        x, y = page.x_mm(panel.start), page.rows_mm[panel.offset]
        up = min(7.0, page.pitch * 0.32)
        _text(axes, x + 0.6, y + up, panel.label, 8, page.style.theme.text, weight="bold")
    wide, high = 0.2 * style.speed_mm_s, style.gain_mm_mv
    for number, y in enumerate(page.rows_mm.values()):
        x = _LEFT - 3.0 - wide
        xs = [x - 1, x, x, x + wide, x + wide, x + wide + 1]
        axes.plot(xs, [y, y, y + high, y + high, y, y], gid=f"calibration-{number}", **ink)


def _words(axes: Any, page: Page, caption: Caption, number: str) -> None:
    theme, style = page.style.theme, page.style
    _text(axes, _GRID_LEFT, 202.0, _short(caption.title, 110), 12, theme.text, weight="bold")
    for i, line in enumerate(caption.lines[:3]):
        _text(axes, _GRID_LEFT, 196.5 - 4.2 * i, _short(line, 190), 8, theme.muted)
    warnings = [_short(line, 80) for line in caption.warnings[:3]]
    if len(caption.warnings) > 3:
        warnings.append(f"and {len(caption.warnings) - 3} more warnings (see the report)")
    right = partial(_text, axes, _GRID_RIGHT, ha="right")
    for i, line in enumerate(warnings):
        right(202.0 - 4.2 * i, line, 8, theme.disagreement)
    scale = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV (print at 100 %); "
    _text(axes, _GRID_LEFT, 18.5, scale + style.filter_text, 7.5, theme.muted)
    right(18.5, f"{page.start:.1f} to {page.stop:.1f} s; {number}", 7.5, theme.muted)
    right(6.0, "Research use only. Not for diagnosis.", 8, theme.text)


def _text(axes: Any, x: float, y: float, text: str, size: float, colour: str, **more: Any) -> None:
    """Plain text: a dollar sign in a record's name does not start a formula."""
    axes.text(x, y, text, fontsize=size, color=colour, parse_math=False, zorder=5, **more)


def _short(text: str, most: int) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
