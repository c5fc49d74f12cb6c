"""The Settings page: folders, cache, own records, finished runs."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import streamlit as st

from app.data import runs, services, uploads
from app.panels.evaluation import run_facts
from app.shell import frame, jobs, state
from app.shell.frame import escaped
from app.shell.server_settings import is_operator, needs_operator
from app.shell.state import View
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.metrics import METRICS
from ecgxai_core.pipeline.run.finished import FinishedRun
from ecgxai_core.pipeline.run.tables import SUMMARY
from ecgxai_core.records.read import find_records
from ecgxai_core.report import run_report
from ecgxai_core.settings import settings

_OPERATORS = (
    ":material/lock: Only the operator of this server sets folders, imports runs and clears the "
    "cache (`ECGXAI_OPERATOR`)."
)


_SHOWN = {
    "target_name": "Diagnosis", "method": "Method", "metric": "Metric", "n": "Records",
    "mean": "Mean", "ci_low": "From", "ci_high": "To", "random": "Random map",
}  # fmt: skip
"""Columns of a run's summary that are shown, the CSV has all."""


def folder_panel() -> None:
    """Where data sets and models are; the environment wins over what is saved here."""
    if not is_operator():
        st.caption(_OPERATORS)
        _found()
        return
    kept = services.folders()
    fixed = {name: os.environ.get(name) is not None for name in ("ECGXAI_DATA", "ECGXAI_MODELS")}
    st.caption(
        "One folder per line; a data set is a folder of records (.hea with .mat or .dat, or "
        "DICOM), sub-folders included. Nothing is copied or uploaded."
    )
    with st.form("folders"):
        data = st.text_area(
            "Folders of data sets", "\n".join(map(str, kept.data)), key="folders-data",
            disabled=fixed["ECGXAI_DATA"], placeholder="/path/to/records",
            help="empty = the simulated demonstration set",
        )  # fmt: skip
        models = st.text_area(
            "Folders of models and training runs", "\n".join(map(str, kept.models)),
            key="folders-models", disabled=fixed["ECGXAI_MODELS"], placeholder="/path/to/models",
            help="the models that come with the program are always there",
        )  # fmt: skip
        saved = st.form_submit_button("Save", disabled=all(fixed.values()))
    for name in (name for name, yes in fixed.items() if yes):
        st.caption(f":material/lock: Set by the environment variable {name}.")
    if saved:
        _save_folders(data, models)
    _found()


def _save_folders(data: str, models: str) -> None:
    lists = [[Path(t.strip()).expanduser() for t in text.splitlines() if t.strip()]
             for text in (data, models)]  # fmt: skip
    absent = [path.name for paths in lists for path in paths if not path.is_dir()]
    if absent:
        st.error(escaped(f"No such folder: {', '.join(absent)}. Nothing was saved."))
        return
    try:
        settings().cache_dir.mkdir(parents=True, exist_ok=True)
        services.save_folders(services.Folders(tuple(lists[0]), tuple(lists[1])))
    except (EcgXaiError, OSError) as error:
        frame.refused(error)
        return
    state.update(data=_first_data_set(), model="", target="")
    st.rerun()


def _first_data_set() -> str:
    return next((item.name for item in services.data_sets()), "")


def _found() -> None:
    rows = []
    for item in services.data_sets():
        there = item.path.is_dir()
        number = _records_in(item.path) if there else 0
        note = "made on first use" if item.synthetic and not number else ""
        rows.append(("data set", item.name, f"{number} records" if there or not note else note,
                     "" if there or item.synthetic else "the folder is not there"))  # fmt: skip
    rows += [("model", m.name, "usable" if not m.problem else "not usable", m.problem)
             for m in services.models()]  # fmt: skip
    found = pd.DataFrame(rows, columns=["Kind", "Name", "Found", "Problem"])
    if not found["Problem"].any():
        found = found.drop(columns="Problem")
    frame.table(found, "found", "found.csv")


def _records_in(folder: Path) -> int:
    try:
        return len(find_records([folder]))
    except EcgXaiError:
        return 0


