"""The Streamlit face of the ECG viewer: :func:`ecg_viewer` shows a payload and returns what the
reader did.

What only changes the view (map, strength, layout, gain, zoom, calipers) never reaches the server.
What does is absolute, because quick ones fall together: a record's index, not "the next one".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import streamlit as st

from ecgxai_core.diagnoses import find_diagnosis, windows_sec
from ecgxai_core.metrics.raster import beat_windows
from ecgxai_core.viewer import Expected, javascript, stylesheet

_COMPONENT = st.components.v2.component("ecg_viewer", js=javascript(), css=stylesheet())
_MOST_REGIONS = 200
_LONGEST_VIEW = 500


@dataclass(frozen=True, slots=True)
class Selected:
    """A cell that was clicked, or chosen with the keyboard."""

    record: str
    map: str
    lead: str
    segment: int
    from_sec: float
    to_sec: float


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a lead that was marked."""

    lead: str
    from_sec: float
    to_sec: float


@dataclass(frozen=True, slots=True)
class Reader:
    """What the reader did since the last run of the script; ``None`` where nothing.

    ``regions`` are all regions of ``marked_record`` (``Start.record_key``) as they stand now, also
    when the last one was removed. ``step`` is the index of the record that was asked for,
    ``wanted_sec`` the part of a long record that should be loaded.
    """

    selected: Selected | None = None
    marked_record: str = ""
    regions: tuple[Region, ...] | None = None
    step: int | None = None
    wanted_sec: tuple[float, float] | None = None


def ecg_viewer(
    data: Mapping[str, Any],
    key: str,
    *,
    on_selected: Callable[[], None] | None = None,
    on_marked: Callable[[], None] | None = None,
    on_step: Callable[[], None] | None = None,
    on_wanted: Callable[[], None] | None = None,
) -> Reader:
    """Show a record and its maps.

    Parameters
    ----------
    data
        What :func:`ecgxai_core.viewer.payload` returns. Give a page's viewers a ``Start.key`` each.
    key
        Of the element; with the same key new data is shown in the viewer that is there.
    on_selected, on_marked, on_step, on_wanted
        Called before the script runs again; ``read(key, data)`` then returns what happened.

    Returns
    -------
    What the reader did. Values come from a browser: what makes no sense is ``None``.
    """

    def nothing() -> None:
        """A trigger exists only with a callback."""

    data = {**data, "view": _first_view(data, key)}
    result = _COMPONENT(
        key=key,
        data=data,
        on_selected_change=on_selected or nothing,
        on_marked_change=on_marked or nothing,
        on_step_change=on_step or nothing,
        on_wanted_change=on_wanted or nothing,
    )
    return _reader(result, data)


def read(key: str, data: Mapping[str, Any]) -> Reader:
    """What the reader did, inside a callback of :func:`ecg_viewer`."""
    return _reader(st.session_state.get(key) or {}, data)


def expected_evidence(code: str, r_peaks_sec: npt.ArrayLike, heart_rate: float) -> Expected | None:
    """Where the table of diagnoses expects the evidence of a target; ``None`` = no row for it.

    Parameters
    ----------
    code
        SNOMED-CT code of the target.
    r_peaks_sec
        R peaks, seconds of the record.
    heart_rate
        Per minute; fast rhythms have a shorter window before the QRS complex.
    """
    row = find_diagnosis(code)
    if row is None or not row.windows:
        return None
    windows = [windows_sec(kind, row, heart_rate) for kind in row.windows]
    intervals = tuple((float(a), float(b)) for a, b in beat_windows(r_peaks_sec, windows))
    return Expected(row.strict_leads, row.lenient_leads, intervals)


def _first_view(data: Mapping[str, Any], key: str) -> str:
    """The view in the address when the viewer was first shown. It is asked for once: the browser
    keeps the view from then on, and data that change would be sent again."""
    kept = f"{key}-first-view"
    if kept not in st.session_state:
        name = data.get("address") or ""
        asked = st.query_params.get(name, "") if name else ""
        st.session_state[kept] = (asked or str(data.get("view", "")))[:_LONGEST_VIEW]
    return str(st.session_state[kept])


def _reader(result: Mapping[str, Any], data: Mapping[str, Any]) -> Reader:
    """Checked values of the four triggers."""
    leads = tuple(data["signal"]["leads"])
    marked = _dict(result.get("marked"))
    regions = _regions(marked.get("regions"), leads) if marked else None
    return Reader(
        selected=_selected(_dict(result.get("selected")), data),
        marked_record=str(marked.get("record", ""))[:200] if regions is not None else "",
        regions=regions,
        step=_step(_dict(result.get("step")), data),
        wanted_sec=_span(_dict(result.get("wanted")), float(data["duration_sec"])),
    )


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _span(value: Mapping[str, Any], most: float) -> tuple[float, float] | None:
    """``from_sec`` and ``to_sec``, if they are seconds of the record in this order."""
    ends = value.get("from_sec"), value.get("to_sec")
    if not all(isinstance(end, int | float) and math.isfinite(end) for end in ends):
        return None
    low, high = (float(end) for end in ends if end is not None)
    return (low, high) if -1.0 <= low < high <= most + 1.0 else None


def _selected(value: Mapping[str, Any], data: Mapping[str, Any]) -> Selected | None:
    span, segment = _span(value, float(data["duration_sec"])), value.get("segment")
    names = [item["id"] for item in data["maps"]]
    if span is None or type(segment) is not int or segment < 0:
        return None
    if value.get("lead") not in data["signal"]["leads"] or value.get("map") not in names:
        return None
    record = str(value.get("record", ""))[:200]
    return Selected(record, str(value["map"]), str(value["lead"]), segment, *span)


def _regions(value: Any, leads: tuple[str, ...]) -> tuple[Region, ...] | None:
    if not isinstance(value, list):
        return None
    found = []
    for item in value[:_MOST_REGIONS]:
        span = _span(_dict(item), math.inf)
        if span is not None and item.get("lead") in leads:
            found.append(Region(str(item["lead"]), *span))
    return tuple(found)


def _step(value: Mapping[str, Any], data: Mapping[str, Any]) -> int | None:
    index, position = value.get("index"), data.get("position")
    if type(index) is not int or position is None:  # True is an int too
        return None
    return index if 0 <= index < position["count"] else None
