"""The report of one record: prediction, maps on ECG paper, scores, checklist, how to repeat it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecgxai_core.diagnoses import aliases, term_of
from ecgxai_core.explain import METHODS
from ecgxai_core.measured import QTC_FORMULA
from ecgxai_core.metrics import METRICS
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.reading import LEAST_CONFIDENCE, intervals_of, measured_record
from ecgxai_core.plots.overlay import full_scale
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.pdf import Caption, ecg_svg
from ecgxai_core.plots.words import lead_ranking, map_in_words
from ecgxai_core.report import html
from ecgxai_core.report.checklist import CHECKLIST, Checklist
from ecgxai_core.report.commands import record_command
from ecgxai_core.types import Attribution, FusedMap, Prediction, Record
from ecgxai_core.version import library_versions

__all__ = [
    "MAIN_METRICS",
    "RecordFacts",
    "caption_of",
    "class_name",
    "method_title",
    "record_report",
]

Map = Attribution | FusedMap

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
"""Metrics that are shown first; everything else is in the full tables."""


@dataclass(frozen=True)
class RecordFacts:
    """Everything that a report of one record shows.

    Attributes
    ----------
    record, prediction
        The record and its probabilities.
    model, manifest
        Name of the model file, and what the model says of itself.
    target
        The class that is explained.
    profile, start
        The parameters, and where the part that the model sees begins (``None`` = its own choice).
    maps
        Attributions by method, and ``"fused"``; may be empty.
    scores
        Rows as in the tables of a run: ``method`` and columns named after the metrics.
    checklist
        A person's answers, or ``None``.
    style
        How the ECG is put on paper.
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


