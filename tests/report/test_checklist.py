"""Checklists can be saved and read back; anything else is refused."""

from __future__ import annotations

import json

import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.report.checklist import ANSWERS, CHECKLIST, Checklist, checklist_from_json


def test_a_saved_checklist_reads_back():
    answers = {question.name: "no" for question in CHECKLIST}
    remarks = {CHECKLIST[2].name: "two models differ"}
    kept = Checklist(answers, remarks, "a note", "reader")
    back = checklist_from_json(json.dumps(kept.as_json()))
    assert back.complete
    assert back.as_json() == kept.as_json()


def test_a_checklist_with_an_open_question_is_not_complete():
    assert not Checklist().complete
    assert not Checklist({CHECKLIST[0].name: "yes"}).complete
    assert Checklist({q.name: ANSWERS[3] for q in CHECKLIST}).complete


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "other", "answers": {}, "remarks": {}}',
        '{"schema": "ecgxai-checklist/1", "answers": [], "remarks": {}}',
        '{"schema": "ecgxai-checklist/1", "answers": {"explained": "maybe"}, "remarks": {}}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(RunError, match="is not a saved checklist"):
        checklist_from_json(text)
