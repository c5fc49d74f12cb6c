"""The report card on the Model page: made in the background, shown, and handed out as files."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app import frame, jobs, review, services
from app.frame import escaped, target_name
from app.state import View
from ecgxai_core.explain import METHODS
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.card_rules import LEAST_RECORDS
from ecgxai_core.pipeline.report_card import CardRequest, ReportCard, build_card
from ecgxai_core.plots.card_charts import evidence_map, verdict_grid
from ecgxai_core.report.card import card_html
from ecgxai_core.report.card_tables import (
    baseline_table,
    card_words,
    evidence_table,
    loud_baselines,
    map_title,
    own_maps,
    sight_facts,
    verdict_table,
)

__all__ = ["report_card"]

_KEPT: dict[str, Any] = {"persist_state": "session"}
_SHARE: dict[str, Any] = {"min_value": 0.0, "max_value": 1.0, "format": "%.2f"}


def report_card(view: View) -> None:
    """Ask what the card is made of; offer to make it, show its progress, then the card."""
    st.markdown(
        "Which explanations of this model pass which tests on this data set, by stated rules; what "
        "the model can see, what its baselines say, and where its evidence lies."
    )
    request = _asked(view)
    if request is None:
        return
    key = _key(view, request)
    job = jobs.get(key)
    if job is None:
        st.caption(
            "Every record is explained with every method, asked about with cells removed, changed "
            "a little and explained again, and once more by a model with randomised weights: some "
            "seconds to minutes a record. What is measured stays in the cache."
        )
        if st.button("Make the report card", type="primary", icon=":material/play_arrow:"):
            _start(view, request, key)
            st.rerun()
        return
    if job.active:
        st.caption(
            "You may look at other pages meanwhile. Cancel ends it after the record in hand."
        )
    jobs.show(job)
    if job.state == "done":
        _card(view, job.result)


def _asked(view: View) -> CardRequest | None:
    """What the card is to be made of; ``None`` while something is missing."""
    data, choice = services.data_set(view), services.model(view)
    assert data is not None
    assert choice is not None
    known = sorted(services.targets(view), key=lambda code: target_name(code).lower())
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    targets = left.multiselect(
        "Diagnoses", known, default=[services.target(view)], key="card-targets",
        format_func=target_name, placeholder="all of the model", **_KEPT,
    )  # fmt: skip
    methods = middle.multiselect(
        "Methods", list(METHODS), default=list(view.parameters.methods), key="card-methods",
        format_func=review.method_title, help="several are also fused", **_KEPT,
    )  # fmt: skip
    n = right.number_input(
        "Records a diagnosis", 1, 100, 10, key="card-n",
        help=f"no verdict from fewer than {LEAST_RECORDS}; 20 and more are better", **_KEPT,
    )  # fmt: skip
    if not methods:
        frame.empty("No method is chosen.", "Choose at least one explanation method above.")
        return None
    return CardRequest(
        data.path,
        choice.path,
        view.parameters.updated(methods=tuple(methods)),
        SelectionParams(k_per_class=int(n)),
        tuple(targets) or None,
    )


def _key(view: View, request: CardRequest) -> str:
    """Of the job: the folder, the records in it, and everything else that decides the card."""
    described = request.describe(services.classifier(view).digest)
    found = services.predictions(view)
    records = hash(tuple(info.digest for info in found.records)) if found is not None else 0
    return f"card:{request.data}:{records}:{json.dumps(described, sort_keys=True, default=str)}"


def _start(view: View, request: CardRequest, key: str) -> None:
    chosen, store = services.classifier(view), services.store(view)

    def work(progress: jobs.Progress) -> ReportCard:
        return build_card(request, store, classifier=chosen, progress=progress)

    jobs.start(key, f"Report card of {view.model} on {view.data}", work)


def _card(view: View, card: ReportCard) -> None:
    """The card: what it rests on, files, and its four parts."""
    counted = ", ".join(f"{target_name(code)} {n}" for code, n in card.n_by_target.items())
    st.markdown(
        f"**{card.n_records} records** explained of {card.n_read}: {escaped(counted)}"
        + (
            f" · :orange-badge[{card.n_simulated} simulated, not patients]"
            if card.n_simulated
            else ""
        )
    )
    _files(view, card)
    tests, sees, says, lies = st.tabs(("Tests", "What it can see", "Baselines", "Evidence"))
    with tests:
        _tests(card)
    with sees:
        _sight(card)
    with says:
        _baselines(card)
    with lies:
        _evidence(card)
    if card.failures:
        with st.expander(f"{len(card.failures)} records could not be used"):
            for failure in card.failures:
                st.caption(escaped(f"{failure.record}: {failure.reason}"))


def _files(view: View, card: ReportCard) -> None:
    name = f"report_card_{view.model}_{view.data}".replace(" ", "_")
    with st.container(horizontal=True):
        st.download_button(
            "HTML report card", lambda: card_html(card), f"{name}.html", "text/html",
            key="card-html", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "JSON", lambda: json.dumps(card.as_json(), indent=1), f"{name}.json",
            "application/json", key="card-json", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _tests(card: ReportCard) -> None:
    names = {"": "all together"} | {code: target_name(code) for code in card.n_by_target}
    target = ""
    if len(card.n_by_target) > 1:
        target = st.selectbox("Verdicts for", list(names), key="card-target",
                              format_func=names.__getitem__)  # fmt: skip
    rows, words = verdict_table(card, target), card_words(card, target)
    st.markdown(escaped(words))
    frame.figure(
        verdict_grid(rows, frame.colours(), narrow=frame.on_phone()),
        "card-verdicts",
        words,
        file_name="report_card_verdicts",
    )
    st.caption(
        "✓ passed, ✗ not passed, … too few records, – not asked or not defined; the number is the "
        "mean over records. A test is passed where all of the interval over records lies on the "
        "right side of chance or of a border; an interval that covers it shows nothing. A pass "
        "says nothing of other data, nor whether the prediction is right. The random and the empty "
        "map know nothing: what they pass, they pass by chance."
    )
    st.subheader("Why")
    asked = rows[rows["n"] + rows["undefined"] > 0]
    column = st.column_config
    three = column.NumberColumn(format="%.3f")
    frame.table(
        asked, "card-why", "report_card_verdicts.csv",
        column_config=dict.fromkeys(("mean", "chance", "low", "high"), three)
        | {"rule": column.TextColumn("passes where")},
    )  # fmt: skip


def _sight(card: ReportCard) -> None:
    for name, value in sight_facts(card).items():
        st.markdown(f"**{name.capitalize()}**: {escaped(value)}")
    st.caption(
        "A model cannot use what it cannot see: evidence in a rhythm needs a sight of more than "
        "one RR interval."
    )


def _baselines(card: ReportCard) -> None:
    kind, rows = loud_baselines(card)
    used = kind.replace("_", " ")
    loud = [f"{target_name(row.code)} ({row.mean:.2f})" for row in rows]
    if loud:
        text = (
            f"With everything masked (baseline {used}) the model already finds, at or over the "
            f"thresholds on most records: {'; '.join(loud)}, mean probability. Little is left to "
            "explain for these, and other diagnoses get evidence against them."
        )
        st.warning(escaped(text))
    else:
        st.markdown(escaped(f"The baseline in use ({used}) gets no diagnosis on most records."))
    table = baseline_table(card)
    bars = st.column_config.ProgressColumn(**_SHARE)
    frame.table(
        table, "card-baselines", "report_card_baselines.csv",
        hint="Mean probability over the records; intact = nothing is masked.",
        column_config=dict.fromkeys([n for n in table if n not in ("class", "code")], bars),
    )  # fmt: skip
    st.caption(
        "No baseline is neutral: a map explains the difference between the record and its baseline."
    )


def _evidence(card: ReportCard) -> None:
    maps = own_maps(card)
    method = st.segmented_control(
        "Map", maps, default=maps[-1], required=True, key="card-map", format_func=map_title
    )
    for kind, title in (("lead", "leads"), ("wave", "waves")):
        rows = evidence_table(card, method, kind)
        best = rows.sort_values("mass", ascending=False).drop_duplicates("diagnosis")
        words = "; ".join(
            f"{row.diagnosis}: most in {row.place} ({row.mass:.0%})" for row in best.itertuples()
        )
        frame.figure(
            evidence_map(rows, frame.colours(), title=title),
            f"card-{kind}",
            f"Share of the positive mass of the maps by {title}. {words}.",
            rows,
            file_name=f"report_card_{title}",
        )
    st.caption(
        "Share of what speaks for the diagnosis, mean over records; the colour is that share over "
        "the share of time. Segments longer than a wave draw it to 1. It tells what the model "
        "uses, not what it ought to use."
    )
