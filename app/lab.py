"""The fusion lab: settings, live scores, A against B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import controls, frame, review, services, state
from app.frame import escaped
from app.state import View
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explain import METHODS
from ecgxai_core.fusion import family_warning
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.params import FusionParams, profile
from ecgxai_core.pipeline.comparing import SideBySide, side_by_side
from ecgxai_core.pipeline.explanation import fused_map
from ecgxai_core.pipeline.judging import Beats, beats_of
from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.maps import MapPanel, Trace
from ecgxai_core.plots.paper import PaperStyle, thinned
from ecgxai_core.types import Attribution, FusedMap, Record, Score

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PINNED",
    "apply",
    "ask_methods",
    "ask_settings",
    "beats",
    "compared",
    "fused_with",
    "needed_attributions",
    "needed_record",
    "part_drawn",
    "pin_bar",
    "score_cards",
    "score_table",
    "scores",
    "sheet_style",
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


def ask_methods(view: View) -> None:
    """Which methods are fused; what their agreement is worth."""
    key, chosen = "lab-methods", list(view.parameters.methods)

    def picked() -> None:
        if names := tuple(st.session_state[key]):
            usual = profile(view.profile).methods
            state.update(methods=() if names == usual else names)

    st.multiselect(
        "Methods that are fused", list(METHODS), key=key, on_change=picked,
        format_func=lambda name: f"{review.method_title(name)} · {METHODS[name].family}",
        **controls.seeded(key, chosen, "default"),
    )  # fmt: skip
    if said := family_warning(view.parameters.methods):
        st.caption(f":material/info: {escaped(said)}.")


def needed_attributions(view: View) -> dict[str, Attribution]:
    """The explanations that are fused; until the cache has them the page offers to make them."""
    found = services.attributions(view, view.parameters.methods)
    missing = tuple(name for name in view.parameters.methods if name not in found)
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
    methods = view.parameters.methods
    weights = given or tuple(own.get(name, 1.0) for name in methods)
    said = "the diagnosis's own weights until you move it" if given is None else "your weights"
    if len(weights) != 2:
        _ask_each_weight(view, weights, said)
        return
    first, second = (review.method_title(name) for name in methods)
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
    for number, name in enumerate(view.parameters.methods):
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


def sheet_style() -> PaperStyle:
    """Twelve rows, as high as the column beside the settings asks for."""
    width = 360 if frame.on_phone() else 600
    return PaperStyle(layout="12x1", theme=frame.colours(), width_px=width)


def part_drawn(shown: FusedMap, record: Record) -> tuple[float, float]:
    """The whole record; on a phone what can be read there."""
    if not frame.on_phone():
        return 0.0, record.duration
    return review.closer({"fused": shown}, 0.0, record.duration, 7.0)


def trace(record: Record, fused: FusedMap) -> Trace:
    """Lead II (or the first) of the part that was explained, to read times against."""
    lead = "II" if "II" in record.leads else record.leads[0]
    panel = Panel(lead, lead, 1, float(fused.edges_sec[0]), float(fused.edges_sec[-1]), 0.0, 2.0)
    seconds, values = thinned(record, panel)
    return Trace(f"Lead {lead}", seconds, values)
