"""The tests of a report card: what each asks of a map, and the rule by which a method passes it.

A verdict comes from one interval over records: the rule says on which side of which border all of
it must lie. An interval that covers the border shows nothing, and so does not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ecgxai_core.metrics.sanity import MOST_ALIKE
from ecgxai_core.metrics.summary import bootstrap_mean
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, content_seed

__all__ = [
    "COMPLETE",
    "FAIL",
    "FEW",
    "LEAST_RECORDS",
    "PASS",
    "TESTS",
    "UNDEFINED",
    "CardTest",
    "Measured",
    "Verdict",
    "judge",
    "verdicts_of",
]

PASS, FAIL, FEW, UNDEFINED = "pass", "fail", "too few", "not defined"

LEAST_RECORDS = 5
"""Records with a defined value below which there is no verdict. Even five are few: a bootstrap
interval of so few values is too narrow."""

COMPLETE = 0.01
"""Largest share of what the record adds to the baseline that may be missing from the sum."""

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class CardTest:
    """One test.

    Attributes
    ----------
    name, title, category
        Its key, what people read, and what it judges.
    question
        What it asks.
    kind
        ``above_chance``: all of the interval of (value - chance), record by record, lies above 0.
        ``below`` and ``above``: all of the interval of the value lies on that side of ``border``.
    border
        Of ``below`` and ``above``.
    needs
        A test without which this one cannot be passed; empty = none.
    undefined
        Why it may have no value on a record, for people.
    """

    name: str
    title: str
    category: str
    question: str
    kind: Literal["above_chance", "below", "above"] = "above_chance"
    border: float = _NAN
    needs: str = ""
    undefined: str = ""

    @property
    def rule(self) -> str:
        """The rule in words."""
        if self.kind == "above_chance":
            text = (
                "the interval of the difference from chance lies above 0, and above that of a map "
                "without knowledge which passes by chance on the same records"
            )
        else:
            text = f"the interval lies {self.kind} {self.border:g}"
        return f"{text}, and {_TITLES[self.needs]!r} is passed" if self.needs else text


_TITLES = {"repeats": "Agrees with itself"}
_MOVED = "the prediction did not stay, too few beats, or a map without any order"
_NO_ROWS = "the diagnosis has no rows of evidence, or the map explored nothing"

TESTS: Mapping[str, CardTest] = {
    test.name: test
    for test in (
        CardTest(
            "deletion_gain", "Deletion", "faithfulness",
            "Does the probability fall faster than in random order when the map's top cells go?",
        ),
        CardTest(
            "insertion_gain", "Insertion", "faithfulness",
            "Does the probability rise faster than in random order when the top cells come first?",
        ),
        CardTest(
            "road_gap", "Removal without edges (ROAD)", "faithfulness",
            "What goes becomes a noisy line between its neighbours, at 10 to 90 % of the record: "
            "does the probability fall more when the map's top cells go first than when its last "
            "do? The difference is 0 for a random order.",
        ),
        CardTest(
            "extra_beat", "Extra beat", "stability",
            "One beat doubled: are leads and beats ranked alike (Spearman)? Only records whose "
            "prediction stayed.", undefined=_MOVED,
        ),
        *(
            CardTest(
                f"spearman_{kind}", title, "stability",
                f"{words}: are leads and beats ranked alike (Spearman)? Only records whose "
                "prediction stayed.", undefined=_MOVED,
            )
            for kind, title, words in (
                ("noise", "Noise", "A little noise"),
                ("shift", "Shift", "A shift by 50 ms"),
                ("gain", "Gain", "A gain of 0.9 or 1.1"),
            )
        ),
        CardTest(
            "repeats", _TITLES["repeats"], "sanity",
            "The same model, another seed: is it the same map (|Spearman|)?", "above", MOST_ALIKE,
            undefined="the map has no order",
        ),
        CardTest(
            "sanity", "Depends on the model", "sanity",
            "All weights of the model randomised: is it another map (|Spearman|)? A map without "
            "any order counts as 1.", "below", MOST_ALIKE, "repeats",
            "the randomised model gives a map without any order: nothing to compare with",
        ),
        CardTest(
            "complete", "Adds up", "completeness",
            "What share of the difference between record and baseline is missing from the sum of "
            "the weights? Only methods that promise it. It says nothing of which cells matter.",
            "below", COMPLETE,
        ),
        CardTest(
            "attauc_strict", "Plausible, strict", "plausibility",
            "Do high weights lie on the leads and waves that the diagnosis is read from (AttAUC)? "
            "It judges the model as much as the method.", undefined=_NO_ROWS,
        ),
        CardTest(
            "attauc_lenient", "Plausible, lenient", "plausibility",
            "The same with every lead and wave that may show it.", undefined=_NO_ROWS,
        ),
    )
}  # fmt: skip
"""Every test by name, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one test gave on one record and target: value and its chance level; NaN = undefined."""

    test: str
    method: str
    record: str
    target: str
    value: float
    chance: float = _NAN


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a method stands in one test.

    Attributes
    ----------
    test, method, target
        ``target`` is empty for all diagnoses together.
    verdict
        ``pass``, ``fail``, ``too few`` or ``not defined``.
    mean, chance
        Means over records; ``chance`` is NaN where the test has a border instead.
    low, high
        Interval of (value - chance), or of the value where the test has a border.
    n, n_undefined
        Records with a value, and without one.
    note
        Why, where the interval does not say it.
    """

    test: str
    method: str
    target: str
    verdict: str
    mean: float
    chance: float
    low: float
    high: float
    n: int
    n_undefined: int
    note: str = ""


