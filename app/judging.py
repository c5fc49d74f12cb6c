"""Evaluation and stability: tables of the open record and of finished runs, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import frame, jobs, review, runs, services
from app.frame import escaped, target_name
from app.lab import beats
from app.state import View
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import EcgXaiError, ParameterError
from ecgxai_core.metrics import METRICS
from ecgxai_core.params import EvaluationParams
from ecgxai_core.pipeline.comparing import Paired, paired
from ecgxai_core.pipeline.finished import FinishedRun
from ecgxai_core.pipeline.judging import curves_of, priors_shown
from ecgxai_core.pipeline.tables import EVALUATION, STABILITY, SUMMARY
from ecgxai_core.pipeline.units import cached_unit, unit_entry
from ecgxai_core.plots.charts import box_plots, grouped_bars, interval_plot, paired_plot
from ecgxai_core.plots.curves import removal_curves
from ecgxai_core.store.envelope import Entry
from ecgxai_core.types import Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ask_run",
    "columns",
    "judged",
    "metrics_in",
    "open_row",
    "pairwise_panel",
    "priors_panel",
    "record_panel",
    "records_panel",
    "run_facts",
    "shown_table",
    "summary_panel",
    "table_of",
]

_FIRST = ("attauc_strict", "token_attauc_strict", "deletion_gain", "spearman")
_SIDES = {"_random": "random map", "_empty": "empty map", "_ceiling": "best possible"}


def columns() -> dict[str, Any]:
    """Names and formats of the columns of every table here."""
    column = st.column_config
    names = {
        "record": column.TextColumn("Record", pinned=True),
        "target_name": column.TextColumn("Target"),
        "target": None,
        "method": column.TextColumn("Map"),
        "probability": column.NumberColumn("Probability", format="%.3f"),
        "mean": column.NumberColumn("Mean", format="%.3f"),
        "sd": column.NumberColumn("SD", format="%.3f"),
        "ci_low": column.NumberColumn("CI low", format="%.3f"),
        "ci_high": column.NumberColumn("CI high", format="%.3f"),
        "random": column.NumberColumn("Random map", format="%.3f"),
        "empty": column.NumberColumn("Empty map", format="%.3f"),
        "ceiling": column.NumberColumn("Best possible", format="%.3f"),
        "difference": column.NumberColumn("Difference", format="%+.3f"),
    }
    for name, metric in METRICS.items():
        said = f"chance: {metric.chance}; undefined: {metric.undefined}; better: {metric.direction}"
        names[name] = column.NumberColumn(metric.title, format="%.3f", help=said)
        for side, words in _SIDES.items():
            names[f"{name}{side}"] = column.NumberColumn(f"… {words}", format="%.3f")
    return names


def ask_run() -> FinishedRun | None:
    """Choose a finished run; ``None`` where there is none (and the page says what to do)."""
    known = {item.name: item for item in runs.runs()}
    if not known:
        frame.empty(
            "There is no finished run.",
            "Make one with 'ecgxai run', then set ECGXAI_RUNS to its folder, or import it on the "
            "Settings page.",
        )
        return None
    name = st.selectbox("Run", list(known), key="judged-run", width=360)
    try:
        found = runs.read(known[name])
    except EcgXaiError as error:
        st.error(escaped(error), icon=":material/block:")
        return None
    run_facts(found)
    return found


def run_facts(found: FinishedRun) -> None:
    """One line about a run: model, profile, how many; and whether a table was changed since."""
    request = found.request
    profile = dict(request.get("profile") or {}).get("name", "?")
    parts = [
        f"model {request.get('model')} {str(request.get('model_digest', ''))[:12]}",
        f"data {request.get('data')}",
        f"profile {profile}",
        f"{len(found.manifest.get('units') or ())} explained",
        f"{found.manifest.get('failures', 0)} failed",
    ]
    badge = " · :orange-badge[simulated, not patients]" if found.synthetic else ""
    st.caption(escaped(" · ".join(parts)) + badge)
    for name in found.altered:
        st.warning(escaped(f"{name} is not as the run wrote it."))


def metrics_in(table: pd.DataFrame, category: Sequence[str]) -> list[str]:
    """Metrics of some categories that a table has, the main ones first."""
    there = [n for n, m in METRICS.items() if n in table and m.category in category]
    return sorted(there, key=lambda name: (name not in _FIRST, there.index(name)))


def ask_metric(table: pd.DataFrame, category: Sequence[str], key: str) -> str | None:
    """Choose a metric of a table."""
    names = metrics_in(table, category)
    if not names:
        return None
    return st.selectbox("Metric", names, key=key, width=420,
                        format_func=lambda name: METRICS[name].title)  # fmt: skip


def ask_class(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Rows of one class, or of all."""
    names = sorted(table["target_name"].unique())
    if len(names) < 2:
        return table
    picked = st.selectbox("Class", ["All classes", *names], key=key, width=320)
    return table if picked == "All classes" else table[table["target_name"] == picked]


