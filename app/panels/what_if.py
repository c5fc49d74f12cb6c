"""What-if: one feature of the open record is changed, and the model is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

from app.data import services, work
from app.shell import controls, frame, jobs
from app.shell.frame import escaped, short_name, target_name
from app.shell.state import View
from app.viewer import ecg_viewer
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.fusion.median_beat import median_trace
from ecgxai_core.pipeline.fitting_edit import first_edit
from ecgxai_core.pipeline.what_if import DoseResponse, Switch, switched_at, switches
from ecgxai_core.plots.changed_ecg import changed_beats, changed_rhythm
from ecgxai_core.plots.dose import Dose, dose_chart
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.words import listed
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.signal.intervals import ST_AFTER_J_MS
from ecgxai_core.simulation.edits import EDITS, SWAPS, Place, edited
from ecgxai_core.types import DERIVED_LEADS, FloatArray, Record, probability_text
from ecgxai_core.viewer import Start, Words, payload

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")

SIZES: dict[str, tuple[float, ...]] = {
    "st_level": (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3),
    "t_amplitude": (-2, -1, -0.5, 0, 0.5, 1.5, 2, 3),
    "p_amplitude": (0, 0.25, 0.5, 0.75, 1.5, 2, 3),
    "mask": (0.25, 0.5, 0.75, 1),
    "pr": (-60, -40, -20, 20, 40, 60, 80, 100, 140),
    "qrs": (-80, -60, -50, -40, -30, -20, -10, 10, 20, 30, 40, 60, 80),
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

CHEST = tuple(f"V{n}" for n in range(1, 7))
"""Leads of an ST level at first: limb leads, which depend on each other, cannot all rise."""

_IN_TIME = ("rate", "regular", "irregular", "premature", "removed", "inserted", "noise", "wander",
            "mask")  # fmt: skip
"""Edits that a median beat does not show."""

_RHYTHM = ("II", "V1")
_HALF_PX, _PHONE_PX = 530, 340
_BEAT_SEC, _BIN_SEC = (-0.34, 0.56), 0.004
_BY_LEAD = ("st_level", "t_amplitude", "p_amplitude", "mask", "noise", "wander", "gain")
_SHOWN = 5
"""Curves beside the target's, at most."""
_MOVED = 0.02
"""Classes whose probability changes by less are not drawn."""


def ask(view: View, record: Record) -> tuple[str, Place, DeltaGenerator]:
    """What is changed, and where; and the place for its size. It begins with the edit that matters
    for the target."""
    first, leads = first_edit(services.target(view))
    if st.session_state.get("what-if-target") != services.target(view):
        st.session_state["what-if-target"] = services.target(view)
        st.session_state["what-if-edit"] = first
        if first in _BY_LEAD:
            st.session_state[f"what-if-leads-{first}"] = [*leads]
    here = st.session_state["what-if-edit"] in (*_BY_LEAD, "swap")
    what, where, *size = st.columns(
        [2, 4, 4] if here else [2, 8], vertical_alignment="bottom", gap="medium"
    )
    name = what.selectbox(
        "Change", list(EDITS), key="what-if-edit",
        format_func=lambda one: EDITS[one].title[0].upper() + EDITS[one].title[1:],
    )  # fmt: skip
    with where:
        swap, chosen, span = "", (), None
        if name == "swap":
            chest = [f"V{n}-V{n + 1}" for n in range(1, 6)]
            usual = [one for one in SWAPS if not one.startswith("V") or one in chest]
            swap = st.selectbox("Electrodes", usual, key="what-if-swap")
        if name == "mask":
            end = round(record.duration, 2)
            span = st.slider("Seconds", 0.0, end, (0.0, min(1.0, end)), 0.05, key="what-if-span")
        if name in _BY_LEAD:
            key = f"what-if-leads-{name}"
            usual = leads if name == first else CHEST if name == "st_level" else ()
            kept = st.session_state.get(key, usual)
            st.session_state[key] = [lead for lead in kept if lead in record.leads]
            chosen = tuple(st.multiselect("Leads", record.leads, key=key, placeholder="all leads"))
    return str(name), Place(chosen, span, swap), size[0] if size else where


