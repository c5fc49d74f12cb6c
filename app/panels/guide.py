"""The Guide page: its notes, an explained ECG to read along with, and the checklist as a form."""

from __future__ import annotations

import streamlit as st

from app.data import services
from app.data.examples import example
from app.panels import ecg, explain, exports, record_maps
from app.shell import controls, frame, jobs
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.report.checklist import ANSWERS, CHECKLIST, Answer, Checklist

_TEXT_WIDTH = 720
"""Of a note, px: about 75 letters a line."""
_PARTS = (
    "**The trace** is the ECG as it was recorded; the map only lies behind it. Key `E` hides it.",
    "**Orange** behind a wave is evidence for the diagnosis, **purple** against it; the stronger, "
    "the more weight per second.",
    "**The bars** beside the rows are the shares of the leads.",
    "**The strip** shows all leads in a few pixels each; a click goes there.",
    "**Hatched** is what was not explored, or what the model does not see: unknown, not zero.",
)


def note(title: str, text: str) -> None:
    """A heading and its text, in lines that can be read."""
    with st.container(width=_TEXT_WIDTH):
        st.subheader(title)
        st.markdown(text)


def example_map(view: View) -> None:
    """An explained ECG and what its parts mean, where one is explained already."""
    job = services.predictions_job(view) if services.model(view) is not None else None
    if job is not None and job.active:
        jobs.show(job)
    if job is None or job.state != "done" or (chosen := example(view, job.result)) is None:
        return
    shown = chosen.view(view)
    try:
        record = services.record(shown)
        maps = record_maps.maps_of(shown, record)
    except EcgXaiError:
        return  # the pages of the record say why
    if shown.method not in maps:
        return
    left, right = st.columns([3, 1], gap="medium")
    with left:
        words = explain.answer(shown, maps[shown.method], ecg.known(record).waves)
        ecg.show(shown, record, {shown.method: maps[shown.method]}, words, key="guide-ecg")
    with right:
        badge = f" {frame.SIMULATED}" if record.synthetic else ""
        st.markdown(f"Record {escaped(record.name)}{badge}. {explain.verdict(shown)}.")
        st.markdown("\n".join(f"- {part}" for part in _PARTS))


def checklist_form(view: View) -> None:
    """Seven questions about the record that is chosen; saved with its report."""
    if not view.record or services.model(view) is None or not services.target(view):
        frame.no_record("A checklist belongs to one record, model and target.")
        for number, question in enumerate(CHECKLIST, start=1):
            st.markdown(f"**{number}. {question.question}**  \n{question.how}")
        return
    frame.wait_for_predictions(view)
    with frame.refusals():
        kept = exports.load_checklist(view) or Checklist()
    name = target_name(services.target(view))
    st.markdown(f"Record **{escaped(view.record)}**, target **{escaped(name)}**")
    subject = f"{view.record}-{view.model}-{view.target}"
    with st.form(f"checklist-{subject}"):
        answers: dict[str, Answer] = {}
        remarks: dict[str, str] = {}
        for number, question in enumerate(CHECKLIST, start=1):
            st.markdown(f"**{number}. {question.question}**")
            st.caption(question.how)
            answers[question.name] = controls.pick(
                "Answer", ANSWERS, kept.answers.get(question.name, ANSWERS[0]),
                f"answer-{question.name}-{subject}", label_visibility="collapsed",
            )  # fmt: skip
            remarks[question.name] = st.text_input(
                "Remark", kept.remarks.get(question.name, ""), max_chars=500,
                key=f"remark-{question.name}-{subject}", label_visibility="collapsed",
                placeholder="Remark (optional)",
            )  # fmt: skip
        note = st.text_area("Note", kept.note, max_chars=4000, key=f"note-{subject}")
        reader = st.text_input(
            "Checked by (optional; printed in the report)", kept.reader, max_chars=200,
            key=f"reader-{subject}",
        )  # fmt: skip
        if st.form_submit_button("Save with the report", type="primary"):
            try:
                exports.save_checklist(view, Checklist(answers, remarks, note, reader))
                st.success("Saved; the report below holds the answers.")
            except (EcgXaiError, OSError) as error:
                st.error(escaped(error))
    st.subheader("Files of this record")
    exports.record_downloads(view)
