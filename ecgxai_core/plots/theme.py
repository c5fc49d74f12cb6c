"""Colours of all figures, for light and dark backgrounds.

Signed weights use the ends of ColorBrewer's PuOr (orange = evidence for, purple = against), which
is readable with all common colour vision deficiencies; the sign is also shown by position.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AGAINST",
    "DARK",
    "DIVERGING",
    "FONT",
    "FOR",
    "LIGHT",
    "METHOD_COLOURS",
    "Theme",
    "method_colour",
    "theme",
    "veil",
]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one background."""

    name: str
    paper: str
    text: str
    muted: str
    trace: str
    grid_small: str
    grid_large: str
    overlay_grid_small: str
    overlay_grid_large: str
    unexplored: str
    disagreement: str
    accent: str
    label_background: str
    against: str
    in_favour: str


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    text="#1b1f24",
    muted="#5d6670",
    trace="#000000",
    grid_small="#fbdcd9",
    grid_large="#f0a8a0",
    overlay_grid_small="#f1efeb",
    overlay_grid_large="#dcd8d0",
    unexplored="#8c8f94",
    disagreement="#b3005a",
    accent="#0b5d7a",
    label_background="rgba(255,255,255,0.75)",
    against="#542788",
    in_favour="#c25a00",
)
DARK = Theme(
    name="dark",
    paper="#14171b",
    text="#e8eaed",
    muted="#a0a7b0",
    trace="#f4f4f4",
    grid_small="#33211f",
    grid_large="#5c3632",
    overlay_grid_small="#22252a",
    overlay_grid_large="#363b42",
    unexplored="#6f757c",
    disagreement="#ff6fb1",
    accent="#5fb4d4",
    label_background="rgba(20,23,27,0.75)",
    against="#b3a2ff",
    in_favour="#ffa63d",
)

DIVERGING: tuple[tuple[float, str], ...] = (
    (0.0, "#542788"),
    (0.25, "#998ec3"),
    (0.5, "#f7f7f7"),
    (0.75, "#f1a340"),
    (1.0, "#b35806"),
)
"""Scale for solid fills (heat maps of numbers); overlays use :func:`veil`."""

FONT = "Source Sans, sans-serif"
"""Typeface of charts: that of the pages."""

FOR, AGAINST = "#e08214", "#8073ac"
"""Solid colours of the two signs for bars, from the same palette."""

METHOD_COLOURS: tuple[str, ...] = (
    "#2b87c8", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#5d6670",
)  # fmt: skip
"""Okabe-Ito colours for methods, the blue lightened to a contrast of 3:1 on a dark background."""


def method_colour(number: int) -> str:
    """The colour of the ``number``-th method; colours repeat after the last."""
    return METHOD_COLOURS[number % len(METHOD_COLOURS)]


def veil(theme: Theme, strongest: float = 0.35) -> list[list[float | str]]:
    """Colour scale of an overlay: opacity grows with |weight|, and 0 is transparent."""
    stops: list[list[float | str]] = []
    for place, colour, share in (
        (0.0, theme.against, 1.0),
        (0.25, theme.against, 0.62),
        (0.5, theme.against, 0.0),
        (0.5, theme.in_favour, 0.0),
        (0.75, theme.in_favour, 0.62),
        (1.0, theme.in_favour, 1.0),
    ):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        stops.append([place, f"rgba({red},{green},{blue},{strongest * share:.3f})"])
    return stops


def theme(name: str) -> Theme:
    """``"light"`` or ``"dark"``; anything else is light."""
    return DARK if name == "dark" else LIGHT
