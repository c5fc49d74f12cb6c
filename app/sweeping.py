"""Sweeps of the fusion lab: two parameters over a grid, and the best of it into the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import frame, jobs, services
from app.frame import target_name
from app.lab import apply
from app.state import View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.params import FusionParams
from ecgxai_core.pipeline.sweep import MEASURES, SWEPT, Sweep, cached_case, default_axis, sweep
from ecgxai_core.plots.maps import sweep_map
from ecgxai_core.records.read import read_record
from ecgxai_core.report.commands import run_command

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep_part"]

_THIS, _ALL = "This record", "All explained records of the class"


def sweep_part(view: View) -> None:
    """Two parameters over a grid, and taking the best of it."""
    theme, name = frame.colours(), target_name(services.target(view))
    form = sweep_form()
    begin = st.button("Run the sweep", type="primary", icon=":material/play_arrow:")
    job = sweep_job(view, form, begin=begin)
    if job is None:
        frame.empty(
            "This sweep has not been run yet.",
            "It fuses and judges the cached explanations at every point of the grid; choose "
            "two parameters and run it.",
        )
        st.stop()
    jobs.show(job)
    if job.state != "done":
        st.stop()
    done = job.result
    st.caption(
        f"{done.records} record(s), {frame.escaped(name)}. Ring: best; dotted: in force. "
        "tau and topk change what is shown, never a score."
    )
    chosen = st.multiselect(
        "Measures", done.measures(), key="sweep-measures",
        default=first_measures(done), format_func=MEASURES.__getitem__,
    )  # fmt: skip
    columns = st.columns(max(1, min(2, len(chosen))))
    for number, measure in enumerate(chosen):
        with columns[number % len(columns)]:
            frame.figure(
                sweep_map(
                    (done.x.name, done.x.values), (done.y.name, done.y.values),
                    done.grid(measure), MEASURES[measure], theme,
                    chance=done.chance(measure), current=in_force(done, view),
                ),
                f"sweep-{measure}",
                sweep_words(done, measure),
                file_name=f"sweep_{done.x.name}_{done.y.name}_{measure}",
            )  # fmt: skip
    frame.table(sweep_cells(done), "sweep-cells", "sweep.csv")
    take_best(view, done)


def sweep_form() -> dict[str, Any]:
    """Widgets of a sweep: two parameters, the records, and whether the model is asked."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox("Across", SWEPT, index=SWEPT.index("beta"), key="sweep-x", width=170)
        others = [name for name in SWEPT if name != x]
        y = st.selectbox("Down", others, key="sweep-y", width=170)
        scope = st.segmented_control(
            "Records", (_THIS, _ALL), default=_THIS, required=True, key="sweep-scope"
        )
        deletion = st.toggle(
            "Deletion gain too",
            key="sweep-deletion",
            help="asks the model about every map: slower, in the background",
        )
    return {"x": x, "y": y, "whole": scope == _ALL, "deletion": deletion}


def sweep_job(view: View, form: Mapping[str, Any], *, begin: bool) -> jobs.Job | None:
    """The job of a sweep; started only if ``begin``."""
    record, code = services.record(view), services.target(view)
    chosen, store, params = services.classifier(view), services.store(view), view.parameters
    data, found = services.data_set(view), services.predictions(view)
    axes = default_axis(form["x"]), default_axis(form["y"])
    scope = f"{data.path if data else ''}" if form["whole"] else f"{record.digest}:{view.start}"
    others = params.fusion.model_dump(exclude={form["x"], form["y"]})
    settings = [params.updated(fusion=FusionParams()).model_dump_json(), sorted(others.items())]
    key = f"sweep:{scope}:{chosen.digest}:{code}:{sorted(form.items())}:{settings}"
    if not begin:
        return jobs.get(key)
    if (old := jobs.get(key)) is not None and not old.active:
        jobs.forget(key)  # more records may have been explained since
    codes = set(aliases(code))
    infos = [
        info
        for info in (found.records if found and form["whole"] else ())
        if info.labels is None or codes & set(info.labels)
    ]

    def work(progress: jobs.Progress) -> Sweep:
        cases = []
        for number, info in enumerate(infos):
            progress(number, 2 * len(infos), f"looking for explanations: {info.name}")
            cases.append(
                cached_case(
                    read_record(info.path), chosen, code, params, store, methods=params.methods
                )
            )
        if not form["whole"]:
            cases.append(
                cached_case(
                    record,
                    chosen,
                    code,
                    params,
                    store,
                    methods=params.methods,
                    start_sec=view.start,
                )
            )
        there = [case for case in cases if case is not None]
        model = chosen if form["deletion"] else None
        return sweep(there, *axes, params, classifier=model, progress=progress)

    return jobs.start(key, f"Sweep of {form['x']} and {form['y']}", work)


def sweep_cells(found: Sweep) -> pd.DataFrame:
    """The sweep as a table for people."""
    frame_ = found.frame[found.frame["n"] > 0]
    return frame_.assign(measure=[MEASURES[name] for name in frame_["measure"]])


def command(view: View) -> str:
    """The run with the view's settings, as a command line; folders are names only."""
    data, model = services.data_set(view), services.model(view)
    return run_command(
        {
            "data": data.path.name if data else "DATA",
            "model": model.path.name if model else "MODEL",
            "mode": "eval",
            "targets": [services.target(view)],
            "profile": view.parameters.as_key(),
        }
    )


def first_measures(found: Sweep) -> list[str]:
    """What is drawn first: localisation, deletion gain and stability, where they are."""
    wanted = ("attauc_strict", "deletion_gain", "spearman", "shown")
    return [name for name in wanted if name in found.measures()][:3]


def in_force(found: Sweep, view: View) -> tuple[Any, Any]:
    """The view's values of the two swept parameters."""
    return found.x.value_in(view.fusion, found.methods), found.y.value_in(
        view.fusion, found.methods
    )


def sweep_words(found: Sweep, measure: str) -> str:
    """One sentence about a sweep: where it is best, and the chance level."""
    best, chance = found.peak(measure), found.chance(measure)
    said = f"{MEASURES[measure]} by {found.x.name} and {found.y.name}: best {best.value:.3f} at "
    said += f"{found.x.name} {best.x}, {found.y.name} {best.y}"
    return said + (f"; chance {chance:.3g}" if chance == chance else "")


def take_best(view: View, found: Sweep) -> None:
    """Take the best grid point into the view, and show the run that uses it."""
    measures = found.measures()
    if not measures:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = st.selectbox("Best by", measures, key="sweep-best", width=260,
                               format_func=MEASURES.__getitem__)  # fmt: skip
        best = found.best(measure, view.fusion)
        st.button(
            "Take the best into the run",
            icon=":material/check:",
            on_click=apply,
            args=(best,),
            disabled=best == view.fusion,
            key="sweep-take",
        )
    if best == view.fusion:
        st.caption("These settings are in force. A run with them (put your own folders in):")
        st.code(command(view), language="bash", wrap_lines=True)
