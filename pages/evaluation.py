"""Evaluation: how far maps can be trusted, for one record and for whole runs."""

from __future__ import annotations

import streamlit as st

from app import frame, judging, lab

CATEGORY = ("plausibility", "faithfulness")
PARTS = ("This record", "A finished run")

view = frame.page("Evaluation", PARTS)
source = frame.part_of(view, PARTS, "evaluation-source")
st.caption(
    "Plausibility asks whether a map falls where cardiology expects the evidence; faithfulness "
    "whether it names what the model uses. Neither replaces the other."
)
if source == PARTS[0]:
    record = lab.needed_record(view)
    scores, trap = st.tabs(["Scores", "The priors trap"])
    with scores:
        entry = judging.judged(view, record)
        if entry is not None:
            judging.record_panel(entry)
    with trap:
        judging.priors_panel(view, record)
else:
    run = judging.ask_run()
    if run is None:
        st.stop()
    table = judging.table_of(run, "evaluation")
    if table.empty:
        frame.empty("This run explained no record.", "Look at its failures.csv for the reasons.")
        st.stop()
    classes, records, pairs = st.tabs(["By class", "By record", "Pairwise"])
    with classes:
        judging.summary_panel(run, table, CATEGORY)
    with records:
        judging.records_panel(view, table, CATEGORY, "evaluation")
    with pairs:
        judging.pairwise_panel(table, CATEGORY, view.parameters.evaluation)
