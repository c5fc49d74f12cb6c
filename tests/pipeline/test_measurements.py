"""Measured intervals beside normal ranges, and the median beat of a record."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.pipeline.measurements import intervals_of, measured_record, typical_beat
from ecgxai_core.signal.intervals import Measured, Measurement
from ecgxai_core.store.cache import Store
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record
from tests.small import AF, FS, beats

NAN = float("nan")


def value(number: float, unit: str = "ms", confidence: float = 0.9) -> Measurement:
    return Measurement(number, unit, confidence, 1.0, 10)


def measured(**changes: Measurement) -> Measured:
    usual = {
        "heart_rate": value(72, "1/min"), "pr": value(160), "qrs": value(92), "qt": value(380),
        "qtc": value(410), "axis": value(40, "deg"),
    }  # fmt: skip
    return Measured(**{**usual, **changes})


def reading(name: str, item: Measured, **who: object) -> str:
    return next(i for i in intervals_of(item, **who) if i.name == name).reading


def test_a_normal_record_is_within_every_range_that_there_is():
    found = intervals_of(measured(), 50, "female")
    assert [i.name for i in found] == ["heart rate", "PR", "QRS", "QT", "QTc", "axis"]
    assert {i.name for i in found if i.reading == "within"} == {
        "heart rate", "PR", "QRS", "QTc", "axis",
    }  # fmt: skip
    qt = next(i for i in found if i.name == "QT")
    assert (qt.normal, qt.reading, qt.note) == ("", "", "see QTc")
    assert all(i.source for i in found if i.normal)


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("heart_rate", 49, "below"), ("heart_rate", 50, "within"), ("heart_rate", 101, "above"),
        ("pr", 119, "below"), ("pr", 200.4, "within"), ("pr", 201, "above"),
        ("qrs", 110, "within"), ("qrs", 111, "above"),
        ("axis", -31, "below"), ("axis", -30, "within"), ("axis", 91, "above"),
        ("qtc", 360, "below"), ("qtc", 361, "within"), ("qtc", 368, "within"),
    ],
)  # fmt: skip
def test_limits_are_those_of_the_sources(name: str, number: float, expected: str):
    shown = {"heart_rate": "heart rate", "pr": "PR", "qrs": "QRS", "qtc": "QTc"}.get(name, name)
    assert reading(shown, measured(**{name: value(number)}), age=40.0, sex="male") == expected


def test_the_limit_of_a_qtc_depends_on_the_sex():
    item = measured(qtc=value(455))
    assert reading("QTc", item, sex="male") == "above"
    assert reading("QTc", item, sex="female") == "within"
    assert reading("QTc", item) == ""
    assert reading("QTc", measured(qtc=value(460))) == "above"
    note = next(i for i in intervals_of(item) if i.name == "QTc").note
    assert "sex" in note


def test_what_is_unsure_missing_or_of_a_child_is_not_compared():
    unsure = measured(pr=value(260, confidence=0.49))
    missing = measured(pr=Measurement(NAN, "ms", 0.0, NAN, 0, "no P wave was found"))
    for item, who, note in (
        (unsure, {"age": 40.0}, "uncertain"),
        (missing, {"age": 40.0}, "no P wave"),
        (measured(pr=value(260)), {"age": 6.0}, "adults"),
    ):
        found = next(i for i in intervals_of(item, **who) if i.name == "PR")
        assert found.reading == ""
        assert note in found.note


def test_a_pr_interval_that_is_a_lower_limit_says_so_and_is_compared():
    cut = Measurement(258.0, "ms", 0.9, 2.0, 12, "or more: why")
    found = next(i for i in intervals_of(measured(pr=cut), 40.0) if i.name == "PR")
    assert (found.reading, found.note) == ("above", "or more: why")


def test_a_rate_of_uneven_beats_is_called_irregular_and_compared():
    uneven = Measurement(22.0, "%", 0.9, 5.0, 12)
    item = measured(heart_rate=value(131, "1/min"), irregularity=uneven)
    found = intervals_of(item, 79.0, "female")[0]
    assert (found.reading, found.note) == ("above", "irregular")
    assert intervals_of(measured(heart_rate=value(96, "1/min", 0.1)))[0].note.startswith(
        "too uncertain"
    )


def test_an_uncertain_qtc_is_flagged_from_500_on():
    for number, expected in ((480, ""), (499.4, ""), (500, "above")):
        item = measured(qtc=Measurement(number, "ms", 0.3, 30.0, 12, "uncertain"))
        found = next(i for i in intervals_of(item, 70.0, "male") if i.name == "QTc")
        assert (found.reading, found.note) == (expected, "uncertain")


def record(signal: object = None) -> Record:
    values = beats(80, seed=3) if signal is None else signal
    return Record(name="R", signal=values, fs=FS, leads=STANDARD_LEADS)


def test_the_cache_gives_back_what_was_measured(tmp_path):
    store = Store(tmp_path, 1 << 24)
    first, again = measured_record(record(), store), measured_record(record(), store)
    assert first == measured_record(record())
    assert again == first
    assert first.heart_rate.value == pytest.approx(80, abs=1)
    flat = record(np.zeros((12, 700), np.float32))
    for found in (measured_record(flat, store), measured_record(flat, store)):
        assert all(np.isnan(item.value) and item.n == 0 for item in found.named().values())


def test_a_typical_beat_counts_its_beats():
    rng = np.random.default_rng(0)
    item = Attribution(
        record="R", target=AF, method="lime", probability=0.9, leads=STANDARD_LEADS,
        edges_sec=np.linspace(0, 6, 61), weights=rng.normal(size=(12, 60)).astype(np.float32),
        explored=np.ones((12, 60), bool), provenance=Provenance("r", "m", {}, 0, "0"),
        diagnostics={}, warnings=(),
    )  # fmt: skip
    found = typical_beat(item, record())
    assert found.n_beats == 8
    many = found.n.max(axis=0) >= 4
    assert many.any()
    assert np.isfinite(found.mean[:, many]).all()
    assert np.isnan(found.mean[:, ~many]).all()
    assert typical_beat(item, record(np.zeros((12, 700), np.float32))).n_beats == 0
