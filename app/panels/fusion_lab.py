"""The fusion lab: settings, live scores, A against B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.data import services, work
from app.panels import ecg, explain, record_maps
from app.panels.given_maps import given_maps
from app.shell import controls, frame, jobs, state
from app.shell.frame import escaped
from app.shell.state import FUSED, View
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion import family_warning
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.params import FusionParams, profile
from ecgxai_core.pipeline.compare import SideBySide, side_by_side
from ecgxai_core.pipeline.evaluation import Beats
from ecgxai_core.pipeline.explain import fused_map
from ecgxai_core.pipeline.given_maps import content_key
from ecgxai_core.pipeline.headlines import HARDLY
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.plots.layout import Panel
from ecgxai_core.plots.maps import MapPanel, Trace
from ecgxai_core.plots.paper import thinned
from ecgxai_core.types import Attribution, FusedMap, Record, Score
from ecgxai_core.viewer import Lab

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.delta_generator import DeltaGenerator

PINNED = "lab-pinned"
"""Session key of the settings pinned as A."""
PINNED_MAP = "A, pinned"
"""Name of the map fused with them."""

_WHOLE_PAGE = "lab-whole-page"
_SLID = ("beta", "found", "tau", "topk", "method_weights")
"""Settings that have sliders."""
_CARDS = ("attauc_strict", "attauc_lenient", "precision_strict")
_LABELS = {
    "agg": "Combine magnitudes by (agg)",
    "sign_policy": "Where methods disagree in sign (sign_policy)",
    "beta": "Weight of cells that fewer than two methods found (beta)",
    "found": "A method finds cells from this share of its largest (found)",
    "scale": "Scale of each method (scale)",
    "tau": "Hide cells below (tau)",
    "tau_mode": "What is compared with that limit (tau_mode)",
    "topk": "Leads named (topk)",
}
_OPTIONS: dict[str, dict[Any, str]] = {
    "sign_policy": {"penalize": "reduce", "drop": "remove", "abs": "ignore sign"},
    "scale": {"global": "whole map", "lead": "each lead"},
    "tau_mode": {"abs": "weight", "mass": "weight × time"},
}
"""Values of parameters in words."""
_OWN = "Your own settings"
_WEIGHT = "lab-weight"


def apply(params: FusionParams) -> None:
    """Make these the view's fusion settings.

    The lab alone runs again, as it has to at every step of a slider; after a choice the page does,
    as its header names what differs from the profile.
    """
    old = state.current().fusion
    changed = {name for name in _SLID if getattr(old, name) != getattr(params, name)}
    if len(changed) != 1 or old.updated(**{n: getattr(params, n) for n in changed}) != params:
        st.session_state[_WHOLE_PAGE] = True
    state.update(fusion=params)


def apply_choice(params: FusionParams) -> None:
    """The same by a button, after which the page runs again whatever has changed."""
    apply(params)
    st.session_state[_WHOLE_PAGE] = True


def page_is_due() -> bool:
    """Whether settings were chosen that the header of the page does not yet show."""
    return bool(st.session_state.pop(_WHOLE_PAGE, False))


def needed_record(
    view: View, bar: Callable[[View, Predictions], object] = explain.record_bar
) -> Record:
    """The view's record, chosen with ``bar``; where there is none, or it is refused, the page says
    what to do and ends."""
    if services.model(view) is None:
        frame.empty(
            "There is no model to explain.",
            "Set ECGXAI_MODELS to a folder with a model and its manifest.",
        )
        st.stop()
    bar(view, frame.wait_for_predictions(view))
    with frame.refusals():
        record = services.record(view)
        if not services.target(view):
            name = frame.target_name(view.target)
            frame.empty(f"This model has no output for {name}.", "Choose another target.")
            st.stop()
    return record


def ask_methods(view: View) -> None:
    """Which methods are fused, and how informative their agreement is."""
    key, chosen = "lab-methods", list(view.parameters.methods)

    def picked() -> None:
        if names := tuple(st.session_state[key]):
            usual = profile(view.profile).methods
            state.update(methods=() if names == usual else names)

    st.multiselect(
        "Methods that are fused", list(METHODS), key=key, on_change=picked,
        format_func=record_maps.method_title, **controls.seeded(key, chosen, "default"),
    )  # fmt: skip
    named = (f"{record_maps.method_title(name)} ({METHODS[name].family})" for name in chosen)
    st.caption(escaped(", ".join(named)))  # the field shows only the first of several
    if said := family_warning(view.parameters.methods):
        st.caption(f":material/info: {escaped(said)}.")


def needed_attributions(view: View, record: Record) -> dict[str, Attribution]:
    """The explanations that are fused; until the cache has them the page offers to make them, and
    of the demonstration it makes them at once."""
    found = services.attributions(view, record, view.parameters.methods)
    if len(found) < len(view.parameters.methods):
        fused, data = replace(view, method=FUSED), services.data_set(view)
        shown = record_maps.maps_of(fused, record, previews=True)
        job = jobs.get(services.explain_key(fused, record, record_maps.wanted_methods(fused)))
        if data is not None and data.synthetic and (job is None or jobs.cancelled_elsewhere(job)):
            # without a click
            services.explain_job(fused, record, record_maps.wanted_methods(fused))
        result, settings = columns()
        with settings:
            ask_methods(view)
        with result:
            record_maps.run_panel(fused, record, shown)
            ecg.show(view, record, shown, f"{record.name}: 12-lead ECG.", key="lab-ecg")
        st.stop()
    return found


def columns() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Places of the map and of its controls: these stand beside it, and below it on a phone."""
    result, settings = st.columns([7, 2], gap="medium")
    return result, settings


