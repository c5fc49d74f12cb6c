"""Files of the open record: report, printed page to scale, and the checklist in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app.data import services, uploads
from app.panels import ecg, record_maps
from app.shell import controls, frame
from app.shell.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.pdf import ecg_pdf, ecg_png, ecg_svg
from ecgxai_core.plots.theme import LIGHT
from ecgxai_core.report.checklist import Checklist, checklist_from_json
from ecgxai_core.report.record import RecordFacts, caption_of, record_report
from ecgxai_core.settings import settings
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.types import FusedMap, Map, Record
from ecgxai_core.viewer import html

_LAYOUTS = ("12x1", "3x4+II", "6x2")


def record_downloads(view: View) -> None:
    """Buttons for the report and the printed page of the view's record."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout = controls.pick("Page layout", _LAYOUTS, _LAYOUTS[0], "export-layout")
        gain = controls.pick("Gain, mm/mV", (5, 10, 20), 10, "export-gain")
    style = PaperStyle(layout=layout, gain_mm_mv=float(gain), theme=LIGHT)
    prediction, choice = services.prediction(view), services.model(view)
    if prediction is None or choice is None or not services.target(view):
        st.caption("Files can be made once the record's probabilities are known.")
        return
    with frame.refusals():
        record = services.record(view)
        facts = RecordFacts(
            record=record,
            prediction=prediction,
            model=choice.path.name,
            manifest=services.classifier(view).manifest,
            target=services.target(view),
            profile=view.parameters,
            maps=_shown_maps(view, record),
            start=view.start,
            checklist=load_checklist(view),
            style=style,
        )
    name = f"{record.name}_{facts.target}"
    what = "with the map" if facts.maps else "without a map: not explained yet"
    st.caption(f"Made on this machine, {what}. The page prints at 100 % in true millimetres.")
    with st.container(horizontal=True):
        frame.download("Viewer (works offline)", f"{name}_viewer.html", "text/html",
                       partial(_viewer_page, view, facts), "export-viewer")  # fmt: skip
        frame.download("Report of this record", f"{name}.html", "text/html",
                       lambda: record_report(facts), "export-html")  # fmt: skip
        for kind, mime in (
            ("pdf", "application/pdf"),
            ("svg", "image/svg+xml"),
            ("png", "image/png"),
        ):
            frame.download(f"Page as {kind.upper()}", f"{name}.{kind}", mime,
                           partial(_page, view, facts, kind), f"export-{kind}")  # fmt: skip


def _shown_maps(view: View, record: Record) -> dict[str, Map]:
    """The maps that files show: the fused one as ``tau`` leaves it."""
    return {
        name: record_maps.shown_map(item, view) if isinstance(item, FusedMap) else item
        for name, item in record_maps.maps_of(view, record).items()
    }


def _shown_name(view: View, maps: Mapping[str, Map]) -> str:
    """The map that the page shows: the chosen one, else the first; empty where there is none."""
    return view.method if view.method in maps else next(iter(maps), "")


def _viewer_page(view: View, facts: RecordFacts) -> bytes:
    """The ECG viewer with the record and all its maps, in one file; what stands on a printed page
    stands above it."""
    maps = record_maps.maps_of(view, facts.record)
    name = _shown_name(view, maps)
    shown = f"{record_maps.method_title(name)} map"
    caption = caption_of(facts, maps.get(name), shown)
    words = " ".join(f"{line.rstrip('.')}." for line in caption.lines)
    title = f"Record {facts.record.name}: {frame.target_name(facts.target)}"
    return html({**ecg.data_of(view, facts.record, maps, words), "address": ""}, title).encode()


def _page(view: View, facts: RecordFacts, kind: str) -> bytes:
    name = _shown_name(view, facts.maps)
    item = facts.maps.get(name)
    what: dict[str, Any] = {"overlay": item}
    if item is not None:
        what |= {"start": max(0.0, float(item.edges_sec[0])), "stop": float(item.edges_sec[-1])}
    words = caption_of(facts, item, f"{record_maps.method_title(name)} map")
    if kind == "svg":
        return ecg_svg(facts.record, facts.style, words, **what)[0]
    make = ecg_pdf if kind == "pdf" else ecg_png
    return make(facts.record, facts.style, words, **what)


def _subject(view: View) -> str:
    """What a checklist is about: record, model and target, by content."""
    parts = (services.record(view).digest, services.classifier(view).digest, services.target(view))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _checklist_file(view: View) -> Path | None:
    """Where answers are kept; those about own records stay in the session."""
    data = services.data_set(view)
    if data is None or data.own:
        return None
    return settings().cache_dir / "checklists" / f"{_subject(view)}.json"


def load_checklist(view: View) -> Checklist | None:
    """The saved answers about the view's record, model and target."""
    file = _checklist_file(view)
    if file is None:
        kept: Checklist | None = st.session_state.get(f"checklist-{_subject(view)}")
        return kept if uploads.own_records() is not None else None
    try:
        return checklist_from_json(file.read_text("utf-8"), file.name)
    except (OSError, UnicodeDecodeError, EcgXaiError):
        return None


def save_checklist(view: View, answers: Checklist) -> None:
    """Keep the answers; the record's report shows them from now on.

    Raises
    ------
    RunError
        The cache folder cannot be written.
    """
    file = _checklist_file(view)
    if file is None:
        st.session_state[f"checklist-{_subject(view)}"] = answers
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(file, answers.as_json())
