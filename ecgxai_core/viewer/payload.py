"""What the viewer is given: one record, its maps and what is known of both, as plain JSON.

The schema, version 1. Times are seconds of the record; arrays marked * are little-endian bytes in
base64.

===================  ===============================================================================
``schema, version``  ``"ecgxai-viewer"``, 1
``key``              viewers with one key share their view, across reruns and pages
``record, target``   ``{id, title}``: the id is opaque (it is ``data-record``), the title text; a
                     record's ``key`` stands for its content: marks and zoom are kept by it
``duration_sec``     of the whole record
``signal``           ``{fs, start_sec, samples, leads, scale, counts*}``: ``int16[lead, sample]``,
                     mV = count x ``scale[lead]``, count -32768 = no sample; the part that is loaded
``overview``         of a longer record: ``{low, high}`` of one lead over all of it, in [-1, 1]
``maps``             list of ``{id, title, kind, leads, edges_sec, weights*, agreement*, ranking,
                     named, full, preliminary, private}``: ``float32[lead, segment]``, NaN = not
                     explored; ``int8`` as in :class:`~ecgxai_core.types.FusedMap` or null; leads by
                     rank, or null; leads that the sentence names, or null; density at which the
                     colour is full, or null for the map's own largest; whether it is not refined to
                     the end; whether the address never names it
``first``            id of the map that is shown first
``seen_sec``         the part that the model sees, or null
``beats_sec, waves`` R peaks, and ``{edges_sec, labels}``; null where not known
``expected``         ``{strict, lenient, windows_sec}``: leads and windows, or null
``derived``          leads that follow I and II in this model's explanations
``regions``          regions that were marked before: ``{lead, from_sec, to_sec}``
``sentence``         the answer in words: the text alternative of the picture
``filter_text``      what the display filter did, and what the model saw
``settings, notes``  what differs from the profile, and what else is shown under the paper
``lab``              how one map is fused from others, for previews: :class:`Lab`, or null
``position``         ``{index, count}`` among the records, or null where there is no other
``defaults``         fields of the view that start otherwise (``FIELDS`` in ``js/state.js``)
``view, address``    the view as text, and under which name the page's address keeps it
``height_px``        most height of the paper, or null: what the screen leaves
===================  ===============================================================================
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import Map, Record, Segmentation, is_preview

__all__ = ["SCHEMA", "VERSION", "Context", "Expected", "Lab", "Map", "Start", "Words", "payload"]

SCHEMA, VERSION = "ecgxai-viewer", 1
GAP = -32768
"""The count of a missing sample."""
PAGE_SEC = 10.0
"""Of a long record this much is loaded at once."""
WHOLE_SEC = 20.0
"""Records up to this length are loaded whole."""
_FULL = 32767
_OVERVIEW_POINTS = 600


@dataclass(frozen=True, slots=True)
class Expected:
    """Where cardiology expects the evidence: leads, and windows in seconds of the record."""

    strict_leads: tuple[str, ...]
    lenient_leads: tuple[str, ...]
    windows_sec: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a record beside its signal and maps.

    Attributes
    ----------
    seen_sec
        The part that the model sees.
    r_peaks_sec
        R peaks.
    waves
        Segmentation of kind ``"wave"``, to name what is under the pointer.
    expected
        Where cardiology expects the evidence of the target.
    derived_leads
        Leads that were not masked by themselves but follow I and II.
    """

    seen_sec: tuple[float, float] | None = None
    r_peaks_sec: Sequence[float] = ()
    waves: Segmentation | None = None
    expected: Expected | None = None
    derived_leads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    """How one map is fused from others by :func:`ecgxai_core.fusion.fuse`, so that the viewer can
    show at once what a slider of the page would give (``js/lab.js``).

    Attributes
    ----------
    result, methods
        Ids of the fused map and of the maps that it is made of.
    unsigned
        Those of them whose weights are magnitudes.
    settings
        Fields of :class:`~ecgxai_core.params.FusionParams` as the fused map was made with.
    weights
        One weight per map, in the order of ``methods``; maps beyond them have the mean.
    controls
        CSS selector, in the page, of what holds the slider of a field; ``weight 0``, ``weight 1``,
        ... are sliders of one weight, ``share`` that of the first against the second.
    """

    result: str
    methods: tuple[str, ...]
    unsigned: tuple[str, ...]
    settings: Mapping[str, Any]
    weights: tuple[float, ...]
    controls: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Words:
    """Every text that the viewer shows; it is shown as it is, never read as markup.

    ``record`` and ``target`` are titles (empty = the record's name, the target's id), ``maps`` the
    titles of maps by id, ``sentence`` the answer in words, which is the picture's text alternative,
    ``named`` the leads that it names, by map: those are marked until the reader chooses how many.
    """

    record: str = ""
    target: str = ""
    maps: Mapping[str, str] = field(default_factory=dict)
    sentence: str = ""
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
    filter_text: str = "display unfiltered; model input as in its manifest"
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """How a viewer begins, and what it is called.

    Attributes
    ----------
    key
        Viewers with one key share their view; give the two sides of a comparison two.
    record_id, target_id
        Opaque names for tests and studies; empty = the record's name, no target.
    record_key
        By what the browser keeps marks and zoom, and tells of marks; empty = ``record_id``. Give
        the record's digest where two records can have one name.
    first
        Id of the map that is shown first; empty = the first.
    part_sec
        The part of the record that is loaded; ``None`` = all of it up to 20 s, of a longer record
        10 s from where the model looks.
    position
        ``(index, count)`` of the record among those that can be stepped to.
    regions
        ``(lead, from_sec, to_sec)`` that were marked before.
    defaults
        Fields of the view that start otherwise: ``{"layout": "3x4", "topk": 5, "tau": 0.02}``.
    view, address
        The view as it stood in the address, and the name of that query parameter; empty = the
        address is left alone.
    private
        Ids of maps that never stand in the address, as they may be the names of patients' files.
    full
        Density (weight per second) at which the colour is full; give one to maps that are compared.
    height_px
        Most height of the paper; ``None`` = what the screen leaves.
    """

    key: str = "viewer"
    record_id: str = ""
    record_key: str = ""
    target_id: str = ""
    first: str = ""
    part_sec: tuple[float, float] | None = None
    position: tuple[int, int] | None = None
    regions: tuple[tuple[str, float, float], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    view: str = ""
    address: str = ""
    private: Sequence[str] = ()
    full: float | None = None
    height_px: int | None = None


def payload(
    record: Record,
    maps: Mapping[str, Map] | None = None,
    *,
    context: Context | None = None,
    words: Words | None = None,
    start: Start | None = None,
    lab: Lab | None = None,
) -> dict[str, Any]:
    """The viewer's data as a JSON-able dict; the schema is at the top of this module.

    Parameters
    ----------
    record
        Signal in mV; as it is to be drawn (after a display filter).
    maps
        Maps by id, in the order in which they are offered; may be empty.
    context, words, start
        What is known of the record, what is said of it, and how the viewer begins.
    lab
        How a map among them is fused; ``None`` where no slider of the page changes that.

    Raises
    ------
    ParameterError
        A map with a lead that the record does not have, or with edges that are not increasing; a
        part outside of the record; or a first map that is not among the maps.
    """
    known, said, begin = context or Context(), words or Words(), start or Start()
    given = dict(maps or {})
    first = begin.first or next(iter(given), "")
    if begin.first and begin.first not in given:
        fix = f"use one of {', '.join(given)}"
        raise ParameterError("viewer", begin.first, "there is no such map", fix)
    low, high = _part(record, begin.part_sec, known.seen_sec)
    position = None
    if begin.position is not None and begin.position[1] > 1:
        position = {"index": int(begin.position[0]), "count": int(begin.position[1])}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "key": begin.key,
        "record": {
            "id": begin.record_id or record.name,
            "key": begin.record_key or begin.record_id or record.name,
            "title": said.record or record.name,
        },
        "target": {"id": begin.target_id, "title": said.target or begin.target_id},
        "duration_sec": _sec(record.duration),
        "signal": _signal(record, low, high),
        "overview": _overview(record) if high - low < record.n_samples else None,
        "maps": [_map(name, item, record, said, begin) for name, item in given.items()],
        "first": first,
        "seen_sec": None if known.seen_sec is None else [_sec(t) for t in known.seen_sec],
        "beats_sec": [_sec(t) for t in known.r_peaks_sec] or None,
        "waves": _waves(known.waves),
        "expected": _expected(known.expected),
        "derived": list(known.derived_leads),
        "regions": [{"lead": lead, "from_sec": a, "to_sec": b} for lead, a, b in begin.regions],
        "sentence": said.sentence,
        "filter_text": said.filter_text,
        "settings": list(said.settings),
        "notes": list(said.notes),
        "lab": None if lab is None else asdict(lab),
        "position": position,
        "defaults": dict(begin.defaults),
        "view": begin.view,
        "address": begin.address,
        "height_px": begin.height_px,
    }