def record_report(facts: RecordFacts) -> str:
    """Self-contained HTML; the same facts give the same bytes."""
    record = facts.record
    parts = [
        html.paragraph(
            f"{record.duration:.1f} s at {record.fs:g} Hz, {len(record.leads)} leads"
            + (", simulated: not a patient" if record.synthetic else ""),
            "muted",
        ),
        html.section("What the model says", *_prediction(facts)),
        html.section("Measured intervals", *_intervals(record)),
        html.section("Quality warnings and blind spots", *_warnings(facts)),
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
    """A method's name for people."""
    return METHODS[name].title if name in METHODS else name.replace("_", " ")


def caption_of(facts: RecordFacts, item: Map | None, title: str) -> Caption:
    """What stands on a printed page of this record."""
    digest = facts.prediction.model_digest[:12]
    shown = f"{title}; profile {facts.profile.name}" if item is not None else "plain trace"
    warnings = [warning.message for warning in (item or facts.record).warnings]
    if facts.record.synthetic:
        warnings.insert(0, "Simulated record, not a patient")
    return Caption(
        f"Record {facts.record.name}",
        (
            f"{class_name(facts.target)}: p = {facts.prediction.probability(facts.target):.3f}",
            f"model {facts.model}, digest {digest}; {shown}",
        ),
        tuple(warnings),
    )


def _prediction(facts: RecordFacts) -> list[html.Html]:
    thresholds = facts.manifest.thresholds or {}
    labels = facts.record.labels
    rows = []
    order = sorted(facts.prediction.classes, key=lambda code: -facts.prediction.probability(code))
    for code in order:
        p, least = facts.prediction.probability(code), thresholds.get(code, 0.5)
        given = "–" if labels is None else _yes(bool(set(aliases(code)) & set(labels)))
        mark = "explained below" if code == facts.target else ""
        rows.append((class_name(code), p, least, _yes(p >= least), given, mark))
    columns = ("class", "probability", "threshold", "predicted", "labelled", "")
    note = (
        "Thresholds are those of the model's manifest; 0.500 where it names none. A probability is "
        "the model's, not the patient's risk."
    )
    return [html.table(columns, rows), html.paragraph(note, "note")]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _intervals(record: Record) -> list[html.Html]:
    """What a cardiograph prints, with its confidence and the normal range."""
    rows = []
    for item in intervals_of(measured_record(record), record.age, record.sex):
        value, known = item.measured, item.measured.n > 0
        rows.append(
            (
                item.name,
                f"{value.value:.0f} {value.unit}" if known else "not measurable",
                f"{value.confidence:.2f}",
                item.normal or "–",
                item.reading or item.note,
                f"{value.spread:.0f}" if known else "–",
                value.n,
                item.source or "–",
            )
        )
    note = (
        "Medians over the beats of the whole record, measured by this program; the model does not "
        f"see them. QTc by {QTC_FORMULA}. Confidence from 0 to 1; a value under "
        f"{LEAST_CONFIDENCE:g} is not compared. Spread: median absolute deviation over the beats."
    )
    columns = ("interval", "value", "confidence", "normal, adults", "reading", "spread", "beats",
               "source of the range")  # fmt: skip
    return [html.table(columns, rows), html.paragraph(note, "note")]


def _warnings(facts: RecordFacts) -> list[html.Html]:
    known = dict.fromkeys(facts.record.warnings)
    for item in facts.maps.values():
        known.update(dict.fromkeys(item.warnings))
    rows = [(w.code, w.message, ", ".join(w.leads) or "all") for w in known]
    parts = [html.table(("warning", "what it means", "leads"), rows)] if rows else []
    if not rows:
        parts.append(html.paragraph("No quality warning."))
    seen = facts.manifest.receptive_field_samples
    if seen is not None:
        parts.append(
            html.paragraph(
                f"Before pooling, this model sees {1000 * seen / facts.manifest.fs:.0f} ms at a "
                "time: what needs a longer look, such as the irregularity of the rhythm, can only "
                "reach it indirectly."
            )
        )
    length = facts.manifest.samples / facts.manifest.fs
    if facts.record.duration > length + 1e-6:
        parts.append(
            html.paragraph(
                f"The model sees {length:g} s of the {facts.record.duration:.1f} s; the rest had "
                "no influence on the probability."
            )
        )
    return parts


def _maps(facts: RecordFacts) -> list[html.Html]:
    if not facts.maps:
        words = "Not explained yet; the plain trace follows."
        return [html.section("Explanation", html.paragraph(words), _picture(facts, None, "trace"))]
    first = "fused" if "fused" in facts.maps else next(iter(facts.maps))
    item = facts.maps[first]
    name = class_name(facts.target)
    head = "Fused map" if first == "fused" else f"Map of {method_title(first)}"
    parts = [
        html.section(
            head,
            html.paragraph(_words(item, name, head)),
            _picture(facts, item, head),
            _lead_table(item),
        )
    ]
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
        note = "Drawn on one colour scale. Methods of one family that agree are weak evidence."
        parts.append(html.section("Each method", html.paragraph(note, "note"), *singles))
    return parts


def _picture(facts: RecordFacts, item: Map | None, title: str, scale: float | None = None) -> Any:
    start, stop = 0.0, None
    if item is not None:
        # A long record: the page shows what the model saw.
        start, stop = max(0.0, float(item.edges_sec[0])), float(item.edges_sec[-1])
        stop = max(stop, start + 1e-3)
    pages = ecg_svg(
        facts.record,
        facts.style,
        caption_of(facts, item, title),
        start=start,
        stop=stop if stop is not None else min(facts.record.duration, 10.0),
        overlay=item,
        scale=scale,
    )
    alt = _words(item, class_name(facts.target), title) if item is not None else "12-lead ECG"
    return html.join(html.image(page, alt) for page in pages)


def _words(item: Map, target: str, what: str) -> str:
    """The map in words, what was not explored, and where methods disagree."""
    said = [map_in_words(item, target, what)]
    if not item.explored.all():
        said.append(f"{1 - float(item.explored.mean()):.0%} of the cells were not explored.")
    if isinstance(item, FusedMap) and item.explored.any():
        conflict = float((item.agreement[item.explored] == -1).mean())
        said.append(f"The methods disagree in sign on {conflict:.0%} of the explored cells.")
    return " ".join(said)


def _lead_table(item: Map) -> html.Html:
    columns = ("lead", "share of |weight|", "of it for", "strongest from, s", "to, s", "there",
               "explored")  # fmt: skip
    return html.table(
        columns, [list(row.values()) for row in lead_ranking(item)], "Leads, highest first"
    )


def _scores(facts: RecordFacts) -> list[html.Html]:
    columns = ("judges", "metric", "map", "score", "random map", "empty map", "ceiling", "better")
    first = [row for name in MAIN_METRICS for row in _score_rows(facts, name)]
    every = [row for name in METRICS for row in _score_rows(facts, name)]
    note = (
        "Read every score against the random and the empty map beside it. A dash is undefined. No "
        "prior and no label entered a score, except where its name says so."
    )
    return [
        html.paragraph(note, "note"),
        html.table(columns, first),
        html.section(f"All {len(every)} scores", html.table(columns, every), folded=True),
    ]


def _score_rows(facts: RecordFacts, name: str) -> list[tuple[object, ...]]:
    """One metric of every map that has it, beside what it is judged against."""
    metric = METRICS[name]
    better = "neither" if metric.direction == "none" else metric.direction
    rows: list[tuple[object, ...]] = []
    for row in facts.scores:
        if row.get(name) is not None:
            sides = [row.get(f"{name}_{side}") for side in ("random", "empty", "ceiling")]
            title = method_title(str(row.get("method", "")))
            rows.append((metric.category, metric.title, title, float(row[name]), *sides, better))
    return rows


def _checklist(checklist: Checklist) -> list[html.Html]:
    rows = [
        (
            q.question,
            checklist.answers.get(q.name, "not checked"),
            checklist.remarks.get(q.name, ""),
        )
        for q in CHECKLIST
    ]
    parts = [html.table(("question", "answer", "remark"), rows)]
    if not checklist.complete:
        parts.append(html.paragraph("Not every question has been answered.", "note"))
    if checklist.note:
        parts.append(html.paragraph(f"Note: {checklist.note}"))
    if checklist.reader:
        parts.append(html.paragraph(f"Checked by: {checklist.reader}"))
    return parts


def _provenance(facts: RecordFacts) -> list[html.Html]:
    item = next(iter(facts.maps.values()), None)
    known: dict[str, object] = {
        "record digest": facts.prediction.record_digest,
        "model digest": facts.prediction.model_digest,
        "model": facts.model,
        "source of the model": facts.manifest.source,
        "profile": facts.profile.name,
    }
    if item is not None:
        known["code"] = item.provenance.code_version
    known |= dict(library_versions())
    command = record_command(
        f"{facts.record.name}.hea", facts.model, facts.target, facts.profile, facts.start
    )
    params = json.dumps(facts.profile.as_key(), indent=1, sort_keys=True)
    return [
        html.definitions(known),
        html.paragraph("Command (with your own folders before the names):"),
        html.code_block(command),
        html.section("All parameters", html.code_block(params), folded=True),
    ]
