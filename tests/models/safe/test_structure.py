"""What is measured of a model before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.models.locality import receptive_field
from ecgxai_core.models.safe.model_file import read_model_file
from ecgxai_core.models.safe.structure import Structure, examine
from tests.models.conftest import residual_network

Save = Callable[..., Path]


def structure(path: Path) -> Structure:
    file = read_model_file(path)
    return examine(file)


def test_shapes_and_counts_are_those_of_keras(saved: Save) -> None:
    network = residual_network()
    found = structure(saved(network))
    assert found.inputs == ((None, 100, 2),)
    assert [(out.shape, out.activation) for out in found.outputs] == [((None, 3), "sigmoid")]
    assert found.n_params == network.count_params()
    convolutions = 100 * (5 * 2 * 6 + 6) + 100 * (3 * 6 * 6 + 6)
    assert convolutions <= found.operations <= 2 * convolutions


def test_activation_is_found_behind_nested_models(keras: Any, saved: Save) -> None:
    layers = keras.layers
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Activation("softmax")])
    given = keras.Input((100, 2))
    pooled = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(given))
    found = structure(saved(keras.Model(given, head(pooled))))
    assert found.outputs[0].activation == "softmax"
    softmax = keras.Model(given, layers.Softmax()(layers.Dense(3)(pooled)))
    assert structure(saved(softmax)).outputs[0].activation == "softmax"


def test_nothing_is_left_behind_in_keras(keras: Any, saved: Save) -> None:
    path = saved(residual_network())
    structure(path)
    with keras.StatelessScope():
        pass  # leaving it would initialise whatever weights were left over
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert layer.kernel.numpy().shape == (3, 2)


def test_receptive_field_adds_up(keras: Any) -> None:
    layers = keras.layers

    def field(*stack: Any) -> int | None:
        given = keras.Input((100, 2))
        hidden = given
        for layer in stack:
            hidden = layer(hidden)
        return receptive_field(keras.Model(given, hidden))

    pool = layers.GlobalAveragePooling1D
    assert field(layers.Conv1D(2, 5), pool()) == 5
    assert field(layers.Conv1D(2, 5), layers.Conv1D(2, 3, dilation_rate=4), pool()) == 13
    assert field(layers.Conv1D(2, 5, strides=2), layers.MaxPooling1D(2), pool()) == 7
    assert field(layers.MaxPooling1D(2), layers.MaxPooling1D(3), pool(), layers.Dense(2)) == 6
    assert field(layers.Conv1D(2, 5), layers.Flatten(), layers.Dense(2)) is None
    assert field(layers.LSTM(2)) is None
    assert field(layers.GroupNormalization(1), pool()) is None
    assert field(layers.Conv1D(2, 5)) is None


def test_a_skip_connection_sees_as_far_as_its_longer_path(keras: Any) -> None:
    layers = keras.layers
    given = keras.Input((100, 2))
    long = layers.Conv1D(2, 9, padding="same")(layers.Conv1D(2, 9, padding="same")(given))
    pooled = layers.GlobalMaxPooling1D()(layers.Add()([given, long]))
    assert receptive_field(keras.Model(given, pooled)) == 17
    gate = layers.Reshape((1, 2))(layers.GlobalAveragePooling1D()(long))
    gated = layers.GlobalMaxPooling1D()(layers.Multiply()([long, gate]))
    assert receptive_field(keras.Model(given, gated)) is None


@pytest.mark.data
def test_the_reference_model_sees_eighty_milliseconds(data_dir: Path) -> None:
    found = structure(data_dir / "reference_model" / "cinc_resnet.keras")
    assert found.receptive_field == 40
    assert found.n_params == 516_379
