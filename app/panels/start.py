"""The start page: three doors, and an example that is prepared while it is looked at."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.data import services
from app.panels import record_maps
from app.shell import frame
from app.shell.state import View
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.types import Map, Record

DOORS: tuple[tuple[str, str, str, str], ...] = (
    ("explain", "Read an ECG", ":material/ecg_heart:",
     "What the model says of a record, and on what that rests"),
    ("fusion_lab", "Tune and evaluate", ":material/tune:",
     "What settings do to map and scores"),
    ("tour", "Present", ":material/slideshow:",
     "Five views in a row, one click each"),
)  # fmt: skip
"""Page, its title here, icon, and what is behind it."""


def doors() -> None:
    """The three ways into the program; on a phone in one line, as the ECG stands below."""
    if frame.on_phone():
        with st.container(horizontal=True, gap="xsmall"):
            for page, title, _, text in DOORS:
                if st.button(title, key=f"door-{page}", help=text):
                    frame.go_to(page)
        return
    for column, (page, title, icon, text) in zip(
        st.columns(len(DOORS), gap="small"), DOORS, strict=True
    ):
        with column:
            if st.button(title, icon=icon, key=f"door-{page}", width="stretch"):
                frame.go_to(page)
            st.caption(text, text_alignment="center")


def prepare(view: View, record: Record, maps: Mapping[str, Map]) -> None:
    """Explain the example: at once if it belongs to the demonstration, else on a click."""
    if not record_maps.missing_methods(view, maps) or not services.target(view):
        return
    record_maps.explain_example(view, record, maps)
    record_maps.run_panel(view, record, maps)


def open_record(view: View, found: Predictions) -> None:
    """Buttons that open the record that is shown, and the real one among simulated ones."""
    real = [info.name for info in found.records if not info.synthetic]
    with st.container(horizontal=True, gap="small", horizontal_alignment="right"):
        if st.button("Open this record", icon=":material/ecg_heart:", type="primary"):
            frame.go_to("explain", record=view.record, target=view.target)
        if 0 < len(real) < len(found.records) and st.button("Open a real ECG"):
            frame.go_to("explain", record=real[0])
