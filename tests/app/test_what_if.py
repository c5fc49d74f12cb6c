"""The What-if page: a curve, a size that is looked at, and what is refused."""

from __future__ import annotations

import json

import pytest

from tests.app.evaluated import EXPLAINED, opened, settled, texts, viewers
from tests.small import AF, SINUS

pytestmark = pytest.mark.usefixtures("evaluated_folders")


@pytest.fixture
def page():
    return settled(opened("what_if", record="T000", target=AF))


def test_the_curve_is_drawn_and_a_size_chosen(page):
    assert not page.exception
    assert "as recorded" in texts(page)
    assert "flips the call" in texts(page) or "The call flips at" in texts(page)
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


def test_without_a_record_an_explained_example_is_changed():
    assert opened("what_if").session_state["view"].record in EXPLAINED
