"""Before and after a change: the same seconds, the same scale, both drawn."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.plots.changed_ecg import changed_beats, changed_rhythm
from ecgxai_core.plots.sheet import PaperStyle
from ecgxai_core.plots.theme import theme
from ecgxai_core.simulation import simulate
from ecgxai_core.types import STANDARD_LEADS

TIME = np.arange(-0.3, 0.5, 0.01)
BEAT = np.tile(np.exp(-((TIME / 0.02) ** 2)), (12, 1))


def lines(figure):
    return {t.name: t for t in figure.data}


def test_every_lead_is_drawn_before_and_after_on_one_level() -> None:
    after = BEAT.copy()
    after[6] += 0.1
    drawn = changed_beats(STANDARD_LEADS, (TIME, BEAT), (TIME, after), PaperStyle(), ("V1",))
    one, other = lines(drawn)["as recorded"], lines(drawn)["changed"]
    np.testing.assert_array_equal(one.x, other.x)
    assert np.isnan(one.x).sum() == np.isnan(one.y).sum() == 12, "each lead a line of its own"
    rise = (other.y - one.y)[np.isfinite(one.y)].astype(np.float64)
    assert np.sort(np.unique(rise.round(3))).tolist() == [0.0, 0.1]
    assert (rise > 0.05).sum() == len(TIME)
    labels = {note.text.strip("<b>/"): note.font.color for note in drawn.layout.annotations[:-1]}
    assert set(labels) == set(STANDARD_LEADS)
    assert labels["V1"] != labels["V2"], "the lead that moved is in colour"


def test_the_paper_s_aspect_is_locked_and_gain_is_said() -> None:
    drawn = changed_beats(STANDARD_LEADS, (TIME, BEAT), (TIME, BEAT), PaperStyle())
    assert drawn.layout.yaxis.scaleratio == pytest.approx(10 / 25)
    assert "10 mm/mV" in drawn.layout.annotations[-1].text
    tall = changed_beats(STANDARD_LEADS, (TIME, 5 * BEAT), (TIME, BEAT), PaperStyle())
    assert "5 mm/mV" in tall.layout.annotations[-1].text
    assert np.nanmax(lines(tall)["as recorded"].y) < 0


def test_the_rhythm_is_that_of_the_seconds_asked_for() -> None:
    record = simulate("sinus_rhythm", seed=1, fs=100).record
    drawn = changed_rhythm(record, record, ("II", "V1"), PaperStyle(width_px=600), 5.0)
    x = lines(drawn)["changed"].x
    assert (np.nanmin(x), np.nanmax(x)) == pytest.approx((2.5, 7.49), abs=0.02)
    names = [note.text.strip("<b>/") for note in drawn.layout.annotations[:-1]]
    assert names == ["II as recorded", "II changed", "V1 as recorded", "V1 changed"]
    early = changed_rhythm(record, record, ("II",), PaperStyle(width_px=600), 0.5)
    assert np.nanmin(lines(early)["changed"].x) == 0.0


@pytest.mark.parametrize("name", ["light", "dark"])
def test_what_was_recorded_has_another_hue_than_the_trace(name: str) -> None:
    colours = theme(name)
    drawn = changed_beats(
        STANDARD_LEADS, (TIME, BEAT), (TIME, BEAT), PaperStyle(theme=colours), ("V1",)
    )
    one, other = lines(drawn)["as recorded"].line.color, lines(drawn)["changed"].line.color
    red, green, blue = (int(one[at : at + 2], 16) for at in (1, 3, 5))
    assert max(red, green, blue) - min(red, green, blue) > 100, "a hue, on light and on dark paper"
    assert other == colours.trace
    key = drawn.layout.annotations[-1].text
    assert "blue: as recorded" in key
    assert one in key
    assert "leads that move" in key, "what the coloured names mean"


def test_the_rhythm_says_which_seconds_it_shows_and_shades_what_is_masked() -> None:
    record = simulate("sinus_rhythm", seed=1, fs=100).record
    drawn = changed_rhythm(record, record, ("II",), PaperStyle(width_px=600), 5.0, (4.0, 9.0))
    assert drawn.layout.xaxis.showticklabels
    assert drawn.layout.xaxis.ticksuffix == " s"
    assert "5 of 10 s" in drawn.layout.annotations[-1].text
    (shade,) = (shape for shape in drawn.layout.shapes if shape.type == "rect")
    assert (shade.x0, shade.x1) == (4.0, 7.5)
    plain = changed_rhythm(record, record, ("II",), PaperStyle(width_px=600), 5.0)
    assert not plain.layout.shapes
