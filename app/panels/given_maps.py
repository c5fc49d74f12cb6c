"""Maps that another program made, uploaded to stand beside ours for the open record."""

from __future__ import annotations

import streamlit as st

from app.data import services, uploads
from app.shell import frame
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.types import Attribution, Record

_STATE = "given-maps"


def given_maps(view: View, record: Record) -> dict[str, Attribution]:
    """Those of this record and target, by name; a form to add and to forget them."""
    target = services.target(view)
    kept: dict[tuple[str, str], dict[str, Attribution]] = st.session_state.setdefault(_STATE, {})
    here = kept.get((record.digest, target), {})
    title = f"Import maps ({', '.join(here)})" if here else "Import maps"
    with st.expander(title, icon=":material/upload_file:"):
        st.caption(
            escaped(
                f"A map of this record for {target_name(target)} that captum, your own code or "
                "another program made, scored beside ours by the same metrics: .npz or "
                ".safetensors with values [lead, time], leads and times or edges_sec in seconds; "
                ".csv with lead, from_sec, to_sec, weight. It is called as its file; at most "
                f"{uploads.MOST_MAPS} files, kept for this session only. For many records: "
                "ecgxai run --method name:FOLDER."
            )
        )
        with st.form("given-maps-form", clear_on_submit=True, border=False):
            files = st.file_uploader(
                "Files", type=["npz", "safetensors", "csv"], accept_multiple_files=True,
                key="given-files", label_visibility="collapsed",
            )  # fmt: skip
            sent = st.form_submit_button("Add these maps")
        if sent and files:
            try:
                here = here | uploads.read_maps(files, target, services.classifier(view))
            except EcgXaiError as error:
                frame.refused(error)
            else:
                kept[record.digest, target] = here
                st.rerun()
        if here and st.button("Forget these maps", icon=":material/delete:"):
            del kept[record.digest, target]
            st.rerun()
    return here
