"""The Records page: the list with filters and thumbnails, uploads, a selection, and failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from weakref import ReferenceType, ref

import numpy as np
import pandas as pd
import streamlit as st

from app.data import services, uploads, work
from app.shell import controls, frame, jobs, state
from app.shell.controls import KEPT, pick
from app.shell.frame import short_name, target_name
from app.shell.state import View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.cost import explain_cost
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.pipeline.sel_df import SEL_COLUMNS, labels_can_name
from ecgxai_core.records.catalogues.ptbxl import SUPERCLASSES
from ecgxai_core.study.review_queue import CRITERIA, MAP_CRITERIA, Doubts, review_queue
from ecgxai_core.types import ROUTINE_WARNINGS, FloatArray, joined_codes

OUTCOMES: dict[str, str] = {
    "TP": "true positive: labelled, and found",
    "FN": "false negative: labelled, and missed",
    "FP": "false positive: found, but not labelled",
    "TN": "true negative: neither",
    "no label": "the record's labels cannot say",
}
"""Whether the prediction of the target agrees with the record's labels."""

ORDER = (
    "place",
    "record",
    "says",
    "labels",
    "mismatch",
    "probability",
    "probability_text",
    "outcome",
    "why",
    "trace",
    "warnings",
    "duration_sec",
    "source",
)
"""Columns of the list, the most important first, as a phone shows only some."""

MOST_ROWS = 1000
"""Rows that a browser is sent; filters, orders and downloads are about all of them."""
_MOST_THUMBNAILS = 300
_PROBABLE = "probability"
_MOST_CALLED = 3
_QUALITY = "what looks odd in the signal or its header; ok: nothing does"
_ORDERS = {"": "As listed", _PROBABLE: "Most probable first"}


def catalogue(view: View, found: Predictions) -> pd.DataFrame:
    """One row per record: outcome and probability of the view's target, labels, warnings, length.

    ``found`` without classes (no model) leaves probability and outcome empty.
    """
    code = services.target(view)
    known = bool(code and found.classes)
    number = len(found.records)
    p = np.full(number, np.nan)
    if known:
        p = found.probabilities[:, found.classes.index(code)].astype(np.float64)
    rows = _without_target(found).copy(deep=False)
    rows.insert(1, "probability", p)
    rows.insert(2, "outcome", _outcomes(found, code, p, services.threshold(view, code)))
    return rows


_LISTS: list[tuple[ReferenceType[Predictions], pd.DataFrame]] = []
"""The last lists, most recent first: one of a hundred thousand records takes half a second. A list
goes with the predictions that it is of, so that of own records nothing outlives their session."""

_MOST_LISTS = 4


def _without_target(found: Predictions) -> pd.DataFrame:
    """The columns that do not depend on a target; not to be changed."""
    for known, made in _LISTS:
        if known() is found:
            return made
    labels, warnings, given = [], [], found.records
    label_text: dict[tuple[str, ...], str] = {}
    warning_text: dict[tuple[str, ...], str] = {}
    for info in given:  # most records have the labels and warnings of many others
        own, odd = info.labels or (), info.all_warnings
        if own not in label_text:
            label_text[own] = ", ".join(map(short_name, own))
        if odd not in warning_text:
            warning_text[odd] = joined_codes(set(odd) - ROUTINE_WARNINGS)
        labels.append(label_text[own])
        warnings.append(warning_text[odd])
    made = pd.DataFrame({
        "record": [info.name for info in given],
        "labels": labels,
        "codes": pd.Series([info.labels or () for info in given], dtype=object),
        "warnings": warnings,
        "duration_sec": np.array([info.duration_sec for info in given]).round(2),
        "source": ["simulated" if info.synthetic else "recorded" for info in given],
    })  # fmt: skip
    _LISTS[:] = [(ref(found, _forget_list), made), *_LISTS[: _MOST_LISTS - 1]]
    return made


def _forget_list(gone: ReferenceType[Predictions]) -> None:
    _LISTS[:] = [item for item in _LISTS if item[0] is not gone]


