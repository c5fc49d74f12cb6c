"""The local engine against the whole model, for networks of every shape that it claims to know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.games.local.pieces import MAX_SPAN, layout_of
from ecgxai_core.models.keras_runtime import import_keras
from tests.games.local.networks import LEADS, local_parts, masked, network

LAYERS = st.one_of(
    st.tuples(
        st.just("conv"), st.integers(1, 6), st.integers(1, 3), st.just(1),
        st.sampled_from(["same", "valid", "causal"]),
    ),
    st.tuples(
        st.just("conv"), st.integers(1, 6), st.just(1), st.integers(2, 3),
        st.sampled_from(["same", "valid", "causal"]),
    ),
    st.tuples(
        st.sampled_from(["max", "average"]), st.integers(2, 4), st.just(1), st.integers(1, 3),
        st.sampled_from(["same", "valid"]),
    ),
    st.tuples(st.sampled_from(["norm", "skip", "pad"])),
)  # fmt: skip
NETWORKS = st.tuples(
    st.lists(LAYERS, min_size=1, max_size=4),
    st.sampled_from(["mean", "max", "both"]),
    st.sampled_from(["sigmoid", "softmax", "deep"]),
    st.integers(70, 110),
)


@pytest.fixture(autouse=True)
def _eager():
    """Hundreds of small graphs: running them is faster than compiling them."""
    import_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def coalitions(rng, n_segments):
    """Event, lead-in-event and cell coalitions, the borders among them, and a deletion curve."""
    keep = np.ones((32, LEADS, n_segments), bool)
    keep[:8] = (rng.random((8, n_segments)) < 0.5)[:, None]
    for row in range(8, 16):
        keep[row, :, rng.integers(n_segments)] = rng.random(LEADS) < 0.5
    keep[8, :, 0] = keep[9, :, -1] = [True, False, True]
    for row in range(16, 22):
        keep[row] = (rng.random(n_segments) < 0.5) | (rng.random((LEADS, n_segments)) < 0.2)
    keep[22] = rng.random((LEADS, n_segments)) < 0.5
    keep[23] = False
    order = rng.permutation(LEADS * n_segments)
    for row in range(24, 32):
        keep[row].reshape(-1)[order[: (row - 23) * len(order) // 9]] = False
    return keep


DILATED = ([("conv", 1, 1, 3, "same"), ("conv", 3, 1, 3, "same"), ("conv", 6, 3, 1, "same")],)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shape=NETWORKS, seed=st.integers(0, 2**16))
@example(shape=(*DILATED, "mean", "sigmoid", 70), seed=1)  # sees twice the record
def test_every_coalition_has_the_probability_of_the_whole_model(shape, seed):
    model, samples = network(shape), shape[3]
    local, part = local_parts(model, samples)
    rng = np.random.default_rng(seed)
    values, baseline = rng.normal(size=(2, samples, LEADS)).astype(np.float32)
    n_segments = int(rng.integers(2, 8))
    inner = np.sort(rng.choice(np.arange(3, samples - 3), n_segments + 1, replace=False))
    inner[[0, -1]] = rng.choice([0, inner[0]]), rng.choice([samples, inner[-1]])
    if layout_of(local, inner).span > MAX_SPAN:
        return
    game = LocalGame(part, values, baseline, inner)
    keep = coalitions(rng, n_segments)
    plans = game.plans(keep)
    rows = [row for row, plan in enumerate(plans) if plan is not None]
    assert rows[:8] == list(range(8)), "the table plays every coalition of whole segments"
    found = part.probabilities(game.pooled(keep[rows], [plans[row] for row in rows]))
    right = np.asarray(model(masked(values, baseline, inner, keep[rows])))
    assert np.abs(found - right).max() < 3e-6


def test_the_geometry_is_where_a_nudge_arrives():
    """Strides, dilation and unequal padding, position by position."""
    stack = [("conv", 4, 1, 2, "same"), ("average", 3, 1, 3, "valid"), ("conv", 3, 2, 1, "same")]
    model = network((stack, "mean", "sigmoid", 83))
    local, part = local_parts(model, 83)
    values = np.random.default_rng(0).normal(size=(83, LEADS)).astype(np.float32)
    plain = part.features(values[None])[0]
    assert len(plain) == local.positions
    reached = np.zeros((83, local.positions), bool)
    for sample in range(83):
        nudged = values.copy()
        nudged[sample] += 50
        reached[sample] = (part.features(nudged[None])[0] != plain).any(axis=1)
    position = np.arange(local.positions)[None] * local.step
    sample = np.arange(83)[:, None]
    allowed = (sample >= position + local.first) & (sample <= position + local.last)
    assert not (reached & ~allowed).any()
    assert reached.sum() > 0.3 * allowed.sum()


def test_too_short_segments_are_counted():
    model = network(([("conv", 6, 3, 1, "same")], "mean", "sigmoid", 100))
    local, _ = local_parts(model, 100)
    assert local.field == 16
    assert layout_of(local, np.arange(0, 101, 20)).span == 2
    assert layout_of(local, np.arange(0, 101, 10)).span == 3
    assert layout_of(local, np.arange(0, 101)).span > MAX_SPAN


def test_values_do_not_depend_on_what_was_asked_before():
    """The same call gives the same bytes, first or after others; another call the same value."""
    model = network(([("conv", 5, 1, 1, "same")], "mean", "sigmoid", 90))
    _, part = local_parts(model, 90)
    rng = np.random.default_rng(5)
    values, baseline = rng.normal(size=(2, 90, LEADS)).astype(np.float32)
    keep = coalitions(rng, 6)
    edges = np.arange(0, 91, 15)

    def played(game, rows):
        plans = game.plans(keep[rows])
        kept = [i for i, plan in enumerate(plans) if plan is not None]
        pooled = game.pooled(keep[rows][kept], [plans[i] for i in kept])
        return {rows[i]: value for i, value in zip(kept, pooled, strict=True)}

    def fresh():
        return LocalGame(part, values, baseline, edges)

    calls = [list(range(32)), list(range(31, -1, -1)), list(range(8, 32)), [*range(8), 20]]
    alone = [played(fresh(), call) for call in calls]
    assert min(len(found) for found in alone) >= 8
    assert len(alone[0]) >= 24
    game = fresh()
    for call, first in zip(calls, alone, strict=True):
        again = played(game, call)
        assert again.keys() == first.keys()
        assert all(again[row].tobytes() == value.tobytes() for row, value in first.items())
        for row, value in first.items():
            assert np.abs(value - alone[0].get(row, value)).max() < 1e-6


def curve(rng, n_segments, steps):
    """Cells removed in random order, ``bool[step + 1, lead, segment]``."""
    order = rng.permutation(n_segments * LEADS)
    keep = np.ones((steps + 1, LEADS, n_segments), bool)
    for step in range(1, steps + 1):
        keep[step].reshape(-1)[order[: step * len(order) // steps]] = False
    return keep


@pytest.mark.parametrize(("field", "steps", "most"), [(5, 60, 1), (5, 10, 6), (19, 20, 3.5)])
def test_along_a_curve_only_the_windows_whose_mask_changed_are_computed(field, steps, most):
    """One cell a step, or several; windows shorter than what a position sees as well."""
    model = network(([("conv", field, 1, 1, "same")], "mean", "sigmoid", 400))
    _, part = local_parts(model, 400)
    rng, edges = np.random.default_rng(3), np.arange(0, 401, 20)
    values, baseline = rng.normal(size=(2, 400, LEADS)).astype(np.float32)
    game = LocalGame(part, values, baseline, edges)
    keep = curve(rng, 20, steps)
    plans = game.plans(keep)
    assert None not in plans, "no step needs a whole pass"
    lone = np.ones((40, LEADS, 20), bool)
    lone[:, 0, 9] = False
    window = game.cost(game.plans(lone)[0][0][0])
    known, new = set(), []
    for plan in plans:
        units = {unit for unit, _ in plan}
        new.append(sum(game.cost(unit) for unit in units - known))
        known |= units
    assert max(new) <= most * window + 1e-9, "the windows that changed, with their borders"
    found = part.probabilities(game.pooled(keep, plans))
    right = np.asarray(model(masked(values, baseline, edges, keep)))
    assert np.abs(found - right).max() < 3e-6


def test_pieces_that_cost_more_than_whole_passes_are_not_planned():
    """A table of 32 patterned passes is not filled for a few rows."""
    model = network(([("conv", 19, 1, 1, "same")], "mean", "sigmoid", 400))
    _, part = local_parts(model, 400)
    values, baseline = np.random.default_rng(3).normal(size=(2, 400, LEADS)).astype(np.float32)
    game = LocalGame(part, values, baseline, np.arange(0, 401, 5))
    assert game.table_passes == 32
    keep = np.ones((36, LEADS, 80), bool)
    keep[np.arange(36), 0, np.arange(36)] = False
    assert game.plans(keep) == [None] * 36
    assert None not in game.plans(np.tile(keep, (2, 1, 1))), "the same windows again cost nothing"
    keep[0] = False
    assert None not in game.plans(keep), "an event coalition fills the table in any case"
