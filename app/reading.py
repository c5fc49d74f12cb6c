"""What stands beside a map: measured intervals with their confidence, and the median beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from app import frame, services
from app.frame import escaped, target_name
from app.state import View
from ecgxai_core.measured import QTC_FORMULA
from ecgxai_core.pipeline.reading import (
    IRREGULAR,
    LEAST_BEATS,
    LEAST_CONFIDENCE,
    Interval,
    intervals_of,
    measured_record,
    typical_beat,
)
from ecgxai_core.plots.beat import beat_figure
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.words import beat_in_words, beat_leads, beat_table
from ecgxai_core.types import Attribution, FusedMap, Record

__all__ = ["intervals_line", "intervals_panel", "median_beat_panel"]

_SIGNS = {"above": "↑", "below": "↓", "within": ""}
_TITLES = {"heart rate": "Rate", "axis": "Axis"}
_UNITS = {"1/min": "/min", "deg": "°"}


def intervals_line(view: View, record: Record) -> None:
    """The intervals as a cardiograph prints them, each with its confidence in brackets."""
    said = [_said(item) for item in _intervals(view, record)]
    st.markdown(
        ":material/straighten: Measured: " + " · ".join(said),
        help=(
            "Medians over the beats of the whole record, measured by this program and not seen by "
            "the model. In brackets the confidence, 0 to 1, which falls where the beats differ; an "
            "arrow stands for above or below the normal range of adults, a dash for not measurable."
        ),
    )


def _intervals(view: View, record: Record) -> tuple[Interval, ...]:
    measured = measured_record(record, services.store(view))
    return intervals_of(measured, record.age, record.sex)


def _said(item: Interval) -> str:
    """``PR **216 ms** ↑ (0.92)``, safe as markdown."""
    name = _TITLES.get(item.name, item.name)
    if not item.measured.n:
        return f"{name} **–**"
    value = f"**{item.measured.value:.0f}{_unit(item)}**"
    sign = _SIGNS.get(item.reading, "")
    if sign:
        value = f":orange[{value} {sign}]"
    irregular = f"{item.note}, " if item.note == IRREGULAR else ""
    return f"{name} {value} ({irregular}{item.measured.confidence:.2f})"


def _unit(item: Interval) -> str:
    unit = _UNITS.get(item.measured.unit, item.measured.unit)
    return unit if unit == "°" else f" {unit}"


def intervals_panel(view: View, record: Record) -> None:
    """The same as a table: spread, beats, normal range and who gives it."""
    rows = [
        {
            "interval": _TITLES.get(item.name, item.name),
            "value": f"{item.measured.value:.0f}{_unit(item)}" if item.measured.n else "–",
            "confidence": item.measured.confidence,
            "normal": item.normal or "–",
            "reading": item.reading or item.note,
            "spread": f"{item.measured.spread:.0f}" if item.measured.n else "–",
            "beats": item.measured.n,
            "source": item.source,
        }
        for item in _intervals(view, record)
    ]
    st.subheader("Measured intervals")
    column = st.column_config
    frame.table(
        pd.DataFrame(rows),
        "intervals",
        f"{record.name}_intervals.csv",
        hint=f"QTc by {QTC_FORMULA}; not compared under a confidence of {LEAST_CONFIDENCE:g}.",
        column_config={
            "interval": column.TextColumn("Interval", width=58),
            "value": column.TextColumn("Value", width=70),
            "confidence": column.ProgressColumn(
                "Confidence", min_value=0, max_value=1, format="%.2f", width=92,
                help="of the waves it is taken between, times the share of beats that have it, "
                "times how steady it is from beat to beat",
            ),
            "normal": column.TextColumn("Normal, adults", width=104),
            "reading": column.TextColumn("Reading", width=130),
            "spread": column.TextColumn(
                "Spread", width=60,
                help="median absolute deviation over the beats, in the same unit",
            ),
            "beats": column.NumberColumn("Beats", width=55),
            "source": column.TextColumn("Source of the range"),
        },
    )  # fmt: skip


def median_beat_panel(
    view: View, record: Record, overlay: Attribution | FusedMap | None, style: PaperStyle
) -> None:
    """The map on the record's median beat; computed only while the panel is open."""
    panel = st.expander(
        "Median beat: what the map says of a typical beat",
        icon=":material/ecg_heart:",
        key="median-beat",
        on_change="rerun",
    )
    if not panel.open:
        return
    with panel:
        if overlay is None:
            frame.empty(
                "There is no map to put on a median beat.",
                "Explain this record above, and leave 'Explanation' switched on.",
            )
            return
        _median_beat(view, record, overlay, style)


def _median_beat(
    view: View, record: Record, overlay: Attribution | FusedMap, style: PaperStyle
) -> None:
    beat = typical_beat(overlay, record)
    if beat.n_beats < LEAST_BEATS:
        frame.empty(
            f"Only {beat.n_beats} beats were found in the part that the model sees.",
            f"A median beat takes {LEAST_BEATS}. The map over the record above shows each beat.",
        )
        return
    st.caption(
        escaped(
            f"{beat.n_beats} beats, aligned at their R peaks, not stretched; premature and other "
            "odd beats are among them. Moments that fewer than half of them have are left out. The "
            "band shows how far the map is alike from beat to beat of this record (bootstrap over "
            "beats), and nothing of other records."
        )
    )
    name = target_name(services.target(view))
    words = beat_in_words(beat, name, record.name)
    frame.figure(
        beat_figure(beat, replace(style, width_px=style.width_px * 9 // 10)),  # in a box
        f"beat-{record.digest[:8]}",
        words,
        beat_table(beat),
        file_name=f"{record.name}_median_beat",
    )
    _leads_table(pd.DataFrame(beat_leads(beat)), record.name)


def _leads_table(rows: pd.DataFrame, record: str) -> None:
    column = st.column_config
    number: Any = column.NumberColumn
    frame.table(
        rows,
        "beat-leads",
        f"{record}_median_beat_leads.csv",
        height=280,
        column_config={
            "lead": column.TextColumn("Lead", width=50),
            "at_ms": number("Strongest at, ms from R", format="%.0f"),
            "direction": column.TextColumn("Direction"),
            "mean_per_sec": number("Mean, per s", format="%.3f"),
            "low": number("Band from", format="%.3f"),
            "high": number("to", format="%.3f"),
            "clear": column.CheckboxColumn("Band leaves out 0"),
            "beats": number("Beats"),
        },
    )