def response(
    view: View, record: Record, name: str, place: Place
) -> tuple[DoseResponse, tuple[float, ...]] | None:
    """The curve and the sizes at which the call flips: of a job that is started at once, as it
    takes about a second."""
    change = work.Change(name, SIZES[name], place)
    key = services.job_key("what-if", view, record, change)
    known = jobs.get(key)
    job = jobs.start(
        key, f"Changing {record.name}", work.dose_response, services.case_file(view, record),
        change, services.threshold(view, services.target(view)), short=True,
        again=known is not None and jobs.cancelled_elsewhere(known),
    )  # fmt: skip
    if job.state != "done":
        jobs.show(job)
        return None
    found: tuple[DoseResponse, tuple[float, ...]] = job.result
    return found


def chosen_size(view: View, found: DoseResponse) -> float:
    """The size that is looked at: one of those that are possible. It begins where the target's
    probability moves most, of records that are still usual ones if there are such."""
    neutral = EDITS[found.edit].neutral
    possible = [
        float(size) for size, why in zip(found.sizes, found.refused, strict=True) if not why
    ]
    first = _telling(view, found)
    if len(possible) < 2:
        return first
    picked = st.select_slider(
        f"{_size_name(found)}, {_range(found)}", possible, first, key=f"what-if-size-{found.edit}",
        format_func=lambda size: "as recorded" if size == neutral else _bare(found, size),
    )  # fmt: skip
    return float(picked)


def _size_name(found: DoseResponse) -> str:
    """What the size of the change is."""
    title = EDITS[found.edit].title
    if found.edit in ("mask", "regular"):
        return "How far"
    named = found.levels is not None or not found.unit
    return title[:1].upper() + title[1:] if named else "Size"


def _bare(found: DoseResponse, size: float, digits: str = "g") -> str:
    """A size without its unit: the interval or rate that is asked for, a factor, or a change."""
    levels = found.levels
    if levels is not None:
        return f"{float(levels[found.neutral_at]) + size:.0f}"
    sign = "+" if found.unit else ""
    return f"{size:{sign}{digits}}".replace("-", "−") if size else "0"


def _range(found: DoseResponse) -> str:
    """The sizes that were possible, from the smallest to the largest, with their unit."""
    possible = [
        float(size) for size, why in zip(found.sizes, found.refused, strict=True) if not why
    ]
    ends = f"{_bare(found, possible[0])} to {_bare(found, possible[-1])}"
    return f"{ends}{_spaced(found.unit)}"


def _spaced(unit: str) -> str:
    """A unit as it stands behind a number."""
    return {"1/min": "/min", "": "", "%": " %"}.get(unit, f" {unit}")


def _sized(size: float) -> str:
    return f"{size:+g}".replace("-", "−") if size else "0"


