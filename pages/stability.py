"""Stability: does a map survive one more beat, which should not matter?"""

from __future__ import annotations

import streamlit as st

from app import frame, judging, lab, reading, review, shaken
from ecgxai_core.plots.maps import map_panels
from ecgxai_core.plots.words import map_in_words

CATEGORY = ("stability",)
PARTS = ("This record", "A finished run")

view = frame.page("Stability", PARTS)
source = frame.part_of(view, PARTS, "stability-source")
st.caption(
    "One beat is doubled and the record explained again. A map that moves although the diagnosis "
    "does not is not to be trusted in detail. A stable map can still be wrong."
)
if source == PARTS[0]:
    record = lab.needed_record(view)
    reading.intervals_line(view, record)
    found = shaken.experiment(view, record)
    if found is None:
        st.stop()
    method = st.segmented_control(
        "Map", list(found.original), default="fused", required=True, key="stability-map",
        format_func=review.method_title,
    )  # fmt: skip
    one, other = found.original[method], found.changed[method]
    rows = shaken.score_rows(found, view)
    shaken.cards(rows, review.method_title(method), one.probability, other.probability)
    traces, panels, inserted = shaken.aligned(found, record, method)
    name = frame.target_name(one.target)
    frame.figure(
        map_panels(panels, frame.colours(), traces=traces, marked_sec=inserted,
                   x_title="time with the extra beat (s); dotted: new beat"),
        "aligned",
        f"Original: {map_in_words(one, name, record.name)} "
        f"With an extra beat: {map_in_words(other, name, 'changed record')}",
        rows,
        file_name=f"{record.name}_{method}_extra_beat",
    )  # fmt: skip
else:
    run = judging.ask_run()
    if run is None:
        st.stop()
    table = judging.table_of(run, "stability")
    if table.empty:
        frame.empty(
            "No record of this run could be shaken.",
            "The experiment needs three beats inside the part that the model sees.",
        )
        st.stop()
    classes, records, pairs = st.tabs(["By class", "By record", "Pairwise"])
    with classes:
        judging.summary_panel(run, table, CATEGORY)
    with records:
        judging.records_panel(view, table, CATEGORY, "stability")
    with pairs:
        judging.pairwise_panel(table, CATEGORY, view.parameters.evaluation)
