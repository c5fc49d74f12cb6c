"""Evaluation and stability: curves and tables of the open record, and of finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.data import runs, services, work
from app.panels import ecg, record_maps
from app.shell import controls, frame, jobs
from app.shell.frame import escaped, target_name
from app.shell.state import FUSED, View
from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.metrics import METRICS, SIDE_TITLES
from ecgxai_core.params import EvaluationParams
from ecgxai_core.pipeline.compare import Paired, paired
from ecgxai_core.pipeline.evaluation import curves_of, priors_shown
from ecgxai_core.pipeline.given_maps import content_key
from ecgxai_core.pipeline.headlines import (
    evaluation_details,
    evaluation_headline,
    evaluation_in_brief,
    run_headline,
)
from ecgxai_core.pipeline.run.finished import FinishedRun
from ecgxai_core.pipeline.run.tables import EVALUATION, STABILITY, SUMMARY
from ecgxai_core.pipeline.run.units import cached_unit
from ecgxai_core.plots.charts import box_plots, grouped_bars, interval_plot, paired_plot
from ecgxai_core.plots.curves import curve_table, removal_curves
from ecgxai_core.signal.segments import SEGMENT_SEC
from ecgxai_core.store.envelope import Entry
from ecgxai_core.types import Attribution, Map, Record, is_preview

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("attauc_strict", "token_attauc_strict", "deletion_gain", "spearman")
_SIDES = {f"_{side}": title for side, title in SIDE_TITLES.items()}
_LONG_WINDOW_SEC = 0.2
"""Windows from this length on hold more than one wave of a beat."""


def columns() -> dict[str, Any]:
    """Names and formats of the columns of every table here."""
    column = st.column_config
    names = {
        "record": column.TextColumn("Record", pinned=True),
        "target_name": column.TextColumn("Target"),
        "target": None,
        "method": column.TextColumn("Map"),
        "probability": column.NumberColumn("Probability", format="%.3f"),
        "difference": column.NumberColumn("Difference", format="%+.3f"),
    }
    for name, metric in METRICS.items():
        said = f"chance: {metric.chance}; undefined: {metric.undefined}; better: {metric.direction}"
        names[name] = column.NumberColumn(metric.title, format="%.3f", help=said)
        for side, words in _SIDES.items():
            names[f"{name}{side}"] = column.NumberColumn(f"… {words}", format="%.3f")
    return names


def run_part(view: View, table_name: str, category: Sequence[str], why_empty: str) -> None:
    """A finished run: by class, by record and pairwise; ``why_empty`` explains an empty table."""
    run = _ask_run()
    if run is None:
        return
    table = run.tables[table_name]
    if table.empty:
        frame.empty("This table holds no record.", why_empty)
        return
    name = {EVALUATION: "evaluation", STABILITY: "stability"}[table_name]
    classes, records, pairs = st.tabs(["By class", "By record", "Pairwise"])
    with classes:
        _summary(run, table, category)
    with records:
        rows = _ask_class(table, f"{name}-class")
        hint = "Select a row to open the record."
        picked = _scores(rows, category, name, frame.picked_row, hint=hint)
        if picked is not None:
            _open(view, picked, str(run.request.get("data")))
    with pairs:
        _pairwise(table, category, view.parameters.evaluation)


def _ask_run() -> FinishedRun | None:
    """Choose a finished run; ``None`` if there is none (and the page says what to do)."""
    known = {item.name: item for item in runs.runs()}
    if not known:
        frame.empty(
            "There is no finished run.",
            "Make one with 'ecgxai run', then set ECGXAI_RUNS to its folder, or import it on the "
            "Settings page.",
        )
        return None
    name = st.selectbox("Run", list(known), key="evaluated-run", width=360)
    with frame.refusals():
        found = runs.read(known[name])
    _answer_of_run(found)
    st.caption(run_facts(found))
    for table in found.altered:
        st.warning(escaped(f"{table} is not as the run wrote it."))
    return found


def _answer_of_run(found: FinishedRun) -> None:
    """One sentence on the run's fused map, or on each of its maps where none is fused."""
    rows, stable = found.tables[EVALUATION], found.tables[STABILITY]
    if rows.empty:
        return
    methods = sorted(rows["method"].unique())
    for name in ["fused"] if "fused" in methods else methods:
        own = stable[stable["method"] == name] if "method" in stable else stable
        said = run_headline(record_maps.method_title(name), rows[rows["method"] == name], own)
        st.markdown(f"**{escaped(said)}**")


