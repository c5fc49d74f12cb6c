"""The extra beat: what changes, what must not, and the map between the two records."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import ExplanationError
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.extra_beat import Augmented, TimeMap, extra_beat
from ecgxai_core.types import STANDARD_LEADS, QualityWarning, Record

FS = 500.0
BUMPS = ((-0.17, 0.022, 0.12), (0.0, 0.01, 1.0), (0.03, 0.01, -0.25), (0.28, 0.045, 0.3))


def synthetic(beats: npt.ArrayLike, seconds: float, wander: float = 0.0) -> Record:
    """Clean 12-lead record: each lead a mix of two sources, limb leads by their identities."""
    t = np.arange(round(seconds * FS)) / FS
    trace = sum(
        size * np.exp(-0.5 * ((t - beat - shift) / width) ** 2)
        for beat in np.atleast_1d(beats)
        for shift, width, size in BUMPS
    )
    drift = wander * np.sin(2 * np.pi * 0.2 * t)
    i, ii = 0.6 * trace + drift, 1.0 * trace - 0.3 * drift
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    chest = [k * trace + drift for k in (-0.4, 0.2, 0.8, 1.4, 1.3, 0.9)]
    return Record("r1", np.array(limb + chest), FS, STANDARD_LEADS, labels=("426783006",), age=61)


RECORD = synthetic(np.arange(0.4, 9.9, 0.83), 10, wander=0.1)
PEAKS = r_peaks(RECORD.signal, FS, RECORD.leads)


def samples(result: Augmented) -> tuple[int, int, int, int]:
    """Start and stop of the doubled beat, and of the blended samples."""
    return tuple(round(x * FS) for x in (*result.source_sec, *result.blended_sec))  # type: ignore[return-value]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.002, 0.02, 0.021, 0.2]))
def test_outside_the_seam_every_sample_is_an_exact_copy(seed: int, blend: float) -> None:
    result = extra_beat(RECORD, PEAKS, seed, blend)
    old, new = RECORD.signal, result.record.signal
    start, stop, low, high = samples(result)
    grown = stop - start
    assert new.shape == (12, old.shape[1] + grown)
    assert high - low == round(blend * FS)
    assert low <= stop <= high
    np.testing.assert_array_equal(new[:, :low], old[:, :low])
    np.testing.assert_array_equal(new[:, high:], old[:, high - grown :])


def test_the_cuts_are_half_way_between_r_peaks_and_the_beat_is_an_inner_one() -> None:
    drawn = set()
    for seed in range(60):
        result = extra_beat(RECORD, PEAKS, seed, 0.02)
        k = result.beat
        start, stop, _, _ = samples(result)
        assert start == pytest.approx((PEAKS[k - 1] + PEAKS[k]) / 2, abs=0.5)
        assert stop == pytest.approx((PEAKS[k] + PEAKS[k + 1]) / 2, abs=0.5)
        drawn.add(k)
    assert drawn == set(range(1, PEAKS.size - 1))


def test_one_more_beat_is_found_and_the_others_where_the_map_says() -> None:
    for seed in range(8):
        result = extra_beat(RECORD, PEAKS, seed, 0.02)
        found = r_peaks(result.record.signal, FS, STANDARD_LEADS)
        assert found.size == PEAKS.size + 1
        copy = PEAKS[result.beat] / FS + result.time_map.inserted_sec
        expected = np.sort(np.append(result.time_map.forward(PEAKS / FS), copy))
        np.testing.assert_allclose(found / FS, expected, atol=0.004)
        low, high = result.time_map.inserted
        assert low < copy < high


def test_the_seam_is_no_larger_a_step_than_the_record_has() -> None:
    for seed in range(8):
        result = extra_beat(RECORD, PEAKS, seed, 0.02)
        _, _, low, high = samples(result)
        steps = np.abs(np.diff(result.record.signal[:, low - 1 : high + 1], axis=1))
        jump = np.abs(np.diff(extra_beat(RECORD, PEAKS, seed, 0.0).record.signal, axis=1))
        assert steps.max() < 0.05
        assert steps.max() < jump[:, low:high].max()


def test_limb_lead_identities_hold_as_before() -> None:
    new = extra_beat(RECORD, PEAKS, 3, 0.02).record.signal.astype(float)
    i, ii, iii, avr, avl, avf = new[:6]
    np.testing.assert_allclose(iii, ii - i, atol=1e-6)
    np.testing.assert_allclose(avr, -(i + ii) / 2, atol=1e-6)
    np.testing.assert_allclose(avl, i - ii / 2, atol=1e-6)
    np.testing.assert_allclose(avf, ii - i / 2, atol=1e-6)


def test_the_record_keeps_what_it_says_of_itself_and_adds_a_warning() -> None:
    odd = dataclasses.replace(RECORD, warnings=(QualityWarning("flat_lead", "V6 is flat"),))
    new = extra_beat(odd, PEAKS, 0, 0.02).record
    assert new.name == "r1_extra_beat"
    assert new.labels == RECORD.labels
    assert (new.fs, new.leads, new.age) == (RECORD.fs, RECORD.leads, RECORD.age)
    assert [w.code for w in new.warnings] == ["flat_lead", "augmented"]
    assert new.digest != RECORD.digest


def test_a_large_step_in_the_baseline_is_said() -> None:
    signal = RECORD.signal.copy()
    signal[6] += 3 * np.arange(signal.shape[1]) / FS
    drifting = dataclasses.replace(RECORD, signal=signal)
    warning = extra_beat(drifting, PEAKS, 0, 0.02).record.warnings[-1]
    assert (warning.code, warning.leads) == ("seam_step", ("V1",))


def test_the_draw_depends_on_seed_and_content_only() -> None:
    first = extra_beat(RECORD, PEAKS, 5, 0.02)
    renamed = dataclasses.replace(RECORD, name="other")
    assert extra_beat(renamed, PEAKS, 5, 0.02).beat == first.beat
    assert extra_beat(RECORD, PEAKS, 5, 0.02).record.digest == first.record.digest
    assert len({extra_beat(RECORD, PEAKS, seed, 0.02).beat for seed in range(20)}) > 3


def test_a_few_leads_will_do() -> None:
    two = Record("r", RECORD.signal[[1, 6]], FS, ("II", "V1"))
    assert extra_beat(two, PEAKS, 0, 0.02).record.signal.shape[0] == 2


def test_only_beats_in_the_seen_part_are_doubled() -> None:
    for seed in range(20):
        result = extra_beat(RECORD, PEAKS, seed, 0.02, within_sec=(2.0, 5.0))
        assert result.source_sec[0] >= 2.0
        assert result.source_sec[1] <= 5.0
    with pytest.raises(ExplanationError, match="no inner beat"):
        extra_beat(RECORD, PEAKS, 0, 0.02, within_sec=(2.0, 2.5))


@pytest.mark.parametrize("peaks", [[], [100], [100, 600], [100, 100, 600]])
def test_too_few_beats(peaks: list[int]) -> None:
    with pytest.raises(ExplanationError, match="R peaks"):
        extra_beat(RECORD, peaks, 0, 0.02)


def test_a_fade_longer_than_there_is_room_for_is_shortened() -> None:
    short = Record("s", RECORD.signal[:, :300], FS, STANDARD_LEADS)
    result = extra_beat(short, [2, 6, 290], 0, 0.2)
    start, stop, low, high = samples(result)
    assert (start, stop) == (4, 148)
    assert high - low == 8
    np.testing.assert_array_equal(result.record.signal[:, :low], short.signal[:, :low])


MAP = TimeMap(cut_sec=2.0, inserted_sec=0.8, duration_sec=10.0)


def test_time_map_by_hand() -> None:
    np.testing.assert_allclose(MAP.forward([0, 1.9, 2.0, 2.1, 10.0]), [0, 1.9, 2.8, 2.9, 10.8])
    np.testing.assert_allclose(MAP.forward([2.0, 2.1], side="left"), [2.0, 2.9])
    assert np.isnan(MAP.forward([-0.1, 10.1, np.nan])).all()
    assert MAP.inserted == (2.0, 2.8)
    np.testing.assert_allclose(MAP.backward([1.9, 2.8, 10.8]), [1.9, 2.0, 10.0])
    assert np.isnan(MAP.backward([2.0, 2.5, 2.79, -0.1, 10.9])).all()


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=30, unique=True),
    st.sampled_from(["left", "right"]),
)
def test_time_map_rises_and_can_be_undone(times: list[float], side: str) -> None:
    t = np.sort(times)
    there = MAP.forward(t, side)  # type: ignore[arg-type]
    assert np.all(np.diff(there) > 0)
    right = MAP.forward(t)
    np.testing.assert_allclose(MAP.backward(right), t, atol=2e-9)
