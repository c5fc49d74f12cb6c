"""The payload: what was given comes out again, and it is small, plain JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import FusedMap, QualityWarning, Record, Segmentation
from ecgxai_core.viewer import Context, Expected, Start, Words, payload
from tests.browser.viewer_page import attribution, record


def decoded(data, kind):
    return np.frombuffer(base64.b64decode(data), kind)


def millivolts(data):
    """The signal as the viewer reads it."""
    signal = data["signal"]
    counts = decoded(signal["counts"], "<i2").reshape(len(signal["leads"]), signal["samples"])
    values = counts * np.array(signal["scale"])[:, None]
    return np.where(counts == -32768, np.nan, values)


def with_signal(values, fs=500.0):
    leads = record().leads[: len(values)]
    return Record("r", np.asarray(values, np.float32), fs, leads)


def fused(name="R00"):
    one = attribution(name, "occlusion")
    agreement = np.where(one.weights > 0, 2, -1).astype(np.int8)
    return FusedMap(
        record=name, target="T", methods=("occlusion", "timeshap"), probability=0.9,
        leads=one.leads, edges_sec=one.edges_sec, weights=one.weights, explored=one.explored,
        agreement=agreement, lead_scores={"V1": 1.0}, top_leads=("V1", "II"), diagnostics={},
        provenance=one.provenance,
    )  # fmt: skip


def test_every_sample_comes_back_to_half_a_count():
    given = record()
    data = payload(given)
    step = np.array(data["signal"]["scale"])
    # rounding to a count, and the scale's nine digits
    assert np.all(np.abs(millivolts(data) - given.signal) <= (0.5 + 1e-3) * step[:, None])
    assert np.all(step < 1e-4)


def test_each_lead_has_its_own_scale():
    values = np.zeros((3, 100))
    values[0, 5], values[1, 5] = 0.5, -900.0
    got = millivolts(payload(with_signal(values)))
    assert got[0, 5] == pytest.approx(0.5, rel=1e-6)
    assert got[1, 5] == pytest.approx(-900, rel=1e-6)
    assert np.all(got[2] == 0)


def test_missing_samples_are_gaps_and_not_zero():
    values = np.ones((2, 50))
    values[0, 10:20] = np.nan
    values[1, 3] = np.inf
    got = millivolts(payload(with_signal(values)))
    assert np.all(np.isnan(got[0, 10:20]))
    assert np.isnan(got[1, 3])
    assert np.isfinite(got).sum() == 89


def test_a_map_comes_back_exactly_and_what_was_not_explored_is_nan():
    one = attribution("R00", "occlusion")
    item = payload(record(), {"occlusion": one})["maps"][0]
    weights = decoded(item["weights"], "<f4").reshape(12, 20)
    np.testing.assert_array_equal(weights, one.weights)
    assert np.all(np.isnan(weights[:, -1]))
    assert item["edges_sec"] == pytest.approx(one.edges_sec)
    assert (item["kind"], item["agreement"], item["ranking"]) == ("method", None, None)


def test_a_fused_map_carries_agreement_and_its_ranking():
    item = payload(record(), {"fused": fused()}, words=Words(maps={"fused": "Fused"}))["maps"][0]
    np.testing.assert_array_equal(
        decoded(item["agreement"], "i1").reshape(12, 20), fused().agreement
    )
    assert (item["kind"], item["ranking"], item["title"]) == ("fused", ["V1", "II"], "Fused")


def test_a_preliminary_map_says_so():
    said = QualityWarning("preliminary_map", "the error is at most 16% of it")
    one = replace(attribution("R00", "timeshap"), warnings=(said,))
    maps = payload(record(), {"timeshap": one, "occlusion": attribution("R00", "occlusion")})
    assert [item["preliminary"] for item in maps["maps"]] == [True, False]


def test_it_is_plain_json_without_nan_and_within_its_budget():
    maps = {name: attribution("R00", name, segments=100) for name in ("a", "b", "c")}
    text = json.dumps(payload(record(), maps), allow_nan=False)
    assert len(text) <= 250_000


def test_context_and_words_stand_in_it():
    waves = Segmentation("wave", np.array([0, 100, 5000]), 500.0, 0.0, ("P", "TP"))
    expected = Expected(("V1",), ("V1", "V2"), ((0.1, 0.2),))
    context = Context((0.0, 8.0), (0.4, 1.2), waves, expected, ("III",))
    words = Words(sentence="It rests on V1.", notes=("simulated",), settings=("beta 0.5",))
    data = payload(record(), context=context, words=words)
    assert data["seen_sec"] == [0.0, 8.0]
    assert data["beats_sec"] == [0.4, 1.2]
    assert data["waves"] == {"edges_sec": [0.0, 0.2, 10.0], "labels": ["P", "TP"]}
    assert data["expected"]["windows_sec"] == [[0.1, 0.2]]
    assert data["derived"] == ["III"]
    assert (data["sentence"], data["notes"]) == ("It rests on V1.", ["simulated"])


def test_a_changed_signal_says_so_before_the_sentence():
    words = Words(sentence="ECG of R00.", changed="RR intervals evened out")
    data = payload(record(), words=words)
    assert data["changed"] == "RR intervals evened out"
    assert data["sentence"] == "Changed: RR intervals evened out. ECG of R00."
    assert payload(record())["changed"] == ""


def test_a_study_can_hide_every_name():
    given = replace(record(), name="PATIENT-7")
    maps = {"a": replace(attribution("PATIENT-7", "occlusion"), target="164889003")}
    start = Start(record_id="7f3a", target_id="t1", key="study")
    words = Words(record="Record 1", target="Diagnosis A", maps={"a": "Map A"})
    text = json.dumps(payload(given, maps, words=words, start=start))
    assert "PATIENT-7" not in text
    assert "164889003" not in text
    assert "occlusion" not in text


def test_a_record_has_a_key_of_its_own_where_names_may_repeat():
    assert payload(record())["record"]["key"] == "R00"
    assert payload(record(), start=Start(record_id="token"))["record"]["key"] == "token"
    told = payload(record(), start=Start(record_key="d" * 64))["record"]
    assert (told["id"], told["key"]) == ("R00", "d" * 64)


def test_a_private_map_says_so():
    given = {"occlusion": attribution("R00", "occlusion"), "Doe": attribution("R00", "Doe")}
    made = payload(record(), given, start=Start(private=["Doe"]))["maps"]
    assert [one["private"] for one in made] == [False, True]


def test_a_long_record_is_loaded_from_where_the_model_looks():
    long = record(seconds=60.0)
    data = payload(long, context=Context(seen_sec=(30.0, 40.0)))
    assert data["signal"]["start_sec"] == 30.0
    assert data["signal"]["samples"] == 5000
    assert data["duration_sec"] == 60.0
    assert len(data["overview"]["low"]) == len(data["overview"]["high"]) == 600
    np.testing.assert_allclose(millivolts(data), long.signal[:, 15000:20000], atol=1e-4)


def test_the_overview_holds_the_largest_beat():
    values = np.zeros((2, 30_000))
    values[1, 12_345] = 3.0
    overview = payload(with_signal(values))["overview"]
    assert overview["lead"] == "II"
    assert int(np.argmax(overview["high"])) == 12_345 // 50


def test_records_up_to_twenty_seconds_are_loaded_whole():
    data = payload(record(seconds=17.0))
    assert data["signal"]["samples"] == 8500
    assert data["overview"] is None


def test_a_part_can_be_asked_for():
    data = payload(record(), start=Start(part_sec=(2.0, 5.0)))
    assert (data["signal"]["start_sec"], data["signal"]["samples"]) == (2.0, 1500)


@pytest.mark.parametrize("part", [(20.0, 30.0), (5.0, 5.0), (float("nan"), 3.0), (4.0, 2.0)])
def test_a_part_outside_of_the_record_is_refused(part):
    with pytest.raises(ParameterError, match="is no part of a record of 10 s"):
        payload(record(), start=Start(part_sec=part))


def test_a_map_of_another_record_is_refused():
    three = with_signal(np.zeros((3, 5000)))
    with pytest.raises(ParameterError, match="the record has no lead aVR"):
        payload(three, {"a": attribution("r", "occlusion")})


def test_edges_that_do_not_rise_are_refused():
    one = attribution("R00", "occlusion")
    edges = np.array(one.edges_sec)
    edges[3] = edges[2]
    with pytest.raises(ParameterError, match="not increasing"):
        payload(record(), {"a": replace(one, edges_sec=edges)})


def test_a_first_map_that_is_not_there_is_refused():
    with pytest.raises(ParameterError, match="there is no such map"):
        payload(record(), {"a": attribution("R00", "a")}, start=Start(first="b"))


def test_nothing_to_step_to_is_no_position():
    assert payload(record(), start=Start(position=(0, 1)))["position"] is None
    assert payload(record(), start=Start(position=(3, 9)))["position"] == {"index": 3, "count": 9}


def test_a_record_without_maps_has_none():
    data = payload(record())
    assert (data["maps"], data["first"]) == ([], "")
