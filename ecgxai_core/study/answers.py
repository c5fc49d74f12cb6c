"""Answers of a blinded study: one row per rater, case and stage, in order, with no way back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecgxai_core.study.feedback import Rater
from ecgxai_core.study.frozen import Study
from ecgxai_core.study.journal import Journal
from ecgxai_core.study.protocol import StudyError
from ecgxai_core.study.schedule import Showing
from ecgxai_core.types import STANDARD_LEADS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "READINGS", "SCHEMA", "SCORES", "STAGES", "Answers", "Mark", "Ratings", "Reading", "Step",
    "answer_key", "frame_of", "ratings", "reading",
]  # fmt: skip

SCHEMA = 1
"""Version of the fields of an answer."""
READINGS: tuple[str, ...] = ("ecg", "prediction", "map")
"""Stages that ask for a diagnosis: the ECG alone, with what the model says, with the map."""
STAGES: tuple[str, ...] = (*READINGS, "ratings")
SCORES: tuple[str, ...] = ("trust", "relevance", "helpfulness")

Score = Field(None, ge=-3, le=3)
T = TypeVar("T", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mark(_Frozen):
    """A stretch of a lead that the rater marked as evidence, seconds of the record."""

    lead: Literal[STANDARD_LEADS]  # type: ignore[valid-type]
    from_sec: float = Field(ge=0, le=1e6)
    to_sec: float = Field(ge=0, le=1e6)


class Reading(_Frozen):
    """A diagnosis.

    Attributes
    ----------
    diagnosis
        One of the study's diagnoses.
    confidence
        Percent.
    marks
        Where the rater sees the evidence; asked of the ECG alone, before any map is seen.
    seconds
        From when the stage was last shown to the answer.
    """

    diagnosis: str = Field(min_length=1, max_length=200)
    confidence: int = Field(ge=0, le=100)
    marks: tuple[Mark, ...] = Field((), max_length=200)
    seconds: float = Field(0.0, ge=0, le=1e7)


class Ratings(_Frozen):
    """Trust in the model's answer, relevance and helpfulness of the map, -3 to +3; ``None`` = not
    asked or not answered. ``harm``: whether acting on what was shown could harm a patient."""

    trust: int | None = Score
    relevance: int | None = Score
    helpfulness: int | None = Score
    harm: bool = False
    comment: str = Field("", max_length=2000)
    seconds: float = Field(0.0, ge=0, le=1e7)


@dataclass(frozen=True, slots=True)
class Step:
    """What a rater does next: a stage of a showing."""

    showing: Showing
    stage: str


class Answers:
    """The answers of a study, in ``answers.sqlite`` of its folder."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._journal = Journal(study.folder / "answers.sqlite", SCHEMA, StudyError)

    def begin(self, rater: str, about: Rater, instructions_read: bool = True) -> None:
        """Note that a rater begins, with role and years; a second time changes nothing.

        Raises
        ------
        StudyError
            The file cannot be written.
        """
        body = {"rater": about.model_dump(mode="json"), "instructions_read": instructions_read}
        self._journal.add(body, session=rater, key=f"{rater}/begin")

    def begun(self, rater: str) -> bool:
        """Whether the rater has begun."""
        return f"{rater}/begin" in self._keys(rater)

    def next(self, rater: str) -> Step | None:
        """The first stage that the rater has not answered; ``None`` = all are answered."""
        done = self._keys(rater)
        for showing in self.study.of(rater):
            for stage in STAGES:
                if answer_key(showing, stage) not in done:
                    return Step(showing, stage)
        return None

    def shown(self, step: Step) -> int:
        """Note that a stage is shown, once per visit; how often it was shown before.

        A stage that was shown more than once was interrupted, and its time says little.
        """
        prefix = f"{answer_key(step.showing, step.stage)}/shown/"
        keys = self._keys(step.showing.rater)
        before = sum(key.startswith(prefix) for key in keys)
        self._journal.add({}, session=step.showing.rater, key=f"{prefix}{before}")
        return before

    def add(self, step: Step, answer: Reading | Ratings) -> bool:
        """Keep the answer to the rater's next stage for good; ``False`` = it had been answered.

        Raises
        ------
        StudyError
            The stage is not the next one, the answer does not fit it, or cannot be written.
        """
        key = answer_key(step.showing, step.stage)
        if key in self._keys(step.showing.rater):
            return False
        if self.next(step.showing.rater) != step:
            raise StudyError("study", step.stage, "is not the next stage", "reload the page")
        if isinstance(answer, Reading) != (step.stage in READINGS):
            raise StudyError("study", step.stage, "does not ask for this", "reload the page")
        if isinstance(answer, Reading) and answer.diagnosis not in self.study.diagnoses:
            raise StudyError(
                "study", answer.diagnosis, "is none of the study's diagnoses", "choose one of them"
            )
        body = {"study": self.study.digest, **answer.model_dump(mode="json")}
        return self._journal.add(body, session=step.showing.rater, key=key) is not None

    def done(self, rater: str) -> int:
        """How many showings the rater has answered whole."""
        keys = self._keys(rater)
        return sum(answer_key(one, STAGES[-1]) in keys for one in self.study.of(rater))

    def frame(self) -> pd.DataFrame:
        """All answers as a table; see :func:`frame_of`."""
        rows = {row.key: json.loads(row.body) for row in self._journal.rows()}
        return frame_of(self.study, rows)

    def _keys(self, rater: str) -> set[str]:
        return {row.key for row in self._journal.rows(rater)}


