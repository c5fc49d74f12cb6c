"""R peaks against cardiologists' marks, against known synthetic beats, and on broken signals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.records.read import read_record
from ecgxai_core.signal.beats import DOUBTFUL_BELOW, find_beats, heart_rate, r_peaks, rr_midpoints
from ecgxai_core.simulation import simulate
from ecgxai_core.types import STANDARD_LEADS
from tests.beat_stress import scored, stressed

CASES = Path(__file__).parents[1] / "cases" / "wfdb"
REFERENCE_BEATS = {
    "pvc12lead": "30 305 540 795 1070 1355 1660 1865 2105 2360 2625 2935 3220 3495 3765 3990 4320 "
    "4600 4810",
    "cpsc2019_00553": "470 947 1154 1784 2250 2459 3120 3578 3789 4429 4888",
    "cpsc2019_01068": "99 503 825 1146 1353 1644 2066 2386 2594 3004 3303 3604 3811 4211 4506 4800",
    "cpsc2019_01934": "96 699 1200 1513 2216 2687 2977 3633 4123 4430",
}
"""Samples at 500 Hz."""

# (seconds from R, width, I, II, V1, V5): P, Q, R, S, T of a normal beat, mV
WAVES = (
    (-0.17, 0.022, 0.08, 0.12, 0.05, 0.08),
    (-0.025, 0.008, -0.05, -0.08, 0.0, -0.1),
    (0.0, 0.010, 0.6, 1.0, 0.15, 1.2),
    (0.027, 0.010, -0.1, -0.2, -0.9, -0.2),
    (0.28, 0.045, 0.2, 0.3, 0.1, 0.35),
)


def synthetic(beats: npt.ArrayLike, seconds: float, fs: float) -> npt.NDArray[np.float64]:
    """Twelve leads with a normal beat at each time; limb leads by Einthoven and Goldberger."""
    t = np.arange(round(seconds * fs)) / fs
    basis = np.zeros((4, t.size))
    for beat in np.atleast_1d(beats):
        for shift, width, *height in WAVES:
            bump = np.exp(-0.5 * ((t - beat - shift) / width) ** 2)
            basis += np.outer(height, bump)
    i, ii, v1, v5 = basis
    chest = [v1, 0.7 * v1 + 0.3 * v5, 0.5 * (v1 + v5), 0.2 * v1 + 0.9 * v5, v5, 0.8 * v5]
    return np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2, *chest])


@pytest.mark.parametrize("fs", [100, 250, 257.5, 500, 1000])
@pytest.mark.parametrize("rr", [0.35, 0.6, 1.0, 2.2])
def test_known_beats_are_found_where_they_are(fs: float, rr: float) -> None:
    beats = np.arange(0.3, 11.8, rr)
    found = r_peaks(synthetic(beats, 12, fs), fs, STANDARD_LEADS)
    assert found.size == beats.size
    np.testing.assert_allclose(found / fs, beats, atol=0.012)
    assert heart_rate(found, fs) == pytest.approx(60 / rr, rel=0.02)


def test_a_premature_beat_and_a_pause_are_found() -> None:
    beats = np.array([0.5, 1.3, 2.1, 2.55, 4.0, 4.8, 5.6])
    found = r_peaks(synthetic(beats, 6.5, 500), 500, STANDARD_LEADS)
    np.testing.assert_allclose(found / 500, beats, atol=0.01)


@pytest.mark.parametrize("fs", [100, 250, 500, 1000])
@pytest.mark.parametrize("mechanism", ["pacing", "premature_ventricular", "atrial_fibrillation"])
def test_a_beat_is_found_once_however_tall_its_t_wave(mechanism: str, fs: float) -> None:
    # paced, 1, 25 and 1007 have T waves that were taken for beats
    for seed in (1, 25, 1007, 2001, 2002):
        simulated = simulate(mechanism, seed=seed, fs=fs)
        record, beats = simulated.record, simulated.r_peaks_sec
        found = r_peaks(record.signal, fs, record.leads) / fs
        # a complex that a border cuts may be found, though its R peak is outside
        inner = found[(found > 0.15) & (found < record.duration - 0.15)]
        distance = np.abs(inner[:, None] - beats)
        assert np.all(distance.min(axis=1) < 0.11), (seed, inner)
        assert np.bincount(distance.argmin(axis=1)).max() == 1


def test_a_t_wave_at_the_start_of_a_record_is_no_beat() -> None:
    record = simulate("pacing", seed=1).record  # its first R peak would be 0.19 s before the start
    assert r_peaks(record.signal, record.fs, record.leads)[0] > 0.4 * record.fs


def test_broken_leads_do_not_change_the_result() -> None:
    signal = synthetic(np.arange(0.4, 9.8, 0.8), 10, 500)
    clean = r_peaks(signal, 500, STANDARD_LEADS)
    rng = np.random.default_rng(7)
    signal[0] = 0
    signal[4] = np.nan
    signal[2, 800:1600] = np.nan
    signal[9] = rng.normal(0, 2, 5000)
    signal[7, 2000:2050] = np.inf
    np.testing.assert_allclose(r_peaks(signal, 500, STANDARD_LEADS), clean, atol=4)


def test_gain_offset_and_baseline_wander_do_not_matter() -> None:
    signal = synthetic(np.arange(0.4, 9.8, 0.8), 10, 500)
    clean = r_peaks(signal, 500, STANDARD_LEADS)
    wander = 0.8 * np.sin(2 * np.pi * 0.25 * np.arange(5000) / 500)
    np.testing.assert_allclose(r_peaks(3 * signal + wander + 5, 500, STANDARD_LEADS), clean, atol=2)


def test_lead_order_matters_only_for_the_name_of_avr() -> None:
    signal = synthetic(np.arange(0.4, 9.8, 0.8), 10, 500)
    order = np.random.default_rng(0).permutation(12)
    names = [STANDARD_LEADS[k] for k in order]
    np.testing.assert_array_equal(
        r_peaks(signal[order], 500, names), r_peaks(signal, 500, STANDARD_LEADS)
    )


def test_a_single_lead_with_qs_complexes() -> None:
    signal = -np.abs(synthetic(np.arange(0.4, 9.8, 0.8), 10, 500)[1:2])
    found = r_peaks(signal, 500, ["V1"])
    np.testing.assert_allclose(found / 500, np.arange(0.4, 9.8, 0.8), atol=0.03)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((12, 5000)),
        np.full((12, 5000), np.nan),
        np.full((12, 5000), np.inf),
        np.zeros((12, 0)),
        np.zeros((0, 5000)),
        np.ones((12, 1)),
        np.random.default_rng(0).normal(size=(12, 100)),
    ],
)
def test_nothing_to_find_gives_nothing(values: npt.NDArray[np.float64]) -> None:
    found = r_peaks(values, 500, None)
    assert found.dtype == np.int64
    assert found.size == 0


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(0, 3000),
    st.sampled_from([1.0, 49.0, 50.0, 100.0, 500.0]),
    st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
    st.floats(0, 1),
)
def test_any_signal_is_survived(
    seed: int, samples: int, fs: float, scale: float, holes: float
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(12, samples)) * scale
    values[rng.random(values.shape) < holes] = np.nan
    found = r_peaks(values.astype(np.float32), fs, STANDARD_LEADS)
    assert np.all(np.diff(found) > 0)
    assert np.all((found >= 0) & (found < max(samples, 1)))
    np.testing.assert_array_equal(found, r_peaks(values.astype(np.float32), fs, STANDARD_LEADS))


def test_heart_rate_and_midpoints() -> None:
    assert heart_rate([0, 500, 1000, 2000], 500) == 60
    assert math.isnan(heart_rate([100], 500))
    np.testing.assert_array_equal(rr_midpoints([0, 500, 1001]), [250, 751])
    assert rr_midpoints([]).size == rr_midpoints([3]).size == 0


def matched(marks: npt.ArrayLike, found: npt.ArrayLike, within: float) -> list[float]:
    """Offsets of one-to-one matches, nearest first come."""
    free = list(np.asarray(found, float))
    offsets = []
    for mark in np.asarray(marks, float):
        near = min(free, key=lambda x: abs(x - mark), default=math.inf)
        if abs(near - mark) <= within:
            offsets.append(near - mark)
            free.remove(near)
    return offsets


@pytest.mark.parametrize("name", list(REFERENCE_BEATS))
def test_tall_premature_beats_do_not_hide_the_others(name: str) -> None:
    record = read_record(CASES / f"{name}.hea")
    found = find_beats(record.signal, record.fs, record.leads)
    beats = np.array([int(at) for at in REFERENCE_BEATS[name].split()]) / 500
    assert scored(found.peaks / record.fs, beats, 0.5, record.duration - 0.5)[1:] == (0, 0)
    assert abs(len(found) - beats.size) <= 1
    assert not found.doubtful


def test_of_two_leads_the_one_that_shows_beats_decides() -> None:
    record = read_record(CASES / "mit101_270s_II_V1.hea")
    found = r_peaks(record.signal, record.fs, record.leads)
    assert found.size == 11
    assert heart_rate(found, record.fs) == pytest.approx(66, abs=3)
    alone = r_peaks(record.signal[:1], record.fs, ["II"])
    np.testing.assert_allclose(found, alone, atol=0.04 * record.fs)


def test_a_record_of_a_thousand_hertz() -> None:
    counts = np.fromfile(CASES / "s0010_re.dat", "<i2").reshape(-1, 12)
    found = r_peaks(counts.T / 2000, 1000, STANDARD_LEADS)
    np.testing.assert_allclose(found, [638, 1383, 2109, 2839, 3582, 4324], atol=20)


@pytest.mark.parametrize(
    ("stress", "leads", "least"),
    [
        ("premature beats x 4", STANDARD_LEADS, 0.99), ("premature beats x 6", ("II",), 0.97),
        ("motion, chest", ("II", "V1"), 0.98), ("V1, V2, V4, V5 lost", ("II", "V1"), 0.98),
        ("muscle x 25", STANDARD_LEADS, 0.97), ("tall T x 3", ("V2",), 0.99),
        ("pause", STANDARD_LEADS, 0.99), ("baseline steps", STANDARD_LEADS, 0.95),
        ("spikes", STANDARD_LEADS, 0.98), ("limb leads lost", STANDARD_LEADS, 0.97),
        ("low voltage x 0.3", ("II", "V1"), 0.99),
    ],
)  # fmt: skip
def test_stress_is_survived(stress: str, leads: tuple[str, ...], least: float) -> None:
    counts = np.zeros(3)
    rows = [STANDARD_LEADS.index(lead) for lead in leads]
    for seed in range(8):
        made = stressed(stress, seed)
        found = r_peaks(made.signal[rows], made.fs, leads) / made.fs
        counts += scored(found, made.beats, 0.2, 9.8)
    hit, missed, extra = counts
    assert hit / (hit + missed) >= least
    assert hit / (hit + extra) >= least


def test_confidence_falls_with_doubt_and_not_with_irregularity() -> None:
    fibrillation = [find_beats(*_stress("fibrillation, flutter", seed)) for seed in range(4)]
    assert min(found.confidence for found in fibrillation) > 0.95
    lost = [find_beats(*_stress("V1, V2, V4, V5 lost", seed, ("V2",))) for seed in range(6)]
    assert np.median([found.confidence for found in lost]) < DOUBTFUL_BELOW
    muscle = [find_beats(*_stress("muscle x 25", seed, ("II",))) for seed in range(6)]
    assert np.mean([found.confidence for found in muscle]) < 0.9
    assert find_beats(np.zeros((12, 5000)), 500).confidence == 0


def _stress(
    name: str, seed: int, leads: tuple[str, ...] = STANDARD_LEADS
) -> tuple[npt.NDArray[np.float64], float, tuple[str, ...]]:
    made = stressed(name, seed)
    return made.signal[[STANDARD_LEADS.index(lead) for lead in leads]], made.fs, leads


def test_each_beat_has_a_probability_that_is_low_for_what_is_none() -> None:
    signal = synthetic(np.arange(0.4, 9.8, 0.8), 10, 500)[1:2]
    t = np.arange(5000) / 500
    signal += 0.6 * np.exp(-0.5 * ((t - 4.02) / 0.02) ** 2)  # something between two beats
    found = find_beats(signal, 500, ["II"])
    assert len(found.each) == len(found)
    odd = np.abs(found.peaks / 500 - 4.02) < 0.05
    assert found.each[~odd].min() > 0.95
    assert odd.sum() == 0 or found.each[odd].max() < found.each[~odd].min()


def test_a_long_record_is_searched_in_pieces_without_seams() -> None:
    made = simulate("premature_atrial", seed=3, duration=150)
    found = r_peaks(made.record.signal[[1, 6]], 500, ("II", "V1")) / 500
    assert scored(found, np.asarray(made.r_peaks_sec), 0.2, 149.8)[1:] == (0, 0)
    quiet = np.array(made.record.signal[[1]], np.float64)
    quiet[:, 75 * 500 :] *= 0.2  # an electrode is changed
    found = r_peaks(quiet, 500, ("II",)) / 500
    assert sum(scored(found, np.asarray(made.r_peaks_sec), 0.2, 149.8)[1:]) <= 5


@pytest.mark.data
def test_what_cardiologists_marked_in_ludb_is_found(data_dir: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    n_marks = n_false = 0
    offsets: list[float] = []
    headers = sorted((data_dir / "ludb" / "data").glob("*.hea"))
    assert len(headers) == 100
    for header in headers:
        base = str(header.with_suffix(""))
        record = wfdb.rdrecord(base)
        marks = np.sort(np.concatenate([_qrs_marks(wfdb, base, lead) for lead in record.sig_name]))
        # a beat counts if at least half of the leads have a mark for it; its place is their median
        groups = np.split(marks, np.flatnonzero(np.diff(marks) > 50) + 1)
        beats = np.array([np.median(group) for group in groups if len(group) >= 6])
        leads = ["aVR" if name == "avr" else name for name in record.sig_name]
        found = r_peaks(record.p_signal.T, record.fs, leads)
        # the marks leave out the first and last beats of a record
        inside = found[(found >= beats[0] - 37) & (found <= beats[-1] + 37)]
        matches = matched(beats, inside, 0.075 * 500)
        n_marks += beats.size
        n_false += inside.size - len(matches)
        offsets += matches
    assert n_marks > 900
    assert len(offsets) / n_marks >= 0.998  # sensitivity
    assert len(offsets) / (len(offsets) + n_false) >= 0.998  # positive predictive value
    assert np.mean(np.abs(offsets) <= 0.020 * 500) >= 0.985
    assert abs(np.median(offsets)) <= 0.004 * 500


def _qrs_marks(wfdb: object, base: str, lead: str) -> npt.NDArray[np.int64]:
    annotation = wfdb.rdann(base, lead)  # type: ignore[attr-defined]
    return np.asarray(annotation.sample)[[symbol == "N" for symbol in annotation.symbol]]


@pytest.mark.data
def test_the_published_r_peaks_are_found(data_dir: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    folder = data_dir / "cinc2020_sample"
    published = json.loads((folder / "reference_fusion.json").read_text())
    missed = extra = total = 0
    for entry in published:
        record = wfdb.rdrecord(str(folder / entry["record"]))
        found = r_peaks(record.p_signal.T, record.fs, record.sig_name)
        matches = matched(np.array(entry["r_peaks_sec"]) * 500, found, 37.5)
        total += len(entry["r_peaks_sec"])
        missed += len(entry["r_peaks_sec"]) - len(matches)
        extra += found.size - len(matches)
    assert missed / total < 0.01
    assert extra / total < 0.015
