"""Filters for the eye. They change the picture only; the model always sees the record itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import Record

__all__ = ["DISPLAY_FILTERS", "DisplayFilter", "displayed"]


@dataclass(frozen=True, slots=True)
class DisplayFilter:
    """A band in Hz; ``None`` leaves that side open."""

    low: float | None
    high: float | None


DISPLAY_FILTERS: dict[str, DisplayFilter | None] = {
    "unfiltered": None,
    "0.05-150 Hz": DisplayFilter(0.05, 150.0),
    "0.05-40 Hz": DisplayFilter(0.05, 40.0),
    "0.67-40 Hz": DisplayFilter(0.67, 40.0),
}
"""Diagnostic bandwidth (Kligfield et al. 2007), the same without muscle noise, and monitoring."""


def displayed(record: Record, name: str) -> Record:
    """The record as it is drawn: zero-phase Butterworth filter of order 2 each way.

    A lead with gaps (NaN) stays unfiltered; an upper edge above 0.45 of the sampling rate is left
    out, as the record holds nothing there.

    Raises
    ------
    ParameterError
        There is no such filter.
    """
    if name not in DISPLAY_FILTERS:
        known = ", ".join(DISPLAY_FILTERS)
        raise ParameterError("display filter", name, "no such filter", f"use one of {known}")
    chosen = DISPLAY_FILTERS[name]
    if chosen is None or record.n_samples < 16:
        return record
    from scipy.signal import butter, sosfiltfilt

    signal = np.array(record.signal, dtype=np.float64)
    whole = np.all(np.isfinite(signal), axis=1)
    edges: tuple[tuple[Literal["highpass", "lowpass"], float | None], ...]
    edges = (("highpass", chosen.low), ("lowpass", chosen.high))
    for kind, edge in edges:
        if edge is None or edge >= 0.45 * record.fs or not whole.any():
            continue
        sections = butter(2, edge, kind, fs=record.fs, output="sos")
        # Mirrored ends: point reflection would shift the level of a record that does not end at 0,
        # and 0.05 Hz needs longer than the record to forget that (a false ST shift).
        pad = min(record.n_samples - 1, round(2 * record.fs / edge))
        signal[whole] = sosfiltfilt(sections, signal[whole], axis=1, padtype="even", padlen=pad)
    return replace(record, signal=signal.astype(np.float32))