def _sec(value: float) -> float:
    """Seconds to the microsecond: exact for every sampling rate there is, and short as JSON."""
    return round(float(value), 6)


def _base64(values: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def _part(
    record: Record, asked: tuple[float, float] | None, seen: tuple[float, float] | None
) -> tuple[int, int]:
    """First and last-plus-one sample that is loaded."""
    if asked is None:
        if record.duration <= WHOLE_SEC:
            return 0, record.n_samples
        begin = min(max(0.0, seen[0] if seen else 0.0), record.duration - PAGE_SEC)
        asked = (begin, begin + PAGE_SEC)
    low = high = 0
    if all(math.isfinite(t) for t in asked):
        low, high = (min(max(0, round(t * record.fs)), record.n_samples) for t in asked)
    if high - low < 2:
        problem = f"{asked[0]:g} to {asked[1]:g} s is no part of a record of {record.duration:g} s"
        fix = f"choose seconds between 0 and {record.duration:g}"
        raise ParameterError("viewer", "part_sec", problem, fix)
    return low, high


def _signal(record: Record, low: int, high: int) -> dict[str, Any]:
    """Every sample as int16, each lead on a scale of its own that uses the whole range."""
    signal = record.signal[:, low:high].astype(np.float64)
    there = np.isfinite(signal)
    largest = np.max(np.abs(np.where(there, signal, 0.0)), axis=1, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0) / _FULL
    counts = np.where(there, np.round(np.where(there, signal, 0.0) / scale[:, None]), GAP)
    return {
        "fs": float(record.fs),
        "start_sec": _sec(low / record.fs),
        "samples": high - low,
        "leads": list(record.leads),
        "scale": [float(f"{s:.9g}") for s in scale],
        "counts": _base64(counts, "<i2"),
    }


def _overview(record: Record) -> dict[str, Any]:
    """Least and largest of one lead (II, else the first) over the whole record, in [-1, 1]."""
    lead = record.leads.index("II") if "II" in record.leads else 0
    line = np.nan_to_num(record.signal[lead].astype(np.float64))
    line = line - np.median(line)
    points = min(_OVERVIEW_POINTS, len(line))
    at = np.linspace(0, len(line), points, endpoint=False).astype(np.int64)
    top = float(np.quantile(np.abs(line), 0.999)) or 1.0
    low, high = np.minimum.reduceat(line, at) / top, np.maximum.reduceat(line, at) / top
    return {
        "lead": record.leads[lead],
        "low": [round(float(v), 2) for v in np.clip(low, -1, 1)],
        "high": [round(float(v), 2) for v in np.clip(high, -1, 1)],
    }


def _map(name: str, item: Map, record: Record, words: Words, begin: Start) -> dict[str, Any]:
    edges = np.asarray(item.edges_sec, dtype=np.float64)
    missing = [lead for lead in item.leads if lead not in record.leads]
    if missing:
        problem = f"the record has no lead {missing[0]}"
        raise ParameterError("viewer", name, problem, "draw a map of this record")
    if len(edges) < 2 or not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0):
        raise ParameterError(
            "viewer", name, "its edges are not increasing", "give edges in seconds"
        )
    agreement = getattr(item, "agreement", None)
    ranking = getattr(item, "top_leads", None)
    weights = np.where(item.missing, np.float32(np.nan), np.nan_to_num(item.weights))
    return {
        "id": name,
        "title": words.maps.get(name, name.replace("_", " ")),
        "kind": "method" if agreement is None else "fused",
        "leads": list(item.leads),
        "edges_sec": [_sec(t) for t in edges],
        "weights": _base64(weights, "<f4"),
        "agreement": None if agreement is None else _base64(agreement, "i1"),
        "ranking": list(ranking) if ranking else None,
        "named": list(words.named[name]) if name in words.named else None,
        "full": begin.full,
        "preliminary": is_preview(item),
        "private": name in begin.private,
    }


def _waves(waves: Segmentation | None) -> dict[str, Any] | None:
    if waves is None or not waves.labels:
        return None
    return {"edges_sec": [_sec(t) for t in waves.edges_sec], "labels": list(waves.labels)}


def _expected(expected: Expected | None) -> dict[str, Any] | None:
    if expected is None or not expected.windows_sec:
        return None
    return {
        "strict": list(expected.strict_leads),
        "lenient": list(expected.lenient_leads),
        "windows_sec": [[_sec(a), _sec(b)] for a, b in expected.windows_sec],
    }
