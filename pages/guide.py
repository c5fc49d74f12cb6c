"""Guide: what methods and metrics mean and do not mean, limits, words, checklist."""

from __future__ import annotations

import streamlit as st

from app.panels import guide
from app.shell import frame
from ecgxai_core.report import guide as texts

SECTIONS = ("Reading a map", "Methods", "Metrics", "Known limits", "Words", "Checklist")

view = frame.page("Guide", SECTIONS)
section = frame.part_of(view, SECTIONS, "guide-section")
if section == "Checklist":
    st.markdown("What to check before believing an explanation.")
    guide.checklist_form(view)
elif section == "Reading a map":
    for note in texts.READING:
        st.subheader(note.title)
        st.markdown(note.text)
elif section == "Methods":
    st.markdown("Methods of different families look at different things; fuse and compare those.")
    for row in texts.method_table().to_dict("records"):
        st.subheader(f"{row['method']} · {row['family']}")
        st.markdown(f"**What it is.** {row['what it is'].capitalize()}.")
        st.markdown(f"**What it does not say.** {row['what it does not say']}")
    frame.table(texts.method_table(), "guide-methods", "methods.csv")
elif section == "Metrics":
    for category, note in texts.CATEGORIES.items():
        st.subheader(f"{category.capitalize()}: {note.title}")
        st.markdown(note.text)
        frame.table(texts.metric_table(category), f"guide-{category}", f"metrics_{category}.csv")
elif section == "Known limits":
    for note in texts.LIMITS:
        st.subheader(note.title)
        st.markdown(note.text)
else:
    frame.table(texts.glossary_table(), "guide-words", "words.csv", height="content")
