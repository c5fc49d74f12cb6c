"""The report card on the Model page: made in the background, shown, and saved as files."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app.data import services, work
from app.panels import record_maps
from app.shell import controls, frame, jobs
from app.shell.controls import KEPT
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.audit.card_rules import FALSE_PASS, LEAST_RECORDS
from ecgxai_core.audit.report_card import CardRequest, ReportCard
from ecgxai_core.explainers import METHODS
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.cost import card_cost
from ecgxai_core.plots.card_charts import evidence_map, verdict_grid
from ecgxai_core.report.card import card_html
from ecgxai_core.report.card_tables import (
    baseline_table,
    card_words,
    evidence_table,
    loud_baselines,
    map_title,
    own_maps,
    receptive_field_facts,
    verdict_table,
)

_SHARE: dict[str, Any] = {"min_value": 0.0, "max_value": 1.0, "format": "%.2f"}


def report_card(view: View) -> None:
    """Ask for the contents of the card; offer to make it, show its progress, then the card."""
    st.markdown(
        "Which explanations of this model pass which tests on this data set, by stated rules; its "
        "receptive field, its predictions on baselines, and where its evidence lies."
    )
    request = _asked(view)
    if request is None:
        return
    key = _key(view, request)
    job = jobs.get(key)
    if job is None:
        st.caption(
            "Every record is explained with every method, evaluated with cells removed, changed "
            "slightly and explained again, and explained once more by a model with randomised "
            "weights: some seconds to minutes per record. What is measured stays in the cache."
        )
    elif job.active:
        st.caption("You can look at other pages meanwhile. Cancel ends it after this record.")
    card: ReportCard | None = frame.offer(
        key, "Make the report card", lambda: _start(view, request, key)
    )
    if card is not None:
        _card(view, card)


def _asked(view: View) -> CardRequest | None:
    """What the card is to be made of; ``None`` while something is missing."""
    data, choice = services.data_set(view), services.model(view)
    assert data is not None
    assert choice is not None
    known = sorted(services.targets(view), key=lambda code: target_name(code).lower())
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    targets = left.multiselect(
        "Diagnoses", known, default=[services.target(view)], key="card-targets",
        format_func=target_name, placeholder="all of the model", **KEPT,
    )  # fmt: skip
    methods = middle.multiselect(
        "Methods", list(METHODS), default=list(view.parameters.methods), key="card-methods",
        format_func=record_maps.method_title, help="several are also fused", **KEPT,
    )  # fmt: skip
    n = right.number_input(
        "Records per diagnosis", 1, 100, 20, key="card-n",
        help=f"no verdict from fewer than {LEAST_RECORDS}; 20 and more are better", **KEPT,
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
    """Of the job: the records, and everything else that decides the card."""
    described = request.describe(services.classifier(view).digest)
    asked = json.dumps(described, sort_keys=True, default=str)
    return services.data_key("card", view, services.predictions(view), asked)


def _start(view: View, request: CardRequest, key: str) -> None:
    manifest = services.classifier(view).manifest
    targets = len(request.targets or manifest.classes)
    field_sec = services.field_sec(view)
    records = request.selection.k_per_class
    jobs.start(
        key, f"Report card of {view.model} on {view.data}", work.report_card,
        request, services.place(view),
        cost=card_cost(request.profile, manifest, records, targets, field_sec),
    )  # fmt: skip


def _card(view: View, card: ReportCard) -> None:
    """The card: what it rests on, files, and its four parts."""
    counted = ", ".join(f"{target_name(code)} {n}" for code, n in card.n_by_target.items())
    badge = f" · :orange-badge[{card.n_simulated} simulated, not patients]"
    st.markdown(
        f"**{card.n_records} records** explained of {card.n_read}: {escaped(counted)}"
        + (badge if card.n_simulated else "")
    )
    _files(view, card)
    tests, field, baselines, evidence = st.tabs(
        ("Tests", "What it can see", "Baselines", "Evidence")
    )
    with tests:
        _tests(card)
    with field:
        _receptive_field(card)
    with baselines:
        _baselines(card)
    with evidence:
        _evidence(card)
    if card.failures:
        with st.expander(f"{len(card.failures)} records could not be used"):
            for failure in card.failures:
                st.caption(escaped(f"{failure.record}: {failure.reason}"))


def _files(view: View, card: ReportCard) -> None:
    name = f"report_card_{view.model}_{view.data}".replace(" ", "_")
    with st.container(horizontal=True):
        frame.download("HTML report card", f"{name}.html", "text/html",
                       lambda: card_html(card), "card-html")  # fmt: skip
        frame.download("JSON", f"{name}.json", "application/json",
                       lambda: json.dumps(card.as_json(), indent=1), "card-json")  # fmt: skip


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
        "✓ passed, ✗ not passed, … too few records, ? not tested, – not applicable or not defined; "
        "the number is the mean over records. Faithfulness and plausibility are passed only by a "
        "map that is better, record by record, than each of the reference maps, which say nothing "
        "of the model; stability by one above chance. A method that is not shown to depend on the "
        "model passes nothing. A map without information passes a test of faithfulness or "
        f"plausibility on at most {FALSE_PASS:.0%} of such cards. A pass says nothing about other "
        "data, or about whether the prediction is right."
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


def _receptive_field(card: ReportCard) -> None:
    for name, value in receptive_field_facts(card).items():
        st.markdown(f"**{name.capitalize()}**: {escaped(value)}")
    st.caption(
        "A model cannot use what it cannot see: evidence in a rhythm needs a receptive "
        "field of more than one RR interval."
    )


def _baselines(card: ReportCard) -> None:
    kind, rows = loud_baselines(card)
    used = kind.replace("_", " ")
    loud = [f"{target_name(row.code)} ({row.mean:.2f})" for row in rows]
    if loud:
        text = (
            f"With everything masked (baseline {used}) the model still predicts, on most records: "
            f"{'; '.join(loud)} (mean probability). Little is left to explain for these, and maps "
            "of other diagnoses contain evidence against them."
        )
        st.warning(escaped(text))
    else:
        st.markdown(
            escaped(
                f"The model predicts no diagnosis on the baseline in use ({used}) of most records."
            )
        )
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
    method = controls.pick("Map", maps, maps[-1], "card-map", format_func=map_title)
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
        "Share of the evidence for the diagnosis, mean over records; the colour is that share "
        "divided by the share of time. Segments longer than a wave bring it closer to 1. This "
        "shows what the model uses, not what it should use."
    )