def _outcomes(
    found: Predictions, code: str, probabilities: FloatArray, threshold: float
) -> list[str]:
    """By record, a key of :data:`OUTCOMES`; empty where the model said nothing."""
    silent = np.array([info.labels is None for info in found.records], np.bool_)
    if not labels_can_name(code, [tuple(found.labelled)]):
        silent[:] = True
    names = {*aliases(code), code} if code else set()
    columns = [own for name, own in found.labelled.items() if name in names]
    has = np.any(columns, axis=0) if columns else np.zeros_like(silent)
    called = probabilities >= threshold
    said = [~np.isfinite(probabilities), silent, has & called, has, called]
    return list(np.select(said, ["", "no label", "TP", "FN", "FP"], "TN"))


def ask_data(view: View) -> None:
    """Which data set, where there are several."""
    names = [item.name for item in services.data_sets()]
    if len(names) > 1:
        controls.choose(
            "Data set", names, view.data, lambda name: state.update(data=name),
            key="records-data", width=170,
        )  # fmt: skip


def with_calls(view: View, found: Predictions, listed: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the model calls in each record, and where its labels say otherwise.

    ``says``: the most probable diagnoses at or above their thresholds, superclasses only where a
    model has nothing else. ``mismatch``: what is called but not labelled, and what is labelled but
    not called; what the data set cannot label is left out of it. It ends with labels for which the
    model has no output: about these it can be neither right nor wrong.
    """
    if not found.classes:
        return listed
    shown = services.targets(view)
    described = tuple(code for code in shown if code not in SUPERCLASSES) or shown
    columns = [found.classes.index(code) for code in described]
    limits = np.array([services.threshold(view, code) for code in described])
    names = {code: {code, *aliases(code)} for code in described}
    nameable = [labels_can_name(code, [tuple(found.labelled)]) for code in described]
    short = [short_name(code) for code in described]
    has_output = {name for code in found.classes for name in (code, *aliases(code))}
    says, mismatches = [], []
    for place in listed.index:
        p = found.probabilities[place, columns]
        order = [int(i) for i in np.argsort(-p, kind="stable") if p[i] >= limits[i]]
        more = f" + {len(order) - _MOST_CALLED}" if len(order) > _MOST_CALLED else ""
        says.append(", ".join(short[i] for i in order[:_MOST_CALLED]) + more or "nothing")
        labels = found.records[place].labels
        if labels is None:
            mismatches.append("")
            continue
        called = set(order)
        extra = [i for i in order if nameable[i] and names[described[i]].isdisjoint(labels)]
        missed = [
            i for i in range(len(described))
            if i not in called and not names[described[i]].isdisjoint(labels)
        ]  # fmt: skip
        parts = (("not labelled", extra), ("not called", missed))
        said = [f"{', '.join(short[i] for i in own)} {what}" for what, own in parts if own]
        if strange := [short_name(label) for label in labels if label not in has_output]:
            more = f" + {len(strange) - _MOST_CALLED}" if len(strange) > _MOST_CALLED else ""
            said.append(f"{', '.join(strange[:_MOST_CALLED])}{more} not a model class")
        mismatches.append("; ".join(said))
    return listed.assign(says=says, mismatch=mismatches)


def filtered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that pass the filters; only filters that can make a difference are offered."""
    narrow, keep = frame.on_phone(), pd.Series(True, index=rows.index)
    if not narrow:
        keep &= _by_name(rows)
    counts = Counter(rows["outcome"])
    outcomes = [name for name in OUTCOMES if name != "no label" or counts[name]]
    if set(outcomes) & set(counts):
        picked = st.pills(
            "Prediction of the diagnosis", outcomes, selection_mode="multi", key="filter-outcomes",
            help="; ".join(f"{name}: {OUTCOMES[name]}" for name in outcomes), width="content",
            format_func=lambda name: f"{name} {counts[name]}", **KEPT,
        )  # fmt: skip
        if picked:
            keep &= rows["outcome"].isin(picked)
    if not narrow:
        keep &= _by_probability(rows)
    with st.popover("More filters", icon=":material/filter_list:"):
        if narrow:
            keep &= _by_name(rows) & _by_probability(rows)
        keep &= _rarer_filters(rows)
    return rows[keep]


def _by_name(rows: pd.DataFrame) -> pd.Series:
    part = st.text_input("Name contains", key="filter-name", width=150, **KEPT).strip()
    if not part:
        return pd.Series(True, index=rows.index)
    return rows["record"].str.contains(part, case=False, regex=False)


def _by_probability(rows: pd.DataFrame) -> pd.Series:
    known = rows["probability"].notna()
    if not known.any():
        return ~known
    band = st.slider(
        "Probability of the diagnosis", 0.0, 1.0, (0.0, 1.0), 0.01, key="filter-band", width=240,
        **KEPT,
    )  # fmt: skip
    return rows["probability"].between(*band) | ~known


def _rarer_filters(rows: pd.DataFrame) -> pd.Series:
    """Labels, quality, length and source: which rows pass."""
    keep = pd.Series(True, index=rows.index)
    counts = Counter(code for codes in rows["codes"] for code in codes)
    named = {code: f"{target_name(code)} · {n}" for code, n in counts.most_common()}
    wanted = st.multiselect(
        "Labelled as", list(named), format_func=named.__getitem__, key="filter-labels", **KEPT
    )
    if wanted:
        keep &= rows["codes"].map(lambda codes: not set(wanted).isdisjoint(codes))
    flagged = rows["warnings"].ne("")
    if flagged.any():
        options = ("any", "no flag", "flagged")
        quality = pick("Quality", options, "any", "filter-quality", **KEPT)
        keep &= (quality == "any") | (flagged == (quality == "flagged"))
    if rows["duration_sec"].nunique() > 1:
        top = float(np.ceil(rows["duration_sec"].max()))
        longest = st.number_input("Longest, s", 1.0, top, top, key="filter-longest", **KEPT)
        keep &= rows["duration_sec"].le(longest)
    sources = list(rows["source"].unique())
    if len(sources) > 1:
        source = st.pills("Source", sources, selection_mode="multi", key="filter-source", **KEPT)
        keep &= rows["source"].isin(source or sources)
    return keep


def in_order(view: View, found: Predictions, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as listed, or in the order of a review queue: those first of which a reader can say
    most. Until what the order needs is there, the rows stay as they are."""
    if not found.classes:
        return rows
    by = st.selectbox(
        "Order", [*_ORDERS, *CRITERIA], key="records-order", width=260, **KEPT,
        format_func=lambda one: _ORDERS.get(one) or f"For review: {CRITERIA[one]}",
        help="for the diagnosis; the first ten of a review queue are unlike each other",
    )  # fmt: skip
    other = _second_model(view) if by == "disagreement" else ""
    if by == _PROBABLE:
        return rows.sort_values("probability", ascending=False, kind="stable")
    if not by or (by == "disagreement" and not other):
        return rows
    kept = set(rows["record"])
    places = [i for i, info in enumerate(found.records) if info.name in kept]
    part = _some(found, places)
    second = None
    if other:
        job = services.predictions_job(replace(view, model=other, target=""))
        if job is None or job.state != "done":
            if job is not None:
                jobs.show(job)
            return rows
        second = job.result
    maps = _doubts(view, found) if by in MAP_CRITERIA else None
    if by in MAP_CRITERIA and maps is None:
        return rows
    code = services.target(view)
    with frame.refusals():
        queue = review_queue(
            part, by, other=second, maps=[maps[i] for i in places] if maps else None,
            thresholds={code: services.threshold(view, code)}, targets=[code],
        )  # fmt: skip
    queue["why"] = _reasons(queue, by)
    there = queue.drop_duplicates("record").set_index("record")
    ordered = rows.assign(
        place=rows["record"].map(there["place"]), why=rows["record"].map(there["why"])
    )
    return ordered.sort_values("place", kind="stable")


def _some(found: Predictions, places: list[int]) -> Predictions:
    return replace(
        found,
        records=tuple(found.records[i] for i in places),
        values=tuple(found.values[i] for i in places),
    )


def _second_model(view: View) -> str:
    others = [m.name for m in services.models() if not m.problem and m.name != view.model]
    if not others:
        st.caption("There is only one usable model.")
        return ""
    return str(st.selectbox("Second model", others, key="records-second-model", width=200))


def _doubts(view: View, found: Predictions) -> list[Doubts | None] | None:
    """What the maps of all records say; offered, as every record is explained for it."""
    files, methods = services.case_files(view, found), view.parameters.methods
    code, number, model = services.target(view), len(files), services.classifier(view)
    key = services.data_key("doubts", view, found, code, view.parameters.model_dump_json())
    params, field = services.explain_params(view, methods), services.field_sec(view)
    cost = explain_cost(params, model.manifest, code, field)

    def begin() -> jobs.Job:
        return jobs.start(
            key, f"Explaining {number} records", work.map_doubts, files, view.parameters,
            services.threshold(view, code),
            cost={name: number * passes for name, passes in cost.items()},
        )  # fmt: skip

    made: list[Doubts | None] | None = frame.offer(
        key, f"Explain {number} records", begin,
        "This order needs maps of every record; what is explained already is not computed again.",
    )  # fmt: skip
    return made


def _reasons(queue: pd.DataFrame, by: str) -> list[str]:
    """Why each row stands where it stands."""
    name, form = {
        "entropy": ("entropy", "entropy {:.2f} bit"),
        "margin": ("margin", "{:.0%} of the way from the threshold"),
        "disagreement": ("disagreement", "models {:.2f} apart"),
        "methods": ("map_disagreement", "methods disagree on {:.0%}"),
        "evidence": ("missing_evidence", "AttAUC {:.2f}"),
        "quality": ("n_warnings", "{:.0f} warnings"),
    }[by]
    values = 1 - queue[name] if by == "evidence" else queue[name]
    return [form.format(value) if np.isfinite(value) else "" for value in values]


def thumbnails(view: View, found: Predictions) -> jobs.Job:
    """The job that draws lead II of each record (or its first lead) as a few points."""
    data, infos = services.data_set(view), found.records[:_MOST_THUMBNAILS]
    folder = data.path if data is not None else ""
    return jobs.start(
        f"thumbnails:{folder}:{found.records_digest}", "Drawing thumbnails",
        work.thumbnails, {info.name: info.path for info in infos}, short=True, again=False,
    )  # fmt: skip


def order(listed: pd.DataFrame) -> list[str]:
    """:data:`ORDER` without what says nothing of these rows: no warning, one source, one length."""
    silent = {"warnings"} if "warnings" in listed and not listed["warnings"].ne("").any() else set()
    silent |= {n for n in ("source", "duration_sec") if listed[n].nunique() < 2 and len(listed) > 1}
    return [name for name in ORDER if name in listed and name not in silent]


def columns(code: str) -> dict[str, Any]:
    """How the columns of the list look; ``code`` is the diagnosis that probabilities are of."""
    column, name = st.column_config, short_name(code) if code else ""
    return {
        "place": column.NumberColumn("#", width=40, help="place in the review queue"),
        "record": column.TextColumn("Record", width=95),
        "says": column.TextColumn(
            "Model says", width=170, help="diagnoses at or above their threshold, most probable "
            "first",
        ),
        "labels": column.TextColumn("Labels", width=150, help="of the data set"),
        "mismatch": column.TextColumn(
            "Mismatch", width=190, help="called but not labelled; labelled but not called; "
            "labelled, but the model has no output for it",
        ),
        "trace": column.LineChartColumn("Lead II, first 4 s", width=150),
        **frame.probability_columns(f"Probability of {name}", width=110),
        "why": column.TextColumn("Why", width=150, help="what decides the place in the queue"),
        "outcome": column.TextColumn(
            f"{name}?", width=70, help=f"whether the model is right about {name}: "
            + "; ".join(f"{short}, {text}" for short, text in OUTCOMES.items()),
        ),
        "warnings": column.TextColumn("Quality", help=_QUALITY),
        "duration_sec": column.NumberColumn("Length, s", format="%.1f", width=70),
        "source": column.TextColumn("Source", width=80),
        "codes": None,
    }  # fmt: skip


def quality_in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their quality warnings for people; routine ones are left out."""
    said = {
        codes: ", ".join(
            code.replace("_", " ") for code in codes.split(";") if code not in ROUTINE_WARNINGS
        )
        or "ok"
        for codes in rows["warnings"].unique()
    }
    return rows.assign(warnings=rows["warnings"].map(said))


def own_record_form() -> None:
    """Upload records; they stay in this session and on this server."""
    with st.popover("Open your own record", icon=":material/upload_file:"):
        with st.form("own", clear_on_submit=True, border=False):
            files = st.file_uploader(
                "A .hea file together with its .mat or .dat, a DICOM file, or SCP-ECG, HL7 aECG, "
                "MUSE XML, Philips XML or EDF; at most "
                f"{uploads.MOST_BYTES // 10**6} MB per file and {uploads.MOST_FILES} files",
                accept_multiple_files=True,
                key="own-files",
            )
            neutral = st.checkbox(
                "Give neutral names (record-1, record-2, ...)",
                key="own-neutral",
                help="else the name of the file, without its ending, is the record's name: it is "
                "shown on every page, in reports and in downloads",
            )
            sent = st.form_submit_button("Open these files", type="primary")
        st.caption(
            "Kept on this server while this tab is open, and deleted within half a minute after it "
            "is closed. The name of a file becomes the name of its record, on every page and in "
            "every download: remove personal data from it and from the header first, or take "
            "neutral names."
        )
        if not sent:
            return
        if not files:
            st.warning("Choose the files of a record first.")
            return
        try:
            records = uploads.add(files, neutral=neutral)
        except EcgXaiError as error:
            frame.refused(error)
        else:
            frame.go_to("explain", data=uploads.OWN, record=records[0].name)


def selection_panel(view: View, found: Predictions) -> None:
    """``sel_df``: good examples of each diagnosis, drawn with a seed."""
    if not found.classes:
        frame.empty("A selection needs predictions.", "Choose a model first.")
        return
    with st.expander("How records are chosen", icon=":material/tune:", expanded=False):
        params = controls.form_for(
            SelectionParams(),
            ("k_per_class", "min_prob", "max_duration_sec", "seed"),
            "selection",
            labels={
                "k_per_class": "Records per diagnosis",
                "min_prob": "Least probability",
                "max_duration_sec": "Longest record, s",
                "seed": "Seed",
            },
        )
    job = jobs.start(
        services.data_key("selection", view, found, params.model_dump_json()),
        "Building the selection", work.selection, jobs.Earlier(services.predictions_key(view)),
        params, again=False,
    )  # fmt: skip
    if job.state != "done":
        jobs.show(job)
        return
    sel = job.result.frame
    st.caption(
        f"{len(sel)} rows of {sel['target'].nunique()} diagnoses, as `ecgxai select` writes them. "
        "Select a row to open the record with its diagnosis. Rank is the place in a draw among the "
        f"records with the label and a probability of at least {params.min_prob:g}, not an order "
        "of probability; where these are too few, less probable ones follow (relaxed), the most "
        "probable first."
    )
    column = st.column_config
    row = frame.picked_row(
        quality_in_words(frame.in_words(sel, "meta_probability")), "selection", "sel_df.csv",
        whole=sel,
        column_order=(
            "target_name", "rank", "record", "meta_probability", "meta_probability_text", "status",
            "duration_sec", "synthetic", "warnings",
        ),
        column_config={
            "target_name": column.TextColumn("Diagnosis"),
            "rank": column.NumberColumn("Rank"),
            "record": column.TextColumn("Record"),
            **frame.probability_columns(
                "Probability", "meta_probability",
                help="maximum over the codes scored as this diagnosis",
            ),
            "status": column.TextColumn("Status", help=SEL_COLUMNS["status"]),
            "duration_sec": column.NumberColumn("Length, s", format="%.1f"),
            "synthetic": column.CheckboxColumn("Simulated"),
            "warnings": column.TextColumn("Quality", help=_QUALITY),
        },
    )  # fmt: skip
    if row is not None:
        frame.go_to("explain", record=str(row["record"]), target=str(row["model_class"]))


def failures(found: Predictions) -> None:
    """Records that were refused, each with its reason."""
    if not found.failures:
        return
    number = len(found.failures)
    with st.expander(
        f"{number} record{'s' if number > 1 else ''} could not be read",
        icon=":material/error:",
        expanded=not found.records,
    ):
        rows = [{"record": item.record, "reason": item.reason} for item in found.failures]
        frame.table(pd.DataFrame(rows), "failures", "failures.csv")
