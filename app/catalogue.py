"""The list of records: one row a record with what the model says of it, filters, thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import jobs, services
from app.frame import target_name
from app.state import View
from ecgxai_core.diagnoses import aliases
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.pipeline.prediction import Predictions
from ecgxai_core.records.read import read_record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ORDER",
    "OUTCOMES",
    "Filters",
    "ask_filters",
    "catalogue",
    "columns",
    "filtered",
    "thumbnails",
    "thumbnails_key",
]

OUTCOMES: dict[str, str] = {
    "TP": "true positive: labelled, and found",
    "FN": "false negative: labelled, and missed",
    "FP": "false positive: found, but not labelled",
    "TN": "true negative: neither",
    "no label": "the record has no label field",
}
"""What the prediction of the target is, judged by the record's labels."""

ORDER = (
    "record",
    "probability",
    "trace",
    "outcome",
    "labels",
    "warnings",
    "duration_sec",
    "source",
)
"""Columns of the list; what matters most also fits on a phone."""

_THUMBNAIL_POINTS = 90
_MOST_THUMBNAILS = 300


def catalogue(view: View, found: Predictions) -> pd.DataFrame:
    """One row a record: outcome and probability of the view's target, labels, warnings, length.

    ``found`` without classes (no model) leaves probability and outcome empty.
    """
    import pandas as pd

    code = services.target(view)
    threshold = services.threshold(view, code)
    names = set(aliases(code)) | {code} if code else set()
    rows = []
    for info, value in zip(found.records, found.values, strict=True):
        probability = value.probability(code) if code and found.classes else float("nan")
        rows.append(
            {
                "record": info.name,
                "probability": probability,
                "outcome": _outcome(info.labels, names, probability, threshold),
                "labels": ", ".join(target_name(label) for label in info.labels or ()),
                "codes": info.labels or (),
                "warnings": ", ".join(sorted(set(info.warnings))),
                "duration_sec": round(info.duration_sec, 2),
                "source": "simulated" if info.synthetic else "recorded",
            }
        )
    columns = ["record", "probability", "outcome", "labels", "codes", "warnings"]
    return pd.DataFrame(rows, columns=[*columns, "duration_sec", "source"])


