"""Loading: what a sound model gives, and that no hostile one gets as far as Keras's state."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.safe import model_file, weights_file
from ecgxai_core.models.safe.model_file import parse_model_file, read_model_file
from ecgxai_core.models.safe.structure import examine
from ecgxai_core.models.safe.weights_file import rewritten
from tests.models.conftest import CLASSES, LEADS, SAMPLES, describe, residual_network
from tests.models.safe import HOSTILE, edit_config, members, zipped

Save = Callable[..., Path]


def rows(n: int, samples: int = SAMPLES) -> Any:
    return np.random.default_rng(0).normal(size=(n, samples, len(LEADS))).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Any:
    return residual_network()


@pytest.fixture(scope="module")
def sound(network: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "sound.keras"
    network.save(path)
    return path.read_bytes()


def keras_state(keras: Any) -> tuple[Any, ...]:
    config = keras.config
    return (
        config.dtype_policy().name,
        config.floatx(),
        config.image_data_format(),
        config.epsilon(),
        dict(keras.saving.get_custom_objects()),
    )


def processor_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


# ---- sound models ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "h5"),
    [("a.keras", False), ("a.h5", True), ("b.keras", True), ("b.h5", False), ("c.model", False)],
)
def test_every_container_predicts_what_keras_predicts(
    network: Any, saved: Save, name: str, h5: bool
) -> None:
    path = saved(network, name, h5)
    before = path.read_bytes()
    classifier = load_classifier(path)
    assert isinstance(classifier, Classifier)
    assert classifier.classes == CLASSES
    values = rows(5)
    found = classifier.predict(values)
    assert found.dtype == np.float32
    assert np.allclose(found, np.asarray(network(values, training=False)), atol=1e-6)
    assert path.read_bytes() == before


def test_layers_that_users_have(keras: Any, saved: Save) -> None:
    layers = keras.layers
    given = keras.Input((SAMPLES, len(LEADS)))
    norm = layers.Normalization()
    norm.adapt(rows(8))
    hidden = layers.Conv1D(4, 5, strides=2, activation="gelu")(norm(given))
    hidden = layers.SeparableConv1D(4, 3)(hidden)
    hidden = layers.MaxPooling1D(2)(layers.LayerNormalization()(hidden))
    hidden = layers.MultiHeadAttention(2, 4)(hidden, hidden)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(hidden)
    hidden = layers.TimeDistributed(layers.Dense(4, kernel_regularizer="l2"))(hidden)
    hidden = layers.GRU(4)(layers.SpatialDropout1D(0.1)(hidden))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="relu")])
    model = keras.Model(given, layers.Dense(3, activation="sigmoid")(inner(hidden)))
    model.compile("adam", "binary_crossentropy")
    values = rows(3)
    wanted = np.asarray(model(values, training=False))
    for name, h5 in (("a.keras", False), ("b.h5", True)):
        found = load_classifier(saved(model, name, h5)).predict(values)
        assert np.allclose(found, wanted, atol=1e-5), name


def test_arithmetic_between_layers(keras: Any, saved: Save) -> None:
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = keras.layers.Conv1D(4, 3)(given * 2.0 - 1.0)
    pooled = keras.ops.mean(keras.ops.relu(hidden), axis=1)
    model = keras.Model(given, keras.layers.Dense(3, activation="softmax")(pooled))
    found = load_classifier(saved(model)).predict(rows(2))
    assert np.allclose(found, np.asarray(model(rows(2))), atol=1e-6)


def test_slow_starts_are_not_computed(
    keras: Any, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = keras.Input((SAMPLES, len(LEADS)))
    turning = keras.layers.LSTM(4, kernel_initializer="orthogonal")(given)
    model = keras.Model(given, keras.layers.Dense(3, activation="sigmoid")(turning))
    paths = [saved(model, "a.keras"), saved(model, "b.h5", True)]

    def forbidden(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("an initial value was computed")

    monkeypatch.setattr(keras.initializers.Orthogonal, "__call__", forbidden)
    for path in paths:
        found = load_classifier(path).predict(rows(2))
        assert np.allclose(found, np.asarray(model(rows(2))), atol=1e-6)


def test_a_model_saved_for_one_batch_size(keras: Any, saved: Save) -> None:
    given = keras.Input(batch_shape=(5, SAMPLES, len(LEADS)))
    pooled = keras.layers.GlobalAveragePooling1D()(given)
    model = keras.Model(given, keras.layers.Dense(3, activation="sigmoid")(pooled))
    classifier = load_classifier(saved(model))
    assert classifier.batch_size == 5
    wanted = np.asarray(model(rows(5), training=False))
    assert np.allclose(classifier.predict(rows(7))[:5], wanted, atol=1e-6)


def test_a_loss_of_the_users_own_does_not_matter(keras: Any, saved: Save, network: Any) -> None:
    def my_loss(y: Any, p: Any) -> Any:
        return keras.ops.mean(y - p)

    model = keras.models.clone_model(network)
    model.set_weights(network.get_weights())
    model.compile("adam", my_loss, metrics=[my_loss])
    assert load_classifier(saved(model)).predict(rows(1)).shape == (1, 3)


def test_keras_2_configuration_of_an_old_h5(keras: Any, tmp_path: Path) -> None:
    import h5py

    model = keras.Sequential(
        [
            keras.Input((SAMPLES, len(LEADS))),
            keras.layers.Conv1D(3, 5, name="conv"),
            keras.layers.GlobalAveragePooling1D(name="pool"),
            keras.layers.Dense(3, activation="sigmoid", name="out"),
        ]
    )
    path = tmp_path / "old.h5"
    model.save(path)
    old = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [
                _old("InputLayer", "in", [], batch_input_shape=[None, SAMPLES, len(LEADS)]),
                _old("Conv1D", "conv", ["in"], filters=3, kernel_size=[5], activation="linear"),
                _old("GlobalAveragePooling1D", "pool", ["conv"]),
                _old("Dense", "out", ["pool"], units=3, activation="sigmoid"),
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["out", 0, 0]],
        },
    }
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(old)
    describe(path)
    found = load_classifier(path).predict(rows(2))
    assert np.allclose(found, np.asarray(model(rows(2))), atol=1e-6)


def _old(class_name: str, name: str, sources: list[str], **config: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {
        "class_name": class_name,
        "name": name,
        "inbound_nodes": nodes,
        "config": {"name": name, "dtype": "float32", **config},
    }


# ---- hostile files ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_models_are_refused(
    name: str, sound: bytes, tmp_path: Path, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, word = HOSTILE[name](sound)
    path = tmp_path / "evil.keras"
    path.write_bytes(data)
    describe(path)
    reached: list[Any] = []
    real = keras.models.load_model
    monkeypatch.setattr(
        keras.models, "load_model", lambda *a, **k: (reached.append(a), real(*a, **k))[1]
    )
    state, memory = keras_state(keras), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = processor_seconds()
    with pytest.raises(ModelError) as caught:
        load_classifier(path)
    spent = processor_seconds() - started
    assert spent < (8 if reached else 2), f"{spent:.1f} s: refused too late"
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert keras_state(keras) == state
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 400_000, "kilobytes"
    # Keras itself sees only files that are sound but for the fit of their weights
    assert not reached or name in {"wrong_shape", "missing_weights", "emptied_layer"}


def test_random_damage_never_gives_a_model_or_another_error(
    sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "rewritten", lambda data, name, skip: data)  # no child: faster
    rng = np.random.default_rng(1)
    config = members(sound)["config.json"]
    for _ in range(60):
        data = bytearray(sound)
        for at in rng.integers(0, len(data), 4):
            data[at] = rng.integers(0, 256)
        with pytest.raises(ModelError):
            parse_model_file(bytes(data), "x.keras", "")
        damaged = bytearray(config)
        damaged[rng.integers(0, len(damaged))] = rng.integers(32, 127)
        parts = {**members(sound), "config.json": bytes(damaged)}
        try:
            file = parse_model_file(zipped(parts), "x.keras", "")
            examine(file)
        except ModelError:
            pass


def test_a_file_that_kills_its_reader_kills_only_the_child(
    sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attribute heap pointers turned into nonsense end processes, or take all memory."""
    weights = members(sound)["model.weights.h5"]
    rewritten(weights, "x.keras", ())
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    real = subprocess.run

    def crash(command: list[str], **how: Any) -> Any:
        return real([command[0], "-c", script], **how)

    monkeypatch.setattr(weights_file.subprocess, "run", crash)
    with pytest.raises(ModelError, match="damaged"):
        rewritten(weights, "x.keras", ())


