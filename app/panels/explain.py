"""Reviewing one record: choosing it, what the model says of it, and what to keep in mind."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.data import services
from app.data.examples import example
from app.panels import record_maps
from app.shell import controls, frame, state
from app.shell.frame import escaped, target_name
from app.shell.state import FUSED, View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explainers import METHODS
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.criteria import unseen_in_words
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.pipeline.sel_df import labels_can_name
from ecgxai_core.plots.words import answer_in_words, listed
from ecgxai_core.records.catalogues.ptbxl import clinical_classes
from ecgxai_core.types import (
    DERIVED_LEADS,
    PREVIEW_WARNING,
    ROUTINE_WARNINGS,
    Attribution,
    Map,
    Prediction,
    Record,
    Segmentation,
    is_preview,
    probability_text,
    told_apart,
)

if TYPE_CHECKING:
    import pandas as pd


def facts(record: Record) -> str:
    """One line about the record, safe as markdown."""
    parts = [
        f"{record.duration:.1f} s at {record.fs:g} Hz",
        f"{len(record.leads)} leads",
        "labels: " + (", ".join(map(target_name, record.labels)) or "none")
        if record.labels is not None
        else "no labels",
    ]
    return escaped(" · ".join(parts))


def verdict(view: View) -> str:
    """Prediction and label of the target, safe as markdown."""
    code, value, known = services.target(view), services.prediction(view), services.info(view)
    if not code or value is None or known is None:
        return ""
    p, limit = value.probability(code), services.threshold(view, code)
    has = _labelled(view, known, code)
    label = "labelled" if has else "not labelled"
    if has is None:
        label = "no labels" if known.labels is None else "the labels of this data cannot say"
    called = "present" if p >= limit else "absent"
    name, (said, limit_said) = target_name(code), told_apart(p, limit)
    return (
        f"**{escaped(name[:1].upper() + name[1:])}**: probability **{said}**, called {called} "
        f"(threshold {limit_said}), {label}{escaped(_also_called(view, code, value))}"
    )


def _labelled(view: View, known: RecordInfo, code: str) -> bool | None:
    """Whether a record is labelled with a class, by whatever name; ``None`` where its labels cannot
    say."""
    found = services.predictions(view)
    every = [tuple(found.labelled)] if found is not None else [known.labels]
    if known.labels is None or not labels_can_name(code, every):
        return None
    return not {code, *aliases(code)}.isdisjoint(known.labels)


def _also_called(view: View, code: str, value: Prediction) -> str:
    """What else the model calls, most probable first: a map is read beside it; plain text."""
    others = sorted(
        (-value.probability(other), target_name(other))
        for other in clinical_classes(value.classes)
        if other not in (code, *aliases(code))
        and value.probability(other) >= services.threshold(view, other)
    )
    if not others:
        return ""
    said = [f"{name} ({probability_text(-p)})" for p, name in others[:_ALSO_CALLED]]
    more = len(others) - len(said)
    return f"; also called: {listed([*said, *([f'{more} more'] if more else [])])}"


_ALSO_CALLED = 3
"""Other diagnoses that are named."""


def signed(overlay: Map) -> bool:
    """Whether the weights of a map tell evidence for from evidence against."""
    method = METHODS.get(overlay.method) if isinstance(overlay, Attribution) else None
    return method is None or method.signed


def answer(view: View, overlay: Map, waves: Segmentation | None) -> str:
    """On what the model's output rests, in words; plain text."""
    field = None
    if services.model(view) is not None:
        field = services.classifier(view).manifest.receptive_field_sec
    words = answer_in_words(
        overlay, waves, signed=signed(overlay), topk=view.fusion.topk,
        unseen=unseen_in_words(overlay.target, field),
    )  # fmt: skip
    return f"Preliminary: {words}" if is_preview(overlay) else words


def serious_warnings(record: Record, overlay: Map | None) -> None:
    """Quality warnings that change how the record is read, each by its name; together in one
    paragraph, as the ECG stands below."""
    said = [
        f"**{escaped(code.replace('_', ' '))}**: {escaped(text)}"
        for code, text in _warnings(record, overlay)
        if code not in ROUTINE_WARNINGS
    ]
    if said:
        st.markdown(f":orange[:material/warning: {'; '.join(said)}]")


def _warnings(record: Record, overlay: Map | None) -> list[tuple[str, str]]:
    found = (*record.warnings, *(overlay.warnings if overlay is not None else ()))
    said = {(warning.code, warning.message) for warning in found}
    return sorted(item for item in said if item[0] != PREVIEW_WARNING)  # it has a line of its own


