"""Tables and charts of a report card agree with the card."""

from __future__ import annotations

import numpy as np

from ecgxai_core.audit.baselines import INTACT
from ecgxai_core.audit.card_rules import TESTS
from ecgxai_core.plots.card_charts import evidence_map, verdict_grid
from ecgxai_core.plots.theme import LIGHT
from ecgxai_core.report.card_tables import (
    baseline_table,
    card_words,
    evidence_table,
    loud_baselines,
    own_maps,
    verdict_table,
)
from tests.report.test_card import BAD, GOOD, card
from tests.small import AF, SINUS

__all__ = ["card"]


def test_every_test_and_map_has_a_row_with_a_reason(card):
    rows = verdict_table(card)
    assert len(rows) == len(TESTS) * 4
    deletion = rows[rows["test"] == "Deletion"].set_index("map")
    assert list(deletion["verdict"]) == ["pass", "fail", "fail", "fail"]
    assert deletion["why"].iloc[0] == "better than each reference map"
    assert deletion["why"].iloc[1] == "not better than: random map"
    assert deletion["not better than"].iloc[1] == "random map"
    assert deletion["n"].iloc[0] == 13
    few = verdict_table(card, SINUS)
    assert few[few["test"] == "Deletion"]["why"].str.contains("fewer than 10").all()
    assert set(rows[rows["test"] == "Noise"]["why"]) == {"not applicable to this map"}


def test_the_summary_counts_only_verdicts(card):
    assert own_maps(card) == (GOOD, BAD)
    words = card_words(card)
    assert "Occlusion passes 1 of 1" in words
    assert "Saliency passes 0 of 1" in words
    assert "passes 0 of 0" in card_words(card, SINUS)


def test_baselines_and_evidence(card):
    rows = baseline_table(card)
    assert list(rows["code"]) == [AF, "<b>x</b>"]
    assert np.allclose(rows[INTACT], 0.71)
    used, loud = loud_baselines(card)
    assert used in rows
    assert len(loud) == 2
    leads = evidence_table(card, GOOD, "lead")
    assert len(leads) == 4
    assert np.allclose(leads[leads["place"] == "II"]["enrichment"], 1.6)
    assert leads["low"].isna().all(), "two records are too few for an interval"


def test_charts_draw_every_cell(card):
    figure = verdict_grid(verdict_table(card), LIGHT)
    grid = figure.data[0]
    assert np.shape(grid.z) == (len(TESTS), 4)
    assert grid.text[0][0].startswith("✓")
    assert grid.text[0][1].startswith("✗")
    assert grid.z[0][0] == 3
    assert verdict_grid(verdict_table(card), LIGHT, narrow=True).data[0].text[0][0] == "✓"
    places = evidence_map(evidence_table(card, GOOD, "lead"), LIGHT, title="leads").data[0]
    assert list(places.x) == ["II", "V1"]
    assert places.text[0][0] == "80%"
