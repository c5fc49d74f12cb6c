"""A simulated panel: raters of known accuracy and bias, to plan a study and test its analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecgxai_core.study.answers import READINGS, STAGES, Ratings, Reading, answer_key
from ecgxai_core.study.frozen import Study, StudyCase
from ecgxai_core.study.protocol import NO_MAP, NONE
from ecgxai_core.study.schedule import Showing
from ecgxai_core.types import content_seed

__all__ = ["SimulatedRater", "simulated_answers"]


@dataclass(frozen=True, slots=True)
class SimulatedRater:
    """How a simulated rater answers.

    Attributes
    ----------
    accuracy
        Probability of the reference diagnosis from the ECG alone.
    follows
        Probability of taking over the model's answer, where it is another, when it is shown.
    map_follows
        The same when the map is shown, by arm; 0 for arms that are not named.
    helpful
        Mean helpfulness on the scale from -3 to 3, by arm; 0 for arms that are not named.
    lenience
        Added to all ratings of this rater.
    steady
        Probability that a repeated case gets the same first diagnosis as before; else a new draw.
    seconds
        Median time of a stage.
    """

    accuracy: float = 0.8
    follows: float = 0.3
    map_follows: Mapping[str, float] = field(default_factory=dict)
    helpful: Mapping[str, float] = field(default_factory=dict)
    lenience: float = 0.0
    steady: float = 0.9
    seconds: float = 20.0


def simulated_answers(
    study: Study, panel: Sequence[SimulatedRater], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Answers of a panel, one simulated rater for each rater of the study, by journal key.

    Where the reference is not known, "none of these" counts as right. Every draw is seeded by
    rater, case and ``seed``, so that the order of showings does not matter.
    """
    rows: dict[str, dict[str, Any]] = {}
    for rater, name in zip(panel, study.protocol.raters, strict=True):
        rows[f"{name}/begin"] = {"rater": {"role": "simulated", "years": 0.0}}
        for showing in study.of(name):
            rows |= _showing(study, showing, rater, seed)
    return rows


def _showing(
    study: Study, showing: Showing, rater: SimulatedRater, seed: int
) -> dict[str, dict[str, Any]]:
    case = study.cases[showing.case]
    first = _first(case, rater, _rng(showing, seed, "first"))
    rng = _rng(showing, seed, "again" if showing.again else "once")
    if showing.again and rng.random() >= rater.steady:
        first = _first(case, rater, rng)
    second = _followed(case, first, rater.follows, rng)
    third = _followed(case, second, rater.map_follows.get(showing.arm, 0.0), rng)
    seconds = rater.seconds * np.exp(rng.normal(0, 0.4, len(STAGES)))
    rows: dict[str, dict[str, Any]] = {}
    for stage, said, time in zip(READINGS, (first, second, third), seconds[:3], strict=True):
        sure = round(float(np.clip(rng.normal(70, 10), 0, 100)))
        rows[stage] = Reading(diagnosis=said, confidence=sure, seconds=time).model_dump(mode="json")
    mean = rater.helpful.get(showing.arm, 0.0) + rater.lenience
    score = int(np.clip(np.round(rng.normal(mean, 1.0)), -3, 3))
    shown = None if showing.arm == NO_MAP else score
    given = Ratings(trust=score, relevance=shown, helpfulness=shown, seconds=float(seconds[3]))
    rows[STAGES[-1]] = given.model_dump(mode="json")
    return {answer_key(showing, stage): row for stage, row in rows.items()}


def _first(case: StudyCase, rater: SimulatedRater, rng: np.random.Generator) -> str:
    """The reference with the rater's accuracy; else target or none, whichever is wrong."""
    truth = case.reference or NONE
    if rng.random() < rater.accuracy:
        return truth
    return NONE if truth == case.target else case.target


def _followed(case: StudyCase, said: str, follows: float, rng: np.random.Generator) -> str:
    """The answer after seeing the model's, which is taken over with this probability."""
    takes = rng.random() < follows
    if (said == case.target) == case.called or not takes:
        return said
    return case.target if case.called else NONE


def _rng(showing: Showing, seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(content_seed(purpose, showing.rater, showing.case, seed))