def summary_panel(found: FinishedRun, table: pd.DataFrame, category: Sequence[str]) -> None:
    """Means with intervals, and boxes over records, by class and method."""
    with st.container(horizontal=True):
        metric = ask_metric(table, category, "summary-metric")
        rows = ask_class(table, "summary-class")
    if metric is None or rows.empty:
        frame.empty("This table holds no scores.", "See the failures of the run.")
        return
    title, summary = METRICS[metric].title, found.tables[SUMMARY]
    means = _titled(
        summary[(summary["metric"] == metric) & summary["target_name"].isin(rows["target_name"])]
    )
    st.caption(
        f"Better: {METRICS[metric].direction}. Chance: {METRICS[metric].chance}. "
        "Undefined values are counted in the table and left out of means."
    )
    words = "; ".join(
        f"{row.target_name}, {row.method}: {row.mean:.3f} (random map {row.random:.3f})"
        for row in means.itertuples()
    )
    frame.figure(
        interval_plot(means, title, frame.colours()),
        "means",
        f"Means of {title} with confidence intervals. {words}",
        means,
        file_name=f"means_{metric}",
    )
    st.subheader("Every record")
    shown = rows.assign(target_name=[str(name) for name in rows["target_name"]])
    frame.figure(
        box_plots(_titled(shown), metric, title, frame.colours()),
        "boxes",
        f"{title} of every record as boxes by class and map. {words}",
        file_name=f"boxes_{metric}",
    )


def _titled(rows: pd.DataFrame) -> pd.DataFrame:
    """Methods by their names for people."""
    return rows.assign(method=[review.method_title(str(name)) for name in rows["method"]])


def records_panel(view: View, table: pd.DataFrame, category: Sequence[str], name: str) -> None:
    """A row a record and map; a click opens the record."""
    rows = ask_class(table, f"{name}-class")
    picked = shown_table(rows, category, name, select=True)
    if picked is not None:
        open_row(view, rows.iloc[picked])


def shown_table(
    rows: pd.DataFrame, category: Sequence[str], name: str, *, select: bool = False
) -> int | None:
    """A table of scores, main columns first; returns the row that was clicked."""
    main = [m for m in metrics_in(rows, category) if m in _FIRST]
    beside = [f"{m}{side}" for m in main for side in _SIDES if f"{m}{side}" in rows]
    rest = [m for m in metrics_in(rows, category) if m not in main]
    extra = [c for c in ("probability", "probability_extra_beat", "converged") if c in rows]
    keys = ["record", "target_name", "method"]
    order = [c for m in main for c in (m, *(b for b in beside if b.startswith(m + "_")))]
    more = {"on_select": "rerun", "selection_mode": "single-row"} if select else {}
    event = frame.table(
        _titled(rows),
        name,
        f"{name}.csv",
        hint="Select a row to open the record." if select else "",
        column_order=[*keys, *dict.fromkeys(order), *extra, *rest],
        column_config=columns(),
        **more,
    )
    chosen = event.selection.rows if select else []
    return int(chosen[0]) if chosen else None


def open_row(view: View, row: Mapping[str, Any] | pd.Series) -> None:
    """Open the record of a row, where the chosen data set has it."""
    found = services.predictions(view)
    name = str(row["record"])
    if found is not None and name in {info.name for info in found.records}:
        frame.go_to("explain", record=name, target=str(row["target"]))
    st.warning(
        escaped(f"{name} is not in the chosen data set; choose the run's data in the sidebar.")
    )


def pairwise_panel(table: pd.DataFrame, category: Sequence[str], params: EvaluationParams) -> None:
    """Two methods on the same records."""
    methods = sorted(table["method"].unique())
    if len(methods) < 2:
        frame.empty("There is one map only.", "A comparison needs two methods.")
        return
    with st.container(horizontal=True):
        metric = ask_metric(table, category, "pair-metric")
        one = st.selectbox("First", methods, index=0, key="pair-one", width=160,
                           format_func=review.method_title)  # fmt: skip
        others = [name for name in methods if name != one]
        other = st.selectbox("Second", others, key="pair-other", width=160,
                             format_func=review.method_title)  # fmt: skip
    if metric is None:
        return
    try:
        found = paired(table, metric, one, other, params)
    except ParameterError as error:
        st.error(escaped(error))
        return
    if not found.n:
        frame.empty("No record has this score for both.", "Choose another metric.")
        return
    first, second = review.method_title(one), review.method_title(other)
    rows = found.frame.rename(columns={one: first, other: second})
    words = _pair_words(found, metric, first, second, params.confidence)
    st.markdown(escaped(words))
    title = METRICS[metric].title
    frame.figure(
        paired_plot(rows, first, second, title, frame.colours()),
        "pairs", words, file_name=f"pairs_{metric}",
    )  # fmt: skip
    frame.table(rows, "pair-table", f"pairs_{metric}.csv", column_config={
        **columns(),
        **{m: st.column_config.NumberColumn(m, format="%.3f") for m in (first, second)},
    })  # fmt: skip


