"""Explain: one record on ECG paper, with the maps that say what the model rests on."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import explaining, exports, frame, reading, review, services
from app.frame import escaped, target_name
from app.sheet import ask_sheet, measuring
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.plots.paper import comparison_figure, ecg_figure
from ecgxai_core.plots.words import cell_table, lead_ranking, map_in_words

view = frame.page("Explain")
found = frame.wait_for_predictions(view)
review.record_bar(view, found)
try:
    record = services.record(view)
    maps = review.maps(view)
except EcgXaiError as error:
    st.error(escaped(error), icon=":material/block:")
    st.stop()

st.caption(review.facts(record))
st.markdown(review.verdict(view))
reading.intervals_line(view, record)
if view.target and not services.target(view) and services.model(view) is not None:
    st.warning(escaped(f"This model has no output for {target_name(view.target)}."))
review.ask_method(view, maps)
explaining.differences(view)
missing = tuple(name for name in review.wanted_methods(view) if name not in maps)
review.run_panel(view, missing)
review.quality_panel(record, maps.get(view.method, next(iter(maps.values()), None)))
sheet = ask_sheet(view, record)
overlay = maps.get(view.method) if sheet.overlay else None
what = f"{record.name}: {review.method_title(view.method)}"
part = {"start": sheet.start, "stop": sheet.stop}
if view.method == review.SIDE_BY_SIDE and sheet.overlay and len(maps) > 1:
    titled = {review.method_title(name): item for name, item in maps.items()}
    low, high = review.closer(maps, sheet.start, sheet.stop)
    st.caption("Each map relative to its own largest value. A shorter part shows another moment.")
    figure = comparison_figure(
        sheet.record, sheet.style, titled, start=low, stop=high, own_scale=True
    )
    overlay = next(iter(maps.values()))
else:
    figure = ecg_figure(
        sheet.record, sheet.style, overlay=overlay, events=sheet.events and sheet.overlay, **part
    )
name = target_name(services.target(view))
words = map_in_words(overlay, name, what) if overlay is not None else f"{record.name}: 12-lead ECG."
event = frame.figure(
    figure,
    f"paper-{record.digest[:8]}",
    words,
    cell_table(overlay) if overlay is not None else None,
    file_name=f"{record.name}_{view.method}",
    on_select="rerun",
    selection_mode="box",
)
measuring(sheet, record, event)
reading.median_beat_panel(view, record, overlay, sheet.style)
explaining.parameters_panel(view, missing)

left, right = st.columns([5, 6], gap="medium")
with left:
    if overlay is not None:
        st.subheader("Leads by weight")
        review.ranking_table(pd.DataFrame(lead_ranking(overlay)), record.name, view.fusion.topk)
    review.caution_panel(view, record, overlay)
    review.ask_start(view, record)
with right:
    st.subheader("Probabilities")
    review.probabilities(view, record.name)
    reading.intervals_panel(view, record)

st.subheader("Files")
exports.record_downloads(view)
