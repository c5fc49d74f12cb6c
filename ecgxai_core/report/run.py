"""The report of a finished run: what was asked, what came out, and the command that repeats it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgxai_core.metrics import METRICS
from ecgxai_core.pipeline.finished import FinishedRun, read_finished_run
from ecgxai_core.pipeline.tables import EVALUATION, FAILURES, STABILITY, SUMMARY
from ecgxai_core.plots.intervals import interval_svg
from ecgxai_core.report import html
from ecgxai_core.report.commands import run_command
from ecgxai_core.report.record import MAIN_METRICS, class_name, method_title

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run_report"]

_SUMMARY = ("n", "n_undefined", "mean", "ci_low", "ci_high", "random", "empty", "ceiling")
_MOST_ROWS = 2000


def run_report(run: Path | FinishedRun) -> str:
    """Self-contained HTML; the same run directory gives the same bytes.

    Raises
    ------
    RunError
        The folder holds no finished run.
    """
    found = run if isinstance(run, FinishedRun) else read_finished_run(run)
    summary = found.tables[SUMMARY]
    return html.document(
        f"Run {found.path.name}",
        html.section("What was done", *_overview(found)),
        html.section("Results by class", *_results(summary)),
        html.section("Failures", *_failures(found.tables[FAILURES])),
        html.section("What the numbers mean", *_meanings(summary)),
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
        "records are simulated": "yes: not patients" if found.synthetic else "no",
    }
    parts = [html.definitions({name: html.shown(value) for name, value in facts.items()})]
    if found.altered:
        names = ", ".join(found.altered)
        parts.append(
            html.paragraph(
                f"Changed since the run ended, so not to be relied on: {names}", "banner"
            )
        )
    return parts


def _results(summary: pd.DataFrame) -> list[html.Html]:
    if summary.empty:
        return [html.paragraph("Nothing was explained, so there is nothing to judge.")]
    parts = [
        html.paragraph(
            "Means over records with confidence intervals. The vertical tick is what a random map "
            "reaches on the same records: a mean whose interval covers it says nothing.",
            "note",
        )
    ]
    main = summary[summary["metric"].isin(MAIN_METRICS)]
    for target, rows in main.groupby("target", sort=False):
        title = class_name(str(target))
        svg, alt = interval_svg(_bars(rows), title)
        parts.append(html.image(svg, alt))
        columns = ("metric", "map", *(name.replace("_", " ") for name in _SUMMARY))
        listed = [
            (_title(row.metric), method_title(row.method), *_numbers(row)) for row in _each(rows)
        ]
        parts.append(html.section(f"{title}: as a table", html.table(columns, listed), folded=True))
    return parts


def _bars(rows: pd.DataFrame) -> list[tuple[str, str, float, float, float, float]]:
    return [
        (_title(r.metric), method_title(r.method), r.mean, r.ci_low, r.ci_high, r.random)
        for r in _each(rows.sort_values("metric", key=_places, kind="stable"))
    ]


def _places(metrics: pd.Series[str]) -> pd.Series[int]:
    return metrics.map(MAIN_METRICS.index)


def _each(frame: pd.DataFrame) -> Any:
    return frame.itertuples(index=False)


def _numbers(row: Any) -> list[Any]:
    values = [getattr(row, name) for name in _SUMMARY]
    return [int(value) if name.startswith("n") else float(value)
            for name, value in zip(_SUMMARY, values, strict=True)]  # fmt: skip


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric


def _failures(frame: pd.DataFrame) -> list[html.Html]:
    if frame.empty:
        return [html.paragraph("None: every record was read, and every unit explained.")]
    return [html.table(("record", "reason"), frame.itertuples(index=False, name=None))]


def _meanings(summary: pd.DataFrame) -> list[html.Html]:
    used = set(summary["metric"]) if "metric" in summary else set()
    rows = [
        (m.title, m.category, m.direction, m.chance, m.undefined, m.source)
        for name, m in METRICS.items()
        if name in used
    ]
    columns = ("metric", "judges", "better", "a map without knowledge", "undefined when", "source")
    return [html.section("Metrics of this run", html.table(columns, rows), folded=True)]


def _tables(found: FinishedRun) -> list[html.Html]:
    parts = []
    for name in (SUMMARY, EVALUATION, STABILITY):
        frame = found.tables[name]
        rows = frame.head(_MOST_ROWS).itertuples(index=False, name=None)
        listed = html.table([str(column) for column in frame.columns], rows)
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
    request_text = json.dumps(request, indent=1, sort_keys=True)
    return [
        html.definitions({name: html.shown(value) for name, value in known.items()}),
        html.paragraph("Command (with your own folders before the names):"),
        html.code_block(run_command(request)),
        html.section("The whole request", html.code_block(request_text), folded=True),
    ]