def run_facts(found: FinishedRun) -> str:
    """One line about a run, safe as markdown: model, data, profile, and how many records."""
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
    return escaped(" · ".join(parts)) + badge


def metrics_in(table: pd.DataFrame, category: Sequence[str]) -> list[str]:
    """Metrics of some categories that a table has, the main ones first."""
    there = [n for n, m in METRICS.items() if n in table and m.category in category]
    return sorted(there, key=lambda name: (name not in _FIRST, there.index(name)))


def _ask_metric(table: pd.DataFrame, category: Sequence[str], key: str) -> str | None:
    """Choose a metric of a table."""
    names = metrics_in(table, category)
    if not names:
        return None
    return st.selectbox("Metric", names, key=key, width=420,
                        format_func=lambda name: METRICS[name].title)  # fmt: skip


def _ask_class(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Rows of one class, or of all."""
    names = sorted(table["target_name"].unique())
    if len(names) < 2:
        return table
    picked = st.selectbox("Class", ["All classes", *names], key=key, width=320)
    return table if picked == "All classes" else table[table["target_name"] == picked]


def _summary(found: FinishedRun, table: pd.DataFrame, category: Sequence[str]) -> None:
    """Means with intervals, and boxes over records, by class and method."""
    with st.container(horizontal=True):
        metric = _ask_metric(table, category, "summary-metric")
        rows = _ask_class(table, "summary-class")
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
    if "better" in means:
        said = "; ".join(
            f"{row.target_name}, {row.method}: {_better_words(row.better)}"
            for row in means.itertuples()
            if isinstance(row.better, str) and row.better
        )
        if said:
            st.markdown(escaped(f"Compared record by record with each reference map: {said}."))
    st.subheader("Every record")
    shown = rows.assign(target_name=[str(name) for name in rows["target_name"]])
    frame.figure(
        box_plots(_titled(shown), metric, title, frame.colours()),
        "boxes",
        f"{title} of every record as boxes by class and map. {words}",
        file_name=f"boxes_{metric}",
    )


def _better_words(better: str) -> str:
    if better == "yes":
        return "better than all"
    if better == "too few":
        return f"fewer than {LEAST_RECORDS} records"
    return "not better than " + ", ".join(SIDE_TITLES.get(n, n) for n in better.split(", "))


def _titled(rows: pd.DataFrame) -> pd.DataFrame:
    """Methods by their names for people."""
    return rows.assign(method=[record_maps.method_title(str(name)) for name in rows["method"]])


def _scores(
    rows: pd.DataFrame, category: Sequence[str], name: str, table: Callable[..., Any], **more: Any
) -> Any:
    """A table of scores, the main ones first with their references; returns what ``table`` does."""
    metrics = metrics_in(rows, category)
    main = [m for m in metrics if m in _FIRST]
    order = [c for m in main for c in (m, *(f"{m}{side}" for side in _SIDES)) if c in rows]
    extra = [c for c in ("probability", "probability_extra_beat", "converged") if c in rows]
    rest = [m for m in metrics if m not in main]
    return table(
        _titled(rows), name, f"{name}.csv", column_config=columns(),
        column_order=["record", "target_name", "method", *order, *extra, *rest], **more,
    )  # fmt: skip


def _open(view: View, row: pd.Series, folder: str) -> None:
    """Open the record of a row in the run's own data, a data set whose folder is called so; else in
    the chosen data set, if that has it."""
    name, code = str(row["record"]), str(row["target"])
    own = next((item.name for item in services.data_sets() if item.path.name == folder), None)
    if own is not None:
        frame.go_to("explain", data=own, record=name, target=code)
    found = services.predictions(view)
    if found is not None and name in found.places:
        frame.go_to("explain", record=name, target=code)
    st.warning(
        escaped(f"{name} is not here: the run's data, {folder}, is not among the data sets.")
    )


def _pairwise(table: pd.DataFrame, category: Sequence[str], params: EvaluationParams) -> None:
    """Two methods on the same records."""
    methods = sorted(table["method"].unique())
    if len(methods) < 2:
        frame.empty("There is one map only.", "A comparison needs two methods.")
        return
    with st.container(horizontal=True):
        metric = _ask_metric(table, category, "pair-metric")
        one = st.selectbox("First", methods, index=0, key="pair-one", width=160,
                           format_func=record_maps.method_title)  # fmt: skip
        others = [name for name in methods if name != one]
        other = st.selectbox("Second", others, key="pair-other", width=160,
                             format_func=record_maps.method_title)  # fmt: skip
    if metric is None:
        return
    with frame.refusals():
        found = paired(table, metric, one, other, params)
    if not found.n:
        frame.empty("No record has this score for both.", "Choose another metric.")
        return
    first, second = record_maps.method_title(one), record_maps.method_title(other)
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
        f"{level:.0%} interval {low:+.3f} to {high:+.3f}, {sure}"
        if low == low
        else f"no interval: fewer than {LEAST_RECORDS} records"
        if found.n < LEAST_RECORDS
        else "no interval: all differences are equal"
    )
    return (
        f"{METRICS[metric].title} ({better} is better), {other} minus {one}: "
        f"{found.mean:+.3f} ({band}). Over {found.n} records {other} is higher on "
        f"{found.higher}, lower on {found.lower}, equal on {found.equal}."
    )


def evaluated(view: View, record: Record, given: Mapping[str, Attribution]) -> Entry | None:
    """Scores of the view's record and of maps from elsewhere: from the cache, or after the job that
    the reader starts."""
    case, params = services.case(view, record), view.parameters
    entry = cached_unit(case, params, services.store(view), given)
    if entry is not None:
        return entry
    maps = tuple(content_key(given).items())
    key = services.job_key("unit", view, record, params.model_dump_json(), *maps)

    def begin() -> None:
        jobs.start(
            key, f"Evaluating {record.name}", work.evaluation, services.case_file(view, record),
            params, given, cost=services.unit_passes(view),
        )  # fmt: skip

    found: Entry | None = frame.offer(
        key, "Evaluate this record", begin,
        "This record has not been evaluated yet (target, profile, fusion and maps as chosen).",
        "In the background it is explained if necessary, evaluated with cells removed, and "
        "explained again with one beat doubled.",
    )  # fmt: skip
    return found


_RANDOM = (
    "Random, everywhere on this page: the same cells in random order (grey: the middle 90 % of "
    "such orders). Signal alone: a map of its amplitude, or of its squared slope, whatever the "
    "model says."
)


def _map_in_view(view: View, entry: Entry) -> str:
    """The map that the page is about: the one in view, else the fused one."""
    known = [row["method"] for row in entry.meta["evaluation"]]
    return view.method if view.method in known else FUSED


def record_answer_line(view: View, entry: Entry) -> None:
    """The record's evaluation: the verdicts on the map in view, else on the fused one, in bold, and
    what else is known of it."""
    rows = {row["method"]: row for row in entry.meta["evaluation"]}
    tested = {row["method"]: row for row in entry.meta["stability"]}
    name = _map_in_view(view, entry)
    if name not in rows:
        return
    parts = view.parameters.methods if name == FUSED else ()
    singles = {record_maps.method_title(part): rows[part] for part in parts if part in rows}
    said = evaluation_headline(record_maps.method_title(name), rows[name], singles)
    more = evaluation_details(rows[name], tested.get(name), singles)
    st.markdown(f"**{escaped(said)}**  \n{escaped(more)} One record is an observation, not a test.")
    window_note(view)


def in_brief(view: View, record: Record, overlay: Map) -> str:
    """How far a map of the record can be believed, where it is evaluated; plain text. Read once
    while the map is looked at: an evaluation holds curves and maps too."""
    if is_preview(overlay):
        return ""
    case, params = services.case(view, record), view.parameters
    key = (case.key(), params.as_key(), overlay.method)
    kept = st.session_state.get("in-brief")
    if kept is None or kept[0] != key or kept[1] is None:  # it may have been evaluated since
        entry = cached_unit(case, params, services.store(view))
        said = None if entry is None else _brief(entry, overlay.method)
        kept = st.session_state["in-brief"] = (key, said)
    return kept[1] or ""


def _brief(entry: Entry, method: str) -> str:
    rows, tested = (
        {row["method"]: row for row in entry.meta[kind]} for kind in ("evaluation", "stability")
    )
    return evaluation_in_brief(rows[method], tested.get(method)) if method in rows else ""


def window_note(view: View) -> None:
    """What windows that cut through beats cannot show, where the map is made of them."""
    params = view.parameters.for_method(record_maps.wanted_methods(view)[0])
    row = find_diagnosis(services.target(view))
    length = params.window_sec or (row.segment_sec if row is not None else SEGMENT_SEC)
    if params.segments == "uniform" and length >= _LONG_WINDOW_SEC:
        st.caption(
            f"Windows of {length:g} s cut through beats: the map cannot tell QRS from ST or T. "
            "Choose Waves above for a map that can."
        )


def record_curves(view: View, entry: Entry) -> None:
    """Deletion and insertion of one record's maps, beside random orders and the signal alone."""
    curves = {record_maps.method_title(name): item for name, item in curves_of(entry).items()}
    if not curves:
        return
    shown = record_maps.method_title(_map_in_view(view, entry))
    frame.figure(
        removal_curves(curves, frame.colours(), shown=shown, narrow=frame.on_phone()),
        "curves",
        "Probability while the record is removed and shown, most important first: "
        + ", ".join(curves)
        + "; beside them the signal's amplitude and slope alone, and random orders.",
        curve_table(curves),
        file_name="curves",
    )
    st.caption(_RANDOM)


def record_panel(entry: Entry) -> None:
    """Scores of one record's maps."""
    import pandas as pd

    rows = pd.DataFrame(entry.meta["evaluation"])
    category = ("plausibility", "faithfulness")
    with st.container(horizontal=True):
        metric = _ask_metric(rows, category, "record-metric")
    if metric is not None:
        title = METRICS[metric].title
        numbers = rows[["method", metric]].assign(
            method=[record_maps.method_title(name) for name in rows["method"]],
            **{
                side: rows[f"{metric}{tail}"]
                for tail, side in _SIDES.items()
                if f"{metric}{tail}" in rows
            },
        )
        three = st.column_config.NumberColumn(format="%.3f")
        st.caption(
            f"Better: {METRICS[metric].direction}. Chance: {METRICS[metric].chance}. "
            "Empty map: no weight anywhere."
        )
        frame.table(
            numbers.rename(columns={"method": "map", metric: title}), "record-scores",
            f"record_{metric}.csv", column_config=dict.fromkeys((title, *_SIDES.values()), three),
        )  # fmt: skip
    with st.expander("Every score of this record"):
        _scores(rows, category, "record-table", frame.table)


def priors_panel(view: View, record: Record) -> None:
    """What a score is worth once lead priors are blended into the map."""
    found = record_maps.maps_of(view, record)
    row = find_diagnosis(services.target(view))
    if not found or row is None or not row.has_evidence:
        frame.empty(
            "There is nothing to show the trap with.",
            "Explain this record first, and choose a target with expected leads and windows.",
        )
        return
    rows = priors_shown(found, row, ecg.known(record).beats, view.parameters.evaluation)
    leads = controls.pick("Leads", ("strict", "lenient"), "strict", "priors-leads")
    with_priors = st.toggle("Blend lead priors into the scores", key="priors-on")
    shown = rows[rows["leads"] == leads]
    shown = shown.assign(map=[record_maps.method_title(name) for name in shown["map"]])
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
