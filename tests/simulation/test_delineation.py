"""An independent delineation (neurokit2) finds normal intervals in simulated normal records."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ecgxai_core.simulation import Simulation, simulate
from ecgxai_core.types import STANDARD_LEADS

pytestmark = pytest.mark.slow
N = 12


@pytest.fixture(scope="module", params=["demonstration", "training"])
def normals(request: pytest.FixtureRequest) -> list[Simulation]:
    return [simulate(seed=seed, population=request.param) for seed in range(N)]


def _cleaned(s: Simulation, lead: str) -> np.ndarray:
    import neurokit2 as nk

    signal = s.record.signal[STANDARD_LEADS.index(lead)].astype(np.float64)
    return np.asarray(nk.ecg_clean(signal, sampling_rate=int(s.record.fs)))


def _peaks(signal: np.ndarray, fs: float) -> np.ndarray:
    import neurokit2 as nk

    return np.asarray(nk.ecg_peaks(signal, sampling_rate=int(fs))[1]["ECG_R_Peaks"])


def _intervals(s: Simulation, lead: str) -> tuple[float, float, float]:
    """PR, QRS and QTc (Bazett) in ms by neurokit2's prominence method.

    Its wavelet method places the QRS onset about 16 ms before and the offset 13 ms after the
    cardiologists' annotations of LUDB, so real normal records would appear wide.
    """
    import neurokit2 as nk

    fs = s.record.fs
    signal = _cleaned(s, lead)
    peaks = _peaks(signal, fs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = nk.ecg_delineate(signal, peaks, sampling_rate=int(fs), method="prominence")[1]
    at = {
        key: np.array([np.nan if v is None else v for v in found[key]], dtype=np.float64) / fs
        for key in ("ECG_P_Onsets", "ECG_R_Onsets", "ECG_R_Offsets", "ECG_T_Offsets")
    }
    start = at["ECG_R_Onsets"]
    rr = float(np.mean(np.diff(peaks))) / fs
    return (
        1e3 * float(np.nanmedian(start - at["ECG_P_Onsets"])),
        1e3 * float(np.nanmedian(at["ECG_R_Offsets"] - start)),
        1e3 * float(np.nanmedian(at["ECG_T_Offsets"] - start)) / np.sqrt(rr),
    )


def test_intervals_of_normal_records_are_normal(normals: list[Simulation]) -> None:
    for s in normals:
        measured = np.median([_intervals(s, lead) for lead in ("I", "II", "V5")], axis=0)
        pr, qrs, qtc = measured
        assert 120 <= pr <= 200, s.record.name
        assert 70 <= qrs <= 110, s.record.name
        assert 350 <= qtc <= 450, s.record.name


def test_the_axis_of_normal_records_is_normal(normals: list[Simulation]) -> None:
    for s in normals:
        net = {}
        fs = s.record.fs
        peaks = _peaks(_cleaned(s, "V5"), fs)
        for lead in ("I", "aVF"):
            signal = s.record.signal[STANDARD_LEADS.index(lead)]
            areas = [
                float(np.sum(signal[p - round(0.05 * fs) : p + round(0.06 * fs)] - base))
                for p in peaks[1:-1]
                for base in [float(signal[p - round(0.055 * fs)])]
            ]
            net[lead] = float(np.median(areas))
        axis = np.degrees(np.arctan2(2 / np.sqrt(3) * net["aVF"], net["I"]))
        assert -30 <= axis <= 90, s.record.name


def test_r_peaks_are_found_within_20_ms(normals: list[Simulation]) -> None:
    """Beats in the first 0.4 s are excluded: the detector's averages have not settled yet."""
    found = total = 0
    for s in normals:
        peaks = _peaks(_cleaned(s, "V5"), s.record.fs) / s.record.fs
        known = s.r_peaks_sec[(s.r_peaks_sec > 0.4) & (s.r_peaks_sec < s.record.duration - 0.1)]
        found += sum(np.abs(peaks - r).min() <= 0.020 for r in known)
        total += len(known)
        stray = [p for p in peaks if np.abs(s.r_peaks_sec - p).min() > 0.02]
        assert len(stray) <= 1
    assert found >= 0.99 * total
