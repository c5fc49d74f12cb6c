"""What-if: what would the model say if one feature of this record were different?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.panels import explain, fusion_lab, measurements, what_if
from app.shell import frame
from app.shell.state import View
from ecgxai_core.types import Record


@st.fragment
def live(view: View, record: Record) -> None:
    """What is changed, and what comes of it. A control runs this again, not the page around it, and
    what the model says is seen before anything is drawn."""
    name, place, size_column = what_if.ask(view, record)
    with frame.refusals():
        answered = what_if.response(view, record, name, place)
    if answered is None:
        what_if.whole_record(record, None)  # to look at meanwhile
        return
    found, least = answered
    with size_column:
        size = what_if.chosen_size(view, found)
    st.markdown(what_if.answer(view, found, size, least))
    what_if.notes(found, size, place)
    frame.let_it_be_seen()
    changed = what_if.changed_record(record, found, size, place)
    ecg, chart = st.columns(2, gap="medium")
    if changed is not None:
        with ecg:
            what_if.before_and_after(record, changed, name, place)
    with chart:
        what_if.curve(view, found, size)
    if changed is not None:
        what_if.whole_record(record, changed, what_if.change_in_words(found, size, place))


view = frame.page("What-if", compact=True, of_record=True)
record = fusion_lab.needed_record(view, partial(explain.view_bar, segments=False))
measurements.intervals_line(view, record, "Measured as recorded")
live(view, record)
