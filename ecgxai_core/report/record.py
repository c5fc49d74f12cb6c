"""The report of one record: prediction, maps on ECG paper, scores, checklist, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.explainers import METHODS
from ecgxai_core.metrics import METRICS, SIDE_TITLES
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.params import PROFILES, Profile, profile
from ecgxai_core.pipeline.criteria import criteria_of, unseen_in_words
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.measurements import (
    LEAST_CONFIDENCE,
    intervals_of,
    measured_record,
    waves_of,
)
from ecgxai_core.plots.overlay import full_scale
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.pdf import Caption, ecg_svg
from ecgxai_core.plots.words import answer_in_words, lead_ranking, map_in_words
from ecgxai_core.report import html
from ecgxai_core.report.checklist import CHECKLIST, Checklist
from ecgxai_core.report.commands import changed_settings, record_command
from ecgxai_core.signal.intervals import QTC_FORMULA, Measured
from ecgxai_core.types import (
    Attribution,
    FusedMap,
    Map,
    Prediction,
    Record,
    Segmentation,
    told_apart,
)
from ecgxai_core.version import library_versions

__all__ = [
    "MAIN_METRICS",
    "RecordFacts",
    "caption_of",
    "class_name",
    "lead_table",
    "method_title",
    "provenance",
    "record_report",
]

MAIN_METRICS: tuple[str, ...] = (
    "attauc_strict",
    "attauc_lenient",
    "token_attauc_strict",
    "token_attauc_lenient",
    "deletion_gain",
    "insertion_gain",
    "faithfulness_gain",
    "spearman",
    "jaccard_at_k",
    "rbo_ext",
)
"""Metrics shown first; all others are in the full tables."""


@dataclass(frozen=True)
class RecordFacts:
    """Contents of the report of one record.

    Attributes
    ----------
    record, prediction
        The record and its probabilities.
    model, manifest
        Name of the model file, and its manifest.
    target
        The class explained.
    profile, start
        The parameters, and the start of the model's window, s (``None`` = the manifest's crop).
    maps
        Attributions by method, and ``"fused"``; may be empty.
    scores
        Rows as in the tables of a run: ``method``, and one column per metric.
    checklist
        The reader's answers, or ``None``.
    style
        How the ECG is drawn on paper.
    """

    record: Record
    prediction: Prediction
    model: str
    manifest: Manifest
    target: str
    profile: Profile
    maps: Mapping[str, Map] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()
    start: float | None = None
    checklist: Checklist | None = None
    style: PaperStyle = field(default_factory=lambda: PaperStyle(layout="12x1"))

    @cached_property
    def measured(self) -> Measured:
        """Intervals of the record."""
        return measured_record(self.record)

    @cached_property
    def waves(self) -> Segmentation | None:
        """Waves of the record; ``None`` without a beat."""
        return waves_of(self.record, beats_of(self.record))


def record_report(facts: RecordFacts) -> str:
    """Self-contained HTML; the same facts give the same bytes."""
    record = facts.record
    first = _first(facts)
    answer = f" {answer_of(facts, facts.maps[first])}" if first else " Not explained yet."
    parts = [
        html.paragraph(
            f"{person(record)}; {record.duration:.1f} s at {record.fs:g} Hz, "
            f"{len(record.leads)} leads"
            + (", simulated: not a patient" if record.synthetic else ""),
            "muted",
        ),
        html.paragraph(f"{verdict_in_words(facts)}.{answer}"),
        html.paragraph(f"{intervals_in_words(facts)}; {settings_in_words(facts)}.", "muted"),
        html.section("Prediction", *_prediction(facts)),
        html.section("Measured intervals", *_intervals(facts)),
        html.section("Criteria of the diagnosis", *_criteria(facts)),
        html.section("Quality warnings and limits of the model", *_warnings(facts)),
        *_maps(facts),
    ]
    if facts.scores:
        parts.append(html.section("Scores of the maps", *_scores(facts)))
    if facts.checklist is not None:
        parts.append(html.section("Verification checklist", *_checklist(facts.checklist)))
    parts.append(html.section("How to repeat this", *_provenance(facts)))
    return html.document(f"Record {record.name}: {class_name(facts.target)}", *parts)


def class_name(code: str) -> str:
    """Name of a class with its code: ``atrial fibrillation (164889003)``."""
    name = term_of(code).name
    return code if name == code else f"{name} ({code})"


def method_title(name: str) -> str:
    """Display name of a method."""
    return METHODS[name].title if name in METHODS else name.replace("_", " ")


def caption_of(facts: RecordFacts, item: Map | None, title: str) -> Caption:
    """Caption of a printed page of this record: what the model says, of whom, the intervals, on
    what the map rests, and with which settings."""
    digest = facts.prediction.model_digest[:12]
    warnings = [warning.message for warning in (item or facts.record).warnings]
    if facts.record.synthetic:
        warnings.insert(0, "Simulated record, not a patient")
    shown = f"{title}: {answer_of(facts, item)}" if item is not None else "Plain trace, no map"
    made = f"model {facts.model}, digest {digest}; {settings_in_words(facts)}"
    return Caption(
        f"Record {facts.record.name}",
        (
            f"{verdict_in_words(facts)}; {person(facts.record)}",
            intervals_in_words(facts),
            shown,
            made,
        ),
        tuple(warnings),
    )


def verdict_in_words(facts: RecordFacts) -> str:
    """``left bundle branch block (164909002): probability > 0.99, called present ...``."""
    p, least = facts.prediction.probability(facts.target), _threshold(facts, facts.target)
    called = "present" if p >= least else "absent"
    said, limit = told_apart(p, least)
    return f"{class_name(facts.target)}: probability {said}, called {called} (threshold {limit})"


def person(record: Record) -> str:
    """``35 years, male``; what is not known says so."""
    age = f"{record.age:.0f} years" if record.age is not None else "age unknown"
    return f"{age}, {record.sex or 'sex unknown'}"


def intervals_in_words(facts: RecordFacts) -> str:
    """The intervals in one line, those outside the normal range of adults with an arrow."""
    signs = {"above": " ↑", "below": " ↓"}
    said = []
    for item in intervals_of(facts.measured, facts.record.age, facts.record.sex):
        unit = {"1/min": "/min", "deg": "°"}.get(item.measured.unit, f" {item.measured.unit}")
        value = f"{item.measured.value:.0f}{unit}" if item.measured.n else "–"
        said.append(f"{item.name} {value}{signs.get(item.reading, '')}")
    return f"Measured: {' · '.join(said)}"


def answer_of(facts: RecordFacts, item: Map) -> str:
    """On what a map rests, with its top leads; plain text."""
    method = METHODS.get(item.method) if isinstance(item, Attribution) else None
    said = answer_in_words(
        item, facts.waves, signed=method is None or method.signed, topk=facts.profile.fusion.topk,
        unseen=unseen_in_words(item.target, facts.manifest.receptive_field_sec),
    )  # fmt: skip
    known = [row["lead"] for row in lead_ranking(item) if row["share"] > 0]
    top = item.top_leads if isinstance(item, FusedMap) else known[: facts.profile.fusion.topk]
    return f"{said} Top leads: {', '.join(top)}." if top else said


def settings_in_words(facts: RecordFacts) -> str:
    """The profile, and every setting that differs from it."""
    changed = [f"{k} {v}" for k, v in changed_settings(facts.profile.as_key()).items()]
    usual = profile(facts.profile.name) if facts.profile.name in PROFILES else None
    if usual is not None and facts.profile.methods != usual.methods:
        changed.append(f"methods {', '.join(facts.profile.methods)}")
    if facts.start is not None:
        changed.append(f"window from {facts.start:g} s")
    return f"profile {facts.profile.name}" + (f", changed: {'; '.join(changed)}" if changed else "")


def _threshold(facts: RecordFacts, code: str) -> float:
    return float((facts.manifest.thresholds or {}).get(code, 0.5))


def _prediction(facts: RecordFacts) -> list[html.Html]:
    labels = facts.record.labels
    rows = []
    for code in sorted(facts.prediction.classes, key=lambda c: -facts.prediction.probability(c)):
        p, least = facts.prediction.probability(code), _threshold(facts, code)
        given = "–" if labels is None else _yes(not set(labels).isdisjoint(aliases(code)))
        mark = "explained below" if code == facts.target else ""
        said, limit = told_apart(p, least)
        rows.append((class_name(code), said, limit, _yes(p >= least), given, mark))
    columns = ("class", "probability", "threshold", "predicted", "labelled", "")
    note = (
        "Thresholds are from the model's manifest, or 0.50 if it has none. The probability is an "
        "output of the model, not the patient's risk."
    )
    return [html.table(columns, rows), html.paragraph(note, "note")]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _intervals(facts: RecordFacts) -> list[html.Html]:
    """The intervals that an ECG machine prints, with confidence and normal range."""
    columns = ("interval", "value", "confidence", "normal, adults", "reading", "spread", "beats",
               "source of the range")  # fmt: skip
    rows = [
        (
            item.name,
            f"{value.value:.0f} {value.unit}" if value.n else "not measurable",
            f"{value.confidence:.2f}",
            item.normal or "–",
            item.reading or item.note,
            f"{value.spread:.0f}" if value.n else "–",
            value.n,
            item.source or "–",
        )
        for item in intervals_of(facts.measured, facts.record.age, facts.record.sex)
        for value in [item.measured]
    ]
    note = (
        "Medians over all beats of the record, measured by this program; they are not inputs of "
        f"the model. QTc by {QTC_FORMULA}. Confidence from 0 to 1; values below "
        f"{LEAST_CONFIDENCE:g} are not compared. Spread: median absolute deviation over the beats."
    )
    return [html.table(columns, rows), html.paragraph(note, "note")]


def _criteria(facts: RecordFacts) -> list[html.Html]:
    """Textbook criteria of the target, measured, with the evidence of the first map there."""
    found = criteria_of(
        facts.record, facts.target, facts.maps.get(_first(facts)), called=_called(facts)
    )
    parts = [html.paragraph(found.sentence)]
    if found.rows:
        columns = ("criterion", "measured", "result", "evidence of the map there", "note", "source")
        note = (
            "Criteria of adults, measured by this program; they are not inputs of the model, and "
            "no score uses them. Evidence: share of |weight| in the criterion's leads and waves, "
            "in brackets what an even map has there."
        )
        rows = [list(row.values()) for row in found.table()]
        parts += [html.table(columns, rows), html.paragraph(note, "note")]
    return parts


def _called(facts: RecordFacts) -> list[str]:
    """Classes whose probability reaches the model's threshold."""
    value = facts.prediction
    return [c for c in value.classes if value.probability(c) >= _threshold(facts, c)]


