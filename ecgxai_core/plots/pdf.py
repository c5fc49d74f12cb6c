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
from ecgxai_core.plots.overlay import full_scale, marked_spans
from ecgxai_core.plots.paper import PaperStyle, thinned
from ecgxai_core.plots.theme import Theme
from ecgxai_core.types import BoolArray, FloatArray, FusedMap, Map, Record

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
_MOST_LINES = 4
_LINE, _SMALL, _LARGE = 0.7, 0.12, 0.3  # points
_FILL = 0.92  # of a row, so that a gap remains between rows
_STRENGTH = 0.85  # opacity of the map's cells: the strongest thing after the trace
_LEAST_MM, _LABEL_MM = 3.0, 9.0  # of a row above and below 0 mV; of the trace beside a label
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

    ``bands``: lower and upper end of each row, mm. It shows the record from ``start`` to ``stop``,
    in seconds.
    """

    figure: Figure
    panels: tuple[Panel, ...]
    rows_mm: dict[float, float]
    bands: dict[float, tuple[float, float]]
    start: float
    stop: float
    style: PaperStyle

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
    offsets = sorted({panel.offset for panel in places}, reverse=True)
    needs = np.array([_need(record, places, offset, style) for offset in offsets])
    zeros, borders = _placed(needs, style.gain_mm_mv)
    rows = dict(zip(offsets, zeros, strict=True))
    bands = dict(zip(offsets, zip(borders[1:], borders[:-1], strict=True), strict=True))
    return Page(figure, places, rows, bands, start, stop, style)


def _need(
    record: Record, places: tuple[Panel, ...], offset: float, style: PaperStyle
) -> tuple[float, float]:
    """Millimetres that the traces of a row need above and below 0 mV."""
    up = down = _LEAST_MM
    for panel in (p for p in places if p.offset == offset):
        height = np.nan_to_num(thinned(record, panel)[1]) * panel.flip * style.gain_mm_mv
        up, down = max(up, float(height.max(initial=0))), max(down, -float(height.min(initial=0)))
    return up, down


def _placed(needs: FloatArray, gain_mm_mv: float) -> tuple[list[float], list[float]]:
    """Heights of 0 mV, whole millimetres from the top row down, and the borders of the rows.

    Rows get the height that their amplitudes need (``needs``: above and below 0 mV), as far as the
    page has it. Neighbours stay so far apart that their calibration pulses do not meet, if there
    is room for that.
    """
    room, n = _TOP - _BOTTOM, len(needs)
    first, last = max(needs[0, 0], gain_mm_mv), needs[-1, 1]
    least = min(gain_mm_mv + 1.0, room / n)
    wanted = np.maximum(0.0, needs[:-1, 1] + needs[1:, 0] + 1.0 - least)
    ends = min(first + last, room - (n - 1) * least)
    first, last = (part * ends / (first + last) for part in (first, last))
    spare = room - first - last - (n - 1) * least
    share = spare * wanted / max(float(wanted.sum()), 1e-9) if wanted.sum() > spare else wanted
    rest = (spare - float(share.sum())) / n
    gaps = least + share + rest
    zeros = np.round(_TOP - first - rest / 2 - np.concatenate(([0.0], np.cumsum(gaps))))
    between = np.clip(needs[:-1, 1] / (needs[:-1, 1] + needs[1:, 0]), 0.3, 0.7)
    inner = zeros[:-1] - between * (zeros[:-1] - zeros[1:])
    return zeros.tolist(), [_TOP, *inner.tolist(), _BOTTOM]


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
                colours.append(_colour(float(row[column]), theme))

    def add(shapes: list[Any], name: str, zorder: int, **look: Any) -> None:
        axes.add_collection(PolyCollection(shapes, gid=name, zorder=zorder, **look))

    def marked(cells: BoolArray) -> list[Any]:
        return [_box(page, *span) for span in marked_spans(overlay, page.panels, cells)]

    add(boxes, "explanation", 1, facecolors=colours, linewidths=0, alpha=_STRENGTH)
    hatch = {"edgecolors": theme.unexplored, "linewidths": 0, "hatch": "////", "alpha": 0.6}
    add(marked(overlay.missing), "not-explored", 2, facecolors="none", **hatch)
    if isinstance(overlay, FusedMap):
        shown = np.nan_to_num(overlay.weights) != 0  # what tau hides has no mark either
        corners = [_corner(box) for box in marked((overlay.agreement == -1) & shown)]
        add(corners, "disagreement", 3, facecolors=theme.disagreement, linewidths=0)


def _draw_legend(axes: Any, overlay: Map, theme: Theme) -> None:
    """The colour bar, and the legend of hatches and frames."""
    from matplotlib.patches import Polygon, Rectangle

    x, y, steps = _GRID_LEFT, 12.0, 56
    for i in range(steps):
        value = -1 + 2 * (i + 0.5) / steps
        axes.add_patch(
            Rectangle(
                (x + i, y), 1.0, 3, facecolor=_colour(value, theme), alpha=_STRENGTH, linewidth=0
            )
        )
    words = {"fontsize": 7, "color": theme.muted, "parse_math": False, "va": "top"}
    for at, text in ((0.0, "against, lower half"), (steps, "for, upper half")):
        axes.text(x + at, y - 0.8, text, ha="left" if at == 0 else "right", **words)
    axes.text(x + steps + 3, y + 2.7, "attribution per s, relative to maximum", **words)
    x += steps + 60
    marks: list[tuple[str, dict[str, Any]]] = [
        ("not explored", {"hatch": "////", "edgecolor": theme.unexplored, "linewidth": 0.3})
    ]
    if isinstance(overlay, FusedMap):
        marks.append(
            ("corner: methods disagree in sign", {"edgecolor": theme.muted, "linewidth": 0.3})
        )
    for number, (text, look) in enumerate(marks):
        axes.add_patch(Rectangle((x, y), 6, 3, facecolor="none", **look))
        if number:
            box = [(x, y), (x + 6, y), (x + 6, y + 3), (x, y + 3)]
            axes.add_patch(Polygon(_corner(box), facecolor=theme.disagreement, linewidth=0))
        axes.text(x + 7.5, y + 2.7, text, **words)
        x += 34


def _colour(share: float, theme: Theme) -> tuple[float, float, float]:
    """White at 0, the full colour of the sign at a share of 1."""
    full, size = theme.in_favour if share > 0 else theme.against, min(1.0, abs(share))
    rgb = (int(full[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (1.0 - size * (1.0 - part) for part in rgb)
    return red, green, blue


def _corner(box: list[tuple[float, float]], side_mm: float = 1.6) -> list[tuple[float, float]]:
    """The upper right corner of a box."""
    right, top = box[2]
    return [(right - side_mm, top), (right, top), (right, top - side_mm)]


def _box(
    page: Page, panel: Panel, begin: float, end: float, side: float = 0.0
) -> list[tuple[float, float]]:
    """Corners (mm) of a part of a panel's row; of its upper or lower half if signed."""
    left, right, middle = page.x_mm(begin), page.x_mm(end), page.rows_mm[panel.offset]
    low, high = (middle + _FILL * (end - middle) for end in page.bands[panel.offset])
    low, high = (middle if side > 0 else low), (middle if side < 0 else high)
    return [(left, low), (right, low), (right, high), (left, high)]


