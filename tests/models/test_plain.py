"""Networks that hide something: opened, with the same output, and every method sees through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecgxai_core as ecgxai
from ecgxai_core.errors import ModelError
from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.local_network import LocalNetwork
from ecgxai_core.models.plain import plain
from tests.models.conftest import LEADS, SAMPLES

CASES = Path(__file__).parents[1] / "cases" / "models"
AF = "164889003"
Save = Callable[..., Path]


@pytest.mark.parametrize("name", ["k3_nested", "k3_permuted", "k3_conv2d"])
def test_methods_see_through(name: str, keras: Any) -> None:
    path = CASES / f"{name}.keras"
    classifier = load_classifier(path)
    rows = np.random.default_rng(0).normal(size=(3, 1000, 12)).astype(np.float32)
    wanted = np.asarray(keras.models.load_model(path, compile=False)(rows, training=False))
    assert np.allclose(classifier.predict(rows), wanted, atol=1e-6)
    assert isinstance(classifier.local_part(), LocalNetwork)
    assert engine_of(classifier).part is not None, "the self-check of the engine"
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=10)
    maps = ecgxai.explain(
        record, ecgxai.load_model(path), AF, ["grad_cam", "lrp", "timeshap"],
        window_sec=1, n_coalitions=32, n_lead_coalitions=16, top_events=2,
    )  # fmt: skip
    assert maps["lrp"].diagnostics["conservation_gap"] < 1e-6
    assert all(np.isfinite(item.weights[item.explored]).all() for item in maps.values())
    assert np.ptp(maps["grad_cam"].weights) > 0


def test_lrp_of_two_dimensional_layers_with_epsilon_0_is_input_x_gradient(
    keras: Any, saved: Save
) -> None:
    layers = keras.layers
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = layers.Reshape((SAMPLES, len(LEADS), 1))(given)
    hidden = layers.Conv2D(4, (5, 1), dilation_rate=(2, 1), use_bias=False)(hidden)
    hidden = layers.MaxPooling2D((2, 1))(layers.ReLU()(hidden))
    hidden = layers.Conv2D(4, (3, 2), strides=(2, 1), activation="relu", use_bias=False)(hidden)
    hidden = layers.AveragePooling2D((2, 1))(hidden)
    hidden = layers.GlobalAveragePooling2D()(hidden)
    out = layers.Dense(3, activation="sigmoid", use_bias=False)(hidden)
    model = ecgxai.load_model(saved(keras.Model(given, out)))
    record = ecgxai.simulate("sinus_rhythm", seed=2, duration=2)
    maps = ecgxai.explain(
        record, model, AF, ["lrp", "input_x_gradient"], window_sec=0.25, link="logit",
        lrp_rule="epsilon", lrp_epsilon=0.0,
    )  # fmt: skip
    wanted = maps["input_x_gradient"].weights
    assert np.abs(wanted).max() > 0
    assert np.allclose(maps["lrp"].weights, wanted, atol=1e-5 * np.abs(wanted).max())


def test_one_backbone_called_twice_keeps_one_set_of_weights(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((SAMPLES, 2)), layers.Conv1D(4, 5, padding="same", name="conv")], name="inner"
    )
    given = keras.Input((SAMPLES, 2))
    both = layers.Add()([inner(given), inner(layers.Rescaling(-0.5)(given))])
    model = keras.Model(given, layers.Conv1D(3, 3, name="conv")(both))
    opened = plain(model, "x.keras")
    rows = np.random.default_rng(1).normal(size=(2, SAMPLES, 2)).astype(np.float32)
    assert np.allclose(np.asarray(opened(rows)), np.asarray(model(rows)), atol=1e-6)
    assert opened.count_params() == model.count_params()
    assert plain(opened, "x.keras") is opened


def test_models_that_double_with_each_level_are_refused(keras: Any) -> None:
    made = keras.Sequential([keras.Input((SAMPLES, 2)), keras.layers.ReLU()])
    for _ in range(14):
        given = keras.Input((SAMPLES, 2))
        made = keras.Model(given, made(made(given)))
    with pytest.raises(ModelError, match="more than"):
        plain(made, "x.keras")
