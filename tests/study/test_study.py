"""Protocol, schedule, freezing and answers of a blinded study."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import checked
from ecgxai_core.store.cache import Store
from ecgxai_core.study.answers import SCORES, STAGES, Answers, ratings, reading
from ecgxai_core.study.feedback import Rater
from ecgxai_core.study.frozen import freeze, open_study, studies
from ecgxai_core.study.protocol import NONE, Protocol, StudyError, read_protocol
from ecgxai_core.study.schedule import schedule
from tests.small import write_data
from tests.study.frozen_study import AF, ARMS, RATERS, SINUS, copied, folder, protocol_text


@pytest.fixture
def study(tmp_path):
    return open_study(copied(tmp_path / "study"))


def plan(**changes) -> Protocol:
    usual = {
        "data": "d", "model": "m", "arms": ARMS, "raters": ["a", "b", "c"],
        "case": [{"record": "r", "target": "AF"}],
    }  # fmt: skip
    return checked(Protocol, {**usual, **changes})


def test_arms_are_a_latin_square_within_strata():
    strata = ["x"] * 6 + ["y"] * 6
    found = schedule(plan(seed=5), strata)
    for rater in "abc":
        own = [one for one in found if one.rater == rater]
        assert sorted(one.case for one in own) == list(range(12))
        for low in (0, 6):
            arms = Counter(one.arm for one in own if low <= one.case < low + 6)
            assert arms == dict.fromkeys(ARMS, 2)
    for case in range(12):
        assert {one.arm for one in found if one.case == case} == set(ARMS)
    orders = {tuple(o.case for o in found if o.rater == rater) for rater in "abc"}
    assert len(orders) == 3
    assert found == schedule(plan(seed=5), strata)
    assert found != schedule(plan(seed=6), strata)
    assert len({one.token for one in found}) == len(found)


def test_repeated_cases_come_in_the_same_arm_and_apart():
    found = schedule(plan(repeated=4, apart=6), ["x"] * 12)
    for rater in "abc":
        own = [one for one in found if one.rater == rater]
        assert len(own) == 16
        places = {c: [o.position for o in own if o.case == c] for c in range(12)}
        twice = {c: at for c, at in places.items() if len(at) == 2}
        assert len(twice) == 4
        for case, (one, other) in twice.items():
            assert other - one - 1 >= 6
            assert own[one].arm == own[other].arm
            assert (own[one].again, own[other].again) == (False, True)
            assert own[one].case == case
    with pytest.raises(StudyError, match="cannot be kept 20 others apart"):
        schedule(plan(repeated=4, apart=20), ["x"] * 12)
    with pytest.raises(StudyError, match="cannot be repeated"):
        schedule(plan(repeated=4), ["x"] * 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": ["magic"]}, "no arm 'magic'"),
        ({"arms": ["fused", "fused"]}, "entry twice"),
        ({"raters": ["a/b"]}, "short name"),
        ({"raters": []}, "raters"),
        ({"case": []}, "either"),
        ({"selection": "x.csv"}, "either"),
        ({"methods": ["magic"]}, "no method"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_impossible_protocol_is_refused_by_name(changes, said):
    with pytest.raises(ParameterError, match=said):
        plan(**changes)


def test_a_study_is_frozen_whole(study):
    assert [case.record for case in study.cases] == [f"T{i:03d}" for i in range(6)]
    assert [case.reference for case in study.cases] == [AF, SINUS, AF, SINUS, AF, None]
    assert study.cases[5].model_right is None
    assert study.cases[1].model_right == (not study.cases[1].called)
    assert list(study.diagnoses)[-1] == NONE
    assert set(study.diagnoses) == {AF, SINUS, NONE}
    assert studies(study.folder.parent) == {"study": study.folder}
    assert (study.folder / "codes.csv").stat().st_mode & 0o077 == 0
    assert {study.rater_of(code) for code in study.codes.values()} == set(RATERS)
    assert study.rater_of("one") is None
    shown = study.exhibit(0, "opaque")
    assert shown.record.name == "opaque"
    assert set(shown.maps) == {"fused", "lead_shuffled"}
    fused, moved = shown.maps["fused"], shown.maps["lead_shuffled"]
    assert fused.leads == moved.leads
    assert not np.array_equal(fused.weights, moved.weights)
    assert {(m.method, m.target, type(m)) for m in shown.maps.values()} == {
        ("map", "", type(fused))
    }


def test_a_changed_study_is_refused(study):
    path = study.folder / "study.json"
    path.write_text(path.read_text("utf-8").replace("lead_shuffled", "time_reversed"), "utf-8")
    with pytest.raises(StudyError, match="was changed after"):
        open_study(study.folder)
    with pytest.raises(StudyError, match=r"study\.json"):
        open_study(study.folder.parent / "nowhere")


def test_what_cannot_be_frozen_says_why(tmp_path):
    root = folder()
    store = Store(root / "cache", int(1e9))
    with pytest.raises(StudyError, match="there already"):
        freeze(root / "protocol.toml", root / "study", store)
    for change, said in (
        (("T001", "T000"), "twice"),
        (("T001", "T999"), "not in the folder"),
    ):
        path = root / "changed.toml"
        path.write_text(protocol_text(6).replace(*change), "utf-8")
        with pytest.raises(StudyError, match=said):
            freeze(path, tmp_path / "out", store)
    write_data(tmp_path / "two" / "data" / "also", 1)
    shutil.copytree(root / "data", tmp_path / "two" / "data" / "first")
    shutil.copytree(root / "models", tmp_path / "two" / "models")
    (tmp_path / "two" / "p.toml").write_text(protocol_text(6), "utf-8")
    with pytest.raises(StudyError, match="T000: is the name of several records"):
        freeze(tmp_path / "two" / "p.toml", tmp_path / "out", store)
    assert not (tmp_path / "out").exists()
    (tmp_path / "p.toml").write_text("= no", "utf-8")
    with pytest.raises(StudyError, match=r"p\.toml"):
        read_protocol(tmp_path / "p.toml")
    store.close()


def answer(stage: str):
    if stage == STAGES[-1]:
        return ratings(trust=1, relevance=2, helpfulness=-1, comment="clear", seconds=3)
    marks = [{"lead": "II", "from_sec": 1, "to_sec": 1.2}] if stage == "ecg" else []
    return reading(diagnosis=AF, confidence=80, marks=marks, seconds=9.5)


def test_stages_are_answered_in_order_once_and_come_back(study):
    answers = Answers(study)
    assert not answers.begun("one")
    answers.begin("one", Rater(role="cardiologist", years=12))
    assert answers.begun("one")
    step = answers.next("one")
    assert (step.showing, step.stage) == (study.of("one")[0], "ecg")
    later = type(step)(study.of("one")[1], "ecg")
    with pytest.raises(StudyError, match="not the next stage"):
        answers.add(later, answer("ecg"))
    with pytest.raises(StudyError, match="does not ask"):
        answers.add(step, answer("ratings"))
    with pytest.raises(StudyError, match="none of the study's"):
        answers.add(step, reading(diagnosis="elsewhere", confidence=1))
    with pytest.raises(StudyError, match="confidence"):
        reading(diagnosis=AF, confidence=101)
    assert (answers.shown(step), answers.shown(step)) == (0, 1)
    assert answers.add(step, answer("ecg"))
    assert not answers.add(step, reading(diagnosis=NONE, confidence=1)), "there is no way back"
    answers = Answers(open_study(study.folder))  # as after a restart
    for stage in STAGES[1:]:
        step = answers.next("one")
        assert step.stage == stage
        answers.add(step, answer(stage))
    assert answers.done("one") == 1
    assert answers.next("one").showing == study.of("one")[1]
    assert answers.next("two").showing == study.of("two")[0]
    frame = answers.frame()
    (row,) = frame.to_dict("records")
    assert (row["rater"], row["position"], row["complete"], row["role"]) == (
        "one", 0, True, "cardiologist",
    )  # fmt: skip
    assert row["diagnosis_ecg"] == AF
    assert (row["confidence_map"], row["shown_ecg"], row["seconds_map"]) == (80, 2, 9.5)
    known = study.cases[row["case"]].reference
    assert known is None or row["correct_ecg"] == float(known == AF)
    assert json.loads(row["marks"])[0]["lead"] == "II"
    assert [row[name] for name in SCORES] == [1, 2, -1]


def test_a_rater_reaches_the_end(study):
    answers = Answers(study)
    done = 0
    while (step := answers.next("two")) is not None:
        answers.add(step, answer(step.stage))
        done += 1
    assert done == len(study.of("two")) * len(STAGES) == 8 * 4
    assert answers.frame()["again"].sum() == 2