def _traces(axes: Any, page: Page, record: Record) -> None:
    """Traces, lead names and a calibration pulse (1 mV, 200 ms) before each row."""
    style = page.style
    ink = {"color": style.theme.trace, "linewidth": _LINE, "solid_joinstyle": "round", "zorder": 4}
    for panel in page.panels:
        seconds, millivolts = thinned(record, panel)
        axes.plot(page.x_mm(seconds), page.y_mm(panel, millivolts), gid=panel.label, **ink)
        _label(axes, page, panel, page.x_mm(seconds), page.y_mm(panel, millivolts))
    wide, high = 0.2 * style.speed_mm_s, style.gain_mm_mv
    for number, y in enumerate(page.rows_mm.values()):
        x = _LEFT - 3.0 - wide
        xs = [x - 1, x, x, x + wide, x + wide, x + wide + 1]
        axes.plot(xs, [y, y, y + high, y + high, y, y], gid=f"calibration-{number}", **ink)


def _label(axes: Any, page: Page, panel: Panel, x: FloatArray, y: FloatArray) -> None:
    """The lead's name where no trace is: before the calibration pulse in the first column (left of
    the grid where the pulse is wide), else above or below the first millimetres of its trace."""
    look: dict[str, Any] = {"weight": "bold", "gid": f"label-{panel.label}"}
    name, size, colour = panel.label, 7.5, page.style.theme.text
    if panel.start == page.start:
        narrow = page.style.speed_mm_s <= 25
        at = _GRID_LEFT + (0.4 if narrow else -0.6)
        look |= {"va": "top", "ha": "left" if narrow else "right"}
        _text(axes, at, page.rows_mm[panel.offset] - 1.2, name, size, colour, **look)
        return
    left = page.x_mm(panel.start)
    near = y[(x >= left) & (x <= left + _LABEL_MM) & np.isfinite(y)]
    top, bottom = float(near.max(initial=y[0])), float(near.min(initial=y[0]))
    above = top + 4.0 <= page.bands[panel.offset][1]
    look["va"] = "bottom" if above else "top"
    _text(axes, left + 0.6, top + 0.8 if above else bottom - 0.8, name, size, colour, **look)


def _words(axes: Any, page: Page, caption: Caption, number: str) -> None:
    theme, style = page.style.theme, page.style
    _text(axes, _GRID_LEFT, 202.0, _short(caption.title, 70), 12, theme.text, weight="bold")
    for i, line in enumerate(caption.lines[:_MOST_LINES]):
        _text(axes, _GRID_LEFT, 197.4 - 3.9 * i, _short(line, 200), 7.5, theme.muted)
    right = partial(_text, axes, _GRID_RIGHT, ha="right")
    if caption.warnings:
        right(202.0, _short(caption.warnings[0], 80), 9, theme.disagreement)
    if more := "; ".join(caption.warnings[1:]):
        _text(axes, _GRID_LEFT, 5.4, _short(f"Warnings: {more}", 150), 7, theme.disagreement)
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
