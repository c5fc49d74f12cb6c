"""Every mechanism meets the textbook criteria in the leads where it is planted.

Measured in the leads of clean records at the known wave borders, against the criteria of the
AHA/ACCF/HRS recommendations (Circulation 2009;119:e235-e270).
"""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulation import Noise, Simulation, mechanism, mechanisms, simulate
from ecgxai_core.types import STANDARD_LEADS

SEEDS = range(5)


def clean(name: str | tuple[str, ...], seed: int) -> Simulation:
    return simulate(name, seed=seed, noise=Noise.none())


def beat(s: Simulation, start: str, stop: str, lead: str, more: float = 0.0) -> np.ndarray:
    """Samples of an ordinary beat between two borders, relative to the level before the QRS."""
    i = len(s.waves) // 2
    fs, signal = s.record.fs, s.record.signal[STANDARD_LEADS.index(lead)]
    level = signal[round((s.waves.qrs_onset[i] - 0.004) * fs)]
    first = round(getattr(s.waves, start)[i] * fs)
    last = round((getattr(s.waves, stop)[i] + more) * fs)
    return np.asarray(signal[first : last + 1] - level)


def qrs(s: Simulation, lead: str) -> np.ndarray:
    return beat(s, "qrs_onset", "qrs_offset", lead)


def interval(s: Simulation, start: str, stop: str) -> float:
    return float(np.nanmedian(getattr(s.waves, stop) - getattr(s.waves, start)))


def st(s: Simulation, lead: str) -> float:
    return float(np.median(beat(s, "qrs_offset", "qrs_offset", lead, 0.08)))


def axis(s: Simulation) -> float:
    one, foot = qrs(s, "I").sum(), qrs(s, "aVF").sum()
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * foot, one)))


@pytest.mark.parametrize("seed", range(12))
def test_normal_morphology(seed: int) -> None:
    s = clean("sinus_rhythm", seed)
    r = {lead: qrs(s, lead).max() for lead in STANDARD_LEADS}
    depth = {lead: -qrs(s, lead).min() for lead in STANDARD_LEADS}
    assert r["V1"] < depth["V1"]  # rS
    assert r["V5"] > depth["V5"]
    assert r["V1"] < r["V2"] * 1.2
    assert r["V2"] < r["V3"] < r["V4"]  # R grows from V1 to V4
    assert depth["V6"] < depth["V4"] < max(depth["V2"], depth["V3"])
    assert depth["aVR"] > 2 * r["aVR"]
    assert -30 <= axis(s) <= 90
    assert depth["V1"] + r["V5"] < 3.8
    for lead in ("I", "II", "V4", "V5", "V6"):
        assert beat(s, "t_onset", "t_offset", lead).max() > 0.03
        t = beat(s, "t_onset", "t_offset", lead)
        assert abs(t.max()) > abs(t.min())
    assert beat(s, "p_onset", "p_offset", "II").max() > 0.06
    assert beat(s, "p_onset", "p_offset", "aVR").min() < -0.04
    assert 0.12 <= interval(s, "p_onset", "qrs_onset") <= 0.20
    assert 0.07 <= interval(s, "qrs_onset", "qrs_offset") <= 0.11
    rr = np.diff(s.r_peaks_sec).mean()
    assert 0.35 <= interval(s, "qrs_onset", "t_offset") / np.sqrt(rr) <= 0.45


@pytest.mark.parametrize("seed", SEEDS)
def test_first_degree_block(seed: int) -> None:
    assert interval(clean("first_degree_block", seed), "p_onset", "qrs_onset") > 0.20


