"""Two models on one record: probabilities, maps and how far they agree."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app import frame, jobs, reading, review, services
from app.frame import escaped, target_name
from app.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.pipeline.explanation import (
    cached_attributions,
    explain_record,
    fused_map,
)
from ecgxai_core.pipeline.two_models import common_classes, map_agreement, probability_table
from ecgxai_core.plots.model_charts import probabilities_chart
from ecgxai_core.plots.paper import PaperStyle, comparison_figure
from ecgxai_core.plots.words import map_in_words
from ecgxai_core.types import Attribution, FusedMap, Prediction, Record

__all__ = ["two_models"]

Map = Attribution | FusedMap
_SHOWN_SEC = 4.5


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
        frame.empty("No record is chosen.", "Choose one on the Records page, then come back.")
        if st.button("Open the records", icon=":material/list_alt:"):
            frame.go_to("records")
        return
    name = st.selectbox("Second model", others, key="second-model")
    second = replace(view, model=name)
    try:
        record = services.record(view)
        predictions = _prediction(view, record), _prediction(second, record)
        if predictions[0] is None or predictions[1] is None:
            return
        _probabilities(view, second, predictions[0], predictions[1])
        _maps(view, second, record)
    except EcgXaiError as error:
        st.error(escaped(error), icon=":material/block:")


# Only the one record is asked of the second model: the pages' own services would read and predict
# the whole data set with it.


def _prediction(view: View, record: Record) -> Prediction | None:
    """The record's probabilities; until the job has ended its progress is shown."""
    chosen = services.classifier(view)

    def work(_progress: jobs.Progress) -> Prediction:
        values = chosen.predict(prepare(record, chosen.manifest).values[None])[0]
        return Prediction(record.name, chosen.classes, values, record.digest, chosen.digest)

    key = f"one:{_scope(view)}:{record.digest}:{chosen.digest}"
    job = jobs.start(key, f"Predicting with {view.model}", work)
    if job.state != "done":
        jobs.show(job)
        return None
    result: Prediction = job.result
    return result


def _scope(view: View) -> str:
    """Own records have jobs of their own, which end with the session."""
    data = services.data_set(view)
    return str(data.path) if data is not None and data.own else ""


def _probabilities(view: View, second: View, a: Prediction, b: Prediction) -> None:
    limits = tuple(services.classifier(v).manifest.thresholds or {} for v in (view, second))
    rows = probability_table(a, b, limits)
    st.subheader("Probabilities of what both know")
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
    reading.intervals_line(view, record)
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
    left.metric("Rank correlation", _number(agreement["spearman"]), help="0 is chance, 1 alike")
    middle.metric("Same sign", _number(agreement["same_sign"], percent=True), help="0.5 is chance")
    right.metric("Explored by both", _number(agreement["shared"], percent=True))
    width = 360 if frame.on_phone() else 850
    style = PaperStyle(layout="12x1", theme=frame.colours(), width_px=width)
    start, stop = review.closer(titled, 0.0, record.duration, _SHOWN_SEC)
    figure = comparison_figure(record, style, titled, start=start, stop=stop)
    words = " ".join(map_in_words(item, target_name(code), title) for title, item in titled.items())
    frame.figure(
        figure, "two-maps", words, pd.DataFrame([agreement]), file_name=f"{record.name}_two_models"
    )


def _attributions(view: View, record: Record) -> dict[str, Attribution]:
    params = services.explain_params(view, view.parameters.methods)
    return cached_attributions(
        record, services.classifier(view), view.target, params, services.store(view),
        start_sec=view.start,
    )  # fmt: skip


def _map(view: View, record: Record) -> FusedMap | None:
    found = _attributions(view, record)
    return fused_map(found, view.parameters) if len(found) == len(view.parameters.methods) else None


def _offer(view: View, record: Record) -> None:
    """A button that explains with one of the models; progress while it does."""
    chosen, where = services.classifier(view), services.store(view)
    params = services.explain_params(view, view.parameters.methods)
    target, start = view.target, view.start
    listed = sorted((name, value.model_dump_json()) for name, value in params.items())
    key = f"two:{_scope(view)}:{record.digest}:{chosen.digest}:{target}:{start}:{listed}"
    job = jobs.get(key)
    if job is not None and job.state != "done":
        jobs.show(job)
        return

    def work(progress: jobs.Progress) -> None:
        explain_record(record, chosen, target, params, where, start_sec=start, progress=progress)

    st.markdown(escaped(f"{view.model}: this record and target are not explained yet."))
    if st.button("Explain", key=f"offer-{view.model}", icon=":material/play_arrow:"):
        jobs.forget(key)  # a finished one whose result has left the cache
        jobs.start(key, f"Explaining {record.name} with {view.model}", work)
        st.rerun()


def _number(value: float, *, percent: bool = False) -> str:
    if value != value:
        return "–"
    return f"{value:.0%}" if percent else f"{value:.2f}"
