"""Cohorts of records as a self-contained page: mean maps, what differs, outlying records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgxai_core.audit.card_evidence import WAVES
from ecgxai_core.audit.cohort import Cohort, Difference, cell_table, outliers
from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.params import EvaluationParams
from ecgxai_core.plots.cohort import cohort_svg
from ecgxai_core.report import html
from ecgxai_core.report.record import class_name, method_title
from ecgxai_core.types import BoolArray, FloatArray

__all__ = [
    "LEVEL",
    "cohort_panels",
    "cohort_report",
    "cohort_words",
    "difference_words",
    "differing",
    "short_names",
]

LEVEL = 0.05
"""Corrected p value from which on a cell is called different."""


def differing(found: Difference) -> list[tuple[str, int, float, float]]:
    """Wave, place of the lead, difference and p of the cells that differ, the largest first."""
    with np.errstate(invalid="ignore"):
        cells = np.argwhere(found.p < LEVEL)
    rows = [
        (list(WAVES)[row], int(column), float(found.difference[row, column]),
         float(found.p[row, column]))
        for row, column in cells
    ]  # fmt: skip
    return sorted(rows, key=lambda item: -abs(item[2]))


def short_names(cohorts: Sequence[Cohort]) -> tuple[str, ...]:
    """Names of cohorts that stand together, without the model or data that they share."""
    parts = [one.name.rsplit(", ", 2) for one in cohorts]
    differ = [len(set(column)) > 1 for column in zip(*parts, strict=False)]
    kept = differ if any(differ) else [True]
    return tuple(
        ", ".join(part for part, yes in zip(own, kept, strict=False) if yes) for own in parts
    )


def cohort_words(cohort: Cohort, most: int = 3) -> str:
    """Where the mean map of a cohort has most of its weight, in a sentence."""
    mean, waves = cohort.mean, list(WAVES)
    named = []
    for place in np.argsort(-np.abs(mean), axis=None, kind="stable")[:most]:
        row, column = divmod(int(place), mean.shape[1])
        share, side = float(mean[row, column]), "for" if mean[row, column] > 0 else "against"
        if share:
            named.append(f"{waves[row]} in {cohort.leads[column]} ({abs(share):.0%}, {side})")
    name = cohort.name.rsplit(", ", 2)[0]
    return f"Largest parts of the map, {name}: {', '.join(named) or 'none'}."


def difference_words(one: Cohort, other: Cohort, found: Difference) -> str:
    """Where two cohorts differ, in a sentence."""
    if not np.isfinite(found.p).any():
        whose = "the cohorts share" if found.paired else "one of the cohorts has"
        return f"No test: {whose} fewer than {LEAST_RECORDS} records."
    cells = differing(found)
    names = short_names((one, other))
    if not cells:
        return (
            f"No wave and lead differs between {names[0]} and {names[1]} (all corrected p of "
            f"{LEVEL:g} or more)."
        )
    named = ", ".join(f"{wave} in {one.leads[column]} ({100 * gap:+.1f} points)"
                      for wave, column, gap, _ in cells[:8])  # fmt: skip
    more = f" and {len(cells) - 8} more" if len(cells) > 8 else ""
    return f"{names[0]} minus {names[1]} differs in: {named}{more} (corrected p < {LEVEL:g})."


def cohort_panels(
    cohorts: Sequence[Cohort], found: Difference | None
) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
    """What is drawn: mean maps and their difference by title, and the cells that differ."""
    panels = {
        f"{name} (n = {len(one.records)}), % of the map": one.mean
        for name, one in zip(short_names(cohorts), cohorts, strict=True)
    }
    if found is None:
        return panels, {}
    title = f"difference, % points; framed: corrected p < {LEVEL:g}"
    with np.errstate(invalid="ignore"):
        marked = {title: np.asarray(found.p < LEVEL, np.bool_)}
    return panels | {title: found.difference}, marked


def cohort_report(
    cohorts: Sequence[Cohort], found: Difference | None, params: EvaluationParams
) -> str:
    """Self-contained HTML; one or two cohorts, and with two how they differ."""
    first = cohorts[0]
    panels, marked = cohort_panels(cohorts, found)
    svg = cohort_svg(panels, list(WAVES), first.leads, marked)
    note = (
        "Each record counts once: its signed weight in every wave and lead over the sum of its "
        "|weight|. Orange speaks for the target, purple against. This shows what the model uses on "
        "these records, not what it should use."
    )
    parts = [html.paragraph(f"{method_title(first.method)}, {class_name(first.target)}", "muted")]
    if any(c.synthetic for c in cohorts):
        parts.append(html.paragraph("Simulated records: not patients.", "banner"))
    parts.append(html.paragraph(note, "note"))
    if found is not None:
        how = "record by record" if found.paired else "between groups"
        said = difference_words(cohorts[0], cohorts[1], found)
        parts.append(html.paragraph(f"{said} Compared {how}, by permutation of the largest |t|."))
    parts.append(html.image(svg, f"Mean share of the map by wave and lead: {', '.join(panels)}"))
    return html.document("Cohort: " + " and ".join(c.name for c in cohorts), *parts, *(
        html.section(cohort.name, *_of_one(cohort, params)) for cohort in cohorts
    ))  # fmt: skip


def _of_one(cohort: Cohort, params: EvaluationParams) -> list[html.Html]:
    far = outliers(cohort)
    explained = (
        f"{len(cohort.records)} records explained of {cohort.found} that belong to the cohort; "
        f"{len(cohort.failures)} could not be used."
    )
    rows = [(record.name, record.probability, distance) for record, distance in far]
    table = cell_table(cohort, params)
    return [
        html.paragraph(explained),
        html.section(
            f"Outlying records ({len(far)})",
            html.table(("record", "probability", "distance from the median map"), rows)
            if rows
            else html.paragraph("None lies far from the others."),
            folded=True,
        ),
        html.section("Every wave and lead", html.frame_table(table), folded=True),
        html.section(
            "Failures",
            html.table(("record", "reason"), [(f.record, f.reason) for f in cohort.failures])
            if cohort.failures
            else html.paragraph("None."),
            folded=True,
        ),
    ]
