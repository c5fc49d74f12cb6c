"""The viewer's colours of evidence, for charts that show the same map.

Ramps of equal lightness and chroma in OKLCH (Ottosson 2020, https://bottosson.github.io/posts/oklab),
full at the largest cell; colour follows ``share ** GAMMA``. The numbers are those of
``ecgxai_core/viewer/js/map.js``, which a test compares.
"""

from __future__ import annotations

import math

from ecgxai_core.plots.theme import Theme

__all__ = ["ENDS", "GAMMA", "HUES", "INKS", "ink", "oklch", "ramp_colour", "ramp_scale"]

HUES = {1: 52, -1: 298}
"""Hue of evidence for (1) and against (-1), degrees."""
GAMMA = 0.6
ENDS = {"light": (0.95, 0.66, 0.05, 0.2), "dark": (0.46, 0.66, 0.09, 0.19)}
"""Lightness of no evidence and of the largest cell, and chroma of both, by theme. On dark paper it
begins so high that usual cells stand out, and ends so low that the white trace does."""
INKS = {"light": {1: (0.64, 0.2, 48), -1: (0.52, 0.25, 296)},
        "dark": {1: (0.74, 0.2, 48), -1: (0.68, 0.25, 296)}}  # fmt: skip
"""Lightness, chroma and hue of thin lines, by theme and sign."""
_STEPS = 20


def oklch(lightness: float, chroma: float, hue: float) -> tuple[int, int, int]:
    """sRGB, 0 to 255, of an OKLCH colour; chroma shrinks until a screen can show it."""
    angle = math.radians(hue)
    while True:
        a, b = chroma * math.cos(angle), chroma * math.sin(angle)
        long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
        linear = (
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short,
        )
        if chroma <= 0.004 or all(-0.0005 <= part <= 1.0005 for part in linear):
            red, green, blue = (round(255 * _gamma(max(0.0, min(1.0, part)))) for part in linear)
            return red, green, blue
        chroma -= 0.004


def _gamma(part: float) -> float:
    """The transfer function of sRGB (IEC 61966-2-1)."""
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055


def ramp_colour(share: float, theme: Theme) -> str:
    """Colour of a cell: ``share`` is its signed density over the largest, in [-1, 1]."""
    first, last, least, most = ENDS[theme.name]
    size = min(1.0, abs(share)) ** GAMMA
    chroma = least + (most - least) * size
    rgb = oklch(first + (last - first) * size, chroma, HUES[1 if share > 0 else -1])
    return f"rgb({rgb[0]},{rgb[1]},{rgb[2]})"


def ink(sign: int, theme: Theme) -> str:
    """Colour of thin lines and bars."""
    rgb = oklch(*INKS[theme.name][sign])
    return f"rgb({rgb[0]},{rgb[1]},{rgb[2]})"


def ramp_scale(theme: Theme) -> list[list[float | str]]:
    """The ramps as a colour scale from -1 to 1, with a step at 0."""
    down = [-1 + k / _STEPS for k in range(_STEPS)] + [-1e-9]
    shares = [*down, *(-share for share in reversed(down))]
    return [[(1 + share) / 2, ramp_colour(share, theme)] for share in shares]
