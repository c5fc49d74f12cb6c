"""A blinded study: what a rater sees of a case, stage after stage, with no way back.

Nothing that the browser gets says which arm is shown: cases, maps and the viewer go by the token of
the showing, every map by one name, and the address stays empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.data.services import stamps
from app.shell import frame, sessions
from app.shell.frame import escaped
from app.shell.server_settings import is_operator
from app.viewer import ecg_viewer, read
from ecgxai_core.settings import assets_dir, settings
from ecgxai_core.store.csv_cells import harmless_frame
from ecgxai_core.study.answers import STAGES, Answers, Mark, Step, ratings, reading
from ecgxai_core.study.feedback import Rater
from ecgxai_core.study.frozen import Exhibit, Study, open_study, studies
from ecgxai_core.study.protocol import StudyError
from ecgxai_core.types import told_apart
from ecgxai_core.viewer import Start, Words, payload

_WHO, _PAUSED, _SINCE = "study-rater", "study-paused", "study-since"
_FEW = 12
"""Diagnoses that are shown side by side; more go into a list."""
_SURE = tuple(range(0, 101, 10))
_SCORES = tuple(range(-3, 4))
_ASKED = {
    "trust": "I would act on what the model says",
    "relevance": "The map marks what matters in this ECG",
    "helpfulness": "The map helped me",
}
_TASKS = {
    "ecg": "The ECG alone. Which diagnosis does it show?",
    "prediction": "With what the model says. Which diagnosis does the ECG show?",
    "map": "With a map. Which diagnosis does the ECG show?",
    "ratings": "What do you think of it?",
}
_WITHOUT = "Once more; no map is shown of this ECG. Which diagnosis does it show?"


_FILE = "rhythm.toml"
_WHAT = (
    "**A blinded study asks whether maps help the people who read ECGs.** Each rater reads ECGs "
    "in four steps, with no way back: the ECG alone, with what the model says, with a map, and "
    "an opinion. Which map is shown, or none, is drawn by lot, and nothing in the browser says "
    "which it is."
)
_FREEZE = f"""\
ecgxai simulate records --n 60 --seed 1
ecgxai study new {_FILE}"""
_ANSWERS = """\
ecgxai study export {name} --out answers.csv
ecgxai study analyse {name} --out report.html --tables tables"""


@dataclass(frozen=True, slots=True)
class Here:
    """The study and the rater of this browser session."""

    study: Study
    rater: str
    answers: Answers


def open_frame() -> None:
    """The page without the sidebar and facts of the others: they name records, models, targets."""
    sessions.here()
    frame.style()
    if st.query_params:
        st.query_params.clear()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("##### Study", width="content")
        st.markdown(f":small[:material/science: {frame.BANNER}]")


def sign_in() -> Here:
    """Study and rater of this session; until they are known the page asks and ends."""
    known = studies(settings().studies_dir)
    who: tuple[str, str] | None = st.session_state.get(_WHO)
    if who is None or who[0] not in known:
        _ask_code(known)
        st.stop()
    study = _study(known[who[0]])
    return Here(study, who[1], Answers(study))


def _ask_code(known: Mapping[str, Path]) -> None:
    if not known:
        _how_to_make_one()
        return
    with st.form("study-sign-in", width=420):
        name = st.selectbox("Study", list(known), key="study-name")
        code = st.text_input("Your code", type="password", key="study-code", autocomplete="off")
        asked = st.form_submit_button("Open", type="primary", shortcut="Enter")
    st.caption("The code is yours alone. The study goes on where you stopped.")
    if asked:
        rater = _study(known[str(name)]).rater_of(code)
        if rater is not None:
            st.session_state[_WHO] = (str(name), rater)
            st.rerun()
        st.error("This code belongs to no rater of this study.", icon=":material/block:")
    _list_of(known)


def _how_to_make_one() -> None:
    """What a study is, and how one is made, run and analysed; of an example, whose arms a rater of
    another study may know."""
    st.markdown(_WHAT)
    st.markdown("There is no study on this server yet. Four steps make one:")
    protocol = (assets_dir() / "study_protocol.toml").read_text("utf-8")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown(f"**1. Write a protocol**, `{_FILE}`. This one is about simulated records:")
        st.code(protocol, language="toml", height=470)
        frame.download(_FILE, _FILE, "application/toml", lambda: protocol, "study-protocol")
    with right:
        st.markdown("**2. Freeze it.** The second command prints a code for each rater:")
        st.code(_FREEZE, language="bash", wrap_lines=True)
        st.markdown(
            "**3. Let raters read.** The study then stands on this page, and each rater opens it "
            "with their code. They can pause and go on; everything works by keyboard."
        )
        st.markdown("**4. Look at the answers**: accuracy by arm, reliance, agreement, time:")
        st.code(_ANSWERS.format(name=Path(_FILE).stem), language="bash", wrap_lines=True)
        st.markdown(
            "**Arms**: `none` shows no map; `fused`, or a method's name, that map; `lead_shuffled` "
            "and `time_reversed` the fused map in the wrong places; `random`, `energy` and "
            "`amplitude` maps that say nothing of the model. Without such controls a study cannot "
            "tell whether it is the map that helps, or any colour."
        )


def _list_of(known: Mapping[str, Path]) -> None:
    """The studies of this server: how large, and for the operator how far. Nothing of their arms:
    this page is the raters'."""
    rows = [_row_of(name, folder, operator=is_operator()) for name, folder in known.items()]
    st.subheader("Studies on this server")
    st.dataframe(harmless_frame(pd.DataFrame(rows)), hide_index=True)
    with st.expander("For the organiser: answers, and another study"):
        st.code(_ANSWERS.format(name=next(iter(known))), language="bash", wrap_lines=True)
        st.code(f"ecgxai study new {_FILE}", language="bash", wrap_lines=True)
        st.caption("A protocol is a TOML file; the how-to 'Run a blinded study' describes it.")