def _first(facts: RecordFacts) -> str:
    """The map that is shown first: the fused one, where there is one; empty = no map."""
    return "fused" if "fused" in facts.maps else next(iter(facts.maps), "")


def _warnings(facts: RecordFacts) -> list[html.Html]:
    maps = facts.maps.values()
    known = dict.fromkeys((*facts.record.warnings, *(w for item in maps for w in item.warnings)))
    rows = [(w.code, w.message, ", ".join(w.leads) or "all") for w in known]
    columns = ("warning", "meaning", "leads")
    parts = [html.table(columns, rows) if rows else html.paragraph("No quality warnings.")]
    field = facts.manifest.receptive_field_samples
    if field is not None:
        parts.append(html.paragraph(
            f"Before pooling, the model's receptive field is "
            f"{1000 * field / facts.manifest.fs:.0f} ms: longer patterns, such as an irregular "
            "rhythm, can influence it only indirectly."
        ))  # fmt: skip
    length = facts.manifest.samples / facts.manifest.fs
    if facts.record.duration > length + 1e-6:
        parts.append(html.paragraph(
            f"The model input is {length:g} s of the {facts.record.duration:.1f} s; the rest had "
            "no influence on the probability."
        ))  # fmt: skip
    return parts


def _maps(facts: RecordFacts) -> list[html.Html]:
    if not facts.maps:
        words = "Not explained yet; the plain trace is shown."
        return [html.section("Explanation", html.paragraph(words), _picture(facts, None, "trace"))]
    first = _first(facts)
    item = facts.maps[first]
    name = class_name(facts.target)
    head = "Fused map" if first == "fused" else f"Map of {method_title(first)}"
    words = html.paragraph(_words(item, name, head))
    parts = [html.section(head, words, _picture(facts, item, head), lead_table(item))]
    others = [(n, m) for n, m in facts.maps.items() if n != first]
    shared = full_scale(*(m for _, m in others)) if others else None
    singles = [
        html.section(
            f"{method_title(n)}: map and diagnostics",
            html.paragraph(_words(m, name, method_title(n))),
            _picture(facts, m, method_title(n), shared),
            html.definitions({k: html.shown(v) for k, v in m.diagnostics.items()}),
            folded=True,
        )
        for n, m in others
    ]
    if singles:
        note = "On one colour scale. Agreement of methods of the same family is weak evidence."
        parts.append(html.section("Each method", html.paragraph(note, "note"), *singles))
    return parts


