"""Checklist for verifying an explanation: seven questions, and the reader's answers.

The answers belong to one record, model and target, and are saved with the record's report.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ecgxai_core.errors import RunError
from ecgxai_core.settings import assets_dir

__all__ = ["ANSWERS", "CHECKLIST", "Answer", "Checklist", "Question", "checklist_from_json"]

Answer = Literal["not checked", "yes", "no", "does not apply"]
ANSWERS: tuple[Answer, ...] = ("not checked", "yes", "no", "does not apply")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and how to answer it."""

    name: str
    question: str
    how: str


_TEXTS = tomllib.loads((assets_dir() / "guide.toml").read_text("utf-8"))
CHECKLIST: tuple[Question, ...] = tuple(Question(**item) for item in _TEXTS["checklist"])
"""The questions, in order; answers are saved by their names."""


@dataclass(frozen=True, slots=True)
class Checklist:
    """Answers and remarks by question name, and a note; a missing answer is "not checked"."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    reader: str = ""

    @property
    def complete(self) -> bool:
        """Whether every question has an answer."""
        return all(self.answers.get(q.name, "not checked") != "not checked" for q in CHECKLIST)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": "ecgxai-checklist/1",
            "answers": dict(self.answers),
            "remarks": {name: text for name, text in self.remarks.items() if text},
            "note": self.note,
            "reader": self.reader,
        }


def checklist_from_json(text: str, where: str = "checklist") -> Checklist:
    """Read what :meth:`Checklist.as_json` wrote; unknown questions are ignored.

    Raises
    ------
    RunError
        The text is not a saved checklist.
    """
    refused = RunError(where, "", "is not a saved checklist", "save one on the Guide page")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise refused from None
    if not isinstance(values, dict) or values.get("schema") != "ecgxai-checklist/1":
        raise refused
    given, said = values.get("answers"), values.get("remarks")
    if not isinstance(given, dict) or not isinstance(said, dict):
        raise refused
    names = [question.name for question in CHECKLIST]
    answers = {name: given.get(name, "not checked") for name in names}
    if any(answer not in ANSWERS for answer in answers.values()):
        raise refused
    remarks = {name: str(said.get(name, ""))[:_LONGEST] for name in names}
    note, reader = str(values.get("note", "")), str(values.get("reader", ""))
    return Checklist(answers, remarks, note[:_LONGEST], reader[:200])
