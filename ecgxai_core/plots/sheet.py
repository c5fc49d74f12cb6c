"""What figures on ECG paper share: style, grid, calibration pulses, labels and layout.

Conventions: Kligfield et al., AHA/ACC/HRS recommendations part I, Circulation 2007;115:1306:
25 mm/s and 10 mm/mV, small boxes 40 ms x 0.1 mV, large boxes 200 ms x 0.5 mV, calibration pulse
10 mm high and 200 ms wide. The size of a screen's millimetre is unknown, so the aspect ratio is
locked and the pulse drawn. The y axis is in mV at 10 mm/mV: one unit is 10 mm whatever the gain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ecgxai_core.plots.theme import FONT, LIGHT, Theme

__all__ = [
    "MARGIN_SEC", "NARROW_PX", "PULSE_SEC", "PaperStyle",
    "lead_label", "paper_axes", "pulses", "scale_note", "sheet_layout",
]  # fmt: skip

MARGIN_SEC, PULSE_SEC = 0.62, 0.2
NARROW_PX = 500
"""On narrower sheets the colour bar is above the other legend, not beside it."""


@dataclass(frozen=True, slots=True)
class PaperStyle:
    """How an ECG is drawn on paper; does not affect the model input.

    ``filter_text`` is printed under the paper: the display filter, and the model input.
    ``width_px`` is the expected width on screen, from which the height is computed.
    """

    layout: str = "3x4+II"
    cabrera: bool = False
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    filter_text: str = "display unfiltered; model input as in its manifest"
    theme: Theme = LIGHT
    width_px: int = 940


def paper_axes(
    style: PaperStyle, x_range: list[float], y_range: list[float], *, overlaid: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both axes, with the grid of the paper; large boxes are 5 mm wide and high at any scale."""
    theme, seconds = style.theme, 5.0 / style.speed_mm_s
    small = theme.overlay_grid_small if overlaid else theme.grid_small
    large = theme.overlay_grid_large if overlaid else theme.grid_large
    common: dict[str, Any] = {
        "showgrid": True, "gridcolor": large, "gridwidth": 0.8, "zeroline": False, "tick0": 0,
        "constrain": "domain", "showticklabels": False, "ticks": "",
    }  # fmt: skip
    minor = {"showgrid": True, "gridcolor": small, "gridwidth": 0.4}
    x = {
        **common, "dtick": seconds, "minor": {"dtick": seconds / 5, **minor}, "range": x_range,
        "constraintoward": "left",
    }  # fmt: skip
    y = {
        **common, "dtick": 0.5, "minor": {"dtick": 0.1, **minor}, "range": y_range,
        "scaleanchor": "x", "scaleratio": 10.0 / style.speed_mm_s, "constraintoward": "top",
    }  # fmt: skip
    return x, y


def pulses(zeros: Iterable[float], x0: float, style: PaperStyle) -> dict[str, Any]:
    """Trace of calibration pulses of 1 mV and 200 ms that begin at ``x0``, one per row."""
    height, x1 = style.gain_mm_mv / 10, x0 + PULSE_SEC
    xs: list[float | None] = []
    ys: list[float | None] = []
    for zero in zeros:
        xs += [x0 - 0.06, x0, x0, x1, x1, x1 + 0.06, None]
        ys += [zero, zero, zero + height, zero + height, zero, zero, None]
    return {
        "type": "scatter", "x": xs, "y": ys, "mode": "lines", "hoverinfo": "skip",
        "line": {"color": style.theme.trace, "width": 1}, "showlegend": False,
        "name": "calibration 1 mV, 200 ms",
    }  # fmt: skip


def lead_label(text: str, x: float, y: float, theme: Theme) -> dict[str, Any]:
    """Annotation with the name of a lead."""
    return {
        "showarrow": False, "x": x, "y": y, "xanchor": "left", "yanchor": "top",
        "text": f"<b>{text}</b>", "borderpad": 0, "bgcolor": theme.label_background,
        "font": {"size": 12, "color": theme.text},
    }  # fmt: skip


def scale_note(style: PaperStyle, *lines: str) -> dict[str, Any]:
    """Annotation under the paper: its scale, more lines, and the display filter."""
    scale = f"{style.speed_mm_s:g} mm/s, {style.gain_mm_mv:g} mm/mV; pulse 1 mV, 200 ms"
    return {
        "xref": "x domain", "yref": "y domain", "showarrow": False, "x": 0, "y": 0,
        "xanchor": "left", "yanchor": "top", "yshift": -16, "align": "left",
        "text": "<br>".join((scale, *lines, style.filter_text)),
        "font": {"size": 11, "color": style.theme.muted},
    }  # fmt: skip


def sheet_layout(
    style: PaperStyle, height: int, top: float, bottom: float, legend_y: float = 1.0
) -> dict[str, Any]:
    """Size, margins (px), colours and legend of a figure."""
    theme = style.theme
    return {
        "height": height,
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 6, "r": 6, "t": top, "b": bottom},
        "font": {"color": theme.text, "size": 12, "family": FONT},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.text},
        "legend": {
            "orientation": "h", "x": 0, "y": legend_y, "xanchor": "left", "yanchor": "bottom",
            "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)",
        },
    }  # fmt: skip
