"""Tour: five views of the demonstration set for someone who presents, one click each."""

from __future__ import annotations

import streamlit as st

from app.data import services
from app.data.examples import example
from app.panels import record_maps, tour
from app.shell import frame
from app.shell.frame import escaped, target_name
from ecgxai_core.types import probability_text

view = frame.page("Tour")
demonstration = next((item.name for item in services.data_sets() if item.synthetic), None)
if demonstration is not None and view.data != demonstration:
    st.info("The tour is meant for the demonstration set.", icon=":material/info:")
    if st.button("Use the demonstration set", type="primary"):
        frame.go_to("tour", data=demonstration)
if services.model(view) is None:
    frame.empty("There is no usable model.", "Name a folder of models on the Settings page.")
    st.stop()
chosen = example(view, frame.wait_for_predictions(view))
if chosen is None:
    frame.empty("There is no record to show.", "Choose another data set in the sidebar.")
    st.stop()

st.markdown(
    f"The example is record **{escaped(chosen.record)}** for "
    f"**{escaped(target_name(chosen.target))}**, "
    f"probability {probability_text(chosen.probability)}."
)
shown = chosen.view(view)
with frame.refusals():
    record = services.record(shown)
    found = record_maps.maps_of(shown, record)
if record_maps.missing_methods(shown, found):
    methods = record_maps.wanted_methods(shown)
    frame.offer(
        services.explain_key(shown, record, methods), "Prepare: explain the example now",
        lambda: services.explain_job(shown, record, methods), type="secondary",
    )  # fmt: skip
else:
    st.success("Everything is prepared: no step of the tour has to wait.", icon=":material/check:")

for number, step in enumerate(tour.STEPS):
    with st.container(border=True):
        st.markdown(f"**{number + 1}. {step.title}**  \n{step.say}")
        kind = "primary" if number == 0 else "secondary"
        if st.button(f"Show step {number + 1}", key=f"tour-go-{number}", type=kind):
            tour.go(number, chosen)
