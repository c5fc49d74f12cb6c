"""Criteria of diagnoses on simulated records of known mechanism, and evidence beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.diagnoses import Criterion, code_of, diagnoses, find_diagnosis
from ecgxai_core.pipeline.criteria import (
    OF_LEAD,
    OF_RECORD,
    Criteria,
    check,
    evidence_in,
    unseen_in_words,
    with_stimuli,
)
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.signal.delineation import P_REACH_SEC, delineate
from ecgxai_core.signal.intervals import Measured, Measurement, measure_signal
from ecgxai_core.signal.segments import WAVE_LABELS, wave_edges
from ecgxai_core.simulation import mechanism, simulate
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record, Segmentation

SEED = 2


def measured(record: Record) -> Measured:
    return measure_signal(record.signal, record.fs, record.leads)


def checked(target: str, record: Record) -> Criteria:
    return check(target, record, measured(record))


def of(found: Criteria, text: str) -> str:
    return next(row.status for row in found.rows if text in row.criterion.text)


@pytest.fixture(scope="module")
def normal() -> Record:
    return simulate("sinus_rhythm", seed=SEED).record


def test_every_measure_of_the_table_is_known_and_every_wave_and_limit_makes_sense() -> None:
    for row in diagnoses():
        for item in row.criteria:
            assert item.measure in {"", *OF_RECORD, *OF_LEAD}
            assert set(item.waves) <= set(WAVE_LABELS)
            assert item.citations
            assert item.leads or item.measure not in OF_LEAD
    assert all(row.criteria for row in diagnoses() if row.code != "NORM")


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("sinus_rhythm", ("Rate of 60", "A P wave before", "upright", "aVR", "Regular")),
        ("sinus_bradycardia", ("below 60", "below 50", "A P wave before")),
        ("sinus_tachycardia", ("above 100", "upright")),
        ("first_degree_block", ("PR interval above",)),
        ("right_bundle_branch_block", ("120 ms or more",)),
        ("left_bundle_branch_block", ("120 ms or more", "No Q wave")),
        ("left_anterior_fascicular_block", ("Axis between", "Q wave in aVL", "below 120")),
        ("left_axis_deviation", ("Axis between",)),
        ("right_axis_deviation", ("Axis between",)),
        ("low_voltage", ("every limb lead",)),
        ("long_qt", ("QTc of",)),
        ("q_wave_inferior", ("Q wave of 0.1",)),
        ("t_inversion_anterior", ("T wave of -0.1",)),
    ],
)
def test_a_planted_mechanism_meets_its_criteria_and_a_normal_ecg_does_not(
    name: str, texts: tuple[str, ...], normal: Record
) -> None:
    target, record = mechanism(name).code, simulate(name, seed=SEED).record
    found = checked(target, record)
    assert not found.off
    assert {of(found, text) for text in texts} <= {"met"}
    if name != "sinus_rhythm":
        healthy = checked(target, normal)
        defining = [text for text in texts if text not in ("A P wave before", "upright",
                    "No Q wave", "Q wave in aVL", "below 120")]  # fmt: skip
        assert {of(healthy, text) for text in defining} <= {"not met"}


def test_criteria_of_the_pr_interval_say_how_far_p_waves_are_looked_for() -> None:
    rows = [row for item in diagnoses() for row in item.criteria if row.measure == "PR"]
    assert rows
    assert all(f"up to {1e3 * P_REACH_SEC:.0f} ms" in row.note for row in rows)


def test_fibrillation_is_irregular_without_p_waves() -> None:
    found = checked("164889003", simulate("atrial_fibrillation", seed=1).record)
    assert of(found, "Irregular RR") == "met"
    assert of(found, "No distinct P") == "met"
    last = found.rows[-1]
    assert last.status == "cannot be measured"
    assert last.reason == "fibrillatory waves are not measured"


def test_shares_say_of_what_and_no_cell_shows_that_beats_are_compared() -> None:
    record = simulate("atrial_fibrillation", seed=1).record
    overlay, waves = wave_map(record, "V1", "TP")
    irregular, no_p, _ = check("164889003", record, measured(record), overlay, waves).rows
    assert irregular.value.endswith("% from beat to beat")
    assert no_p.value == "P wave in 0% of beats"
    assert irregular.evidence is None
    assert no_p.evidence is not None


def test_voltages_of_hypertrophy_are_those_that_were_planted() -> None:
    made = simulate("left_ventricular_hypertrophy", seed=SEED)
    first = checked("HYP", made.record).rows[0]
    assert first.met
    assert first.measured is not None
    assert first.measured.value == pytest.approx(made.parameters["hypertrophy"], abs=0.25)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"age": 9.0}, "9 years old"), ({"labels": ("10370003",)}, "labelled as paced")],
)
def test_criteria_do_not_hold_for_children_and_paced_hearts(
    changes: dict[str, object], says: str, normal: Record
) -> None:
    found = checked("164909002", replace(normal, **changes))
    assert says in found.off
    assert not found.rows
    assert not checked("164909002", replace(normal, age=16.0)).off


def test_a_paced_rhythm_is_known_by_its_stimuli_or_by_the_model(normal: Record) -> None:
    paced = replace(simulate("pacing", seed=SEED).record, labels=None)
    items = measured(paced)
    assert with_stimuli(paced, beats_of(paced).samples)
    assert "stimulus" in check("164909002", paced, items, stimuli=True).off
    assert "model calls" in check("164909002", paced, items, called=("10370003",)).off
    for name in ("sinus_rhythm", "left_bundle_branch_block", "left_ventricular_hypertrophy"):
        other = simulate(name, seed=SEED).record
        assert not with_stimuli(other, beats_of(other).samples)


def test_doubtful_beats_switch_the_criteria_off() -> None:
    rng = np.random.default_rng(0)
    noise = Record("n", rng.normal(0, 0.3, (12, 5000)).astype(np.float32), 500.0, STANDARD_LEADS)
    assert "beats" in checked("164909002", noise).off


def test_an_uncertain_value_and_a_missing_lead_decide_nothing(normal: Record) -> None:
    items = measured(normal)
    unsure = replace(items, qrs=replace(items.qrs, confidence=0.3))
    row = check("164909002", normal, unsure).rows[0]
    assert (row.met, row.reason) == (None, "too uncertain (confidence 0.30)")
    few = replace(items, leads={"I": items.leads["I"]})
    rows = check("HYP", normal, few).rows
    assert [row.reason for row in rows] == ["lead V1 is missing", "lead aVL is missing"]
    assert check("164909002", normal, few).rows[2].reason == "lead V5 is missing"


def test_a_limit_of_the_sex_is_open_where_the_sex_is_unknown(normal: Record) -> None:
    items = replace(measured(normal), qtc=Measurement(455, "ms", 0.9, 1.0, 9))

    def met(sex: str | None) -> bool | None:
        return check("111975006", replace(normal, sex=sex), items).rows[0].met

    assert (met("male"), met("female"), met(None)) == (True, False, None)


def test_values_are_compared_as_they_are_shown(normal: Record) -> None:
    items = replace(measured(normal), qrs=Measurement(119.6, "ms", 0.9, 1.0, 9))
    row = check("164909002", normal, items).rows[0]
    assert (row.met, row.value) == (True, "120 ms")


def test_a_pair_of_neighbours_is_as_strong_as_its_weaker_lead(normal: Record) -> None:
    items = measured(normal)
    deep = {"V2": -0.3, "V3": -0.05, "V4": -0.2, "V5": -0.12}
    leads = {
        lead: {**waves, "T": Measurement(deep.get(lead, 0.3), "mV", 0.9, 0.0, 9)}
        for lead, waves in items.leads.items()
    }
    row = check("59931005", normal, replace(items, leads=leads)).rows[0]
    assert (row.met, row.lead, row.value) == (True, "V4 and V5", "−0.12 mV (V4 and V5)")
    leads["V5"] = leads["V1"]
    row = check("59931005", normal, replace(items, leads=leads)).rows[0]
    assert (row.met, row.value) == (False, "−0.05 mV (V2 and V3)")


def wave_map(record: Record, lead: str, wave: str) -> tuple[Attribution, Segmentation]:
    """A map with all of its weight in one wave of one lead."""
    waves = delineate(record.signal, record.fs, record.leads, beats_of(record).samples)
    edges, labels = wave_edges(0, record.n_samples, waves, record.fs)
    found = Segmentation("wave", edges, record.fs, 0.0, labels)
    weights = np.zeros((12, len(labels)), np.float32)
    weights[record.leads.index(lead), [label == wave for label in labels]] = 1.0
    return attribution(record, found.edges_sec, weights), found


def attribution(record: Record, edges: np.ndarray, weights: np.ndarray) -> Attribution:
    return Attribution(
        record.name, "164909002", "lime", 0.9, STANDARD_LEADS, edges, weights,
        np.ones(weights.shape, np.bool_), Provenance(record.digest, "m", {}, 0, "0"),
    )  # fmt: skip


def test_evidence_is_counted_in_the_leads_and_waves_of_a_criterion(normal: Record) -> None:
    overlay, waves = wave_map(normal, "V6", "QRS")
    rows = check("164909002", normal, measured(normal), overlay, waves).rows
    shares = {row.criterion.text[:9]: row.evidence.share for row in rows if row.evidence}
    assert shares == {"QRS durat": 1.0, "Broad not": 1.0, "No Q wave": 1.0, "R peak la": 1.0}
    other = evidence_in(overlay, ("V1",), ("QRS",), waves)
    assert other is not None
    assert other.share == 0.0
    qrs = sum(d for d, w in zip(waves.durations, waves.labels, strict=True) if w == "QRS")
    assert other.chance == pytest.approx(qrs / normal.duration / 12, rel=1e-6)


def test_windows_that_cut_through_waves_tell_leads_only(normal: Record) -> None:
    _, waves = wave_map(normal, "V6", "QRS")
    weights = np.ones((12, 20), np.float32)
    overlay = attribution(normal, np.linspace(0, normal.duration, 21), weights)
    found = evidence_in(overlay, ("V1", "V2", "V3"), ("QRS",), waves)
    assert found is not None
    assert (found.share, found.in_waves) == (pytest.approx(0.25), False)
    assert found.chance == pytest.approx(0.25)
    assert evidence_in(overlay, (), ("QRS",), waves) is None


def test_one_sentence_says_how_many_criteria_are_met(normal: Record) -> None:
    assert checked("426783006", normal).sentence.startswith("5 of the 5 criteria that can be")
    block = checked("164909002", simulate("left_bundle_branch_block", seed=SEED).record)
    assert block.sentence == (
        "2 of the 2 criteria that can be measured here are met; 2 cannot be measured."
    )
    assert checked("10370003", normal).sentence == "None of the criteria can be measured here."
    assert checked("NORM", normal).sentence == "No criteria are tabulated for this diagnosis."
    child = checked("164909002", replace(normal, age=9.0))
    assert child.sentence.startswith("Criteria are not compared: they are those of adults")


def test_a_target_without_a_row_has_no_criteria(normal: Record) -> None:
    assert check("999999", normal, measured(normal)) == Criteria("999999", ())
    assert isinstance(find_diagnosis("LBBB").criteria[0], Criterion)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "field_sec", "says"),
    [
        (code_of("AF"), 0.47, "the model sees 0.47 s at a time, so it cannot see directly whether "
         "the beats come regularly"),
        (code_of("SB"), 0.5, "the model sees 0.5 s at a time, so it cannot see directly how fast "
         "the beats come"),
        (code_of("AF"), 1.5, ""),
        (code_of("AF"), None, ""),
        (code_of("LBBB"), 0.47, ""),
        ("no such code", 0.47, ""),
    ],
)  # fmt: skip
def test_a_short_look_is_said_of_a_rhythm_only(
    target: str, field_sec: float | None, says: str
) -> None:
    assert unseen_in_words(target, field_sec) == says


def test_every_rhythm_that_is_measured_from_beat_to_beat_is_one() -> None:
    names = {row.name for row in diagnoses() if unseen_in_words(row.code, 0.1)}
    assert {
        "sinus rhythm",
        "atrial fibrillation",
        "sinus bradycardia",
        "sinus tachycardia",
    } <= names
    assert not names & {"left bundle branch block", "1st degree AV block", "T wave inversion"}
