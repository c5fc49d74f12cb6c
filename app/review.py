"""Reviewing one record: which maps there are, how to make them, and what to keep in mind."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import controls, frame, jobs, services, state
from app.frame import escaped, target_name
from app.state import FUSED, View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.explain import METHODS
from ecgxai_core.fusion import view as fusion_view
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.pipeline.explanation import fused_map
from ecgxai_core.types import Attribution, FusedMap, Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SIDE_BY_SIDE",
    "ask_method",
    "ask_start",
    "available",
    "caution_panel",
    "closer",
    "facts",
    "maps",
    "method_title",
    "probabilities",
    "probability_table",
    "quality_panel",
    "ranking_table",
    "record_bar",
    "run_panel",
    "shown_map",
    "verdict",
    "wanted_methods",
]

SIDE_BY_SIDE = "side by side"
_NARROW_SEC = 3.0
Map = Attribution | FusedMap


def method_title(name: str) -> str:
    """Name of a method, or of the fused map, for people."""
    if name == FUSED:
        return "Fused"
    if name == SIDE_BY_SIDE:
        return "Side by side"
    return METHODS[name].title if name in METHODS else name


def wanted_methods(view: View) -> tuple[str, ...]:
    """Methods whose attributions the view needs."""
    if view.method in METHODS:
        return (view.method,)
    return view.parameters.methods


def maps(view: View) -> dict[str, Map]:
    """Maps of the view that are in the cache, by method; ``fused`` once all its methods are.

    The fused map is shown as ``tau`` leaves it.
    """
    fused = view.parameters.methods
    names = tuple(dict.fromkeys((*fused, *wanted_methods(view))))
    found: dict[str, Map] = dict(services.attributions(view, names))
    parts = {name: found[name] for name in fused if name in found}
    if len(parts) == len(fused):
        whole = fused_map(parts, view.parameters)  # type: ignore[arg-type]
        found = {FUSED: shown_map(whole, view), **found}
    return found


def shown_map(fused: FusedMap, view: View) -> FusedMap:
    """The fused map with cells below ``tau`` at 0; explored stays explored."""
    kept = fusion_view(fused, view.fusion).kept
    return replace(fused, weights=np.where(kept, fused.weights, np.float32(0)))


def closer(
    maps_: Mapping[str, Map], start: float, stop: float, width: float = _NARROW_SEC
) -> tuple[float, float]:
    """A part that can be read in a narrow sheet: as asked, or ``width`` seconds (half on a phone)
    around the strongest moment of the first map."""
    width = width / (2 if frame.on_phone() else 1)
    if stop - start <= width:
        return start, stop
    first = next(iter(maps_.values()))
    moments = np.nansum(np.abs(first.weights), axis=0) / first.durations
    inside = (first.edges_sec[:-1] >= start) & (first.edges_sec[1:] <= stop + 1e-6)
    middle = float(first.edges_sec[int(np.where(inside, moments, -1).argmax())]) + 0.25
    begin = min(max(start, middle - width / 2), stop - width)
    st.caption(f"{begin:.1f} to {begin + width:.1f} s, around the strongest moment of this part.")
    return begin, begin + width


def run_panel(view: View, missing: tuple[str, ...]) -> None:
    """Offer to compute what the cache does not have; show the job that does it."""
    if not missing or not services.target(view):
        return
    params = services.explain_params(view, missing)
    job = jobs.get(services.explain_key(view, params))
    if job is not None and job.state != "done":
        jobs.show(job)
        return
    titles = " and ".join(method_title(name) for name in missing)
    frame.empty(
        f"{titles} of this record, target and profile: not computed yet.",
        "It runs in the background; you may look at other pages meanwhile.",
    )
    if st.button(f"Explain with {titles}", type="primary", icon=":material/play_arrow:"):
        services.explain_job(view, params)
        st.rerun()


def facts(record: Record) -> str:
    """One line about the record, safe as markdown."""
    parts = [
        f"{record.duration:.1f} s at {record.fs:g} Hz",
        f"{len(record.leads)} leads",
        f"{record.age:.0f} years" if record.age is not None else "age unknown",
        record.sex or "sex unknown",
        "labels: " + (", ".join(map(target_name, record.labels)) or "none")
        if record.labels is not None
        else "no labels",
    ]
    return escaped(" · ".join(parts))


def verdict(view: View) -> str:
    """What the model says of the target, and what the label says, safe as markdown."""
    code, value, known = services.target(view), services.prediction(view), services.info(view)
    if not code or value is None or known is None:
        return ""
    p, limit = value.probability(code), services.threshold(view, code)
    labels = set(known.labels or ())
    label = "labelled" if labels & {code, *aliases(code)} else "not labelled"
    label = label if known.labels is not None else "no labels"
    called = "present" if p >= limit else "absent"
    return (
        f"**{escaped(target_name(code))}**: probability **{p:.2f}**, called {called} "
        f"(threshold {limit:.2f}), {label}"
    )


def probability_table(view: View) -> pd.DataFrame | None:
    """Every class with probability, threshold and label, most probable first."""
    import pandas as pd

    value, known = services.prediction(view), services.info(view)
    if value is None or known is None:
        return None
    rows = [
        {
            "diagnosis": target_name(code),
            "probability": float(p),
            "threshold": services.threshold(view, code),
            "present": bool(p >= services.threshold(view, code)),
            "labelled": code in (known.labels or ()),
            "code": code,
        }
        for code, p in zip(value.classes, value.probabilities, strict=True)
    ]
    return pd.DataFrame(rows).sort_values("probability", ascending=False, ignore_index=True)


def quality_panel(record: Record, overlay: Map | None) -> None:
    """Quality warnings of the record, and of what the model saw of it, each by its name."""
    found = (*record.warnings, *(overlay.warnings if overlay is not None else ()))
    said = sorted({(warning.code, warning.message) for warning in found})
    if said:
        lines = [f"**{escaped(code.replace('_', ' '))}**: {escaped(text)}" for code, text in said]
        st.warning("  \n".join(lines), icon=":material/warning:")


def caution_panel(view: View, record: Record, overlay: Map | None) -> None:
    """What to keep in mind: what the model cannot see, and how firm the map is."""
    notes = [*_seen(view, record), *_map_notes(overlay)]
    if services.model(view) is not None:
        manifest = services.classifier(view).manifest
        if manifest.reach:
            notes.append(manifest.reach)
        if manifest.notes:
            notes.append(manifest.notes)
    if notes:
        st.subheader("Keep in mind")
    for note in notes:
        st.caption(f":material/info: {escaped(note)}")


def _seen(view: View, record: Record) -> list[str]:
    """Which part of the record the model sees."""
    if services.model(view) is None:
        return []
    length = services.classifier(view).manifest.samples / services.classifier(view).manifest.fs
    given = prepare(record, services.classifier(view).manifest, view.start)
    start, stop = given.seen_sec
    if record.duration > length + 0.01:
        share = 1 - (stop - start) / record.duration
        return [
            f"The model sees {start:.1f} to {stop:.1f} s of {record.duration:.1f} s; the other "
            f"{share:.0%} of the record is neither judged nor explained."
        ]
    if record.duration < length - 0.01:
        return [f"The record is shorter than the model's {length:g} s; the rest is padding."]
    return []


def _map_notes(overlay: Map | None) -> list[str]:
    if overlay is None:
        return []
    notes = []
    explored = float(np.mean(overlay.explored))
    if explored < 0.999:
        notes.append(f"{explored:.0%} of the cells were explored; the rest is hatched, not zero.")
    if overlay.diagnostics.get("converged") is False:
        notes.append("The method says that it has not converged: the order of cells may change.")
    if overlay.diagnostics.get("engine_reason"):
        reason = overlay.diagnostics["engine_reason"]
        notes.append(f"Masked records went through the model one by one: {reason}.")
    if overlay.diagnostics.get("engine") == "local":
        sight, error = overlay.diagnostics["sight"], overlay.diagnostics["engine_error"]
        notes.append(
            f"The model {sight}. Masked records were put together exactly from pieces of the "
            f"record (largest error in probability when it was checked: {error:.0e})."
        )
    if isinstance(overlay, FusedMap):
        conflict = float(np.mean(overlay.agreement[overlay.explored] == -1))
        notes.append(f"The methods disagree in sign on {conflict:.0%} of the explored cells.")
    return notes


def ask_start(view: View, record: Record) -> None:
    """For a record longer than the model's input: where the part that it sees begins."""
    if services.model(view) is None:
        return
    manifest = services.classifier(view).manifest
    last = record.duration - manifest.samples / manifest.fs
    if last <= 0.05:
        return
    key = f"start-{record.digest[:12]}"
    usual = prepare(record, manifest).start_sec
    value = view.start if view.start is not None else usual
    st.session_state[key] = min(max(0.0, value), float(last))

    def changed() -> None:
        picked = round(float(st.session_state[key]), 2)
        state.update(start=None if abs(picked - usual) < 0.005 else picked)

    st.slider(
        "The model looks from, s", 0.0, float(last), step=0.5, key=key, on_change=changed,
        help="the probability above is of the model's own choice",
    )  # fmt: skip


