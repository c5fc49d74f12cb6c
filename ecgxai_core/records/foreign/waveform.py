"""What every foreign format is read into: leads as the file names them, in mV."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError
from ecgxai_core.records.leads import MAX_CHANNELS
from ecgxai_core.records.metadata import MAX_AGE, odd_age
from ecgxai_core.records.wfdb_header import FS_RANGE, GAIN_RANGE, MIN_SECONDS, NUMBER
from ecgxai_core.settings import settings
from ecgxai_core.types import QualityWarning

__all__ = [
    "Given",
    "Waveform",
    "age_between",
    "checked_age",
    "checked_gain",
    "checked_size",
    "mv_per",
    "number",
    "refused",
    "texts",
]

MV_PER_UNIT = {
    "V": 1e3, "MV": 1.0, "UV": 1e-3, "NV": 1e-6, "MICROVOLTS": 1e-3, "MILLIVOLTS": 1.0,
}  # fmt: skip
_DECIMAL = re.compile(NUMBER, re.ASCII)
_MOST_TEXT = 200
_DATE = re.compile(r"(\d{4})[-/]?(\d{2})[-/]?(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller says of a file that does not say it itself.

    Attributes
    ----------
    fs
        Sampling rate, Hz.
    units
        ``"mV"``, ``"uV"`` or ``"V"``.
    leads
        Names of the channels in the order of the file.
    dataset
        Name of a data set whose files are known (see ``arrays.DATASETS``).
    index
        Which record of a file that holds several.
    """

    fs: float | None = None
    units: str | None = None
    leads: tuple[str, ...] | None = None
    dataset: str | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Waveform:
    """One ECG as its file tells it.

    Attributes
    ----------
    leads
        Names of the rows, as the file writes them.
    signal
        ``float64[lead, sample]``, mV, NaN where nothing was recorded.
    fs
        Sampling rate, Hz.
    gains
        Counts per mV of each lead, ``None`` where the file holds mV and no counts.
    age, sex
        Years (not checked yet), ``"female"``, ``"male"`` or ``None``.
    patient
        What names the person or the day; dropped unless the caller wants it kept.
    warnings
        What is odd about the file.
    n_records
        How many records the file holds.
    """

    leads: tuple[str, ...]
    signal: npt.NDArray[np.float64]
    fs: float
    gains: tuple[float, ...] | None = None
    age: float | None = None
    sex: str | None = None
    patient: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[QualityWarning, ...] = ()
    n_records: int = 1


def refused(where: str, at: str, problem: str, fix: str = "export the ECG again") -> RecordError:
    """The error of a file that breaks a rule of its format."""
    return RecordError(where, at, problem, fix)


def number(where: str, at: str, value: str | None) -> float:
    """A plain decimal number of a file; nothing that only Python would take for one."""
    text = (value or "").strip()
    if len(text) <= _MOST_TEXT and _DECIMAL.fullmatch(text):
        found = float(text)
        if math.isfinite(found):
            return found
    raise refused(where, at, f"{text!r} is no number" if text else "is missing")


def mv_per(where: str, at: str, unit: str | None) -> float:
    """mV of a unit of voltage."""
    text = (unit or "").strip()[:_MOST_TEXT]
    factor = MV_PER_UNIT.get(text.replace("µ", "u").replace("μ", "u").upper())
    if factor is None:
        problem = f"unit {text!r} is no voltage" if text else "no unit is given"
        raise refused(where, at, problem, "give --units mV, uV or V, or export the ECG in one")
    return factor


def checked_size(where: str, n_leads: int, n_samples: int, fs: float) -> None:
    """Refuse numbers of leads and samples, and rates, before anything is allocated for them."""
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        low, high = FS_RANGE
        raise refused(where, "sampling rate", f"{fs:g} Hz is not from {low:g} to {high:g} Hz")
    if not 1 <= n_leads <= MAX_CHANNELS:
        raise refused(where, "leads", f"{n_leads} channels are not from 1 to {MAX_CHANNELS}")
    if n_samples < MIN_SECONDS * fs:
        raise refused(
            where, "samples", f"{n_samples} samples at {fs:g} Hz are shorter than {MIN_SECONDS:g} s"
        )
    most = settings().max_record_values
    if n_leads * n_samples > most:
        raise refused(
            where, "samples",
            f"{n_leads} leads x {n_samples} samples are more than {most} values",
            "cut the record, or raise ECGXAI_MAX_RECORD_VALUES",
        )  # fmt: skip


def checked_gain(where: str, at: str, mv_per_count: float) -> float:
    """Counts per mV, within the range of WFDB records."""
    if not 1 / GAIN_RANGE[1] <= mv_per_count <= 1 / GAIN_RANGE[0]:
        raise refused(where, at, f"{mv_per_count:g} mV per count is no sensible scale")
    return 1.0 / mv_per_count


def checked_age(age: float | None) -> tuple[float | None, tuple[QualityWarning, ...]]:
    """The age where it is one; the warning ``odd_age`` where it is not."""
    if age is None or 0 <= age <= MAX_AGE:
        return age, ()
    return None, (odd_age(),)


def age_between(birth: str | None, taken: str | None) -> float | None:
    """Whole years between two dates (``YYYYMMDD`` or ``YYYY-MM-DD``, more may follow)."""
    dates = [_DATE.match((text or "").strip()[:_MOST_TEXT]) for text in (birth, taken)]
    if not all(dates):
        return None
    (b, t) = ((int(d[1]), int(d[2]), int(d[3])) for d in dates if d)
    return float(t[0] - b[0] - (t[1:] < b[1:]))


def texts(pairs: Mapping[str, Sequence[str | None] | str | None]) -> dict[str, str]:
    """Non-empty texts on one line each, several joined."""
    found = {}
    for key, value in pairs.items():
        parts = [value] if isinstance(value, str) or value is None else list(value)
        line = " ".join(" ".join((part or "")[:_MOST_TEXT].split()) for part in parts).strip()
        line = "".join(c for c in line if c.isprintable())
        if line:
            found[key] = line
    return found
