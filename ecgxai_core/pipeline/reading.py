"""What a reader wants beside a map: measured intervals with normal ranges, and a typical beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ecgxai_core.beats import r_peaks
from ecgxai_core.fusion.median_beat import MedianBeat, median_beat
from ecgxai_core.measured import Measured, Measurement, measure
from ecgxai_core.pipeline.judging import beats_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Attribution, FusedMap, Record
from ecgxai_core.waves import delineate

__all__ = [
    "IRREGULAR",
    "LEAST_BEATS",
    "LEAST_CONFIDENCE",
    "Interval",
    "intervals_of",
    "measured_record",
    "typical_beat",
]

LEAST_CONFIDENCE = 0.5
"""Measurements of less confidence are shown, but not compared with the normal range."""

IRREGULAR = "irregular"
"""Note on a heart rate whose confidence is small because the beats do not come evenly."""

LEAST_BEATS = 3
"""Beats from which a median beat is shown."""

_ADULT_YEARS = 18
_NAN = float("nan")

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

_QTC_LOW, _QTC_HIGH = 390, {"male": 450, "female": 460}

Reading = Literal["within", "above", "below", ""]


@dataclass(frozen=True, slots=True)
class Interval:
    """One measurement beside its normal range.

    Attributes
    ----------
    name, measured
        As a cardiograph prints it, and the value with its confidence.
    normal
        The range of adults in words, in the measurement's unit; empty = there is none.
    reading
        Where the value lies; empty where it is not compared, and ``note`` says why.
    source
        Who gives the range.
    note
        Why it is not compared or not measurable; empty otherwise.
    """

    name: str
    measured: Measurement
    normal: str
    reading: Reading
    source: str
    note: str


def measured_record(record: Record, store: Store | None = None) -> Measured:
    """Heart rate, PR, QRS, QT, QTc and axis of a record, kept in ``store`` where there is one."""
    if store is None:
        return _measured(record)
    key = cache_key("measured", record=record.digest)

    def computed() -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, json_safe(asdict(_measured(record)))

    meta: dict[str, Any] = dict(store.get_or_compute(key, computed).meta)
    kept = {name: _measurement(v) for name, v in meta.items() if isinstance(v, Mapping)}
    return Measured(**kept, qtc_formula=str(meta["qtc_formula"]))


def _measured(record: Record) -> Measured:
    peaks = r_peaks(record.signal, record.fs, record.leads)
    waves = delineate(record.signal, record.fs, record.leads, peaks)
    return measure(waves, record.signal, record.fs, record.leads)


def _measurement(kept: Mapping[str, Any]) -> Measurement:
    """A measurement from JSON, where NaN is ``null``."""
    values: dict[str, Any] = {name: _NAN if v is None else v for name, v in kept.items()}
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
    return tuple(_interval(name, value, sex, child) for name, value in measured.named().items())


def _interval(name: str, value: Measurement, sex: str | None, child: bool) -> Interval:
    normal, source = _normal(name, sex)
    reading = _reading(name, value.value, sex)
    note = ""
    if not np.isfinite(value.value):
        note = "no P wave was found" if name == "PR" else "not measurable in this record"
    elif not normal:
        note = "judged by the QTc"
    elif child:
        note = "ranges are those of adults"
    elif value.confidence < LEAST_CONFIDENCE:
        note = IRREGULAR if name == "heart rate" else "too unsure to be compared"
    elif not reading:
        note = "the limit depends on the sex, which is unknown"
    return Interval(name, value, normal, "" if note else reading, source, note)


def _normal(name: str, sex: str | None) -> tuple[str, str]:
    """Range in words, and its source."""
    if name == "QTc":
        limit = _QTC_HIGH.get(sex or "")
        words = f"{limit - 1}" if limit else "449 (men), 459 (women)"
        return f"{_QTC_LOW + 1} to {words}", _RAUTAHARJU
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


def typical_beat(item: Attribution | FusedMap, record: Record) -> MedianBeat:
    """The record's beats aligned at their R peaks: median trace, and mean of the map with its band.

    Moments in which fewer than half of the beats take part (at a fast or uneven rate the others are
    in the next beat by then) are left out, NaN: one beat is not typical. Fewer than
    :data:`LEAST_BEATS` beats (``n_beats``) are too few to be called typical at all.
    """
    beat = median_beat(item, record, beats_of(record).seconds)
    few = beat.n.max(axis=0, initial=0) < beat.n_beats / 2
    kept: dict[str, Any] = {
        name: np.where(few, _NAN, getattr(beat, name)) for name in ("signal", "mean", "low", "high")
    }
    return replace(beat, **kept)