def _outcome(
    labels: tuple[str, ...] | None, names: set[str], probability: float, threshold: float
) -> str:
    if not np.isfinite(probability):
        return ""
    if labels is None:
        return "no label"
    right = bool(names & set(labels)) == (probability >= threshold)
    positive = probability >= threshold
    return ("T" if right else "F") + ("P" if positive else "N")


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; an empty set lets everything through."""

    labels: frozenset[str] = frozenset()
    band: tuple[float, float] = (0.0, 1.0)
    outcomes: frozenset[str] = frozenset()
    quality: str = "any"
    longest_sec: float = float("inf")
    sources: frozenset[str] = frozenset()


def filtered(frame: pd.DataFrame, chosen: Filters) -> pd.DataFrame:
    """The rows that pass."""
    keep = np.ones(len(frame), dtype=bool)
    if chosen.labels:
        keep &= frame["codes"].map(lambda codes: bool(chosen.labels & set(codes))).to_numpy(bool)
    known = frame["probability"].notna().to_numpy()
    inside = frame["probability"].between(*chosen.band).to_numpy()
    keep &= inside | ~known
    if chosen.outcomes:
        keep &= frame["outcome"].isin(chosen.outcomes).to_numpy()
    if chosen.quality != "any":
        flagged = frame["warnings"].ne("").to_numpy()
        keep &= flagged if chosen.quality == "flagged" else ~flagged
    keep &= frame["duration_sec"].le(chosen.longest_sec).to_numpy()
    if chosen.sources:
        keep &= frame["source"].isin(chosen.sources).to_numpy()
    return frame[keep]


def ask_filters(frame: pd.DataFrame) -> Filters:
    """Widgets of the filters; only what can make a difference is offered."""
    counts: dict[str, int] = {}
    for codes in frame["codes"]:
        for code in codes:
            counts[code] = counts.get(code, 0) + 1
    labels: Sequence[str] = sorted(counts, key=lambda code: -counts[code])
    kept: dict[str, Any] = {"persist_state": "session"}
    left, right = st.columns(2)
    with left:
        named = {code: f"{target_name(code)} · {counts[code]}" for code in labels}
        wanted = st.multiselect(
            "Labelled as", labels, format_func=named.__getitem__, key="filter-labels", **kept
        )
        outcomes = [name for name in OUTCOMES if (frame["outcome"] == name).any()]
        right_or_wrong = st.pills(
            "Prediction of the target",
            outcomes,
            selection_mode="multi",
            key="filter-outcomes",
            help="; ".join(f"{name}: {OUTCOMES[name]}" for name in outcomes),
            **kept,
        )
    with right:
        band = (0.0, 1.0)
        if frame["probability"].notna().any():
            band = st.slider(
                "Probability of the target", 0.0, 1.0, band, 0.01, key="filter-band", **kept
            )
        quality = "any"
        longest = float("inf")
        with st.container(horizontal=True):
            if frame["warnings"].ne("").any():
                quality = st.segmented_control(
                    "Quality", ("any", "no flag", "flagged"), default="any", required=True,
                    key="filter-quality", **kept,
                )  # fmt: skip
            if frame["duration_sec"].nunique() > 1:
                top = float(np.ceil(frame["duration_sec"].max()))
                longest = st.number_input(
                    "Longest, s", 1.0, top, top, key="filter-longest", width=130, **kept
                )
            sources = list(frame["source"].unique())
            source = (
                st.pills("Source", sources, selection_mode="multi", key="filter-source", **kept)
                if len(sources) > 1
                else []
            )
    return Filters(
        frozenset(wanted),
        (float(band[0]), float(band[1])),
        frozenset(right_or_wrong or ()),
        quality,
        float(longest),
        frozenset(source or ()),
    )


def thumbnails(view: View, found: Predictions) -> dict[str, list[float]] | None:
    """Lead II of each record (or its first lead) as a few points; ``None`` while they are read."""
    infos = found.records[:_MOST_THUMBNAILS]

    def work(progress: jobs.Progress) -> dict[str, list[float]]:
        made = {}
        for done, info in enumerate(infos):
            progress(done, len(infos), "")
            try:
                record = read_record(info.path)
            except EcgXaiError:
                continue
            row = record.leads.index("II") if "II" in record.leads else 0
            signal = np.nan_to_num(record.signal[row, : round(4 * record.fs)])
            parts = np.array_split(signal, min(_THUMBNAIL_POINTS, len(signal)))
            made[info.name] = [round(float(part[np.abs(part).argmax()]), 3) for part in parts]
        return made

    job = jobs.start(thumbnails_key(view, found), "Drawing thumbnails", work)
    return job.result if job.state == "done" else None


def thumbnails_key(view: View, found: Predictions) -> str:
    """Key of the job behind :func:`thumbnails`."""
    data = services.data_set(view)
    digest = hash(tuple(info.digest for info in found.records[:_MOST_THUMBNAILS]))
    return f"thumbnails:{data.path if data is not None else ''}:{digest}"


def columns() -> dict[str, Any]:
    """How the columns of the list look."""
    column = st.column_config
    return {
        "record": column.TextColumn("Record", pinned=True),
        "trace": column.LineChartColumn("Lead II, first 4 s", width=150),
        "probability": column.ProgressColumn(
            "Probability", min_value=0, max_value=1, format="%.3f", width=130, help="of the target"
        ),
        "outcome": column.TextColumn("Outcome", width=75, help="judged by the record's labels"),
        "labels": column.TextColumn("Labels", width=250),
        "warnings": column.TextColumn("Quality", help="named quality warnings"),
        "duration_sec": column.NumberColumn("Length, s", format="%.1f"),
        "source": column.TextColumn("Source"),
        "codes": None,
    }
