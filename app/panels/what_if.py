"""What-if: one thing of the open record is changed, and the model is asked again."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.data import services, work
from app.shell import controls, frame, jobs
from app.shell.frame import escaped, target_name
from app.shell.state import View
from app.viewer import ecg_viewer
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.pipeline.what_if import DoseResponse
from ecgxai_core.plots.dose import Dose, dose_chart
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.simulation.edits import EDITS, SWAPS, Place, edited
from ecgxai_core.types import Record
from ecgxai_core.viewer import Start, Words, payload

SIZES: dict[str, tuple[float, ...]] = {
    "st_level": (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3),
    "t_amplitude": (-2, -1, -0.5, 0, 0.5, 1.5, 2, 3),
    "p_amplitude": (0, 0.25, 0.5, 0.75, 1.5, 2, 3),
    "mask": (0.25, 0.5, 0.75, 1),
    "pr": (-60, -40, -20, 20, 40, 60, 80, 100, 140),
    "qrs": (-40, -20, -10, 10, 20, 30, 40, 60, 80),
    "qt": (-100, -60, -30, 30, 60, 100, 150),
    "rate": (-40, -30, -20, -10, 10, 20, 30, 40, 60),
    "regular": (0.25, 0.5, 0.75, 1),
    "irregular": (2, 5, 10, 15, 20, 30),
    "premature": (50, 100, 150, 200, 250, 300),
    "removed": (1, 2),
    "inserted": (1, 2),
    "swap": (1,),
    "noise": (0.01, 0.02, 0.05, 0.1, 0.2),
    "wander": (0.1, 0.2, 0.5, 1),
    "gain": (0.25, 0.5, 0.8, 1.25, 2, 4),
}
"""Sizes that are tried of each edit."""

_BY_LEAD = ("st_level", "t_amplitude", "p_amplitude", "mask", "noise", "wander", "gain")
_SHOWN = 5
"""Curves beside the target's, at most."""
_MOVED = 0.02
"""Classes whose probability changes by less are not drawn."""


