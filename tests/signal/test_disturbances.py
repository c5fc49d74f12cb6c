"""Changes that should not matter are what they say, and their maps of time are true."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ExplanationError
from ecgxai_core.signal.disturbances import gained, noisy, shifted
from ecgxai_core.types import STANDARD_LEADS, Record
from tests.small import FS, beats

RECORD = Record("R", beats(70, seed=1), FS, STANDARD_LEADS)


def test_noise_has_the_asked_power_and_obeys_einthoven():
    found = noisy(RECORD, 20, seed=3).record.signal - RECORD.signal
    centred = RECORD.signal - RECORD.signal.mean(axis=1, keepdims=True)
    independent = [0, 1, 6, 7, 8, 9, 10, 11]
    ratio = np.square(centred).mean() / np.square(found[independent]).mean()
    assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.5)
    np.testing.assert_allclose(found[2], found[1] - found[0], atol=1e-5)
    np.testing.assert_allclose(found[3], -(found[0] + found[1]) / 2, atol=1e-5)
    assert abs(np.corrcoef(found[6], found[7])[0, 1]) < 0.15
    again = noisy(RECORD, 20, seed=3).record.signal
    np.testing.assert_array_equal(again, noisy(RECORD, 20, seed=3).record.signal)
    assert not np.array_equal(noisy(RECORD, 20, seed=4).record.signal, again)


def test_shift_moves_times_and_loses_the_beginning():
    moved = shifted(RECORD, 0.3)
    np.testing.assert_array_equal(moved.record.signal, RECORD.signal[:, 30:])
    times = np.array([0.1, 0.3, 1.0, RECORD.duration])
    there = moved.time_map.forward(times)
    assert np.isnan(there[0])
    np.testing.assert_allclose(there[1:], times[1:] - 0.3)
    for before, after in zip(times[1:3], there[1:3], strict=True):
        np.testing.assert_array_equal(
            RECORD.signal[:, round(before * FS)], moved.record.signal[:, round(after * FS)]
        )


def test_gain_multiplies_and_says_so():
    louder = gained(RECORD, 1.1)
    np.testing.assert_allclose(louder.record.signal, 1.1 * RECORD.signal, rtol=1e-6)
    assert louder.record.warnings[-1].code == "disturbed"
    assert louder.record.digest != RECORD.digest
    np.testing.assert_array_equal(louder.time_map.forward([0.0, 1.0]), [0.0, 1.0])


def test_missing_samples_stay_missing():
    signal = np.array(RECORD.signal)
    signal[1, 50:60] = np.nan
    found = noisy(Record("R", signal, FS, STANDARD_LEADS)).record.signal
    assert np.isnan(found).sum() == 10


@pytest.mark.parametrize("change", [lambda: shifted(RECORD, 99), lambda: shifted(RECORD, 0.0),
                                    lambda: gained(RECORD, 0)])  # fmt: skip
def test_what_makes_no_sense_is_refused(change):
    with pytest.raises(ExplanationError):
        change()
