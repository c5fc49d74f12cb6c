"""Feedback on the Explain page: kept, seen by its own session only, taken back."""

from __future__ import annotations

import pytest

from app.panels import feedback
from ecgxai_core.settings import settings
from ecgxai_core.study.feedback import FeedbackStore
from tests.app.evaluated import opened, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


@pytest.fixture
def file(monkeypatch, tmp_path):
    monkeypatch.setenv("ECGXAI_FEEDBACK_FILE", str(tmp_path / "feedback.sqlite"))
    settings.cache_clear()
    yield tmp_path / "feedback.sqlite"
    settings.cache_clear()


def control(at, kind, name):
    return next(one for one in at.get(kind) if one.key and one.key.endswith(name))


def test_a_verdict_is_kept_and_taken_back(file):
    at = opened("explain", record="T000", target=AF)
    assert control(at, "button", "-keep").disabled
    control(at, "button_group", "-verdict").set_value("disagree").run()
    control(at, "text_input", "-diagnosis").set_value("flutter").run()
    control(at, "text_area", "-comment").set_value("<b>no</b> fibrillation").run()
    control(at, "button", "-keep").click().run()
    assert not at.exception
    assert "Your feedback is kept" in texts(at)
    (row,) = FeedbackStore(file).rows()
    assert row["record"] == "T000"
    assert row["record_kept"]
    assert row["target"] == AF
    assert row["map"] == "fused"
    assert row["called"] is ("called present" in texts(at))
    assert row["answer"]["verdict"] == "disagree"
    assert row["answer"]["diagnosis"] == "flutter"
    assert row["answer"]["seconds"]["read"] >= 0
    other = opened("explain", record="T000", target=AF)
    assert "Your feedback is kept" not in texts(other)
    next(b for b in at.button if b.label == "Take back").click().run()
    assert "Your feedback is kept" not in texts(at)
    assert FeedbackStore(file).rows()[0]["withdrawn"]


def test_the_operator_alone_sees_all_answers(file, monkeypatch):
    from tests.study.test_feedback import item

    FeedbackStore(file).add(item(), "somebody")
    at = opened("settings")
    assert any("rater_pseudonym" in table.value for table in at.dataframe)
    monkeypatch.setattr(feedback, "is_operator", lambda: False)
    at = opened("settings")
    assert "Only the operator of this server sees the feedback" in texts(at)
    assert not any("rater_pseudonym" in table.value for table in at.dataframe)