def _picture(facts: RecordFacts, item: Map | None, title: str, scale: float | None = None) -> Any:
    start, stop = 0.0, min(facts.record.duration, 10.0)
    if item is not None:  # of a long record, the part that is the model input
        start = max(0.0, float(item.edges_sec[0]))
        stop = max(float(item.edges_sec[-1]), start + 1e-3)
    caption = caption_of(facts, item, title)
    pages = ecg_svg(
        facts.record, facts.style, caption, start=start, stop=stop, overlay=item, scale=scale
    )
    alt = _words(item, class_name(facts.target), title) if item is not None else "12-lead ECG"
    return html.join(html.image(page, alt) for page in pages)


def _words(item: Map, target: str, what: str) -> str:
    """The map in words, with the fraction of unexplored cells and of disagreement."""
    said = [map_in_words(item, target, what)]
    if item.missing.any():
        missing = float(item.missing[item.explorable].mean())
        said.append(f"{missing:.0%} of the cells were not explored.")
    if isinstance(item, FusedMap) and item.explored.any():
        disagreement = float((item.agreement[item.explored] == -1).mean())
        said.append(f"The methods disagree in sign on {disagreement:.0%} of the explored cells.")
    return " ".join(said)


def lead_table(item: Map) -> html.Html:
    """Leads of a map by their share of it."""
    columns = ("lead", "share of |weight|", "fraction for", "strongest from, s", "to, s",
               "direction", "explored")  # fmt: skip
    rows = [list(row.values()) for row in lead_ranking(item)]
    return html.table(columns, rows, "Leads in descending order")


