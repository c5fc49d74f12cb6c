"""Beat times: rates, variability, irregularity and premature beats."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.simulation import Simulation, simulate

SEEDS = range(6)


def _rr(s: Simulation) -> np.ndarray:
    return np.diff(s.r_peaks_sec)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("sinus_rhythm", 60, 100), ("sinus_bradycardia", 35, 60), ("sinus_tachycardia", 100, 150)],
)
def test_sinus_rates(name: str, low: float, high: float, seed: int) -> None:
    rr = _rr(simulate(name, seed=seed, fs=100))
    assert low <= 60 / rr.mean() <= high
    assert rr.std() / rr.mean() < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_sinus_arrhythmia_varies_by_more_than_120_ms(seed: int) -> None:
    s = simulate("sinus_arrhythmia", seed=seed, fs=100)
    assert np.ptp(_rr(s)) > 0.12
    assert np.isfinite(s.waves.p_peak).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_fibrillation_is_irregular_and_has_no_p(seed: int) -> None:
    s = simulate("atrial_fibrillation", seed=seed, fs=100)
    rr = _rr(s)
    assert rr.std() / rr.mean() > 0.1
    assert np.isnan(s.waves.p_onset).all()
    assert np.abs(np.corrcoef(rr[1:], rr[:-1])[0, 1]) < 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_flutter_conducts_whole_atrial_cycles(seed: int) -> None:
    s = simulate("atrial_flutter", seed=seed, fs=100)
    cycles = _rr(s) * float(s.parameters["atrial_rate"]) / 60.0
    np.testing.assert_allclose(cycles, np.round(cycles), atol=1e-6)
    assert set(np.round(cycles)) <= {2.0, 3.0, 4.0}
    assert np.isnan(s.waves.p_onset).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_premature_ventricular_beat_is_followed_by_a_full_pause(seed: int) -> None:
    s = simulate("premature_ventricular", seed=seed, fs=100)
    rr, kinds = _rr(s), s.waves.kind
    found = [i for i, k in enumerate(kinds) if k == "ventricular"]
    assert found
    usual = np.median(rr)
    for i in found:
        assert rr[i - 1] < 0.8 * usual
        assert rr[i - 1] + rr[i] == pytest.approx(2 * usual, rel=0.15)
        assert np.isnan(s.waves.p_onset[i])
        assert s.waves.qrs_offset[i] - s.waves.qrs_onset[i] >= 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_a_premature_atrial_beat_has_its_own_p_and_a_narrow_qrs(seed: int) -> None:
    s = simulate("premature_atrial", seed=seed, fs=100)
    rr = _rr(s)
    found = [i for i, k in enumerate(s.waves.kind) if k == "atrial"]
    assert found
    for i in found:
        assert rr[i - 1] < 0.85 * np.median(rr)
        assert rr[i - 1] + rr[i] < 2 * np.median(rr)
        assert np.isfinite(s.waves.p_onset[i])
        assert s.waves.qrs_offset[i] - s.waves.qrs_onset[i] < 0.11


def test_heart_rate_variability_has_its_two_bands() -> None:
    """Power lies at 0.1 Hz and at the respiratory rate, in the drawn ratio LF/HF."""
    ratios = []
    for seed in range(4):
        s = simulate(seed=seed, fs=100, duration=400)
        r, rr = s.r_peaks_sec[1:], _rr(s)
        even = np.interp(np.arange(r[0], r[-1], 0.25), r, rr)
        power = np.abs(np.fft.rfft((even - even.mean()) * np.hanning(even.size))) ** 2
        rates = np.fft.rfftfreq(even.size, 0.25)
        breath = float(s.parameters["respiration_hz"])
        low = power[np.abs(rates - 0.1) < 0.04].sum()
        high = power[np.abs(rates - breath) < 0.04].sum()
        assert (low + high) / power[1:].sum() > 0.8
        assert rr.std() == pytest.approx(float(s.parameters["rr_sd"]), rel=0.35)
        ratios.append(np.log(low / high / float(s.parameters["lf_hf"])))
    assert abs(np.mean(ratios)) < 0.5


def test_beats_reach_beyond_both_ends_of_the_record() -> None:
    s = simulate(seed=3, noise=None, fs=100)
    times = [i.start for i in s.truth.intervals]
    assert min(times) < 1.0
    assert np.diff(s.r_peaks_sec).max() < 1.2
    assert s.r_peaks_sec[0] < 1.2
    assert s.r_peaks_sec[-1] > 8.8
