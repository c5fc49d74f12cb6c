"""The answer of an evaluation in one sentence: better than random and signal energy? adds up?
stable?

For one record it is an observation; for a run it counts records. Neither is a test: intervals and
paired tests stand in the summary of a run (:mod:`ecgxai_core.metrics.summary`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.sanity import MOST_ALIKE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ADDS_UP", "BETTER_BY", "record_answer", "run_answer", "stability_answer"]

ADDS_UP = 0.01
"""Largest part of the difference between record and baseline that the weights may miss."""

BETTER_BY: Mapping[str, str] = {"deletion_gain": "deletion", "insertion_gain": "insertion"}
"""The metrics that decide whether a map is better than random and than the signal's energy: both
curves of Petsiuk et al. 2018 (RISE), by their name in a sentence."""

_BEATEN = ("random", "energy")
_THAN = "a random map and the signal's energy"

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
    parts = [f"{title} map: {_better(row)}", _adds_up(row)]
    parts.append(_stable(stability) if stability is not None else "stability not tested")
    return "; ".join(parts) + "."


def stability_answer(title: str, row: Row) -> str:
    """One sentence on the extra-beat test of one record; plain text.

    ``row``: ``spearman``, ``spearman_random``, ``probability``, ``probability_extra_beat``,
    ``prediction_stayed``.
    """
    before, after = _number(row, "probability"), _number(row, "probability_extra_beat")
    moved = f"stays at {after:.2f}" if abs(after - before) < 0.005 else (
        f"goes from {before:.2f} to {after:.2f}"
    )  # fmt: skip
    said = _stable(row)
    return f"{title} map: {said}; the probability {moved}."


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


def _is_better(row: Row, name: str) -> bool | None:
    """Whether a score beats those of the random map and of the energy; ``None`` = not known."""
    value, *others = (_number(row, key) for key in (name, *(f"{name}_{s}" for s in _BEATEN)))
    if not np.isfinite([value, *others]).all():
        return None
    worst = max(others) if METRICS[name].direction == "higher" else min(others)
    return value > worst if METRICS[name].direction == "higher" else value < worst


def _better(row: Row) -> str:
    answers = {word: _is_better(row, name) for name, word in BETTER_BY.items()}
    yes = [word for word, answer in answers.items() if answer]
    no = [word for word, answer in answers.items() if answer is False]
    if not yes and not no:
        return f"not compared with {_THAN}"
    if not yes:
        return f"not better than {_THAN}"
    return f"better than {_THAN} by {' and '.join(yes)}" + (f", not by {no[0]}" if no else "")


def _adds_up(row: Row) -> str:
    gap = _number(row, "map_gap")
    if np.isnan(gap):
        return "whether it adds up is not known"
    if gap <= ADDS_UP:
        return "adds up to the model's output"
    return f"does not add up to the model's output ({gap:.0%} off)"


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
    return f"{word} when one beat is doubled (Spearman {value:.2f}, random {chance:.2f})"
