"""The raster: which density a bin has, which bins are truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.metrics.raster import (
    Raster,
    beat_windows,
    mask_from_intervals,
    merged,
    overlap_sec,
    raster_for,
    rasterise,
)
from ecgxai_core.types import Attribution, Provenance

LEADS = ("II", "V1")


def a_map(
    weights: np.ndarray, edges: np.ndarray, explored: np.ndarray | None = None
) -> Attribution:
    return Attribution(
        "rec", "1", "lime", 0.5, LEADS, edges, weights.astype(np.float32),
        np.ones(weights.shape, np.bool_) if explored is None else explored,
        Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip


def test_raster_covers_what_the_model_saw() -> None:
    item = a_map(np.ones((2, 2)), np.array([1.0, 1.5, 2.03]))
    raster = raster_for(item, 0.02)
    assert (raster.start_sec, raster.n_bins, raster.leads) == (1.0, 51, LEADS)
    assert raster.intervals[-1] == pytest.approx([2.0, 2.02])


def test_a_bin_has_the_density_of_the_segment_it_lies_in() -> None:
    weights = np.array([[0.05, 0.3, 0.0], [1.0, 2.0, 0.0]])
    explored = np.array([[True, True, False], [True, True, True]])
    item = a_map(weights, np.array([0.0, 0.05, 0.11, 0.16]), explored)
    drawn = rasterise(item, raster_for(item, 0.02))
    assert drawn.scores[0] == pytest.approx([1, 1, 1, 5, 5, 5, 0, 0], rel=1e-6)
    assert drawn.explored[0].tolist() == [True] * 6 + [False] * 2
    assert drawn.explored[1].all()
    # bins 2 and 5 are shared evenly: the earlier segment has them
    assert drawn.cell[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.sets(st.integers(1, 99), min_size=1, max_size=8),
    extra=st.sets(st.integers(1, 99), max_size=8),
    seed=st.integers(0, 1000),
)
def test_splitting_segments_changes_no_bin(cuts: set[int], extra: set[int], seed: int) -> None:
    edges = np.array([0, *sorted(cuts), 100]) * 0.004
    fine = np.array(sorted({0, 100} | cuts | extra)) * 0.004
    rng = np.random.default_rng(seed)
    weights = rng.integers(-3, 4, size=(2, len(edges) - 1)) * np.diff(edges)
    explored = rng.random(weights.shape) < 0.8
    parent = np.searchsorted(edges, (fine[:-1] + fine[1:]) / 2) - 1
    share = np.diff(fine) / np.diff(edges)[parent]
    whole = a_map(np.where(explored, weights, 0), edges, explored)
    split = a_map(
        np.where(explored[:, parent], weights[:, parent] * share, 0), fine, explored[:, parent]
    )
    raster = raster_for(whole, 0.02)
    one, other = rasterise(whole, raster), rasterise(split, raster)
    np.testing.assert_array_equal(one.explored, other.explored)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)


def test_a_bin_is_in_the_mask_if_half_of_it_is() -> None:
    item = a_map(np.ones((2, 1)), np.array([0.0, 0.1]))
    raster = raster_for(item, 0.02)
    mask = mask_from_intervals(raster, {"V1": [(0.03, 0.069), (-5.0, 0.005), (0.05, 0.06)]})
    assert mask.tolist() == [[False] * 5, [False, True, True, False, False]]
    pieces = mask_from_intervals(raster, {"II": [(0.0, 0.005), (0.01, 0.015)]})
    assert pieces[0, 0]


def test_windows_around_beats_are_joined() -> None:
    found = beat_windows([1.0, 1.5], [(-0.3, 0.4), (-0.05, 0.08)])
    np.testing.assert_allclose(found, [[0.7, 1.9]])
    assert beat_windows([], [(-0.3, 0.4)]).shape == (0, 2)
    assert beat_windows([1.0], []).shape == (0, 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=10),
)
def test_union_of_intervals(pairs: list[list[int]]) -> None:
    union = merged(np.array(pairs, float).reshape(-1, 2))
    points = np.arange(0.25, 30, 0.5)
    inside = [any(a < t < b for a, b in pairs) for t in points]
    assert [any(a < t < b for a, b in union) for t in points] == inside
    assert (union[1:, 0] > union[:-1, 1]).all()


def test_overlap() -> None:
    one, other = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.5, 2.5], [5.0, 6.0]])
    np.testing.assert_allclose(overlap_sec(one, other), [[0.5, 0.0], [0.5, 0.0]])


def test_evidence_in_a_derived_lead_counts_for_those_it_is_made_from() -> None:
    given = {"aVF": [[0.0, 0.1]], "I": [[0.2, 0.3]], "V1": [[0.4, 0.5]]}
    eight = mask_from_intervals(Raster(0.0, 0.1, 5, ("I", "II", "V1")), given)
    assert eight.astype(int).tolist() == [[1, 0, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    every = mask_from_intervals(Raster(0.0, 0.1, 5, ("I", "II", "aVF", "V1")), given)
    assert every.astype(int).tolist() == [
        [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]
    ]  # fmt: skip
