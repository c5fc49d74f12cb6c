"""The presenter's tour: five views in a row, one click each, with what there is to see in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from app import services, state
from app.state import FUSED, View
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.pipeline.prediction import Predictions

__all__ = ["STEPS", "Example", "Step", "bar", "end", "example", "go", "usable", "view_of"]

_STEP, _EXAMPLE = "tour-step", "tour-example"


@dataclass(frozen=True, slots=True)
class Step:
    """One view: its page, its heading, and what to say."""

    page: str
    title: str
    say: str


@dataclass(frozen=True, slots=True)
class Example:
    """The record that the tour shows, and for which diagnosis."""

    data: str
    record: str
    target: str
    probability: float


STEPS: tuple[Step, ...] = (
    Step(
        "records",
        "The records",
        "Every record with what the model says of it, right or wrong. Filter by diagnosis, outcome "
        "or quality; a click opens a record.",
    ),
    Step(
        "explain",
        "One prediction, explained",
        "Plain ECG paper first (switch 'Explanation' off), then the fused map: orange speaks for "
        "the diagnosis, purple against it, hatched cells are unknown. Compare the methods.",
    ),
    Step(
        "fusion_lab",
        "How methods become one map",
        "Move a slider and the map answers at once. Pin A, change B, and see the difference.",
    ),
    Step(
        "evaluation",
        "Can it be believed?",
        "Plausibility, faithfulness and stability, each beside a random and an empty map. Turn "
        "priors on to see how a score can fool its reader.",
    ),
    Step(
        "model",
        "The model itself",
        "ROC, calibration and the records it gets wrong: an explanation is no better than the "
        "prediction it explains.",
    ),
)


def example(view: View, found: Predictions) -> Example | None:
    """The most certain correct prediction of a diagnosis for which evidence is tabulated."""
    best: Example | None = None
    for info, value in zip(found.records, found.values, strict=True):
        for code in found.classes:
            row = find_diagnosis(code)
            if (
                row is None
                or not row.strict_leads
                or not set(aliases(code)) & set(info.labels or ())
            ):
                continue
            p = value.probability(code)
            if best is None or p > best.probability:
                best = Example(view.data, info.name, code, p)
    if best is None and found.records and found.classes:
        first = found.values[0]
        code = max(found.classes, key=first.probability)
        best = Example(view.data, found.records[0].name, code, first.probability(code))
    return best


def view_of(view: View, chosen: Example) -> View:
    """The view that the tour shows."""
    return replace(
        view, data=chosen.data, record=chosen.record, target=chosen.target, method=FUSED, start=None
    )


def go(number: int, chosen: Example | None = None) -> None:
    """Open a view of the tour."""
    kept: Example | None = chosen or st.session_state.get(_EXAMPLE)
    if kept is None:
        return
    st.session_state[_EXAMPLE], st.session_state[_STEP] = kept, number
    state.update(data=kept.data, record=kept.record, target=kept.target, method=FUSED)
    pages = st.session_state.get("pages", {})
    if STEPS[number].page in pages:
        query = state.to_query(state.current())
        st.switch_page(pages[STEPS[number].page], query_params=query)


def end() -> None:
    """Leave the tour; the view stays."""
    st.session_state.pop(_STEP, None)


def bar() -> None:
    """On every page while a tour is on: where it is, what to say, and the way on."""
    number: int | None = st.session_state.get(_STEP)
    if number is None:
        return
    step, last = STEPS[number], len(STEPS) - 1
    with st.container(border=True):
        st.markdown(f"**Tour {number + 1} of {last + 1}: {step.title}.** {step.say}")
        with st.container(horizontal=True):
            if st.button("Back", key="tour-back", disabled=number == 0):
                go(number - 1)
            if number < last and st.button("Next", key="tour-next", type="primary"):
                go(number + 1)
            st.button("End the tour", key="tour-end", on_click=end)


def usable(view: View) -> bool:
    """Whether there is a model to show."""
    return services.model(view) is not None
