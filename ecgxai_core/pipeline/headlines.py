"""Headlines of an evaluation: the verdicts first, each against one thing, then the rest.

The map of one record is compared with a random map and with the signal alone separately: to beat
the first is the least that is asked, and many maps do not beat the second. That is an observation.
For a run records are counted. Neither is a test: intervals and paired tests stand in the summary of
a run (:mod:`ecgxai_core.metrics.summary`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.metrics import DRAWN_BESIDE, METRICS
from ecgxai_core.metrics.sanity import MOST_ALIKE
from ecgxai_core.types import probability_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ADDS_UP", "BETTER_BY", "FEW_SAME", "HARDLY", "MOST_SAME", "STABLE_ORDER",
    "beats_compared",
    "evaluation_details", "evaluation_headline", "evaluation_in_brief", "run_headline",
    "stability_details", "stability_headline",
]  # fmt: skip

ADDS_UP = 0.01
"""Largest part of the difference between record and baseline that the weights may miss."""

BETTER_BY: Mapping[str, str] = {"deletion_gain": "deletion", "insertion_gain": "insertion"}
"""The metrics that decide whether a map is better than random and than the signal alone: both
curves of Petsiuk et al. 2018 (RISE), by their name in a sentence."""

HARDLY = 0.02
"""A score that is better by less, two of the hundredths that are shown, is hardly better."""

STABLE_ORDER = MOST_ALIKE
"""Rank agreement from which on the order of leads and beats counts as stable: the limit from which
on two maps are called much the same everywhere in this project."""

MOST_SAME = 0.5
"""Overlap (Jaccard index) from which on the strongest regions count as stable. Of two sets of one
size that share the part s the index is s / (2 - s): 0.5 where two thirds are in both."""

FEW_SAME = 1 / 3
"""Overlap below which they count as others: fewer than half are in both."""

_SIGNAL = {"amplitude": "amplitude", "energy": "slope"}
_RANDOM, _ALONE = "a random map", "the signal alone"
_BOTH = f"{_RANDOM} and {_ALONE} (amplitude, slope)"
_STILL = "A stable map can still be wrong."
_LEFT_OUT = {
    "not seen": "not wholly in the model's input",
    "pushed out": "pushed out by the added beat",
    "altered": "changed in length",
}
_EXPECTED = "attauc_strict"
_SHUFFLED = "less close than with its leads shuffled"

Row = Mapping[str, Any]


def evaluation_headline(title: str, row: Row, singles: Mapping[str, Row] | None = None) -> str:
    """The verdicts on the map of one record: by deletion and insertion, which ask what the model
    uses, and by the expected evidence, which stands first where it speaks against the map; plain
    text.

    Parameters
    ----------
    title
        Name of the map for people.
    row
        Its row of the evaluation table: metrics beside their references.
    singles
        For a fused map the rows of the methods that it is made of, by their names for people.
    """
    verdicts = (_against(row, ("random",), _RANDOM), _against(row, DRAWN_BESIDE, _ALONE))
    parts = [*verdicts, _best_single(row, singles or {})]
    expected = _expected_verdict(row)
    parts.insert(0 if "no closer" in expected or _SHUFFLED in expected else len(parts), expected)
    return f"{title} map: {'; '.join(part for part in parts if part)}."


def evaluation_details(
    row: Row, stability: Row | None = None, singles: Mapping[str, Row] | None = None
) -> str:
    """What stands below the headline: expected evidence, what percentages mean, stability.

    ``stability`` is the map's row of the stability table; ``None`` = the test was not possible.
    """
    parts = [_expected(row, singles or {}), _adds_up(row)]
    parts.append("stability not tested" if stability is None else _stable(stability))
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in parts if part)


def evaluation_in_brief(row: Row, stability: Row | None = None) -> str:
    """How far a map can be believed, in one clause without numbers, to stand behind what it says;
    plain text. :func:`evaluation_headline` and :func:`evaluation_details` have the numbers."""
    parts = [
        _in_brief(row, ("random",), "random"),
        _in_brief(row, DRAWN_BESIDE, _ALONE),
    ]
    ahead, _ = _ahead(row, _EXPECTED, ("random",))
    if np.isfinite(ahead):
        how = "" if ahead >= HARDLY else "hardly " if ahead > 0 else "no "
        parts.append(f"{how}closer to the expected evidence than chance")
    parts.append("" if stability is None else _stable_in_brief(stability))
    return "; ".join(filter(None, parts))


def _in_brief(row: Row, sides: Sequence[str], than: str) -> str:
    """Whether a map is better than something by both curves, by one, hardly, or by none."""
    ahead = [_ahead(row, name, sides)[0] for name in BETTER_BY]
    if not np.isfinite(ahead).all():
        return ""
    how = "" if min(ahead) >= HARDLY else "partly " if max(ahead) >= HARDLY else "hardly "
    return f"{how if max(ahead) > 0 else 'not '}better than {than}"


def _stable_in_brief(row: Row) -> str:
    """Whether order and strongest regions survive one more beat; empty where that is not known."""
    order, regions = _is_stable(row), _number(row, "jaccard_at_k")
    if order is None:
        return ""
    same = [order, *([] if np.isnan(regions) else [regions >= MOST_SAME])]
    return "stable" if all(same) else "partly stable" if any(same) else "not stable"


def stability_headline(title: str, row: Row) -> str:
    """Whether the order, and whether the strongest regions survive one more beat, and that this is
    not all that is asked of a map; plain text.

    ``row``: ``spearman``, ``jaccard_at_k``, each with ``_random``, and ``prediction_stayed``.
    """
    return f"{title} map: {_stable(row)}.{f' {_STILL}' if _is_stable(row) else ''}"


def beats_compared(fates: Sequence[str]) -> str:
    """How many beats the test of stability compared, and why not the others; plain text.

    ``fates``: those of :meth:`~ecgxai_core.pipeline.extra_beat.ExtraBeatTest.fates`.
    """
    n = len(fates)
    parts = [f"{n} beats: {fates.count('compared')} compared"]
    for fate, why in _LEFT_OUT.items():
        places = {place for place, own in enumerate(fates) if own == fate}
        ends = [name for place, name in ((0, "the first"), (n - 1, "the last")) if place in places]
        if places:
            parts.append(f"{_and(ends) if len(ends) == len(places) else len(places)} {why}")
    return ", ".join(parts)


def stability_details(row: Row, top_leads: tuple[Sequence[str], Sequence[str]]) -> str:
    """What became of the top leads and of the probability; plain text.

    ``row``: ``probability``, ``probability_extra_beat``. ``top_leads``: those of the map, and of
    the map with the extra beat.
    """
    one, other = (
        probability_text(_number(row, name)) for name in ("probability", "probability_extra_beat")
    )
    stays = f"stays {'' if other[0] in '<>' else 'at '}{other}"
    said = f"the probability {stays if one == other else f'goes from {one} to {other}'}."
    before, after = top_leads
    if not before:
        return said.capitalize()
    kept = [lead for lead in before if lead in after]
    if len(kept) == len(before):
        leads = f"The top leads stay {_and(kept)}"
    else:
        named = f" ({_and(kept)})" if kept else ""
        leads = f"{len(kept)} of {len(before)} top leads stay{named}"
    return f"{leads}; {said}"


def run_headline(title: str, evaluation: pd.DataFrame, stability: pd.DataFrame) -> str:
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
        f"better than {_BOTH} on {said}" if said else f"not compared with {_BOTH}",
        f"adds up on {added} of {known_gaps}" if known_gaps else "whether it adds up is not known",
        f"stable on {stable} of {tested}" if tested else "stability not tested",
    ]
    explained = f"{n} explained record{'' if n == 1 else 's'}"
    few = f" Fewer than {LEAST_RECORDS} records: too few for a test." if n < LEAST_RECORDS else ""
    return f"{title} map, {explained}: {'; '.join(parts)}.{few}"


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None else float(value)


def _ahead(row: Row, name: str, sides: Sequence[str]) -> tuple[float, str]:
    """By how much a score is better than the best of some references, and which that is; NaN where
    one of them is not known."""
    ahead = {side: _by(row, name, _number(row, f"{name}_{side}")) for side in sides}
    if not np.isfinite([*ahead.values()]).all():
        return float("nan"), ""
    best = min(ahead, key=lambda side: ahead[side])
    return ahead[best], best


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _count(answers: Any) -> tuple[int, int]:
    """How many answers are yes, of those that there are."""
    known = [answer for answer in answers if answer is not None]
    return sum(known), len(known)


def _is_better(row: Row, name: str) -> bool | None:
    """Whether a score beats those of the random map and of the signal; ``None`` = not known."""
    ahead, _ = _ahead(row, name, ("random", *DRAWN_BESIDE))
    return None if np.isnan(ahead) else ahead > 0


def _is_stable(row: Row) -> bool | None:
    """Whether the ranking of leads and beats survives one more beat; ``None`` where the prediction
    changed, so that the map should change too, or nothing could be compared."""
    value = _number(row, "spearman")
    if np.isnan(value) or row.get("prediction_stayed") is False:
        return None
    return value >= STABLE_ORDER


def _by(row: Row, name: str, than: float) -> float:
    """By how much a score is better than a value."""
    return (1.0 if METRICS[name].direction == "higher" else -1.0) * (_number(row, name) - than)


def _against(row: Row, sides: Sequence[str], than: str) -> str:
    ahead = {word: _ahead(row, name, sides)[0] for name, word in BETTER_BY.items()}
    yes = [word for word, by in ahead.items() if by >= HARDLY]
    hardly = [word for word, by in ahead.items() if 0 < by < HARDLY]
    no = [word for word, by in ahead.items() if by <= 0]
    if not yes and not hardly:
        return f"{'not better than' if no else 'not compared with'} {than}"
    said = f"{'better' if yes else 'hardly better'} than {than} by {' and '.join(yes or hardly)}"
    rest = [f"hardly by {hardly[0]}"] if yes and hardly else []
    rest += [f"not by {no[0]}"] if no else []
    return ", ".join((said, *rest))


def _better_single(row: Row, singles: Mapping[str, Row], name: str) -> str:
    """The single map with the best score, if it is clearly better than the map; else empty."""
    ahead = {title: -_by(row, name, _number(single, name)) for title, single in singles.items()}
    clear = {title: by for title, by in ahead.items() if by >= HARDLY}
    return max(clear, key=lambda title: clear[title]) if clear else ""


def _best_single(row: Row, singles: Mapping[str, Row]) -> str:
    """Which method alone is clearly better than the fused map, by deletion and by insertion."""
    known = [
        name for name in BETTER_BY
        if any(np.isfinite(_by(row, name, _number(one, name))) for one in singles.values())
    ]  # fmt: skip
    if not known:
        return ""
    won: dict[str, list[str]] = {}
    for name in known:
        if best := _better_single(row, singles, name):
            won.setdefault(best, []).append(BETTER_BY[name])
    if not won:
        return "no single method is clearly better"
    said = [f"{title} alone is better by {' and '.join(words)}" for title, words in won.items()]
    return "; ".join(said)


def _expected_verdict(row: Row) -> str:
    """Whether the map lies where cardiology expects the evidence, closer than chance, than the
    signal alone and than itself with its leads shuffled; empty where that is not known."""
    chance, alone = (_ahead(row, _EXPECTED, sides)[0] for sides in (("random",), DRAWN_BESIDE))
    if np.isnan(chance) or np.isnan(alone):
        return ""
    first, second = (
        "closer" if by >= HARDLY else "hardly closer" if by > 0 else "no closer"
        for by in (chance, alone)
    )
    what = f"{first} to the expected evidence than chance"
    join = "or" if first == "no closer" else "and"
    said = f"{what} {join} {_ALONE}" if first == second else f"{what}, {second} than {_ALONE}"
    return f"{said}, {_SHUFFLED}" if _shuffled_is_closer(row) else said


def _shuffled_is_closer(row: Row) -> bool:
    """Whether the map's leads given to others lie clearly closer to the expected evidence."""
    return _by(row, _EXPECTED, _number(row, f"{_EXPECTED}_lead_shuffled")) <= -HARDLY


