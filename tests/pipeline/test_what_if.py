"""Dose-response against a model whose answer to every change is known."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.pipeline.what_if import (
    DoseResponse,
    Switch,
    dose_response,
    flips,
    natural_range,
    switched_at,
    switches,
)
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.simulation import simulate
from ecgxai_core.simulation.edits import Place, edited
from ecgxai_core.types import STANDARD_LEADS
from tests.analytic import TARGET, Analytic, manifest

V2 = STANDARD_LEADS.index("V2")


def mean_of_v2(values):
    """Logit 40 x (mean of V2 - 0.1 mV): rises with anything that lifts V2."""
    return 40 * (values[:, :, V2].mean(axis=1) - 0.1)


def beat_count(values):
    return np.array([float(len(r_peaks(row.T, 100.0, STANDARD_LEADS))) - 14.5 for row in values])


@pytest.fixture(scope="module")
def record():
    return simulate("sinus_rhythm", seed=3, fs=100).record


def case_of(record, score):
    return Case(record, Analytic(score, manifest(samples=1000)), TARGET)


def test_a_planted_model_answers_as_it_must(record):
    sizes = [-0.2, -0.1, 0.1, 0.2]
    found = dose_response(case_of(record, mean_of_v2), "st_level", sizes, Place(("V2",)))
    assert found.sizes.tolist() == [-0.2, -0.1, 0.0, 0.1, 0.2]
    logit = np.log(found.column(TARGET) / (1 - found.column(TARGET)))
    steps = np.diff(logit)
    assert np.allclose(steps, steps.mean(), rtol=0.01)
    assert steps.mean() > 0.1
    elsewhere = dose_response(case_of(record, mean_of_v2), "st_level", sizes, Place(("V5",)))
    assert np.allclose(elsewhere.column(TARGET), elsewhere.column(TARGET)[2], atol=1e-6)


def test_the_neutral_size_is_the_plain_prediction(record):
    case = case_of(record, mean_of_v2)
    found = dose_response(case, "pr", [40])
    plain = case.classifier.predict(case.model_input().values[None])[0]
    assert np.array_equal(found.probabilities[found.sizes == 0][0], plain)


def test_what_is_measured_follows_the_change_and_leaves_the_natural_range(record):
    found = dose_response(case_of(record, mean_of_v2), "qrs", [20, 40])
    assert found.measured[1] - found.measured[0] == pytest.approx(20, abs=10)
    assert found.measured[2] - found.measured[0] == pytest.approx(40, abs=10)
    low, high = natural_range("QRS")
    assert found.natural == (low, high)
    assert found.unusual == tuple(bool(v < low or v > high) for v in found.measured)
    frame = found.to_frame()
    assert list(frame.columns[:4]) == ["size", "measured", "unusual", "refused"]
    assert len(frame) == 3


def test_a_level_arrives_in_every_lead_as_far_as_leads_are_free(record):
    """Chest leads get what is asked; of limb leads, least squares of six that depend on two:
    I + III = II, aVR = -(I + II) / 2, so 0.1 mV asked of all is 0.1 x (8, 16, 8, -12, 0, 12) / 21
    (normal equations by hand)."""
    found = dose_response(case_of(record, mean_of_v2), "st_level", [0.1])
    arrived = {lead: values[1] - values[0] for lead, values in found.by_lead.items()}
    for lead in STANDARD_LEADS[6:]:
        assert arrived[lead] == pytest.approx(0.1, abs=0.01)
    for lead, share in zip(STANDARD_LEADS[:6], (8, 16, 8, -12, 0, 12), strict=True):
        assert arrived[lead] == pytest.approx(0.1 * share / 21, abs=0.01), lead
    alone = dose_response(case_of(record, mean_of_v2), "st_level", [0.1], Place(("V2",)))
    assert alone.measured.tolist() == alone.by_lead["V2"].tolist()
    assert abs(alone.by_lead["V5"][1] - alone.by_lead["V5"][0]) < 0.005
    assert dose_response(case_of(record, mean_of_v2), "qrs", [20]).by_lead == {}


def test_a_size_without_room_is_said_and_the_others_stand(record):
    found = dose_response(case_of(record, mean_of_v2), "pr", [20, 300])
    assert found.refused[:2] == ("", "")
    assert "have room for" in found.refused[2]
    assert np.isnan(found.probabilities[2]).all()
    assert np.isfinite(found.probabilities[:2]).all()


def test_the_least_flip_is_where_the_logit_crosses_zero(record):
    case, place = case_of(record, mean_of_v2), Place(("V2",))
    found = dose_response(case, "st_level", [-1, -0.1, 0.1, 1], place)
    logit = np.log(found.column(TARGET) / (1 - found.column(TARGET)))
    before, after = logit[2], logit[3]
    crossing = -0.1 * before / (after - before)
    assert 0.1 < abs(crossing) < 1
    assert flips(case, found, 0.5, place) == pytest.approx((crossing,), abs=0.002)


def test_a_count_of_beats_flips_with_the_rate(record):
    """Fourteen beats in 10 s: a fifteenth needs a faster heart."""
    case = case_of(record, beat_count)
    (size,) = flips(case, dose_response(case, "rate", [-10, 10, 20]), 0.5)
    assert 0 < size < 10


@pytest.mark.parametrize("edit", ["swap", "removed", "inserted"])
def test_an_edit_that_is_not_graded_flips_at_a_size_that_was_tried(record, edit):
    """Half an exchange of electrodes, or half a beat, is no change that anybody could make."""
    place = Place(swap="RA-LA") if edit == "swap" else None
    changed = edited(record, edit, 1.0, place)

    def unlike(values):
        """Positive where the signal is nearer to the changed one than to the recorded one."""
        far = [np.abs(values - one.signal.T).mean(axis=(1, 2)) for one in (record, changed)]
        return far[0] - far[1]

    case = case_of(record, unlike)
    found = dose_response(case, edit, [1.0], place)
    assert found.column(TARGET)[0] < 0.5 < found.column(TARGET)[1]
    assert flips(case, found, 0.5, place) == (1.0,)


def test_a_call_that_stays_has_no_flip(record):
    case = case_of(record, beat_count)
    assert flips(case, dose_response(case, "st_level", [-0.1, 0.1]), 0.5) == ()


def test_an_unknown_edit_is_refused_before_anything_is_computed(record):
    case = case_of(record, mean_of_v2)
    for call in (
        lambda: dose_response(case, "magic", [1]),
        lambda: dose_response(case, "st_level", [0.1], Place(("V9",))),
    ):
        with pytest.raises(ParameterError):
            call()
    assert case.classifier.rows == 0


def response(**curves):
    """A response of QRS -20, 0, 20 and 40 ms to a record of 100 ms; the last is not possible."""
    return DoseResponse(
        edit="qrs", unit="ms", sizes=np.array([-20.0, 0, 20, 40]), classes=tuple(curves),
        probabilities=np.array([*curves.values()], np.float32).T,
        measured=np.array([82.0, 100, 118, 139]), natural=(70.0, 130.0), refused=("", "", "", "no"),
    )  # fmt: skip


def test_each_class_switches_by_its_own_threshold_and_where_it_does_so_first():
    found = response(
        a=[0.3, 0.1, 0.4, np.nan], b=[0.3, 0.1, 0.4, np.nan], c=[0.9, 0.9, 0.2, np.nan],
        d=[0.1, 0.1, 0.1, np.nan],
    )  # fmt: skip
    limits = {"a": 0.35, "b": 0.2, "c": 0.5, "d": 0.5}
    assert set(switches(found, limits)) == {
        Switch("a", 2, True), Switch("b", 0, True), Switch("b", 2, True), Switch("c", 2, False),
    }  # fmt: skip
    assert switches(found, limits)[0].code == "c", "the largest change first"
    assert switched_at(found, limits, 0) == (Switch("b", 0, True),)
    assert switched_at(found, limits, 1) == ()
    assert switched_at(found, limits, 3) == (), "not possible"
    assert switches(found, {"d": 0.5}) == ()


def test_a_call_that_switches_back_is_named_where_it_differs_only():
    found = response(a=[0.1, 0.1, 0.9, 0.1])
    assert switches(found, {"a": 0.5}) == (Switch("a", 2, True),)
    assert switched_at(found, {"a": 0.5}, 3) == ()


def test_sizes_have_levels_where_they_add_to_what_is_measured(record):
    assert response(a=[0.1] * 4).levels.tolist() == [80, 100, 120, 140]
    case = case_of(record, mean_of_v2)
    rate = dose_response(case, "rate", [-10, 10])
    assert rate.levels.tolist() == pytest.approx((rate.sizes + rate.measured[1]).tolist())
    # one sample more of both RR intervals at 100 Hz: 84 x 84 / 6000 and 95 x 95 / 6000
    assert rate.levels == pytest.approx(rate.measured, abs=2.7), "what was asked for arrives"
    assert dose_response(case, "st_level", [0.1]).levels is None
    assert dose_response(case, "regular", [1]).levels is None
