"""What-if: what would the model say if one thing of this record were different?"""

from __future__ import annotations

import streamlit as st

from app.panels import explain, fusion_lab, measurements, what_if
from app.shell import frame

view = frame.page("What-if", compact=True)
st.caption(
    "One thing of the record is changed and the model is asked again. This shows what the model "
    "uses, not what the patient has."
)
record = fusion_lab.needed_record(view, explain.view_bar)
measurements.intervals_line(view, record)
name, place = what_if.ask(record)
with frame.refusals():
    answered = what_if.response(view, record, name, place)
if answered is None:
    st.stop()
found, least = answered
size = what_if.chosen_size(found)
st.markdown(what_if.answer(view, found, size, least))
what_if.notes(found, size)
what_if.curve(view, found, size)
what_if.changed_record(record, found, size, place)
