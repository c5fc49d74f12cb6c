"""The Guide page: the verification checklist as a form."""

from __future__ import annotations

import streamlit as st

from app.data import services
from app.panels import exports
from app.shell import controls, frame
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.report.checklist import ANSWERS, CHECKLIST, Answer, Checklist


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
