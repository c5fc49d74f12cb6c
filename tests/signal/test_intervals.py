"""The table of measurements against simulated hearts, hand-made complexes and LUDB's marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.records.read import read_record
from ecgxai_core.signal.beats import Beats
from ecgxai_core.signal.delineation import P_REACH_SEC, Delineation, delineate
from ecgxai_core.signal.intervals import (
    IRREGULAR_PERCENT,
    LEAD_WAVES,
    ST_AFTER_J_MS,
    measure,
    measure_signal,
)
from ecgxai_core.simulation import Noise, simulate
from ecgxai_core.simulation.edits import edited
from ecgxai_core.types import STANDARD_LEADS

FS = 500


def of(mechanism, seed, **how):
    made = simulate(mechanism, seed=seed, **how)
    return made, measure_signal(made.record.signal, made.record.fs, made.record.leads)


@pytest.mark.parametrize("mechanism", ["sinus_rhythm", "first_degree_block", "long_qt"])
def test_intervals_are_the_simulators(mechanism):
    errors = []
    for seed in range(4):
        made, found = of(mechanism, seed)
        truth = made.waves
        rr = np.diff(made.r_peaks_sec)
        qt = np.nanmedian(truth.t_offset - truth.qrs_onset)
        errors.append(
            [
                found.heart_rate.value - np.median(60 / rr),
                found.pr.value - 1e3 * np.nanmedian(truth.qrs_onset - truth.p_onset),
                found.qrs.value - 1e3 * np.nanmedian(truth.qrs_offset - truth.qrs_onset),
                found.qt.value - 1e3 * qt,
                found.irregularity.value - 100 * np.median(np.abs(np.diff(rr))) / np.median(rr),
            ]
        )
    errors = np.abs(errors)
    assert np.all(errors.max(axis=0) <= [1, 30, 25, 40, 1.5])


def test_fibrillation_has_no_pr_and_a_plain_rate():
    for seed in range(4):
        _, found = of("atrial_fibrillation", seed)
        assert found.fibrillating
        assert found.irregularity.value > IRREGULAR_PERCENT
        assert found.p_present.value < 50
        assert not found.pr.measurable
        assert "fibrillation" in found.pr.note
        assert found.heart_rate.confidence > 0.9  # uneven is not unsure
        assert "uncertain" in found.qtc.note
        assert not found.leads["II"]["P"].measurable


def test_the_qtc_of_fibrillation_is_the_mean_over_the_beats():
    made = simulate("atrial_fibrillation", seed=2)
    record = made.record
    waves = delineate(record.signal, FS, record.leads)
    found = measure(waves, record.signal, FS, record.leads)
    rr = np.diff(waves.r_peak, prepend=np.nan)
    each = 1e3 * (waves.t_offset - waves.qrs_onset) / np.cbrt(rr)
    first = waves.qrs_onset[0] < 0.5 / FS
    assert not first
    assert found.qtc.value == pytest.approx(np.nanmean(each))


def test_sinus_rhythm_with_ectopic_beats_or_breathing_is_not_fibrillation():
    for mechanism in ("sinus_rhythm", "sinus_arrhythmia", "premature_ventricular"):
        for seed in range(3):
            _, found = of(mechanism, seed)
            assert not found.fibrillating
            assert found.p_present.value > 60
            assert found.pr.measurable


def test_doubtful_beats_lower_every_confidence():
    made = simulate(seed=1)
    record = made.record
    waves = delineate(record.signal, FS, record.leads)
    sure = measure(waves, record.signal, FS, record.leads)
    peaks = np.round(waves.r_peak * FS).astype(int)
    half = measure(waves, record.signal, FS, record.leads, Beats(peaks, 0.5, np.ones(len(peaks))))
    for before, after in zip(sure.rows(), half.rows(), strict=True):
        assert after["confidence"] == pytest.approx(before["confidence"] / 2)
        assert after["value"] == before["value"] or np.isnan(before["value"])


def by_hand(st=0.12, t=-0.3, q=-0.2, r=1.1, s=-0.45, p=0.15):
    """Ten beats in one lead with triangles for waves: exact borders, exact amplitudes."""
    n_beats, fs = 10, 1000
    signal = np.zeros((1, n_beats * fs))
    starts = np.arange(n_beats) * fs

    def hump(height, first, width):
        shape = height * np.bartlett(2 * (width // 2) + 1)
        for start in starts:
            signal[0, start + first : start + first + shape.size] += shape

    hump(p, 200, 80)
    for height, first, width in ((q, 400, 20), (r, 420, 40), (s, 460, 20)):
        hump(height, first, width)
    for start in starts:
        signal[0, start + 480 : start + 600] += st
    hump(t, 600, 200)
    at = lambda ms: (starts + ms) / fs  # noqa: E731
    one = np.ones(n_beats)
    waves = Delineation(
        at(200), at(240), at(280), at(400), at(440), at(480), at(600), at(700), at(800),
        one, one, one,
    )  # fmt: skip
    return waves, signal + 0.7, fs


def test_amplitudes_of_a_complex_made_by_hand():
    waves, signal, fs = by_hand()
    found = measure(waves, signal, fs, ("II",)).leads["II"]
    assert tuple(found) == LEAD_WAVES
    expected = {"P": 0.15, "Q": -0.2, "R": 1.1, "S": -0.45, "ST": 0.12, "T": -0.3}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=0.03), name
        assert found[name].unit == "mV"
        assert found[name].n == 10
        assert found[name].confidence > 0.9
    assert ST_AFTER_J_MS == 60


def test_a_complex_without_r_is_an_s_wave():
    waves, signal, fs = by_hand(q=0, r=-1.4, s=0)
    found = measure(waves, signal, fs, ("V1",)).leads["V1"]
    assert (found["Q"].value, found["R"].value) == (0, 0)
    assert found["S"].value == pytest.approx(-1.4, abs=0.02)


def test_the_trough_after_a_first_r_is_an_s_wave():
    """rSR' of right bundle branch block: neither a Q wave nor a complex without S."""
    waves, signal, fs = by_hand(q=0.2, r=-0.4, s=0.9)
    found = measure(waves, signal, fs, ("V1",)).leads["V1"]
    assert found["Q"].value == 0
    assert found["R"].value == pytest.approx(0.9, abs=0.03)
    assert found["S"].value == pytest.approx(-0.4, abs=0.03)