def given_attributions(view: View, record: Record) -> dict[str, Attribution]:
    """Imported maps that the reader added and wants to be fused too, by name.

    Nothing while the model has not yet been asked about them, which takes a moment.
    """
    given = given_maps(view, record)
    if not given:
        return {}
    named = st.multiselect(
        "Imported maps that are fused too", list(given), list(given), key="lab-given"
    )
    chosen = {name: given[name] for name in named}
    if not chosen:
        return {}
    job = jobs.start(
        services.job_key("given", view, record, sorted(content_key(chosen).items())),
        "Reading the imported maps", work.bound_maps, services.case_file(view, record),
        chosen, short=True, again=False,
    )  # fmt: skip
    jobs.show(job)
    found: dict[str, Attribution] = job.result if job.state == "done" else {}
    return found


def fused_with(found: Mapping[str, Attribution], view: View, params: FusionParams) -> FusedMap:
    """The fused map under other fusion settings than the view's. Weights are those of the methods;
    a map from elsewhere has their mean."""
    weights = params.method_weights
    if weights and len(found) > len(weights):
        mean = sum(weights) / len(weights)
        params = params.updated(method_weights=(*weights, *[mean] * (len(found) - len(weights))))
    return fused_map(found, profile(view.profile).updated(fusion=params))


def scores(fused: FusedMap, view: View, known: Beats) -> dict[str, Score]:
    """Plausibility of a map, by metric."""
    diagnosis = find_diagnosis(fused.target)
    params = view.parameters.evaluation
    return {s.metric: s for s in plausibility(fused, diagnosis, known.seconds, known.rate, params)}


def ask_settings(view: View, fused: FusedMap) -> None:
    """Presets, widgets of every fusion parameter, and reset; what cannot act here says why."""
    idle = _idle(view, fused)
    usual = profile(view.profile).fusion
    choices = {
        "Settings of the profile": usual,
        "Only where methods agree": usual.updated(beta=0.0),
        "Average of the methods": usual.updated(agg="mean"),
        "Cautious: smallest, no disagreement": usual.updated(
            agg="min", beta=0.0, sign_policy="drop"
        ),
        "Inclusive: largest, sign ignored": usual.updated(agg="max", sign_policy="abs"),
    }
    there = next((name for name, value in choices.items() if value == view.fusion), _OWN)
    controls.choose(
        "Preset", [*choices, *([_OWN] if there == _OWN else [])], there,
        lambda name: apply_choice(choices.get(name, view.fusion)), key="lab-preset",
    )  # fmt: skip
    controls.form_for(view.fusion, tuple(_LABELS), "lab", apply, _LABELS, idle, _OPTIONS)
    _ask_weights(view)
    st.button("Reset to the profile", icon=":material/restart_alt:",
              on_click=apply_choice, args=(usual,), disabled=view.fusion == usual)  # fmt: skip


