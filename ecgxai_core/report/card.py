"""The report card of a model on a data set as one page: verdicts, sight, baselines, evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from ecgxai_core.games.baseline_audit import INTACT
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.pipeline.card_evidence import WAVES, EvidenceRow
from ecgxai_core.pipeline.card_rules import (
    FAIL,
    FEW,
    LEAST_RECORDS,
    PASS,
    TESTS,
    UNDEFINED,
    Verdict,
)
from ecgxai_core.pipeline.report_card import REFERENCE_MAPS, BaselineRow, ReportCard
from ecgxai_core.report import html
from ecgxai_core.report.card_tables import loud_baselines, own_maps, sight_facts
from ecgxai_core.report.commands import card_command
from ecgxai_core.report.record import class_name, method_title

__all__ = ["card_html"]

_SIGNS = {PASS: "✓", FAIL: "✗", FEW: "…", UNDEFINED: "–"}
_CLASSES = {PASS: "pass", FAIL: "fail", FEW: "few", UNDEFINED: "undefined"}
_STYLE = html.Html("""<style>
.pass b { color: #17693a; } .fail b { color: #a3261b; } .few, .undefined { color: var(--muted); }
td small { display: block; color: var(--muted); white-space: nowrap; }
td small.note { white-space: normal; max-width: 12rem; }
td.shade, th.shade { text-align: right; padding: .3rem .5rem; }
td.test { min-width: 9rem; font-weight: 600; }
@media (prefers-color-scheme: dark) { .pass b { color: #6fd39a; } .fail b { color: #ff9d90; } }
</style>""")


def card_html(card: ReportCard) -> str:
    """Self-contained HTML; the same card gives the same bytes."""
    title = f"Report card: {card.model.name} on {card.request['data']}"
    return html.document(
        title,
        _STYLE,
        *_overview(card),
        html.section("Which explanations pass which tests", *_tests(card)),
        html.section("What the model can see", *_sight(card)),
        html.section("What its baselines say", *_baselines(card)),
        html.section("Where its evidence lies", *_evidence(card)),
        html.section("Failures", *_failures(card)),
        html.section("How to repeat this", *_provenance(card)),
    )


def _overview(card: ReportCard) -> list[html.Html]:
    counted = ", ".join(f"{class_name(code)} {n}" for code, n in card.n_by_target.items())
    parts = [
        html.paragraph(
            f"{card.n_records} records explained of {card.n_read} read. By diagnosis: {counted}.",
        )
    ]
    if card.n_simulated:
        parts.append(
            html.paragraph(
                f"{card.n_simulated} of the {card.n_records} records are simulated: not patients.",
                "banner",
            )
        )
    parts.append(
        html.paragraph(
            "Simulated records never stand for real performance. A pass says that a map is better "
            "than chance in one test, on these records; it says nothing of other data, and nothing "
            "of whether the prediction is right.",
            "note",
        )
    )
    return parts


def _tests(card: ReportCard) -> list[html.Html]:
    own = own_maps(card)
    references = [name for name in card.maps if name in REFERENCE_MAPS]
    together = [verdict for verdict in card.verdicts if not verdict.target]
    confidence = float(card.request["profile"]["evaluation"]["confidence"])
    asked = sum(v.verdict in (PASS, FAIL) for v in together if v.method in own)
    by_chance = asked * (1 - confidence) / 2
    parts = [
        html.paragraph(
            f"Each cell: verdict, mean over records, then chance level and {confidence:.0%} "
            "bootstrap interval over records. 'vs chance' is the interval of the difference from "
            "chance, record by record. An interval that covers the border shows nothing and does "
            f"not pass. There is no verdict from fewer than {LEAST_RECORDS} records, and intervals "
            f"of fewer than about 20 are too narrow. If no map knew anything, {by_chance:.1f} of "
            f"these {asked} verdicts would be passes by chance. Stability alone proves nothing: "
            "a map that ignores the record is stable, so read it beside the sanity tests.",
            "note",
        ),
        _verdict_table(together, own),
        html.section("The rules", _rules(), folded=True),
        html.section(
            "The same tests on maps that know nothing: they pass by chance only",
            _verdict_table(together, references, only_asked=True),
            folded=True,
        ),
    ]
    for target in card.n_by_target:
        rows = [verdict for verdict in card.verdicts if verdict.target == target]
        parts.append(
            html.section(
                f"{class_name(target)} (n = {card.n_by_target[target]})",
                _verdict_table(rows, own),
                folded=True,
            )
        )
    return parts


def _verdict_table(
    verdicts: Iterable[Verdict], maps: Sequence[str], only_asked: bool = False
) -> html.Html:
    found = {(verdict.test, verdict.method): verdict for verdict in verdicts}
    rows = []
    for name, test in TESTS.items():
        cells = [found[name, method] for method in maps]
        if only_asked and all(cell.n == 0 for cell in cells):
            continue
        judged = f"{html.text(test.title)}<small>{html.text(test.category)}</small>"
        rows.append([html.Html(f'<td class="test">{judged}</td>'), *map(_verdict_cell, cells)])
    return _table(["test", *(method_title(name) for name in maps)], rows)


def _verdict_cell(cell: Verdict) -> html.Html:
    kind = _CLASSES[cell.verdict]
    shown = f"<b>{_SIGNS[cell.verdict]} {html.text(cell.verdict)}</b>"
    if cell.n:
        shown += f" {html.text(html.number(cell.mean))}"
        interval = f"{html.number(cell.low)} to {html.number(cell.high)}"
        against = TESTS[cell.test]
        if against.kind == "above_chance":
            lines = [f"chance {html.number(cell.chance)}", f"vs chance {interval}"]
        else:
            lines = [f"must be {against.kind} {against.border:g}", f"interval {interval}"]
        missing = f", {cell.n_undefined} undefined" if cell.n_undefined else ""
        lines.append(f"n = {cell.n}{missing}")
        shown += "".join(f"<small>{html.text(line)}</small>" for line in lines)
    words = f'<small class="note">{html.text(cell.note)}</small>' if cell.note else ""
    return html.Html(f'<td class="{kind}">{shown}{words}</td>')


def _rules() -> html.Html:
    return html.table(
        ("test", "judges", "asks", "passes where"),
        [(test.title, test.category, test.question, test.rule) for test in TESTS.values()],
    )


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[html.Html]], kind: str = ""
) -> html.Html:
    """A table of cells that are markup already."""
    names = [
        f'<th scope="col" class="{kind if i else ""}">{html.text(name)}</th>'
        for i, name in enumerate(columns)
    ]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return html.Html(
        f'<div class="scroll"><table><thead><tr>{"".join(names)}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _sight(card: ReportCard) -> list[html.Html]:
    return [
        html.definitions(sight_facts(card)),
        html.paragraph(
            "A model cannot use what it cannot see: evidence in a rhythm, for example, needs a "
            "sight of more than one RR interval. The self-check compares the exact engine with the "
            "whole model on random coalitions.",
            "note",
        ),
    ]


def _baselines(card: ReportCard) -> list[html.Html]:
    used, loud_rows = loud_baselines(card)
    found = {(row.code, row.baseline): row for row in card.baselines}
    kinds = (INTACT, *BASELINES)
    rows = [
        [
            html.Html(f'<td class="test">{html.text(class_name(code))}</td>'),
            *(_baseline_cell(found[code, kind]) for kind in kinds),
        ]
        for code in card.model.classes
    ]
    names = [f"{kind.replace('_', ' ')}{' (used)' if kind == used else ''}" for kind in kinds]
    loud = [
        f"{class_name(row.code)} on {row.baseline.replace('_', ' ')} ({row.mean:.2f})"
        for row in loud_rows
    ]
    said = (
        f"The baseline in use already gets: {'; '.join(loud)}. Little is left to explain for it, "
        "and other diagnoses get evidence against them."
        if loud
        else "The baseline in use gets no diagnosis on most records."
    )
    return [
        html.paragraph(
            "Probability of every class where all of the record is masked, mean over records with "
            "the least and the largest; 'yes' is the share of records at or above the class's "
            "threshold. No baseline is neutral: a map explains the difference between the record "
            "(intact) and its baseline.",
            "note",
        ),
        html.paragraph(said),
        _table(["class", *names], rows),
    ]


def _baseline_cell(row: BaselineRow) -> html.Html:
    spread = f"{row.low:.2f} to {row.high:.2f}"
    yes = f"<small>yes in {row.said_yes:.0%}</small>" if row.said_yes else ""
    kind = ' class="fail"' if row.said_yes >= 0.5 and row.baseline != INTACT else ""
    return html.Html(f"<td{kind}><b>{row.mean:.2f}</b><small>{html.text(spread)}</small>{yes}</td>")


def _evidence(card: ReportCard) -> list[html.Html]:
    own = own_maps(card)
    first = "fused" if "fused" in own else own[0]
    parts = [
        html.paragraph(
            f"Share of the positive mass of the map ({method_title(first)}), by lead and by wave, "
            "of what was explored; mean over records. Beside each wave the enrichment: mass share "
            "over time share, with its interval from "
            f"{LEAST_RECORDS} records on; 1 is no more than its time. Weights are spread "
            "evenly over their segment, so segments longer than a wave draw enrichment to 1. It "
            "tells what the model uses, not what it ought to use.",
            "note",
        ),
        *_places(card, first),
    ]
    for method in own:
        if method != first:
            inner = _places(card, method)
            parts.append(html.section(method_title(method), *inner, folded=True))
    return parts


def _places(card: ReportCard, method: str) -> list[html.Html]:
    rows = [row for row in card.evidence if row.method == method]
    leads = list(dict.fromkeys(row.name for row in rows if row.kind == "lead"))
    return [
        _place_table(card, rows, "lead", leads, _lead_cell),
        _place_table(card, rows, "wave", list(WAVES), _wave_cell),
    ]


def _place_table(
    card: ReportCard,
    rows: Iterable[EvidenceRow],
    kind: str,
    names: Sequence[str],
    cell: Callable[[EvidenceRow], html.Html],
) -> html.Html:
    found = {(row.target, row.name): row for row in rows if row.kind == kind}
    listed = []
    for target, n in card.n_by_target.items():
        few = " (too few)" if n < LEAST_RECORDS else ""
        name = f"{html.text(class_name(target))}<small>n = {n}{few}</small>"
        cells = [cell(found[target, place]) for place in names]
        listed.append([html.Html(f'<td class="test">{name}</td>'), *cells])
    return _table(["diagnosis", *names], listed, "shade")


def _lead_cell(row: EvidenceRow) -> html.Html:
    return _shaded(row.mass, row.time, _percent(row.mass), "")


def _wave_cell(row: EvidenceRow) -> html.Html:
    more = f"×{row.enrichment:.2f}" if math.isfinite(row.enrichment) else "–"
    if math.isfinite(row.low) and row.n >= LEAST_RECORDS:
        more += f" [{row.low:.2f}, {row.high:.2f}]"
    small = f"<small>of {html.text(_percent(row.time))} of time</small><small>{more}</small>"
    return _shaded(row.mass, row.time, _percent(row.mass), small)


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"


def _shaded(mass: float, time: float, words: str, small: str) -> html.Html:
    """A cell whose ground is stronger the more mass it has for its time."""
    ratio = mass / time if math.isfinite(mass) and time > 0 else 0.0
    strength = 0.0 if ratio <= 1 else min(0.5, 0.25 * (ratio - 1))
    ground = f' style="background: rgba(200, 70, 30, {strength:.2f})"' if strength else ""
    return html.Html(f'<td class="shade"{ground}>{html.text(words)}{small}</td>')


def _failures(card: ReportCard) -> list[html.Html]:
    if not card.failures:
        return [html.paragraph("None: every record was read, and every one selected explained.")]
    rows = [(failure.record, failure.reason) for failure in card.failures]
    return [html.table(("record", "reason"), rows)]


def _provenance(card: ReportCard) -> list[html.Html]:
    request: Mapping[str, object] = card.request
    known = {
        "card digest": card.digest,
        "model digest": card.model.digest,
        "digest of the records explained": card.records_digest,
        "code": request["code"],
        **dict(card.request["libraries"]),
    }
    text = json.dumps(request, indent=1, sort_keys=True)
    return [
        html.definitions({name: html.shown(value) for name, value in known.items()}),
        html.paragraph("Command (with your own folders before the names):"),
        html.code_block(card_command(card.request)),
        html.section("The whole request", html.code_block(text), folded=True),
    ]
