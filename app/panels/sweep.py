"""Sweeps of the fusion lab: two parameters over a grid, and the best of it into the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from app.data import services, work
from app.panels.fusion_lab import apply_choice
from app.shell import controls, frame, jobs
from app.shell.frame import target_name
from app.shell.state import View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.params import FusionParams
from ecgxai_core.pipeline.headlines import HARDLY
from ecgxai_core.pipeline.sel_df import labels_can_name
from ecgxai_core.pipeline.sweep import MEASURES, SWEPT, Sweep, default_axis
from ecgxai_core.plots.maps import sweep_map
from ecgxai_core.report.commands import run_command

_THIS, _ALL = "This record", "All explained records of the class"
_FIRST = ("attauc_strict", "deletion_gain", "spearman", "shown")
"""Measures drawn first: localisation, deletion gain and stability, where they are."""
_TAU = {
    "default": "tau changes what is shown, never a score.",
    "reference": "The published fusion drops spans below tau, so tau changes scores.",
}


def sweep_part(view: View) -> None:
    """Two parameters over a grid, and taking the best of it."""
    form = _ask()
    begin = st.button("Run the sweep", type="primary", icon=":material/play_arrow:")
    job = _job(view, form, begin=begin)
    if job is None:
        frame.empty(
            "This sweep has not been run yet.",
            "It fuses and evaluates the cached explanations at every point of the grid; choose "
            "two parameters and run it.",
        )
        st.stop()
    done: Sweep = jobs.wait(job)
    st.caption(
        f"{done.records} record(s), {frame.escaped(target_name(services.target(view)))}. "
        f"Ring: best; dotted: in force. {_TAU[view.profile]}"
    )
    first = [name for name in _FIRST if name in done.measures()][:3]
    chosen = st.multiselect("Measures", done.measures(), key="sweep-measures", default=first,
                            format_func=MEASURES.__getitem__)  # fmt: skip
    current = tuple(axis.value_in(view.fusion, done.methods) for axis in (done.x, done.y))
    columns = st.columns(max(1, min(2, len(chosen))))
    for number, measure in enumerate(chosen):
        with columns[number % len(columns)]:
            frame.figure(
                sweep_map(
                    (done.x.name, done.x.values), (done.y.name, done.y.values),
                    done.grid(measure), MEASURES[measure], frame.colours(),
                    chance=done.chance(measure), current=current,
                ),
                f"sweep-{measure}",
                _words(done, measure),
                file_name=f"sweep_{done.x.name}_{done.y.name}_{measure}",
            )  # fmt: skip
    cells = done.frame[done.frame["n"] > 0]
    cells = cells.assign(measure=[MEASURES[name] for name in cells["measure"]])
    frame.table(cells, "sweep-cells", "sweep.csv")
    _take_best(view, done)


def _ask() -> dict[str, Any]:
    """Widgets of a sweep: two parameters, the records, and whether the deletion gain is added."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox("Across", SWEPT, index=SWEPT.index("beta"), key="sweep-x", width=170)
        others = [name for name in SWEPT if name != x]
        y = st.selectbox("Down", others, key="sweep-y", width=170)
        scope = controls.pick("Records", (_THIS, _ALL), _THIS, "sweep-scope")
        deletion = st.toggle(
            "Deletion gain too", key="sweep-deletion",
            help="needs forward passes for every map: slower, in the background",
        )  # fmt: skip
    return {"x": x, "y": y, "whole": scope == _ALL, "deletion": deletion}


def _job(view: View, form: Mapping[str, Any], *, begin: bool) -> jobs.Job | None:
    """The job of a sweep; started only if ``begin``."""
    record, code = services.record(view), services.target(view)
    params = view.parameters
    axes = default_axis(form["x"]), default_axis(form["y"])
    kept = params.fusion.model_dump(exclude={form["x"], form["y"]})
    settings = [params.updated(fusion=FusionParams()).model_dump_json(), sorted(kept.items())]
    found = services.predictions(view) if form["whole"] else None
    if form["whole"]:
        key = services.data_key("sweep", view, found, code, sorted(form.items()), settings)
    else:
        key = services.job_key("sweep", view, record, sorted(form.items()), settings)
    if not begin:
        return jobs.get(key)
    if (old := jobs.get(key)) is not None and not old.active:
        jobs.forget(key)  # more records may have been explained since
    others = None
    if form["whole"]:
        infos = found.records if found is not None else ()
        can_name = labels_can_name(code, (info.labels for info in infos))
        others = [
            info.path
            for info in infos
            if info.labels is None or not can_name or set(aliases(code)) & set(info.labels)
        ]
    return jobs.start(
        key, f"Sweep of {form['x']} and {form['y']}", work.sweep_cases,
        services.case_file(view, record), others, axes, params, bool(form["deletion"]),
        short=others is None and not form["deletion"],
    )  # fmt: skip


def _command(view: View) -> str:
    """The run with the view's settings, as a command line; folders are names only."""
    data, model = services.data_set(view), services.model(view)
    request = {
        "data": data.path.name if data else "DATA",
        "model": model.path.name if model else "MODEL",
        "mode": "eval",
        "targets": [services.target(view)],
        "profile": view.parameters.as_key(),
    }
    return run_command(request)


def _words(found: Sweep, measure: str) -> str:
    """One sentence about a sweep: its best point, and the chance level."""
    best, chance = found.peak(measure), found.chance(measure)
    said = f"{MEASURES[measure]} by {found.x.name} and {found.y.name}: best {best.value:.3f} at "
    said += f"{found.x.name} {best.x}, {found.y.name} {best.y}"
    return said + (f"; chance {chance:.3g}" if chance == chance else "")


def cautions(found: Sweep, measure: str) -> str:
    """Why the best point of a sweep may mean little; empty where nothing speaks against it."""
    values = found.grid(measure)
    spread = float(np.nanmax(values) - np.nanmin(values))
    parts = []
    if spread < 2 * HARDLY:
        parts.append(f"All settings lie within {spread:.3f} of each other: hardly a difference.")
    if found.records == 1:
        parts.append("This is one record: what is best for it need not be best for others.")
    return " ".join(parts)


def _take_best(view: View, found: Sweep) -> None:
    """Take the best grid point into the view, and show the run that uses it."""
    measures = found.measures()
    if not measures:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = st.selectbox("Best by", measures, key="sweep-best", width=260,
                               format_func=MEASURES.__getitem__)  # fmt: skip
        best = found.best(measure, view.fusion)
        st.button("Take the best into the run", icon=":material/check:", on_click=apply_choice,
                  args=(best,), disabled=best == view.fusion, key="sweep-take")  # fmt: skip
    if said := cautions(found, measure):
        st.markdown(f":orange[:material/warning: {said}]")
    if best == view.fusion:
        st.caption("These settings are in force. A run with them (put your own folders in):")
        st.code(_command(view), language="bash", wrap_lines=True)