def _row_of(name: str, folder: Path, *, operator: bool) -> dict[str, object]:
    try:
        study = _study(folder)
        raters, ecgs = study.protocol.raters, len(study.showings) // len(study.protocol.raters)
        row: dict[str, object] = {
            "study": name, "title": study.protocol.title, "ECGs each": ecgs, "raters": len(raters),
        }  # fmt: skip
        if operator:
            answers = Answers(study)
            done = sum(answers.done(rater) for rater in raters)
            row["answered"] = f"{done} of {len(study.showings)}"
    except StudyError as error:
        return {"study": name, "title": f"cannot be opened: {error}"}
    return row


def _study(folder: Path) -> Study:
    return _opened(str(folder), *stamps(folder / "study.json", folder / "codes.csv"))


@st.cache_resource(show_spinner=False, max_entries=8)
def _opened(folder: str, *_stamps: int) -> Study:
    return open_study(Path(folder))


@st.cache_resource(show_spinner=False, max_entries=32)
def _exhibit(_study: Study, digest: str, case: int, token: str) -> Exhibit:
    """Kept by the study's digest, which stands for all of it."""
    del digest
    return _study.exhibit(case, token)


def begun(here: Here) -> bool:
    """Whether the rater has said who they are."""
    return here.answers.begun(here.rater)


def ask_about(here: Here) -> None:
    """Instructions, and the rater's role and years."""
    study = here.study
    st.subheader(escaped(study.protocol.title))
    if study.protocol.instructions:
        st.markdown(escaped(study.protocol.instructions))
    st.markdown(
        f"{len(study.of(here.rater))} ECGs, each in four steps: the ECG alone, with what the model "
        "says, with a map of what the model uses, and your opinion. **There is no way back** to a "
        "step that you have answered. You can pause at any time. Which map is shown is drawn by "
        "lot, and some say nothing of the model."
    )
    with st.form("study-about", width=420):
        role = st.text_input("Your role", key="study-role", placeholder="such as cardiologist")
        years = st.number_input("Years of reading ECGs", 0, 80, None, key="study-years")
        agreed = st.form_submit_button("Begin", type="primary", shortcut="Enter")
    if agreed:
        here.answers.begin(here.rater, Rater(role=role[:60], years=years))
        st.rerun()


def finished(here: Here) -> None:
    """The end."""
    st.success(
        f"All {len(here.study.of(here.rater))} ECGs are answered. Thank you.",
        icon=":material/check_circle:",
    )


def paused() -> bool:
    """Whether the rater has asked for a pause."""
    return bool(st.session_state.get(_PAUSED))


def offer_to_go_on(here: Here) -> None:
    """What is done, and the button that goes on."""
    done, every = here.answers.done(here.rater), len(here.study.of(here.rater))
    st.info(f"Paused: {done} of {every} ECGs are answered.", icon=":material/pause:")
    if st.button("Go on", type="primary", icon=":material/play_arrow:", shortcut="Enter"):
        st.session_state[_PAUSED] = False
        st.rerun()


def show_stage(here: Here, step: Step) -> None:
    """One stage of a case: what is shown, and what is asked."""
    began = _since(here, step)
    every = len(here.study.of(here.rater))
    with st.container(horizontal=True, vertical_alignment="center"):
        place = STAGES.index(step.stage) + 1
        st.markdown(f"**ECG {step.showing.position + 1} of {every}** · step {place} of 4")
        st.button("Pause", key="study-pause", icon=":material/pause:", on_click=_pause)
    shown = _exhibit(here.study, here.study.digest, step.showing.case, step.showing.token)
    item = shown.maps.get(step.showing.arm) if step.stage in ("map", "ratings") else None
    unseen = step.stage == "map" and item is None
    st.subheader(_WITHOUT if unseen else _TASKS[step.stage])
    if step.stage != "ecg":
        st.markdown(_model_says(here.study, step))
    marks = _viewer(shown, step, {"map": item} if item is not None else {})
    if step.stage == "ratings":
        _ask_ratings(here, step, began, with_map=item is not None)
    else:
        _ask_reading(here, step, began, marks)


