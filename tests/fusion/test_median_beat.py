"""The median beat of an explanation: known shapes are recovered, and the band has its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.fusion.median_beat import median_beat
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record

PEAKS = np.arange(0.5, 9.6, 1.0)
TIME = np.arange(5000) / 500


def record() -> Record:
    phase = np.minimum.reduce([np.abs(TIME - peak) for peak in PEAKS])
    shape = np.exp(-0.5 * (phase / 0.03) ** 2)
    return Record("R", np.outer(np.arange(1, 13), shape), 500, STANDARD_LEADS)


def a_map(density_at, explored=None, window=0.05) -> Attribution:
    """Density of lead 0 from a function of time; other leads are zero."""
    edges = np.arange(0, 10 + window / 2, window)
    middle = (edges[:-1] + edges[1:]) / 2
    weights = np.zeros((12, len(middle)))
    weights[0] = density_at(middle) * window
    seen = np.ones(weights.shape, bool) if explored is None else explored(weights, middle)
    return Attribution(
        "R", "164889003", "lime", 0.9, STANDARD_LEADS, edges, weights, seen,
        Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip


def after_r(times):
    """1 in the 100 ms from 0.2 s behind every R peak on."""
    since = (times - 0.5) % 1.0
    return ((since > 0.2) & (since < 0.3)).astype(float)


def test_what_all_beats_share_has_a_band_without_width():
    beat = median_beat(a_map(after_r), record(), PEAKS)
    inside = (beat.time_sec > 0.2) & (beat.time_sec < 0.3)
    np.testing.assert_allclose(beat.mean[0], inside, atol=1e-6)
    np.testing.assert_allclose(beat.low[0], beat.mean[0], atol=1e-6)
    np.testing.assert_allclose(beat.high[0], beat.mean[0], atol=1e-6)
    assert beat.n_beats == 10
    assert beat.n[0].max() == 10
    r = np.argmin(np.abs(beat.time_sec))
    np.testing.assert_allclose(beat.signal[:, r] / beat.signal[0, r], np.arange(1, 13), rtol=1e-5)
    assert beat.signal[0].argmax() in {r - 1, r, r + 1}


def test_the_mean_is_a_mean_and_the_band_is_binomial():
    """Weight 1 in the first four of ten beats: mean 0.4, and its percentiles are binomial."""
    from scipy import stats

    beat = median_beat(a_map(lambda t: after_r(t) * (t < 4.4)), record(), PEAKS, n_resamples=20_000)
    column = int(np.argmin(np.abs(beat.time_sec - 0.25)))
    assert beat.mean[0, column] == pytest.approx(0.4, abs=1e-6)
    assert beat.low[0, column] == pytest.approx(stats.binom.ppf(0.025, 10, 0.4) / 10, abs=0.01)
    assert beat.high[0, column] == pytest.approx(stats.binom.ppf(0.975, 10, 0.4) / 10, abs=0.01)


def test_unexplored_beats_do_not_count_as_zero():
    def only_first_half(weights, middle):
        return np.broadcast_to(middle < 5, weights.shape).copy()

    beat = median_beat(a_map(after_r, only_first_half), record(), PEAKS)
    column = int(np.argmin(np.abs(beat.time_sec - 0.25)))
    assert beat.mean[0, column] == pytest.approx(1)
    assert beat.n[0, column] == 5


def test_a_beat_does_not_count_in_the_next_one():
    """Beats 0.4 s apart: bins beyond 0.2 s belong to the next beat, except behind the last."""
    peaks = np.arange(1.0, 9.0, 0.4)
    beat = median_beat(a_map(after_r), record(), peaks)
    late = beat.time_sec > 0.2
    assert beat.n[0, late].max() == 1
    assert beat.n[0, (beat.time_sec > -0.2) & ~late].min() == len(peaks)


def test_seeded_by_content_and_empty_without_beats():
    noisy = a_map(lambda t: np.sin(1e4 * t))
    one, again = (median_beat(noisy, record(), PEAKS, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.low, again.low)
    assert not np.array_equal(one.low, median_beat(noisy, record(), PEAKS, seed=4).low)
    none = median_beat(noisy, record(), [])
    assert none.n_beats == 0
    assert np.isnan(none.mean).all()
    single = median_beat(noisy, record(), PEAKS[:1])
    assert np.isfinite(single.mean).any()
    assert np.isnan(single.low).all()