def _scores(facts: RecordFacts) -> list[html.Html]:
    columns = ("category", "metric", "map", "score", *SIDE_TITLES.values(), "better")
    first = [row for name in MAIN_METRICS for row in _score_rows(facts, name)]
    every = [row for name in METRICS for row in _score_rows(facts, name)]
    note = (
        "Compare every score with those of the reference maps, which say nothing of the model: a "
        "random and an empty map, the signal's |amplitude| and squared slope, the map itself with "
        "its leads shuffled or half a beat later; beside plausibility, which is measured around R "
        "peaks, also a template of R peaks. A dash means undefined. "
        "No score uses a prior or a label, except where its name says so."
    )
    return [
        html.paragraph(note, "note"),
        html.table(columns, first),
        html.section(f"All {len(every)} scores", html.table(columns, every), folded=True),
    ]


def _score_rows(facts: RecordFacts, name: str) -> list[tuple[object, ...]]:
    """One metric of every map that has it, with its references."""
    metric = METRICS[name]
    better = "neither" if metric.direction == "none" else metric.direction
    rows: list[tuple[object, ...]] = []
    for row in facts.scores:
        if row.get(name) is not None:
            sides = [row.get(f"{name}_{side}") for side in SIDE_TITLES]
            title = method_title(str(row.get("method", "")))
            rows.append((metric.category, metric.title, title, float(row[name]), *sides, better))
    return rows


def _checklist(checklist: Checklist) -> list[html.Html]:
    answers, remarks = checklist.answers, checklist.remarks
    rows = [
        (q.question, answers.get(q.name, "not checked"), remarks.get(q.name, "")) for q in CHECKLIST
    ]
    parts = [html.table(("question", "answer", "remark"), rows)]
    if not checklist.complete:
        parts.append(html.paragraph("Some questions have not been answered.", "note"))
    if checklist.note:
        parts.append(html.paragraph(f"Note: {checklist.note}"))
    if checklist.reader:
        parts.append(html.paragraph(f"Checked by: {checklist.reader}"))
    return parts


def _provenance(facts: RecordFacts) -> list[html.Html]:
    known: dict[str, object] = {
        "record digest": facts.prediction.record_digest,
        "model digest": facts.prediction.model_digest,
        "model": facts.model,
        "source of the model": facts.manifest.source,
        "profile": facts.profile.name,
    }
    for item in list(facts.maps.values())[:1]:
        known["code"] = item.provenance.code_version
    name = facts.record.file or f"{facts.record.name}.hea"
    command = record_command(name, facts.model, facts.target, facts.profile, facts.start)
    return provenance(
        known | dict(library_versions()), command, "All parameters", facts.profile.as_key()
    )


def provenance(
    known: Mapping[str, object], command: str, title: str, values: Mapping[str, Any]
) -> list[html.Html]:
    """Digests and versions, the command that reproduces a result, and its folded parameters."""
    text = json.dumps(values, indent=1, sort_keys=True)
    return [
        html.definitions({name: html.shown(value) for name, value in known.items()}),
        html.paragraph("Command to reproduce this (add your folders to the file names):"),
        html.code_block(command),
        html.section(title, html.code_block(text), folded=True),
    ]
