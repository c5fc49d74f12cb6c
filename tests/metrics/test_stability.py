"""Stability on matched regions: beats, shifts, what is compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ecgxai_core.metrics.stability import GROUP, beat_intervals, compare, match, stability
from ecgxai_core.params import StabilityParams
from ecgxai_core.pipeline.extra_beat import ExtraBeatTest
from ecgxai_core.signal.extra_beat import extra_beat
from ecgxai_core.types import STANDARD_LEADS, FloatArray, Record

PEAKS = np.arange(12) * 0.8 + 0.6
EDGES = np.arange(21) * 0.5
PARAMS = StabilityParams()
RANKED = ("spearman", "jaccard_at_k", "weighted_jaccard", "rbo_ext")


class Shift:
    """Everything from ``at`` on moves by ``by`` seconds."""

    def __init__(self, at: float = 99.0, by: float = 0.0) -> None:
        self.at, self.by = at, by

    def forward(self, t: FloatArray) -> FloatArray:
        return np.where(t >= self.at, t + self.by, t)


def values(scores: Any) -> dict[str, float]:
    return {score.metric: score.value for score in scores}


def test_beats_are_cut_at_midpoints() -> None:
    np.testing.assert_allclose(
        beat_intervals([1.0, 2.0, 2.6]), [[0.5, 1.5], [1.5, 2.3], [2.3, 2.9]]
    )
    assert beat_intervals([1.0]).shape == (0, 2)


def test_identical_maps_score_exactly_one(make_map: Any) -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        weights = np.random.default_rng(seed).normal(size=(12, 20))
        explored = rng.random((12, 20)) < rng.random()
        explored[0, 4] = True
        item = make_map(weights, EDGES, explored)
        found = values(stability(item, item, PEAKS, Shift(), PARAMS))
        assert [found[name] for name in RANKED] == [1.0] * 4
        assert found["regions_compared"] == 1.0


def test_a_map_that_follows_its_beats_scores_one(make_map: Any) -> None:
    """A beat inserted at 4.2 s: the map of the longer record, moved with it, is the same map."""
    borders = np.concatenate(([0.0], (PEAKS[:-1] + PEAKS[1:]) / 2, [10.0]))
    weights = np.random.default_rng(1).normal(size=(12, len(borders) - 1))
    at, by = float(borders[5]), 0.8
    longer = np.concatenate((borders[:6], borders[5:] + by))
    inserted = np.insert(weights, 5, 0.3, axis=1)
    seen = longer <= 10.0 + 1e-9
    one = make_map(weights, borders)
    other = make_map(inserted[:, : seen.sum() - 1], longer[seen])
    regions = match(one, other, PEAKS, Shift(at, by))
    assert regions.n_beats == 12
    assert len(regions.beats) == 11  # one was pushed out of the window
    found = values(compare(regions, PARAMS, 0))
    assert found["spearman"] == pytest.approx(1.0)
    assert [found[name] for name in RANKED[1:]] == pytest.approx([1.0] * 3)
    assert found["regions_compared"] == pytest.approx(11 / 12)
    by_absolute_time = values(stability(one, other, PEAKS, Shift(), PARAMS))
    assert by_absolute_time["spearman"] < 0.9


@pytest.mark.parametrize("fs", [100.0, 500.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_experiment_s_own_time_map_matches_all_beats(
    make_map: Any, fs: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    peaks = np.cumsum(rng.integers(int(0.55 * fs), int(0.95 * fs), size=12))
    signal = rng.normal(size=(12, int(peaks[-1] + fs))).astype(np.float32)
    record = Record("r", signal, fs, STANDARD_LEADS)
    changed = extra_beat(record, peaks, seed, 0.02)
    edges = np.arange(record.n_samples + 1) / fs  # one segment a sample: it follows any cut
    weights = rng.normal(size=(12, record.n_samples))
    back = changed.time_map.backward((np.arange(changed.record.n_samples) + 0.5) / fs)
    moved = np.where(np.isnan(back), 0.0, weights[:, np.nan_to_num(back * fs).astype(int)])
    one = make_map(weights, edges)
    other = make_map(moved, np.arange(changed.record.n_samples + 1) / fs)
    regions = match(one, other, peaks / fs, changed.time_map)
    assert len(regions.beats) == regions.n_beats >= 11
    found = values(compare(regions, PARAMS, 0))
    assert found["spearman"] > 0.98  # a cut lies up to half a sample from the midpoint
    assert found["rbo_ext"] > 0.9


def test_every_beat_of_the_original_has_its_fate(make_map: Any) -> None:
    """A beat a second from 0.3 s on, 10 s seen: the first beat begins before the record, and the
    last, from 8.8 s on, makes room for the added one."""
    peaks = np.arange(10) * 100 + 30
    signal = np.random.default_rng(0).normal(size=(12, 1000)).astype(np.float32)
    changed = extra_beat(Record("r", signal, 100.0, STANDARD_LEADS), peaks, 0, 0.02, (0.0, 10.0))
    item = make_map(np.ones((12, 20)), EDGES)
    found = ExtraBeatTest(changed, peaks, {"lime": item}, {"lime": item})
    fates = found.fates("lime")
    assert fates == ("not seen", *["compared"] * 8, "pushed out")
    beats, n = found.compared("lime")
    assert (len(beats), n) == (8, 9), "one of ten was not seen whole"


def test_beats_without_a_whole_image_are_left_out(make_map: Any) -> None:
    class Hole(Shift):
        def forward(self, t: FloatArray) -> FloatArray:
            return np.where((t > 4.0) & (t < 5.0), np.nan, t)

    item = make_map(np.random.default_rng(2).normal(size=(12, 20)), EDGES)
    regions = match(item, item, PEAKS, Hole())
    gone = [beat for beat in beat_intervals(PEAKS) if beat[0] < 5.0 and beat[1] > 4.0]
    assert len(regions.beats) == regions.n_beats - len(gone)
    inside = match(item, item, PEAKS, Shift(at=4.3, by=0.7))
    middle = [beat for beat in inside.beats if beat[0] < 4.3 < beat[1]]
    assert not middle


def test_unit_does_not_matter_but_sign_does(make_map: Any) -> None:
    weights = np.random.default_rng(3).normal(size=(12, 20))
    item = make_map(weights, EDGES)
    scaled = values(stability(item, make_map(weights * 64, EDGES), PEAKS, Shift(), PARAMS))
    assert [scaled[name] for name in RANKED] == pytest.approx([1.0] * 4)
    flipped = values(stability(item, make_map(-weights, EDGES), PEAKS, Shift(), PARAMS))
    assert flipped["spearman"] == pytest.approx(-1.0)
    assert flipped["weighted_jaccard"] == 0.0


def test_unrelated_maps_score_their_chance_level(make_map: Any) -> None:
    rng = np.random.default_rng(4)
    rows = [
        stability(
            make_map(rng.normal(size=(12, 20)), EDGES, digest=str(i)),
            make_map(rng.normal(size=(12, 20)), EDGES),
            PEAKS,
            Shift(),
            PARAMS,
        )
        for i in range(60)
    ]
    for place, name in enumerate(RANKED):
        found = np.array([row[place].value for row in rows])
        chance = np.mean([row[place].random for row in rows])
        # neighbouring regions share segments, so chance is met less closely than by free lists
        assert abs(found.mean() - chance) < 5 * found.std() / np.sqrt(len(found)) + 0.02, name


def test_maps_without_order_are_undefined(make_map: Any) -> None:
    zero, some = make_map(np.zeros((12, 20)), EDGES), make_map(np.eye(12, 20), EDGES)
    both = values(stability(zero, zero, PEAKS, Shift(), PARAMS))
    assert all(math.isnan(both[name]) for name in RANKED)
    one = values(stability(zero, some, PEAKS, Shift(), PARAMS))
    assert math.isnan(one["spearman"])
    assert math.isnan(one["rbo_ext"])
    assert one["weighted_jaccard"] == 0.0
    none = values(stability(some, some, [1.0], Shift(), PARAMS))
    assert all(math.isnan(value) for value in none.values())


def test_what_was_explored_is_told(make_map: Any) -> None:
    explored = np.zeros((12, 20))
    explored[:6] = 1
    item = make_map(np.ones((12, 20)), EDGES, explored)
    whole = make_map(np.ones((12, 20)), EDGES)
    found = values(stability(item, whole, PEAKS, Shift(), PARAMS))
    assert found["regions_explored"] == pytest.approx(0.5)


def test_scores_are_repeatable_and_described(make_map: Any) -> None:
    rng = np.random.default_rng(7)
    pair = [make_map(rng.normal(size=(12, 20)), EDGES) for _ in range(2)]
    first = stability(*pair, PEAKS, Shift(), PARAMS)
    assert first == stability(*pair, PEAKS, Shift(), PARAMS)
    assert {score.metric for score in first} == {metric.name for metric in GROUP.metrics}


def test_different_leads_are_refused(make_map: Any) -> None:
    item = make_map(np.ones((12, 20)), EDGES)
    other = make_map(np.ones((2, 20)), EDGES, leads=("I", "II"))
    with pytest.raises(ValueError, match="leads"):
        match(item, other, PEAKS, Shift())