def frame_of(study: Study, rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per showing that was begun, by rater and position.

    Parameters
    ----------
    study
        What was shown.
    rows
        Answers by the keys of the journal.

    Returns
    -------
    ``rater, position, token, case, record, digest, target, reference, probability, called,
    model_right, arm, again, complete``; for each stage of :data:`READINGS` its ``diagnosis_``,
    ``confidence_``, ``correct_`` (NaN where the reference is not known), ``seconds_``, ``shown_``
    (how often it was shown); ``marks`` as JSON; the ratings; ``seconds_ratings``; ``role`` and
    ``years`` of the rater.
    """
    import pandas as pd

    shown = Counter(key.rpartition("/shown/")[0] for key in rows if "/shown/" in key)
    listed = [
        _row(study, showing, rows, shown)
        for showing in study.showings
        if answer_key(showing, STAGES[0]) in rows
    ]
    return pd.DataFrame(listed, columns=_COLUMNS)


def _row(
    study: Study,
    showing: Showing,
    rows: Mapping[str, Mapping[str, Any]],
    shown: Mapping[str, int],
) -> dict[str, Any]:
    case, about = study.cases[showing.case], rows.get(f"{showing.rater}/begin", {}).get("rater", {})
    given = {stage: rows[key] for stage in STAGES if (key := answer_key(showing, stage)) in rows}
    row: dict[str, Any] = {
        "rater": showing.rater, "position": showing.position, "token": showing.token,
        "case": showing.case, "record": case.record, "digest": case.digest,
        "target": case.target, "reference": case.reference, "probability": case.probability,
        "called": case.called, "model_right": case.model_right, "arm": showing.arm,
        "again": showing.again, "complete": len(given) == len(STAGES),
        "role": about.get("role", ""), "years": about.get("years"),
        "marks": json.dumps(given[STAGES[0]]["marks"]),
    }  # fmt: skip
    for stage, answer in given.items():
        row[f"seconds_{stage}"] = answer["seconds"]
        row[f"shown_{stage}"] = shown.get(answer_key(showing, stage), 0)
        if stage in READINGS:
            said, known = answer["diagnosis"], case.reference is not None
            row[f"diagnosis_{stage}"] = said
            row[f"confidence_{stage}"] = answer["confidence"]
            row[f"correct_{stage}"] = float(said == case.reference) if known else float("nan")
        else:
            row |= {name: answer[name] for name in (*SCORES, "harm", "comment")}
    return row


_COLUMNS = [
    "rater", "position", "token", "case", "record", "digest", "target", "reference",
    "probability", "called", "model_right", "arm", "again", "complete",
    *(f"{name}_{stage}" for stage in READINGS
      for name in ("diagnosis", "confidence", "correct", "seconds", "shown")),
    "marks", *SCORES, "harm", "comment", "seconds_ratings", "shown_ratings", "role", "years",
]  # fmt: skip


def answer_key(showing: Showing, stage: str) -> str:
    """Key of an answer in the journal."""
    return f"{showing.rater}/{showing.token}/{stage}"


def reading(**values: Any) -> Reading:
    """A checked :class:`Reading`.

    Raises
    ------
    StudyError
        A field that is missing or out of its bounds.
    """
    return _checked(Reading, values)


def ratings(**values: Any) -> Ratings:
    """A checked :class:`Ratings`; raises as :func:`reading` does."""
    return _checked(Ratings, values)


def _checked(kind: type[T], values: Mapping[str, Any]) -> T:
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudyError("answer", place, first["msg"], "correct the field") from None
