"""Tour: five views of the demonstration set for someone who presents, one click each."""

from __future__ import annotations

import streamlit as st

from app import frame, jobs, review, services, tour
from app.frame import escaped, target_name

view = frame.page("Presenter's tour")
demonstration = next((item.name for item in services.data_sets() if item.synthetic), None)
if demonstration is not None and view.data != demonstration:
    st.info("The tour is meant for the demonstration set.", icon=":material/info:")
    if st.button("Use the demonstration set", type="primary"):
        frame.go_to("tour", data=demonstration)
if not tour.usable(view):
    frame.empty("There is no usable model.", "Name a folder of models on the Settings page.")
    st.stop()
example = tour.example(view, frame.wait_for_predictions(view))
if example is None:
    frame.empty("There is no record to show.", "Choose another data set in the sidebar.")
    st.stop()

st.markdown(
    f"The example is record **{escaped(example.record)}** for "
    f"**{escaped(target_name(example.target))}**, p = {example.probability:.3f}."
)
shown = tour.view_of(view, example)
missing = tuple(n for n in review.wanted_methods(shown) if n not in review.maps(shown))
if missing:
    params = services.explain_params(shown, missing)
    job = jobs.get(services.explain_key(shown, params))
    if job is not None and job.state != "done":
        jobs.show(job)
    elif st.button("Prepare: explain the example now", icon=":material/play_arrow:"):
        services.explain_job(shown, params)
        st.rerun()
else:
    st.success("Everything is prepared: no step of the tour has to wait.", icon=":material/check:")

for number, step in enumerate(tour.STEPS):
    with st.container(border=True):
        st.markdown(f"**{number + 1}. {step.title}**  \n{step.say}")
        kind = "primary" if number == 0 else "secondary"
        if st.button(f"Show step {number + 1}", key=f"tour-go-{number}", type=kind):
            tour.go(number, example)
