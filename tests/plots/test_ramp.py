"""The colours of evidence in charts are those of the viewer."""

from __future__ import annotations

import re

import pytest

from ecgxai_core.plots.ramp import ENDS, GAMMA, HUES, INKS, oklch, ramp_colour, ramp_scale
from ecgxai_core.plots.theme import DARK, LIGHT
from ecgxai_core.viewer import javascript


@pytest.mark.parametrize(
    ("lightness", "chroma", "hue", "rgb"),
    [
        (0.62796, 0.25768, 29.234, (255, 0, 0)),
        (0.86644, 0.29483, 142.495, (0, 255, 0)),
        (0.45201, 0.31321, 264.052, (0, 0, 255)),
        (1.0, 0.0, 0.0, (255, 255, 255)),
        (0.59987, 0.0, 0.0, (128, 128, 128)),
    ],
)
def test_known_colours(lightness: float, chroma: float, hue: float, rgb: tuple[int, ...]) -> None:
    """sRGB red, green, blue, white and grey in OKLCH (CSS Color 4)."""
    assert oklch(lightness, chroma, hue) == pytest.approx(rgb, abs=1)


def test_the_numbers_are_those_of_the_viewer() -> None:
    text = javascript()
    hues = re.search(r'HUES = \{ 1: (\d+), "-1": (\d+) \}', text)
    ends = re.search(r"chroma\] = dark \? (\[[^]]+\]) : (\[[^]]+\]);", text)
    inks = re.findall(r"oklch\(dark \? ([\d.]+) : ([\d.]+), ([\d.]+), ([\d.]+)\)", text)
    gamma = re.search(r"GAMMA = ([\d.]+);", text)
    assert hues, "the viewer has two hues"
    assert ends, "and ramps by theme"
    assert gamma
    assert {1: int(hues[1]), -1: int(hues[2])} == HUES
    assert float(gamma[1]) == GAMMA
    numbers = [tuple(float(x) for x in group.strip("[]").split(",")) for group in ends.groups()]
    assert numbers == [ENDS["dark"], ENDS["light"]]
    for sign, (dark, light, chroma, hue) in zip((1, -1), inks, strict=True):
        assert INKS["dark"][sign] == (float(dark), float(chroma), float(hue))
        assert INKS["light"][sign] == (float(light), float(chroma), float(hue))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""

    def luminance(rgb: tuple[float, ...]) -> float:
        line = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
        return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]

    low, high = sorted(luminance(tuple(x / 255 for x in rgb)) for rgb in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_on_dark_paper_usual_cells_stand_out_and_the_trace_more(sign: int) -> None:
    """At the viewer's usual strength, 0.9; usual cells have a tenth to a third of the largest."""
    paper, trace = (0x14, 0x17, 0x1B), (255, 255, 255)
    for share, least in ((0.05, 2.3), (0.1, 2.5), (0.33, 3.0), (1.0, 4.0)):
        full = [float(x) for x in re.findall(r"\d+", ramp_colour(sign * share, DARK))]
        cell = tuple(0.9 * x + 0.1 * ground for x, ground in zip(full, paper, strict=True))
        assert contrast(cell, paper) > least, share
        assert contrast(trace, cell) > 3.5, share


def test_the_scale_rises_and_tells_signs_apart() -> None:
    for theme in (LIGHT, DARK):
        scale = ramp_scale(theme)
        places = [place for place, _ in scale]
        assert places == sorted(places)
        assert (places[0], places[-1]) == (0, 1)
        assert scale[0][1] == ramp_colour(-1, theme)
        assert scale[-1][1] == ramp_colour(1, theme)
        assert scale[0][1] != scale[-1][1]
