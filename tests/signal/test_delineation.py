"""Delineation against the simulator's own borders, and against LUDB's cardiologists."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ecgxai_core.signal.delineation import ABSENT_BELOW, BORDERS, delineate
from ecgxai_core.signal.intervals import measure, qtc_fridericia
from ecgxai_core.simulation import Simulation, simulate
from ecgxai_core.types import STANDARD_LEADS

LIMITS_MS = {
    "p_onset": 25, "p_offset": 25, "qrs_onset": 15, "qrs_offset": 15, "t_peak": 20, "t_offset": 30,
}  # fmt: skip


def found(made: Simulation):
    return delineate(made.record.signal, made.record.fs, made.record.leads)


def inner(made: Simulation) -> np.ndarray:
    """Numbers of the beats that lie whole within the record."""
    waves = made.waves
    first = np.where(np.isnan(waves.p_onset), waves.qrs_onset - 0.25, waves.p_onset)
    return np.flatnonzero((first > 0.1) & (waves.t_offset < made.record.duration - 0.2))


@pytest.mark.parametrize("fs", [500, 100])
@pytest.mark.parametrize(
    "mechanism", ["sinus_rhythm", "first_degree_block", "right_bundle_branch_block", "long_qt"]
)
def test_borders_are_the_simulators(mechanism, fs):
    made = simulate(mechanism, seed=5, fs=fs)
    waves, beats = found(made), inner(made)
    assert len(waves) == len(made.r_peaks_sec)
    for name, limit in LIMITS_MS.items():
        error = 1e3 * (getattr(waves, name) - getattr(made.waves, name))[beats]
        assert abs(np.nanmedian(error)) < limit, name
        assert np.mean(np.abs(error) < 2 * limit) > 0.8, name


def test_borders_rise_within_a_beat_and_from_beat_to_beat():
    waves = found(simulate("premature_ventricular", seed=2))
    rows = np.stack([getattr(waves, name) for name in BORDERS])
    order = rows.T.reshape(-1)
    order = order[np.isfinite(order)]
    assert (np.diff(order) >= 0).mean() > 0.99
    assert np.all(waves.qrs_onset < waves.qrs_offset)


def test_fibrillation_has_no_p_wave_and_sinus_rhythm_has():
    absent = {}
    for mechanism in ("atrial_fibrillation", "sinus_rhythm"):
        waves = [found(simulate(mechanism, seed=seed)) for seed in range(6)]
        absent[mechanism] = np.concatenate([np.isnan(w.p_onset) for w in waves])
        for w in waves:
            assert np.isnan(w.p_onset[~(w.p_confidence >= ABSENT_BELOW)]).all()
    assert absent["atrial_fibrillation"].mean() > 0.8
    assert absent["sinus_rhythm"].mean() < 0.1


def test_a_premature_ventricular_beat_has_no_p_wave_of_its_own():
    told = {"ventricular": [], "ordinary": []}
    for seed in range(6):
        made = simulate("premature_ventricular", seed=seed)
        waves = found(made)
        if len(waves) != len(made.r_peaks_sec):
            continue
        for beat in inner(made):
            if made.waves.kind[beat] in told:
                told[made.waves.kind[beat]].append(np.isfinite(waves.p_onset[beat]))
    assert len(told["ventricular"]) >= 5
    assert np.mean(told["ventricular"]) < 0.4 < 0.9 < np.mean(told["ordinary"])


def test_unit_offset_and_order_of_leads_do_not_matter():
    made = simulate(seed=3)
    signal = made.record.signal.astype(np.float64)
    plain = delineate(signal, 500, STANDARD_LEADS)
    changed = delineate(1000 * signal[::-1] + 40, 500, STANDARD_LEADS[::-1])
    for name in BORDERS:
        np.testing.assert_allclose(
            getattr(changed, name), getattr(plain, name), atol=0.003, err_msg=name
        )


@pytest.mark.parametrize(
    "signal",
    [np.zeros((12, 5000)), np.full((12, 3000), np.nan), np.zeros((12, 10)), np.zeros((0, 0))],
)
def test_nothing_is_found_where_nothing_is(signal):
    waves = delineate(signal, 500)
    assert len(waves) == 0
    measured = measure(waves, np.zeros((12, 10)), 500, STANDARD_LEADS)
    assert np.isnan([m.value for m in measured.named().values()]).all()
    assert {m.confidence for m in measured.named().values()} == {0.0}


def test_gaps_and_flat_leads_are_survived():
    made = simulate(seed=3)
    signal = np.array(made.record.signal)
    signal[7] = 0
    signal[4, 1000:1060] = np.nan
    waves = delineate(signal, 500, STANDARD_LEADS)
    whole = found(made)
    np.testing.assert_allclose(waves.qrs_onset, whole.qrs_onset, atol=0.012)


@pytest.mark.parametrize(
    ("mechanism", "name", "low", "high"),
    [
        ("sinus_rhythm", "PR", 120, 200), ("first_degree_block", "PR", 200, 400),
        ("sinus_rhythm", "QRS", 70, 115), ("left_bundle_branch_block", "QRS", 120, 220),
        ("sinus_rhythm", "QTc", 340, 450), ("long_qt", "QTc", 460, 620),
        ("left_axis_deviation", "axis", -90, -30), ("right_axis_deviation", "axis", 90, 180),
        ("sinus_rhythm", "axis", -30, 90), ("sinus_tachycardia", "heart rate", 100, 180),
    ],
)  # fmt: skip
def test_measurements_tell_what_was_planted(mechanism, name, low, high):
    for seed in range(3):
        made = simulate(mechanism, seed=seed)
        record = made.record
        measured = measure(found(made), record.signal, record.fs, record.leads).named()[name]
        assert low <= measured.value <= high
        assert 0 < measured.confidence <= 1
        assert abs(measured.n - len(made.r_peaks_sec)) <= 2


def test_the_axis_is_the_direction_of_the_net_area():
    """Made of triangles: net area 3 in I and -2 in aVF, by hand -37.6 degrees."""
    from ecgxai_core.signal.delineation import Delineation

    signal = np.zeros((2, 1000))
    signal[0, 100:141] = 3 * np.bartlett(41)
    signal[1, 100:141] = -2 * np.bartlett(41)
    one = np.ones(1)
    nothing = np.full(1, np.nan)
    waves = Delineation(
        nothing, nothing, nothing, 0.19 * one, 0.24 * one, 0.29 * one, nothing, nothing, nothing,
        nothing, one, nothing,
    )  # fmt: skip
    measured = measure(waves, signal, 500, ("I", "aVF"))
    assert measured.axis.value == pytest.approx(-37.59, abs=0.01)
    assert measured.qrs.value == pytest.approx(100)
    assert np.isnan(measured.pr.value)
    assert np.isnan(measure(waves, signal, 500, ("I", "V1")).axis.value)


def test_a_lead_that_is_off_gives_no_axis_and_no_warning():
    record = simulate("sinus_rhythm", seed=3).record
    for bad in (0.0, np.nan):
        for lead in ("I", "aVF"):
            signal = record.signal.copy()
            signal[record.leads.index(lead)] = bad
            with np.errstate(all="raise"), warnings.catch_warnings():
                warnings.simplefilter("error")
                found = measure(delineate(signal, 500, record.leads), signal, 500, record.leads)
            assert np.isnan(found.axis.value)
            assert found.axis.confidence == 0
            assert found.qrs.n > 5
    signal = record.signal.copy()
    signal[:, 1000:2500] = np.nan  # some beats only
    found = measure(delineate(signal, 500, record.leads), signal, 500, record.leads)
    assert np.isfinite(found.axis.value)


@pytest.mark.parametrize("side", ["start", "end"])
def test_a_complex_that_the_record_cuts_is_not_measured(side):
    simulated = simulate("sinus_rhythm", seed=3)
    peak, leads = round(float(simulated.r_peaks_sec[3]) * 500), simulated.record.leads
    part = slice(peak - 2, peak + 300) if side == "start" else slice(peak - 260, peak + 2)
    signal = simulated.record.signal[:, part]
    found = measure(delineate(signal, 500, leads), signal, 500, leads)
    assert np.isnan(found.qrs.value)
    assert np.isnan(found.axis.value)
    assert np.isnan(found.qt.value)


def test_r_peaks_outside_the_record_are_left_out():
    record = simulate("sinus_rhythm", seed=3).record
    assert len(delineate(record.signal, 500, record.leads, [-5, 6000])) == 0
    assert len(delineate(record.signal, 500, record.leads, [-5, 1000, 6000])) == 1


def test_qtc():
    assert qtc_fridericia(0.4, 1.0) == pytest.approx(0.4)
    assert qtc_fridericia(0.32, 0.512) == pytest.approx(0.4)


@pytest.mark.data
def test_cardiologists_marks_are_found_within_150_ms(data_dir):
    """Every fifth record of LUDB; the benchmark measures all of them."""
    from ecgxai_core.records.read import read_record
    from tests.benchmarks.bench_delineation import WAVES, errors, marks

    hits = {wave: [] for wave in WAVES}
    for name in range(3, 200, 10):
        path = data_dir / "ludb" / "data" / f"{name}.hea"
        record = read_record(path)
        waves = delineate(record.signal, record.fs, record.leads)
        leads = marks(path)
        for wave, (symbol, *borders) in WAVES.items():
            for side, border in enumerate(borders):
                marked = np.array([w[1 + side] for lead in leads for w in lead if w[0] == symbol])
                error = errors(getattr(waves, border), marked[np.isfinite(marked)])
                hits[wave] += list(np.abs(error) <= 0.15)
    assert np.mean(hits["QRS"]) >= 0.98
    assert np.mean(hits["P"]) >= 0.90
    assert np.mean(hits["T"]) >= 0.95
