"""Recomputation layer by layer against whole passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ecgxai_core.games.local.engine import windows_of
from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.games.local.hierarchy import LocalQuads
from ecgxai_core.games.local.pieces import MAX_SPAN, layout_of
from ecgxai_core.games.local.windows import Windows
from ecgxai_core.models.increments import Increments
from ecgxai_core.models.keras_runtime import import_keras
from tests.games.local.networks import LEADS, local_parts, network

STRIDED = st.tuples(
    st.sampled_from(["conv", "block"]), st.integers(1, 6), st.just(1), st.integers(1, 3),
    st.sampled_from(["same", "valid", "causal"]),
)  # fmt: skip
DILATED = st.tuples(
    st.sampled_from(["conv", "block"]), st.integers(1, 5), st.integers(2, 3), st.just(1),
    st.sampled_from(["same", "valid", "causal"]),
)  # fmt: skip
POOLED = st.tuples(
    st.sampled_from(["max", "average"]), st.integers(2, 4), st.just(1), st.integers(1, 3),
    st.sampled_from(["same", "valid"]),
)  # fmt: skip
OTHER = st.sampled_from([("norm",), ("skip",), ("pad",)])
STACKS = st.lists(st.one_of(STRIDED, DILATED, POOLED, OTHER), min_size=1, max_size=4)


@pytest.fixture
def _eager():
    """Hundreds of small graphs: running them is faster than compiling them."""
    import_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def both_ways(stack, samples, edges, seed, follow=None):
    """Quads of one game by whole passes and by windows."""
    _, part = local_parts(network((stack, "mean", "sigmoid", samples)), samples)
    values, baseline = np.random.default_rng(seed).normal(size=(2, samples, LEADS))
    given_ = values.astype(np.float32), baseline.astype(np.float32), edges
    game = LocalGame(part, *given_, follow)
    assert isinstance(part.increments, Increments)
    windows = Windows(part.increments, game.layout, edges, samples)
    players = np.arange(LEADS)
    return LocalQuads(game, players), LocalQuads(game, players, windows), windows


def random_edges(rng, samples, shortest, whole):
    """Segments of very unlike lengths, over the whole record or a part of it."""
    lengths = rng.choice([shortest, shortest + 1, 2 * shortest, 5 * shortest], size=40)
    edges = np.cumsum(np.concatenate([[0 if whole else rng.integers(1, 9)], lengths]))
    edges = edges[edges < samples - (0 if whole else 3)]
    return np.unique(np.append(edges, samples) if whole else edges).astype(np.int64)


@pytest.mark.usefixtures("_eager")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@given(
    stack=STACKS,
    samples=st.integers(70, 110),
    shortest=st.sampled_from([1, 3, 9, 20]),
    whole=st.booleans(),
    seed=st.integers(0, 2**16),
)
@example([("average", 3, 1, 2, "same"), ("max", 3, 1, 3, "same")], 83, 9, True, 1)
@example([("conv", 6, 1, 3, "causal"), ("pad",), ("skip",), ("block", 4, 2, 1, "same")], 90, 3,
         False, 2)  # fmt: skip
@example([("conv", 1, 1, 3, "valid"), ("conv", 5, 1, 1, "same")], 77, 1, True, 3)
def test_windows_give_what_whole_passes_give(stack, samples, shortest, whole, seed):
    """Strides, dilation, pooling, residual sums, padding; segments at the borders, far shorter and
    far longer than the receptive field, some that no position sees."""
    rng = np.random.default_rng(seed)
    edges = random_edges(rng, samples, shortest, whole)
    model = network((stack, "mean", "sigmoid", samples))
    local, _ = local_parts(model, samples)
    if len(edges) < 3 or layout_of(local, edges).span > min(MAX_SPAN, 6):
        return
    passes, recomputed, windows = both_ways(stack, samples, edges, seed)
    rows = min(passes.columns + 3, passes.complete)
    right, found = passes.quads(rows), recomputed.quads(rows)
    assert np.abs(found - right).max(initial=0.0) < 1e-5 * max(1.0, np.abs(right).max(initial=0.0))
    assert windows.bank_bytes >= 0


def test_the_record_around_a_window_is_not_computed_again():
    """Operations follow from the changed positions of each layer, counted by hand."""
    stack = [("conv", 5, 1, 1, "same"), ("conv", 3, 1, 1, "same")]
    _, _, windows = both_ways(stack, 100, np.arange(0, 101, 20), 0)
    _, part = local_parts(network((stack, "mean", "sigmoid", 100)), 100)
    first, second = 2 * 5 * LEADS * 4, 2 * 3 * 4 * 4  # both layers have four channels
    assert part.increments.whole_work == 100 * (first + second)
    assert part.increments.work(20) == 24 * first + 26 * second
    inner, ends = 3 * part.increments.work(20), 2 * part.increments.work(20)
    assert windows.share == pytest.approx((inner + ends) / (2 * 100 * (first + second)))


def test_values_do_not_depend_on_what_was_asked_before():
    """Compiled: rows one by one, all at once, or after another record's gave the same bytes."""
    stack = [("block", 5, 1, 1, "same"), ("skip",), ("conv", 3, 1, 1, "same")]
    edges = np.array([0, 4, 9, 25, 31, 52, 60, 90])
    _, first, _ = both_ways(stack, 90, edges, 7)
    rows = first.columns + 20
    once = first.quads(rows).copy()
    _, other, _ = both_ways(stack, 90, edges, 7)
    for step in range(1, 21, 3):
        other.quads(other.columns + step)
        if step == 7:
            other._windows._increments.kept = None  # another record was explained meanwhile
    assert other.quads(rows).tobytes() == once.tobytes()


def test_leads_that_follow_others_do_so_in_windows():
    def follow(made, values):
        out = made.copy()
        out[:, :, 2] = values[:, 2] + (made[:, :, 0] - values[:, 0])
        return out

    stack = [("conv", 5, 1, 1, "same")]
    passes, recomputed, _ = both_ways(stack, 90, np.arange(0, 91, 15), 3, follow)
    rows = passes.columns + 4
    assert np.abs(passes.quads(rows) - recomputed.quads(rows)).max() < 1e-6


@pytest.mark.usefixtures("_eager")
def test_a_bank_holds_every_pattern_beside_a_segment_once():
    """Halos do not depend on the segment itself, so half of the patterns fill the bank."""
    stack = [("conv", 12, 1, 1, "same"), ("conv", 3, 1, 1, "same")]
    _, quads, windows = both_ways(stack, 96, np.arange(0, 97, 4), 1)
    assert quads.period == 5
    assert windows.bank_passes <= 16
    assert quads.work(quads.columns + 3) == pytest.approx(
        windows.bank_passes + windows.share * quads.passes(quads.columns + 3)
    )
    assert quads.work(quads.columns) == 0


def test_a_layer_that_is_not_known_leaves_whole_passes(tmp_path):
    keras = import_keras()
    start = keras.Input((60, LEADS))
    hidden = keras.layers.SeparableConv1D(4, 3, padding="same")(start)
    pooled = keras.layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(start, keras.layers.Dense(3, activation="sigmoid")(pooled))
    _, part = local_parts(model, 60)
    assert "SeparableConv1D" in part.increments
    game = LocalGame(part, *np.zeros((2, 60, LEADS), np.float32), np.arange(0, 61, 4))
    assert windows_of(object(), game) is None
