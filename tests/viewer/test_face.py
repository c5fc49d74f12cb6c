"""The Streamlit face: what is sent to the browser, and what of its answers is believed."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.viewer import Reader, Region, Selected, expected_evidence, read
from ecgxai_core.viewer import Start, payload
from tests.browser.viewer_page import attribution, record
from tests.conftest import REPO

APP = str(REPO / "tests" / "browser" / "viewer_app.py")
AF = "164889003"


def sent(at):
    return json.loads(at.get("bidi_component")[0].proto.json)


@pytest.fixture(scope="module")
def data():
    maps = {"occlusion": attribution("R00", "occlusion")}
    return payload(record(), maps, start=Start(position=(3, 9)))


def heard(data, **triggers):
    """What the face makes of a component's result."""
    import streamlit as st

    st.session_state["v"] = triggers
    return read("v", data)


def test_the_payload_reaches_the_browser_as_it_is():
    at = AppTest.from_file(APP, default_timeout=60).run()
    assert not at.exception
    found = sent(at)
    assert (found["schema"], found["record"]["id"]) == ("ecgxai-viewer", "R00")
    assert found["sentence"] == "The evidence lies in V1."


def test_the_view_of_the_address_is_asked_for_once():
    """Later the browser keeps it: a payload that changed would be sent again."""
    at = AppTest.from_file(APP, default_timeout=60)
    at.query_params["view"] = "layout-3x4"
    at.run()
    assert sent(at)["view"] == "layout-3x4"
    at.query_params["view"] = "layout-6x2"
    at.run()
    assert sent(at)["view"] == "layout-3x4"


def test_a_long_view_is_cut():
    at = AppTest.from_file(APP, default_timeout=60)
    at.query_params["view"] = "x" * 5000
    at.run()
    assert len(sent(at)["view"]) == 500


def test_what_the_reader_did_is_returned(data):
    cell = {"record": "R00", "map": "occlusion", "lead": "V1", "segment": 2, "from_sec": 1,
            "to_sec": 1.5}  # fmt: skip
    marked = {"record": "R00", "regions": [{"lead": "V2", "from_sec": 1.0, "to_sec": 2.0}]}
    got = heard(data, selected=cell, marked=marked, step={"index": 8},
                wanted={"from_sec": 0.0, "to_sec": 9.0})  # fmt: skip
    assert got == Reader(
        selected=Selected("R00", "occlusion", "V1", 2, 1.0, 1.5), marked_record="R00",
        regions=(Region("V2", 1.0, 2.0),), step=8, wanted_sec=(0.0, 9.0),
    )  # fmt: skip


def test_removing_the_last_region_is_not_nothing(data):
    got = heard(data, marked={"record": "R00", "regions": []})
    assert (got.marked_record, got.regions) == ("R00", ())
    assert heard(data).regions is None


@pytest.mark.parametrize(
    "triggers",
    [
        {"selected": {"lead": "V9", "map": "occlusion", "segment": 1, "from_sec": 0, "to_sec": 1}},
        {"selected": {"lead": "V1", "map": "other", "segment": 1, "from_sec": 0, "to_sec": 1}},
        {
            "selected": {
                "lead": "V1",
                "map": "occlusion",
                "segment": "1",
                "from_sec": 0,
                "to_sec": 1,
            }
        },
        {"selected": {"lead": "V1", "map": "occlusion", "segment": 1, "from_sec": 5, "to_sec": 1}},
        {"selected": {"lead": ["V1"], "map": {}, "segment": 1, "from_sec": 0, "to_sec": 1}},
        {"selected": "V1"},
        {"step": {"index": 9}},
        {"step": {"index": -1}},
        {"step": {"index": True}},
        {"step": {"index": 1.5}},
        {"step": 3},
        {"wanted": {"from_sec": float("nan"), "to_sec": 3}},
        {"wanted": {"from_sec": 0, "to_sec": 1e9}},
        {"wanted": {"from_sec": None, "to_sec": "3"}},
        {"marked": {"record": "R00", "regions": "all"}},
        {"marked": []},
    ],
)
def test_what_makes_no_sense_is_nothing(data, triggers):
    assert heard(data, **triggers) == Reader()


def test_regions_that_make_no_sense_are_left_out(data):
    regions = [
        {"lead": "V1", "from_sec": 1, "to_sec": 2},
        {"lead": "<b>", "from_sec": 1, "to_sec": 2},
        {"lead": "V1", "from_sec": 2, "to_sec": 1},
        "V1",
        None,
    ]
    got = heard(data, marked={"record": "R00", "regions": regions})
    assert got.regions == (Region("V1", 1.0, 2.0),)


def test_expected_evidence_is_that_of_the_table():
    found = expected_evidence(AF, [1.0, 2.0], 60.0)
    assert found is not None
    assert "V1" in found.strict_leads
    assert set(found.strict_leads) <= set(found.lenient_leads) | set(found.strict_leads)
    assert all(low < high for low, high in found.windows_sec)
    assert found.windows_sec[0][0] < 1.0 < found.windows_sec[-1][1]


def test_a_target_without_a_row_has_no_expected_evidence():
    assert expected_evidence("nobody", [1.0], 60.0) is None
