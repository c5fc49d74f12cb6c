"""Disagreement of maps against scipy, sets and sums by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from ecgxai_core.metrics.similarity import disagreement

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 12, 6))


def named(item, method):
    return replace(item, method=method)


def test_pairs_are_what_scipy_and_sets_say(make_map):
    maps = {"a": make_map(A), "b": named(make_map(B), "integrated_gradients")}
    found = disagreement(maps, k=10)
    size_a, size_b = np.abs(A.ravel()), np.abs(B.ravel())
    assert found.spearman[0, 1] == pytest.approx(spearmanr(size_a, size_b).statistic, abs=1e-6)
    top = [set(np.argsort(-size)[:10]) for size in (size_a, size_b)]
    assert found.jaccard[0, 1] == pytest.approx(len(top[0] & top[1]) / len(top[0] | top[1]))
    shared = np.minimum(size_a / size_a.sum(), size_b / size_b.sum())
    same = (A.ravel() > 0) == (B.ravel() > 0)
    assert found.sign_agreement[0, 1] == pytest.approx(shared[same].sum() / shared.sum(), rel=1e-5)
    assert found.cells[0, 1] == 72
    for name in ("spearman", "jaccard", "sign_agreement"):
        matrix = getattr(found, name)
        assert np.array_equal(matrix, matrix.T)
        assert np.allclose(np.diag(matrix), 1)
    assert found.families == ("perturbation", "gradient")


def test_opposite_maps_rank_alike_and_disagree_in_sign(make_map):
    found = disagreement({"a": make_map(A), "b": make_map(-2 * A)}, k=5)
    assert found.spearman[0, 1] == 1
    assert found.jaccard[0, 1] == 1
    assert found.sign_agreement[0, 1] == 0


def test_chance_is_reached_by_random_maps(make_map):
    values = []
    for seed in range(60):
        one, two = np.random.default_rng(seed).normal(size=(2, 12, 6))
        found = disagreement({"a": make_map(one), "b": make_map(two)}, k=15)
        values.append((found.spearman[0, 1], found.jaccard[0, 1], found.sign_agreement[0, 1]))
    mean = np.mean(values, axis=0)
    assert abs(mean[0]) < 0.06
    assert mean[1] == pytest.approx(found.jaccard_chance[0, 1], abs=0.02)
    assert mean[2] == pytest.approx(0.5, abs=0.03)


def test_methods_without_signs_have_no_sign_agreement(make_map):
    maps = {"a": make_map(A), "s": named(make_map(np.abs(B)), "saliency")}
    found = disagreement(maps)
    assert np.isnan(found.sign_agreement[0, 1])
    assert np.isfinite(found.spearman[0, 1])


def test_other_grids_meet_on_the_union_and_unexplored_cells_do_not_count(make_map):
    seen = np.ones((12, 6))
    seen[:, 4:] = 0
    halves = make_map(np.repeat(A, 2, axis=1) / 2, edges=np.arange(13) * 0.25)
    found = disagreement({"a": make_map(A, explored=seen), "b": halves}, k=5)
    assert found.cells.tolist() == [[48, 96], [96, 144]]
    assert found.spearman[0, 1] == pytest.approx(1)


def test_nothing_is_compared_with_an_empty_map_or_across_records(make_map):
    found = disagreement({"a": make_map(A), "empty": make_map(0 * A)})
    assert np.isnan(found.spearman[0, 1])
    assert np.isnan(found.jaccard[0, 1])
    assert np.isnan(found.sign_agreement[0, 1])
    with pytest.raises(ValueError, match="one record"):
        disagreement({"a": make_map(A), "b": replace(make_map(A), record="other")})
