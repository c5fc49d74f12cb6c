"""The What-if page: a curve, a size that is looked at, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.shell import jobs
from tests.app.evaluated import EXPLAINED, opened, settled, texts, viewers
from tests.small import AF, SINUS

pytestmark = pytest.mark.usefixtures("evaluated_folders")


@pytest.fixture
def page():
    return settled(opened("what_if", record="T000", target=AF))


def test_the_curve_is_drawn_and_a_size_chosen(page):
    assert not page.exception
    assert "as recorded" in texts(page)
    assert "flips the AF call" in texts(page) or "The AF call flips at" in texts(page)
    assert "Measured as recorded: " in texts(page)
    page.selectbox(key="what-if-edit").set_value("st_level").run()
    settled(page)
    assert page.multiselect(key="what-if-leads-st_level").value == [
        "V1",
        "V2",
        "V3",
        "V4",
        "V5",
        "V6",
    ]
    sizes = page.select_slider(key="what-if-size-st_level")
    assert "as recorded" in sizes.options
    sizes.set_value(-0.1).run()
    assert not page.exception
    said = texts(page)
    assert "ST level at J + 60 ms, measured again, mV: V1 " in said
    assert "cannot all rise" not in said, "chest leads are free"
    rows = next(table.value for table in page.dataframe if "size" in table.value)
    assert rows["size"].is_monotonic_increasing
    assert 0.0 in rows["size"].to_list()


def test_another_target_begins_with_its_own_leads(monkeypatch):
    first = {AF: ("st_level", ("V1", "V2")), SINUS: ("st_level", ("V5",))}
    monkeypatch.setattr("app.panels.what_if.first_edit", first.__getitem__)
    page, key = opened("what_if", record="T000", target=AF), "what-if-leads-st_level"
    assert page.multiselect(key=key).value == ["V1", "V2"]
    settled(page.multiselect(key=key).set_value(["V3"]).run())
    assert page.multiselect(key=key).value == ["V3"], "what the reader chose stays"
    settled(page.selectbox(key="bar-target").set_value(SINUS).run())
    assert page.multiselect(key=key).value == ["V5"]


def test_a_curve_that_somebody_elses_cancel_ended_is_made_again(monkeypatch):
    page = opened("what_if", record="T000", target=AF)
    monkeypatch.setattr("app.shell.jobs.cancelled_elsewhere", lambda _: True)
    for job in jobs._registry().jobs.values():
        job.state = "cancelled" if "Changing" in job.title else job.state
    assert not page.exception
    settled(page.run())
    assert "probability" in texts(page)
    assert not any("Try again" in button.label for button in page.button)


def test_every_edit_can_be_chosen(page):
    from app.panels.what_if import SIZES
    from ecgxai_core.simulation.edits import EDITS

    assert SIZES.keys() == EDITS.keys()
    for name, sizes in SIZES.items():
        assert EDITS[name].neutral not in sizes
        assert EDITS[name].low <= min(sizes) <= max(sizes) <= EDITS[name].high
    for name in ("swap", "rate", "mask"):
        page.selectbox(key="what-if-edit").set_value(name).run()
        settled(page)
        assert not page.exception, name
        assert "probability" in texts(page), name


def test_it_begins_with_what_matters_for_the_target(page):
    assert page.selectbox(key="what-if-edit").value == "regular", "fibrillation"
    sinus = settled(opened("what_if", record="T000", target=SINUS))
    assert sinus.selectbox(key="what-if-edit").value == "p_amplitude"


def test_limb_leads_that_cannot_all_rise_are_explained(page):
    page.selectbox(key="what-if-edit").set_value("st_level").run()
    settled(page)
    page.multiselect(key="what-if-leads-st_level").set_value([]).run()
    settled(page)
    page.select_slider(key="what-if-size-st_level").set_value(0.1).run()
    assert not page.exception
    said = texts(page).replace("\\", "")
    assert "aVL" in said
    assert "cannot all rise" in said


def test_the_changed_ecg_stands_before_the_curve_and_the_whole_record_after(page):
    charts = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    names = [{line.get("name") for line in chart["data"]} for chart in charts]
    assert {"as recorded", "changed"} <= names[0]
    texts_of = {note["text"] for note in charts[1]["layout"]["annotations"]}
    assert any(text.startswith("AF: threshold") for text in texts_of)
    assert {"as recorded", "now"} <= texts_of
    assert len(viewers(page)) == 1


def test_what_the_model_says_is_seen_before_anything_is_drawn(page, monkeypatch):
    from app.panels import what_if
    from app.shell import frame

    done = []

    def noted(owner, name):
        made = getattr(owner, name)

        def note(*given):
            done.append(name)
            return made(*given)

        monkeypatch.setattr(owner, name, note)

    parts = ("answer", "notes", "changed_record", "before_and_after", "curve", "whole_record")
    for name in parts:
        noted(what_if, name)
    noted(frame, "let_it_be_seen")
    page.run()
    assert done == [*parts[:2], "let_it_be_seen", *parts[2:]]


def test_the_beat_as_recorded_is_found_once(page, monkeypatch):
    from app.panels import what_if

    made, median = [], what_if._median
    monkeypatch.setattr(what_if, "_median", lambda record: made.append(record) or median(record))
    page.selectbox(key="what-if-edit").set_value("st_level").run()
    settled(page)
    made.clear()
    for size in (0.1, -0.1):
        page.select_slider(key="what-if-size-st_level").set_value(size).run()
        assert not page.exception
    assert len(made) == len({record.digest for record in made}) == 2, "the changed ones"


def test_without_a_record_an_explained_example_is_changed():
    assert opened("what_if").session_state["view"].record in EXPLAINED


def test_other_calls_are_named_and_the_axis_is_a_rate(page, monkeypatch):
    """Fibrillation is called at any probability, sinus rhythm by a threshold within its range."""
    page.selectbox(key="what-if-edit").set_value("rate").run()
    settled(page)
    rows = next(table.value for table in page.dataframe if "size" in table.value)
    name = next(column for column in rows if "sinus rhythm" in column)
    at = dict(zip(rows["size"], rows[name], strict=True))
    rate = float(rows["measured"][rows["size"] == 0].iloc[0])
    high, low = max(at, key=lambda size: at[size]), min(at, key=lambda size: at[size])
    between = (at[high] + at[low]) / 2
    monkeypatch.setattr(
        "app.data.services.threshold", lambda _, code: between if code == SINUS else 0.0
    )
    slider = page.select_slider(key="what-if-size-rate")
    assert slider.label.startswith("Heart rate, ")
    assert slider.label.endswith("/min")
    assert {"as recorded", f"{rate + 10:.0f}"} <= set(slider.options)
    called = {size: value >= between for size, value in at.items() if np.isfinite(value)}
    other = next(size for size in (high, low) if called[size] != called[0])
    slider.set_value(other).run()
    verb = "is called now" if called[other] else "is no longer called"
    assert re.search(rf"\*\*.*; NSR {verb}\.\*\*", texts(page).replace("\\", ""))
    slider = page.select_slider(key="what-if-size-rate")
    slider.set_value(0.0).run()
    said = texts(page).replace("\\", "")
    verb = "called" if called[other] else "no longer called"
    assert re.search(rf"At other sizes: .*NSR {verb} \([≤≥] \d+/min", said)
    chart = json.loads(page.get("plotly_chart")[1].proto.spec)
    assert chart["layout"]["xaxis"]["title"]["text"].startswith("heart rate (/min)")
    low, high = chart["layout"]["xaxis"]["range"]
    assert low < rate < high
    assert low > 0


def test_a_wide_qrs_can_be_made_a_narrow_one():
    """120 ms, the criterion of the bundle branch blocks, can be crossed from 200 ms."""
    from app.panels.what_if import SIZES

    assert min(SIZES["qrs"]) <= 120 - 200


def test_a_changed_ecg_says_so_itself_and_as_recorded_is_plain(page):
    (shown,) = viewers(page)
    assert shown["record"]["title"] == "T000"
    assert shown["changed"].startswith("RR intervals evened out")
    assert shown["sentence"] == f"Changed: {shown['changed']}. ECG of T000"
    page.segmented_control(key="what-if-ecg").set_value("As recorded").run()
    (plain,) = viewers(page)
    assert (plain["changed"], plain["sentence"]) == ("", "T000, as recorded")


def test_a_change_is_named_with_its_size_and_its_place():
    from app.panels.what_if import change_in_words
    from ecgxai_core.pipeline.what_if import DoseResponse
    from ecgxai_core.simulation.edits import EDITS, Place

    def said(edit, size, place=None):
        sizes, measured = np.array([EDITS[edit].neutral, size]), np.array([80.0, 90.0])
        by_lead = {"V1": measured} if edit == "st_level" else {}
        found = DoseResponse(edit, EDITS[edit].unit, sizes, ("a",), np.zeros((2, 1), np.float32),
                             measured, None, ("", ""), by_lead)  # fmt: skip
        return change_in_words(found, size, place or Place())

    assert said("regular", 1.0) == "RR intervals evened out"
    assert said("regular", 0.75) == "RR intervals evened out by 75%"
    assert said("st_level", 0.1, Place(("V1", "V2"))) == "ST level +0.1 mV in V1 and V2"
    assert said("mask", 1.0, Place(("II",), (0.0, 1.5))) == "stretch masked from 0 to 1.5 s in II"
    assert said("rate", 20.0) == "heart rate 100/min"
    assert said("swap", 1.0, Place(swap="V1-V2")) == "electrodes exchanged V1-V2"


def test_while_the_answer_is_computed_the_record_stands_there(monkeypatch):
    monkeypatch.setattr("app.panels.what_if.response", lambda *_: None)
    page = opened("what_if", record="T000", target=AF)
    (shown,) = viewers(page)
    assert shown["record"]["title"] == "T000"
    assert "as recorded" in shown["sentence"]
