"""Hierarchical maps of local networks against every order of leads, segments and beats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.games.local.hierarchy import LocalQuads, local_map
from ecgxai_core.games.local.windows import Windows
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.stopping import Stopped, stoppable
from tests.games.local.networks import LEADS, local_parts, masked, network
from tests.games.orders import hierarchical_values

CONV = st.tuples(
    st.just("conv"),
    st.integers(1, 7),
    st.integers(1, 2),
    st.integers(1, 2),
    st.sampled_from(["same", "valid", "causal"]),
).filter(lambda layer: layer[2] == 1 or layer[3] == 1)
OTHER = st.sampled_from([("max", 2, 1, 2, "same"), ("norm",), ("skip",), ("pad",)])
NETWORKS = st.tuples(
    st.lists(st.one_of(CONV, OTHER), min_size=1, max_size=3),
    st.just("mean"),
    st.just("sigmoid"),
    st.integers(40, 60),
)


@pytest.fixture(autouse=True)
def _eager():
    import_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def logits(model, signals):
    probability = np.asarray(model(signals), dtype=np.float64)
    return np.log(probability) - np.log1p(-probability)


def cell_game(model, values, baseline, edges, segment, units):
    """Logits of all coalitions of the leads of one segment (first) and of unions of others."""
    n = LEADS + len(units)
    on = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    keep = np.ones((2**n, LEADS, len(edges) - 1), bool)
    keep[:, :, segment] = on[:, :LEADS]
    for place, unit in enumerate(units):
        keep[:, :, list(unit)] = on[:, [LEADS + place], None]
    return logits(model, masked(values, baseline, edges, keep))


def setting(shape, seed, n_segments, shortest):
    model, samples = network(shape), shape[3]
    _, part = local_parts(model, samples)
    rng = np.random.default_rng(seed)
    values, baseline = rng.normal(size=(2, samples, LEADS)).astype(np.float32)
    while True:
        inner = np.sort(rng.choice(np.arange(1, samples), n_segments - 1, replace=False))
        edges = np.concatenate([[0], inner, [samples]]).astype(np.int64)
        if np.diff(edges).min() >= shortest:
            break
    return model, LocalGame(part, values, baseline, edges), (values, baseline, edges)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=NETWORKS,
    seed=st.integers(0, 2**16),
    shortest=st.sampled_from([2, 8]),
    recomputed=st.booleans(),
)
@example(([("conv", 5, 1, 1, "same")], "mean", "sigmoid", 48), 1, 8, False)
@example(([("conv", 7, 2, 1, "same")], "mean", "sigmoid", 40), 2, 2, False)
@example(([("conv", 7, 2, 1, "same"), ("skip",)], "mean", "sigmoid", 44), 3, 2, True)
def test_complete_quads_give_owen_values(shape, seed, shortest, recomputed):
    """Segments longer and shorter than the receptive field, strides, padding and borders; by whole
    passes, or layer by layer."""
    model, game, given_ = setting(shape, seed, 4, shortest)
    increments, windows = game.network.increments, None
    if recomputed:
        windows = Windows(increments, game.layout, game.edges, shape[3])
    quads = LocalQuads(game, np.arange(LEADS), windows)
    found = local_map(quads, np.eye(3)[1], quads.complete)
    assert found.exact
    assert not found.errors.any()
    for segment in range(4):
        others = [(s,) for s in range(4) if s != segment]
        worth = cell_game(model, *given_, segment, others)[:, 1]
        tree = (tuple(range(LEADS)), *range(LEADS, LEADS + 3))
        expected = hierarchical_values(worth, tree)[:LEADS]
        assert np.allclose(found.values[:, segment], expected, atol=2e-5)
        assert found.columns[segment] == pytest.approx(expected.sum(), abs=2e-5)
    ends = logits(model, np.stack(given_[:2]))[:, 1]
    assert found.values.sum() == pytest.approx(ends[0] - ends[1], abs=1e-4)


@pytest.mark.parametrize("recomputed", [False, True])
def test_complete_quads_give_winter_values(recomputed):
    """Beats of two, two and one waves, all seen by one position; by whole passes, or by layers."""
    shape = ([("conv", 15, 1, 1, "same")], "mean", "sigmoid", 50)
    model, game, given_ = setting(shape, 3, 5, 4)
    assert game.layout.span > 2, "a position sees more than one beat"
    windows = Windows(game.network.increments, game.layout, game.edges, 50) if recomputed else None
    quads = LocalQuads(game, np.arange(LEADS), windows)
    groups = np.array([0, 0, 1, 1, 2])
    found = local_map(quads, np.eye(3)[0], quads.complete, groups)
    for segment, (mate, units, others) in {
        0: (1, [(1,), (2, 3), (4,)], (4, 5)),
        3: (2, [(2,), (0, 1), (4,)], (4, 5)),
        4: (None, [(0, 1), (2, 3)], (3, 4)),
    }.items():
        worth = cell_game(model, *given_, segment, units)[:, 0]
        leads = tuple(range(LEADS))
        own = (leads, 3) if mate is not None else (leads,)
        expected = hierarchical_values(worth, (own, *others))[:LEADS]
        assert np.allclose(found.values[:, segment], expected, atol=2e-5)
    owen = local_map(quads, np.eye(3)[0], quads.complete)
    assert np.abs(owen.values - found.values).max() > 1e-4
    assert owen.values.sum() == pytest.approx(found.values.sum(), abs=1e-6)


@pytest.mark.parametrize("shortest", [2, 9])
def test_sampled_maps_add_up_and_errors_are_of_the_right_size(shortest):
    """Columns and total are exact from the first row on; values settle as rows are added."""
    shape = (
        [("conv", 5, 1, 1, "same"), ("skip",), ("conv", 3, 1, 1, "same")],
        "mean",
        "sigmoid",
        60,
    )
    _, game, _ = setting(shape, 5, 6, shortest)
    quads = LocalQuads(game, np.arange(LEADS))
    exact = local_map(quads, np.eye(3)[2], quads.complete)
    errors = []
    for rows in range(quads.columns + 1, quads.complete, max(1, quads.complete // 8)):
        found = local_map(quads, np.eye(3)[2], rows)
        assert np.allclose(found.columns, exact.columns, atol=1e-9)
        assert np.allclose(found.values.sum(axis=0), found.columns, atol=1e-9)
        errors.append(np.linalg.norm(found.values - exact.values))
    assert errors[-1] < 0.5 * errors[0]


def test_classes_share_their_quads_and_rows_are_counted():
    shape = ([("conv", 5, 1, 1, "same")], "mean", "sigmoid", 48)
    _, game, _ = setting(shape, 1, 4, 8)
    quads = LocalQuads(game, np.arange(LEADS))
    first = local_map(quads, np.eye(3)[0], 3)
    assert quads.known == 3
    assert quads.passes(3) == 4 * 2 * 2, "four corners, two residue classes, two rows"
    second = local_map(quads, np.eye(3)[1], 3)
    both = local_map(quads, np.array([1.0, -1.0, 0.0]), 3)
    assert quads.known == 3
    assert np.allclose(both.columns, first.columns - second.columns)
    again = LocalQuads(game, np.arange(LEADS))
    again.quads(4)
    later = local_map(again, np.eye(3)[0], 3)
    assert later.values.tobytes() == first.values.tobytes(), "what is known already has no say"


def test_a_map_whose_quads_are_known_can_be_stopped():
    """Solving for the leads of hundreds of rows takes seconds, and nothing is evaluated then."""
    game = setting(([("conv", 5, 1, 1, "same")], "mean", "sigmoid", 48), 1, 4, 8)[1]
    quads = LocalQuads(game, np.arange(LEADS))
    quads.quads(3)
    with stoppable(lambda passes: passes == 0.0), pytest.raises(Stopped):
        local_map(quads, np.eye(3)[0], 3)
