"""The report card of a model on a data set as an HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ecgxai_core.audit.baselines import INTACT
from ecgxai_core.audit.card_evidence import WAVES, EvidenceRow
from ecgxai_core.audit.card_rules import (
    FAIL,
    FALSE_PASS,
    FEW,
    LEAST_RECORDS,
    NOT_TESTED,
    PASS,
    TESTS,
    UNDEFINED,
    Verdict,
)
from ecgxai_core.audit.report_card import REFERENCE_MAPS, BaselineRow, ReportCard
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.metrics.base import SIDE_TITLES
from ecgxai_core.report import html
from ecgxai_core.report.card_tables import (
    loud_baselines,
    map_title,
    own_maps,
    receptive_field_facts,
)
from ecgxai_core.report.commands import card_command
from ecgxai_core.report.record import class_name, method_title, provenance

__all__ = ["card_html"]

_SIGNS = {PASS: "✓", FAIL: "✗", FEW: "…", UNDEFINED: "–", NOT_TESTED: "?"}
_CLASSES = {
    PASS: "pass",
    FAIL: "fail",
    FEW: "few",
    UNDEFINED: "undefined",
    NOT_TESTED: "undefined",
}


def card_html(card: ReportCard) -> str:
    """Self-contained HTML; the same card gives the same bytes."""
    title = f"Report card: {card.model.name} on {card.request['data']}"
    return html.document(
        title,
        *_overview(card),
        html.section("Which explanations pass which tests", *_tests(card)),
        html.section("Receptive field of the model", *_receptive_field(card)),
        html.section("Predictions on baselines", *_baselines(card)),
        html.section("Distribution of evidence", *_evidence(card)),
        html.section(
            "Failures",
            _listed(
                ("record", "reason"), [(f.record, f.reason) for f in card.failures],
                "None: every record was read, and every selected one explained.",
            ),
        ),
        html.section(
            "Quality warnings",
            _listed(
                ("record", "warnings"), [(r, ", ".join(c)) for r, c in card.warnings.items()],
                "None of the records used has any.",
            ),
        ),
        html.section("How to repeat this", *_provenance(card)),
    )  # fmt: skip


def _overview(card: ReportCard) -> list[html.Html]:
    counted = ", ".join(f"{class_name(code)} {n}" for code, n in card.n_by_target.items())
    read = f"{card.n_records} of {card.n_read} records explained. By diagnosis: {counted}."
    parts = [html.paragraph(read)]
    if card.n_simulated:
        words = f"{card.n_simulated} of the {card.n_records} records are simulated: not patients."
        parts.append(html.paragraph(words, "banner"))
    note = (
        "Simulated records say nothing about performance on patients. A pass means that a map is "
        "better than its references in one test on these records; it says nothing about other "
        "data, or about whether a prediction is right."
    )
    return [*parts, html.paragraph(note, "note")]


def _tests(card: ReportCard) -> list[html.Html]:
    own = own_maps(card)
    references = [name for name in card.maps if name in REFERENCE_MAPS]
    together = [verdict for verdict in card.verdicts if not verdict.target]
    confidence = float(card.request["profile"]["evaluation"]["confidence"])
    better = [v for v in together if v.method in own and TESTS[v.test].kind == "better"]
    asked = sum(v.verdict in (PASS, FAIL) for v in better)
    columns = ("test", "category", "question", "passes if")
    rules = [(test.title, test.category, test.question, test.rule) for test in TESTS.values()]
    parts = [
        html.paragraph(
            f"Each cell: verdict, mean over records, chance level and {confidence:.0%} interval "
            "over records. 'vs chance' is the interval of the paired difference from chance. "
            "Faithfulness and plausibility are passed only by a map that is better, record by "
            "record, than each reference map: random, empty, the signal's |amplitude| and squared "
            "slope, the map itself with its leads shuffled and half a beat later. An R-peak "
            "template is shown below and is no border, as plausibility is measured around R peaks. "
            "A method that fails 'Depends on the model' passes nothing. An interval that contains "
            f"the border does not pass; fewer than {LEAST_RECORDS} records give no verdict. A map "
            f"without information passes a test of faithfulness or plausibility on at most "
            f"{FALSE_PASS:.0%} of cards (measured by simulation), so at most "
            f"{FALSE_PASS * asked:.1f} of these {asked} verdicts. "
            "Stability alone proves nothing, as a map that ignores the record is stable.",
            "note",
        ),
        _verdict_table(together, own),
        html.section("Rules", html.table(columns, rules), folded=True),
        html.section(
            "The same tests on maps that say nothing of the model",
            _verdict_table(together, references, only_asked=True),
            folded=True,
        ),
    ]
    for target, n in card.n_by_target.items():
        listed = _verdict_table([v for v in card.verdicts if v.target == target], own)
        parts.append(html.section(f"{class_name(target)} (n = {n})", listed, folded=True))
    return parts


def _verdict_table(
    verdicts: Iterable[Verdict], maps: Sequence[str], only_asked: bool = False
) -> html.Html:
    found = {(verdict.test, verdict.method): verdict for verdict in verdicts}
    rows = []
    for key, test in TESTS.items():
        cells = [found[key, method] for method in maps]
        if not (only_asked and all(cell.n == 0 for cell in cells)):
            rows.append([_head_cell(test.title, test.category), *map(_verdict_cell, cells)])
    return html.table_of_cells(["test", *map(map_title, maps)], rows)


def _head_cell(title: str, small: str = "") -> str:
    """The first cell of a row."""
    more = f"<small>{html.text(small)}</small>" if small else ""
    return f'<td class="test">{html.text(title)}{more}</td>'


def _verdict_cell(cell: Verdict) -> str:
    shown = f"<b>{_SIGNS[cell.verdict]} {html.text(cell.verdict)}</b>"
    if cell.n:
        shown += f" {html.text(html.number(cell.mean))}"
        interval = f"{html.number(cell.low)} to {html.number(cell.high)}"
        test = TESTS[cell.test]
        if test.paired:
            lines = [f"chance {html.number(cell.chance)}", f"vs chance {interval}"]
        else:
            lines = [f"must be {test.kind} {test.border:g}", f"interval {interval}"]
        missing = f", {cell.n_undefined} undefined" if cell.n_undefined else ""
        lines.append(f"n = {cell.n}{missing}")
        shown += "".join(f"<small>{html.text(line)}</small>" for line in lines)
    beaten = ", ".join(SIDE_TITLES[name] for name in cell.beaten_by)
    if beaten and cell.verdict == FAIL:
        shown += f"<small>not better than: {html.text(beaten)}</small>"
    words = f'<small class="note">{html.text(cell.note)}</small>' if cell.note else ""
    return f'<td class="{_CLASSES[cell.verdict]}">{shown}{words}</td>'


def _receptive_field(card: ReportCard) -> list[html.Html]:
    note = (
        "Features cannot depend on anything outside the receptive field; a rhythm, for example, "
        "needs one longer than an RR interval. The self-check compares the exact engine with the "
        "whole model on random coalitions."
    )
    return [html.definitions(receptive_field_facts(card)), html.paragraph(note, "note")]


def _baselines(card: ReportCard) -> list[html.Html]:
    used, loud_rows = loud_baselines(card)
    found = {(row.code, row.baseline): row for row in card.baselines}
    kinds = (INTACT, *BASELINES)
    rows = [
        [_head_cell(class_name(code)), *(_baseline_cell(found[code, kind]) for kind in kinds)]
        for code in card.model.classes
    ]
    names = [f"{kind.replace('_', ' ')}{' (used)' if kind == used else ''}" for kind in kinds]
    loud = [
        f"{class_name(row.code)} on {row.baseline.replace('_', ' ')} ({row.mean:.2f})"
        for row in loud_rows
    ]
    said = (
        f"The model predicts on the baseline itself: {'; '.join(loud)}. Little is left to explain "
        "for these diagnoses, and maps of others contain evidence against them."
        if loud
        else "The model predicts no diagnosis on the baseline of most records."
    )
    note = (
        "Probability of every class with the whole record masked: mean, minimum and maximum over "
        "records; 'predicted' is the fraction of records at or above the class's threshold. No "
        "baseline is neutral: a map explains the difference between the intact record and its "
        "baseline."
    )
    return [
        html.paragraph(note, "note"),
        html.paragraph(said),
        html.table_of_cells(["class", *names], rows),
    ]


def _baseline_cell(row: BaselineRow) -> str:
    spread = f"{row.low:.2f} to {row.high:.2f}"
    yes = f"<small>predicted in {row.said_yes:.0%}</small>" if row.said_yes else ""
    kind = ' class="fail"' if row.said_yes >= 0.5 and row.baseline != INTACT else ""
    return f"<td{kind}><b>{row.mean:.2f}</b><small>{spread}</small>{yes}</td>"


def _evidence(card: ReportCard) -> list[html.Html]:
    own = own_maps(card)
    first = "fused" if "fused" in own else own[0]
    note = (
        f"Share of the positive mass of the explored map ({method_title(first)}) by lead and by "
        "wave; mean over records. Each wave also has its enrichment: share of mass / share of "
        f"time, with an interval from {LEAST_RECORDS} records on; 1 means in proportion to time. "
        "Weights are spread evenly over their segment, so segments longer than a wave bring "
        "enrichment closer to 1. This shows what the model uses, not what it should use."
    )
    others = [name for name in own if name != first]
    return [
        html.paragraph(note, "note"),
        *_places(card, first),
        *(html.section(method_title(m), *_places(card, m), folded=True) for m in others),
    ]


def _places(card: ReportCard, method: str) -> list[html.Html]:
    rows = [row for row in card.evidence if row.method == method]
    leads = list(dict.fromkeys(row.name for row in rows if row.kind == "lead"))
    return [_place_table(card, rows, "lead", leads), _place_table(card, rows, "wave", list(WAVES))]


def _place_table(
    card: ReportCard, rows: Iterable[EvidenceRow], kind: str, names: Sequence[str]
) -> html.Html:
    found = {(row.target, row.name): row for row in rows if row.kind == kind}
    listed = []
    for target, n in card.n_by_target.items():
        head = _head_cell(class_name(target), f"n = {n}{' (too few)' * (n < LEAST_RECORDS)}")
        listed.append([head, *(_place_cell(found[target, place]) for place in names)])
    shade = ' class="shade"'
    return html.table_of_cells(["diagnosis", *names], listed, ["", *([shade] * len(names))])


def _place_cell(row: EvidenceRow) -> str:
    """The share of mass, with a background that grows stronger with its ratio to time; for a wave
    also its enrichment."""
    ratio = row.mass / row.time if math.isfinite(row.mass) and row.time > 0 else 0.0
    strength = 0.0 if ratio <= 1 else min(0.5, 0.25 * (ratio - 1))
    colour = f' style="background: rgba(200, 70, 30, {strength:.2f})"' if strength else ""
    small = ""
    if row.kind == "wave":
        more = f"×{row.enrichment:.2f}" if math.isfinite(row.enrichment) else "–"
        if math.isfinite(row.low) and row.n >= LEAST_RECORDS:
            more += f" [{row.low:.2f}, {row.high:.2f}]"
        small = f"<small>of {_percent(row.time)} of time</small><small>{more}</small>"
    return f'<td class="shade"{colour}>{_percent(row.mass)}{small}</td>'


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"


def _listed(columns: tuple[str, str], rows: list[tuple[str, str]], none: str) -> html.Html:
    return html.table(columns, rows) if rows else html.paragraph(none)


def _provenance(card: ReportCard) -> list[html.Html]:
    request: Mapping[str, object] = card.request
    known = {
        "card digest": card.digest,
        "model digest": card.model.digest,
        "digest of the records": card.records_digest,
        "code": request["code"],
        **dict(card.request["libraries"]),
    }
    return provenance(known, card_command(card.request), "Complete request", request)