def test_a_ripple_before_a_q_wave_is_no_r_wave():
    waves, signal, fs = by_hand()
    for start in range(0, signal.shape[1], fs):
        signal[0, start + 400 : start + 403] = signal[0, start + 399] + 0.08
    found = measure(waves, signal, fs, ("III",)).leads["III"]
    assert found["Q"].value == pytest.approx(-0.2, abs=0.03)
    assert found["S"].value == pytest.approx(-0.45, abs=0.03)


@pytest.mark.parametrize("by", [60, 90, 130])
def test_a_pr_interval_beyond_the_search_says_so(by):
    made = simulate("first_degree_block", seed=2)
    truth = 1e3 * np.nanmedian(made.waves.qrs_onset - made.waves.p_onset) + by
    longer = edited(made.record, "pr", by)
    found = measure_signal(longer.signal, FS, longer.leads).pr
    assert truth > 1e3 * P_REACH_SEC
    assert f"up to {1e3 * P_REACH_SEC:.0f} ms" in found.note
    if by < 130:
        assert found.note.startswith("or more")
        assert 200 < found.value < truth
    else:
        assert not found.measurable
    assert not measure_signal(made.record.signal, FS, made.record.leads).pr.note


@pytest.mark.parametrize("lead", ["I", "aVF"])
def test_a_gap_at_the_start_of_a_lead_keeps_the_axis(lead):
    made, whole = of("sinus_rhythm", 4)
    signal = np.array(made.record.signal)
    signal[STANDARD_LEADS.index(lead), 0] = np.nan
    found = measure_signal(signal, FS, STANDARD_LEADS)
    assert found.axis.value == pytest.approx(whole.axis.value, abs=1)
    signal[STANDARD_LEADS.index(lead), 1:] = 0.0
    assert "flat" in measure_signal(signal, FS, STANDARD_LEADS).axis.note


def test_what_cannot_be_measured_says_why():
    made = simulate(seed=4)
    signal = np.array(made.record.signal)
    signal[7] = 0
    signal[8] = np.nan
    found = measure_signal(signal, FS, STANDARD_LEADS)
    assert {item.note for item in found.leads["V2"].values()} == {"the lead is flat"}
    assert {item.note for item in found.leads["V3"].values()} == {"the lead has no samples"}
    assert found.leads["V4"]["R"].measurable
    nothing = measure_signal(np.zeros((12, 5000)), FS, STANDARD_LEADS)
    for row in nothing.rows():
        assert np.isnan(row["value"])
        assert row["confidence"] == 0
        assert row["note"]


