"""A report card as tables for people: verdicts and why, baselines, evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ecgxai_core.diagnoses import term_of
from ecgxai_core.games.baseline_audit import INTACT
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.pipeline.card_rules import FAIL, LEAST_RECORDS, PASS, TESTS, Verdict
from ecgxai_core.pipeline.report_card import REFERENCE_MAPS, BaselineRow, ReportCard
from ecgxai_core.report.html import number
from ecgxai_core.report.record import method_title

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "baseline_table",
    "card_words",
    "evidence_table",
    "loud_baselines",
    "map_title",
    "own_maps",
    "sight_facts",
    "verdict_table",
]

_PLAYED = {
    "local": "exact local engine (games are played to the end by formula where they can be)",
    "whole": "whole forward passes",
}


def own_maps(card: ReportCard) -> tuple[str, ...]:
    """Maps that are judged, without those that know nothing."""
    return tuple(name for name in card.maps if name not in REFERENCE_MAPS)


def map_title(name: str) -> str:
    """A map's name for people."""
    if name in REFERENCE_MAPS:
        return f"{name} map"
    return "Fused" if name == "fused" else method_title(name)


def card_words(card: ReportCard, target: str = "") -> str:
    """How many tests each method passes, in words; the tests are not of equal weight."""
    parts = []
    for name in own_maps(card):
        said = [v.verdict for v in card.verdicts if v.method == name and v.target == target]
        passed, decided = said.count(PASS), said.count(PASS) + said.count(FAIL)
        parts.append(f"{map_title(name)} passes {passed} of {decided} tests with a verdict")
    return "; ".join(parts) + "."


def verdict_table(card: ReportCard, target: str = "") -> pd.DataFrame:
    """A row a test and map, with what the verdict rests on.

    Columns: ``test``, ``map``, ``verdict``, ``why``, ``mean``, ``chance`` (NaN where the test has a
    border instead), ``low`` and ``high`` of the interval that ``interval of`` names, ``n``,
    ``undefined``, ``judges`` and ``rule``.
    """
    import pandas as pd

    found = {(v.test, v.method): v for v in card.verdicts if v.target == target}
    rows = []
    for name, test in TESTS.items():
        for method in card.maps:
            verdict = found[name, method]
            rows.append(
                {
                    "test": test.title,
                    "map": map_title(method),
                    "verdict": verdict.verdict,
                    "why": _why(verdict),
                    "mean": verdict.mean,
                    "chance": verdict.chance,
                    "low": verdict.low,
                    "high": verdict.high,
                    "interval of": ("mean less chance" if test.kind == "above_chance" else "mean"),
                    "n": verdict.n,
                    "undefined": verdict.n_undefined,
                    "judges": test.category,
                    "rule": test.rule,
                }
            )
    return pd.DataFrame(rows)


def _why(verdict: Verdict) -> str:
    """Why it is so, in a few words."""
    if verdict.note:
        return verdict.note
    if verdict.n == 0:
        return "not asked of this map"
    if verdict.n < LEAST_RECORDS:
        return f"fewer than {LEAST_RECORDS} records"
    test = TESTS[verdict.test]
    interval = f"{number(verdict.low)} to {number(verdict.high)}"
    if test.kind == "above_chance":
        where = "lies above 0" if verdict.verdict == PASS else "does not lie above 0"
        return f"interval over chance {interval} {where}"
    where = "lies" if verdict.verdict == PASS else "does not lie"
    return f"interval {interval} {where} {test.kind} {test.border:g}"


def sight_facts(card: ReportCard) -> dict[str, str]:
    """What the model takes, gives and can see, and how its games are played."""
    model = card.model
    checked = "not checked" if model.error is None else f"{model.error:.1g} in probability"
    facts = {
        "input": f"{model.seconds:g} s at {model.fs:g} Hz, leads {', '.join(model.leads)}",
        "output": f"{len(model.classes)} classes, as {model.output}",
        "sight": model.sight or "not read from its graph",
        "games are played by": _PLAYED.get(model.engine, model.engine),
        "why not exactly": model.reason,
        "self-check": checked,
        "source": model.source,
    }
    return {name: value for name, value in facts.items() if value}


def baseline_table(card: ReportCard) -> pd.DataFrame:
    """Mean probability of every class (rows) on the records themselves and on every baseline."""
    import pandas as pd

    found = {(row.code, row.baseline): row.mean for row in card.baselines}
    return pd.DataFrame(
        [
            {"class": term_of(code).name}
            | {kind.replace("_", " "): found[code, kind] for kind in (INTACT, *BASELINES)}
            | {"code": code}
            for code in card.model.classes
        ]
    )


def loud_baselines(card: ReportCard) -> tuple[str, tuple[BaselineRow, ...]]:
    """The baseline in use, and the classes that it gets on at least half of the records."""
    used = str(card.request["profile"]["explain"]["baseline"])
    return used, tuple(r for r in card.baselines if r.baseline == used and r.said_yes >= 0.5)


def evidence_table(card: ReportCard, method: str, kind: str) -> pd.DataFrame:
    """Where the positive mass of a method's maps lies: a row a diagnosis and place.

    Parameters
    ----------
    card, method
        The card, and one of its maps.
    kind
        ``"lead"`` or ``"wave"``.

    Returns
    -------
    Columns ``diagnosis``, ``place``, ``mass`` and ``time`` (shares), ``enrichment`` (mass over
    time, 1 = no more than its time), ``low`` and ``high`` from enough records on, and ``n``.
    """
    import pandas as pd

    rows = []
    for row in card.evidence:
        if row.method == method and row.kind == kind:
            enough = row.n >= LEAST_RECORDS
            rows.append(
                {
                    "diagnosis": term_of(row.target).name,
                    "place": row.name,
                    "mass": row.mass,
                    "time": row.time,
                    "enrichment": row.enrichment,
                    "low": row.low if enough else math.nan,
                    "high": row.high if enough else math.nan,
                    "n": row.n,
                }
            )
    return pd.DataFrame(rows)