@pytest.mark.parametrize("seed", SEEDS)
def test_right_bundle_branch_block(seed: int) -> None:
    s = clean("right_bundle_branch_block", seed)
    assert interval(s, "qrs_onset", "qrs_offset") >= 0.12
    v1 = qrs(s, "V1")
    late = len(v1) // 2
    assert v1[late:].max() > 0.4  # R'
    assert v1[late:].max() > v1[: late // 2].max()  # larger than r
    for lead in ("I", "V6"):
        tail = qrs(s, lead)[late:]
        assert tail.min() < -0.1
        assert np.sum(tail < -0.05) / s.record.fs > 0.04  # S of 40 ms and more
    assert beat(s, "t_onset", "t_offset", "V1").min() < -0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_left_bundle_branch_block(seed: int) -> None:
    s = clean("left_bundle_branch_block", seed)
    assert interval(s, "qrs_onset", "qrs_offset") >= 0.12
    for lead in ("I", "aVL", "V6"):
        wave = qrs(s, lead)
        assert wave.max() > 5 * -wave.min() or wave.min() > -0.1  # no q, no S
        assert np.mean(wave > 0.3 * wave.max()) > 0.4  # broad
    v1 = qrs(s, "V1")
    assert v1.min() < -0.8
    assert v1.max() < 0.3 * -v1.min()
    assert beat(s, "t_onset", "t_offset", "V1").max() > 0.2  # discordant T
    assert beat(s, "t_onset", "t_offset", "V6").min() < -0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_left_anterior_fascicular_block(seed: int) -> None:
    s = clean("left_anterior_fascicular_block", seed)
    assert -90 <= axis(s) <= -45 + 8
    for lead in ("I", "aVL"):  # qR
        wave = qrs(s, lead)
        assert wave[: len(wave) // 2].min() < -0.02
        assert wave.max() > 3 * -wave[: len(wave) // 2].min()
    for lead in ("II", "III", "aVF"):  # rS
        wave = qrs(s, lead)
        assert wave.max() > 0.05
        assert -wave.min() > wave.max()
        assert wave.argmax() < wave.argmin()
    assert interval(s, "qrs_onset", "qrs_offset") < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_pacing(seed: int) -> None:
    s = clean("pacing", seed)
    assert np.isfinite(s.waves.spike).all()
    assert np.all(s.waves.spike < s.waves.qrs_onset)
    assert interval(s, "qrs_onset", "qrs_offset") >= 0.14
    wave = beat(s, "spike", "qrs_offset", "II")
    steep = np.abs(np.diff(wave[: round(0.01 * s.record.fs)])).max()
    assert steep > 2 * np.abs(np.diff(wave[round(0.02 * s.record.fs) :])).max()
    fs, i = s.record.fs, len(s.waves) // 2
    second = s.record.signal[1]
    level = second[round((s.waves.spike[i] - 0.03) * fs)]
    first = round((s.waves.spike[i] + 0.012) * fs)
    assert second[first : round(s.waves.qrs_offset[i] * fs)].min() - level < -0.3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", ["inferior", "anterior", "lateral"])
def test_st_elevation(place: str, seed: int) -> None:
    row = mechanism(f"st_elevation_{place}")
    s = clean(row.name, seed)
    assert {lead: st(s, lead) for lead in row.leads if st(s, lead) < 0.1} == {}
    assert {lead: st(s, lead) for lead in row.secondary if st(s, lead) >= 0} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_st_depression(seed: int) -> None:
    row = mechanism("st_depression")
    s = clean(row.name, seed)
    assert {lead: st(s, lead) for lead in row.leads if st(s, lead) > -0.05} == {}
    assert st(s, "aVR") > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", ["inferior", "anterior", "lateral"])
def test_t_inversion(place: str, seed: int) -> None:
    row = mechanism(f"t_inversion_{place}")
    s = clean(row.name, seed)
    for lead in row.leads:
        t = beat(s, "t_onset", "t_offset", lead)
        assert t.min() < -0.08, (lead, t.min())
        assert t.max() < -0.5 * t.min()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", ["inferior", "anterior", "lateral"])
def test_pathological_q(place: str, seed: int) -> None:
    row = mechanism(f"q_wave_{place}")
    s = clean(row.name, seed)
    for lead in row.leads:
        start = qrs(s, lead)[: round(0.045 * s.record.fs)]
        assert start.min() < -0.1, (lead, start.min())
        assert np.sum(start < 0) / s.record.fs >= 0.028, lead


@pytest.mark.parametrize("seed", SEEDS)
def test_hypertrophy_and_low_voltage_meet_their_criteria(seed: int) -> None:
    s = clean("left_ventricular_hypertrophy", seed)
    # The drawn value holds for undisplaced electrodes; displacement changes it by about 20 %.
    assert -qrs(s, "V1").min() + max(qrs(s, "V5").max(), qrs(s, "V6").max()) > 3.0
    low = clean("low_voltage", seed)
    for lead in STANDARD_LEADS[:6]:
        assert np.ptp(qrs(low, lead)) < 0.5, lead


@pytest.mark.parametrize("seed", SEEDS)
def test_long_qt(seed: int) -> None:
    s = clean("long_qt", seed)
    qt = interval(s, "qrs_onset", "t_offset")
    assert qt / np.sqrt(np.diff(s.r_peaks_sec).mean()) > 0.48


@pytest.mark.parametrize("seed", SEEDS)
def test_axis_deviation(seed: int) -> None:
    assert -90 <= axis(clean("left_axis_deviation", seed)) <= -30
    assert 90 <= axis(clean("right_axis_deviation", seed)) <= 180


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["atrial_fibrillation", "atrial_flutter"])
def test_atrial_waves_show_between_t_and_qrs_in_the_truth_leads(name: str, seed: int) -> None:
    s = simulate(name, seed=seed, noise=Noise.none(), duration=20)
    gaps = [i for i in s.truth.intervals if i.mechanism == name and i.role == "primary"]
    assert gaps
    fs = s.record.fs
    for lead in mechanism(name).leads:
        signal = s.record.signal[STANDARD_LEADS.index(lead)]
        spread = [np.ptp(signal[round(g.start * fs) : round(g.stop * fs)]) for g in gaps]
        assert np.median(spread) > 0.02, lead


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shortcut_is_a_mark_in_one_chest_lead_and_nothing_else(seed: int) -> None:
    s = simulate(("sinus_rhythm", "shortcut_artefact"), seed=seed)
    (mark,) = [i for i in s.truth.intervals if i.mechanism == "shortcut_artefact"]
    assert len(mark.leads) == 1
    assert mark.leads[0] in STANDARD_LEADS[6:]
    lead = STANDARD_LEADS.index(mark.leads[0])
    fs, signal = s.record.fs, s.record.signal[lead]
    first = round(mark.start * fs)
    jump = float(signal[first] - signal[first - 1])
    assert jump == pytest.approx(float(s.parameters["mark_mv"]), abs=0.12)
    assert s.record.labels == ("426783006",)  # the artefact is not a diagnosis


def test_mechanisms_have_unique_names_known_leads_and_snomed_codes() -> None:
    rows = mechanisms()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert set(row.leads) <= set(STANDARD_LEADS)
        assert not set(row.leads) & set(row.secondary)
        assert row.code.isdigit() or row.name == "shortcut_artefact"
        assert simulate(row.name, seed=1, fs=100, duration=4).mechanisms


@pytest.mark.parametrize(
    "names",
    [
        ("atrial_fibrillation", "sinus_bradycardia"),
        ("left_bundle_branch_block", "right_bundle_branch_block"),
        ("atrial_flutter", "first_degree_block"),
        ("pacing", "premature_atrial"),
        ("low_voltage", "left_ventricular_hypertrophy"),
    ],
)
def test_mechanisms_that_exclude_each_other_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ParameterError, match="cannot be combined"):
        simulate(names, seed=1)


def test_an_unknown_mechanism_is_refused_with_a_list_of_known_ones() -> None:
    with pytest.raises(ParameterError, match="atrial_fibrillation"):
        simulate("afib", seed=1)
