"""Guide: what methods and metrics mean and do not mean, limits, glossary, checklist."""

from __future__ import annotations

import streamlit as st

from app.panels import guide
from app.shell import frame
from ecgxai_core.report import guide as texts

SECTIONS = ("Reading a map", "Methods", "Metrics", "Known limits", "Glossary", "Checklist")

view = frame.page("Guide", SECTIONS)
section = frame.part_of(view, SECTIONS, "guide-section")
if section == "Checklist":
    st.markdown("What to check before believing an explanation.")
    guide.checklist_form(view)
elif section == "Reading a map":
    guide.example_map(view)
    for note in texts.READING:
        guide.note(note.title, note.text)
elif section == "Methods":
    st.markdown("Methods of different families look at different things; fuse and compare those.")
    for row in texts.method_table().to_dict("records"):
        guide.note(
            f"{row['method']} · {row['family']}",
            f"**What it is.** {row['what it is'].capitalize()}.\n\n"
            f"**What it does not say.** {row['what it does not say']}",
        )
    frame.table(texts.method_table(), "guide-methods", "methods.csv")
elif section == "Metrics":
    for category, note in texts.CATEGORIES.items():
        guide.note(f"{category.capitalize()}: {note.title}", note.text)
        frame.table(texts.metric_table(category), f"guide-{category}", f"metrics_{category}.csv")
elif section == "Known limits":
    for note in texts.LIMITS:
        guide.note(note.title, note.text)
else:
    frame.table(texts.glossary_table(), "guide-words", "glossary.csv", height="content")
