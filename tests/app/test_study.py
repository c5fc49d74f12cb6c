"""The Study page: signing in, stages without a way back, and nothing of the arm."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.panels import study as panel
from ecgxai_core.diagnoses import aliases, code_of
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import assets_dir, settings
from ecgxai_core.simulation.dataset import write_set
from ecgxai_core.study.answers import STAGES, Answers, Step
from ecgxai_core.study.feedback import Rater
from ecgxai_core.study.frozen import Study, open_study
from ecgxai_core.study.protocol import asked_cases, read_protocol
from ecgxai_core.study.schedule import schedule
from ecgxai_core.types import probability_text
from tests.app.conftest import REPO, texts
from tests.small import AF
from tests.study.frozen_study import ARMS, copied
from tests.study.test_study import answer


def test_what_the_model_says_is_on_one_side_of_its_threshold():
    case = SimpleNamespace(target=AF, called=False, probability=0.4996, threshold=0.5)
    study, step = (
        SimpleNamespace(diagnoses={AF: "AF"}, cases=[case]),
        SimpleNamespace(showing=SimpleNamespace(case=0)),
    )
    said = panel._model_says(study, step)
    assert "probability 0.4996 (threshold 0.5000)" in said


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGXAI_STUDIES_DIR", str(tmp_path))
    settings.cache_clear()
    yield open_study(copied(tmp_path / "rhythm"))
    settings.cache_clear()


def opened() -> AppTest:
    return AppTest.from_file(str(REPO / "pages" / "study.py"), default_timeout=60).run()


def press(app: AppTest, label: str) -> AppTest:
    next(one for one in app.button if one.label == label).click()
    app.run()
    assert not app.exception
    return app


def signed_in(study: Study, rater: str = "one") -> AppTest:
    app = opened()
    app.text_input(key="study-code").set_value(study.codes[rater])
    return press(app, "Open")


def answered(app: AppTest, stage: str, token: str) -> AppTest:
    if stage == STAGES[-1]:
        for control in app.radio:
            control.set_value(2)
    else:
        app.radio(key=f"study-diagnosis-{token}-{stage}").set_value(AF)
        app.radio(key=f"study-confidence-{token}-{stage}").set_value(70)
    return press(app, "Answer")


def test_without_a_study_the_page_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ECGXAI_STUDIES_DIR", str(tmp_path / "none"))
    settings.cache_clear()
    app = opened()
    said = texts(app)
    assert "There is no study" in said
    assert "with no way back" in said
    protocol, freeze, answers = (block.value for block in app.code)
    assert "ecgxai study new rhythm.toml" in freeze
    assert "ecgxai study export rhythm" in answers
    assert tomllib.loads(protocol)["arms"][0] == "none"
    settings.cache_clear()


def test_the_example_can_be_frozen_as_it_stands(tmp_path):
    """Its records are there, and are of the diagnoses that it says."""
    protocol = read_protocol(assets_dir() / "study_protocol.toml")
    write_set(tmp_path, 24, 1)
    for case in asked_cases(protocol, tmp_path):
        labels = read_record(tmp_path / f"{case.record}.hea").labels
        names = {case.target} if case.reference == "none" else {case.reference}
        there = [name for name in names if set(aliases(code_of(name))) & set(labels or ())]
        assert bool(there) == (case.reference != "none"), case
    groups = [(case.target, case.reference) for case in protocol.case]
    assert len(schedule(protocol, groups)) == 4 * (8 + protocol.repeated)


def test_studies_are_listed_without_their_arms(study):
    app = opened()
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["study"], row["ECGs each"], row["raters"]) == ("rhythm", 8, 2)
    assert row["answered"] == "0 of 16"
    sent = str([element.proto for element in app.main])
    assert [arm for arm in ARMS[1:] if arm in sent] == []
    (study.folder / "study.json").write_text("{}", "utf-8")
    st.cache_resource.clear()
    assert "cannot be opened" in opened().dataframe[0].value["title"][0]


def test_a_wrong_code_opens_nothing(study):
    app = opened()
    app.text_input(key="study-code").set_value("one")
    assert "belongs to no rater" in texts(press(app, "Open"))
    assert not app.get("bidi_component")


def test_stages_follow_each_other_and_a_new_session_goes_on(study):
    app = signed_in(study)
    assert "no way back" in texts(app)
    app.text_input(key="study-role").set_value("cardiologist")
    app.number_input(key="study-years").set_value(9)
    press(app, "Begin")
    first = study.of("one")[0]
    case = study.cases[first.case]
    assert "ECG alone" in texts(app)
    assert "The model" not in texts(app)
    press(app, "Answer")
    assert "Choose a diagnosis" in texts(app)
    answered(app, "ecg", first.token)
    assert f"probability {probability_text(case.probability)} (threshold" in texts(app)
    press(app, "Pause")
    assert "0 of 8" in texts(app)
    press(app, "Go on")
    answered(app, "prediction", first.token)
    # another browser, or a server that has been started again
    app = signed_in(study)
    assert ("no map is shown" in texts(app)) == (first.arm == "none")
    assert ("With a map" in texts(app)) == (first.arm != "none")
    answered(app, "map", first.token)
    assert len(app.radio) == (1 if first.arm == "none" else 3)
    answered(app, "ratings", first.token)
    assert "ECG 2 of 8" in texts(app)
    (row,) = Answers(study).frame().to_dict("records")
    assert (row["role"], row["years"], row["trust"]) == ("cardiologist", 9, 2)
    assert (row["diagnosis_map"], row["confidence_map"]) == (AF, 70)
    assert (row["shown_ecg"], row["shown_prediction"]) == (1, 2)
    assert 0 <= row["seconds_ecg"] < 60


def test_nothing_that_is_sent_names_arm_or_record(study):
    """Everything that goes to the browser where maps are shown, of every arm."""
    answers, arms = Answers(study), set()
    answers.begin("two", Rater())
    app = signed_in(study, "two")
    words = [*ARMS[1:], "occlusion", "input_x", "shuffled", "energy", "T00", "study.json"]
    for showing in study.of("two"):
        stages = STAGES if showing.arm in arms else STAGES[:2]
        for stage in stages:
            answers.add(Step(showing, stage), answer(stage))
        for stage in STAGES[len(stages) :]:
            app.run()
            sent = str([element.proto for element in app.main])
            assert showing.token in sent, "what the viewer is given is among it"
            assert [word for word in words if word in sent.lower() or word in sent] == [], stage
            assert not app.get("download_button")
            answers.add(Step(showing, stage), answer(stage))
        arms.add(showing.arm)
    assert arms == set(ARMS)
    assert not app.query_params
    assert "All 8 ECGs" in "".join(one.value for one in app.run().success)