def _pause() -> None:
    st.session_state[_PAUSED] = True
    st.session_state.pop(_SINCE, None)


def _since(here: Here, step: Step) -> float:
    """When this session first showed the stage; noted in the journal, once a visit."""
    key = (step.showing.token, step.stage)
    known = st.session_state.get(_SINCE)
    if known is None or known[0] != key:
        here.answers.shown(step)
        known = st.session_state[_SINCE] = (key, time.monotonic())
    return float(known[1])


def _model_says(study: Study, step: Step) -> str:
    case = study.cases[step.showing.case]
    name, called = study.diagnoses[case.target], "called" if case.called else "not called"
    said, limit = told_apart(case.probability, case.threshold)
    return (
        f"The model: **{escaped(name)}** is **{called}**, probability {said} (threshold {limit})."
    )


def _viewer(shown: Exhibit, step: Step, maps: dict[str, Any]) -> tuple[Mark, ...]:
    """The ECG; what the rater has marked in it."""
    token, kept = step.showing.token, f"study-marks-{step.showing.token}"
    title = f"ECG {step.showing.position + 1}"
    sentence = f"{title}: 12-lead ECG{' with a map' if maps else ''}."
    data = payload(
        shown.record, maps,
        words=Words(record=title, target=" ", maps={"map": "Map"}, sentence=sentence),
        start=Start(key=token, record_id=token, target_id=token),
    )  # fmt: skip
    key = f"study-viewer-{token}"

    def marked() -> None:
        reader = read(key, data)
        if reader.regions is not None and reader.marked_record == token:
            st.session_state[kept] = tuple(
                Mark(lead=one.lead, from_sec=max(0.0, one.from_sec), to_sec=one.to_sec)
                for one in reader.regions
            )

    ecg_viewer(data, key, on_marked=marked)
    marks: tuple[Mark, ...] = st.session_state.get(kept, ())
    if step.stage == "ecg":
        st.caption(
            "Mark where you see the evidence, if you see some: R, then drag over a lead. "
            f"Marked: {len(marks)}."
        )
    return marks


def _ask_reading(here: Here, step: Step, began: float, marks: tuple[Mark, ...]) -> None:
    names, token = here.study.diagnoses, step.showing.token
    key = f"{token}-{step.stage}"
    with st.form(f"study-form-{key}"):
        ask: Callable[..., Any] = st.radio if len(names) <= _FEW else st.selectbox
        said = ask(
            "Diagnosis", list(names), index=None, format_func=lambda code: _upper(names[code]),
            key=f"study-diagnosis-{key}",
        )  # fmt: skip
        sure = st.radio(
            "How sure are you, % (0: a guess, 100: certain)", _SURE, index=None, horizontal=True,
            key=f"study-confidence-{key}",
        )  # fmt: skip
        sent = st.form_submit_button("Answer", type="primary", shortcut="Ctrl+Enter")
    if not sent:
        return
    if said is None or sure is None:
        st.error("Choose a diagnosis and how sure you are.")
        return
    given = marks if step.stage == "ecg" else ()
    _keep(here, step, reading(
        diagnosis=said, confidence=sure, marks=given, seconds=time.monotonic() - began
    ))  # fmt: skip


def _ask_ratings(here: Here, step: Step, began: float, *, with_map: bool) -> None:
    asked = {name: text for name, text in _ASKED.items() if with_map or name == "trust"}
    token = step.showing.token
    with st.form(f"study-form-{token}-ratings"):
        st.caption("From -3, not at all, to +3, very much.")
        scores = {
            name: st.radio(
                text, _SCORES, index=None, horizontal=True, key=f"study-{name}-{token}",
                format_func=lambda score: f"{score:+d}" if score else "0",
            )
            for name, text in asked.items()
        }  # fmt: skip
        harm = st.checkbox(
            "Acting on what was shown could harm a patient", key=f"study-harm-{token}"
        )
        comment = st.text_area(
            "Comment", key=f"study-comment-{token}", max_chars=2000, height=70,
            help="names of patients do not belong here",
        )  # fmt: skip
        sent = st.form_submit_button("Answer", type="primary", shortcut="Ctrl+Enter")
    if not sent:
        return
    if None in scores.values():
        st.error("Choose a number in each line.")
        return
    given = {**scores, "harm": harm, "comment": comment}
    _keep(here, step, ratings(**given, seconds=time.monotonic() - began))


def _keep(here: Here, step: Step, answer: Any) -> None:
    here.answers.add(step, answer)
    st.session_state.pop(_SINCE, None)
    st.rerun()


def _upper(text: str) -> str:
    return escaped(text[:1].upper() + text[1:])