def caution_panel(view: View, record: Record, overlay: Map | None) -> None:
    """What to keep in mind: what the model cannot see, and how reliable the map is."""
    notes = [text for code, text in _warnings(record, overlay) if code in ROUTINE_WARNINGS]
    if services.model(view) is not None:
        manifest = services.classifier(view).manifest
        notes += [*_seen(manifest, record, view.start), *_map_notes(overlay)]
        notes += filter(None, (manifest.reach, manifest.notes))
    if notes:
        st.subheader("Keep in mind")
    for note in notes:
        st.caption(f":material/info: {escaped(note)}")


def _seen(manifest: Manifest, record: Record, at: float | None) -> list[str]:
    """Which part of the record the model sees."""
    length = manifest.samples / manifest.fs
    start, stop = prepare(record, manifest, at).seen_sec
    if record.duration > length + 0.01:
        share = 1 - (stop - start) / record.duration
        return [
            f"The model sees {start:.1f} to {stop:.1f} s of {record.duration:.1f} s; the other "
            f"{share:.0%} of the record is neither seen by the model nor explained."
        ]
    if record.duration < length - 0.01:
        return [f"The record is shorter than the model's {length:g} s; the rest is padding."]
    return []


def _map_notes(overlay: Map | None) -> list[str]:
    if overlay is None:
        return []
    notes, facts = [], overlay.diagnostics
    explored = 1.0 - float(np.mean(overlay.missing[overlay.explorable]))
    if explored < 0.999:
        notes.append(f"{explored:.0%} of the cells were explored; the rest is hatched, not zero.")
    if not overlay.explorable.all():
        notes.append(
            "III, aVR, aVL and aVF follow from I and II, so what speaks in them is counted there "
            "(parameter lead_group)."
        )
    elif set(DERIVED_LEADS) & set(overlay.leads) and not overlay.independent:
        notes.append(
            "Limb leads are counted one by one, though III, aVR, aVL and aVF follow from I and II: "
            "evidence that several of them share is one finding."
        )
    if reason := facts.get("segments_reason"):
        notes.append(f"Time is cut into {reason}.")
    if facts.get("converged") is False:
        notes.append("The method has not converged: the order of cells may change.")
    if (facts.get("map_gap") or 0.0) > 0.01:
        notes.append(
            f"The weights add up to {facts['map_sum']:.2f}; the model's value of the record less "
            f"that of the baseline is {facts['map_worth']:.2f} ({facts['map_gap']:.0%} off)."
        )
    if reason := facts.get("engine_reason"):
        notes.append(f"Masked records went through the model one by one: {reason}.")
    if facts.get("engine") == "local":
        notes.append(
            f"Receptive field: {facts['receptive_field']}. Masked records were computed exactly "
            "from pieces of the record (largest error in probability in a check: "
            f"{facts['engine_error']:.0e})."
        )
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
        "Start of the model window, s", 0.0, float(last), step=0.5, key=key, on_change=changed,
        help="the probability above is of the model's own choice",
    )  # fmt: skip


def record_bar(view: View, found: Predictions) -> None:
    """Choose another record, the next, or a random one; where none is chosen an example is shown,
    and without a record the page ends here."""
    names, at = _records(view, found)

    def step(by: int) -> None:
        state.update(record=names[((at if at is not None else -1) + by) % len(names)])

    with st.container(horizontal=True, vertical_alignment="bottom"):
        _ask_record(view, names, at)
        st.button("Previous", icon=":material/chevron_left:", on_click=step, args=(-1,))
        st.button("Next", icon=":material/chevron_right:", on_click=step, args=(1,))
        _ask_random(names)
    if at is None:
        st.stop()


def view_bar(
    view: View, found: Predictions, *, segments: bool = True, explained: bool = False
) -> list[str]:
    """One line: record, target, model, and how the record is cut (``segments``); on a phone what is
    chosen, which opens. Returns the records' names, among which the viewer steps. Where no record
    is chosen an example is shown, which is ``explained`` by itself on a page that shows maps."""
    names, at = _records(view, found, explained=explained)
    if frame.on_phone():
        chosen = " · ".join(filter(None, (view.record, target_name(services.target(view)))))
        box = st.expander(escaped(chosen), expanded=at is None)
    else:
        box = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with box:
        _ask_record(view, names, at, label_visibility="collapsed")
        _ask_random(names, compact=True)
        if known := services.targets(view):
            titles = {code: target_name(code) for code in known}
            ordered = sorted(known, key=lambda code: titles[code].lower())
            controls.choose(
                "Target", ordered, services.target(view), lambda code: state.update(target=code),
                key="bar-target", names=titles, label_visibility="collapsed", width=260,
            )  # fmt: skip
        usable = [item.name for item in services.models() if not item.problem]
        if usable:
            controls.choose(
                "Model", list(dict.fromkeys([*usable, view.model])), view.model,
                lambda name: state.update(model=name),
                key="bar-model", label_visibility="collapsed", width=160,
            )  # fmt: skip
        if at is not None and known and segments:
            _ask_segments(view)
    if at is None:
        st.stop()
    return names


