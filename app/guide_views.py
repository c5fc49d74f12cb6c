"""The Guide page: the verification checklist as a form."""

from __future__ import annotations

import streamlit as st

from app import exports, frame, services
from app.frame import escaped, target_name
from app.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.report.checklist import ANSWERS, CHECKLIST, Answer, Checklist

__all__ = ["checklist_form"]


def checklist_form(view: View) -> None:
    """Seven questions about the record that is chosen; saved with its report."""
    if not view.record or services.model(view) is None or not services.target(view):
        frame.empty(
            "A checklist belongs to one record, model and target.",
            "Choose a record on the Records page, then come back to answer.",
        )
        if st.button("Open the records", icon=":material/list_alt:"):
            frame.go_to("records")
        _questions_only()
        return
    frame.wait_for_predictions(view)
    try:
        kept = exports.load_checklist(view) or Checklist()
    except EcgXaiError as error:
        st.error(escaped(error), icon=":material/block:")
        return
    name = target_name(services.target(view))
    st.markdown(f"Record **{escaped(view.record)}**, target **{escaped(name)}**")
    subject = f"{view.record}-{view.model}-{view.target}"
    with st.form(f"checklist-{subject}"):
        answers: dict[str, Answer] = {}
        remarks: dict[str, str] = {}
        for number, question in enumerate(CHECKLIST, start=1):
            st.markdown(f"**{number}. {question.question}**")
            st.caption(question.how)
            answers[question.name] = st.segmented_control(
                "Answer", ANSWERS, default=kept.answers.get(question.name, ANSWERS[0]),
                required=True, key=f"answer-{question.name}-{subject}",
                label_visibility="collapsed",
            )  # fmt: skip
            remarks[question.name] = st.text_input(
                "Remark", kept.remarks.get(question.name, ""), max_chars=500,
                key=f"remark-{question.name}-{subject}", label_visibility="collapsed",
                placeholder="Remark (optional)",
            )  # fmt: skip
        note = st.text_area("Note", kept.note, max_chars=4000, key=f"note-{subject}")
        reader = st.text_input(
            "Checked by (optional; it stands in the report)", kept.reader, max_chars=200,
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


def _questions_only() -> None:
    for number, question in enumerate(CHECKLIST, start=1):
        st.markdown(f"**{number}. {question.question}**  \n{question.how}")
