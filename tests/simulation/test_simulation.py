"""One record, a set of records, and their truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulation import CYCLE, Noise, mechanisms, simulate, simulate_set
from ecgxai_core.simulation.mechanisms import planned
from ecgxai_core.simulation.truth import WINDOWS
from ecgxai_core.types import STANDARD_LEADS

NAMES = [row.name for row in mechanisms()]


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 2**31),
    fs=st.sampled_from([100.0, 250.0, 360.0, 500.0, 1000.0]),
    duration=st.sampled_from([2.0, 5.0, 10.0]),
    population=st.sampled_from(["demonstration", "training"]),
)
def test_any_record_is_finite_plausible_and_consistent(
    name: str, seed: int, fs: float, duration: float, population: str
) -> None:
    s = simulate(name, seed=seed, fs=fs, duration=duration, population=population)  # type: ignore[arg-type]
    record = s.record
    assert record.signal.shape == (12, round(fs * duration))
    assert record.leads == STANDARD_LEADS
    assert record.synthetic
    assert np.isfinite(record.signal).all()
    assert np.abs(record.signal).max() < 12.0
    one, two, three, avr, avl, avf = record.signal[:6].astype(np.float64)
    np.testing.assert_allclose(two, one + three, atol=1e-6)
    np.testing.assert_allclose(avr, -(one + two) / 2, atol=1e-6)
    np.testing.assert_allclose(avl, (one - three) / 2, atol=1e-6)
    np.testing.assert_allclose(avf, (two + three) / 2, atol=1e-6)
    assert np.all(np.diff(s.r_peaks_sec) > 0.2)
    assert np.all((s.r_peaks_sec >= 0) & (s.r_peaks_sec < duration))
    w = s.waves
    for before, after in (
        ("p_onset", "p_peak"), ("p_peak", "p_offset"), ("qrs_onset", "r_peak"),
        ("r_peak", "qrs_offset"), ("t_onset", "t_peak"), ("t_peak", "t_offset"),
    ):  # fmt: skip
        gap = getattr(w, after) - getattr(w, before)
        assert np.all((gap > 0) | np.isnan(gap)), (before, after)
    assert not np.any(w.p_offset >= w.qrs_onset)
    for i in s.truth.intervals:
        assert 0 <= i.start < i.stop <= duration + 1e-9


def test_the_same_call_gives_the_same_record_and_another_seed_another() -> None:
    a, b = (simulate("atrial_fibrillation", seed=5) for _ in range(2))
    assert a.record.digest == b.record.digest
    assert a.truth.intervals == b.truth.intervals
    assert a.parameters == b.parameters
    assert a.record.digest != simulate("atrial_fibrillation", seed=6).record.digest


def test_a_record_of_a_set_does_not_depend_on_the_others() -> None:
    first = [s.record.digest for s in simulate_set(8, 3, fs=100)]
    more = [s.record.digest for s in simulate_set(12, 3, fs=100)]
    assert more[:8] == first
    assert len(set(more)) == 12


def test_a_set_of_sixty_plants_every_mechanism_and_the_common_ones_often() -> None:
    assert len(CYCLE) == 60
    assert {name for names in CYCLE for name in names} == set(NAMES)
    codes = [code for names in CYCLE for row in planned(names) for code in row.labels]
    assert sum(codes.count(code) >= 5 for code in set(codes)) >= 8


def test_waves_lie_within_their_borders() -> None:
    """On a clean record the steepest samples lie in the QRS, and the TP interval is flat."""
    s = simulate("sinus_rhythm", seed=2, noise=Noise.none())
    steep = np.abs(np.diff(s.record.signal[:, :], axis=1)).sum(axis=0)
    times = np.arange(steep.size) / s.record.fs
    inside = np.zeros(steep.size, bool)
    for a, b in zip(s.waves.qrs_onset, s.waves.qrs_offset, strict=True):
        inside |= (times >= a) & (times < b)
    assert steep[inside].mean() > 20 * np.median(steep[~inside])
    for i in range(1, len(s.waves)):
        quiet = (times > s.waves.t_offset[i - 1] + 0.06) & (times < s.waves.p_onset[i] - 0.02)
        if quiet.sum() > 10:
            assert np.ptp(s.record.signal[:, :-1][:, quiet], axis=1).max() < 0.05
    peak = [
        times[(times > r - 0.06) & (times < r + 0.06)][
            np.abs(s.record.signal[1, :-1][(times > r - 0.06) & (times < r + 0.06)]).argmax()
        ]
        for r in s.r_peaks_sec[1:-1]
    ]
    np.testing.assert_allclose(peak, s.r_peaks_sec[1:-1], atol=0.012)


@pytest.mark.parametrize("names", CYCLE)
def test_the_mask_covers_the_primary_intervals_of_the_requested_mechanisms(
    names: tuple[str, ...],
) -> None:
    s = simulate(names, seed=4, fs=250)
    assert set(s.asked) == set(names)
    times = np.arange(s.record.n_samples) / s.record.fs
    expected = np.zeros_like(s.truth.mask)
    for i in s.truth.intervals:
        if i.mechanism in names and i.role == "primary":
            for lead in i.leads:
                inside = (times >= i.start - 1e-9) & (times < i.stop - 1e-9)
                expected[STANDARD_LEADS.index(lead)] |= inside
    np.testing.assert_array_equal(s.truth.mask, expected)
    assert 0 < s.truth.mask.mean() < 0.6
    for name in names:
        own = s.truth.mask_for(name)
        assert own.any()
        assert np.all(s.truth.mask_for(name, secondary=True) >= own)


def test_the_mask_of_the_artefact_ends_where_the_signal_jumps() -> None:
    s = simulate(("atrial_fibrillation", "shortcut_artefact"), seed=11)
    mask = s.truth.mask_for("shortcut_artefact")
    (lead,) = np.flatnonzero(mask.any(axis=1))
    signal = s.record.signal[lead].astype(np.float64)
    edges = np.flatnonzero(np.diff(mask[lead].astype(int)))
    jumps = np.abs(np.diff(signal))[edges]
    assert len(edges) == 2
    assert np.all(jumps > 0.08)


def test_unrequested_sinus_rhythm_is_labelled_but_not_in_the_mask() -> None:
    s = simulate("right_bundle_branch_block", seed=1)
    assert s.mechanisms == ("sinus_rhythm", "right_bundle_branch_block")
    assert s.record.labels == ("426783006", "713427006")
    assert s.truth.mask_for("sinus_rhythm").any()
    assert not s.truth.mask[STANDARD_LEADS.index("II")].any()


def test_left_anterior_block_implies_left_axis_deviation() -> None:
    labels = simulate("left_anterior_fascicular_block", seed=1).record.labels
    assert labels == ("426783006", "445118002", "39732003")


def test_noise_can_be_removed_and_amplified() -> None:
    quiet = simulate(seed=1, noise=Noise.none()).record.signal
    usual = simulate(seed=1).record.signal
    loud = simulate(seed=1, noise=Noise(muscle=5.0)).record.signal
    assert 0.001 < np.std(usual - quiet) < 0.2
    assert np.std(np.diff(loud - quiet)) > 3 * np.std(np.diff(usual - quiet))


def test_every_window_that_a_mechanism_names_exists() -> None:
    assert {row.window for row in mechanisms()} <= {*WINDOWS, "mark"}


@pytest.mark.parametrize("kwargs", [{"fs": 50}, {"fs": 1e9}, {"duration": 1}, {"duration": 1e6}])
def test_rates_and_lengths_out_of_bounds_are_refused(kwargs: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="out of bounds"):
        simulate(seed=1, **kwargs)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ParameterError, match="n >= 1"):
        next(simulate_set(0, 1))