def test_a_gap_takes_out_its_beats_only():
    made, whole = of("sinus_rhythm", 4)
    signal = np.array(made.record.signal)
    signal[1, 2000:2200] = np.nan
    found = measure_signal(signal, FS, STANDARD_LEADS)
    assert found.leads["II"]["R"].n < whole.leads["II"]["R"].n
    assert found.leads["II"]["R"].value == pytest.approx(whole.leads["II"]["R"].value, abs=0.03)
    assert found.leads["V5"]["R"].n == whole.leads["V5"]["R"].n


@pytest.mark.parametrize(
    ("mechanism", "lead", "wave", "low", "high"),
    [
        ("st_elevation_anterior", "V2", "ST", 0.1, 0.6), ("st_depression", "V5", "ST", -0.4, -0.04),
        ("t_inversion_anterior", "V3", "T", -1.2, -0.05), ("sinus_rhythm", "V5", "T", 0.05, 1.2),
        ("q_wave_inferior", "III", "Q", -1.5, -0.05), ("sinus_rhythm", "V1", "S", -2.5, -0.2),
        ("left_ventricular_hypertrophy", "V5", "R", 1.2, 5.0),
    ],
)  # fmt: skip
def test_amplitudes_tell_what_was_planted(mechanism, lead, wave, low, high):
    for seed in range(3):
        _, found = of(mechanism, seed)
        assert low <= found.leads[lead][wave].value <= high


def test_noise_moves_amplitudes_by_little():
    _, clean = of("sinus_rhythm", 6, noise=Noise.none())
    _, noisy = of("sinus_rhythm", 6, noise=Noise(muscle=4, wander=4))
    for lead in ("II", "V2", "V5"):
        for wave in ("R", "S", "ST", "T"):
            difference = noisy.leads[lead][wave].value - clean.leads[lead][wave].value
            assert abs(difference) < 0.12, (lead, wave)


def test_the_table_has_one_row_per_measurement():
    _, found = of("sinus_rhythm", 1)
    frame = found.to_frame()
    assert len(frame) == 8 + 12 * len(LEAD_WAVES)
    assert list(frame.columns) == [
        "lead", "name", "value", "unit", "confidence", "spread", "n", "note",
    ]  # fmt: skip
    assert set(frame["lead"]) == {"", *STANDARD_LEADS}


@pytest.mark.data
def test_rate_pr_qrs_and_qt_are_the_cardiologists_of_ludb(data_dir: Path):
    wfdb = pytest.importorskip("wfdb")
    errors = {name: [] for name in ("PR", "QRS", "QT")}
    for header in sorted((data_dir / "ludb" / "data").glob("*.hea"))[::3]:
        marked = _marked(wfdb, header)
        record = read_record(header)
        found = measure_signal(record.signal, record.fs, record.leads).named()
        for name, values in marked.items():
            if len(values) >= 20 and found[name].measurable and found[name].confidence > 0.5:
                errors[name].append(found[name].value - np.median(values))
    for name, limit in (("PR", 15), ("QRS", 15), ("QT", 30)):
        assert len(errors[name]) >= 15, name
        assert abs(np.median(errors[name])) < limit, name
        assert np.median(np.abs(errors[name])) < limit, name


def _marked(wfdb, header):
    """PR, QRS and QT (ms) of every lead and beat that has all marks."""
    found = {"PR": [], "QRS": [], "QT": []}
    for lead in ("i", "ii", "iii", "avr", "avl", "avf", *(f"v{i}" for i in range(1, 7))):
        read = wfdb.rdann(str(header.with_suffix("")), lead)
        waves, start, kind = [], np.nan, ""
        for sample, symbol in zip(read.sample, read.symbol, strict=True):
            if symbol == "(":
                start = float(sample)
            elif symbol == ")":
                waves.append((kind, start, float(sample)))
                start = np.nan
            else:
                kind = symbol
        for place, (kind, onset, offset) in enumerate(waves):
            if kind != "N" or not np.isfinite(onset):
                continue
            found["QRS"].append(2 * (offset - onset))
            before, after = waves[place - 1] if place else None, waves[place + 1 : place + 2]
            if before and before[0] == "p" and onset - before[1] < 200:
                found["PR"].append(2 * (onset - before[1]))
            if after and after[0][0] == "t":
                found["QT"].append(2 * (after[0][2] - onset))
    return found