def judge(
    test: CardTest, rows: Sequence[Measured], params: EvaluationParams, target: str = ""
) -> Verdict:
    """The verdict on one method in one test.

    Parameters
    ----------
    test
        The test.
    rows
        Of this test and one method. Several of one record (explained for several diagnoses) are
        averaged first: they are not independent.
    params
        Level, size and seed of the bootstrap.
    target
        What the verdict is for; only a name.

    Notes
    -----
    The interval is the BCa bootstrap of the mean over records
    (:func:`ecgxai_core.metrics.summary.bootstrap_mean`). What a test ``needs`` is not looked at
    here, see :func:`verdicts_of`.
    """
    method = rows[0].method if rows else ""
    value, chance, missing = _by_record(test, rows)
    n = len(value)
    judged = value - chance if test.kind == "above_chance" else value
    interval = bootstrap_mean(
        judged,
        confidence=params.confidence,
        n_resamples=params.n_bootstrap,
        seed=content_seed("report card", test.name, method, target, params.seed),
    )
    if n == 0:
        verdict = UNDEFINED
    elif n < LEAST_RECORDS:
        verdict = FEW
    else:
        border = 0.0 if test.kind == "above_chance" else test.border
        inside = interval.high < border if test.kind == "below" else interval.low > border
        verdict = PASS if inside else FAIL
    return Verdict(
        test.name, method, target, verdict, _mean(value), _mean(chance),
        interval.low, interval.high, n, missing,
    )  # fmt: skip


def _by_record(test: CardTest, rows: Iterable[Measured]) -> tuple[FloatArray, FloatArray, int]:
    """Means by record of value and chance, ``float64[record]``, and how many have none."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        known = np.isfinite(row.value)
        if test.kind == "above_chance":
            known = known and np.isfinite(row.chance)
        found.setdefault(row.record, []).extend([(row.value, row.chance)] if known else [])
    means = [np.mean(pairs, axis=0) for _, pairs in sorted(found.items()) if pairs]
    table = np.array(means, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1], len(found) - len(means)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else _NAN


def verdicts_of(
    rows: Sequence[Measured],
    methods: Sequence[str],
    params: EvaluationParams,
    target: str = "",
    references: Sequence[str] = (),
) -> tuple[Verdict, ...]:
    """Verdicts of all tests on several methods, tests in their order, then methods.

    Parameters
    ----------
    rows
        Everything measured; with a ``target`` only its rows count.
    methods
        Names in ``rows``; one without any row is ``not defined``.
    params, target
        As in :func:`judge`.
    references
        Those of ``methods`` that know nothing. Where one of them passes, which happens by chance,
        a pass of the others counts only if all of its interval lies above that one's.
    """
    chosen = [row for row in rows if target in ("", row.target)]
    found: dict[tuple[str, str], Verdict] = {}
    for test in TESTS.values():
        made = {}
        for method in methods:
            own = [row for row in chosen if row.test == test.name and row.method == method]
            made[method] = replace(judge(test, own, params, target), method=method)
        known = [v for name, v in made.items() if name in references and v.verdict == PASS]
        for method, verdict in made.items():
            others = known if method not in references else []
            found[test.name, method] = _lowered(verdict, test, found, others)
    return tuple(found.values())


def _lowered(
    made: Verdict,
    test: CardTest,
    found: Mapping[tuple[str, str], Verdict],
    references: Sequence[Verdict],
) -> Verdict:
    """The verdict with the rules that look at other verdicts, and with why it is not defined."""
    if made.verdict == UNDEFINED and made.n_undefined:
        return replace(made, note=test.undefined)
    if made.verdict != PASS:
        return made
    if test.needs and found[test.needs, made.method].verdict != PASS:
        note = "the method does not agree with itself, so the test cannot tell"
        return replace(made, verdict=FAIL, note=note)
    for other in references:
        if test.kind == "above_chance" and made.low <= other.high:
            note = f"no clearer than the {other.method} map, which passes by chance"
            return replace(made, verdict=FAIL, note=note)
    return made
