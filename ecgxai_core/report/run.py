"""The report of a finished run: request, results, and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.metrics import METRICS, SIDE_TITLES
from ecgxai_core.pipeline.run.finished import FinishedRun, read_finished_run
from ecgxai_core.pipeline.run.tables import EVALUATION, FAILURES, STABILITY, SUMMARY
from ecgxai_core.plots.intervals import Bar, interval_svg
from ecgxai_core.report import html
from ecgxai_core.report.commands import run_command
from ecgxai_core.report.record import MAIN_METRICS, class_name, method_title, provenance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run_report"]

_SUMMARY = ("n", "n_undefined", "mean", "ci_low", "ci_high", "values", "better", *SIDE_TITLES)
_MOST_ROWS = 2000


def run_report(run: Path | FinishedRun) -> str:
    """Self-contained HTML; the same run directory gives the same bytes.

    Raises
    ------
    RunError
        The folder contains no finished run.
    """
    found = run if isinstance(run, FinishedRun) else read_finished_run(run)
    summary, failures = found.tables[SUMMARY], html.frame_table(found.tables[FAILURES])
    if found.tables[FAILURES].empty:
        failures = html.paragraph("None: every record was read and explained.")
    return html.document(
        f"Run {found.path.name}",
        html.section("Overview", *_overview(found)),
        html.section("Results by class", *_results(summary)),
        html.section("Failures", failures),
        html.section("Definitions", _meanings(summary)),
        html.section("All tables", *_tables(found)),
        html.section("How to repeat this", *_provenance(found)),
    )


def _overview(found: FinishedRun) -> list[html.Html]:
    manifest, request = found.manifest, found.request
    profile = dict(request.get("profile") or {})
    facts = {
        "data": request.get("data"),
        "model": request.get("model"),
        "profile": profile.get("name"),
        "mode": request.get("mode"),
        "records read": manifest.get("records"),
        "explained": len(manifest.get("units") or ()),
        "failures": manifest.get("failures"),
        "simulated records": "yes: not patients" if found.synthetic else "no",
    }
    parts = [html.definitions({name: html.shown(value) for name, value in facts.items()})]
    if found.altered:
        names = ", ".join(found.altered)
        words = f"Changed since the run ended, and therefore unreliable: {names}"
        parts.append(html.paragraph(words, "banner"))
    return parts


def _results(summary: pd.DataFrame) -> list[html.Html]:
    if summary.empty:
        return [html.paragraph("No record was explained, so there are no results.")]
    parts = [
        html.paragraph(
            "Means over records with confidence intervals, and from fewer than "
            f"{LEAST_RECORDS} records the single values in place of an interval. The vertical tick "
            "is the score of a random map on the same records. 'better' is yes where the map is "
            "better than each reference map, record by record, and else names those that it is "
            "not better than; the R-peak template is shown only.",
            "note",
        )
    ]
    main = summary[summary["metric"].isin(MAIN_METRICS)]
    for target, rows in main.groupby("target", sort=False):
        title = class_name(str(target))
        svg, alt = interval_svg(_bars(rows), title)
        parts.append(html.image(svg, alt))
        columns = ("metric", "map", *(SIDE_TITLES.get(n, n.replace("_", " ")) for n in _SUMMARY))
        listed = [
            (_title(row.metric), method_title(row.method), *_numbers(row)) for row in _each(rows)
        ]
        parts.append(html.section(f"{title}: as a table", html.table(columns, listed), folded=True))
    return parts


def _bars(rows: pd.DataFrame) -> list[Bar]:
    ordered = rows.sort_values("metric", key=lambda m: m.map(MAIN_METRICS.index), kind="stable")
    return [
        (_title(r.metric), method_title(r.method), r.mean, r.ci_low, r.ci_high, r.random)
        for r in _each(ordered)
    ]


def _each(frame: pd.DataFrame) -> Any:
    return frame.itertuples(index=False)


def _numbers(row: Any) -> list[Any]:
    return [_shown(name, getattr(row, name, float("nan"))) for name in _SUMMARY]


def _shown(name: str, value: Any) -> Any:
    if name in ("values", "better"):
        return value if isinstance(value, str) else ""
    return int(value) if name in ("n", "n_undefined") else float(value)


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric


def _meanings(summary: pd.DataFrame) -> html.Html:
    used = set(summary["metric"]) if "metric" in summary else set()
    rows = [
        (m.title, m.category, m.direction, m.chance, m.undefined, m.source)
        for name, m in METRICS.items()
        if name in used
    ]
    columns = ("metric", "category", "better", "chance level", "undefined when", "source")
    return html.section("Metrics of this run", html.table(columns, rows), folded=True)


def _tables(found: FinishedRun) -> list[html.Html]:
    parts = []
    for name in (SUMMARY, EVALUATION, STABILITY):
        frame = found.tables[name]
        listed = html.frame_table(frame, _MOST_ROWS)
        shown = f"{name} ({len(frame)} rows"
        shown += f", the first {_MOST_ROWS} shown)" if len(frame) > _MOST_ROWS else ")"
        parts.append(html.section(shown, listed, folded=True))
    return parts


def _provenance(found: FinishedRun) -> list[html.Html]:
    request = found.request
    known: dict[str, object] = {
        "request digest": found.manifest.get("request_digest"),
        "model digest": request.get("model_digest"),
        "code": request.get("code"),
        **dict(request.get("libraries") or {}),
        **{f"sha256 of {k}": v for k, v in dict(found.manifest.get("tables") or {}).items()},
    }
    return provenance(known, run_command(request), "Complete request", request)
