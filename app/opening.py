"""Ways to a record beside the list: one's own files, a selection, and what could not be read."""

from __future__ import annotations

import streamlit as st

from app import controls, frame, jobs, uploads
from app.frame import escaped
from app.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.prediction import Predictions
from ecgxai_core.pipeline.selecting import Selected, select_records

__all__ = ["failures", "own_record_form", "selection_panel"]


def own_record_form() -> None:
    """Open files of one's own; they stay in this session and on this server."""
    with st.expander("Open an own record", icon=":material/upload_file:"):
        with st.form("own", clear_on_submit=True, border=False):
            files = st.file_uploader(
                "A .hea file together with its .mat or .dat, or a DICOM file; 10 MB at most",
                accept_multiple_files=True,
                key="own-files",
            )
            sent = st.form_submit_button("Open these files", type="primary")
        st.caption(
            "Kept for this session only, on this server; nothing is sent anywhere. Remove names "
            "and other personal data first."
        )
        if not sent:
            return
        if not files:
            st.warning("Choose the files of a record first.")
            return
        try:
            records = uploads.add(files)
        except EcgXaiError as error:
            st.error(escaped(error), icon=":material/block:")
        else:
            frame.go_to("explain", data=uploads.OWN, record=records[0].name)


def selection_panel(view: View, found: Predictions) -> None:
    """``sel_df``: records that show a diagnosis well, drawn by a seed."""
    if not found.classes:
        frame.empty("A selection needs predictions.", "Choose a model first.")
        return
    with st.expander("How records are chosen", icon=":material/tune:", expanded=False):
        params = controls.form_for(
            SelectionParams(),
            ("k_per_class", "min_prob", "max_duration_sec", "seed"),
            "selection",
            labels={
                "k_per_class": "Records per diagnosis",
                "min_prob": "Least probability",
                "max_duration_sec": "Longest record, s",
                "seed": "Seed",
            },
        )
    scope = f"{view.data}:{view.model}:{hash(tuple(i.digest for i in found.records))}"
    key = f"selection:{scope}:{params.model_dump_json()}"

    def work(progress: jobs.Progress) -> Selected:
        progress(0, 1, "drawing")
        return select_records(found, params)

    job = jobs.start(key, "Building the selection", work)
    if job.state != "done":
        jobs.show(job)
        return
    sel = job.result.frame
    st.caption(
        f"{len(sel)} rows of {sel['target'].nunique()} diagnoses, as `ecgxai select` writes them. "
        "Select a row to open the record with its diagnosis."
    )
    column = st.column_config
    picked = frame.table(
        sel,
        "selection",
        "sel_df.csv",
        on_select="rerun",
        selection_mode="single-row",
        column_order=(
            "target_name", "rank", "record", "meta_probability", "status", "duration_sec",
            "synthetic", "warnings",
        ),
        column_config={
            "target_name": column.TextColumn("Diagnosis"),
            "rank": column.NumberColumn("Rank"),
            "record": column.TextColumn("Record"),
            "meta_probability": column.ProgressColumn(
                "Probability", min_value=0, max_value=1, format="%.3f",
                help="maximum over the codes scored as this diagnosis",
            ),
            "status": column.TextColumn("Status"),
            "duration_sec": column.NumberColumn("Length, s", format="%.1f"),
            "synthetic": column.CheckboxColumn("Simulated"),
            "warnings": column.TextColumn("Quality"),
        },
    )  # fmt: skip
    if picked.selection.rows:
        row = sel.iloc[picked.selection.rows[0]]
        frame.go_to("explain", record=str(row["record"]), target=str(row["model_class"]))


def failures(found: Predictions) -> None:
    """Records that were refused, each with its reason."""
    if not found.failures:
        return
    import pandas as pd

    number = len(found.failures)
    with st.expander(
        f"{number} record{'s' if number > 1 else ''} could not be read",
        icon=":material/error:",
        expanded=not found.records,
    ):
        rows = [{"record": item.record, "reason": item.reason} for item in found.failures]
        frame.table(pd.DataFrame(rows), "failures", "failures.csv")
