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
    named_leads,
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


def test_the_answer_names_leads_by_direction_and_waves() -> None:
    words = answer_in_words(simple(), waves())
    assert words == (
        "Evidence for: II 67%; against: V1 33%. In all, 78% speaks for the diagnosis and 22% "
        "against; the largest part lies in the T wave (67%)."
    )
    magnitudes = answer_in_words(simple(), waves(), signed=False)
    assert magnitudes.startswith("Evidence: II 67% and V1 33%. This method does not tell for from")
    assert "speaks for" not in magnitudes


def map_of(**leads: tuple[float, float]) -> Attribution:
    """Evidence for and against by lead, each in a window of its own."""
    weights = np.zeros((12, 2), np.float32)
    for name, (up, down) in leads.items():
        weights[STANDARD_LEADS.index(name)] = up, -down
    edges = np.array([0.0, 1.0, 2.0])
    explored = np.ones((12, 2), bool)
    return Attribution("R", "1", "lime", 0.9, STANDARD_LEADS, edges, weights, explored, FROM)


def named(item: Attribution, topk: int) -> list[str]:
    return [row["lead"] for row in named_leads(item, topk)]


def test_leads_that_are_printed_with_one_share_are_all_named_or_none() -> None:
    item = map_of(V1=(50, 0), V6=(20.4, 0), V2=(19.6, 0), II=(10, 0))
    assert named(item, 1) == ["V1"]
    assert named(item, 2) == named(item, 3) == ["V1", "V6", "V2"], "both are 20 %"
    many = map_of(V1=(40, 0), **dict.fromkeys(("I", "II", "V2", "V3", "V4", "V5"), (10, 0)))
    assert named(many, 2) == ["V1"], "six alike are too many"
    assert named(many, 4) == ["V1", "I", "II", "V2", "V3", "V4", "V5"]
    alike = map_of(**dict.fromkeys(STANDARD_LEADS, (1, 0)))
    assert named(alike, 5) == []
    assert answer_in_words(alike).startswith("No lead stands out")


def test_what_speaks_against_is_given_a_place() -> None:
    item = map_of(V1=(50, 0), V6=(30, 0), aVF=(2, 10), II=(0, 8))
    assert named(item, 2) == ["V1", "V6", "aVF"]
    assert "; against: aVF 12%." in answer_in_words(item, topk=2)
    little = map_of(V1=(60, 0), V6=(36, 0), aVF=(0, 4))
    assert named(little, 2) == ["V1", "V6"], "less than a twentieth of the evidence"
    mixed = answer_in_words(map_of(V1=(50, 0), V3=(10, 10)))
    assert "for: V1 71%; on both sides: V3 29%." in mixed


def test_the_answer_takes_at_most_two_sentences_with_every_clause() -> None:
    words = answer_in_words(simple(), waves(), unseen="the model sees 0.47 s at a time")
    assert words.endswith("; the model sees 0.47 s at a time.")
    assert words.count(". ") == 1


def test_no_wave_goes_by_a_name_with_two_meanings() -> None:
    between = replace(simple(), diagnostics={"waves": ["P", "QRS", "TP", "TP"]})
    words = answer_in_words(between)
    assert "lies between T and P (" in words
    assert "TP" not in words


def test_waves_are_not_named_of_windows_that_cut_through_them() -> None:
    edges = np.array([0, 200, 450, 700, 1250], np.int64)
    cut = Segmentation("wave", edges, 500.0, 0.0, ("P", "QRS", "T", "TP"))
    assert wave_shares(simple(), cut) == {}
    assert "largest part" not in answer_in_words(simple(), cut)


def test_a_map_that_was_cut_into_waves_says_itself_which_they_are() -> None:
    """Delineated at another rate, the record has borders some samples away."""
    item = replace(simple(), diagnostics={"waves": ["P", "QRS", "T", "TP"]})
    size = np.abs(np.nan_to_num(item.weights)).sum(axis=0)
    expected = dict(zip(("P", "QRS", "T", "TP"), size / size.sum(), strict=True))
    edges = np.array([0, 200, 450, 700, 1250], np.int64)
    cut = Segmentation("wave", edges, 500.0, 0.0, ("P", "QRS", "T", "TP"))
    assert wave_shares(item, cut) == pytest.approx(expected)
    assert wave_shares(item) == pytest.approx(expected)
    assert "the largest part lies in the T wave" in answer_in_words(item)


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