def _pair_words(found: Paired, metric: str, one: str, other: str, level: float) -> str:
    better = METRICS[metric].direction
    low, high = found.interval
    sure = "which excludes 0" if low > 0 or high < 0 else "which includes 0: no clear difference"
    band = (
        f"{level:.0%} interval {low:+.3f} to {high:+.3f}, {sure}" if found.n > 1 else "one record"
    )
    return (
        f"{METRICS[metric].title} ({better} is better), {other} minus {one}: "
        f"{found.mean:+.3f} ({band}). Over {found.n} records {other} is higher on "
        f"{found.higher}, lower on {found.lower}, equal on {found.equal}."
    )


def judged(view: View, record: Record) -> Entry | None:
    """Scores of the view's record: from the cache, or after the job that the reader starts."""
    code, chosen, store = services.target(view), services.classifier(view), services.store(view)
    params, data = view.parameters, services.data_set(view)
    entry = cached_unit(record, chosen, code, params, store, start_sec=view.start)
    if entry is not None:
        return entry
    scope = data.path if data is not None and data.own else ""
    key = f"unit:{scope}:{record.digest}:{chosen.digest}:{code}:{view.start}:"
    key += params.model_dump_json()
    job = jobs.get(key)
    if job is not None and job.state != "done":
        jobs.show(job)
        return None
    if job is not None:
        done: Entry = job.result
        return done

    def work(progress: jobs.Progress) -> Entry:
        return unit_entry(
            record, chosen, code, params, store, start_sec=view.start, progress=progress
        )

    frame.empty(
        "This record has not been judged yet (target, profile and fusion as chosen).",
        "It is explained if need be, asked about with cells removed, and explained again with one "
        "beat doubled; in the background.",
    )
    if st.button("Judge this record", type="primary", icon=":material/play_arrow:"):
        jobs.start(key, f"Judging {record.name}", work)
        st.rerun()
    return None


def record_panel(entry: Entry) -> None:
    """Scores of one record's maps, and its deletion and insertion curves."""
    import pandas as pd

    rows = pd.DataFrame(entry.meta["evaluation"])
    category = ("plausibility", "faithfulness")
    with st.container(horizontal=True):
        metric = ask_metric(rows, category, "record-metric")
    if metric is not None:
        title = METRICS[metric].title
        numbers = rows[["method", metric]].assign(
            method=[review.method_title(name) for name in rows["method"]],
            **{side: rows.get(f"{metric}{tail}") for tail, side in _SIDES.items()},
        )
        three = st.column_config.NumberColumn(format="%.3f")
        st.caption(f"Better: {METRICS[metric].direction}. Chance: {METRICS[metric].chance}.")
        frame.table(
            numbers.rename(columns={"method": "map", metric: title}), "record-scores",
            f"record_{metric}.csv", column_config=dict.fromkeys((title, *_SIDES.values()), three),
        )  # fmt: skip
    st.subheader("Deletion and insertion")
    curves = {review.method_title(name): item for name, item in curves_of(entry).items()}
    if curves:
        frame.figure(
            removal_curves(curves, frame.colours()),
            "curves",
            "Probability while the record is removed and shown, most important first: "
            + ", ".join(curves)
            + "; the band holds 90 % of random orders.",
            file_name="curves",
        )
    with st.expander("Every score of this record"):
        shown_table(rows, category, "record-table")


def priors_panel(view: View, record: Record) -> None:
    """What a score is worth once lead priors are blended into the map."""
    found = review.maps(view)
    row = find_diagnosis(services.target(view))
    if not found or row is None or not row.has_evidence:
        frame.empty(
            "There is nothing to show the trap with.",
            "Explain this record first, and choose a target with expected leads and windows.",
        )
        return
    rows = priors_shown(found, row, beats(record), view.parameters.evaluation)
    leads = st.segmented_control(
        "Leads", ("strict", "lenient"), default="strict", required=True, key="priors-leads"
    )
    with_priors = st.toggle("Blend lead priors into the scores", key="priors-on")
    shown = rows[rows["leads"] == leads]
    shown = shown.assign(map=[review.method_title(name) for name in shown["map"]])
    nothing = shown[shown["map"] == "empty map"].iloc[0]
    bars = {"without": "map alone"} | ({"with_priors": "with lead priors"} if with_priors else {})
    words = (
        f"Blended with priors, the empty map scores {nothing['with_priors']:.2f}; alone "
        f"{nothing['without']:.2f}. The blend repeats the answer key: nothing is learnt about the "
        "model."
    )
    if with_priors:
        st.warning(escaped(words), icon=":material/report:")
    frame.figure(
        grouped_bars(shown, "map", bars, frame.colours(), title=f"AttAUC ({leads})", chance=0.5),
        "priors",
        f"AttAUC of {target_name(row.code)} by map; chance 0.5. {words if with_priors else ''}",
        shown,
        file_name="priors",
    )


def table_of(found: FinishedRun, name: str) -> pd.DataFrame:
    """A table of a run."""
    return found.tables[{"evaluation": EVALUATION, "stability": STABILITY}[name]]
