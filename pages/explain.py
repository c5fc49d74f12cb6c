"""Explain: what the model says of one record and on what it rests, on ECG paper."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.data import services
from app.panels import ecg, evaluation, explain, exports, feedback, measurements, record_maps
from app.shell import frame
from app.shell.frame import escaped, target_name
from ecgxai_core.plots.words import lead_ranking, named_leads
from ecgxai_core.types import is_preview

view = frame.page("Explain", compact=True, of_record=True)
found = frame.wait_for_predictions(view)
with st.container(gap="xsmall"):
    names = explain.view_bar(view, found, explained=True)
    with frame.refusals():
        record = services.record(view)
        maps = record_maps.maps_of(view, record, previews=True)
    overlay = maps.get(view.method, next(iter(maps.values()), None))
    if view.target and not services.target(view) and services.model(view) is not None:
        st.warning(escaped(f"This model has no output for {target_name(view.target)}."))
    words = explain.answer(view, overlay, ecg.known(record).waves) if overlay is not None else ""
    if words and (asked := services.what_if_quote(view, record)):
        words = f"{words} {asked}"
    if overlay is not None and (believed := evaluation.in_brief(view, record, overlay)):
        words = f"{words} Evaluated: {believed}."
    if verdict := explain.verdict(view):
        st.markdown(f"{verdict}. {escaped(words)}")
    measurements.intervals_line(view, record)
    record_maps.run_panel(view, record, maps)
    explain.serious_warnings(record, overlay)
    sentence = words or f"{record.name}: 12-lead ECG."
    reader = ecg.show(view, record, maps, sentence, key="explain-ecg", among=names)
    frame.let_it_be_seen()
    if overlay is not None and is_preview(overlay):
        overlay = None  # looked at above; nothing is derived from it
    if overlay is not None:
        feedback.ask(view, record, overlay, reader)
st.caption(explain.facts(record))
measurements.criteria_panel(view, record, overlay)

left, right = st.columns([6, 5], gap="medium")
with left:
    st.subheader("Probabilities")
    explain.probabilities(view, record.name)
with right:
    if overlay is not None:
        st.subheader("Leads by weight")
        named = [row["lead"] for row in named_leads(overlay, view.fusion.topk)]
        explain.ranking_table(pd.DataFrame(lead_ranking(overlay)), record.name, named,
                              signed=explain.signed(overlay))  # fmt: skip
    explain.caution_panel(view, record, overlay)
with st.container(horizontal=True, vertical_alignment="bottom"):
    explain.ask_method(view)
    ecg.ask_filter()
    explain.ask_start(view, record)
explain.parameters_panel(view, record, record_maps.missing_methods(view, maps))
measurements.median_beat_panel(view, record, overlay)
measurements.intervals_panel(view, record)

st.subheader("Files")
exports.record_downloads(view)
