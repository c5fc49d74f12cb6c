"""Edits do what they say: measured anew, in the leads that were named, and nowhere else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.signal.intervals import Measured, measure_signal
from ecgxai_core.simulation import simulate
from ecgxai_core.simulation.edits import EDITS, SWAPS, Place, edited
from ecgxai_core.types import DERIVED_LEADS, Record
from tests.benchmarks.bench_delineation import REPEATED, by_vector, repeated_beat, same_beats
from tests.benchmarks.bench_edits import (
    complexes,
    control,
    lengthened,
    marked,
    moments,
    sinus,
)


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate("sinus_rhythm", seed=3).record


@pytest.fixture(scope="module")
def waves(record: Record) -> Delineation:
    return delineate(record.signal, record.fs, record.leads)


def measured(record: Record) -> Measured:
    return measure_signal(record.signal, record.fs, record.leads)


def limb_error(record: Record) -> float:
    row = dict(zip(record.leads, record.signal.astype(np.float64), strict=True))
    return max(
        float(np.abs(row[lead] - one * row["I"] - two * row["II"]).max())
        for lead, (one, two) in DERIVED_LEADS.items()
    )


SIZES = {
    "st_level": 0.2, "t_amplitude": -1.0, "p_amplitude": 0.0, "mask": 1.0, "pr": 40.0, "qrs": 30.0,
    "qt": 40.0, "rate": 15.0, "regular": 1.0, "irregular": 10.0, "premature": 150.0,
    "removed": 1.0, "inserted": 1.0, "swap": 1.0, "noise": 0.02, "wander": 0.2, "gain": 1.5,
}  # fmt: skip
"""A change of every edit; a new one is added here."""


def place_of(name: str) -> Place:
    return Place(swap="RA-LA") if name == "swap" else Place()


@pytest.mark.parametrize("name", EDITS)
def test_a_neutral_size_gives_the_record_itself(name, record):
    assert edited(record, name, EDITS[name].neutral, place_of(name)) is record


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_obeys_einthoven_says_so_and_repeats(name, record, waves):
    once = edited(record, name, SIZES[name], place_of(name), waves)
    again = edited(record, name, SIZES[name], place_of(name))
    assert once.digest == again.digest != record.digest
    assert once.signal.shape == record.signal.shape
    assert np.isfinite(once.signal).all()
    assert limb_error(once) < 1e-5
    assert once.warnings[-1].code == "edited"
    assert EDITS[name].title in once.warnings[-1].message


@pytest.mark.parametrize(
    ("name", "size"),
    [("pr", 60), ("pr", -20), ("qrs", 40), ("qrs", -20), ("qt", 40), ("qt", -60)],
)
def test_intervals_change_by_what_was_asked_and_the_others_stay(name, size, record, waves):
    before, after = measured(record), measured(edited(record, name, size, waves=waves))
    change = {key: after.named()[key].value - before.named()[key].value for key in before.named()}
    own = {"pr": "PR", "qrs": "QRS", "qt": "QT"}[name]
    assert change[own] == pytest.approx(size, abs=8)
    for other in {"PR", "QRS", "heart rate"} - {own}:
        assert abs(change[other]) <= 6, other


@pytest.mark.parametrize("by", [-20, 20])
def test_the_rate_changes_and_the_waves_keep_their_lengths(by, record, waves):
    before, after = measured(record), measured(edited(record, "rate", by, waves=waves))
    assert after.heart_rate.value - before.heart_rate.value == pytest.approx(by, rel=0.1)
    for name in ("PR", "QRS", "QT"):
        assert after.named()[name].value == pytest.approx(before.named()[name].value, abs=8)


def test_rr_intervals_become_even_or_uneven(record, waves):
    even = measured(edited(record, "regular", 1, waves=waves))
    uneven = measured(edited(record, "irregular", 15, waves=waves))
    assert even.irregularity.value < 0.5 < measured(record).irregularity.value
    assert 8 < uneven.irregularity.value < 30


def test_beats_come_early_go_and_are_added(record, waves):
    def rr(name: str, size: float) -> np.ndarray:
        after = edited(record, name, size, waves=waves)
        return np.diff(delineate(after.signal, after.fs, after.leads).r_peak)

    usual = float(np.median(np.diff(waves.r_peak)))
    early = rr("premature", 200)
    place = int(np.argmin(early))
    assert usual - early[place] == pytest.approx(0.2, abs=0.05)
    assert early[place + 1] - usual == pytest.approx(0.2, abs=0.05)
    gone = rr("removed", 1)
    assert gone.max() == pytest.approx(2 * usual, rel=0.1)
    assert (gone > 1.5 * usual).sum() == 1
    assert np.allclose(rr("inserted", 1), usual, rtol=0.1)


@pytest.mark.parametrize(
    ("name", "size", "wave", "expected"),
    [
        ("st_level", 0.2, "ST", lambda old: old + 0.2),
        ("t_amplitude", -1.0, "T", lambda old: -old),
        ("t_amplitude", 2.0, "T", lambda old: 2 * old),
        ("p_amplitude", 0.0, "P", lambda old: 0.0),
    ],
)
def test_amplitudes_change_in_the_named_lead_only(name, size, wave, expected, record, waves):
    after = edited(record, name, size, Place(("V2",)), waves)
    old, new = (measured(one).leads["V2"][wave].value for one in (record, after))
    assert new == pytest.approx(expected(old), abs=0.03)
    others = [row for row, lead in enumerate(record.leads) if lead != "V2"]
    assert np.array_equal(after.signal[others], record.signal[others])


def test_limb_leads_move_together(record, waves):
    """II, III and aVF by 0.2 mV is what 0.2 mV in II alone means, with I as it was."""
    after = edited(record, "st_level", 0.2, Place(("II", "III", "aVF")), waves)
    change = {
        lead: measured(after).leads[lead]["ST"].value - measured(record).leads[lead]["ST"].value
        for lead in record.leads
    }
    assert change["II"] == pytest.approx(0.2, abs=0.02)
    assert change["III"] == pytest.approx(0.2, abs=0.02)
    assert change["aVF"] == pytest.approx(0.2, abs=0.02)
    assert change["aVL"] == pytest.approx(-0.1, abs=0.02)
    assert abs(change["I"]) < 0.02
    assert abs(change["V3"]) < 0.02


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_noise_has_its_size_and_is_independent_in_the_leads_that_are_free(record):
    """Of the others: III = II - I, so its RMS is sqrt(2) times that of one; aVR = -(I + II) / 2."""
    change = (edited(record, "noise", 0.1).signal - record.signal).astype(np.float64)
    row = dict(zip(record.leads, change, strict=True))
    free = [lead for lead in record.leads if lead not in DERIVED_LEADS]
    for lead in free:
        assert rms(row[lead]) == pytest.approx(0.1, rel=0.05), lead
    assert rms(row["III"]) == pytest.approx(0.1 * np.sqrt(2), rel=0.05)
    assert rms(row["aVR"]) == pytest.approx(0.1 / np.sqrt(2), rel=0.05)
    alike = np.corrcoef([row[lead] for lead in free]) - np.eye(len(free))
    assert np.abs(alike).max() < 0.06  # four standard errors of 5000 samples


@pytest.mark.parametrize(
    "leads", [("III",), ("II", "III", "aVF"), ("aVF", "aVR", "aVL"), ("V2", "aVL", "I")]
)
def test_noise_in_some_limb_leads_has_its_size_in_the_first_two(leads, record):
    after = edited(record, "noise", 0.1, Place(leads))
    row = dict(zip(record.leads, after.signal.astype(np.float64) - record.signal, strict=True))
    limbs = [lead for lead in ("I", "II", *DERIVED_LEADS) if lead in leads]
    for lead in limbs[:2]:
        assert rms(row[lead]) == pytest.approx(0.1, rel=0.05), lead
    assert rms(row["V2"]) == pytest.approx(0.1 if "V2" in leads else 0, rel=0.05)
    assert rms(row["V3"]) == 0
    assert limb_error(after) < 1e-5


def test_wander_has_its_amplitude_in_the_leads_that_are_free(record):
    change = edited(record, "wander", 0.2).signal - record.signal
    for lead, moved in zip(record.leads, change, strict=True):
        if lead not in DERIVED_LEADS:
            assert np.abs(moved).max() == pytest.approx(0.2, rel=0.01), lead


def test_only_beats_in_the_span_change(record, waves):
    after = edited(record, "st_level", 0.2, Place(span_sec=(2.0, 4.0)), waves)
    moved = np.flatnonzero((after.signal != record.signal).any(axis=0)) / record.fs
    assert 1.9 < moved.min() < 3.0
    assert 3.0 < moved.max() < 4.8


def test_a_masked_stretch_is_a_line_between_its_ends(record):
    after = edited(record, "mask", 1.0, Place(("V3",), (2.0, 3.0)))
    row, first, last = record.leads.index("V3"), 1000, 1500
    part = after.signal[row, first : last + 1]
    line = np.linspace(record.signal[row, first], record.signal[row, last], len(part))
    assert np.allclose(part, line, atol=1e-6)
    assert np.array_equal(after.signal[row, :first], record.signal[row, :first])


@pytest.mark.parametrize("swap", SWAPS)
def test_two_exchanges_give_the_record_back(swap, record, waves):
    once = edited(record, "swap", 1, Place(swap=swap), waves)
    twice = edited(once, "swap", 1, Place(swap=swap), waves)
    assert np.allclose(twice.signal, record.signal, atol=1e-5)
    assert not np.allclose(once.signal, record.signal, atol=1e-3)


def test_arm_electrodes_exchanged_turn_lead_one_round(record, waves):
    after = edited(record, "swap", 1, Place(swap="RA-LA"), waves)
    row = {lead: record.leads.index(lead) for lead in ("I", "II", "III")}
    assert np.array_equal(after.signal[row["I"]], -record.signal[row["I"]])
    assert np.array_equal(after.signal[row["II"]], record.signal[row["III"]])


def test_missing_samples_stay_missing_and_spread_nowhere_far(record):
    signal = np.array(record.signal)
    signal[4, 2000:2050] = np.nan
    torn = Record("torn", signal, record.fs, record.leads)
    for name in ("pr", "rate", "st_level", "gain"):
        gaps = np.isnan(edited(torn, name, SIZES[name]).signal)
        assert gaps[4].sum() >= 45, name
        assert gaps.sum() < 400, name


@pytest.mark.parametrize(
    ("name", "size", "place", "said"),
    [
        ("nonsense", 1, Place(), "no such edit"),
        ("pr", 1000, Place(), "outside"),
        ("pr", float("nan"), Place(), "outside"),
        ("st_level", 0.1, Place(("X9",)), "is not in the record"),
        ("pr", 20, Place(("V1",)), "all leads"),
        ("swap", 1, Place(swap="V1-V9"), "no such exchange"),
        ("pr", 300, Place(), "have room for"),
        ("rate", 150, Place(), "too early"),
        ("st_level", 0.1, Place(span_sec=(0.0, 0.001)), "no beat"),
    ],
)
def test_what_cannot_be_done_says_why(name, size, place, said, record, waves):
    with pytest.raises((ParameterError, ExplanationError), match=said):
        edited(record, name, size, place, waves)


def test_a_flat_line_has_nothing_to_edit(record):
    flat = Record("flat", np.zeros((12, 3000), np.float32), 500.0, record.leads)
    for name in ("pr", "qrs", "qt", "rate", "p_amplitude", "st_level"):
        with pytest.raises(ExplanationError):
            edited(flat, name, SIZES[name])


@pytest.mark.data
def test_edits_of_real_records_are_measured_anew(data_dir):
    """On real beats the same delineation finds the change; one record per folder."""
    from ecgxai_core.records import find_records, read_record

    path = next(p for p in find_records([data_dir / "cinc2020_sample"]) if p.stem == "HR01921")
    real = read_record(path)
    for name, size in (("pr", -20), ("qrs", 30), ("qt", 40)):
        own = {"pr": "PR", "qrs": "QRS", "qt": "QT"}[name]
        change = (
            measured(edited(real, name, size)).named()[own].value
            - measured(real).named()[own].value
        )
        assert change == pytest.approx(size, abs=8), name


@pytest.mark.parametrize(("name", "size"), [("pr", 30), ("qrs", -20), ("qrs", 40), ("qt", 60)])
def test_borders_that_the_simulator_drew_move_by_what_was_asked(name, size):
    for seed in range(4):
        simulated = simulate("sinus_rhythm", seed=seed)
        record, drawn = simulated.record, simulated.waves
        found = delineate(record.signal, record.fs, record.leads)
        start, stop = {
            "pr": (drawn.p_onset, drawn.qrs_onset), "qrs": (drawn.qrs_onset, drawn.qrs_offset),
            "qt": (drawn.qrs_onset, drawn.t_offset),
        }[name]  # fmt: skip
        pairs = np.stack([start, stop], axis=1)
        inner = (pairs[:, 0] > 0.3) & (pairs[:, 1] < record.duration - 0.3)
        moved = lengthened(pairs[inner], moments(record, name, size, found), record.fs)
        assert moved == pytest.approx(size, abs=5)


@pytest.mark.parametrize(("name", "size"), [("pr", 20), ("qrs", -20), ("qrs", 40), ("qt", 40)])
def test_borders_that_cardiologists_drew_move_by_what_was_asked(name, size, data_dir):
    pytest.importorskip("wfdb")
    for _, record, drawn in islice(sinus(data_dir, 6, ["LUDB"]), 6):
        found = delineate(record.signal, record.fs, record.leads)
        moved = lengthened(marked(drawn, name), moments(record, name, size, found), record.fs)
        assert moved == pytest.approx(size, abs=8)


def test_a_control_lengthens_the_complexes_that_cardiologists_drew(data_dir):
    """The yardstick of the benchmark, which no edit of ours takes part in."""
    pytest.importorskip("wfdb")
    _, record, drawn = next(iter(sinus(data_dir, 1, ["LUDB"])))
    time = np.arange(record.n_samples) / record.fs
    clock = np.tile(time, (len(record.leads), 1)).astype(np.float32)
    source = control(Record("clock", clock, record.fs, record.leads), drawn, 30).signal[0]
    assert len(complexes(drawn)) >= 6
    moved = lengthened(complexes(drawn)[1:-1], source.astype(float), record.fs)
    assert moved == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize("size", [-40, 20, 80])
def test_the_end_of_t_by_its_tangent_sees_an_edit_and_how_large_it_is(size, record, waves):
    """A yardstick of the benchmark; it is told neither our borders nor the size."""

    def end(one: Record) -> float:
        peaks = np.round(waves.r_peak * one.fs).astype(np.int64)
        return float(by_vector(one.signal.astype(float), one.fs, peaks)["t_offset"][0, 0])

    change = 1e3 * (end(edited(record, "qt", size, waves=waves)) - end(record))
    assert change == pytest.approx(size, abs=8)


def test_beats_are_paired_by_their_times():
    was, now = same_beats(np.array([0.5, 1.5, 2.5]), np.array([1.52, 2.0, 2.45, 3.5]))
    assert (was.tolist(), now.tolist()) == ([1, 2], [0, 2])
    assert not same_beats(np.array([1.0]), np.empty(0))[0].size


def test_a_rhythm_of_one_beat_is_made_of_a_record_of_one_beat():
    """What a delineator of rhythms is given for the median beat."""
    rng = np.random.default_rng(0)
    beat = rng.normal(size=(2, 100))
    beat[:, -1] = beat[:, 0]
    once = beat - beat[:, :1]
    beats, at = repeated_beat(np.tile(beat, 5), 35 + 100 * np.arange(5))
    assert at.tolist() == [35 + 100 * n for n in range(REPEATED)]
    assert np.allclose(beats, np.tile(once, REPEATED))
    assert not repeated_beat(beat, np.array([35]))[1].size
