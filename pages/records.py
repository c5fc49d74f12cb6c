"""Records: filter the list, open a record, build a selection, upload records."""

from __future__ import annotations

import secrets

import streamlit as st

from app.data import services
from app.panels import records
from app.shell import frame, jobs

PARTS = ("All records", "Examples of each diagnosis")

view = frame.page("Records", PARTS)
found = frame.wait_for_predictions(view)
rows = records.catalogue(view, found)
if rows.empty:
    frame.empty("No record of this data set can be read.", "See the reasons below.")
    records.own_record_form()
    records.failures(found)
    st.stop()
if not found.classes:
    frame.empty(
        "There is no model, so there are no probabilities.",
        "Set ECGXAI_MODELS to a folder with a model and its manifest; records can be looked at.",
    )

drawing = records.thumbnails(view, found)
if frame.part_of(view, PARTS, "records-part") == PARTS[0]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        records.ask_data(view)
        frame.ask_target(view, "records-target", width=260)
        shown = records.filtered(rows)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Random record", icon=":material/casino:", help="within the filters",
                     disabled=shown.empty):  # fmt: skip
            frame.go_to("explain", record=secrets.choice(list(shown["record"])))
        records.own_record_form()
        if not shown.empty:
            shown = records.in_order(view, found, shown)
        st.caption(f"{len(shown)} of {len(rows)} records. Select a row to open it.")
    if shown.empty:
        frame.empty("No record passes the filters.", "Widen the probability band, or clear some.")
    else:
        listed = shown.head(records.MOST_ROWS)
        if len(listed) < len(shown):
            st.caption(
                f"The first {len(listed)} in this order are listed; the CSV has all {len(shown)}. "
                "Filter by name, label, outcome or probability to see others."
            )
        listed = records.with_calls(view, found, listed)
        if drawing.state == "done":
            listed = listed.assign(trace=[drawing.result.get(name) for name in listed["record"]])
        texted = frame.in_words(listed)
        worded = records.quality_in_words(texted)
        picked = frame.picked_row(
            worded, "records", "records.csv",
            whole=listed if len(listed) == len(shown) else shown,
            column_config=records.columns(services.target(view)),
            column_order=records.order(texted),
        )  # fmt: skip
        if picked is not None:
            frame.go_to("explain", record=str(picked["record"]))
else:
    records.selection_panel(view, found)
records.failures(found)
if drawing.active:
    jobs.show(drawing)
if st.button("Read the folder again", icon=":material/refresh:", type="tertiary"):
    services.forget_predictions(view)
    st.rerun()
