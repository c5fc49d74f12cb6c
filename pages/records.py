"""Records: narrow the list down, open one, build a selection, bring one's own."""

from __future__ import annotations

import secrets

import streamlit as st

from app import catalogue, frame, jobs, opening, services

view = frame.page("Records")
opening.own_record_form()
found = frame.wait_for_predictions(view)
rows = catalogue.catalogue(view, found)
if rows.empty:
    frame.empty("No record of this data set can be read.", "See the reasons below.")
    opening.failures(found)
    st.stop()
if not found.classes:
    frame.empty(
        "There is no model, so there are no probabilities.",
        "Set ECGXAI_MODELS to a folder with a model and its manifest; records can be looked at.",
    )

every, chosen_few = st.tabs(["All records", "Selection (sel_df)"])
with every:
    shown = catalogue.filtered(rows, catalogue.ask_filters(rows))
    if shown.empty:
        frame.empty("No record passes the filters.", "Widen the probability band, or clear some.")
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Random record", icon=":material/casino:", help="within the filters"):
                frame.go_to("explain", record=secrets.choice(list(shown["record"])))
            st.caption(f"{len(shown)} of {len(rows)} records. Select a row to open it.")
        traces = catalogue.thumbnails(view, found)
        if traces is not None:
            shown = shown.assign(trace=[traces.get(name) for name in shown["record"]])
        picked = frame.table(
            shown,
            "records",
            "records.csv",
            on_select="rerun",
            selection_mode="single-row",
            column_config=catalogue.columns(),
            column_order=catalogue.ORDER,
        )
        if picked.selection.rows:
            frame.go_to("explain", record=str(shown["record"].iloc[picked.selection.rows[0]]))
with chosen_few:
    opening.selection_panel(view, found)
opening.failures(found)
if (waiting := jobs.get(catalogue.thumbnails_key(view, found))) is not None and waiting.active:
    jobs.show(waiting)
if st.button("Read the folder again", icon=":material/refresh:", type="tertiary"):
    services.forget_predictions(view)
    st.rerun()
