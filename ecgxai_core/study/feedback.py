"""Feedback on explanations: one row per answer, never changed, on this machine only.

The file is a :mod:`journal <ecgxai_core.study.journal>`; taking an answer back is a row of its own.
What identifies a patient has no place here: records, models and maps go by their digests, and a
rater by a pseudonym of their own choice.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecgxai_core.errors import EcgXaiError
from ecgxai_core.study.journal import Journal
from ecgxai_core.types import STANDARD_LEADS, canonical_json
from ecgxai_core.version import code_version

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA", "Answer", "Feedback", "FeedbackError", "FeedbackStore", "Rater", "Region", "feedback",
    "summary",
]  # fmt: skip

SCHEMA = 1
"""Version of the fields of an answer; rows of another version are refused by name."""

Text = Field("", max_length=2_000)
Score = Field(None, ge=-3, le=3)
Digest = Field(pattern=r"[0-9a-f]{64}")


class FeedbackError(EcgXaiError):
    """Feedback that cannot be kept or read."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Region(_Frozen):
    """A marked stretch of one lead, seconds from the start of the record.

    ``kind``: evidence that the map lacks, or that it shows wrongly. ``wave`` may be empty.
    """

    lead: Literal[STANDARD_LEADS]  # type: ignore[valid-type]
    from_sec: float = Field(ge=0, le=1e6)
    to_sec: float = Field(ge=0, le=1e6)
    kind: Literal["missing", "wrong"]
    wave: Literal["", "P", "QRS", "ST", "T"] = ""


class Rater(_Frozen):
    """Who answers: a pseudonym, a role in their own words, years of reading ECGs."""

    pseudonym: str = Field("", max_length=60)
    role: str = Field("", max_length=60)
    years: float | None = Field(None, ge=0, le=80)


class Answer(_Frozen):
    """What a reader says of one map.

    Attributes
    ----------
    verdict
        Whether the reader agrees with the model's answer.
    diagnosis
        Their own, if they name one.
    regions
        Evidence that the map lacks or shows wrongly.
    relevance, helpfulness
        From -3 (not at all) to +3 (very); ``None`` = not answered.
    harm
        Whether acting on the map could harm a patient.
    comment
        Free text; names of patients do not belong here.
    rater
        Who answers.
    seconds
        Time spent by step, seconds.
    """

    verdict: Literal["agree", "disagree", "unsure"]
    diagnosis: str = Field("", max_length=200)
    regions: tuple[Region, ...] = Field((), max_length=200)
    relevance: int | None = Score
    helpfulness: int | None = Score
    harm: bool = False
    comment: str = Text
    rater: Rater = Rater()
    seconds: Mapping[str, float] = Field(default_factory=dict, max_length=20)


class Feedback(_Frozen):
    """An answer and what it is about.

    Attributes
    ----------
    record, record_digest, model, model_digest, target, probability, called
        The case. ``record`` is its name; it is empty for an uploaded record that its reader did not
        ask to keep, and ``record_kept`` false. ``called``: whether the model called the target
        present, as the reader saw it; ``None`` in answers from before this was kept.
    map, map_digest, settings
        Name and digest of the map that was seen, and the parameters that differ from the profile.
    software
        Version of the program.
    """

    record: str = Field(max_length=200)
    record_digest: str = Digest
    record_kept: bool = True
    model: str = Field(max_length=200)
    model_digest: str = Digest
    target: str = Field(max_length=200)
    probability: float = Field(ge=0, le=1)
    called: bool | None = None
    map: str = Field(max_length=200)
    map_digest: str = Digest
    settings: Mapping[str, Any] = Field(default_factory=dict, max_length=200)
    software: str = Field(default_factory=code_version, max_length=200)
    answer: Answer


