"""Tables of a report card: verdicts with reasons, baselines, evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ecgxai_core.audit.baselines import INTACT
from ecgxai_core.audit.card_rules import (
    FAIL,
    GATE,
    LEAST_RECORDS,
    NOT_TESTED,
    PASS,
    TESTS,
    Verdict,
)
from ecgxai_core.audit.report_card import REFERENCE_MAPS, BaselineRow, ReportCard
from ecgxai_core.diagnoses import term_of
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.metrics.base import SIDE_TITLES
from ecgxai_core.models.manifest import free_names_note
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
    "receptive_field_facts",
    "verdict_table",
]

_ENGINES = {
    "local": "exact local engine (closed form where possible)",
    "whole": "forward passes of the whole model",
}


def own_maps(card: ReportCard) -> tuple[str, ...]:
    """The evaluated maps, without the reference maps."""
    return tuple(name for name in card.maps if name not in REFERENCE_MAPS)


def map_title(name: str) -> str:
    """Display name of a map."""
    if name in REFERENCE_MAPS:
        return SIDE_TITLES[name]
    return "Fused" if name == "fused" else method_title(name)


def card_words(card: ReportCard, target: str = "") -> str:
    """The number of tests that each method passes, in words; tests differ in importance."""
    parts = []
    for name in own_maps(card):
        own = [v for v in card.verdicts if v.method == name and v.target == target]
        said = [v.verdict for v in own]
        passed, decided = said.count(PASS), said.count(PASS) + said.count(FAIL)
        words = f"{map_title(name)} passes {passed} of {decided} tests with a verdict"
        gate = next(v.verdict for v in own if v.test == GATE)
        if gate == FAIL:
            words += ", as it is not shown to depend on the model"
        elif gate == NOT_TESTED:
            words += ", but whether it depends on the model is not tested"
        parts.append(words)
    return "; ".join(parts) + "."


def verdict_table(card: ReportCard, target: str = "") -> pd.DataFrame:
    """One row per test and map, with the values behind the verdict.

    Columns: ``test``, ``map``, ``verdict``, ``why``, ``mean``, ``chance`` (NaN if the test has a
    border instead), ``not better than`` (reference maps), ``low`` and ``high`` of the interval that
    ``interval of`` names, ``n``, ``undefined``, ``category`` and ``rule``.
    """
    import pandas as pd

    found = {(v.test, v.method): v for v in card.verdicts if v.target == target}
    rows = [
        {
            "test": test.title,
            "map": map_title(method),
            "verdict": verdict.verdict,
            "why": _why(verdict),
            "mean": verdict.mean,
            "chance": verdict.chance,
            "not better than": ", ".join(SIDE_TITLES[name] for name in verdict.beaten_by),
            "low": verdict.low,
            "high": verdict.high,
            "interval of": "mean less chance" if test.paired else "mean",
            "n": verdict.n,
            "undefined": verdict.n_undefined,
            "category": test.category,
            "rule": test.rule,
        }
        for name, test in TESTS.items()
        for method in card.maps
        for verdict in [found[name, method]]
    ]
    return pd.DataFrame(rows)


def _why(verdict: Verdict) -> str:
    """The reason for a verdict."""
    if verdict.note:
        return verdict.note
    if verdict.n == 0:
        return "not applicable to this map"
    if verdict.n < LEAST_RECORDS:
        return f"fewer than {LEAST_RECORDS} records"
    test = TESTS[verdict.test]
    interval = f"{number(verdict.low)} to {number(verdict.high)}"
    if test.kind == "better":
        beaten = ", ".join(SIDE_TITLES[name] for name in verdict.beaten_by)
        return f"not better than: {beaten}" if beaten else "better than each reference map"
    if test.paired:
        where = "is above 0" if verdict.verdict == PASS else "is not above 0"
        return f"interval of the difference from chance {interval} {where}"
    where = "is" if verdict.verdict == PASS else "is not"
    return f"interval {interval} {where} {test.kind} {test.border:g}"


def receptive_field_facts(card: ReportCard) -> dict[str, str]:
    """Input, output and receptive field of the model, and how its games are computed."""
    model = card.model
    checked = "not checked" if model.error is None else f"{model.error:.1g} in probability"
    facts = {
        "input": f"{model.seconds:g} s at {model.fs:g} Hz, leads {', '.join(model.leads)}",
        "output": f"{len(model.classes)} classes, as {model.output}",
        "classes by name alone": free_names_note(model.classes),
        "receptive field": model.receptive_field or "unknown: the graph could not be analysed",
        "games computed by": _ENGINES.get(model.engine, model.engine),
        "reason": model.reason,
        "self-check": checked,
        "source": model.source,
    }
    return {name: value for name, value in facts.items() if value}


def baseline_table(card: ReportCard) -> pd.DataFrame:
    """Mean probability of every class (rows) on the intact records and on every baseline."""
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
    """The baseline in use, and its rows of classes predicted on at least half of the records."""
    used = str(card.request["profile"]["explain"]["baseline"])
    return used, tuple(r for r in card.baselines if r.baseline == used and r.said_yes >= 0.5)


def evidence_table(card: ReportCard, method: str, kind: str) -> pd.DataFrame:
    """Distribution of the positive mass of a method's maps, one row per diagnosis and place.

    Parameters
    ----------
    card, method
        The card, and one of its maps.
    kind
        ``"lead"`` or ``"wave"``.

    Returns
    -------
    DataFrame
        Columns ``diagnosis``, ``place``, ``mass`` and ``time`` (shares), ``enrichment`` (mass /
        time, 1 = in proportion to time), ``low`` and ``high`` (NaN for too few records), and ``n``.
    """
    import pandas as pd

    rows = [
        {
            "diagnosis": term_of(row.target).name,
            "place": row.name,
            "mass": row.mass,
            "time": row.time,
            "enrichment": row.enrichment,
            "low": row.low if row.n >= LEAST_RECORDS else math.nan,
            "high": row.high if row.n >= LEAST_RECORDS else math.nan,
            "n": row.n,
        }
        for row in card.evidence
        if row.method == method and row.kind == kind
    ]
    return pd.DataFrame(rows)
