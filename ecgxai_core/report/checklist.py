"""What to check before believing an explanation: seven questions, and a person's answers.

The answers belong to one record, model and target; they are saved with the record's report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ecgxai_core.errors import RunError

__all__ = ["ANSWERS", "CHECKLIST", "Answer", "Checklist", "Question", "checklist_from_json"]

Answer = Literal["not checked", "yes", "no", "does not apply"]
ANSWERS: tuple[Answer, ...] = ("not checked", "yes", "no", "does not apply")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to check, and how."""

    name: str
    question: str
    how: str


CHECKLIST: tuple[Question, ...] = (
    Question(
        "explained",
        "Was the prediction explained with methods of more than one family, and did they converge?",
        "Two samplers of the same game agree almost by construction; a result that is marked 'not "
        "converged' changes with the seed.",
    ),
    Question(
        "plausible_place",
        "Does the map fall on leads and waves where this diagnosis shows itself?",
        "Compare with the evidence marked for the diagnosis and with the scores of a random and "
        "an empty map, which stand beside every score.",
    ),
    Question(
        "models_agree",
        "Do two models agree, in probability and in map?",
        "Model page, 'Two models': a map that only one network draws may be its own habit.",
    ),
    Question(
        "probability",
        "Is the probability high for a clear case, and clear of the threshold?",
        "Read it beside the calibration curve: 0.95 means 95 of 100 only where the curve says so.",
    ),
    Question(
        "no_artefact",
        "Is the map free of artefacts: noise, baseline wander, pacing, padding, flat or swapped "
        "leads?",
        "Read the quality warnings; look at the plain trace with the overlay off.",
    ),
    Question(
        "ecg_agrees",
        "Does the ECG itself, read without the map, show what the model says?",
        "Read the plain trace first. A convincing map over a wrong prediction is still wrong.",
    ),
    Question(
        "similar_cases",
        "Do similar records get similar maps, and does the map survive an extra beat?",
        "Records page for records of the same class; Stability page for the extra beat.",
    ),
)


@dataclass(frozen=True, slots=True)
class Checklist:
    """Answers by question name, a remark for each, and a note; what is missing is not checked."""

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
    """What :meth:`Checklist.as_json` wrote; unknown questions are left out.

    Raises
    ------
    RunError
        It is none.
    """
    refused = RunError(where, "", "is no saved checklist", "save one on the Guide page")
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
