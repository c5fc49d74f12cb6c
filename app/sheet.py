"""The paper on the Explain page: how it is drawn, which part, and measuring on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from app import controls, frame, services
from app.frame import escaped
from app.state import View
from ecgxai_core.plots.calipers import Measurement, measure
from ecgxai_core.plots.display import DISPLAY_FILTERS, displayed
from ecgxai_core.plots.layout import LAYOUTS
from ecgxai_core.plots.paper import PaperStyle, part_shown
from ecgxai_core.types import Record

__all__ = ["Sheet", "ask_sheet", "measurement", "measuring", "unzoom", "zoom"]

_KEPT: dict[str, Any] = {"persist_state": "session"}
_LEAST_WINDOW = 0.5
_USUAL_SEC, _ON_PHONE_SEC = 10.0, 3.5


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the record is shown: paper, part of it, and whether the overlay lies on it."""

    style: PaperStyle
    record: Record
    start: float
    stop: float
    overlay: bool
    events: bool


def ask_sheet(view: View, record: Record) -> Sheet:
    """Widgets of the paper; the record that comes back went through the display filter."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        overlay = st.toggle("Explanation", value=True, key="paper-overlay", **_KEPT)
        layout = st.segmented_control(
            "Layout", LAYOUTS, default="12x1", required=True, key="paper-layout", **_KEPT
        )
        with st.popover("Paper", icon=":material/grid_4x4:"):
            speed = st.segmented_control(
                "Speed, mm/s", (25, 50), default=25, required=True, key="paper-speed", **_KEPT
            )
            gain = st.segmented_control(
                "Gain, mm/mV", (5, 10, 20), default=10, required=True, key="paper-gain", **_KEPT
            )
            shown = st.selectbox(
                "Display filter",
                list(DISPLAY_FILTERS),
                key="paper-filter",
                help="for the eye only; the model always sees the record itself",
                **_KEPT,
            )
            cabrera = st.toggle("Cabrera order of the limb leads", key="paper-cabrera", **_KEPT)
            events = st.toggle("Bar of moments", value=True, key="paper-events", **_KEPT)
        start, stop = _window(view, record)
    style = PaperStyle(
        layout=layout,
        cabrera=cabrera,
        speed_mm_s=float(speed),
        gain_mm_mv=float(gain),
        filter_text=f"display {shown}; model input {_model_filter(view)}",
        theme=frame.colours(),
        width_px=360 if frame.on_phone() else 850,
    )
    return Sheet(style, displayed(record, shown), start, stop, overlay, events)


def _model_filter(view: View) -> str:
    if services.model(view) is None:
        return "unknown (no model)"
    band = services.classifier(view).manifest.filter
    if band is None:
        return "unfiltered"
    return f"{band.kind} {'-'.join(f'{edge:g}' for edge in band.edges)} Hz"


def _window(view: View, record: Record) -> tuple[float, float]:
    """The part shown, in seconds: ten seconds from where the model looks; on a phone fewer, because
    more could not be read there."""
    end = float(np.floor(record.duration * 100) / 100)
    if end <= _LEAST_WINDOW:
        return 0.0, record.duration
    key, asked = f"window-{record.digest[:12]}", f"part-{record.digest[:12]}"
    first = min(view.start or 0.0, max(0.0, end - _LEAST_WINDOW))
    usual = _ON_PHONE_SEC if frame.on_phone() else _USUAL_SEC
    part = st.session_state.setdefault(asked, (first, min(end, first + usual)))

    def changed() -> None:
        st.session_state[asked] = st.session_state[key]

    low, high = st.slider(
        "Part shown, s", 0.0, end, key=key, step=0.1, width=260, on_change=changed,
        help="a shorter part is drawn larger, from all samples",
        **controls.seeded(key, part, "value"),
    )  # fmt: skip
    return (low, max(high, low + _LEAST_WINDOW)) if high > low else (low, min(end, low + 1))


def zoom(record: Record, box: Measurement) -> None:
    """Show the part of the record that a box covers."""
    low = max(0.0, box.start_sec)
    high = min(record.duration, max(box.stop_sec, low + _LEAST_WINDOW))
    st.session_state[f"part-{record.digest[:12]}"] = (round(low, 2), round(high, 2))


def unzoom(record: Record) -> None:
    """Show the whole record again."""
    end = float(np.floor(record.duration * 100) / 100)
    st.session_state[f"part-{record.digest[:12]}"] = (0.0, end)


def measurement(sheet: Sheet, event: Any) -> Measurement | None:
    """What the box that was drawn on the paper measures."""
    boxes = event.selection.box if event is not None else []
    if not boxes:
        return None
    places = part_shown(sheet.record, sheet.style, sheet.start, sheet.stop)
    x, y = boxes[-1]["x"], boxes[-1]["y"]
    return measure(
        places, (float(x[0]), float(x[1])), (float(y[0]), float(y[1])), sheet.style.gain_mm_mv
    )


def measuring(sheet: Sheet, record: Record, event: Any) -> None:
    """What the box on the paper measures, and zooming into it."""
    box = measurement(sheet, event)
    whole = (sheet.start, sheet.stop) == (0.0, float(np.floor(record.duration * 100) / 100))
    with st.container(horizontal=True, vertical_alignment="center"):
        if box is None:
            st.caption(
                ":material/straighten: Draw a box on the paper to measure time, rate and voltage"
                + (" (touch the dotted square above it first)." if frame.on_phone() else ".")
            )
        else:
            st.markdown(
                f":material/straighten: **{box.milliseconds:.0f} ms** · "
                f"**{box.per_minute:.0f} /min** · **{box.millivolts:.2f} mV** in lead "
                f"{escaped(box.lead)} ({box.start_sec:.2f} to {box.stop_sec:.2f} s)"
            )
            st.button("Zoom in", icon=":material/zoom_in:", on_click=zoom, args=(record, box))
        if not whole:
            st.button("Whole record", icon=":material/zoom_out_map:", on_click=unzoom,
                      args=(record,))  # fmt: skip