def feedback(**values: Any) -> Feedback:
    """A checked :class:`Feedback`.

    Raises
    ------
    FeedbackError
        A field that is missing, unknown or out of its bounds.
    """
    try:
        return Feedback(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FeedbackError("feedback", place, first["msg"], "correct the field") from None


class FeedbackStore:
    """The file of feedback.

    Parameters
    ----------
    path
        The SQLite file; it and its folder are made when the first answer is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = Journal(path, SCHEMA, FeedbackError)

    def add(self, item: Feedback, session: str) -> str:
        """Keep an answer for good before this returns; its number.

        ``session`` is the browser session (or another secret of the writer) that may see it and
        take it back.

        Raises
        ------
        FeedbackError
            The file cannot be written.
        """
        number = uuid.uuid4().hex
        self._journal.add(item.model_dump(mode="json"), session=session, key=number)
        return number

    def withdraw(self, number: str, session: str) -> None:
        """Take back an answer of the same session, by a new row.

        Raises
        ------
        FeedbackError
            The session gave no such answer, or the file cannot be written.
        """
        if number not in {row["id"] for row in self.rows(session)}:
            raise FeedbackError(
                "feedback", number, "was not given in this session", "reload the page"
            )
        self._journal.add({}, session=session, withdraws=number)

    def rows(self, session: str | None = None) -> list[dict[str, Any]]:
        """Answers in the order of their times; those of one session, or all.

        Each has ``id``, ``time`` (UTC), ``withdrawn``, and the fields of :class:`Feedback`.

        Raises
        ------
        FeedbackError
            The file is not one of feedback, or of a newer version of the program.
        """
        found = self._journal.rows(session)
        withdrawn = {row.withdraws for row in found}
        return [
            {"id": row.key, "time": row.time, "withdrawn": row.key in withdrawn,
             **json.loads(row.body)}
            for row in found
            if not row.withdraws
        ]  # fmt: skip

    def frame(self, session: str | None = None) -> pd.DataFrame:
        """:meth:`rows` as a table with one column per field; regions and settings as JSON.

        ``present`` is what follows for the target: the model's call where the reader agrees, the
        opposite where they disagree, else empty.
        """
        import pandas as pd

        return pd.DataFrame([_flat(row) for row in self.rows(session)])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    answer = dict(row["answer"])
    rater = answer.pop("rater")
    plain = {key: value for key, value in row.items() if key not in {"answer", "settings"}}
    called, verdict = row.get("called"), answer["verdict"]
    known = called is not None and verdict != "unsure"
    return {
        **plain,
        "called": called,
        "present": called == (verdict == "agree") if known else None,
        **{key: answer[key] for key in answer if key not in {"regions", "seconds"}},
        **{f"rater_{key}": value for key, value in rater.items()},
        "seconds": sum(answer["seconds"].values()),
        "regions": canonical_json(answer["regions"]),
        "settings": canonical_json(row["settings"]),
    }


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per target and map of what was not taken back: counts and mean ratings.

    Parameters
    ----------
    frame
        From :meth:`FeedbackStore.frame`.

    Returns
    -------
    ``target``, ``map``, ``n``, ``records``, ``raters``, ``agree``, ``disagree``, ``unsure``,
    ``harm`` (counts), ``relevance`` and ``helpfulness`` (means of those who answered).
    """
    import pandas as pd

    columns = [
        "target", "map", "n", "records", "raters", "agree", "disagree", "unsure", "harm",
        "relevance", "helpfulness",
    ]  # fmt: skip
    if frame.empty:
        return pd.DataFrame(columns=columns)
    kept = frame[~frame["withdrawn"]]
    rows = [
        {
            "target": target, "map": name, "n": len(part),
            "records": part["record_digest"].nunique(),
            "raters": part.loc[part["rater_pseudonym"] != "", "rater_pseudonym"].nunique(),
            **{word: int((part["verdict"] == word).sum())
               for word in ("agree", "disagree", "unsure")},
            "harm": int(part["harm"].sum()),
            "relevance": part["relevance"].astype(float).mean(),
            "helpfulness": part["helpfulness"].astype(float).mean(),
        }
        for (target, name), part in kept.groupby(["target", "map"])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
