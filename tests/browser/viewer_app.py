"""A small app for the tests of the viewer: three records on one page, and a second page.

``streamlit run tests/browser/viewer_app.py``. What the reader did stands on the page as text.
"""

from __future__ import annotations

import json

import numpy as np
import streamlit as st

from app.viewer import ecg_viewer
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record
from ecgxai_core.viewer import Start, Words, payload

COUNT = 30


@st.cache_resource
def example(index: int) -> tuple[Record, Attribution]:
    """Beats of a triangle and noise, and a map that points at V1."""
    rng = np.random.default_rng(index)
    time = np.arange(5000) / 500
    beat = np.maximum(0, 1 - np.abs((time % 0.8) - 0.4) / 0.03)
    signal = np.outer(np.linspace(0.4, 1.5, 12), beat) + rng.normal(0, 0.02, (12, 5000))
    weights = rng.normal(0, 0.1, (12, 20))
    weights[6] += 1
    record = Record(f"R{index:02d}", signal.astype(np.float32), 500.0, STANDARD_LEADS)
    attribution = Attribution(
        record.name, "T", "occlusion", 0.9, STANDARD_LEADS, np.arange(21) * 0.5,
        weights.astype(np.float32), np.ones((12, 20), bool), Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip
    return record, attribution


def viewer_page() -> None:
    index = st.session_state.setdefault("index", 0)
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    record, attribution = example(index)
    data = payload(
        record,
        {"occlusion": attribution},
        words=Words(sentence="The evidence lies in V1."),
        start=Start(
            key="test", target_id="T", position=(index, COUNT), address="view", height_px=560
        ),
    )
    reader = ecg_viewer(data, "viewer")
    if reader.step is not None and reader.step != index:
        st.session_state["index"] = reader.step
        st.rerun()
    said = st.session_state.setdefault("said", {})
    for name in ("selected", "regions", "wanted_sec"):
        if getattr(reader, name) is not None:
            said[name] = repr(getattr(reader, name))
    st.text(json.dumps({"runs": st.session_state["runs"], "index": index, **said}))
    st.text_input("typing")
    st.button("rerun")


def other_page() -> None:
    st.text("other page")


st.set_page_config(layout="wide")
pages = [
    st.Page(viewer_page, title="Viewer", url_path="viewer", default=True),
    st.Page(other_page, title="Other", url_path="other"),
]
st.navigation(pages, position="top").run()
