"""Two models on one record: probabilities, maps and how far they agree."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app.data import services, work
from app.panels import ecg, measurements
from app.shell import frame, jobs
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.pipeline.compare import common_classes, map_agreement, probability_table
from ecgxai_core.pipeline.explain import fused_map
from ecgxai_core.plots.model_charts import probabilities_chart
from ecgxai_core.plots.words import map_in_words
from ecgxai_core.types import FusedMap, Map, Prediction, Record


def two_models(view: View) -> None:
    """The view's model beside another one, on the view's record."""
    others = [m.name for m in services.models() if not m.problem and m.name != view.model]
    if not others:
        frame.empty(
            "There is only one usable model.",
            "Add another: a folder of models on the Settings page, or 'My own model' above.",
        )
        return
    if not view.record or services.info(view) is None:
        frame.no_record()
        return
    name = st.selectbox("Second model", others, key="second-model")
    second = replace(view, model=name)
    with frame.refusals():
        record = services.record(view)
        predictions = _prediction(view, record), _prediction(second, record)
        if predictions[0] is None or predictions[1] is None:
            return
        _probabilities(view, second, *predictions)
        _maps(view, second, record)


# Only the one record is needed of the second model: what other pages ask for would read and predict
# the whole data set with it.


def _prediction(view: View, record: Record) -> Prediction | None:
    """The record's probabilities; until the job has ended its progress is shown."""
    job = jobs.start(
        services.job_key("one", view, record), f"Predicting with {view.model}", work.prediction,
        services.case_file(view, record), again=False,
    )  # fmt: skip
    jobs.show(job)
    return job.result if job.state == "done" else None


def _probabilities(view: View, second: View, a: Prediction, b: Prediction) -> None:
    limits = tuple(services.classifier(v).manifest.thresholds or {} for v in (view, second))
    rows = probability_table(a, b, limits)
    st.subheader("Probabilities of common classes")
    if rows.empty:
        frame.empty("The two models have no diagnosis in common.", "Choose another model.")
        st.stop()
    same = int((rows["same decision"] == "yes").sum())
    words = (
        f"{view.model} and {second.model} share {len(rows)} classes of record {view.record}; they "
        f"decide the same for {same}."
    )
    st.markdown(escaped(words))
    figure = probabilities_chart(rows, (view.model, second.model), frame.colours())
    named = rows.rename(columns={"first": view.model, "second": second.model})
    frame.figure(figure, "two-probabilities", words, named, file_name="two_models")


def _maps(view: View, second: View, record: Record) -> None:
    measurements.intervals_line(view, record)
    code = services.target(view)
    shared = common_classes(services.targets(view), services.targets(second))
    st.subheader(f"Maps for {escaped(target_name(code))}")
    if code not in shared:
        frame.empty(f"{second.model} has no output for it.", "Choose another target.")
        return
    other = replace(second, target=shared[code])
    view = replace(view, target=code)
    found = _map(view, record), _map(other, record)
    if found[0] is None or found[1] is None:
        for each, item in ((view, found[0]), (other, found[1])):
            if item is None:
                _offer(each, record)
        return
    titled: dict[str, Map] = {view.model: found[0], second.model: found[1]}
    agreement = map_agreement(found[0], found[1])
    left, middle, right = st.columns(3)
    left.metric("Rank correlation", _number(agreement["spearman"]), help="0 is chance, 1 identical")
    middle.metric("Same sign", _number(agreement["same_sign"], percent=True), help="0.5 is chance")
    right.metric("Explored by both", _number(agreement["shared"], percent=True))
    words = " ".join(map_in_words(item, target_name(code), title) for title, item in titled.items())
    ecg.show(view, record, titled, words, key="two-ecg")
    frame.table(pd.DataFrame([agreement]), "two-agreement", f"{record.name}_two_models.csv")


def _map(view: View, record: Record) -> FusedMap | None:
    methods = view.parameters.methods
    found = services.attributions(view, record, methods)
    return fused_map(found, view.parameters) if len(found) == len(methods) else None


def _offer(view: View, record: Record) -> None:
    """A button that explains with one of the models; progress while it does."""
    methods = view.parameters.methods
    key = services.explain_key(view, record, methods)
    job = jobs.get(key)
    if job is None or job.state == "done":
        st.markdown(escaped(f"{view.model}: this record and target are not explained yet."))
    frame.offer(
        key, "Explain", lambda: services.explain_job(view, record, methods),
        type="secondary", key=f"offer-{view.model}",
    )  # fmt: skip


def _number(value: float, *, percent: bool = False) -> str:
    if value != value:
        return "–"
    return f"{value:.0%}" if percent else f"{value:.2f}"