def test_random_damage_of_an_h5_never_ends_this_process(
    network: Any, saved: Save, tmp_path: Path
) -> None:
    sound_h5 = saved(network, "x.h5", h5=True).read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(3):
        data = bytearray(sound_h5)
        for at in rng.integers(8, 4000, 12):
            data[at] = rng.integers(0, 256)
        with contextlib.suppress(ModelError):
            parse_model_file(bytes(data), "x.h5", "")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.keras")
    for name in ("absent.keras", "pipe.keras", ".", "a\0b.keras"):
        with pytest.raises(ModelError):
            load_classifier(tmp_path / name)


def test_a_file_over_the_limit_is_refused(
    sound: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecgxai_core import settings

    path = tmp_path / "big.keras"
    path.write_bytes(sound)
    monkeypatch.setenv("ECGXAI_MAX_MODEL_MB", "0.001")
    settings.settings.cache_clear()
    try:
        with pytest.raises(ModelError, match="larger"):
            read_model_file(path)
    finally:
        monkeypatch.undo()
        settings.settings.cache_clear()


def test_an_h5_is_walked_as_strictly(keras: Any, saved: Save, network: Any) -> None:
    import h5py

    path = saved(network, "x.h5", h5=True)
    sound_h5 = path.read_bytes()
    changes: dict[str, Callable[[dict[str, Any]], None]] = {
        "Lambda": lambda c: c["config"]["layers"][1].update(class_name="Lambda"),
        "larger": lambda c: c["config"]["layers"][-1]["config"].update(units=10**9),
        "float16": lambda c: c["config"]["layers"][1]["config"].update(dtype="float16"),
        "TypeSpec": lambda c: c["config"].update(name={"class_name": "TypeSpec"}),
    }
    for word, change in changes.items():
        stream = io.BytesIO(sound_h5)
        with h5py.File(stream, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        path.write_bytes(stream.getvalue())
        describe(path)
        with pytest.raises(ModelError, match=word):
            load_classifier(path)


# ---- manifest against model ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("SHA-256", {"sha256": "0" * 64}),
        ("input", {"samples": 200}),
        ("input", {"leads": ["I", "II", "III"]}),
        ("classes", {"classes": ["1", "2"]}),
        ("sigmoid", {"output": "logit"}),
        ("not one of the model's outputs", {"outputs": {"probability": "nothing"}}),
    ],
)
def test_a_manifest_of_another_model_is_refused(
    word: str, changes: dict[str, Any], network: Any, saved: Save
) -> None:
    with pytest.raises(ModelError, match=word):
        load_classifier(saved(network, **changes))


