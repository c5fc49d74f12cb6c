"""Settings: folders, cache, own records, finished runs."""

from __future__ import annotations

import streamlit as st

from app import frame, settings_views

view = frame.page("Settings")
st.subheader("Folders")
settings_views.folder_panel()
st.subheader("Cache")
settings_views.cache_panel(view)
st.subheader("Own records")
settings_views.own_panel()
st.subheader("Finished runs")
settings_views.finished_runs()
