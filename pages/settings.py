"""Settings: folders, cache, own records, finished runs, feedback."""

from __future__ import annotations

import streamlit as st

from app.panels import feedback, settings
from app.shell import frame

view = frame.page("Settings")
st.subheader("Folders")
settings.folder_panel()
st.subheader("Cache")
settings.cache_panel(view)
st.subheader("Own records")
settings.own_panel()
st.subheader("Finished runs")
settings.finished_runs()
st.subheader("Feedback")
feedback.overview()
