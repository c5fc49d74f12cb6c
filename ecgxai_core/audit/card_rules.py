"""The tests of a report card: the question of each, and the rule by which a method passes it.

A verdict is based on intervals over records, which must lie entirely on one side of a border. An
interval that contains the border does not pass. A map that does not depend on the model passes
nothing, whatever it scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ecgxai_core.bootstrap import LEAST_RECORDS, all_equal, interval_of
from ecgxai_core.metrics.base import GATES, SIDE_TITLES
from ecgxai_core.metrics.sanity import MOST_ALIKE
from ecgxai_core.metrics.testing import Against, compared_with_each
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray

__all__ = [
    "FAIL",
    "FALSE_PASS",
    "FEW",
    "GATE",
    "LEAST_RECORDS",
    "NOT_TESTED",
    "PASS",
    "TESTS",
    "UNDEFINED",
    "Measured",
    "Verdict",
    "verdict_of",
    "verdicts_of",
]

PASS, FAIL, FEW, UNDEFINED = "pass", "fail", "too few", "not defined"
NOT_TESTED = "not tested"

FALSE_PASS = 0.05
"""At most this share of cards lets a map without information pass a test of faithfulness or
plausibility: one interval alone errs in up to 6 % (``docs/results.md``, coverage); random, energy
and shuffled maps, which must beat six references, in 0 of 200 (``tests/benchmarks/bench_card.py``).
Stability has no such rate, as a map of the record alone is stable: its guard is the gate."""

COMPLETE = 0.01
"""Largest fraction of the difference between record and baseline that the sum may miss."""


@dataclass(frozen=True, slots=True)
class CardTest:
    """One test of a report card.

    ``name``, ``title``, ``category`` (of metrics) and the ``question`` that the test answers.
    ``kind`` ``better``: the map is better than each of its reference maps
    (:func:`~ecgxai_core.metrics.testing.compared_with_each`); ``above_chance``: the interval of the
    paired difference (value - chance) lies above 0; ``below``, ``above``: the interval of the value
    lies on that side of ``border``. ``needs``: a
    test that must be passed as well, empty = none; ``undefined``: why it may have no value.
    """

    name: str
    title: str
    category: str
    question: str
    kind: Literal["better", "above_chance", "below", "above"] = "better"
    border: float = np.nan
    needs: str = ""
    undefined: str = ""

    @property
    def rule(self) -> str:
        if self.kind == "better":
            named = ", ".join(SIDE_TITLES[gate] for gate in GATES)
            text = f"the intervals of the differences from each of {named} lie above 0"
        elif self.kind == "above_chance":
            text = "the interval of the difference from chance lies above 0"
        else:
            text = f"the interval lies {self.kind} {self.border:g}"
        if self.needs:
            return f"{text}, and {_TITLES[self.needs]!r} is passed"
        return f"{text}, and {_TITLES[GATE]!r} does not fail"

    @property
    def paired(self) -> bool:
        """Whether a value is compared with others of the same record, not with a border."""
        return self.kind in ("better", "above_chance")


GATE = "sanity"
"""The test that a method must not fail to pass any other."""

_TITLES = {"repeats": "Reproducible", GATE: "Depends on the model"}
_MOVED = "the prediction changed, there are too few beats, or all weights of a map are equal"
_NO_ROWS = "no evidence is tabulated for the diagnosis, or the map explored nothing"

TESTS: Mapping[str, CardTest] = {
    test.name: test
    for test in (
        CardTest(
            "deletion_gain", "Deletion", "faithfulness",
            "Does the probability fall faster than in random order if the highest-ranked cells are "
            "removed first?",
        ),
        CardTest(
            "insertion_gain", "Insertion", "faithfulness",
            "Does the probability rise faster than in random order if the highest-ranked cells are "
            "inserted first?",
        ),
        CardTest(
            "road_gap", "Removal without edges (ROAD)", "faithfulness",
            "Removed cells are replaced by noisy interpolation, 10 to 90 % of the record: does the "
            "probability fall more if the highest-ranked cells are removed first than if the "
            "lowest-ranked are? The expected difference of a random order is 0.",
        ),
        CardTest(
            "extra_beat", "Extra beat", "stability",
            "One beat repeated: is the ranking of leads and beats similar (Spearman)? Only records "
            "with an unchanged prediction.", "above_chance", undefined=_MOVED,
        ),
        *(
            CardTest(
                f"spearman_{kind}", title, "stability",
                f"{words}: is the ranking of leads and beats similar (Spearman)? Only records with "
                "an unchanged prediction.", "above_chance", undefined=_MOVED,
            )
            for kind, title, words in (
                ("noise", "Noise", "Low noise added"),
                ("shift", "Shift", "Shifted by 50 ms"),
                ("gain", "Gain", "Gain of 0.9 or 1.1"),
            )
        ),
        CardTest(
            "repeats", _TITLES["repeats"], "sanity",
            "Same model, another seed: is the map similar (|Spearman|)?", "above", MOST_ALIKE,
            undefined="all weights of the map are equal",
        ),
        CardTest(
            GATE, _TITLES[GATE], "sanity",
            "Model weights randomised: is the map different (|Spearman|)? Where a model of "
            "shuffled labels is given, the more alike of both counts. A map of equal weights "
            "counts as 1. A method that fails this passes nothing: it shows the record, not the "
            "model.", "below", MOST_ALIKE, "repeats",
            "the map of the randomised model has equal weights, so it cannot be compared",
        ),
        CardTest(
            "complete", "Adds up", "completeness",
            "Which fraction of the difference between record and baseline is missing from the sum "
            "of the map's own weights? Biases of the model that a method gives to no cell count as "
            "missing. Only for methods with this property; it does not show which cells matter.",
            "below", COMPLETE,
        ),
        CardTest(
            "attauc_strict", "Plausible, strict", "plausibility",
            "Are weights high on the leads and waves that define the diagnosis (AttAUC)? This "
            "depends on the model as much as on the method.", undefined=_NO_ROWS,
        ),
        CardTest(
            "attauc_lenient", "Plausible, lenient", "plausibility",
            "The same with all leads and waves that may show the diagnosis.", undefined=_NO_ROWS,
        ),
    )
}  # fmt: skip
"""All tests by name, in display order."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Value and chance level of one test on one record and target; NaN = undefined.

    ``beside``: scores of the reference maps, by the names of
    :data:`~ecgxai_core.metrics.base.GATES`; that of the random map is ``chance``.
    """

    test: str
    method: str
    record: str
    target: str
    value: float
    chance: float = np.nan
    beside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on one method in one test.

    ``target`` is empty for all diagnoses together; ``verdict`` is ``pass``, ``fail``, ``too few``,
    ``not defined`` or ``not tested``, with a ``note`` where the interval is not the reason;
    ``mean``, ``chance`` are means over records (``chance`` NaN if the test has a border); ``low``,
    ``high``: interval of (value - chance), or of the value if the test has a border, NaN for too
    few records; ``n``, ``n_undefined``: records with and without a value; ``against``: the map
    beside each of its reference maps.
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
    against: tuple[Against, ...] = ()

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """Reference maps that the map is not better than."""
        return tuple(one.reference for one in self.against if not one.better)


def verdict_of(
    test: CardTest, rows: Sequence[Measured], params: EvaluationParams, target: str = ""
) -> Verdict:
    """The verdict on one method in one test, labelled with ``target``.

    ``rows`` are the values of this test and method; several of one record (explained for several
    diagnoses) are averaged first, as they are not independent. Intervals are those of
    :func:`~ecgxai_core.bootstrap.interval_of` over records. What depends on other tests is
    considered in :func:`verdicts_of`.
    """
    method = rows[0].method if rows else ""
    table, missing = _by_record(test, rows)
    value, n = table["value"], len(table["value"])
    chance = table["random"]
    purpose = "report card", test.name, method, target
    against: tuple[Against, ...] = ()
    if test.kind == "better":
        against = compared_with_each(value, table, params, *purpose)
    tested = value - chance if test.paired else value
    low, high = interval_of(tested, params, *purpose)
    if n >= LEAST_RECORDS and all_equal(tested):
        low = high = float(tested.mean())
    border = 0.0 if test.paired else test.border
    inside = high < border if test.kind == "below" else low > border
    inside = inside and all(one.better for one in against)
    few = min([n, *(one.n for one in against)]) < LEAST_RECORDS
    verdict = UNDEFINED if n == 0 else FEW if few else PASS if inside else FAIL
    means = _mean(value), _mean(chance)
    found = Verdict(test.name, method, target, verdict, *means, low, high, n, missing)
    return replace(found, against=against)


def _by_record(test: CardTest, rows: Iterable[Measured]) -> tuple[dict[str, FloatArray], int]:
    """Value and reference scores by record, ``float64[record]``, and the number of records without
    them."""
    sides = ("random", *(gate for gate in GATES if gate != "random"))
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        known = np.isfinite(row.value) and (not test.paired or np.isfinite(row.chance))
        beside = [row.chance, *(row.beside.get(side, np.nan) for side in sides[1:])]
        found.setdefault(row.record, []).extend([[row.value, *beside]] if known else [])
    means = [np.mean(values, axis=0) for _, values in sorted(found.items()) if values]
    table = np.array(means, np.float64).reshape(-1, 1 + len(sides))
    return dict(zip(("value", *sides), table.T, strict=True)), len(found) - len(means)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else np.nan


def verdicts_of(
    rows: Sequence[Measured],
    methods: Sequence[str],
    params: EvaluationParams,
    target: str = "",
    untested: Mapping[str, str] = {},
) -> tuple[Verdict, ...]:
    """Verdicts of all tests on several methods, ordered by test, then method.

    Parameters
    ----------
    rows
        All measured values; with a ``target`` only its rows are used.
    methods
        Names in ``rows``; a method without rows is ``not defined``.
    params, target
        As in :func:`verdict_of`.
    untested
        Methods of which it cannot be tested whether they depend on the model, and why.
    """
    chosen = [row for row in rows if target in ("", row.target)]
    found: dict[tuple[str, str], Verdict] = {}
    for method in methods:
        own = [row for row in chosen if row.method == method]
        made = {
            name: replace(
                verdict_of(test, [row for row in own if row.test == name], params, target),
                method=method,
            )
            for name, test in TESTS.items()
        }
        made[GATE] = _gate(made, untested.get(method, ""))
        for name, verdict in made.items():
            found[name, method] = _lowered(verdict, TESTS[name], made[GATE])
    return tuple(found[name, method] for name in TESTS for method in methods)


def _gate(made: Mapping[str, Verdict], untested: str) -> Verdict:
    """The verdict on whether a method depends on the model."""
    gate, test = made[GATE], TESTS[GATE]
    if untested and gate.verdict != FAIL:
        return replace(gate, verdict=NOT_TESTED, note=untested)
    if gate.verdict == PASS and made[test.needs].verdict != PASS:
        note = "the method is not reproducible, so the test is inconclusive"
        return replace(gate, verdict=FAIL, note=note)
    return gate


def _lowered(made: Verdict, test: CardTest, gate: Verdict) -> Verdict:
    """Apply the gate, and add the reason if not defined."""
    if made.verdict == UNDEFINED and made.n_undefined:
        return replace(made, note=test.undefined)
    if made.verdict == PASS and gate.verdict == FAIL:
        note = "the method is not shown to depend on the model, so it passes nothing"
        return replace(made, verdict=FAIL, note=note)
    return made
