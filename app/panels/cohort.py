"""Many records at once: mean map by wave and lead, what differs, who is unlike the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.data import services, work
from app.panels import record_maps
from app.shell import frame, jobs
from app.shell.controls import KEPT
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.audit.card_evidence import WAVES
from ecgxai_core.audit.cohort import (
    WHO,
    Cohort,
    CohortRequest,
    Difference,
    cell_table,
    compare_cohorts,
    distances,
    members_of,
    outliers,
)
from ecgxai_core.bootstrap import LEAST_RECORDS
from ecgxai_core.explainers import METHODS
from ecgxai_core.explainers.cost import Cost
from ecgxai_core.params import profile_with
from ecgxai_core.pipeline.cost import explain_cost, total
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.plots.cohort import cohort_chart
from ecgxai_core.report.cohort import (
    cohort_panels,
    cohort_report,
    cohort_words,
    difference_words,
    short_names,
)

if TYPE_CHECKING:
    import pandas as pd

_WHO = {
    "labelled": "labelled with the target",
    "predicted": "called by the model",
    "true-positive": "true positives",
    "false-positive": "false positives",
    "false-negative": "false negatives",
}
_USUAL_MOST = 50
_NOTHING, _CLASS, _MODEL, _DATA = "nothing", "another class", "another model", "another data set"


def cohort_page(view: View) -> None:
    """Ask which records; offer to explain them, show the progress, then what was found."""
    data, choice = services.data_set(view), services.model(view)
    if data is None or choice is None or not services.target(view):
        frame.empty("There is no model, data set or target.", "Choose them in the sidebar.")
        return
    st.markdown(
        "What the model uses on many records: every record counts once, by its map's weight in "
        "each wave and lead."
    )
    usual = CohortRequest(
        data.path, choice.path, services.target(view),
        profile_with(view.parameters, ["segments=wave"]), n=_USUAL_MOST,
    )  # fmt: skip
    requests = _asked(view, usual)
    key = _key(view, requests)
    job = jobs.get(key)
    if data.synthetic and requests == (usual,) and (job is None or jobs.cancelled_elsewhere(job)):
        _start(view, requests, key)  # a few records, and `make demo` has explained them
        job = jobs.get(key)
    ahead = _ahead(view, requests) if job is None else ""
    made: tuple[Cohort, ...] | None = frame.offer(
        key, "Explain these records", lambda: _start(view, requests, key),
        text=f"{ahead}Explanations stay in the cache; you can look at other pages meanwhile.",
    )  # fmt: skip
    if made is not None:
        _shown(view, requests, made)
        return
    reading = jobs.get(services.predictions_key(view))  # where the view has a record, it is read
    if job is None and reading is not None and reading.active:
        jobs.show_aside(reading, "Reading the data set, to say how many records belong to it.")


def _key(view: View, requests: Sequence[CohortRequest]) -> str:
    """Of the job: what is asked for, and the records and models of each side as they are now; the
    page waits until it knows them."""
    sets = {item.path: item.name for item in services.data_sets()}
    models = {item.path: item.name for item in services.models()}
    sides = []
    for one in requests:
        found = frame.wait_for_predictions(replace(view, data=sets[one.data]))
        side = replace(view, data=sets[one.data], model=models[one.model])
        sides.append(services.data_key("side", side, found))
    return f"cohort:{sides}:{requests}"


def _asked(view: View, usual: CohortRequest) -> tuple[CohortRequest, ...]:
    """One or two cohorts."""
    diagnosis, first, second, third, fourth = st.columns([3, 3, 3, 3, 2], vertical_alignment="top")
    with diagnosis:
        frame.ask_target(view, "cohort-target")
    who = first.selectbox("Records", WHO, key="cohort-who", format_func=_WHO.__getitem__, **KEPT)
    methods = list(METHODS)
    method = third.selectbox(
        "Method", methods, methods.index(usual.method), key="cohort-method",
        format_func=record_maps.method_title, help="the first is quick, for many records", **KEPT,
    )  # fmt: skip
    n = fourth.number_input(
        "Maximum records", 1, 1000, _USUAL_MOST, key="cohort-n",
        help=f"drawn by a seed; no interval and no test from fewer than {LEAST_RECORDS}", **KEPT,
    )  # fmt: skip
    one = replace(usual, who=who, n=int(n), method=str(method))
    with second:
        other = _compared_with(view, one)
    return (one,) if other is None else (one, other)


def _compared_with(view: View, one: CohortRequest) -> CohortRequest | None:
    """The second cohort, where there is one: the first with one thing changed."""
    models = [m for m in services.models() if not m.problem and m.name != view.model]
    sets = [item for item in services.data_sets() if item.name != view.data]
    classes = {code: target_name(code) for code in services.targets(view) if code != one.target}
    groups = {f"their {_WHO[other]}": other for other in WHO if other != one.who}
    kinds = [_NOTHING, *([_CLASS] if classes else []), *groups, *([_MODEL] if models else []),
             *([_DATA] if sets else [])]  # fmt: skip
    kind = st.selectbox("Compared with", kinds, key="cohort-against", **KEPT)
    if kind in groups:
        return replace(one, who=groups[kind])
    if kind == _CLASS:
        ordered = sorted(classes, key=lambda code: classes[code].lower())
        code = st.selectbox("Class", ordered, key="cohort-class", format_func=classes.__getitem__,
                            **KEPT)  # fmt: skip
        return replace(one, target=str(code))
    if kind == _MODEL:
        named = {item.name: item for item in models}
        return replace(one, model=named[str(_pick("Model", named, "cohort-model"))].path)
    if kind == _DATA:
        folders = {item.name: item for item in sets}
        return replace(one, data=folders[str(_pick("Data set", folders, "cohort-data"))].path)
    return None


def _pick(label: str, options: Any, key: str) -> Any:
    return st.selectbox(label, list(options), key=key, **KEPT)


def _ahead(view: View, requests: Sequence[CohortRequest]) -> str:
    """How many records belong to the cohorts, and what it costs to explain them; empty where that
    is not known, as the data set has not been read yet, or another model or data set is asked."""
    found: Predictions | None = jobs.result(services.predictions_key(view))  # never started here
    data, choice = services.data_set(view), services.model(view)
    own = data is not None and choice is not None and all(
        (r.data, r.model) == (data.path, choice.path) for r in requests
    )  # fmt: skip
    if found is None or not own:
        return ""
    said, passes, classifier = "", 0.0, services.classifier(view)
    for request in requests:
        number = len(members_of(found, classifier, request.target, request.who))
        said += (
            f"{target_name(request.target)}: {number} of {len(found.records)} records are "
            f"{_WHO[request.who]}"
        )
        said += f", of which {request.n} are drawn. " if number > (request.n or number) else ". "
        passes += _passes(view, request) * min(number, request.n or number)
    if passes:
        rough = float(f"{passes:.2g}")
        said += f"Explaining them takes at most about {rough:,.0f} forward passes of the model. "
    return said


def _passes(view: View, request: CohortRequest) -> float:
    """Forward passes that explaining one record costs."""
    params = {request.method: request.profile.for_method(request.method)}
    manifest, field = services.classifier(view).manifest, services.field_sec(view)
    return total(explain_cost(params, manifest, request.target, field))


def _start(view: View, requests: Sequence[CohortRequest], key: str) -> None:
    each = [_passes(view, request) for request in requests]
    cost: Cost = {"records at most": sum(each) * (requests[0].n or 1)}
    jobs.start(
        key, f"Cohort of {target_name(requests[0].target)}", work.cohorts,
        tuple(requests), services.place(view), cost=cost, short=False,
    )  # fmt: skip


def _shown(view: View, requests: Sequence[CohortRequest], made: tuple[Cohort, ...]) -> None:
    found = compare_cohorts(made[0], made[1]) if len(made) == 2 else None
    names = short_names(made)
    counted = (_counted(name, one) for name, one in zip(names, made, strict=True))
    few = min(len(one.records) for one in made) < LEAST_RECORDS
    note = f" · fewer than {LEAST_RECORDS}: means only, no interval and no test" if few else ""
    st.markdown(" · ".join(counted) + note)
    for one in made:
        st.markdown(f"**{escaped(cohort_words(one))}**")
    if found is not None:
        st.markdown(f"**{escaped(difference_words(made[0], made[1], found))}**")
    _chart(view, made, found)
    _files(view, made, found)
    for place, (request, name, one) in enumerate(zip(requests, names, made, strict=True)):
        st.subheader(escaped(name[:1].upper() + name[1:]))
        _records(request, one, f"cohort-records-{place}")
    for one in made:
        if one.failures:
            with st.expander(f"{len(one.failures)} records could not be used: {one.name}"):
                for failure in one.failures:
                    st.caption(escaped(f"{failure.record}: {failure.reason}"))


def _counted(name: str, one: Cohort) -> str:
    badge = " :orange-badge[simulated, not patients]" if one.synthetic else ""
    title = escaped(name[:1].upper() + name[1:])
    return f"{title}: **{len(one.records)}** of {one.found} records{badge}"


def _chart(view: View, made: tuple[Cohort, ...], found: Difference | None) -> None:
    panels, marked = cohort_panels(made, found)
    table = cell_table(made[0], view.parameters.evaluation)
    if found is not None:
        table = table.assign(
            other_mean=made[1].mean.reshape(-1), difference=found.difference.reshape(-1),
            p_corrected=found.p.reshape(-1),
        )  # fmt: skip
    frame.figure(
        cohort_chart(panels, list(WAVES), made[0].leads, frame.colours(), marked), "cohort-map",
        f"Mean share of the map by wave and lead: {', '.join(panels)}.", table,
        file_name=f"cohort_{services.target(view)}",
    )  # fmt: skip
    st.caption(
        "Signed weight in every wave and lead, % of the map's |weight|; orange speaks for the "
        "target, purple against. This shows what the model uses on these records, not what it "
        "should use."
    )


def _files(view: View, made: tuple[Cohort, ...], found: Difference | None) -> None:
    frame.download(
        "HTML report", f"cohort_{services.target(view)}.html", "text/html",
        lambda: cohort_report(made, found, view.parameters.evaluation), "cohort-html",
    )  # fmt: skip


def _records(request: CohortRequest, one: Cohort, key: str) -> None:
    """Every record, the one least like the others first; a click opens it."""
    far = {record.name for record, _ in outliers(one)}
    rows = _record_table(one, far)
    few = len(one.records) < LEAST_RECORDS
    said = f"too few records to call one outlying (fewer than {LEAST_RECORDS})" if few else (
        f"{len(far)} far from the others" if far else "none is far from the others"
    )  # fmt: skip
    st.caption(escaped(f"{said[:1].upper()}{said[1:]}. Select a row to open the record."))
    picked = frame.picked_row(
        rows, key, f"{key}.csv",
        column_config={"distance": st.column_config.NumberColumn(
            format="%.3f", help="sum over waves and leads of |share - median share|; at most 2")},
    )  # fmt: skip
    if picked is None:
        return
    name = str(picked["record"])
    if st.button(f"Open {name}", icon=":material/ecg_heart:", key=f"{key}-open", type="primary"):
        data = next(item.name for item in services.data_sets() if item.path == request.data)
        model = next(item.name for item in services.models() if item.path == request.model)
        frame.go_to("explain", data=data, model=model, record=name, target=one.target,
                    method=one.method)  # fmt: skip


def _record_table(one: Cohort, far: set[str]) -> pd.DataFrame:
    import pandas as pd

    frame_ = pd.DataFrame({
        "record": [record.name for record in one.records],
        "probability": [record.probability for record in one.records],
        "distance": distances(one),
        "outlying": ["yes" if record.name in far else "" for record in one.records],
    })  # fmt: skip
    return frame_.sort_values("distance", ascending=False, kind="stable", ignore_index=True)
