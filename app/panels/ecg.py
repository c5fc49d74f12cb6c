"""The record in the ECG viewer with its maps, as the start page, Explain and the lab show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from app.data import services
from app.panels.record_maps import method_title
from app.shell import controls, state
from app.shell.frame import target_name
from app.shell.state import View
from app.viewer import Reader, ecg_viewer, expected_evidence, read
from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion import view as fusion_view
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.pipeline.evaluation import Beats, beats_of
from ecgxai_core.pipeline.measurements import waves_of
from ecgxai_core.plots.display import DISPLAY_FILTERS, displayed
from ecgxai_core.plots.words import named_leads
from ecgxai_core.types import DERIVED_LEADS, FusedMap, Map, Record, Segmentation
from ecgxai_core.viewer import Context, Lab, Start, Words, payload

_FILTER = "display-filter"


@dataclass(frozen=True, slots=True)
class Known:
    """What was found in a record: its beats and its waves."""

    beats: Beats
    waves: Segmentation | None


def known(record: Record) -> Known:
    """Beats and waves of a record, found once while it is looked at."""
    kept = st.session_state.get("known")
    if kept is None or kept[0] != record.digest:
        kept = st.session_state["known"] = (record.digest, _found(record))
    found: Known = kept[1]
    return found


def _found(record: Record) -> Known:
    beats = beats_of(record)
    return Known(beats, waves_of(record, beats))


def ask_filter() -> None:
    """The display filter; what the model sees never changes."""
    st.selectbox(
        "Display filter", list(DISPLAY_FILTERS), key=_FILTER,
        help="for display only; the model always sees the record itself", **controls.KEPT,
    )  # fmt: skip


def show(
    view: View,
    record: Record,
    maps: Mapping[str, Map],
    sentence: str,
    *,
    key: str,
    among: Sequence[str] = (),
    height_px: int | None = None,
    lab: Lab | None = None,
) -> Reader:
    """The viewer. A step to a neighbour among ``among`` (record names) changes the view."""
    data = data_of(view, record, maps, sentence, among=among, lab=lab)
    data |= {"key": key, "height_px": height_px}

    def stepped() -> None:
        if (step := read(key, data).step) is not None:
            state.update(record=among[step])

    def wanted() -> None:
        if (part := read(key, data).wanted_sec) is not None:
            st.session_state[f"part-{record.digest[:12]}"] = part

    reader = ecg_viewer(data, key, on_step=stepped, on_wanted=wanted)
    if among and state.current().record != view.record:
        st.rerun()  # a step inside a fragment: the page follows
    return reader


def data_of(
    view: View,
    record: Record,
    maps: Mapping[str, Map],
    sentence: str,
    *,
    among: Sequence[str] = (),
    lab: Lab | None = None,
) -> dict[str, Any]:
    """The viewer's data: record, maps and what is known of both."""
    found, chosen = known(record), st.session_state.get(_FILTER) or "unfiltered"
    code, model = services.target(view), services.model(view)
    seen = None
    if model is not None:
        seen = prepare(record, services.classifier(view).manifest, view.start).seen_sec
    follow = bool(maps) and all(item.independent for item in maps.values())
    words = Words(
        target=target_name(code) if code else "",
        maps={name: method_title(name) for name in maps},
        sentence=sentence,
        named={
            name: [row["lead"] for row in named_leads(item, view.fusion.topk)]
            for name, item in maps.items()
        },
        filter_text=f"display {chosen}; model input {_model_filter(view)}",
        settings=(f"profile {view.profile}", *state.changed_settings(view)),
        notes=("simulated, not a patient",) if record.synthetic else (),
    )
    context = Context(
        seen_sec=seen,
        r_peaks_sec=tuple(found.beats.seconds),
        waves=found.waves,
        expected=expected_evidence(code, found.beats.seconds, found.beats.rate) if code else None,
        derived_leads=tuple(DERIVED_LEADS) if follow else (),
    )
    tau, shown = _view_of(view, maps)
    start = Start(
        record_key=record.digest,  # an uploaded record may have the name of one that was forgotten
        target_id=code,
        first=view.method if view.method in maps else "",
        part_sec=st.session_state.get(f"part-{record.digest[:12]}"),
        position=(among.index(record.name), len(among)) if record.name in among else None,
        defaults={"tau": tau, "topk": view.fusion.topk},
        address=state.PICTURE,
        private=[name for name in maps if name != state.FUSED and name not in METHODS],
    )
    drawn = displayed(record, chosen)
    return payload(drawn, shown, context=context, words=words, start=start, lab=lab)


def _view_of(view: View, maps: Mapping[str, Map]) -> tuple[float, dict[str, Map]]:
    """``tau`` as the viewer has it, a share of the largest density, and the maps.

    What the viewer cannot compare (``mass``, and the cells that the published fusion has dropped
    from the map) is hidden in the fused map itself.
    """
    fused = next((item for item in maps.values() if isinstance(item, FusedMap)), None)
    if fused is None:
        return 0.0, dict(maps)
    if view.fusion.tau_mode == "abs":
        largest = float(np.nanmax(np.abs(fused.density()), initial=0.0))
        return min(1.0, round(view.fusion.tau / largest, 4)) if largest > 0 else 0.0, dict(maps)
    kept = fusion_view(fused, view.fusion).kept
    hidden = replace(fused, weights=np.where(kept, fused.weights, np.float32(0)))
    return 0.0, {name: hidden if item is fused else item for name, item in maps.items()}


def _model_filter(view: View) -> str:
    if services.model(view) is None:
        return "unknown (no model)"
    manifest = services.classifier(view).manifest
    band = manifest.filter
    if band is None:
        return f"at {manifest.fs:g} Hz, unfiltered"
    return f"at {manifest.fs:g} Hz, {band.kind} {'-'.join(f'{edge:g}' for edge in band.edges)} Hz"
