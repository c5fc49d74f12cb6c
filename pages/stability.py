"""Stability: does a map survive one more beat, which should not matter?"""

from __future__ import annotations

import streamlit as st

from app.panels import evaluation, explain, fusion_lab, measurements, record_maps, stability
from app.shell import controls, frame
from app.shell.frame import escaped
from ecgxai_core.pipeline.run.tables import STABILITY
from ecgxai_core.plots.words import map_in_words

PARTS = ("This record", "A finished run")

view = frame.page("Stability", PARTS, compact=True, of_record=True)
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
said = st.container()
picture = st.container()
method = controls.pick(
    "Map", list(found.original), "fused", "stability-map", format_func=record_maps.method_title
)
with said:
    verdict, more = stability.answer(found, view, method)
    st.markdown(f"**{escaped(verdict)}**  \n{escaped(more)}")
    evaluation.window_note(view)
name = frame.target_name(found.original[method].target)
with picture:
    frame.figure(
        stability.picture(found, record, view, method),
        "aligned",
        f"Original: {map_in_words(found.original[method], name, record.name)} "
        f"With an extra beat: {map_in_words(found.changed[method], name, 'changed record')}",
        file_name=f"{record.name}_{method}_extra_beat",
    )
stability.score_table(found, view, method)
measurements.intervals_line(view, record)
st.caption(
    "One beat is doubled and the record explained again. If the map changes although the diagnosis "
    "does not, its details cannot be trusted."
)
