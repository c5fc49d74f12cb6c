"""Fusion lab: change the settings of the fusion and see the effect on map and scores at once."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.data import services
from app.panels import ecg, explain, fusion_lab, sweep
from app.shell import frame, state
from app.shell.frame import escaped, target_name
from app.shell.state import FUSED, View
from ecgxai_core.plots.maps import map_panels
from ecgxai_core.plots.words import map_in_words
from ecgxai_core.types import Attribution, FusedMap, Record, Score

PARTS = ("Map", "Sweep")


@st.fragment
def live(record: Record, found: dict[str, Attribution], methods: tuple[str, ...]) -> None:
    """Map, controls and scores. A slider runs this again, not the page around it; ``methods`` are
    those that ``found`` has the maps of."""
    view = state.current()
    if view.parameters.methods != methods:
        st.rerun()  # others were chosen: their maps are the page's to find
    if fusion_lab.page_is_due():
        st.rerun()
    fused = fusion_lab.fused_with(found, view, view.fusion)
    result, settings = fusion_lab.columns()
    with settings:
        fusion_lab.ask_methods(view)
        fusion_lab.ask_settings(view, fused)
    with result:
        if frame.part_of(view, PARTS, "lab-part") != "Map":
            sweep.sweep_part(view)
            return
        scores = fusion_lab.scores(fused, view, ecg.known(record).beats)
        before = before_now(view, found)
        old = None if before is None else fusion_lab.scores(before, view, ecg.known(record).beats)
        map_part(view, record, found, fused, before, scores, old)
        if not frame.on_phone():
            fusion_lab.score_cards(scores, old)
    if frame.on_phone():  # below the controls, which stay near the map
        fusion_lab.score_cards(scores, old)
    if before is not None:
        compared_part(view, record, before, fused)
    with st.expander("Every score, beside a random map, an empty map and the best possible"):
        frame.table(fusion_lab.score_table(scores), "lab-scores", f"{record.name}_scores.csv")


def map_part(
    view: View,
    record: Record,
    found: dict[str, Attribution],
    fused: FusedMap,
    before: FusedMap | None,
    scores: Mapping[str, Score],
    old: Mapping[str, Score] | None,
) -> None:
    """What the model says, and the fused map; ``before`` is the map pinned as A, ``old`` its
    scores."""
    words = explain.answer(view, fused, ecg.known(record).waves)
    said = f"{escaped(words)} {fusion_lab.scores_in_words(scores, old)}"
    verdict = explain.verdict(view)
    st.markdown(f"{verdict}. {said}" if verdict else said)
    maps = {FUSED: fused, **({} if before is None else {fusion_lab.PINNED_MAP: before}), **found}
    lab = fusion_lab.preview(view, found)
    ecg.show(view, record, maps, words, key="lab-ecg", lab=lab)
    fusion_lab.pin_bar(view)


def before_now(view: View, found: dict[str, Attribution]) -> FusedMap | None:
    """The map of the settings that are pinned as A."""
    pinned = fusion_lab.pinned()
    return None if pinned is None else fusion_lab.fused_with(found, view, pinned)


def compared_part(view: View, record: Record, before: FusedMap, fused: FusedMap) -> None:
    """The settings pinned as A beside those in force, on one time axis."""
    both, panels = fusion_lab.compared(before, fused)
    st.caption(
        f"{both.changed:.0%} of the map changed from A to B. Whole maps are shown, as they are "
        "scored: nothing is hidden."
    )
    name = target_name(services.target(view))
    frame.figure(
        map_panels(panels, frame.colours(), traces=[fusion_lab.trace(record, fused)]), "lab-map",
        f"A, B and B minus A: {both.changed:.0%} of the map changed. "
        f"B: {map_in_words(fused, name, record.name)}",
        file_name=f"{record.name}_fused",
    )  # fmt: skip


fusion_lab.page_is_due()  # it is being drawn
view = frame.page("Fusion lab", PARTS, compact=True, of_record=True)
record = fusion_lab.needed_record(view, explain.view_bar)
found = fusion_lab.needed_attributions(view, record)
lab = st.container()  # above the form for imported maps, which are fused in it
with frame.refusals():
    given = fusion_lab.given_attributions(view, record)
with lab:
    live(record, found | given, tuple(found))
