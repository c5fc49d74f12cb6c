"""Small changes that should not matter: noise, shift and gain, each with the map of its times.

An extra beat is in :mod:`ecgxai_core.signal.extra_beat`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ExplanationError
from ecgxai_core.types import (
    DERIVED_LEADS,
    INDEPENDENT_LEADS,
    FloatArray,
    IntArray,
    QualityWarning,
    Record,
    content_seed,
)

__all__ = ["Disturbed", "Shift", "gained", "noisy", "shifted"]


@dataclass(frozen=True, slots=True)
class Shift:
    """Every time moves by ``by_sec``; what falls out of ``[0, duration_sec]`` has no image."""

    by_sec: float
    duration_sec: float

    def forward(self, times: npt.ArrayLike) -> FloatArray:
        """Seconds in the original to seconds in the changed record; NaN where there is none."""
        moved = np.asarray(times, np.float64) + self.by_sec
        inside = (moved >= -1e-9) & (moved <= self.duration_sec + 1e-9)
        return np.asarray(np.where(inside, moved, np.nan))

    def images(self, times: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """``float64[n]``: moments of the original in seconds of the changed record, perhaps outside
        it; and ``int64[n]``, their numbers.
        """
        moved = np.asarray(times, np.float64) + self.by_sec
        return moved, np.arange(len(moved))


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A changed record, and where each moment of the original lies in it."""

    record: Record
    time_map: Shift
    kind: str


def noisy(record: Record, snr_db: float = 30.0, seed: int = 0) -> Disturbed:
    """Add white noise, the same to every lead in relation to the record's power.

    The noise of I, II and the chest leads is independent, that of III, aVR, aVL and aVF follows
    from I and II as in life. ``snr_db`` is the ratio of mean powers over all leads, in dB; samples
    that are missing stay missing.
    """
    rng = np.random.default_rng(content_seed("noise", record.digest, snr_db, seed))
    power = float(np.nanmean(np.square(record.signal - np.nanmean(record.signal, axis=1)[:, None])))
    size = np.sqrt(power / 10 ** (snr_db / 10)) if np.isfinite(power) else 0.0
    drawn = {lead: size * rng.standard_normal(record.n_samples) for lead in INDEPENDENT_LEADS}
    for lead, (one, two) in DERIVED_LEADS.items():
        drawn[lead] = one * drawn["I"] + two * drawn["II"]
    noise = np.stack([drawn[lead] for lead in record.leads])
    signal = (record.signal + noise).astype(np.float32)
    return _changed(record, signal, Shift(0.0, record.duration), "noise", f"at {snr_db:g} dB")


def shifted(record: Record, by_sec: float = 0.05) -> Disturbed:
    """Let the record begin later: its first ``by_sec`` seconds are cut off.

    Raises
    ------
    ExplanationError
        Nothing would be cut, or nothing be left.
    """
    cut = round(by_sec * record.fs)
    if not 0 < cut < record.n_samples:
        raise ExplanationError(
            record.name, "shift", f"{by_sec:g} s cannot be cut off", "take a shorter part"
        )
    signal = record.signal[:, cut:]
    left = signal.shape[1] / record.fs
    return _changed(record, signal, Shift(-cut / record.fs, left), "shift", f"by {by_sec:g} s")


def gained(record: Record, factor: float = 1.1) -> Disturbed:
    """Multiply all leads by one factor.

    Raises
    ------
    ExplanationError
        The factor is not positive.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ExplanationError(
            record.name, "gain", f"{factor:g} is no positive factor", "use one near 1"
        )
    signal = (record.signal * np.float32(factor)).astype(np.float32)
    return _changed(record, signal, Shift(0.0, record.duration), "gain", f"times {factor:g}")


def _changed(record: Record, signal: npt.ArrayLike, moved: Shift, kind: str, how: str) -> Disturbed:
    warning = QualityWarning("disturbed", f"{kind} {how}")
    changed = replace(
        record,
        name=f"{record.name}_{kind}",
        signal=np.asarray(signal, np.float32),
        warnings=(*record.warnings, warning),
    )
    return Disturbed(changed, moved, kind)
