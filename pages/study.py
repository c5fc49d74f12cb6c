"""Study: one ECG after another, read without knowing which explanation is shown."""

from __future__ import annotations

import streamlit as st

from app.panels import study
from app.shell import frame

study.open_frame()
with frame.refusals():
    here = study.sign_in()
    if not study.begun(here):
        study.ask_about(here)
        st.stop()
    step = here.answers.next(here.rater)
    if step is None:
        study.finished(here)
    elif study.paused():
        study.offer_to_go_on(here)
    else:
        study.show_stage(here, step)
