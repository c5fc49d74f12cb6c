"""Quality warnings: each fires on its fault and stays silent on sound signals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core.records.quality import check_labels, check_signal, longest_run
from ecgxai_core.types import STANDARD_LEADS, QualityWarning
from tests.corpus.base import FS, ecg

GAINS = (1000.0,) * 12
RAILS = [[-32.767, 32.767]] * 12


def _check(
    signal: npt.NDArray[np.float64], gains: tuple[float, ...] = GAINS
) -> dict[str, QualityWarning]:
    found = check_signal(signal.astype(np.float32), STANDARD_LEADS, FS, gains, RAILS)
    assert len({w.code for w in found}) == len(found)
    return {warning.code: warning for warning in found}


def test_a_sound_signal_has_no_warning() -> None:
    assert _check(ecg()) == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 1), (0, 2), (1, 2), (0, 3), (3, 4), (4, 5), (1, 5)],
)
def test_any_swap_of_limb_leads_is_found(first: int, second: int) -> None:
    signal = ecg()
    signal[[first, second]] = signal[[second, first]]
    assert "limb_leads_inconsistent" in _check(signal)


def test_limb_leads_within_half_a_tenth_of_a_millivolt_are_sound() -> None:
    signal = ecg()
    signal[1] += 0.0249  # II enters aVR and aVF by half
    assert _check(signal) == {}
    signal[1] += 0.05
    assert _check(signal)["limb_leads_inconsistent"].leads == ("II",)


@pytest.mark.parametrize("lead", [0, 1, 2, 3, 4, 5])
def test_two_samples_of_a_limb_lead_that_changed_places_are_found(lead: int) -> None:
    """Their sum, and so the checksum, stays what it was."""
    signal = np.round(ecg() * 1000) / 1000
    away = int(np.argmin(np.abs(np.abs(signal[lead] - signal[lead, 100]) - 0.03)))
    signal[lead, [100, away]] = signal[lead, [away, 100]]
    assert set(_check(signal)) == {"damaged_samples"}


def test_gains_that_contradict_the_counts_are_told_from_swapped_leads() -> None:
    """LUDB: the counts obey Einthoven's law, the millivolts of its header's gains do not."""
    gains = tuple(np.linspace(700, 2300, 12))
    signal = ecg() * 1000 / np.array(gains)[:, None]
    text = _check(signal, gains)["limb_leads_inconsistent"].message
    assert "gains" in text
    swapped = ecg()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert "swapped" in _check(swapped)["limb_leads_inconsistent"].message


def test_gaps_do_not_hide_or_invent_other_faults() -> None:
    signal = ecg()
    signal[2, :100] = np.nan
    assert set(_check(signal)) == {"nan_run"}
    signal[2] = np.nan
    assert set(_check(signal)) == {"nan_run", "flat_lead"}


def test_lead_faults_name_their_leads() -> None:
    signal = ecg()
    signal[8] = 0.25
    signal[9, 10] = -20.5
    signal[10, 100:160] = signal[10].max() + 0.1
    signal[11, 0:FS] = 0.1
    found = _check(signal)
    assert {code: w.leads for code, w in found.items()} == {
        "flat_lead": ("V3",),
        "large_amplitude": ("V4",),
        "isolated_spike": ("V4",),
        "saturated": ("V5",),
        "flat_part": ("V6",),
    }


def test_missing_leads_are_named() -> None:
    found = check_signal(ecg()[:2].astype(np.float32), ("I", "II"), FS, GAINS[:2], RAILS[:2])
    assert [(w.code, w.leads) for w in found] == [("few_leads", STANDARD_LEADS[2:])]


def test_a_wrong_gain_is_found_and_neither_a_large_lead_nor_spikes_are_taken_for_it() -> None:
    """A typical lead here swings by 0.5 mV, the geometric mean; eight times that is no heart's."""
    too_large = _check(ecg() * 8)
    assert set(too_large) == {"implausible_amplitude"}
    assert "swings by 4.1 mV" in too_large["implausible_amplitude"].message
    large_heart = ecg()
    large_heart[6:] *= 4  # hypertrophy: chest leads only
    assert np.ptp(large_heart[11]) > 4
    assert _check(large_heart) == {}
    spikes = ecg()
    spikes[6:, 10::1500] = 19.0  # every third second: the median second knows nothing of them
    assert _check(spikes) == {}


def test_few_leads_say_nothing_of_the_gain() -> None:
    signal = (ecg() * 8).astype(np.float32)
    for n_leads, told in ((5, False), (6, True)):
        found = check_signal(
            signal[:n_leads], STANDARD_LEADS[:n_leads], FS, GAINS[:n_leads], RAILS[:n_leads]
        )
        assert ("implausible_amplitude" in {w.code for w in found}) == told


def test_the_amplitude_is_taken_from_whole_seconds_without_gaps() -> None:
    signal = ecg() * 8
    signal[:, FS:] = np.nan  # one whole second is left
    assert "implausible_amplitude" in _check(signal)
    signal[:, FS // 2 :] = np.nan
    assert "implausible_amplitude" not in _check(signal)


@given(st.lists(st.booleans(), max_size=60))
def test_longest_run(bits: list[bool]) -> None:
    text = "".join("x" if bit else " " for bit in bits)
    assert longest_run(np.array(bits, dtype=bool)) == max(map(len, text.split()), default=0)


def test_labels() -> None:
    assert check_labels(None, ()) == ()
    assert check_labels(["1"], {"1"}) == ()
    (warning,) = check_labels([str(i) for i in range(9)], {"0"})
    assert warning.message.endswith("1, 2, 3, 4, 5, ...")
