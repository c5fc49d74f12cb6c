"""Preprocessing against independent computations and signals whose result is known."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as sps

from ecgxai_core.errors import ModelError, ParameterError, RecordError
from ecgxai_core.models.manifest import FilterSpec, Manifest
from ecgxai_core.models.preprocess import prepare, rational_ratio, resample, zero_phase_filter
from ecgxai_core.types import STANDARD_LEADS, ModelInput, Record
from tests.models.conftest import manifest_values


def manifest(**changes: Any) -> Manifest:
    values = manifest_values(**changes)
    for name in ("classes", "leads"):
        values[name] = tuple(values[name])
    return Manifest(**values)


def record(n: int = 100, fs: float = 100, seed: int = 0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "name": "r",
        "signal": np.random.default_rng(seed).normal(size=(12, n)).astype(np.float32),
        "fs": fs,
        "leads": STANDARD_LEADS,
    }
    return Record(**{**values, **changes})


def codes(given: ModelInput) -> list[str]:
    return [warning.code for warning in given.warnings]


# ---- leads and units -------------------------------------------------------------------------


def test_leads_come_in_the_models_order_by_name() -> None:
    ecg = record()
    out = prepare(ecg, manifest())
    assert np.array_equal(out.values, ecg.signal[[1, 0]].T)
    assert out.leads == ("II", "I")
    assert codes(out) == []
    assert out.record_digest == ecg.digest
    assert not out.zero.any()
    assert out.values.dtype == out.zero.dtype == np.float32


def test_missing_leads_are_named() -> None:
    ecg = record(signal=np.zeros((2, 100), np.float32), leads=("I", "V6"))
    with pytest.raises(ModelError, match="II, V1") as caught:
        prepare(ecg, manifest(leads=["II", "I", "V1"]))
    assert caught.value.where == "r"


def test_microvolts_are_a_thousand_times_millivolts() -> None:
    ecg = record()
    out = prepare(ecg, manifest(units="uV"))
    assert np.allclose(out.values, 1000 * ecg.signal[[1, 0]].T, rtol=1e-6)


@given(
    gain=st.sampled_from([1000.0, 200.0, 4880.0, 256.4]),
    zero=st.integers(-30_000, 30_000),
    seed=st.integers(0, 1000),
)
def test_original_counts_come_back_to_the_bit(gain: float, zero: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(-32_768, 32_768, (12, 100))
    ecg = record(
        signal=((counts - zero) / gain).astype(np.float32),
        adc_gain=(gain,) * 12,
        adc_zero=(float(zero),) * 12,
    )
    out = prepare(ecg, manifest(units="adc"))
    assert np.array_equal(out.values, counts[[1, 0]].T)
    assert np.array_equal(out.zero, [zero, zero])
    assert codes(out) == ([] if gain == 1000 else ["adc_gain"])


def test_counts_between_whole_numbers_are_left_alone() -> None:
    signal = np.full((12, 100), 0.0105, np.float32)
    ecg = record(signal=signal, adc_gain=(1000.0,) * 12, adc_zero=(0.0,) * 12)
    assert np.allclose(prepare(ecg, manifest(units="adc")).values, 10.5, atol=1e-5)


def test_raw_counts_need_counts() -> None:
    with pytest.raises(RecordError, match="adc_gain"):
        prepare(record(), manifest(units="adc"))
    out = prepare(record(), manifest(units="adc", adc_gain=500.0))
    assert np.allclose(out.values, 500 * record().signal[[1, 0]].T, rtol=1e-6)


def test_a_filter_without_dc_removes_the_offset_of_the_counts() -> None:
    spec = {"kind": "highpass", "low": 1.0, "order": 2}
    ecg = record(400, adc_gain=(1000.0,) * 12, adc_zero=(500.0,) * 12)
    out = prepare(ecg, manifest(units="adc", samples=400, filter=spec))
    counts = 1000 * ecg.signal.astype(float) + 500
    sos = sps.butter(2, 1.0, "highpass", fs=100, output="sos")
    assert np.allclose(out.values, sps.sosfiltfilt(sos, counts, axis=1)[[1, 0]].T, atol=0.01)
    assert not out.zero.any()


# ---- window ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("crop", "first"), [("start", 0), ("center", 75), ("end", 150)])
def test_crop(crop: str, first: int) -> None:
    ecg = record(250)
    out = prepare(ecg, manifest(crop=crop))
    assert np.array_equal(out.values, ecg.signal[[1, 0], first : first + 100].T)
    assert out.start_sec == first / 100
    assert out.valid == (0, 100)
    assert out.seen_sec == (first / 100, first / 100 + 1)
    assert codes(out) == ["cropped"]
    assert "1.50 s are not seen" in out.warnings[0].message


@pytest.mark.parametrize(
    ("pad", "first"), [("end_zero", 0), ("start_zero", 40), ("center_zero", 20)]
)
def test_pad(pad: str, first: int) -> None:
    ecg = record(60)
    out = prepare(ecg, manifest(pad=pad))
    assert out.valid == (first, first + 60)
    assert np.array_equal(out.values[first : first + 60], ecg.signal[[1, 0]].T)
    assert not out.values[:first].any()
    assert not out.values[first + 60 :].any()
    assert codes(out) == ["padded"]
    assert "40.0%" in out.warnings[0].message


def test_a_given_start_moves_the_window() -> None:
    ecg = record(250)
    out = prepare(ecg, manifest(crop="end"), start_sec=0.5)
    assert np.array_equal(out.values, ecg.signal[[1, 0], 50:150].T)
    late = prepare(ecg, manifest(), start_sec=2.0)
    assert late.valid == (0, 50)
    assert codes(late) == ["cropped", "padded"]
    for start in (-0.1, 2.5, float("nan"), float("inf")):
        with pytest.raises(ParameterError):
            prepare(ecg, manifest(), start_sec=start)


# ---- sampling rate ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fs", "target", "ratio"),
    [
        (1000, 500, Fraction(1, 2)),
        (257, 500, Fraction(500, 257)),
        (1000 / 3, 500, Fraction(3, 2)),
        (333.33333, 500, Fraction(3, 2)),
        (360, 250, Fraction(25, 36)),
        (500, 500, Fraction(1)),
        (499.999, 500, None),
    ],
)
def test_ratio_of_rates(fs: float, target: float, ratio: Fraction | None) -> None:
    found = rational_ratio(target, fs, 5000)
    if ratio is not None:
        assert found == ratio
    elif found is not None:
        assert abs(float(found) - target / fs) * 5000 < 0.01


@pytest.mark.parametrize(("fs", "freq"), [(100, 5), (1000, 60), (257, 17), (360, 40), (250, 1)])
def test_a_resampled_sine_keeps_amplitude_and_phase(fs: int, freq: float) -> None:
    times = np.arange(fs * 8) / fs
    out = resample(3 + 2 * np.sin(2 * np.pi * freq * times)[None], Fraction(500, fs))
    wanted = 3 + 2 * np.sin(2 * np.pi * freq * np.arange(out.shape[1]) / 500)
    assert out.shape[1] == 4000
    assert np.abs(out[0, 100:-100] - wanted[100:-100]).max() < 0.01


def test_what_the_new_rate_cannot_carry_is_removed_not_folded() -> None:
    times = np.arange(8000) / 1000
    out = resample(np.sin(2 * np.pi * 320 * times)[None], Fraction(1, 2))
    assert np.abs(out[0, 100:-100]).max() < 0.01


def test_the_ends_of_a_record_with_an_offset_do_not_ring() -> None:
    out = resample(np.full((1, 300), 5.0), Fraction(5, 2))
    assert np.abs(out - 5).max() < 0.02
    ramp = resample(np.arange(300.0)[None], Fraction(2))
    assert np.abs(ramp[0, :-1] - np.arange(599) / 2).max() < 0.5


@given(n=st.integers(1, 60), up=st.integers(1, 12), down=st.integers(1, 12))
def test_resampled_length_and_constant(n: int, up: int, down: int) -> None:
    ratio = Fraction(up, down)
    out = resample(np.ones((2, n)), ratio)
    assert out.shape == (2, -(-n * ratio.numerator // ratio.denominator))
    assert np.abs(out - 1).max() < 0.01


def test_resampling_is_said() -> None:
    out = prepare(record(500, fs=500), manifest())
    assert codes(out) == ["resampled"]
    assert out.valid == (0, 100)


# ---- filter ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "edges"),
    [
        (FilterSpec(kind="bandpass", low=0.5, high=30.0, order=3), (0.5, 30.0)),
        (FilterSpec(kind="highpass", low=0.5, order=2), 0.5),
        (FilterSpec(kind="lowpass", high=30.0, order=4), 30.0),
    ],
)
def test_filter_is_the_zero_phase_butterworth(spec: FilterSpec, edges: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 600))
    b, a = sps.butter(spec.order, edges, spec.kind, fs=100)
    wanted = sps.filtfilt(b, a, x, axis=1)
    found = zero_phase_filter(x, spec, 100)
    assert np.allclose(found[:, 150:-150], wanted[:, 150:-150], atol=1e-6)


def test_filter_gain_is_known_and_phase_is_zero() -> None:
    spec = FilterSpec(kind="lowpass", high=20.0, order=2)
    x = np.sin(2 * np.pi * 20 * np.arange(2000) / 100 + 0.3)
    found = zero_phase_filter(x[None], spec, 100)[0]
    # half power at the edge in each of the two passes
    assert np.allclose(found[500:-500], x[500:-500] / 2, atol=1e-3)


def test_a_record_too_short_for_the_filter() -> None:
    spec = {"kind": "bandpass", "low": 0.5, "high": 30.0, "order": 3}
    with pytest.raises(RecordError, match="too short"):
        prepare(record(10), manifest(filter=spec))


# ---- normalisation ---------------------------------------------------------------------------


def test_per_lead_statistics_are_of_the_seen_samples_and_padding_stays_zero() -> None:
    ecg = record(60, seed=4)
    out = prepare(ecg, manifest(normalisation={"kind": "per_lead"}))
    x = ecg.signal[[1, 0]].astype(float)
    mean, std = x.mean(axis=1), x.std(axis=1)
    assert np.allclose(out.values[:60].T, (x - mean[:, None]) / std[:, None], atol=1e-6)
    assert np.allclose(out.zero, -mean / std, atol=1e-6)
    assert not out.values[60:].any()
    longer = prepare(record(300), manifest(normalisation={"kind": "per_lead"}))
    assert np.allclose(longer.values.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(longer.values.std(axis=0), 1, atol=1e-5)


def test_per_record_and_given_statistics() -> None:
    ecg = record()
    x = ecg.signal[[1, 0]].astype(float).T
    out = prepare(ecg, manifest(normalisation={"kind": "per_record"}))
    assert np.allclose(out.values, (x - x.mean()) / x.std(), atol=1e-6)
    spec = {"kind": "given", "mean": (0.1, 0.2), "scale": 2.0}
    out = prepare(ecg, manifest(normalisation=spec))
    assert np.allclose(out.values, (x - [0.1, 0.2]) / 2, atol=1e-6)
    assert np.allclose(out.zero, [-0.05, -0.1])


def test_a_flat_lead_becomes_zero_not_nan() -> None:
    signal = np.full((12, 100), 0.7, np.float32)
    out = prepare(record(signal=signal), manifest(normalisation={"kind": "per_lead"}))
    assert np.allclose(out.values, 0, atol=1e-6)


# ---- missing samples -------------------------------------------------------------------------


def test_short_gaps_become_lines_and_are_said() -> None:
    signal = np.tile(np.arange(100, dtype=np.float32), (12, 1))
    signal[1, 10:25] = np.nan
    signal[0, :5] = np.nan
    out = prepare(record(signal=signal), manifest())
    assert np.allclose(out.values[:, 0], np.arange(100), atol=1e-5)
    assert np.array_equal(out.values[:5, 1], [5] * 5)
    assert codes(out) == ["gaps_filled"]
    assert out.warnings[0].leads == ("II", "I")


def test_long_gaps_are_refused_only_where_the_model_looks() -> None:
    signal = np.zeros((12, 300), np.float32)
    signal[1, 120:160] = np.nan
    ecg = record(signal=signal)
    with pytest.raises(RecordError) as caught:
        prepare(ecg, manifest(crop="center"))
    assert caught.value.field == "II"
    assert "0.40 s" in str(caught.value)
    assert codes(prepare(ecg, manifest())) == ["gaps_filled", "cropped"]
    assert codes(prepare(ecg, manifest(leads=["V1", "I"]))) == ["cropped"]


def test_a_lead_without_samples_is_refused() -> None:
    signal = np.zeros((12, 100), np.float32)
    signal[1] = np.nan
    with pytest.raises(RecordError, match="no valid sample"):
        prepare(record(signal=signal), manifest())


def test_values_beyond_float32_are_refused() -> None:
    signal = np.full((12, 100), 1e38, np.float32)
    with pytest.raises(RecordError, match="no model can take"):
        prepare(record(signal=signal), manifest(units="uV"))
