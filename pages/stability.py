"""Stability: does a map survive one more beat, which should not matter?"""

from __future__ import annotations

import streamlit as st

from app.panels import evaluation, explain, fusion_lab, measurements, stability
from app.shell import controls, frame
from app.shell.frame import escaped
from ecgxai_core.pipeline.run.tables import STABILITY
from ecgxai_core.plots.maps import map_panels
from ecgxai_core.plots.words import map_in_words

PARTS = ("This record", "A finished run")

view = frame.page("Stability", PARTS, compact=True)
source = frame.part_of(view, PARTS, "stability-source")
if source != PARTS[0]:
    evaluation.run_part(
        view, STABILITY, ("stability",),
        "The experiment needs three beats inside the part that the model sees.",
    )  # fmt: skip
    st.stop()
record = fusion_lab.needed_record(view, explain.view_bar)
found = stability.experiment(view, record)
if found is None:
    st.stop()
method = controls.pick(
    "Map", list(found.original), "fused", "stability-map", format_func=explain.method_title
)
one, other = found.original[method], found.changed[method]
rows = stability.score_rows(found, view)
st.markdown(f"**{escaped(stability.answer(found, view, method))}**")
stability.cards(rows, explain.method_title(method))
traces, panels, inserted = stability.aligned(found, record, method)
name = frame.target_name(one.target)
frame.figure(
    map_panels(panels, frame.colours(), traces=traces, marked_sec=inserted,
               compared_sec=found.compared(method)[0],
               x_title="time with the extra beat (s); dotted: new beat"),
    "aligned",
    f"Original: {map_in_words(one, name, record.name)} "
    f"With an extra beat: {map_in_words(other, name, 'changed record')}",
    rows,
    file_name=f"{record.name}_{method}_extra_beat",
)  # fmt: skip
measurements.intervals_line(view, record)
st.caption(
    "One beat is doubled and the record explained again. If the map changes although the diagnosis "
    "does not, its details cannot be trusted. A stable map can still be wrong."
)