def preview(view: View, found: Mapping[str, Attribution]) -> Lab | None:
    """What the viewer needs to answer the sliders itself, before the page does; the published
    fusion is left to the page."""
    if view.profile == "reference":
        return None
    methods = view.parameters.methods
    sliders = {name: f".st-key-lab-{name}" for name in ("beta", "found", "tau", "topk")}
    if len(methods) == 2:
        sliders["share"] = f".st-key-{_WEIGHT}"
    else:
        sliders |= {f"weight {at}": f".st-key-{_WEIGHT}-{m}" for at, m in enumerate(methods)}
    names = ("agg", "beta", "found", "tau", "tau_mode", "topk", "sign_policy", "scale")
    settings = {name: getattr(view.fusion, name) for name in names}
    bare = tuple(name for name in found if name in METHODS and not METHODS[name].signed)
    return Lab(FUSED, tuple(found), bare, settings, _weights(view), sliders)


def _weights(view: View) -> tuple[float, ...]:
    """Weights of the methods: the reader's, else the diagnosis's own; a method that it does not
    name has the mean of the others."""
    if view.fusion.method_weights is not None:
        return view.fusion.method_weights
    row = find_diagnosis(services.target(view))
    own = dict(row.method_weights) if row is not None and row.method_weights else {}
    known = [own[name] for name in view.parameters.methods if name in own]
    usual = sum(known) / len(known) if known else 1.0
    return tuple(own.get(name, usual) for name in view.parameters.methods)


def _idle(view: View, fused: FusedMap) -> dict[str, str]:
    """Settings that change nothing on this map, each with the reason."""
    idle = {}
    if len(fused.methods) < 2:
        only = f"only {record_maps.method_title(fused.methods[0])} is fused"
        idle = dict.fromkeys(("agg", "beta", "found", "sign_policy"), only)
    elif not np.any(fused.agreement == -1):
        idle["sign_policy"] = "the methods disagree in no cell"
    if view.profile == "reference":
        published = "the published fusion has no such setting"
        idle |= dict.fromkeys(("found", "scale"), published)
    elif view.fusion.beta == 1:
        idle.setdefault("found", "acts while beta is below 1")
    return idle


def _ask_weights(view: View) -> None:
    """Weights of the methods, as one share if there are two; first those of the diagnosis."""
    methods, weights = view.parameters.methods, _weights(view)
    own = view.fusion.method_weights is None
    said = "the diagnosis's own weights until you move it" if own else "your weights"
    titles = [record_maps.method_title(name) for name in methods]

    def ask(label: str, key: str, value: float, weights_of: Callable[[float], Any]) -> None:
        def weigh() -> None:
            apply(view.fusion.updated(method_weights=weights_of(float(st.session_state[key]))))

        st.slider(
            label, 0.0, 1.0, step=0.05, key=key, on_change=weigh, help=said,
            **controls.seeded(key, round(float(value), 2), "value"),
        )  # fmt: skip

    if len(weights) == 2:
        share = weights[0] / (sum(weights) or 1.0)
        label = f"Weight of {titles[0]}; the rest is {titles[1]}'s"
        ask(label, _WEIGHT, share, lambda first: (first, round(1 - first, 2)))
        return
    for at, (name, title) in enumerate(zip(methods, titles, strict=True)):
        ask(
            f"Weight of {title}", f"{_WEIGHT}-{name}", weights[at],
            lambda picked, at=at: (*weights[:at], picked, *weights[at + 1 :]),
        )  # fmt: skip


def pinned() -> FusionParams | None:
    """The settings that are kept as A."""
    kept: FusionParams | None = st.session_state.get(PINNED)
    return kept


