"""Model: performance, failures, report card, comparison, training runs, your own model."""

from __future__ import annotations

import streamlit as st

from app.data import services
from app.panels import model, own_model, report_card, two_models
from app.shell import frame

SECTIONS = (
    "Performance", "Cases to review", "Report card", "Two models", "Training runs", "My own model",
)  # fmt: skip

view = frame.page("Model", SECTIONS)
with st.container(horizontal=True, vertical_alignment="bottom"):
    model.ask_model(view)
    section = frame.part_of(view, SECTIONS, "model-section")
usable = services.model(view) is not None
if usable:
    model.model_facts(view)
if section == "Training runs":
    model.training_runs()
elif section == "My own model":
    own_model.own_model(view)
elif not usable:
    frame.empty(
        f"There is no usable model{' ' + view.model if view.model else ''}.",
        "Name a folder of models on the Settings page, or bring your own: 'My own model' above.",
    )
elif section == "Report card":
    frame.wait_for_predictions(view)
    report_card.report_card(view)
elif section == "Two models":
    frame.wait_for_predictions(view)
    two_models.two_models(view)
else:
    evaluated = model.quality(view, frame.wait_for_predictions(view))
    if section == "Performance":
        model.how_good(view, evaluated)
    else:
        model.cases_to_review(view, evaluated)
