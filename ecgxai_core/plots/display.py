"""Display filters. They change the figure only, never the model input."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import Record

__all__ = ["DISPLAY_FILTERS", "displayed"]


DISPLAY_FILTERS: dict[str, tuple[float, float] | None] = {
    "unfiltered": None,
    "0.05-150 Hz": (0.05, 150.0),
    "0.05-40 Hz": (0.05, 40.0),
    "0.67-40 Hz": (0.67, 40.0),
}
"""Pass bands, Hz: diagnostic (Kligfield et al. 2007), the same without muscle noise, monitoring."""


def displayed(record: Record, name: str) -> Record:
    """Filter a record for display with a zero-phase Butterworth filter (order 2, both directions).

    Leads with gaps (NaN) are not filtered; an edge above 0.45 of the sampling rate is ignored, as
    the record contains nothing there.

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
    kinds: tuple[Literal["highpass", "lowpass"], ...] = ("highpass", "lowpass")
    for kind, edge in zip(kinds, chosen, strict=True):
        if edge >= 0.45 * record.fs or not whole.any():
            continue
        sections = butter(2, edge, kind, fs=record.fs, output="sos")
        # Even padding: odd padding shifts the level of a record that does not end at 0, and at
        # 0.05 Hz the transient lasts longer than the record (a false ST shift).
        pad = min(record.n_samples - 1, round(2 * record.fs / edge))
        signal[whole] = sosfiltfilt(sections, signal[whole], axis=1, padtype="even", padlen=pad)
    return replace(record, signal=signal.astype(np.float32))