def available(view: View, found: Mapping[str, Map]) -> tuple[str, ...]:
    """Choices that lie open: fused, what is fused, the one in view, and all side by side."""
    several = (SIDE_BY_SIDE,) if len(found) > 1 or view.method == SIDE_BY_SIDE else ()
    other = (view.method,) if view.method in METHODS else ()
    return tuple(dict.fromkeys((FUSED, *view.parameters.methods, *other, *several)))


def ask_method(view: View, found: Mapping[str, Map]) -> None:
    """Which explanation is shown: what is at hand lies open, every other method in a list."""
    shown = available(view, found)
    others = [name for name in METHODS if name not in shown]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.choose(
            "Explanation by", shown, view.method, lambda name: state.update(method=name),
            key="method", names={name: method_title(name) for name in shown}, kind="segmented",
        )  # fmt: skip
        if others:
            st.selectbox(
                "Other methods", others, index=None, key="method-other", width=230,
                format_func=lambda name: f"{method_title(name)} · {METHODS[name].family}",
                placeholder=f"{len(others)} more", on_change=_other_method,
            )  # fmt: skip


def _other_method() -> None:
    if (name := st.session_state.pop("method-other", None)) is not None:
        state.update(method=name)


def record_bar(view: View, found: Any) -> None:
    """Choose another record, the next, or a random one; without a record the page ends here."""
    names = [info.name for info in found.records]
    if not names:
        frame.empty("No record of this data set can be read.", "Look at the Records page for why.")
        st.stop()
    if not view.record:
        frame.empty("No record is chosen.", "Choose one here, or on the Records page.")
    elif view.record not in names:
        failed = {failure.record: failure.reason for failure in found.failures}
        reason = failed.get(view.record, "It is not in this data set; choose another one.")
        st.error(f"**{escaped(view.record)}**: {escaped(reason)}", icon=":material/block:")
    at = names.index(view.record) if view.record in names else None

    def picked() -> None:
        if (name := st.session_state.get("record-choice")) is not None:
            state.update(record=name)

    def step(by: int) -> None:
        state.update(record=names[((at if at is not None else -1) + by) % len(names)])

    def anyone() -> None:
        state.update(record=secrets.choice(names))

    st.session_state["record-choice"] = view.record if at is not None else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Record", names, key="record-choice", index=None, on_change=picked, width=280,
            placeholder="choose a record",
        )  # fmt: skip
        st.button("Previous", icon=":material/chevron_left:", on_click=step, args=(-1,))
        st.button("Next", icon=":material/chevron_right:", on_click=step, args=(1,))
        st.button("Random", icon=":material/casino:", on_click=anyone)
    if at is None:
        st.stop()


