"""Files of what is being looked at: report, PDF in true millimetres, and the checklist in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from app import review, services, uploads
from app.frame import escaped
from app.state import FUSED, View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.pdf import ecg_pdf, ecg_png, ecg_svg
from ecgxai_core.plots.theme import LIGHT
from ecgxai_core.report.checklist import Checklist, checklist_from_json
from ecgxai_core.report.record import RecordFacts, caption_of, record_report
from ecgxai_core.settings import settings
from ecgxai_core.store.atomic import write_json_atomic

__all__ = ["facts_of", "load_checklist", "record_downloads", "save_checklist"]

_LAYOUTS = ("12x1", "3x4+II", "6x2")


def facts_of(view: View, style: PaperStyle | None = None) -> RecordFacts | None:
    """What a report of the view's record shows; ``None`` while probabilities are not known."""
    prediction, choice = services.prediction(view), services.model(view)
    code = services.target(view)
    if prediction is None or choice is None or not code:
        return None
    return RecordFacts(
        record=services.record(view),
        prediction=prediction,
        model=choice.path.name,
        manifest=services.classifier(view).manifest,
        target=code,
        profile=view.parameters,
        maps=review.maps(view),
        start=view.start,
        checklist=load_checklist(view),
        style=style or PaperStyle(layout="12x1"),
    )


def record_downloads(view: View) -> None:
    """Buttons for the report and the printed page of the view's record."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout = st.segmented_control(
            "Page layout", _LAYOUTS, default=_LAYOUTS[0], required=True, key="export-layout"
        )
        gain = st.segmented_control(
            "Gain, mm/mV", (5, 10, 20), default=10, required=True, key="export-gain"
        )
    style = PaperStyle(layout=layout, gain_mm_mv=float(gain), theme=LIGHT)
    try:
        facts = facts_of(view, style)
    except EcgXaiError as error:
        st.error(escaped(error), icon=":material/block:")
        return
    if facts is None:
        st.caption("Files can be made once the record's probabilities are known.")
        return
    name = f"{facts.record.name}_{facts.target}"
    what = "with the map" if facts.maps else "without a map: not explained yet"
    st.caption(f"Made on this machine, {what}. The page prints at 100 % in true millimetres.")
    files: tuple[tuple[str, str, str, Any], ...] = (
        ("Report of this record", f"{name}.html", "text/html", lambda: record_report(facts)),
        ("Page as PDF", f"{name}.pdf", "application/pdf", lambda: _page(view, facts, "pdf")),
        ("Page as SVG", f"{name}.svg", "image/svg+xml", lambda: _page(view, facts, "svg")),
        ("Page as PNG", f"{name}.png", "image/png", lambda: _page(view, facts, "png")),
    )
    with st.container(horizontal=True):
        for label, file_name, mime, make in files:
            st.download_button(
                label,
                data=make,
                file_name=file_name,
                mime=mime,
                key=f"export-{mime}",
                icon=":material/download:",
                on_click="ignore",
            )


def _page(view: View, facts: RecordFacts, kind: str) -> bytes:
    item = facts.maps.get(view.method) or facts.maps.get(FUSED)
    title = review.method_title(view.method if view.method in facts.maps else FUSED)
    what: dict[str, Any] = {"overlay": item}
    if item is not None:
        what |= {"start": max(0.0, float(item.edges_sec[0])), "stop": float(item.edges_sec[-1])}
    words = caption_of(facts, item, f"{title} map")
    if kind == "pdf":
        return ecg_pdf(facts.record, facts.style, words, **what)
    if kind == "svg":
        return ecg_svg(facts.record, facts.style, words, **what)[0]
    return ecg_png(facts.record, facts.style, words, **what)


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
        st.session_state[f"checklist-{_subject(view)}"] = replace(answers)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(file, json.loads(json.dumps(answers.as_json())))
