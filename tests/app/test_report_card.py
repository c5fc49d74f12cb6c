"""The report card on the Model page: asked for, made in the background, shown, handed out."""

from __future__ import annotations

import pytest

from tests.app.evaluated import opened, settled, texts
from tests.small import AF

QUICK = {
    "methods": "input_x_gradient", "explain.n_coalitions": "32", "explain.n_lead_coalitions": "16",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("evaluated_folders")


def section(**query: str):
    return opened("model", part="report-card", target=AF, **query)


def test_it_says_what_it_will_do_and_starts_nothing_by_itself():
    at = section()
    assert any(b.label == "Make the report card" for b in at.button)
    assert "stays in the cache" in texts(at)
    assert not at.get("tab")
    at.multiselect(key="card-methods").set_value([]).run()
    assert not at.exception
    assert "No method is chosen" in texts(at)


def test_a_card_is_made_shown_and_found_again():
    at = section(**QUICK)
    next(b for b in at.button if b.label == "Make the report card").click().run()
    settled(at)
    said = texts(at).replace("\\", "")
    assert "2 records** explained of 4" in said
    assert [tab.label for tab in at.tabs] == ["Tests", "What it can see", "Baselines", "Evidence"]
    assert "0 of 0 tests with a verdict" in said, "two records are too few for any verdict"
    why = next(d.value for d in at.dataframe if "why" in d.value)
    assert {"too few"} <= set(why["verdict"])
    assert {"Input x gradient", "random map", "empty map"} <= set(why["map"])
    baselines = next(d.value for d in at.dataframe if "median beat" in d.value)
    assert baselines["zero"].between(0, 1).all()
    places = next(d.value for d in at.dataframe if "enrichment" in d.value)
    assert len(places) == 12
    assert len(at.get("plotly_chart")) == 3
    assert {b.label for b in at.get("download_button")} >= {"HTML report card", "JSON"}
    again = section(**QUICK)
    assert not any(b.label == "Make the report card" for b in again.button)
    assert "explained of 4" in texts(again)


def test_other_settings_are_another_card():
    at = section(**QUICK)
    at.number_input(key="card-n").set_value(1).run()
    assert not at.exception
    assert any(b.label == "Make the report card" for b in at.button)
