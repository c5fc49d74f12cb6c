"""Which measured features a model uses, as a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence

from ecgxai_core.audit.concepts import FEATURES, Concept, Concepts, change_words, to_frame
from ecgxai_core.diagnoses import term_of
from ecgxai_core.plots.concepts import ConceptLine, concepts_svg
from ecgxai_core.report import html
from ecgxai_core.report.record import class_name, method_title

__all__ = ["concepts_figure", "concepts_report", "concepts_words"]

_NOTE = (
    "Over records: does the output follow the feature when all the others are held (partial rank "
    "correlation)? On each record: does the output move when this feature alone is changed? Used: "
    "both, in one direction. Not used: neither, and precise enough to say so. All p values are "
    "corrected for the share of false discoveries. This shows what the model uses, not what it "
    "should use; a feature that is not measured here may be what it reads."
)


def concepts_figure(found: Concepts) -> bytes:
    """Both tests of every feature as SVG."""
    name = term_of(found.target).name
    return concepts_svg([_line(one) for one in found.table], f"{name}, n = {len(found.records)}")


def _line(one: Concept) -> ConceptLine:
    scale = one.least or float("nan")
    return ConceptLine(
        FEATURES[one.feature].title, one.verdict,
        (one.output.r, one.output.low, one.output.high),
        (one.weight.r, one.weight.low, one.weight.high),
        (one.move / scale, one.interval.low / scale, one.interval.high / scale),
    )  # fmt: skip


def concepts_words(found: Concepts) -> str:
    """What is used, not used, and left open, in a sentence."""
    parts = []
    for verdict in ("used", "not used", "cannot tell"):
        own = [FEATURES[one.feature].title for one in found.table if one.verdict == verdict]
        parts.append(f"{verdict}: {', '.join(own) or 'none'}")
    return f"{term_of(found.target).name} ({len(found.records)} records): {'; '.join(parts)}."


def concepts_report(found: Sequence[Concepts], model: str) -> str:
    """Self-contained HTML: for every diagnosis a figure, the verdicts, and all numbers."""
    parts = [html.paragraph(_NOTE, "note")]
    if any(one.synthetic for one in found):
        parts.insert(0, html.paragraph("Simulated records: not patients.", "banner"))
    return html.document(
        f"What {model} uses", *parts,
        *(html.section(class_name(one.target), *_of_one(one)) for one in found),
    )  # fmt: skip


def _of_one(found: Concepts) -> list[html.Html]:
    rows = [
        (FEATURES[one.feature].title, one.verdict, one.why, change_words(FEATURES[one.feature]))
        for one in found.table
    ]
    how = "No maps." if found.method is None else f"Maps by {method_title(found.method)}."
    leads = f" ST level and T amplitude of {', '.join(found.leads)}." if found.leads else ""
    failed = [(one.record, one.reason) for one in found.failures]
    return [
        html.image(concepts_figure(found), concepts_words(found)),
        html.paragraph(f"{len(found.records)} records. {how}{leads}"),
        html.table(("feature", "verdict", "why", "changed on the record"), rows),
        html.section("All numbers", html.frame_table(to_frame(found)), folded=True),
        html.section(
            f"Failures ({len(failed)})",
            html.table(("record", "reason"), failed) if failed else html.paragraph("None."),
            folded=True,
        ),
    ]
