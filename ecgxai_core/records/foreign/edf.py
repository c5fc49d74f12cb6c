"""EDF and EDF+ (Kemp 1992; Kemp and Olivan 2003): the channels of one rate that are leads."""

from __future__ import annotations

import re

import numpy as np

from ecgxai_core.records.foreign.waveform import (
    Given,
    Waveform,
    age_between,
    checked_gain,
    checked_size,
    mv_per,
    number,
    refused,
    texts,
)
from ecgxai_core.records.leads import arrange
from ecgxai_core.records.metadata import parse_sex
from ecgxai_core.types import QualityWarning

__all__ = ["read_edf"]

_FIXED, _PER_SIGNAL = 256, 256
_MOST_SIGNALS = 256
_ANNOTATIONS = "EDF Annotations"
_WIDTHS = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8,
    "digital_min": 8, "digital_max": 8, "filter": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
_DATE = re.compile(r"(\d{2})-([A-Z]{3})-(\d{4})", re.ASCII)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def read_edf(data: bytes, where: str, given: Given) -> Waveform:
    """Read a continuous EDF or EDF+ file.

    Raises
    ------
    RecordError
        The file is cut, discontinuous, or its leads differ in rate.
    """
    head = data[:_FIXED]
    if len(head) < _FIXED:
        raise refused(where, "head", "is shorter than an EDF head: the file is cut")
    if head[192:197] == b"EDF+D":
        raise refused(
            where, "reserved", "is discontinuous (EDF+D)", "export it as continuous EDF+C"
        )
    n_signals = _whole(where, "number of signals", head[252:256], 1, _MOST_SIGNALS)
    n_records = _whole(where, "number of data records", head[236:244], 1, 10**8)
    seconds = number(where, "duration of a data record", _text(head[244:252]))
    columns = _columns(where, data, n_signals)
    n_head = _FIXED + _PER_SIGNAL * n_signals
    if _whole(where, "bytes in the head", head[184:192], 0, 10**8) != n_head:
        raise refused(where, "bytes in the head", f"does not fit {n_signals} signals")
    per_record = [
        _whole(where, f"signal {n + 1}, samples", text, 1, 10**7)
        for n, text in enumerate(columns["samples"])
    ]
    if len(data) != n_head + 2 * sum(per_record) * n_records:
        raise refused(
            where, "length", f"holds {len(data)} bytes, not those of {n_records} data records: cut"
        )
    labels = [_text(text) for text in columns["label"]]
    signals = [n for n, label in enumerate(labels) if label != _ANNOTATIONS]
    names = [given.leads[i] if given.leads and i < len(given.leads) else labels[n]
             for i, n in enumerate(signals)]  # fmt: skip
    if given.leads and len(given.leads) != len(signals):
        raise refused(where, "--leads", f"names {len(given.leads)} of {len(signals)} signals")
    kept = arrange(where, names)
    chosen = [signals[position] for position in kept.positions]
    rates = {per_record[n] for n in chosen}
    if len(rates) > 1 or seconds <= 0:
        raise refused(where, "samples", "the leads have different rates, or none")
    (width,) = rates
    fs = width / seconds
    checked_size(where, len(chosen), width * n_records, fs)
    frames = np.frombuffer(data, "<i2", offset=n_head).reshape(n_records, -1)
    starts = np.cumsum([0, *per_record])
    signal, gains, clipped = np.empty((len(chosen), width * n_records)), [], []
    for row, (n, sign) in enumerate(zip(chosen, kept.signs, strict=True)):
        at = f"signal {n + 1}"
        low, high, least, most = (
            number(where, f"{at}, {key}", _text(columns[key][n]))
            for key in ("physical_min", "physical_max", "digital_min", "digital_max")
        )
        if not -(2**15) <= least < most <= 2**15 - 1 or low == high:
            raise refused(where, f"{at}, range", "the minimum and maximum give no scale")
        unit = given.units or _text(columns["unit"][n])
        factor = mv_per(where, f"{at}, unit", unit)
        per_count = (high - low) / (most - least) * factor
        gains.append(checked_gain(where, f"{at}, range", abs(per_count)))
        counts = frames[:, starts[n] : starts[n + 1]].reshape(-1)
        signal[row] = sign * ((counts - least) * per_count + low * factor)
        if counts.min() < least or counts.max() > most:
            clipped.append(kept.leads[row])
    warnings = list(kept.warnings)
    if clipped:
        text = "samples lie outside of the range that the file gives"
        warnings.append(QualityWarning("outside_range", text, tuple(clipped)))
    age, sex, patient = _person(head)
    return Waveform(
        kept.leads, signal, fs, tuple(gains), age=age, sex=sex, patient=patient,
        warnings=tuple(warnings),
    )  # fmt: skip


def _columns(where: str, data: bytes, n_signals: int) -> dict[str, list[bytes]]:
    """The fields of all signals, by name."""
    found: dict[str, list[bytes]] = {}
    position = _FIXED
    for name, width in _WIDTHS.items():
        part = data[position : position + width * n_signals]
        if len(part) != width * n_signals:
            raise refused(where, "head", "is shorter than its signals need: the file is cut")
        found[name] = [part[n * width : (n + 1) * width] for n in range(n_signals)]
        position += width * n_signals
    return found


def _text(field: bytes) -> str:
    return field.decode("latin-1").strip("\0 ")


def _whole(where: str, at: str, field: bytes, least: int, most: int) -> int:
    value = number(where, at, _text(field))
    if value % 1 or not least <= value <= most:
        raise refused(where, at, f"{value:g} is not a whole number from {least} to {most}")
    return int(value)


def _person(head: bytes) -> tuple[float | None, str | None, dict[str, str]]:
    """Age and sex; and what names the person or the day.

    EDF+ writes code, sex, birth date and name, and ``Startdate``, the date of the recording with
    all digits of its year, which the field of plain EDF lacks.
    """
    line = _text(head[8:88])
    parts, recording = line.split(), _text(head[88:168]).split()
    plus = head[192:195] == b"EDF" and len(parts) >= 3
    sex = parse_sex(parts[1]) if plus else None
    birth = parts[2] if plus and _DATE.fullmatch(parts[2].upper()) else None
    taken = recording[1] if recording[:1] == ["Startdate"] and len(recording) > 1 else None
    age = age_between(_iso(birth), _iso(taken))
    return age, sex, texts({"Patient": line, "Born": birth, "Taken": _text(head[168:184])})


def _iso(date: str | None) -> str | None:
    """``03-FEB-1960`` -> ``1960-02-03``."""
    found = _DATE.fullmatch((date or "").upper())
    if found is None or found[2] not in _MONTHS:
        return None
    return f"{found[3]}-{_MONTHS.index(found[2]) + 1:02d}-{found[1]}"
