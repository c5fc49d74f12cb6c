"""The fusion lab: settings, live scores, A against B, and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import controls, frame, jobs, review, services, state
from app.frame import escaped
from app.state import View
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.params import FusionParams, profile
from ecgxai_core.pipeline.comparing import SideBySide, side_by_side
from ecgxai_core.pipeline.explanation import FUSED_METHODS, fused_map
from ecgxai_core.pipeline.judging import Beats, beats_of
from ecgxai_core.pipeline.sweep import MEASURES, SWEPT, Sweep, cached_case, default_axis, sweep
from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.maps import MapPanel, Trace
from ecgxai_core.plots.paper import PaperStyle, thinned
from ecgxai_core.records.read import read_record
from ecgxai_core.report.commands import run_command
from ecgxai_core.types import Attribution, FusedMap, Record, Score

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PINNED",
    "apply",
    "ask_settings",
    "beats",
    "command",
    "compared",
    "first_measures",
    "fused_with",
    "in_force",
    "needed_attributions",
    "needed_record",
    "pin_bar",
    "score_cards",
    "score_table",
    "scores",
    "sheet_style",
    "sweep_cells",
    "sweep_form",
    "sweep_job",
    "sweep_words",
    "take_best",
    "trace",
]

PINNED = "lab-pinned"
"""Session key of the settings pinned as A."""

_CARDS = ("attauc_strict", "attauc_lenient", "precision_strict")
_LABELS = {
    "agg": "Combine magnitudes by",
    "beta": "Trust in what one method alone found (beta)",
    "sign_policy": "Where methods disagree in sign",
    "scale": "Scale each method",
    "tau": "Hide cells below (tau)",
    "tau_mode": "tau compares",
    "topk": "Leads named (topk)",
}
_WEIGHT = "lab-weight"
_THIS, _ALL = "This record", "All explained records of the class"


def apply(params: FusionParams) -> None:
    """Make these the view's fusion settings."""
    state.update(fusion=params)


def needed_record(view: View) -> Record:
    """The view's record; without one, or where it fails, the page says what to do and ends."""
    if services.model(view) is None:
        frame.empty(
            "There is no model to explain.",
            "Set ECGXAI_MODELS to a folder with a model and its manifest.",
        )
        st.stop()
    review.record_bar(view, frame.wait_for_predictions(view))
    try:
        record = services.record(view)
        if not services.target(view):
            name = frame.target_name(view.target)
            frame.empty(f"This model has no output for {name}.", "Choose another target.")
            st.stop()
    except EcgXaiError as error:
        st.error(escaped(error), icon=":material/block:")
        st.stop()
    return record


def needed_attributions(view: View) -> dict[str, Attribution]:
    """The explanations that are fused; until the cache has them the page offers to make them."""
    found = services.attributions(view, FUSED_METHODS)
    missing = tuple(name for name in FUSED_METHODS if name not in found)
    if missing:
        review.run_panel(view, missing)
        st.stop()
    return found


def beats(record: Record) -> Beats:
    """The record's beats, found once while it is looked at."""
    kept = st.session_state.get("beats")
    if kept is None or kept[0] != record.digest:
        kept = st.session_state["beats"] = (record.digest, beats_of(record))
    found: Beats = kept[1]
    return found


def fused_with(found: Mapping[str, Attribution], view: View, params: FusionParams) -> FusedMap:
    """The fused map under other fusion settings than the view's."""
    return fused_map(found, profile(view.profile).updated(fusion=params))


def scores(fused: FusedMap, view: View, known: Beats) -> dict[str, Score]:
    """Plausibility of a map, by metric."""
    diagnosis = find_diagnosis(fused.target)
    params = view.parameters.evaluation
    return {s.metric: s for s in plausibility(fused, diagnosis, known.seconds, known.rate, params)}


def ask_settings(view: View) -> None:
    """Presets, widgets of every fusion parameter, and reset."""
    usual = profile(view.profile).fusion
    choices = {
        "Profile": usual,
        "Agreement only": usual.updated(beta=0.0),
        "Average": usual.updated(agg="mean"),
        "Cautious": usual.updated(agg="min", beta=0.0, sign_policy="drop"),
        "Every hint": usual.updated(agg="max", sign_policy="abs"),
    }
    st.caption("Presets")
    controls.presets(choices, view.fusion, "lab-preset", apply)
    controls.form_for(view.fusion, tuple(_LABELS), "lab", apply, _LABELS)
    _ask_weights(view)
    st.button(
        "Reset to the profile",
        icon=":material/restart_alt:",
        on_click=apply,
        args=(usual,),
        disabled=view.fusion == usual,
    )