def cache_panel(view: View) -> None:
    """How large the cache is, and clearing it."""
    facts = services.store(view).stats()
    size = facts.get("bytes", facts.get("size", 0)) / 1e6
    left, middle, right = st.columns(3)
    left.metric("Entries", facts.get("entries", 0))
    middle.metric("Size", f"{size:.1f} MB")
    right.metric("Limit", f"{settings().cache_limit_gb:g} GB", help="ECGXAI_CACHE_LIMIT_GB")
    st.caption(
        "Predictions, explanations and evaluations, kept so that nothing is computed twice. It can "
        "be deleted at any time: everything in it can be computed again."
    )
    if not is_operator():
        return
    with st.popover("Clear the cache", icon=":material/delete:"):
        st.markdown("Everything will be computed again when it is asked for.")
        if st.button("Clear it now", type="primary", key="cache-clear"):
            needs_operator()
            removed = services.store(view).clear()
            jobs.forget("explain:")
            st.session_state["cleared"] = removed
            st.rerun()
    if (removed := st.session_state.pop("cleared", None)) is not None:
        st.success(f"{removed} entries were removed.")


def own_panel() -> None:
    """Delete the records uploaded in this session."""
    own = uploads.own_records()
    if own is None:
        frame.empty(
            "You have opened no records of your own in this session.",
            "Open some on the Records page.",
        )
        return
    n = len(find_records([own.folder]))
    st.markdown(f"**{n} record(s) of your own**, kept for this session only.")
    if st.button("Forget them now", icon=":material/delete_forever:", key="forget-own"):
        uploads.forget_own()
        for key in [k for k in st.session_state if str(k).startswith("checklist-")]:
            del st.session_state[key]
        if state.current().data == uploads.OWN:
            state.update(data=_first_data_set(), record="")
        st.rerun()


def finished_runs() -> None:
    """Runs of ``ecgxai run``: bring one in, read its summary, save its report."""
    st.caption(
        "The directory that 'ecgxai run --out' wrote. Its tables are compared with the digests in "
        "its manifest, then it is copied, so that the Evaluation and Stability pages can show it."
    )
    if is_operator():
        _import_form()
    else:
        st.caption(_OPERATORS)
    known = runs.runs()
    if not known:
        frame.empty("There is no finished run.", "Make one with 'ecgxai run', then import it.")
    for number, choice in enumerate(known):
        with st.expander(escaped(choice.name)):
            try:
                _run(runs.read(choice), number)
            except (EcgXaiError, OSError) as error:
                frame.refused(error)
            if choice.imported and is_operator():
                st.button("Delete this copy", key=f"forget-run-{number}", args=(choice,),
                          on_click=runs.forget_run)  # fmt: skip
            elif not choice.imported:
                st.caption("In a folder of ECGXAI_RUNS.")


def _import_form() -> None:
    with st.form("import-run", clear_on_submit=True):
        text = st.text_input("Run directory", key="run-path", placeholder="/path/to/run")
        if st.form_submit_button("Import") and text.strip():
            try:
                added = runs.import_run(Path(text.strip()))
                st.success(escaped(f"Imported {added.path.name}."))
            except (EcgXaiError, OSError) as error:
                frame.refused(error)


def _run(run: FinishedRun, number: int) -> None:
    st.markdown(run_facts(run))
    if run.altered:
        st.error(escaped(f"Changed since the run ended: {', '.join(run.altered)}"))
    rows = run.tables[SUMMARY]
    titles = {name: metric.title for name, metric in METRICS.items()}
    frame.table(
        rows.assign(metric=rows["metric"].map(lambda name: titles.get(name, name))),
        f"run-{number}", f"{run.path.name}_summary.csv", whole=rows,
        column_order=[name for name in _SHOWN if name in rows],
        column_config=_SHOWN,
    )  # fmt: skip
    frame.download("Report (HTML)", f"{run.path.name}.html", "text/html",
                   lambda: run_report(run), f"run-report-{number}")  # fmt: skip