def _expected(row: Row, singles: Mapping[str, Row]) -> str:
    """The numbers of :func:`_expected_verdict`; empty where there is none."""
    if not _expected_verdict(row):
        return ""
    alone = max(DRAWN_BESIDE, key=lambda side: _number(row, f"{_EXPECTED}_{side}"))
    numbers = [
        f"chance {_number(row, f'{_EXPECTED}_random'):.2f}",
        f"signal's {_SIGNAL[alone]} {_number(row, f'{_EXPECTED}_{alone}'):.2f}",
    ]
    if best := _better_single(row, singles, _EXPECTED):
        numbers.append(f"{best} alone {_number(singles[best], _EXPECTED):.2f}")
    said = f"expected evidence: AttAUC {_number(row, _EXPECTED):.2f} ({', '.join(numbers)})"
    if not _shuffled_is_closer(row):
        return said
    shuffled = _number(row, f"{_EXPECTED}_lead_shuffled")
    return f"{said}; the same map with its leads shuffled lies closer ({shuffled:.2f})"


def _adds_up(row: Row) -> str:
    """Whether the weights sum to what the model makes of the record."""
    gap = _number(row, "map_gap")
    if np.isnan(gap):
        return "whether its weights sum to the model's output is not known"
    said = "its weights sum to the model's output"
    return said if gap <= ADDS_UP else f"{said.replace('sum', 'do not sum')} ({gap:.0%} off)"


def _stable(row: Row) -> str:
    """Order and strongest regions, each with its own verdict."""
    if row.get("prediction_stayed") is False:
        return "the extra beat changed the prediction, so stability is not tested"
    order, regions = _number(row, "spearman"), _number(row, "jaccard_at_k")
    if np.isnan(order):
        return "stability not tested"
    same = order >= STABLE_ORDER
    numbers = f"rank agreement {order:.2f}, random {_number(row, 'spearman_random'):.2f}"
    said = f"when one beat is doubled, the order is {'' if same else 'not '}stable ({numbers})"
    if np.isnan(regions):
        return said
    numbers = f"overlap {regions:.2f}, random {_number(row, 'jaccard_at_k_random'):.2f}"
    return f"{said}, {_regions(same, regions)} ({numbers})"


def _regions(same_order: bool, overlap: float) -> str:
    """The verdict on the strongest regions, after that on the order."""
    if overlap >= MOST_SAME:
        return "and so are the strongest regions" if same_order else "but the strongest regions are"
    if overlap >= FEW_SAME:
        return f"the strongest regions {'only ' if same_order else ''}partly"
    return "but the strongest regions change" if same_order else "nor are the strongest regions"
