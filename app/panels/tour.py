"""The presenter's tour: five views in a row, one click each, with a text for the presenter."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.data.examples import Example
from app.shell import frame
from app.shell.state import FUSED

_STEP, _EXAMPLE = "tour-step", "tour-example"

_PRESENT = st.components.v2.component(
    "presenting",
    js="""
// Full screen, and at each step the ECG (else the first chart) under the bar of the tour.
const PICTURES = "[data-testid=ecg-viewer][data-ready=true]", CHARTS = ".js-plotly-plot";
const STOPS = ["wheel", "touchstart", "pointerdown", "keydown"];
const PATIENCE_MS = 120000;
let shown = "", state = "", current = null;

const mark = (said) => {
  state = said;
  if (current) current.dataset.scrolled = said;
};

const picture = () => {
  for (const host of document.querySelectorAll("[data-testid=stBidiComponentIsolated]")) {
    const found = host.shadowRoot?.querySelector(PICTURES);
    if (found) return found;
  }
  return document.querySelector(CHARTS);
};

const toPicture = () => {
  const found = picture();
  found?.scrollIntoView({ block: "center" });
  return found;
};

const scrollOnce = (step) => {
  if (shown === step) return;
  shown = step;
  mark("waiting");
  const begun = Date.now();
  const stop = (said) => {
    clearInterval(watch);
    for (const name of STOPS) removeEventListener(name, byHand, true);
    if (shown === step) mark(said);
  };
  const byHand = () => stop("by hand");  // the presenter has gone somewhere already
  const watch = setInterval(() => {
    if (shown !== step) stop("");
    else if (toPicture()) stop("done");
    else if (Date.now() - begun > PATIENCE_MS) stop("nothing");
  }, 250);
  for (const name of STOPS) addEventListener(name, byHand, { capture: true, passive: true });
};

// A presenter's clicker sends these keys.
const press = (event) => {
  const name = { PageDown: "tour-next", PageUp: "tour-back" }[event.key];
  const button = name && document.querySelector(`.st-key-${name} button:not(:disabled)`);
  if (button) { event.preventDefault(); button.click(); }
};

export default function presenting({ parentElement, data }) {
  let button = parentElement.querySelector("button");
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else document.documentElement.requestFullscreen();
    });
    parentElement.append(button);
  }
  current = button;
  mark(state);
  const named = () => {
    button.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
  };
  const changed = () => {
    named();
    setTimeout(toPicture, 300);  // once the page has its new height
  };
  named();
  document.addEventListener("fullscreenchange", changed);
  document.addEventListener("keydown", press);
  scrollOnce(data.step);
  return () => {
    document.removeEventListener("fullscreenchange", changed);
    document.removeEventListener("keydown", press);
  };
}
""",
    css="""
button { font: inherit; font-size: .875rem; color: inherit; background: none; cursor: pointer;
         padding: .375rem .75rem; border: 1px solid var(--st-border-color, #888);
         border-radius: var(--st-button-radius, .5rem); }
button:hover, button:focus-visible { border-color: var(--st-primary-color, #0b5d7a); }
""",
)


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
        "What the model says of every record beside its labels, with mismatches. Filter by "
        "diagnosis, outcome or quality; a click opens a record.",
    ),
    Step(
        "explain",
        "One prediction, explained",
        "The answer in a sentence; the plain ECG (key E), then the fused map: orange speaks for "
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
        "Sensitivity, specificity, calibration and the records it gets wrong: an explanation is no "
        "better than the prediction it explains.",
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
    """On every page during a tour: step, text, and buttons; full screen for whoever presents."""
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
            _PRESENT(key="presenting", data={"step": f"{number}"})