def _records(
    view: View, found: Predictions, *, explained: bool = False
) -> tuple[list[str], int | None]:
    """Names of the records, and the place of the open one; an example is opened where none is."""
    names = [info.name for info in found.records]
    if not names:
        frame.empty("No record of this data set can be read.", "Look at the Records page for why.")
        st.stop()
    if not view.record:
        chosen = example(view, found)
        opened = state.update(
            record=chosen.record if chosen else names[0], target=chosen.target if chosen else ""
        )
        if chosen is not None and explained:
            _explain_example(opened)
        st.rerun()
    if view.record not in names:
        failed = {failure.record: failure.reason for failure in found.failures}
        reason = failed.get(view.record, "It is not in this data set; choose another one.")
        st.error(f"**{escaped(view.record)}**: {escaped(reason)}", icon=":material/block:")
    return names, names.index(view.record) if view.record in names else None


def _explain_example(view: View) -> None:
    try:
        record = services.record(view)
        record_maps.explain_example(view, record, record_maps.maps_of(view, record))
    except EcgXaiError:
        return  # the page, drawn next, says why


_MOST_NAMES = 1000
"""Names that are offered, those around the open record; where there are more, any is typed."""


def _ask_record(view: View, names: list[str], at: int | None, **more: Any) -> None:
    def picked() -> None:
        if (name := st.session_state.get("record-choice")) is not None:
            state.update(record=name)

    st.session_state["record-choice"] = view.record if at is not None else None
    first = max(0, (at or 0) - _MOST_NAMES // 2)
    near = names[first : first + _MOST_NAMES]
    st.selectbox(
        "Record", near, key="record-choice", index=None, on_change=picked,
        placeholder="choose a record", accept_new_options=len(near) < len(names),
        **{"width": 200, **more},
    )  # fmt: skip


def _ask_random(names: list[str], *, compact: bool = False) -> None:
    def anyone() -> None:
        state.update(record=secrets.choice(names))

    st.button(
        "" if compact else "Random", key="random-record", icon=":material/casino:",
        help="a random record" if compact else None, on_click=anyone,
    )  # fmt: skip


_SEGMENTS = {"auto": "Auto", "uniform": "Windows", "beat": "Beats", "wave": "Waves"}


def _ask_segments(view: View) -> None:
    """How the record is cut into segments: another cut is another explanation."""
    shown = view.parameters.for_method(record_maps.wanted_methods(view)[0]).segments
    kinds = [kind for kind in _SEGMENTS if kind != "auto" or shown == "auto"]
    controls.choose(
        "Segments", kinds, shown,
        lambda kind: state.update(explain=state.with_explain(view, {"segments": kind})),
        key="bar-segments", names=_SEGMENTS, kind="segmented", label_visibility="collapsed",
        help="what a cell of the map is: a lead in a window, a beat or a wave",
    )  # fmt: skip


def ask_method(view: View) -> None:
    """Explain with a method that is not fused."""
    others = [name for name in METHODS if name not in view.parameters.methods]

    def picked() -> None:
        state.update(method=st.session_state["method-other"] or FUSED)

    key, value = "method-other", view.method if view.method in others else None
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    st.selectbox(
        "Another method", others, index=None, key=key, on_change=picked,
        format_func=lambda name: f"{record_maps.method_title(name)} · {METHODS[name].family}",
        placeholder="none", help="shown beside those that are fused, in the viewer's list of maps",
    )  # fmt: skip


def ranking_table(
    rows: pd.DataFrame, record: str, named: Sequence[str], *, signed: bool = True
) -> None:
    """Leads by their share of the map; the answer names some of them. Maps that are not ``signed``
    tell nothing for from against."""
    if not signed:
        rows = rows.drop(columns=["for_share", "direction"])
    column = st.column_config
    number: Any = column.NumberColumn
    frame.table(
        rows.assign(for_share=100 * rows["for_share"]) if signed else rows,
        "ranking", f"{record}_leads.csv", height=280, whole=rows,
        hint=f"Named above and marked in the ECG: {listed(named)}." if named else "",
        column_config={
            "lead": column.TextColumn("Lead", width=50),
            "share": column.ProgressColumn(
                "Share of |weight|", min_value=0, max_value=1, format="percent", width=125
            ),
            "for_share": number("For", format="%.0f%%", width=55, help="the rest is against"),
            "from_sec": number("Strongest from, s", format="%.2f", width=115),
            "to_sec": number("to, s", format="%.2f", width=50),
            "direction": column.TextColumn("there", help="for or against, where it is strongest"),
            "explored": number("Explored", format="percent"),
        },
    )  # fmt: skip


def probabilities(view: View, record: str) -> None:
    """Every class with probability, threshold and label, most probable first.

    Statements of PTB-XL are left out where the model also has codes.
    """
    import pandas as pd

    value, known = services.prediction(view), services.info(view)
    if value is None or known is None:
        frame.empty("There is no model.", "Set ECGXAI_MODELS to a folder with one.")
        return
    codes = clinical_classes(value.classes)
    limits = [services.threshold(view, code) for code in codes]
    found = [value.probability(code) for code in codes]
    rows = pd.DataFrame({
        "diagnosis": [target_name(code) for code in codes],
        "probability": found,
        "threshold": limits,
        "present": [p >= limit for p, limit in zip(found, limits, strict=True)],
        "labelled": pd.array([_labelled(view, known, code) for code in codes], dtype="boolean"),
        "code": codes,
    })  # fmt: skip
    column = st.column_config
    rows = rows.sort_values("probability", ascending=False, ignore_index=True)
    # the key names the target: a choice is made once, and ends with it
    shown = frame.in_words(rows)
    shown["probability_text"], shown["threshold"] = zip(
        *map(told_apart, rows["probability"], rows["threshold"]), strict=True
    )
    event = frame.table(
        shown, f"probabilities-{services.target(view)}",
        f"{record}_probabilities.csv", height=420, whole=rows,
        hint="Click a diagnosis to explain it.", on_select="rerun", selection_mode="single-cell",
        column_config={
            "diagnosis": column.TextColumn("Diagnosis", width=160),
            **frame.probability_columns("Probability", width=80),
            "threshold": column.TextColumn("Threshold", width=75),
            "present": column.CheckboxColumn(
                "Present", width=62, help="probability at or above the threshold"
            ),
            "labelled": column.CheckboxColumn(
                "Labelled", width=65, help="by whatever name; empty where labels cannot say"
            ),
            "code": column.TextColumn("Code"),
        },
    )  # fmt: skip
    if cells := event.selection.cells:
        state.update(target=str(rows["code"].iloc[cells[0][0]]))
        st.rerun()


def used_by(methods: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parameter -> those of the methods whose result it influences, in order of the schema.

    A parameter that no method claims belongs to the game, which all methods share.
    """
    claimed = {name for method in METHODS.values() for name in method.uses}
    found = {
        name: tuple(m for m in methods if name in METHODS[m].uses or name not in claimed)
        for name in ExplainParams.model_fields
    }
    return {name: users for name, users in found.items() if users}


def parameters_panel(view: View, record: Record, missing: Sequence[str] = ()) -> None:
    """Widgets of every parameter of the methods in view, made from the schema, and reset.

    Built while the panel is open: two dozen widgets take a fifth of the time of a page.
    A change goes to the URL and to all methods; maps made with other parameters stay in the cache.
    ``missing`` are methods to be run with these parameters, which can be started from here too.
    """
    methods = [name for name in record_maps.wanted_methods(view) if name in METHODS]
    if not methods or services.model(view) is None:
        return
    fields = used_by(methods)
    shown = view.parameters.for_method(methods[0])

    def apply(params: ExplainParams) -> None:
        changes = {
            name: getattr(params, name)
            for name in fields
            if getattr(params, name) != getattr(shown, name)
        }
        state.update(explain=state.with_explain(view, changes))

    panel = st.expander(
        "Parameters of the explanation", icon=":material/tune:", key="explain-parameters",
        on_change="rerun",
    )  # fmt: skip
    if not panel.open:
        return
    with panel:
        titles = " and ".join(record_maps.method_title(name) for name in methods)
        st.caption(
            f"{escaped(titles)}: another value asks for another explanation, which is then "
            "computed and kept; nothing is lost. Names are those of `ecgxai --set`."
        )
        columns = st.columns(2, gap="medium")
        for number, (name, users) in enumerate(fields.items()):
            label = name.replace("_", " ")
            if len(users) < len(methods):
                label += f" ({', '.join(record_maps.method_title(user) for user in users)})"
            with columns[number * 2 // len(fields)]:
                controls.form_for(shown, (name,), "explain", apply, {name: label})
        with st.container(horizontal=True):
            if missing and st.button(
                "Explain with these", key="explain-run", icon=":material/play_arrow:"
            ):
                services.explain_job(view, record, record_maps.wanted_methods(view))
                st.rerun()
            st.button(
                "Reset to the profile", key="explain-reset", icon=":material/restart_alt:",
                on_click=state.update, kwargs={"explain": ()}, disabled=not view.explain,
            )  # fmt: skip
