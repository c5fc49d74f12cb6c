"""The answer of an evaluation in one sentence: better than random, and than the signal alone? adds
up? stable?

For one record it is an observation; for a run it counts records. Neither is a test: intervals and
paired tests stand in the summary of a run (:mod:`ecgxai_core.metrics.summary`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.metrics import DRAWN_BESIDE, METRICS
from ecgxai_core.metrics.sanity import MOST_ALIKE
from ecgxai_core.types import probability_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ADDS_UP",
    "BETTER_BY",
    "HARDLY",
    "TWO_BEATS_SEC",
    "probability_text",
    "record_answer",
    "run_answer",
    "stability_answer",
    "unseen_in_words",
]  # fmt: skip

ADDS_UP = 0.01
"""Largest part of the difference between record and baseline that the weights may miss."""

BETTER_BY: Mapping[str, str] = {"deletion_gain": "deletion", "insertion_gain": "insertion"}
"""The metrics that decide whether a map is better than random and than the signal alone: both
curves of Petsiuk et al. 2018 (RISE), by their name in a sentence."""

TWO_BEATS_SEC = 1.0
"""From one beat to the next at 60 per minute: a model that sees less at once compares no beats."""

_FROM_BEAT_TO_BEAT = {
    "RR irregularity": "it cannot see directly whether the beats come regularly",
    "heart rate": "it cannot see directly how fast the beats come",
}

HARDLY = 0.02
"""A score that is better by less, two of the hundredths that are shown, is hardly better."""

_SIGNAL = {"amplitude": "amplitude", "energy": "slope"}
"""The maps of the signal alone (:data:`~ecgxai_core.metrics.base.DRAWN_BESIDE`), in a sentence."""

_BEATEN = ("random", *DRAWN_BESIDE)
_THAN = "a random map and the signal alone (amplitude, slope)"
_EXPECTED = "attauc_strict"

Row = Mapping[str, Any]


def record_answer(title: str, row: Row, stability: Row | None = None) -> str:
    """One sentence on the map of one record; plain text.

    Parameters
    ----------
    title
        Name of the map for people.
    row
        Its row of the evaluation table: metrics beside their references, ``map_gap``.
    stability
        Its row of the stability table; ``None`` = the extra-beat test was not possible.
    """
    parts = [f"{title} map: {_better(row)}", _expected(row), _adds_up(row)]
    parts.append(_stable(stability) if stability is not None else "stability not tested")
    return "; ".join(part for part in parts if part) + "."


def unseen_in_words(target: str, field_sec: float | None) -> str:
    """What a model with a short receptive field cannot see of a rhythm, as a clause.

    Parameters
    ----------
    target
        SNOMED-CT code. Whether it is a rhythm tell its criteria in the table of diagnoses: some are
        measured from beat to beat.
    field_sec
        Receptive field of one feature before the pooling, s; ``None`` = not known.

    Returns
    -------
    Empty where nothing is missed: another diagnosis, or a field that spans two usual beats.
    """
    row = find_diagnosis(target)
    if row is None or field_sec is None or field_sec >= TWO_BEATS_SEC:
        return ""
    measures = {criterion.measure for criterion in row.criteria}
    what = next((text for name, text in _FROM_BEAT_TO_BEAT.items() if name in measures), "")
    return f"the model sees {field_sec:.2g} s at a time, so {what}" if what else ""


def stability_answer(
    title: str, row: Row, top_leads: tuple[Sequence[str], Sequence[str]] | None = None
) -> str:
    """One sentence on the extra-beat test of one record; plain text.

    ``row``: ``spearman``, ``spearman_random``, ``probability``, ``probability_extra_beat``,
    ``prediction_stayed``. ``top_leads``: those of the map, and of the map with the extra beat.
    """
    before, after = _number(row, "probability"), _number(row, "probability_extra_beat")
    one, other = probability_text(before), probability_text(after)
    stays = f"stays {'' if other[0] in '<>' else 'at '}{other}"
    parts = [_stable(row), _same_leads(*top_leads) if top_leads is not None else ""]
    parts.append(f"the probability {stays if one == other else f'goes from {one} to {other}'}")
    return f"{title} map: {'; '.join(part for part in parts if part)}."


def _same_leads(before: Sequence[str], after: Sequence[str]) -> str:
    """Which of the top leads are the same in both maps."""
    kept = [lead for lead in before if lead in after]
    if not before:
        return ""
    if len(kept) == len(before):
        return f"the top leads stay {_and(kept)}"
    named = f" ({_and(kept)})" if kept else ""
    return f"{len(kept)} of {len(before)} top leads stay{named}"


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)


def run_answer(title: str, evaluation: pd.DataFrame, stability: pd.DataFrame) -> str:
    """One sentence on one map over the records of a run; plain text.

    ``evaluation`` and ``stability`` are the rows of this map. Explanations are counted; a record
    that was explained for several diagnoses counts for each.
    """
    n = len(evaluation)
    better = [_count(_is_better(row, name) for row in _rows(evaluation)) for name in BETTER_BY]
    said = " and ".join(
        f"{won} of {known} ({word})"
        for (won, known), word in zip(better, BETTER_BY.values(), strict=True)
        if known
    )
    gaps = [_number(row, "map_gap") for row in _rows(evaluation)]
    added, known_gaps = _count(None if np.isnan(gap) else gap <= ADDS_UP for gap in gaps)
    stable, tested = _count(_is_stable(row) for row in _rows(stability))
    parts = [
        f"better than {_THAN} on {said}" if said else f"not compared with {_THAN}",
        f"adds up on {added} of {known_gaps}" if known_gaps else "whether it adds up is not known",
        f"stable on {stable} of {tested}" if tested else "stability not tested",
    ]
    explained = f"{n} explained record{'' if n == 1 else 's'}"
    few = f" Fewer than {LEAST_RECORDS} records: too few for a test." if n < LEAST_RECORDS else ""
    return f"{title} map, {explained}: {'; '.join(parts)}.{few}"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _count(answers: Any) -> tuple[int, int]:
    """How many answers are yes, of those that there are."""
    known = [answer for answer in answers if answer is not None]
    return sum(known), len(known)


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None else float(value)


def _ahead(row: Row, name: str, sides: Sequence[str] = _BEATEN) -> tuple[float, str]:
    """By how much a score is better than the best of some references, and which that is; NaN where
    one of them is not known."""
    sign = 1.0 if METRICS[name].direction == "higher" else -1.0
    ahead = {side: sign * (_number(row, name) - _number(row, f"{name}_{side}")) for side in sides}
    if not np.isfinite([*ahead.values()]).all():
        return float("nan"), ""
    best = min(ahead, key=lambda side: ahead[side])
    return ahead[best], best


def _is_better(row: Row, name: str) -> bool | None:
    """Whether a score beats those of the random map and of the signal; ``None`` = not known."""
    ahead, _ = _ahead(row, name)
    return None if np.isnan(ahead) else ahead > 0


def _better(row: Row) -> str:
    ahead = {word: _ahead(row, name)[0] for name, word in BETTER_BY.items()}
    yes = [word for word, by in ahead.items() if by >= HARDLY]
    hardly = [word for word, by in ahead.items() if 0 < by < HARDLY]
    no = [word for word, by in ahead.items() if by <= 0]
    if not yes and not hardly:
        return f"{'not better than' if no else 'not compared with'} {_THAN}"
    said = f"{'better' if yes else 'hardly better'} than {_THAN} by {' and '.join(yes or hardly)}"
    rest = [f"hardly by {hardly[0]}"] if yes and hardly else []
    rest += [f"not by {no[0]}"] if no else []
    return ", ".join((said, *rest))


def _expected(row: Row) -> str:
    """Whether the map lies where cardiology expects the evidence, better than the signal alone;
    empty where that is not known."""
    ahead, side = _ahead(row, _EXPECTED, DRAWN_BESIDE)
    if np.isnan(ahead):
        return ""
    how = "" if ahead >= HARDLY else "hardly " if ahead > 0 else "no "
    numbers = f"AttAUC {_number(row, _EXPECTED):.2f} and {_number(row, f'{_EXPECTED}_{side}'):.2f}"
    return f"{how}closer to the expected evidence than the signal's {_SIGNAL[side]} ({numbers})"


def _adds_up(row: Row) -> str:
    gap = _number(row, "map_gap")
    if np.isnan(gap):
        return "whether it adds up is not known"
    if gap <= ADDS_UP:
        return "its weights sum to the model's output"
    return f"its weights do not sum to the model's output ({gap:.0%} off)"


def _is_stable(row: Row) -> bool | None:
    """Whether the ranking of leads and beats survives one more beat; ``None`` where the prediction
    changed, so that the map should change too, or nothing could be compared."""
    value = _number(row, "spearman")
    if np.isnan(value) or row.get("prediction_stayed") is False:
        return None
    return value >= MOST_ALIKE


def _stable(row: Row) -> str:
    if row.get("prediction_stayed") is False:
        return "the extra beat changed the prediction, so stability is not tested"
    stable = _is_stable(row)
    if stable is None:
        return "stability not tested"
    word = "stable" if stable else "not stable"
    value, chance = _number(row, "spearman"), _number(row, "spearman_random")
    return f"{word} when one beat is doubled (rank agreement {value:.2f}, random {chance:.2f})"
