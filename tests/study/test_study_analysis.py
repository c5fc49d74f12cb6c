"""The analysis finds what a simulated panel was given; agreement against worked examples."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.params import EvaluationParams, checked
from ecgxai_core.study import analysis
from ecgxai_core.study.agreement import alpha, cohen_kappa, counts, fleiss_kappa
from ecgxai_core.study.answers import READINGS, SCORES, Answers, frame_of
from ecgxai_core.study.frozen import Study, StudyCase, open_study
from ecgxai_core.study.panel import SimulatedRater, simulated_answers
from ecgxai_core.study.protocol import NONE, Protocol
from ecgxai_core.study.schedule import schedule
from tests.study.frozen_study import AF, ARMS, copied

PARAMS = EvaluationParams(n_bootstrap=300, confidence=0.99)
"""Some thirty intervals are looked at: at 95 % one or two would miss what was planted."""
OTHER = "59118001"  # right bundle branch block
N, WRONG = 240, 0.25
PANEL = (
    SimulatedRater(0.90, 0.30, {"fused": 0.5}, {"fused": 1.0, "lead_shuffled": 0.0}, steady=0.7),
    SimulatedRater(0.80, 0.30, {"fused": 0.5}, {"fused": 1.0, "lead_shuffled": 0.0}, 0.8, 0.7),
    SimulatedRater(0.70, 0.30, {"fused": 0.5}, {"fused": 1.0, "lead_shuffled": 0.0}, -0.8, 0.7),
)
"""Raters of 90, 80 and 70 %, who follow the model in 30 % of the cases where they differ, and the
fused map in another 50 %; they rate it one point higher than the control."""


@pytest.fixture(scope="module")
def study() -> Study:
    """A study that was never shown: half of the cases have the target, the model errs in 25 %."""
    rng = np.random.default_rng(1)
    cases = tuple(
        StudyCase(f"R{i}", "", True, AF, AF if i % 2 else NONE,
                  0.9 if (i % 2 == 1) != (rng.random() < WRONG) else 0.1, 0.5)
        for i in range(N)
    )  # fmt: skip
    values = {
        "data": "d", "model": "m", "arms": ARMS, "raters": ["a", "b", "c"], "repeated": 120,
        "case": [{"record": "r", "target": AF}],
    }  # fmt: skip
    protocol = checked(Protocol, values)
    strata = [case.reference for case in cases]
    names = {AF: "atrial fibrillation", NONE: "none"}
    return Study(Path("nowhere"), "", protocol, cases, schedule(protocol, strata), names, {}, "")


@pytest.fixture(scope="module")
def answers(study):
    return frame_of(study, simulated_answers(study, PANEL, seed=4))


def within(row, value: float, name: str = "value") -> bool:
    return row.low <= value <= row.high and row.high - row.low < 0.5 and row[name] > 0


def test_accuracy_of_the_panel_is_found(answers):
    table = analysis.accuracy(answers, PARAMS).set_index(["stage", "arm"])
    first = table.loc[("ecg", "all")]
    assert (first["n"], first["cases"], first["raters"]) == (3 * N, N, 3)
    assert within(first, 0.8, "accuracy")
    # a rater whose answer is another than the model's takes it over with 30 %: wrong becomes right
    # where the model is right, and the other way round
    after = 0.8 + 0.3 * (0.2 * (1 - WRONG) - 0.8 * WRONG)
    assert within(table.loc[("prediction", "all")], after, "accuracy")
    assert table.loc[("map", "none"), "accuracy"] == table.loc[("prediction", "none"), "accuracy"]
    assert first["confidence_low"] <= 70 <= first["confidence_high"]


def test_switches_and_over_reliance_are_found(answers):
    moved = analysis.changes(answers, PARAMS).set_index(["from", "to", "arm"])
    still = moved.loc[("prediction", "map", "lead_shuffled")]
    assert (still["to_right"], still["to_wrong"], still["gain"]) == (0, 0, 0.0)
    fused = moved.loc[("prediction", "map", "fused")]
    assert fused["to_right"] > 0
    assert fused["to_wrong"] > 0
    assert fused["gain"] == pytest.approx((fused["to_right"] - fused["to_wrong"]) / fused["n"])
    found = analysis.reliance(answers, PARAMS).set_index(["kind", "stage", "arm"])
    assert within(found.loc[("over-reliance", "prediction", "all")], 0.3, "share")
    assert within(found.loc[("over-reliance", "map", "fused")], 1 - 0.7 * 0.5, "share")
    assert within(found.loc[("over-reliance", "map", "none")], 0.3, "share")
    assert within(found.loc[("under-reliance", "map", "fused")], 0.7 * 0.5, "share")


def test_ratings_of_arms_differ_as_planted_and_only_there(answers):
    rated = analysis.ratings_by_arm(answers, PARAMS).set_index(["rating", "arm"])
    assert ("helpfulness", "none") not in rated.index, "there was no map to rate"
    assert within(rated.loc[("helpfulness", "fused")], 1.0, "mean")
    found = analysis.arm_effects(answers, PARAMS).set_index(["metric", "one", "other"])
    pair = next(k for k in found.index if k[0] == "helpfulness" and "none" not in k)
    row = found.loc[pair]
    sign = 1 if pair[2] == "fused" else -1
    assert row.low <= sign * 1.0 <= row.high
    assert row.p_holm < 0.001
    confidence = [k for k in found.index if k[0] == "confidence"]
    assert found.loc[confidence, "p_holm"].min() > 0.05
    by_rater = analysis.arm_effects(answers, PARAMS, by="rater")
    assert by_rater["n"].max() == 3


def test_kappa_of_the_panel_is_the_one_that_its_accuracies_give(answers):
    table = analysis.agreement(answers, PARAMS).set_index(["what", "measure"])
    pairs = []
    for one, other in itertools.combinations((0.9, 0.8, 0.7), 2):
        agreed = one * other + (1 - one) * (1 - other)
        pairs.append((agreed - 0.5) / 0.5)  # as many with as without the target: chance is a half
    planted = float(np.mean(pairs))
    for measure in ("Fleiss' kappa", "Krippendorff's alpha"):
        assert within(table.loc[("diagnosis, ecg", measure)], planted), measure
    cohen = table.loc[("diagnosis, ecg", "Cohen's kappa")]
    assert cohen["value"] == pytest.approx(planted, abs=0.1)
    assert cohen["low"] < cohen["value"] < cohen["high"]


def table_of(*rows: dict) -> pd.DataFrame:
    """Answers of first showings; what a row leaves out is not answered."""
    every = dict.fromkeys(f"diagnosis_{stage}" for stage in READINGS)
    every |= dict.fromkeys(SCORES, float("nan"))
    return pd.DataFrame([{**every, "arm": "none", "again": False, **row} for row in rows])


def test_agreement_counts_the_cases_that_it_uses():
    """Two raters have read twelve cases, a third eight of them, and one of the two three more."""
    said = [
        {"case": case, "rater": rater, "diagnosis_ecg": AF if (case + late) % 3 else NONE}
        for rater, cases, late in (("a", range(15), 0), ("b", range(12), 1), ("c", range(8), 0))
        for case in cases
    ]
    found = analysis.agreement(table_of(*said), PARAMS).set_index(["what", "measure"])
    rows = found.loc["diagnosis, ecg"]
    assert rows["n"].to_dict() == {
        "Cohen's kappa": 12, "Fleiss' kappa": 8, "Krippendorff's alpha": 12,
    }  # fmt: skip
    assert np.isnan(rows.loc["Fleiss' kappa", "low"]), "fewer than ten cases"
    assert rows.loc["Krippendorff's alpha", "low"] < rows.loc["Krippendorff's alpha", "value"]
    unread = found.loc["diagnosis, map"]
    assert unread["value"].isna().all()
    assert (unread["n"] == 0).all()


def test_ratings_of_a_case_in_two_arms_are_of_one_case():
    rng = np.random.default_rng(0)
    said = [
        {"case": case, "rater": rater, "arm": arm, "trust": int(rng.integers(-3, 4))}
        for case in range(9)
        for rater, arm in (("a", "fused"), ("b", "fused"), ("c", "none"), ("d", "none"))
    ]
    found = analysis.agreement(table_of(*said), PARAMS).set_index("what").loc["trust"]
    assert found["n"] == 9
    assert np.isfinite(found["value"])
    assert np.isnan(found["low"]), "fewer than ten cases"


def test_whoever_says_what_the_model_says_has_nothing_to_take_over():
    """The model is right that the target is absent; one rater saw it, one saw something else."""
    about = {"target": AF, "called": False, "model_right": True, "correct_ecg": 0.0, "rater": "a"}
    said = [
        {**about, "case": case, **{f"diagnosis_{stage}": name for stage in READINGS}}
        for case, name in enumerate((AF, OTHER))
    ]
    found = analysis.reliance(table_of(*said), PARAMS).set_index(["kind", "stage", "arm"])
    row = found.loc[("under-reliance", "map", "all")]
    assert (row["n"], row["share"]) == (1, 1.0)


def test_repeatability_and_time_are_found(answers):
    table = analysis.repeatability(answers, PARAMS).set_index(["what", "measure"])
    same = table.loc[("diagnosis, ecg", "share that stayed the same")]
    assert same["n"] == 3 * 120
    drawn_alike = np.mean([a**2 + (1 - a) ** 2 for a in (0.9, 0.8, 0.7)])
    assert within(same, 0.7 + 0.3 * drawn_alike)
    spread = table.loc[("confidence_ecg", "SD within a rater"), "value"]
    assert spread == pytest.approx(10, rel=0.15)
    seconds = analysis.times(answers).set_index(["stage", "arm"]).loc[("ecg", "all")]
    assert seconds["median"] == pytest.approx(20, rel=0.15)
    interrupted = answers.assign(shown_ecg=answers["shown_ecg"].where(answers["position"] > 5, 2))
    counted = analysis.times(interrupted).set_index(["stage", "arm"]).loc[("ecg", "all")]
    assert counted["interrupted"] + counted["n"] == 3 * N
    assert counted["interrupted"] > 0


def test_maps_are_scored_against_what_raters_marked(tmp_path):
    study = open_study(copied(tmp_path / "study"))
    panel = [SimulatedRater(1.0), SimulatedRater(1.0)]
    rows = simulated_answers(study, panel)
    number = next(n for n, case in enumerate(study.cases) if case.reference == AF)
    best = study.exhibit(number).maps["fused"]
    lead, segment = np.unravel_index(np.nanargmax(best.density()), best.weights.shape)
    mark = {
        "lead": best.leads[lead], "from_sec": float(best.edges_sec[segment]),
        "to_sec": float(best.edges_sec[segment + 1]),
    }  # fmt: skip
    for showing in study.showings:
        if showing.case == number and not showing.again:
            rows[f"{showing.rater}/{showing.token}/ecg"]["marks"] = [mark]
    table = analysis.marked_evidence(study, frame_of(study, rows), PARAMS).set_index("map")
    assert set(table.index) == {"fused", "lead_shuffled", analysis.EXPECTED}
    assert table.loc["fused", "attauc"] > 0.99
    assert table.loc["lead_shuffled", "attauc"] < table.loc["fused", "attauc"]
    assert table.loc["fused", "n"] == 2
    whole = analysis.analyse(study, frame_of(study, rows), PARAMS)
    assert all(len(table) for table in whole.tables.values())


def test_a_study_without_answers_gives_empty_tables(tmp_path):
    study = open_study(copied(tmp_path / "study"))
    found = analysis.analyse(study, Answers(study).frame(), PARAMS)
    assert found.answers.empty
    assert all("value" not in t or t["value"].isna().all() for t in found.tables.values())


def test_fleiss_kappa_of_the_example_of_wikipedia_and_of_two_raters():
    # 10 subjects, 14 raters, 5 categories; kappa 0.210
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss_kappa(table) == pytest.approx(0.210, abs=5e-4)
    one, other = list("aabbcabcab"), list("aabbcbbcaa")
    pooled = np.array([one, other], object)
    # with two raters: Scott's pi (Scott 1955), computed by hand
    agreed = np.mean([a == b for a, b in zip(one, other, strict=True)])
    shares = np.array([(pooled == c).mean() for c in "abc"])
    pi = (agreed - (shares**2).sum()) / (1 - (shares**2).sum())
    assert fleiss_kappa(counts(pooled, "abc")) == pytest.approx(pi)
    assert np.isnan(fleiss_kappa([[3, 0], [3, 0]]))
    assert np.isnan(fleiss_kappa([[1, 0]]))


def test_alpha_of_krippendorffs_example():
    # Krippendorff, Computing Krippendorff's alpha-reliability (2011), example C: four observers,
    # twelve units; nominal 0.743, ordinal 0.815, interval 0.849
    nan = float("nan")
    given = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    assert alpha(given, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert alpha(given, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert alpha(given, "interval") == pytest.approx(0.849, abs=5e-4)
    assert np.isnan(alpha([[1, 1], [1, 1]], "nominal"))
    assert np.isnan(alpha([[1, nan], [nan, 1]], "nominal"))


def test_cohens_kappa_by_hand():
    # 20 yes-yes, 15 no-no, 5 and 10 apart: agreed 0.7, chance 0.5
    one = ["y"] * 25 + ["n"] * 25
    other = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert cohen_kappa(one, other) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa(["y"], ["y"]))
