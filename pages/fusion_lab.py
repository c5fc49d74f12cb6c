"""Fusion lab: turn the settings of the fusion and see at once what it does to map and scores."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import frame, lab, reading, review, services, state, sweeping
from app.frame import target_name
from app.state import View
from ecgxai_core.plots.charts import lead_bars
from ecgxai_core.plots.maps import map_panels
from ecgxai_core.plots.paper import ecg_figure
from ecgxai_core.plots.words import cell_table, lead_ranking, map_in_words
from ecgxai_core.types import Attribution, Record

PARTS = ("Map", "Sweep")


@st.fragment
def live(record: Record, found: dict[str, Attribution]) -> None:
    """Settings and what they do. A slider runs this again, not the page around it."""
    view = state.current()
    settings, result = st.columns([1, 2], gap="medium")
    with settings:
        lab.ask_settings(view)
    with result:
        if frame.part_of(view, PARTS, "lab-part") == "Map":
            map_part(view, record, found)
        else:
            sweeping.sweep_part(view)


def map_part(view: View, record: Record, found: dict[str, Attribution]) -> None:
    """The fused map with its scores; beside the settings pinned as A, where some are."""
    beats, theme, name = lab.beats(record), frame.colours(), target_name(services.target(view))
    pinned = lab.pin_bar(view)
    fused = lab.fused_with(found, view, view.fusion)
    scores = lab.scores(fused, view, beats)
    shown = review.shown_map(fused, view)
    words = map_in_words(shown, name, f"{record.name}: fused")
    if pinned is None:
        lab.score_cards(scores, None)
        start, stop = lab.part_drawn(shown, record)
        figure = ecg_figure(record, lab.sheet_style(), overlay=shown, start=start, stop=stop)
    else:
        before = lab.fused_with(found, view, pinned)
        lab.score_cards(scores, lab.scores(before, view, beats))
        both, panels = lab.compared(before, fused)
        figure = map_panels(panels, theme, traces=[lab.trace(record, fused)])
        words = f"A, B and B minus A: {both.changed:.0%} of the map moved. B: {words}"
        st.caption(
            f"{both.changed:.0%} of the map moved from A to B. Whole maps: tau hides nothing here."
        )
    frame.figure(figure, "lab-map", words, cell_table(shown), file_name=f"{record.name}_fused")
    st.subheader("Leads by weight")
    ranking = lead_ranking(fused)
    frame.figure(
        lead_bars(ranking, fused.top_leads, theme),
        "lab-leads",
        f"Leads by share of the map: {', '.join(fused.top_leads)} first.",
        pd.DataFrame(ranking),
        file_name=f"{record.name}_leads",
    )
    with st.expander("Every score, beside a random map, an empty map and the best possible"):
        frame.table(lab.score_table(scores), "lab-scores", f"{record.name}_scores.csv")


view = frame.page("Fusion lab", PARTS)
record = lab.needed_record(view)
reading.intervals_line(view, record)
lab.ask_methods(view)
live(record, lab.needed_attributions(view))
