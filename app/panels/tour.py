"""The presenter's tour: five views in a row, one click each, with a text for the presenter."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.data.examples import Example
from app.shell import frame
from app.shell.state import FUSED

_STEP, _EXAMPLE = "tour-step", "tour-example"


@dataclass(frozen=True, slots=True)
class Step:
    """One view: its page, its heading, and the text."""

    page: str
    title: str
    say: str


STEPS: tuple[Step, ...] = (
    Step(
        "records",
        "The records",
        "Every record with its prediction, right or wrong. Filter by diagnosis, outcome "
        "or quality; a click opens a record.",
    ),
    Step(
        "explain",
        "One prediction, explained",
        "Plain ECG paper first (key E), then the fused map: orange speaks for "
        "the diagnosis, purple against it, hatched cells are unknown. Compare the methods.",
    ),
    Step(
        "fusion_lab",
        "How methods become one map",
        "Move a slider and the map changes at once. Pin A, change B, and see the difference.",
    ),
    Step(
        "evaluation",
        "Can it be believed?",
        "Plausibility, faithfulness and stability, each beside a random and an empty map. Turn "
        "priors on to see how a score can mislead.",
    ),
    Step(
        "model",
        "The model itself",
        "ROC, calibration and the records it gets wrong: an explanation is no better than the "
        "prediction it explains.",
    ),
)


def go(number: int, chosen: Example | None = None) -> None:
    """Open a view of the tour."""
    kept: Example | None = chosen or st.session_state.get(_EXAMPLE)
    if kept is None:
        return
    st.session_state[_EXAMPLE], st.session_state[_STEP] = kept, number
    frame.go_to(
        STEPS[number].page, data=kept.data, record=kept.record, target=kept.target, method=FUSED
    )


def end() -> None:
    """Leave the tour; the view stays."""
    st.session_state.pop(_STEP, None)


def bar() -> None:
    """On every page during a tour: step, text, and buttons."""
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