def _telling(view: View, found: DoseResponse) -> float:
    curve, neutral = found.column(services.target(view)), EDITS[found.edit].neutral
    at = found.neutral_at
    moves = np.abs(curve - curve[at])
    other = np.isfinite(curve) & (found.sizes != neutral)
    usual = other & ~np.asarray(found.unusual)
    among = np.flatnonzero(usual if usual.any() else other)
    if not among.size:
        return neutral
    if np.round(moves[among], 2).max() == 0:  # no size says more than another
        return float(found.sizes[among[min(len(among) // 2 + 1, len(among) - 1)]])
    # of sizes that move it alike the smallest change
    near = np.abs(found.sizes[among] - neutral)
    return float(found.sizes[among[np.lexsort((near, -np.round(moves[among], 2)))[0]]])


def answer(view: View, found: DoseResponse, size: float, least: tuple[float, ...]) -> str:
    """What the change does to the target and to other calls, and the least change that flips the
    target's; safe as markdown."""
    code = services.target(view)
    curve, limit = found.column(code), services.threshold(view, code)
    before, after = float(curve[found.neutral_at]), float(curve[found.sizes == size][0])
    called = before >= limit, after >= limit
    words = {
        (True, True): "it is still called",
        (False, False): "it is still not called",
        (True, False): "it is no longer called",
        (False, True): "it is called now",
    }[called]
    limits = {
        other: services.threshold(view, other)
        for other in found.classes if other not in (code, *aliases(code))
    }  # fmt: skip
    here = switched_at(found, limits, int(np.flatnonzero(found.sizes == size)[0]))
    known = {one.code for one in here}
    beyond = [one for one in switches(found, limits) if one.code not in known]
    name = target_name(code)
    return (
        f"**{escaped(name[:1].upper() + name[1:])}: probability {probability_text(before)} as "
        f"recorded, {probability_text(after)} with the change; {words} (threshold {limit:.2f})"
        f"{escaped(_switched(here))}.** {escaped(_least(found, least, code))} "
        f"{escaped(_elsewhere(found, beyond))}"
        "This shows what the model uses, not what the patient has."
    )


def _switched(here: Sequence[Switch]) -> str:
    """Which other calls the change switches."""
    parts = []
    for verb, codes in (
        ("called now", [one.code for one in here if one.called]),
        ("no longer called", [one.code for one in here if not one.called]),
    ):
        if codes:
            names = listed([short_name(code) for code in codes])
            parts.append(f"{names} {'is' if len(codes) == 1 else 'are'} {verb}")
    return f"; {'; '.join(parts)}" if parts else ""


def _elsewhere(found: DoseResponse, others: Sequence[Switch]) -> str:
    """Which other calls switch at other sizes, and from which on; ends with a space."""
    neutral, places = EDITS[found.edit].neutral, dict[tuple[str, bool], list[str]]()
    for one in sorted(others, key=lambda one: one.at):
        size = float(found.sizes[one.at])
        place = f"{'≥' if size > neutral else '≤'} {_said(found, size)}"
        places.setdefault((one.code, one.called), []).append(place)
    first = dict.fromkeys((one.code, one.called) for one in others)  # largest change first
    parts = [
        f"{short_name(code)} {'called' if called else 'no longer called'} "
        f"({' and '.join(places[code, called])})"
        for code, called in [*first][:_SHOWN]
    ]
    if len(first) > _SHOWN:
        others_too = dict.fromkeys(short_name(code) for code, _ in [*first][_SHOWN:])
        parts.append(f"other calls that switch: {listed([*others_too])}")
    return f"At other sizes: {'; '.join(parts)}. " if parts else ""


def _said(found: DoseResponse, size: float, digits: str = "g") -> str:
    """A size with its unit."""
    return f"{_bare(found, size, digits)}{_spaced(found.unit)}"


def _least(found: DoseResponse, least: tuple[float, ...], code: str) -> str:
    title, call = EDITS[found.edit].title, f"{short_name(code)} call"
    if not least:
        return f"No size that was tried ({title} {_range(found)}) flips the {call}."
    sizes = " or ".join(_said(found, size, ".2g") for size in least)
    return f"The {call} flips at {title} {sizes}."


def notes(found: DoseResponse, size: float, place: Place) -> None:
    """What was measured in the changed record, what is unusual, and what was not possible."""
    at = int(np.flatnonzero(found.sizes == size)[0])
    neutral = found.neutral_at
    said = _by_lead(found, at, neutral, place) if found.by_lead else _measured(found, at, neutral)
    if said:
        st.caption(said)
    if found.unusual[at]:
        st.warning(
            "The changed ECG lies outside the range of the training data: what the model says of "
            "it need not mean anything.",
            icon=":material/warning:",
        )
    impossible = [
        _bare(found, float(one)) for one, why in zip(found.sizes, found.refused, strict=True) if why
    ]
    if impossible:
        reason = next(why for why in found.refused if why)
        sizes = f"{', '.join(impossible)}{_spaced(found.unit)}"
        st.caption(escaped(f"Not possible: {sizes}: {reason}."))


_UNITS = {"heart rate": "/min", "ST": "mV", "T": "mV", "P": "mV"}
_POINTS = {"ST": f"ST level at J + {ST_AFTER_J_MS:g} ms", "T": "T wave", "P": "P wave"}
_LIMBS = frozenset({"I", "II", *DERIVED_LEADS})
_ARRIVED_MV = 0.02
"""A lead in which less of a level than asked arrives by more than this is explained."""


def _measured(found: DoseResponse, at: int, neutral: int) -> str:
    """An interval or a rate before and after, beside its natural range."""
    name, value, before = EDITS[found.edit].measures, found.measured[at], found.measured[neutral]
    if not name or not np.isfinite(value):
        return ""
    unit = _UNITS.get(name, "ms")
    text = f"Measured again: {name} {before:.0f} → {value:.0f} {unit}."
    if found.natural is None:
        return text
    low, high = found.natural
    return f"{text} 98 % of PTB-XL lie between {low:.0f} and {high:.0f}."


def _by_lead(found: DoseResponse, at: int, neutral: int, place: Place) -> str:
    """A wave before and after in every lead that was changed or moved with one; limb leads that
    cannot all get what was asked are explained."""
    name = EDITS[found.edit].measures
    after = {lead: values[at] for lead, values in found.by_lead.items()}
    before = {lead: values[neutral] for lead, values in found.by_lead.items()}
    asked = place.leads or tuple(found.by_lead)
    shown = [lead for lead in after
             if np.isfinite([before[lead], after[lead]]).all()
             and (lead in asked or abs(after[lead] - before[lead]) >= _ARRIVED_MV)]  # fmt: skip
    if not shown:
        return f"The {_POINTS[name]} cannot be measured again in these leads."
    said = " · ".join(f"{lead} {before[lead]:.2f} → {after[lead]:.2f}" for lead in shown)
    text = f"{_POINTS[name]}, measured again, mV: {said}.".replace("-", "−")
    if found.edit == "st_level":
        size = found.sizes[at]
        less = [lead for lead in asked if lead in shown and lead in _LIMBS
                and abs(after[lead] - before[lead] - size) > _ARRIVED_MV]  # fmt: skip
        if less:
            text += (
                f" {listed(less)}: less than {_sized(size)} mV arrives, as limb leads depend on "
                "each other (III = II − I, aVR = −(I + II)/2) and cannot all rise."
            )
    return text


def curve(view: View, found: DoseResponse, size: float) -> None:
    """The chart of the target and of the classes that move most."""
    import pandas as pd

    code = services.target(view)
    moves = np.nan_to_num(np.nanmax(found.probabilities, axis=0)) - np.nan_to_num(
        np.nanmin(found.probabilities, axis=0)
    )
    order = sorted(range(len(found.classes)), key=lambda i: (found.classes[i] != code, -moves[i]))
    kept = [i for i in order if found.classes[i] == code or moves[i] >= _MOVED][: 1 + _SHOWN]
    codes = [found.classes[i] for i in kept]
    curves = {short_name(one): found.column(one) for one in codes}
    limits = {short_name(one): services.threshold(view, one) for one in codes}
    edit, title, levels = EDITS[found.edit], _axis(found), found.levels
    shift = 0.0 if levels is None else float(levels[found.neutral_at]) - edit.neutral
    dose = Dose(title, found.sizes + shift, edit.neutral + shift, curves,
                services.threshold(view, code), size + shift, found.unusual, limits)  # fmt: skip
    rows = pd.DataFrame({
        "size": found.sizes, "measured": found.measured,
        **{target_name(one): found.column(one) for one in codes},
    })  # fmt: skip
    frame.figure(
        dose_chart(dose, frame.colours(), width_px=240 if frame.on_phone() else 480), "dose",
        f"Probabilities against {title}; solid where a class is called by its own threshold, "
        "which is a tick at the right edge; grey: outside the range of the training data.", rows,
        file_name=f"{view.record}_{found.edit}",
    )  # fmt: skip


def _axis(found: DoseResponse) -> str:
    """What the sizes are, with their unit: an interval or rate, else a change of something."""
    edit = EDITS[found.edit]
    change = found.levels is None and edit.unit and edit.measures and edit.neutral == 0
    unit = f" ({_spaced(edit.unit).strip()})" if edit.unit else ""
    return f"{'change of ' if change else ''}{edit.title}{unit}"


def _kept(name: str, record: Record, make: Callable[[Record], T]) -> T:
    """What is made of the record as recorded: once while it is looked at."""
    key = f"what-if-{name}"
    kept = st.session_state.get(key)
    if kept is None or kept[0] != record.digest:
        kept = st.session_state[key] = (record.digest, make(record))
    found: T = kept[1]
    return found


def _waves(record: Record) -> Delineation:
    return delineate(record.signal, record.fs, record.leads)


def change_in_words(found: DoseResponse, size: float, place: Place) -> str:
    """What was done to the record, as people say it: what, how much, and where."""
    title = EDITS[found.edit].title
    if place.swap:
        return f"{title} {place.swap}"
    if found.edit in ("regular", "mask"):
        much = "" if size == 1 else f" by {size:.0%}"
    else:
        much = f" {_said(found, size)}"
    span = "" if place.span_sec is None else " from {:g} to {:g} s".format(*place.span_sec)
    leads = f" in {listed(place.leads)}" if place.leads else ""
    return f"{title}{much}{span}{leads}"


def changed_record(record: Record, found: DoseResponse, size: float, place: Place) -> Record | None:
    """The record with the change; ``None`` where that is refused, which is shown."""
    try:
        return edited(record, found.edit, size, place, _kept("waves", record, _waves))
    except EcgXaiError as error:
        frame.refused(error)
        return None


def before_and_after(record: Record, changed: Record, edit: str, place: Place) -> None:
    """The ECG as recorded and with the change: the median beat of every lead, or the rhythm."""
    style = PaperStyle(theme=frame.colours(), width_px=_PHONE_PX if frame.on_phone() else _HALF_PX)
    if edit not in _IN_TIME:
        one, other = _kept("beat", record, _median), _median(changed)
        moved = [
            lead for row, lead in enumerate(record.leads)
            if float(np.nanmax(np.abs(other[1][row] - one[1][row]), initial=0.0)) >= _ARRIVED_MV
        ]  # fmt: skip
        shown = changed_beats(record.leads, one, other, style, moved)
        words = f"Median beat of {len(record.leads)} leads as recorded and with the change."
        if moved:
            words += f" It moves {listed(moved)}."
    else:
        leads = [one for one in place.leads or _RHYTHM if one in record.leads] or record.leads
        middle = record.duration / 2 if place.span_sec is None else sum(place.span_sec) / 2
        span = place.span_sec if edit == "mask" else None
        shown = changed_rhythm(record, changed, leads[:2], style, middle, span)
        words = f"Leads {listed(leads[:2])} as recorded and with the change."
    frame.figure(shown, "before-after", words, file_name=f"{record.name}_{edit}_ecg")


def _median(record: Record) -> tuple[FloatArray, FloatArray]:
    peaks = r_peaks(record.signal, record.fs, record.leads) / record.fs
    return median_trace(record, peaks, _BEAT_SEC, _BIN_SEC)


def whole_record(record: Record, changed: Record | None, what: str = "") -> None:
    """The ECG as recorded or with the change, in one viewer; as recorded while there is none.

    ``what`` is what was changed: the viewer says so on its paper, and in its text alternative.
    """
    shown, words = record, Words(sentence=f"{record.name}, as recorded", notes=("as recorded",))
    if changed is not None:
        picked = controls.pick("ECG", ("Changed", "As recorded"), "Changed", "what-if-ecg")
        if picked == "Changed" and changed is not record:
            shown, words = changed, Words(sentence=f"ECG of {record.name}", changed=what)
    words = replace(words, record=record.name)
    data: dict[str, Any] = payload(shown, words=words, start=Start(key="what-if"))
    ecg_viewer(data, "what-if-viewer")
