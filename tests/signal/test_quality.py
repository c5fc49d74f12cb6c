"""Faults of scale, rate, leads and single samples: each has its warning, sound records have none.

``tests/benchmarks/bench_quality.py`` measures how many real records with such faults are noticed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ecgxai_core.records import find_records, read_record
from ecgxai_core.signal.quality import signal_warnings
from ecgxai_core.simulation import simulate
from ecgxai_core.types import INDEPENDENT_LEADS, STANDARD_LEADS, QualityWarning

RECORD = simulate(seed=3).record
SOUND = RECORD.signal.astype(np.float64)
FS = RECORD.fs


def _found(
    signal: npt.NDArray[np.float64], fs: float = FS, leads: tuple[str, ...] = STANDARD_LEADS
) -> dict[str, QualityWarning]:
    found = signal_warnings(signal, fs, leads)
    assert len({warning.code for warning in found}) == len(found)
    return {warning.code: warning for warning in found}


@pytest.mark.parametrize("seed", range(6))
def test_simulated_records_have_no_warning(seed: int) -> None:
    assert _found(simulate(seed=seed).record.signal) == {}


@pytest.mark.parametrize(("factor", "told"), [(0.1, "low"), (10, "gain is probably wrong")])
def test_another_scale_is_told_whatever_else_is_wrong(factor: float, told: str) -> None:
    wrong = SOUND.copy()
    wrong[[6, 11]] = wrong[[11, 6]]
    found = _found(factor * wrong)
    assert set(found) == {"implausible_amplitude", "leads_exchanged"}
    assert told in found["implausible_amplitude"].message


def test_another_rate_is_told_with_the_one_that_fits() -> None:
    assert f"{FS:g} Hz would fit" in _found(SOUND, FS / 2)["implausible_rate"].message
    assert f"{FS:g} Hz would fit" in _found(SOUND, FS * 2)["implausible_rate"].message


@pytest.mark.parametrize(("one", "other"), [("V1", "V6"), ("V1", "V5"), ("V2", "V6")])
def test_chest_leads_far_apart_cannot_be_exchanged_unnoticed(one: str, other: str) -> None:
    pair = [STANDARD_LEADS.index(one), STANDARD_LEADS.index(other)]
    wrong = SOUND.copy()
    wrong[pair] = wrong[pair[::-1]]
    assert _found(wrong)["leads_exchanged"].leads == (one, other)


def test_electrodes_of_the_arms_are_told_though_einthovens_law_holds() -> None:
    wrong = SOUND.copy()
    wrong[:6] = wrong[[0, 2, 1, 4, 3, 5]]
    wrong[0] *= -1
    assert "arm" in _found(wrong)["leads_exchanged"].message


def test_a_spike_in_one_lead_is_told_and_one_in_all_leads_is_not() -> None:
    wrong = SOUND.copy()
    place = 2 * round(FS) + 30
    wrong[8, place] += 16.0
    warning = _found(wrong)["isolated_spike"]
    assert warning.leads == ("V3",)
    assert f"at {place / FS:.2f} s" in warning.message
    everywhere = SOUND.copy()
    everywhere[:, place] += 5.0
    assert "isolated_spike" not in _found(everywhere)


def test_pacing_spikes_are_no_isolated_ones() -> None:
    paced = SOUND.copy()
    paced[7, 40 :: round(0.8 * FS)] += 4.0
    assert "isolated_spike" not in _found(paced)


def test_noise_has_doubtful_beats_and_flat_or_short_records_have_not() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, SOUND.shape)
    assert "doubtful_beats" in _found(noise)
    assert "doubtful_beats" not in _found(np.zeros_like(SOUND))
    assert "doubtful_beats" not in _found(noise[:, : round(FS)])


def test_missing_leads_keep_the_checks_that_need_them_silent() -> None:
    rows = [STANDARD_LEADS.index(lead) for lead in INDEPENDENT_LEADS[:3]]
    assert _found(SOUND[rows] * 10, FS * 2, INDEPENDENT_LEADS[:3]) == {}


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 900)),
        elements=st.floats(-1e5, 1e5) | st.just(float("nan")),
    ),
    st.sampled_from([50.0, 100.0, 257.0, 1000.0]),
)
def test_no_signal_raises(values: npt.NDArray[np.float64], fs: float) -> None:
    signal_warnings(values, fs, STANDARD_LEADS[: len(values)])


@pytest.mark.data
def test_faults_of_real_records_are_told(data_dir: Path) -> None:
    """Eight fast hearts, most of them fibrillating: no false alarm, most faults noticed."""
    paths = [p for p in find_records([data_dir / "cinc2020_sample"]) if p.stem.startswith("A")][:8]
    noticed = dict.fromkeys(("sound", "small", "half", "double", "V1 V6"), 0)
    for path in paths:
        record = read_record(path)
        signal = record.signal.astype(np.float64)
        wrong = signal.copy()
        wrong[[6, 11]] = wrong[[11, 6]]
        noticed["sound"] += bool(_found(signal, record.fs))
        noticed["small"] += "implausible_amplitude" in _found(signal / 5, record.fs)
        noticed["half"] += "implausible_rate" in _found(signal, record.fs / 2)
        noticed["double"] += "implausible_rate" in _found(signal, record.fs * 2)
        noticed["V1 V6"] += "leads_exchanged" in _found(wrong, record.fs)
    assert noticed.pop("sound") == 0
    assert min(noticed.values()) >= 5, noticed