def pin_bar(view: View) -> None:
    """Pin the settings as A, go back to A, or unpin it."""
    kept = pinned()
    with st.container(horizontal=True, vertical_alignment="center"):
        if kept is None:
            st.button(
                "Pin as A", icon=":material/keep:", on_click=st.session_state.__setitem__,
                args=(PINNED, view.fusion),
                help="keep these settings, change others, and see what differs",
            )  # fmt: skip
            return
        st.button("Pin these as A", icon=":material/keep:", key="lab-pin-again",
                  on_click=st.session_state.__setitem__, args=(PINNED, view.fusion))  # fmt: skip
        st.button("Back to A", icon=":material/undo:", on_click=apply_choice, args=(kept,))
        st.button("Unpin A", icon=":material/keep_off:", on_click=st.session_state.pop,
                  args=(PINNED, None))  # fmt: skip
    st.caption(f"A: {escaped(_said(kept, view.fusion))}")
    st.caption(f"B: {escaped(_said(view.fusion, kept))}")


def _said(one: FusionParams, other: FusionParams) -> str:
    """The settings of one that differ from the other's."""
    parts = [
        f"{name} {getattr(one, name)}"
        for name in FusionParams.model_fields
        if getattr(one, name) != getattr(other, name)
    ]
    return ", ".join(parts) or "the same settings; change one beside the map"


def scores_in_words(now: Mapping[str, Score], before: Mapping[str, Score] | None) -> str:
    """The first score beside chance, or beside A; safe as markdown."""
    name = _CARDS[0]
    score, title = now[name], METRICS[name].title
    if score.value != score.value:
        return f"{title} cannot be computed: {METRICS[name].undefined}."
    base = f"A {before[name].value:.2f}" if before else f"chance {score.random:.2f}"
    return f"{title} **{score.value:.2f}** ({base})."


def score_cards(now: Mapping[str, Score], before: Mapping[str, Score] | None) -> None:
    """The main scores; under each how far from chance, or from A.

    Only a clear difference from A has a colour: how far from chance random maps of this record come
    is not known here.
    """
    with st.container(horizontal=True):
        for name in _CARDS:
            score = now[name]
            base = before[name].value if before else score.random
            known = score.value == score.value
            clear = before is not None and abs(score.value - base) >= HARDLY
            st.metric(
                METRICS[name].title, f"{score.value:.3f}" if known else "–",
                _against(score.value, base, "A" if before else "chance") if known else None,
                help=f"chance {METRICS[name].chance}; undefined where {METRICS[name].undefined}",
                delta_color="normal" if clear else "off", delta_arrow="auto" if clear else "off",
                border=True,
            )  # fmt: skip
    st.caption(
        "AttAUC: how often a place (lead and time) where cardiology expects evidence outweighs one "
        "elsewhere; 0.5 is chance. Precision@k: how many of the k strongest places are expected "
        "ones. The two may differ, as the second looks at nothing but the strongest."
    )


def _against(value: float, base: float, name: str) -> str:
    """The difference from a reference, in words if there is none."""
    far = value - base
    return f"same as {name}" if abs(far) < 5e-4 else f"{far:+.3f} vs {name}"


def score_table(now: Mapping[str, Score]) -> pd.DataFrame:
    """Every score with its references."""
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
    can = {lead for item in (one, other) for lead in np.array(item.leads)[item.explorable]}
    rows = [row for row, lead in enumerate(both.leads) if lead in can]
    leads = tuple(both.leads[row] for row in rows)
    return both, [MapPanel(title, leads, both.edges_sec, part[rows]) for title, part in parts]


def trace(record: Record, fused: FusedMap) -> Trace:
    """Lead II (or the first) of the part that was explained, to read times against."""
    lead = "II" if "II" in record.leads else record.leads[0]
    panel = Panel(lead, lead, 1, float(fused.edges_sec[0]), float(fused.edges_sec[-1]), 0.0, 2.0)
    seconds, values = thinned(record, panel)
    return Trace(f"Lead {lead}", seconds, values)
