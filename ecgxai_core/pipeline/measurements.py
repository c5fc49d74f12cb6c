"""Measured intervals with normal ranges, and a typical beat, to be shown beside a map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ecgxai_core.fusion.median_beat import MedianBeat, median_beat
from ecgxai_core.pipeline.evaluation import Beats, beats_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.signal.delineation import delineate
from ecgxai_core.signal.intervals import Measured, Measurement, measure_signal
from ecgxai_core.signal.segments import wave_edges
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Map, Record, Segmentation

__all__ = [
    "IRREGULAR",
    "LEAST_BEATS",
    "LEAST_CONFIDENCE",
    "Interval",
    "intervals_of",
    "measured_record",
    "typical_beat",
    "waves_of",
]

LEAST_CONFIDENCE = 0.5
"""Measurements of less confidence are shown, but not compared with the normal range."""

IRREGULAR = "irregular"
"""Note on a heart rate whose beats do not come evenly; it is compared nevertheless."""

LEAST_BEATS = 3
"""Beats from which a median beat is shown."""

_ADULT_YEARS = 18

_SURAWICZ = "Surawicz et al., AHA/ACCF/HRS part III, J Am Coll Cardiol 2009;53:976-981"
_RAUTAHARJU = "Rautaharju et al., AHA/ACCF/HRS part IV, J Am Coll Cardiol 2009;53:982-991"
_KUSUMOTO = "Kusumoto et al., ACC/AHA/HRS, J Am Coll Cardiol 2019;74:e51-e156"
_BRUGADA = "Brugada et al., ESC, Eur Heart J 2020;41:655-720"

_NORMAL: Mapping[str, tuple[float, float, str]] = {
    "heart rate": (50, 100, f"{_KUSUMOTO} (lower limit; textbooks have 60); {_BRUGADA} (upper)"),
    "PR": (120, 200, f"{_SURAWICZ} (lower limit); {_KUSUMOTO} (upper)"),
    "QRS": (0, 110, _SURAWICZ),
    "axis": (-30, 90, _SURAWICZ),
}
"""Lowest and highest value that is normal in an adult, and who says so. The QTc is apart, because
its limit depends on the sex; a QT that is not corrected for the rate has no range."""

_ZEPPENFELD = "Zeppenfeld et al., ESC, Eur Heart J 2022;43:3997-4126"

_QTC_LOW, _QTC_HIGH, _QTC_ALARM = 360, {"male": 450, "female": 460}, 500
"""Short up to the first, long from the second; from the third on it is called long even where it is
uncertain, as the risk of torsades de pointes rises from there (Drew et al., AHA/ACCF, Circulation
2010;121:1047-1060)."""

Reading = Literal["within", "above", "below", ""]


@dataclass(frozen=True, slots=True)
class Interval:
    """One measurement beside its normal range.

    ``measured`` is the value with its confidence; ``normal`` the range of adults in words, in its
    unit (empty = none), from ``source``; ``reading`` where the value lies, empty where it is not
    compared; ``note`` why it is not compared or measurable, or a remark.
    """

    name: str
    measured: Measurement
    normal: str
    reading: Reading
    source: str
    note: str


def measured_record(record: Record, store: Store | None = None) -> Measured:
    """Heart rate, PR, QRS, QT, QTc and axis of a record, kept in ``store`` where there is one."""
    signal = record.signal, record.fs, record.leads
    if store is None:
        return measure_signal(*signal)
    key = cache_key("measurements", record=record.digest)
    entry = store.get_or_compute(key, lambda: ({}, json_safe(asdict(measure_signal(*signal)))))
    meta: dict[str, Any] = dict(entry.meta)
    leads = {
        lead: {name: _measurement(kept) for name, kept in waves.items()}
        for lead, waves in meta.pop("leads").items()
    }
    formula = str(meta.pop("qtc_formula"))
    kept = {name: _measurement(value) for name, value in meta.items() if isinstance(value, Mapping)}
    return Measured(**kept, qtc_formula=formula, leads=leads)


def _measurement(kept: Mapping[str, Any]) -> Measurement:
    """A measurement from JSON, where NaN is ``null``."""
    values: dict[str, Any] = {name: np.nan if v is None else v for name, v in kept.items()}
    return Measurement(**values)


def intervals_of(
    measured: Measured, age: float | None = None, sex: str | None = None
) -> tuple[Interval, ...]:
    """Every measurement beside the normal range of adults.

    Parameters
    ----------
    measured
        From :func:`measured_record`.
    age, sex
        Years, and ``"female"`` or ``"male"``; ``None`` = unknown. Nothing is compared below 18
        years; an unknown age counts as an adult's, and an unknown sex leaves a QTc between the two
        limits open.
    """
    child = age is not None and age < _ADULT_YEARS
    return tuple(
        _interval(name, value, sex, child, measured.irregular)
        for name, value in measured.named().items()
    )


def _interval(
    name: str, value: Measurement, sex: str | None, child: bool, irregular: bool
) -> Interval:
    normal, source = _normal(name, sex)
    reading = _reading(name, value.value, sex)
    note = ""
    if not np.isfinite(value.value):
        note = value.note or "not measurable in this record"
    elif not normal:
        note = "see QTc"
    elif child:
        note = "ranges are those of adults"
    elif name == "QTc" and value.note:
        reading = "above" if round(value.value) >= _QTC_ALARM else ""
        return Interval(name, value, normal, reading, source, value.note)
    elif value.confidence < LEAST_CONFIDENCE:
        note = "too uncertain to be compared"
    elif not reading:
        note = "the limit depends on the sex, which is unknown"
    elif name == "PR" and value.note:  # a lower limit
        return Interval(name, value, normal, reading, source, value.note)
    elif name == "heart rate" and irregular:
        return Interval(name, value, normal, reading, source, IRREGULAR)
    return Interval(name, value, normal, "" if note else reading, source, note)


def _normal(name: str, sex: str | None) -> tuple[str, str]:
    if name == "QTc":
        limit = _QTC_HIGH.get(sex or "")
        words = f"{limit - 1}" if limit else "449 (men), 459 (women)"
        return f"{_QTC_LOW + 1} to {words}", f"{_ZEPPENFELD} (lower limit); {_RAUTAHARJU} (upper)"
    if name not in _NORMAL:
        return "", ""
    low, high, source = _NORMAL[name]
    words = f"{low:g} to {high:g}" if low else f"up to {high:g}"
    return words.replace("-", "−"), source


def _reading(name: str, value: float, sex: str | None) -> Reading:
    """Where a value lies; a QTc is long from its upper limit on and short up to the lower one."""
    rounded = round(value) if np.isfinite(value) else value
    if name == "QTc":
        limits = [_QTC_HIGH[sex]] if sex in _QTC_HIGH else [*_QTC_HIGH.values()]
        if rounded <= _QTC_LOW:
            return "below"
        over = [rounded >= limit for limit in limits]
        return "above" if all(over) else "" if any(over) else "within"
    low, high, _ = _NORMAL.get(name, (-np.inf, np.inf, ""))
    return "below" if rounded < low else "above" if rounded > high else "within"


def waves_of(record: Record, beats: Beats) -> Segmentation | None:
    """The waves of a whole record; ``None`` where it has no beat."""
    waves = delineate(record.signal, record.fs, record.leads, beats.samples)
    if not len(waves):
        return None
    edges, labels = wave_edges(0, record.n_samples, waves, record.fs)
    return Segmentation("wave", edges, record.fs, 0.0, labels)


def typical_beat(item: Map, record: Record) -> MedianBeat:
    """The record's beats aligned at their R peaks: median trace, and mean of the map with its band.

    Moments with fewer than half of the beats (at a fast or irregular rate) are NaN. Fewer than
    :data:`LEAST_BEATS` beats (``n_beats``) are too few for a typical beat.
    """
    beat = median_beat(item, record, beats_of(record).seconds)
    few = beat.n.max(axis=0, initial=0) < beat.n_beats / 2
    kept: dict[str, Any] = {
        name: np.where(few, np.nan, getattr(beat, name))
        for name in ("signal", "mean", "low", "high")
    }
    return replace(beat, **kept)
