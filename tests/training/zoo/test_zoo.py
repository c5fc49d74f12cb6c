"""Every architecture builds, depends only on its seed, learns, and passes the safe loader."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import Manifest, OutputNames
from ecgxai_core.training.zoo import ARCHITECTURES, Options, Shape, build, receptive_field
from ecgxai_core.types import STANDARD_LEADS

SHAPE = Shape(96, 12, 3)
SMALL = {
    "resnet1d": Options(filters=(4, 6), kernels=((5, 3),)),
    "inception1d": Options(filters=(3, 3, 3), kernels=((9, 5),)),
    "xresnet1d": Options(filters=(4, 4), kernels=((5,),), blocks=(1, 2)),
    "rhythm": Options(filters=(4, 6), kernels=((5,), (3, 3)), units=4),
    "cnn": Options(filters=(4, 6), kernels=((5,),)),
    "cnn_lstm": Options(filters=(4, 6), kernels=((5,),), units=4),
    "cnn_bilstm": Options(filters=(4, 6), kernels=((5,),), units=4),
    "cnn_gru": Options(filters=(4, 6), kernels=((5,),), units=4),
    "lstm": Options(units=6),
    "lead_attention": Options(filters=(4, 6), kernels=((5,), (3, 3)), units=6, dropout=0.1),
}


def probability(outputs: Any) -> Any:
    return outputs["probability"] if isinstance(outputs, dict) else outputs


def signals(n: int = 8) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 0.5, (n, 96, 12)).astype(np.float32)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_initial_weights_depend_only_on_the_seed(name: str) -> None:
    np.random.seed(99)  # noqa: NPY002 - the global generator must have no effect
    first = build(name, SHAPE, SMALL[name], 5).get_weights()
    build("cnn", SHAPE, SMALL["cnn"], 1)
    again = build(name, SHAPE, SMALL[name], 5).get_weights()
    other = build(name, SHAPE, SMALL[name], 6).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_few_steps_lower_the_loss(name: str) -> None:
    import keras
    import tensorflow as tf

    model = build(name, SHAPE, SMALL[name], 1)
    x = signals()
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    x[:, :, 0] += 2 * targets[:, :1]
    optimiser = keras.optimizers.Adam(0.02)
    losses = []
    for _ in range(6):
        with tf.GradientTape() as tape:
            p = probability(model(x, training=False))
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(targets, p))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        assert all(g is not None for g in gradients), "a part of the model is not connected"
        optimiser.apply_gradients(zip(gradients, variables, strict=True))
        losses.append(float(loss))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_safe_loader_accepts_the_model_and_predicts_the_same(name: str, tmp_path: Path) -> None:
    model = build(name, SHAPE, SMALL[name], 2)
    path = tmp_path / "m.keras"
    model.save(path)
    several = isinstance(model.output, dict)
    attention = ("temporal_attention", "lead_attention") if several else ()
    manifest = Manifest(
        classes=("NORM", "MI", "426783006"),
        fs=100.0,
        samples=96,
        leads=STANDARD_LEADS,
        units="mV",
        pad="end_zero",
        crop="start",
        output="probability",
        source="test",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        outputs=OutputNames(probability="probability", attention=attention) if several else None,
    )
    loaded = load_classifier(path, manifest)
    wanted = probability(model(signals(), training=False)).numpy()
    assert np.allclose(loaded.predict(signals()), wanted, atol=1e-5)


def test_attention_sums_to_one() -> None:
    outputs = build("lead_attention", SHAPE, SMALL["lead_attention"], 2)(signals(), training=False)
    steps, leads = outputs["temporal_attention"].numpy(), outputs["lead_attention"].numpy()
    assert steps.shape == (8, 12, 12)
    assert np.allclose(steps.sum(axis=1), 1, atol=1e-5)
    assert leads.shape == (8, 12)
    assert np.allclose(leads.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet1d", "lead_attention"])
def test_models_of_free_and_fixed_length_have_the_same_weights(name: str) -> None:
    free = build(name, Shape(None, 12, 3), SMALL[name], 5)
    fixed = build(name, SHAPE, SMALL[name], 5)
    assert [w.shape for w in free.get_weights()] == [w.shape for w in fixed.get_weights()]
    assert probability(free(signals()[:, :40], training=False)).shape == (8, 3)


def test_the_receptive_field_of_the_residual_network_is_as_stated() -> None:
    """Measured as the span of features before pooling that one changed sample affects."""
    import keras

    options = SMALL["resnet1d"]
    model = build("resnet1d", SHAPE, options, 3)
    features = keras.Model(model.input, model.get_layer("block2_relu").output)
    x = signals(1)
    changed = x.copy()
    changed[0, 48, 0] += 50
    moved = np.any(features(x).numpy() != features(changed).numpy(), axis=(0, 2))
    span = np.flatnonzero(moved)
    assert span[-1] - span[0] + 1 <= receptive_field("resnet1d", options) == 13
    assert span[-1] - span[0] + 1 >= 9
    assert receptive_field("resnet1d") == 40, "three blocks of 8, 5, 3 as published"


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ParameterError, match="not in the zoo"):
        build("transformer", SHAPE)
