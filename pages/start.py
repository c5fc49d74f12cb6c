"""Start: three doors, and an explained ECG to look at."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.data import services
from app.data.examples import example
from app.panels import ecg, explain, measurements, record_maps, start
from app.shell import frame
from app.shell.frame import escaped

view = frame.page("ECG-XAI", compact=True)
start.doors()
found = frame.wait_for_predictions(view)
if not found.records:
    frame.empty("No record of this data set can be read.", "Look at the Records page for why.")
    st.stop()
shown = view
if view.record not in found.places:
    chosen = example(view, found)
    shown = chosen.view(view) if chosen else replace(view, record=found.records[0].name)
with frame.refusals():
    record = services.record(shown)
    maps = record_maps.maps_of(shown, record, previews=True)
overlay = maps.get(shown.method, next(iter(maps.values()), None))
words = explain.answer(shown, overlay, ecg.known(record).waves) if overlay is not None else ""
verdict = explain.verdict(shown)
with st.container(gap="xsmall"):
    left, right = st.columns([5, 2], gap="medium", vertical_alignment="center")
    with left:
        name = f"Record {escaped(record.name)}{f' {frame.SIMULATED}' if record.synthetic else ''}"
        said = f"{name}. {verdict}. {escaped(words)}" if verdict else ""
        st.markdown(said)
    with right:
        start.open_record(shown, found)
    measurements.intervals_line(shown, record)
start.prepare(shown, record, maps)
ecg.show(shown, record, maps, words or f"{record.name}: 12-lead ECG.", key="start-ecg")