def ask(record: Record) -> tuple[str, Place]:
    """What is changed, and where."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Change", list(EDITS), key="what-if-edit", width=260,
            format_func=lambda one: EDITS[one].title[0].upper() + EDITS[one].title[1:],
        )  # fmt: skip
        swap, leads, span = "", (), None
        if name == "swap":
            chest = [f"V{n}-V{n + 1}" for n in range(1, 6)]
            usual = [one for one in SWAPS if not one.startswith("V") or one in chest]
            swap = st.selectbox("Electrodes", usual, key="what-if-swap", width=160)
        if name in _BY_LEAD:
            leads = tuple(
                st.multiselect(
                    "Leads", record.leads, key="what-if-leads", placeholder="all leads", width=320
                )
            )
        if name == "mask":
            end = round(record.duration, 2)
            span = st.slider("Seconds", 0.0, end, (0.0, min(1.0, end)), 0.05, key="what-if-span")
    return str(name), Place(leads, span, swap)


def response(
    view: View, record: Record, name: str, place: Place
) -> tuple[DoseResponse, tuple[float, ...]] | None:
    """The curve and the sizes at which the call flips: of a job that is started at once, as it
    takes about a second."""
    change = work.Change(name, SIZES[name], place)
    job = jobs.start(
        services.job_key("what-if", view, record, change), f"Changing {record.name}",
        work.dose_response, services.case_file(view, record), change,
        services.threshold(view, services.target(view)), short=True, again=False,
    )  # fmt: skip
    if job.state != "done":
        jobs.show(job)
        return None
    found: tuple[DoseResponse, tuple[float, ...]] = job.result
    return found


def chosen_size(found: DoseResponse) -> float:
    """The size that is looked at: one of those that are possible."""
    neutral = EDITS[found.edit].neutral
    possible = [
        float(size) for size, why in zip(found.sizes, found.refused, strict=True) if not why
    ]
    later = [size for size in possible if size > neutral]
    first = later[min(1, len(later) - 1)] if later else possible[0]
    if len(possible) < 2:
        return first
    picked = st.select_slider(
        f"Size ({found.unit})" if found.unit else "Size", possible, first,
        key=f"what-if-size-{found.edit}",
        format_func=lambda size: "as it is" if size == neutral else f"{size:+g}",
    )  # fmt: skip
    return float(picked)


def answer(view: View, found: DoseResponse, size: float, least: tuple[float, ...]) -> str:
    """What the change does to the target, and the least change that flips the call."""
    code = services.target(view)
    curve, limit = found.column(code), services.threshold(view, code)
    before = float(curve[found.sizes == EDITS[found.edit].neutral][0])
    after = float(curve[found.sizes == size][0])
    called = before >= limit, after >= limit
    words = {
        (True, True): "it is still called",
        (False, False): "it is still not called",
        (True, False): "it is **no longer called**",
        (False, True): "it is **called now**",
    }[called]
    name = target_name(code)
    return (
        f"{escaped(name[:1].upper() + name[1:])}: p = {before:.2f} as recorded, **{after:.2f}** "
        f"with the change; {words} (threshold {limit:.2f}). {_least(found, least)}"
    )


def _least(found: DoseResponse, least: tuple[float, ...]) -> str:
    edit = EDITS[found.edit]
    if not least:
        return "No size that was tried flips the call."
    sizes = " or ".join(f"{size:+.2g} {edit.unit}".strip() for size in least)
    return f"The call flips at {edit.title} {sizes}."


def notes(found: DoseResponse, size: float) -> None:
    """What was measured in the changed record, what is unusual, and what was not possible."""
    place = int(np.flatnonzero(found.sizes == size)[0])
    neutral = int(np.flatnonzero(found.sizes == EDITS[found.edit].neutral)[0])
    name, value = EDITS[found.edit].measures, found.measured[place]
    if name and np.isfinite(value):
        unit = {"heart rate": "/min", "ST": "mV", "T": "mV", "P": "mV"}.get(name, "ms")
        before = found.measured[neutral]
        form = ".2f" if unit == "mV" else ".0f"
        text = f"Measured anew: {name} {before:{form}} → {value:{form}} {unit}."
        text = text.replace("-", "−")
        if found.natural is not None:
            low, high = found.natural
            text += f" 98 % of PTB-XL lie between {low:{form}} and {high:{form}}."
        st.caption(text)
    if found.unusual[place]:
        st.warning(
            "The changed ECG lies outside the range of the training data: what the model says of "
            "it need not mean anything.",
            icon=":material/warning:",
        )
    impossible = [f"{size:+g}" for size, why in zip(found.sizes, found.refused, strict=True) if why]
    if impossible:
        reason = next(why for why in found.refused if why)
        st.caption(escaped(f"Not possible: {', '.join(impossible)} {found.unit}. {reason}."))


def curve(view: View, found: DoseResponse, size: float) -> None:
    """The chart of the target and of the classes that move most."""
    import pandas as pd

    code = services.target(view)
    moves = np.nan_to_num(np.nanmax(found.probabilities, axis=0)) - np.nan_to_num(
        np.nanmin(found.probabilities, axis=0)
    )
    order = sorted(range(len(found.classes)), key=lambda i: (found.classes[i] != code, -moves[i]))
    kept = [i for i in order if found.classes[i] == code or moves[i] >= _MOVED][: 1 + _SHOWN]
    curves = {target_name(found.classes[i]): found.probabilities[:, i] for i in kept}
    edit = EDITS[found.edit]
    title = f"{edit.title}{f' ({edit.unit})' if edit.unit else ''}"
    dose = Dose(title, found.sizes, curves, services.threshold(view, code), size, found.unusual)
    rows = pd.DataFrame({"size": found.sizes, "measured": found.measured, **curves})
    frame.figure(
        dose_chart(dose, frame.colours()), "dose",
        f"Probabilities against {title}; grey: outside the range of the training data.", rows,
        file_name=f"{view.record}_{found.edit}",
    )  # fmt: skip


def _waves(record: Record) -> Delineation:
    """The record's waves, found once while it is looked at."""
    kept = st.session_state.get("what-if-waves")
    if kept is None or kept[0] != record.digest:
        waves = delineate(record.signal, record.fs, record.leads)
        kept = st.session_state["what-if-waves"] = (record.digest, waves)
    found: Delineation = kept[1]
    return found


def changed_record(record: Record, found: DoseResponse, size: float, place: Place) -> None:
    """The ECG as recorded or with the change, in one viewer."""
    picked = controls.pick("ECG", ("Changed", "As recorded"), "Changed", "what-if-ecg")
    try:
        changed = picked == "Changed"
        shown = edited(record, found.edit, size, place, _waves(record)) if changed else record
    except EcgXaiError as error:
        frame.refused(error)
        return
    note = shown.warnings[-1].message if shown is not record else "as recorded"
    data: dict[str, Any] = payload(
        shown,
        words=Words(record=record.name, sentence=f"{record.name}, {note}", notes=(note,)),
        start=Start(key="what-if"),
    )
    ecg_viewer(data, "what-if-viewer")