def _ask_weights(view: View) -> None:
    """Weights of the methods, as one share where there are two; first those of the diagnosis."""
    given = view.fusion.method_weights
    row = find_diagnosis(services.target(view))
    own = dict(row.method_weights) if row is not None and row.method_weights else {}
    weights = given or tuple(own.get(name, 1.0) for name in FUSED_METHODS)
    said = "the diagnosis's own weights until you move it" if given is None else "your weights"
    if len(weights) != 2:
        _ask_each_weight(view, weights, said)
        return
    first, second = (review.method_title(name) for name in FUSED_METHODS)
    share = round(weights[0] / (sum(weights) or 1.0), 2)

    def weigh() -> None:
        picked = float(st.session_state[_WEIGHT])
        apply(view.fusion.updated(method_weights=(picked, round(1 - picked, 2))))

    if st.session_state.get(_WEIGHT) != share:
        st.session_state[_WEIGHT] = share
    st.slider(
        f"Weight of {first}; the rest is {second}'s",
        0.0,
        1.0,
        step=0.05,
        key=_WEIGHT,
        on_change=weigh,
        help=said,
    )


def _ask_each_weight(view: View, weights: Sequence[float], said: str) -> None:
    for number, name in enumerate(FUSED_METHODS):
        key = f"{_WEIGHT}-{name}"

        def weigh(number: int = number, key: str = key) -> None:
            changed = [*weights]
            changed[number] = float(st.session_state[key])
            apply(view.fusion.updated(method_weights=tuple(changed)))

        value = round(float(weights[number]), 2)
        st.slider(
            f"Weight of {review.method_title(name)}", 0.0, 1.0, step=0.05, key=key,
            on_change=weigh, help=said, **controls.seeded(key, value, "value"),
        )  # fmt: skip


def pin_bar(view: View) -> FusionParams | None:
    """Pin the settings as A, take A back, or let it go; returns A."""
    pinned: FusionParams | None = st.session_state.get(PINNED)
    with st.container(horizontal=True, vertical_alignment="center"):
        if pinned is None:
            st.button(
                "Pin as A",
                icon=":material/keep:",
                on_click=st.session_state.__setitem__,
                args=(PINNED, view.fusion),
                help="keep these settings, change others, and see what differs",
            )
            return None
        st.button("Pin these as A", icon=":material/keep:", key="lab-pin-again",
                  on_click=st.session_state.__setitem__, args=(PINNED, view.fusion))  # fmt: skip
        st.button("Back to A", icon=":material/undo:", on_click=apply, args=(pinned,))
        st.button("Let A go", icon=":material/keep_off:", on_click=st.session_state.pop,
                  args=(PINNED, None))  # fmt: skip
    st.caption(f"A: {escaped(_said(pinned, view.fusion))}")
    st.caption(f"B: {escaped(_said(view.fusion, pinned))}")
    return pinned


def _said(one: FusionParams, other: FusionParams) -> str:
    """The settings of one that differ from the other's."""
    parts = [
        f"{name} {getattr(one, name)}"
        for name in FusionParams.model_fields
        if getattr(one, name) != getattr(other, name)
    ]
    return ", ".join(parts) or "the same settings; change one on the left"


def score_cards(now: Mapping[str, Score], before: Mapping[str, Score] | None) -> None:
    """The main scores; under each how far from chance, or from A."""
    with st.container(horizontal=True):
        for name in _CARDS:
            score = now[name]
            base = before[name].value if before else score.random
            known = score.value == score.value
            same = abs(score.value - base) < 5e-4
            st.metric(
                METRICS[name].title,
                f"{score.value:.3f}" if known else "–",
                _against(score.value, base, "A" if before else "chance") if known else None,
                help=f"chance {METRICS[name].chance}; undefined where {METRICS[name].undefined}",
                delta_color="off" if same else "normal",
                delta_arrow="off" if same else "auto",
                border=True,
            )


def _against(value: float, base: float, name: str) -> str:
    """How far a value is from what it is compared with, in words where it is the same."""
    far = value - base
    return f"as {name}" if abs(far) < 5e-4 else f"{far:+.3f} vs {name}"


def score_table(now: Mapping[str, Score]) -> pd.DataFrame:
    """Every score beside what it must be judged against."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"metric": METRICS[s.metric].title, "value": s.value, "random map": s.random}
            | {"empty map": s.empty, "best possible": s.ceiling}
            for s in now.values()
        ]
    )


def compared(one: FusedMap, other: FusedMap) -> tuple[SideBySide, list[MapPanel]]:
    """A, B and the difference, ready to be drawn on one time axis."""
    both = side_by_side(one, other)
    parts = (("A", both.one), ("B", both.other), ("B − A", both.difference))
    return both, [MapPanel(title, both.leads, both.edges_sec, part) for title, part in parts]


def sweep_form() -> dict[str, Any]:
    """Widgets of a sweep: two parameters, the records, and whether the model is asked."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox("Across", SWEPT, index=SWEPT.index("beta"), key="sweep-x", width=170)
        others = [name for name in SWEPT if name != x]
        y = st.selectbox("Down", others, key="sweep-y", width=170)
        scope = st.segmented_control(
            "Records", (_THIS, _ALL), default=_THIS, required=True, key="sweep-scope"
        )
        deletion = st.toggle(
            "Deletion gain too",
            key="sweep-deletion",
            help="asks the model about every map: slower, in the background",
        )
    return {"x": x, "y": y, "whole": scope == _ALL, "deletion": deletion}