def ranking_table(rows: pd.DataFrame, record: str, top: int) -> None:
    """Leads by their share of the map."""
    column = st.column_config
    frame.table(
        rows,
        "ranking",
        f"{record}_leads.csv",
        hint=f"The first {top} are the map's top leads.",
        height=280,
        column_config={
            "lead": column.TextColumn("Lead", width=50),
            "share": column.ProgressColumn(
                "Share of |weight|", min_value=0, max_value=1, format="percent", width=125
            ),
            "for_share": column.NumberColumn(
                "For", format="percent", width=65, help="part of it that speaks for the target"
            ),
            "from_sec": column.NumberColumn(
                "From, s", format="%.2f", width=62, help="where its strongest window begins"
            ),
            "to_sec": column.NumberColumn("To, s", format="%.2f", width=55),
            "direction": column.TextColumn("Direction"),
            "explored": column.NumberColumn("Explored", format="percent"),
        },
    )


def probabilities(view: View, record: str) -> None:
    """What the model says of the record, class by class."""
    rows = probability_table(view)
    if rows is None:
        frame.empty("There is no model.", "Set ECGXAI_MODELS to a folder with one.")
        return
    column = st.column_config
    frame.table(
        rows,
        "probabilities",
        f"{record}_probabilities.csv",
        height=420,
        column_config={
            "diagnosis": column.TextColumn("Diagnosis", width=165),
            "probability": column.ProgressColumn(
                "Probability", min_value=0, max_value=1, format="%.2f", width=105
            ),
            "threshold": column.NumberColumn("Threshold", format="%.2f", width=75),
            "present": column.CheckboxColumn(
                "Present", width=62, help="probability at or over threshold"
            ),
            "labelled": column.CheckboxColumn("Labelled", width=65),
            "code": column.TextColumn("Code"),
        },
    )
