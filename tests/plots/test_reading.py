"""Maps in words and rows, calipers, and filters for the eye."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.plots.calipers import measure
from ecgxai_core.plots.display import displayed
from ecgxai_core.plots.events import event_values
from ecgxai_core.plots.layout import panels
from ecgxai_core.plots.words import cell_table, lead_ranking, map_in_words
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record

FROM = Provenance("", "", {}, 0, "")


def simple() -> Attribution:
    weights = np.zeros((12, 4), np.float32)
    weights[1, 2], weights[6, 0], weights[6, 3] = 3.0, -1.0, 0.5
    explored = np.ones((12, 4), bool)
    explored[:, 1] = False
    edges = np.array([0.0, 0.5, 1.0, 1.5, 2.5])
    return Attribution("R", "1", "lime", 0.87, STANDARD_LEADS, edges, weights, explored, FROM)


def test_ranking_names_share_direction_and_strongest_window() -> None:
    rows = lead_ranking(simple())
    assert [row["lead"] for row in rows[:2]] == ["II", "V1"]
    assert rows[0]["share"] == pytest.approx(3 / 4.5)
    assert rows[1]["for_share"] == pytest.approx(0.5 / 1.5)
    # V1: -1 over 0.5 s is a stronger density than 0.5 over 1 s
    assert (rows[1]["from_sec"], rows[1]["to_sec"], rows[1]["direction"]) == (0.0, 0.5, "against")
    assert rows[0]["explored"] == pytest.approx(0.8)
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_words_name_the_strongest_leads_and_windows() -> None:
    words = map_in_words(simple(), "atrial fibrillation", "LIME")
    assert "lead II 1.00 to 1.50 s (for" in words
    assert "lead V1 0.00 to 0.50 s (against" in words
    assert "0.87" in words
    assert "lead III" not in words


def test_a_map_of_nothing_says_so() -> None:
    item = simple()
    nothing = Attribution(
        "R", "1", "lime", 0.5, item.leads, item.edges_sec, item.weights * 0, item.explored, FROM
    )
    assert "no evidence anywhere" in map_in_words(nothing, "x", "LIME")


def test_the_table_of_cells_leaves_unexplored_cells_empty() -> None:
    frame = cell_table(simple())
    assert len(frame) == 48
    assert frame.loc[~frame["explored"], "weight"].isna().all()
    assert frame.loc[frame["explored"], "weight"].notna().all()
    row = frame[(frame["lead"] == "II") & (frame["from_sec"] == 1.0)].iloc[0]
    assert row["weight_per_sec"] == pytest.approx(6.0)


def test_moments_of_a_map_without_events_are_sums_over_leads() -> None:
    values, name = event_values(simple())
    np.testing.assert_allclose(values, [-1.0, 0.0, 3.0, 0.5])
    assert name == "sum over leads"


@pytest.mark.parametrize("gain", [5.0, 10.0, 20.0])
def test_calipers_give_ms_rate_and_millivolts(gain: float) -> None:
    places = panels("12x1", STANDARD_LEADS, 0, 10)
    panel = next(p for p in places if p.lead == "V2")
    unit = gain / 10
    box = measure(places, (2.75, 2.0), (panel.offset + 0.6 * unit, panel.offset - 0.2 * unit), gain)
    assert box.lead == "V2"
    assert box.milliseconds == pytest.approx(750)
    assert box.per_minute == pytest.approx(80)
    assert (box.low_mv, box.high_mv) == (pytest.approx(-0.2), pytest.approx(0.6))
    assert box.millivolts == pytest.approx(0.8)


def test_calipers_choose_the_column_too() -> None:
    places = panels("3x4+II", STANDARD_LEADS, 0, 10)
    top = max(p.offset for p in places)
    assert measure(places, (5.5, 6.0), (top, top + 0.1), 10).lead == "V1"


def tone(hertz: float, fs: float = 500.0) -> Record:
    time = np.arange(5000) / fs
    return Record("R", np.tile(np.sin(2 * np.pi * hertz * time), (12, 1)), fs, STANDARD_LEADS)


def test_the_display_filter_keeps_its_band_and_removes_the_rest() -> None:
    inside, above = tone(10.0), tone(120.0)
    middle = slice(1000, 4000)
    kept = displayed(inside, "0.05-40 Hz").signal[0, middle]
    assert np.abs(kept - inside.signal[0, middle]).max() < 0.05
    assert np.abs(displayed(above, "0.05-40 Hz").signal[0, middle]).max() < 0.05
    assert displayed(inside, "unfiltered") is inside


def test_the_display_filter_leaves_a_lead_with_gaps_alone() -> None:
    signal = np.array(tone(120.0).signal)
    signal[3, 100:110] = np.nan
    shown = displayed(Record("R", signal, 500.0, STANDARD_LEADS), "0.05-40 Hz")
    np.testing.assert_array_equal(shown.signal[3], signal[3])
    assert np.abs(shown.signal[0, 1000:4000]).max() < 0.05


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(ParameterError, match="no such filter"):
        displayed(tone(1.0), "50 Hz notch")