def test_a_model_without_manifest_is_refused(sound: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.keras").write_bytes(sound)
    with pytest.raises(ModelError, match="manifest"):
        load_classifier(tmp_path / "a.keras")


def test_several_inputs_are_refused(keras: Any, saved: Save) -> None:
    ecg, age = keras.Input((SAMPLES, 2)), keras.Input((1,))
    pooled = keras.layers.GlobalAveragePooling1D()(ecg)
    joined = keras.layers.Concatenate()([pooled, age])
    model = keras.Model([ecg, age], keras.layers.Dense(3, activation="sigmoid")(joined))
    with pytest.raises(ModelError, match="2 inputs"):
        load_classifier(saved(model))


def test_leads_first_are_turned(keras: Any, saved: Save) -> None:
    given = keras.Input((2, SAMPLES))
    turned = keras.layers.Permute((2, 1))(given)
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 3)(turned))
    model = keras.Model(given, keras.layers.Dense(3, activation="sigmoid")(hidden))
    classifier = load_classifier(saved(model))
    values = rows(3)
    wanted = np.asarray(model(values.transpose(0, 2, 1)))
    assert np.allclose(classifier.predict(values), wanted, atol=1e-6)
    kinds = [type(layer).__name__ for layer in classifier.keras_model.layers]
    assert "Permute" not in kinds, "two that undo each other"


def test_values_that_are_no_probabilities_are_refused(keras: Any, saved: Save) -> None:
    given = keras.Input((SAMPLES, 2))
    hidden = keras.layers.GlobalAveragePooling1D()(given)
    linear = keras.Model(given, keras.layers.Dense(3)(hidden))
    with pytest.raises(ModelError, match="linear"):
        load_classifier(saved(linear))
    relu = keras.layers.Dense(3, activation="relu", bias_initializer="ones")(hidden)
    with pytest.raises(ModelError, match="outside"):
        load_classifier(saved(keras.Model(given, 5 * relu), "b.keras"))


def test_an_unbuilt_model_is_refused(keras: Any, saved: Save) -> None:
    model = keras.Sequential([keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)])
    with pytest.raises(ModelError, match="input"):
        load_classifier(saved(model))


def test_attention_outputs_need_their_names(keras: Any, saved: Save) -> None:
    given = keras.Input((SAMPLES, 2))
    weights = keras.layers.Softmax(axis=1, name="where")(keras.layers.Dense(1)(given))
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Multiply()([given, weights]))
    out = keras.layers.Dense(3, activation="sigmoid", name="classes")(pooled)
    values = rows(3)
    for outputs, names in (
        ([weights, out], ("where", "classes")),
        ({"p": out, "w": weights}, "wp"),
    ):
        model = keras.Model(given, outputs)
        with pytest.raises(ModelError, match="2 outputs"):
            load_classifier(saved(model))
        roles = {"probability": names[1], "attention": [names[0]]}
        classifier = load_classifier(saved(model, outputs=roles))
        results = keras.tree.flatten(model(values))
        wanted = next(np.asarray(r) for r in results if r.ndim == 2)
        assert np.allclose(classifier.predict(values), wanted, atol=1e-6)
        attention = classifier.attention(values)
        assert attention[names[0]].shape == (3, SAMPLES, 1)
        assert np.allclose(attention[names[0]].sum(axis=1), 1, atol=1e-5)


def test_a_changed_configuration_is_another_model(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    path.write_bytes(sound)
    first = load_classifier(describe(path)).digest
    assert load_classifier(describe(path)).digest == first
    assert load_classifier(describe(path, crop="end")).digest != first
    path.write_bytes(edit_config(sound, lambda c: None))
    assert load_classifier(describe(path)).digest != first
