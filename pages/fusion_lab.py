"""Fusion lab: change the settings of the fusion and see the effect on map and scores at once."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.data import services
from app.panels import ecg, explain, fusion_lab, sweep
from app.shell import frame, state
from app.shell.frame import escaped, target_name
from app.shell.state import FUSED, View
from ecgxai_core.plots.charts import lead_bars
from ecgxai_core.plots.maps import map_panels
from ecgxai_core.plots.words import lead_ranking, map_in_words
from ecgxai_core.types import Attribution, FusedMap, Record

PARTS = ("Map", "Sweep")


@st.fragment
def live(record: Record, found: dict[str, Attribution]) -> None:
    """Settings and their effect. A slider runs this again, not the page around it."""
    view = state.current()
    settings, result = st.columns([2, 7], gap="medium")
    with settings:
        fused = fusion_lab.fused_with(found, view, view.fusion)
        fusion_lab.ask_settings(view, fused)
    with result:
        if frame.part_of(view, PARTS, "lab-part") == "Map":
            map_part(view, record, found, fused)
        else:
            sweep.sweep_part(view)


def map_part(view: View, record: Record, found: dict[str, Attribution], fused: FusedMap) -> None:
    """The fused map with its scores; beside the settings pinned as A, where some are."""
    known, theme = ecg.known(record), frame.colours()
    name = target_name(services.target(view))
    scores = fusion_lab.scores(fused, view, known.beats)
    words = explain.answer(fused, known.waves)
    pinned = fusion_lab.pinned()
    before = None if pinned is None else fusion_lab.fused_with(found, view, pinned)
    old = None if before is None else fusion_lab.scores(before, view, known.beats)
    st.markdown(f"{escaped(words)} {fusion_lab.scores_in_words(scores, old)}")
    maps = {FUSED: fused, **({} if before is None else {fusion_lab.PINNED_MAP: before}), **found}
    lab = fusion_lab.preview(view, found)
    ecg.show(view, record, maps, words, key="lab-ecg", lab=lab)
    fusion_lab.pin_bar(view)
    fusion_lab.score_cards(scores, old)
    if before is not None:
        both, panels = fusion_lab.compared(before, fused)
        st.caption(
            f"{both.changed:.0%} of the map changed from A to B. Whole maps are shown, as they are "
            "scored: nothing is hidden."
        )
        frame.figure(
            map_panels(panels, theme, traces=[fusion_lab.trace(record, fused)]), "lab-map",
            f"A, B and B minus A: {both.changed:.0%} of the map changed. "
            f"B: {map_in_words(fused, name, record.name)}",
            file_name=f"{record.name}_fused",
        )  # fmt: skip
    st.subheader("Leads by weight")
    ranking = lead_ranking(fused)
    frame.figure(
        lead_bars(ranking, fused.top_leads, theme), "lab-leads",
        f"Leads by share of the map: {', '.join(fused.top_leads)} first.",
        pd.DataFrame(ranking), file_name=f"{record.name}_leads",
    )  # fmt: skip
    with st.expander("Every score, beside a random map, an empty map and the best possible"):
        frame.table(fusion_lab.score_table(scores), "lab-scores", f"{record.name}_scores.csv")


view = frame.page("Fusion lab", PARTS, compact=True)
record = fusion_lab.needed_record(view, explain.view_bar)
found = fusion_lab.needed_attributions(view, record)
lab = st.container()  # above the form for maps from elsewhere, which are fused in it
with frame.refusals():
    given = fusion_lab.given_attributions(view, record)
with lab:
    live(record, found | given)
fusion_lab.ask_methods(view)