def sweep_job(view: View, form: Mapping[str, Any], *, begin: bool) -> jobs.Job | None:
    """The job of a sweep; started only if ``begin``."""
    record, code = services.record(view), services.target(view)
    chosen, store, params = services.classifier(view), services.store(view), view.parameters
    data, found = services.data_set(view), services.predictions(view)
    axes = default_axis(form["x"]), default_axis(form["y"])
    scope = f"{data.path if data else ''}" if form["whole"] else f"{record.digest}:{view.start}"
    others = params.fusion.model_dump(exclude={form["x"], form["y"]})
    settings = [params.updated(fusion=FusionParams()).model_dump_json(), sorted(others.items())]
    key = f"sweep:{scope}:{chosen.digest}:{code}:{sorted(form.items())}:{settings}"
    if not begin:
        return jobs.get(key)
    if (old := jobs.get(key)) is not None and not old.active:
        jobs.forget(key)  # more records may have been explained since
    codes = set(aliases(code))
    infos = [
        info
        for info in (found.records if found and form["whole"] else ())
        if info.labels is None or codes & set(info.labels)
    ]

    def work(progress: jobs.Progress) -> Sweep:
        cases = []
        for number, info in enumerate(infos):
            progress(number, 2 * len(infos), f"looking for explanations: {info.name}")
            cases.append(cached_case(read_record(info.path), chosen, code, params, store))
        if not form["whole"]:
            cases.append(cached_case(record, chosen, code, params, store, start_sec=view.start))
        there = [case for case in cases if case is not None]
        model = chosen if form["deletion"] else None
        return sweep(there, *axes, params, classifier=model, progress=progress)

    return jobs.start(key, f"Sweep of {form['x']} and {form['y']}", work)


def sweep_cells(found: Sweep) -> pd.DataFrame:
    """The sweep as a table for people."""
    frame_ = found.frame[found.frame["n"] > 0]
    return frame_.assign(measure=[MEASURES[name] for name in frame_["measure"]])


def command(view: View) -> str:
    """The run with the view's settings, as a command line; folders are names only."""
    data, model = services.data_set(view), services.model(view)
    return run_command(
        {
            "data": data.path.name if data else "DATA",
            "model": model.path.name if model else "MODEL",
            "mode": "eval",
            "targets": [services.target(view)],
            "profile": view.parameters.as_key(),
        }
    )


def sheet_style() -> PaperStyle:
    """Twelve rows, as high as the column beside the settings asks for."""
    width = 360 if frame.on_phone() else 600
    return PaperStyle(layout="12x1", theme=frame.colours(), width_px=width)


def trace(record: Record, fused: FusedMap) -> Trace:
    """Lead II (or the first) of the part that was explained, to read times against."""
    lead = "II" if "II" in record.leads else record.leads[0]
    panel = Panel(lead, lead, 1, float(fused.edges_sec[0]), float(fused.edges_sec[-1]), 0.0, 2.0)
    seconds, values = thinned(record, panel)
    return Trace(f"Lead {lead}", seconds, values)


def first_measures(found: Sweep) -> list[str]:
    """What is drawn first: localisation, deletion gain and stability, where they are."""
    wanted = ("attauc_strict", "deletion_gain", "spearman", "shown")
    return [name for name in wanted if name in found.measures()][:3]


def in_force(found: Sweep, view: View) -> tuple[Any, Any]:
    """The view's values of the two swept parameters."""
    weights = view.fusion.method_weights

    def value(name: str) -> Any:
        if name == "method_weights":
            return weights[0] if weights else None
        return getattr(view.fusion, name)

    return value(found.x.name), value(found.y.name)


def sweep_words(found: Sweep, measure: str) -> str:
    """One sentence about a sweep: where it is best, and the chance level."""
    best, chance = found.peak(measure), found.chance(measure)
    said = f"{MEASURES[measure]} by {found.x.name} and {found.y.name}: best {best.value:.3f} at "
    said += f"{found.x.name} {best.x}, {found.y.name} {best.y}"
    return said + (f"; chance {chance:.3g}" if chance == chance else "")


def take_best(view: View, found: Sweep) -> None:
    """Take the best grid point into the view, and show the run that uses it."""
    measures = found.measures()
    if not measures:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = st.selectbox("Best by", measures, key="sweep-best", width=260,
                               format_func=MEASURES.__getitem__)  # fmt: skip
        best = found.best(measure, view.fusion)
        st.button(
            "Take the best into the run",
            icon=":material/check:",
            on_click=apply,
            args=(best,),
            disabled=best == view.fusion,
            key="sweep-take",
        )
    if best == view.fusion:
        st.caption("These settings are in force. A run with them (put your own folders in):")
        st.code(command(view), language="bash", wrap_lines=True)
