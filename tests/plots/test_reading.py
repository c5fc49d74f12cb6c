"""Maps as text and tables, and display filters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.plots.display import displayed
from ecgxai_core.plots.words import (
    answer_in_words,
    cell_table,
    lead_ranking,
    map_in_words,
    wave_shares,
)
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record, Segmentation

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


def test_the_text_names_the_strongest_leads_and_segments() -> None:
    words = map_in_words(simple(), "atrial fibrillation", "LIME")
    assert "lead II 1.00 to 1.50 s (for" in words
    assert "lead V1 0.00 to 0.50 s (against" in words
    assert "0.87" in words
    assert "lead III" not in words


def test_the_text_of_an_empty_map() -> None:
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


def waves() -> Segmentation:
    edges = np.array([0, 250, 500, 750, 1250], np.int64)
    return Segmentation("wave", edges, 500.0, 0.0, ("P", "QRS", "T", "TP"))


def test_the_answer_names_leads_waves_and_how_much_speaks_for() -> None:
    words = answer_in_words(simple(), waves())
    named = [row["lead"] for row in lead_ranking(simple()) if row["share"] > 0][:3]
    assert all(lead in words for lead in named)
    size = np.abs(np.nan_to_num(simple().weights)).sum(axis=0)
    best = ("P", "QRS", "T", "TP")[int(size.argmax())]
    assert f"most of all in {best} ({size.max() / size.sum():.0%})" in words
    share = np.nan_to_num(simple().weights).clip(min=0).sum() / size.sum()
    assert f"{share:.0%} of it speaks for the diagnosis" in words
    assert "speaks for" not in answer_in_words(simple(), waves(), signed=False)


def test_waves_are_not_named_of_windows_that_cut_through_them() -> None:
    edges = np.array([0, 200, 450, 700, 1250], np.int64)
    cut = Segmentation("wave", edges, 500.0, 0.0, ("P", "QRS", "T", "TP"))
    assert wave_shares(simple(), cut) == {}
    assert "most of all" not in answer_in_words(simple(), cut)


def test_a_map_that_was_cut_into_waves_says_itself_which_they_are() -> None:
    """Delineated at another rate, the record has borders some samples away."""
    item = replace(simple(), diagnostics={"waves": ["P", "QRS", "T", "TP"]})
    size = np.abs(np.nan_to_num(item.weights)).sum(axis=0)
    expected = dict(zip(("P", "QRS", "T", "TP"), size / size.sum(), strict=True))
    edges = np.array([0, 200, 450, 700, 1250], np.int64)
    cut = Segmentation("wave", edges, 500.0, 0.0, ("P", "QRS", "T", "TP"))
    assert wave_shares(item, cut) == pytest.approx(expected)
    assert wave_shares(item) == pytest.approx(expected)
    assert "most of all in " in answer_in_words(item)


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
