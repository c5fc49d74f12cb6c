"""Measured intervals with their confidence, and the median beat, which several pages show."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app.data import services
from app.panels import ecg
from app.shell import frame
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.pipeline.criteria import check, with_stimuli
from ecgxai_core.pipeline.measurements import (
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
from ecgxai_core.signal.intervals import QTC_FORMULA
from ecgxai_core.types import Map, Record

_SIGNS = {"above": "↑", "below": "↓", "within": ""}
_TITLES = {"heart rate": "Rate", "QTc": f"QTc{QTC_FORMULA[0]}", "axis": "Axis"}
_UNITS = {"1/min": "/min", "deg": "°"}


def intervals_line(view: View, record: Record, measured: str = "Measured") -> None:
    """Age, sex, and the intervals as a cardiograph prints them; what is uncertain says so.

    ``measured`` says of what, where a changed ECG stands on the page too."""
    age = f"{record.age:.0f} years" if record.age is not None else "age unknown"
    who = escaped(f"{age}, {record.sex or 'sex unknown'}")
    said = [_said(item) for item in _intervals(view, record)]
    st.markdown(
        f":material/straighten: {who} · {measured}: " + " · ".join(said),
        help=(
            "Medians over the beats of the whole record, measured by this program; not inputs of "
            f"the model. QTcF: QTc by {QTC_FORMULA}. Arrow: above or below the normal range of "
            "adults; dash: not measurable; uncertain: do not rely on it. Spread and "
            "confidence stand in the table of measured intervals."
        ),
    )


def _intervals(view: View, record: Record) -> tuple[Interval, ...]:
    measured = measured_record(record, services.store(view))
    return intervals_of(measured, record.age, record.sex)


def _said(item: Interval) -> str:
    """``PR **216 ms** ↑``, with what makes it uncertain; safe as markdown."""
    name = _TITLES.get(item.name, item.name)
    if not item.measured.n:
        return f"{name} **–**"
    value, sign = f"**{_value(item)}**", _SIGNS.get(item.reading, "")
    if sign:
        value = f":orange[{value} {sign}]"
    confidence = item.measured.confidence
    own = item.name == "QTc" or item.note == item.measured.note
    note = item.note.split(":")[0] if own else ""  # what follows says why
    if item.note == IRREGULAR:
        note = f"median; {IRREGULAR}"
    if confidence < LEAST_CONFIDENCE and "uncertain" not in note:
        note = f"{note}, uncertain" if note else "uncertain"
    return f"{name} {value}{f' ({note})' if note else ''}"


def _value(item: Interval) -> str:
    unit = _UNITS.get(item.measured.unit, item.measured.unit)
    number = f"{item.measured.value:.0f}".replace("-", "−")
    return f"{number}{'' if unit == '°' else ' '}{unit}"


def intervals_panel(view: View, record: Record) -> None:
    """The same as a table: spread, beats, normal range and its source; made while it is open."""
    panel = st.expander(
        "Measured intervals: spread, beats, sources", icon=":material/straighten:",
        key="measured-intervals", on_change="rerun",
    )  # fmt: skip
    if not panel.open:
        return
    rows = [
        {
            "interval": _TITLES.get(item.name, item.name),
            "value": _value(item) if item.measured.n else "–",
            "confidence": item.measured.confidence,
            "normal": item.normal or "–",
            "reading": item.reading or item.note,
            "spread": f"{item.measured.spread:.0f}" if item.measured.n else "–",
            "beats": item.measured.n,
            "source": item.source,
        }
        for item in _intervals(view, record)
    ]
    column = st.column_config
    with panel:
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
                    help="confidence of the waves that bound it, times the fraction of beats that "
                    "have it, times its regularity from beat to beat",
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


_RESULTS = {"met": "✓ met", "not met": "✗ not met", "cannot be measured": "? cannot be measured"}


def criteria_panel(view: View, record: Record, overlay: Map | None) -> None:
    """The textbook criteria of the target: measured, met or not, and the map's evidence there."""
    target, value = services.target(view), services.prediction(view)
    if not target:
        return
    called = [] if value is None else [
        code for code in value.classes if value.probability(code) >= services.threshold(view, code)
    ]  # fmt: skip
    known = ecg.known(record)
    found = check(
        target, record, measured_record(record, services.store(view)), overlay, known.waves,
        called=called, stimuli=with_stimuli(record, known.beats.samples),
    )  # fmt: skip
    st.subheader("Criteria")
    st.markdown(f"**{escaped(target_name(target))}**: {escaped(found.sentence)}")
    if not found.rows:
        return
    rows = pd.DataFrame(found.table())
    column, narrow = st.column_config, frame.on_phone()
    frame.table(
        rows.assign(result=[_RESULTS[name] for name in rows["result"]]),
        "criteria", f"{record.name}_criteria.csv", height="content",
        column_order=["result", *(c for c in rows if c != "result")] if narrow else None,
        hint="Textbook criteria in adults, measured by this program. They are no input of the "
        "model, and no score uses them: a map may follow something else.",
        column_config={
            "criterion": column.TextColumn("Criterion", width=210 if narrow else 360),
            "measured": column.TextColumn("Measured", width=175),
            "result": column.TextColumn("Result", width=145),
            "evidence": column.TextColumn(
                "Evidence of the map there", width=205,
                help="share of |weight| in the criterion's leads and waves, which may overlap "
                "those of another criterion; in brackets what an even map has there. Leads alone "
                "where the map's segments cut through waves; a dash where beats are compared with "
                "each other, which no cell of a map can show",
            ),
            "note": column.TextColumn("Note", width=340),
            "source": column.TextColumn("Source"),
        },
    )  # fmt: skip


def median_beat_panel(view: View, record: Record, overlay: Map | None) -> None:
    """The map on the record's median beat; computed only while the panel is open."""
    panel = st.expander("Median beat: the map on a typical beat", icon=":material/ecg_heart:",
                        key="median-beat", on_change="rerun")  # fmt: skip
    if not panel.open:
        return
    with panel:
        if overlay is None:
            frame.empty(
                "There is no map to put on a median beat.",
                "Explain this record above.",
            )
        else:
            _median_beat(view, record, overlay)


def _median_beat(view: View, record: Record, overlay: Map) -> None:
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
            "abnormal beats are included. Times that fewer than half of the beats cover are left "
            "out. The band shows how much the map varies from beat to beat of this record "
            "(bootstrap over beats); it says nothing about other records."
        )
    )
    style = PaperStyle(theme=frame.colours(), width_px=324 if frame.on_phone() else 765)
    frame.figure(
        beat_figure(beat, style),
        f"beat-{record.digest[:8]}",
        beat_in_words(beat, target_name(services.target(view)), record.name),
        beat_table(beat),
        file_name=f"{record.name}_median_beat",
    )
    column = st.column_config
    number: Any = column.NumberColumn
    frame.table(
        pd.DataFrame(beat_leads(beat)), "beat-leads", f"{record.name}_median_beat_leads.csv",
        height=280,
        column_config={
            "lead": column.TextColumn("Lead", width=50),
            "at_ms": number("Strongest at, ms from R", format="%.0f"),
            "within_ms": number(
                "±, ms", format="%.0f", help="half a segment: no time of the map is finer"
            ),
            "direction": column.TextColumn("Direction"),
            "mean_per_sec": number("Mean, per s", format="%.3f"),
            "low": number("Band from", format="%.3f"),
            "high": number("to", format="%.3f"),
            "clear": column.CheckboxColumn("Band excludes 0"),
            "beats": number("Beats"),
        },
    )  # fmt: skip
