"""Evaluation: how far maps can be trusted, for one record and for whole runs."""

from __future__ import annotations

import streamlit as st

from app.panels import evaluation, explain, fusion_lab
from app.panels.given_maps import given_maps
from app.shell import frame
from ecgxai_core.pipeline.run.tables import EVALUATION

CATEGORY = ("plausibility", "faithfulness", "complexity")
PARTS = ("This record", "A finished run")

view = frame.page("Evaluation", PARTS, compact=True, of_record=True)
source = frame.part_of(view, PARTS, "evaluation-source")
if source == PARTS[0]:
    record = fusion_lab.needed_record(view, explain.view_bar)
    answer = st.container()
    scores, trap = st.tabs(["Scores", "How priors mislead"])
    with scores:
        first, more = st.container(), st.container()
        with more:
            given = given_maps(view, record)
        with first:
            entry = evaluation.evaluated(view, record, given)
            if entry is not None:
                with answer:
                    evaluation.record_answer_line(view, entry)
                evaluation.record_curves(view, entry)
                evaluation.record_panel(entry)
    with trap:
        evaluation.priors_panel(view, record)
else:
    evaluation.run_part(view, EVALUATION, CATEGORY, "Its failures.csv gives the reasons.")
st.caption(
    "Plausibility asks whether a map falls where cardiology expects the evidence; faithfulness "
    "whether it names what the model uses. Neither replaces the other."
)
