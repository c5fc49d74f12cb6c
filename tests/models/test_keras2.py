"""Files of Keras 2: what they predicted there, from the file as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.safe.keras2 import as_keras_3
from ecgxai_core.models.safe.model_file import read_model_file
from ecgxai_core.types import STANDARD_LEADS
from tests.models.conftest import CLASSES, LEADS, SAMPLES, describe
from tests.models.safe.making import members, zipped

CASES = Path(__file__).parents[1] / "cases" / "models"
WANTED: dict[str, list[list[float]]] = json.loads((CASES / "keras2_outputs.json").read_text())
"""What tf_keras 2.21 gives for the rows below."""
CODES = ("426783006", "164889003", "427084000", "426177001", "164909002")


@pytest.mark.parametrize("path", sorted(CASES.glob("k2_*.*")), ids=lambda path: path.name)
def test_the_same_output_as_in_keras_2(path: Path, tmp_path: Path) -> None:
    wanted = np.array(WANTED[path.stem])
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    classes = list(CODES[: wanted.shape[1]])
    describe(copy, classes=classes, samples=1000, leads=list(STANDARD_LEADS))
    rows = np.random.default_rng(0).normal(size=(3, 1000, 12)).astype(np.float32)
    assert np.allclose(load_classifier(copy).predict(rows), wanted, atol=1e-6)


def layer(kind: str, nodes: Any = (), **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "it", **config}, "inbound_nodes": nodes}


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (layer("LSTM", time_major=True), "time_major"),
        (layer("SeparableConv1D", groups=2), "groups"),
        (layer("BatchNormalization", renorm=True), "renorm"),
        (layer("TFOpLambda", [["a", 0, 0, {}]], function="io.read_file"), "io.read_file"),
        (layer("TFOpLambda", function=["math.add"]), "TFOpLambda"),
        (layer("TFOpLambda", [["a", 0, 0, {"y": 0.0}]], function="math.truediv"), "truediv"),
        (layer("TFOpLambda", [["a", 0, 0, {"axis": 0}]], function="math.reduce_mean"), "reduce"),
        (layer("TFOpLambda", "nonsense", function="math.add"), "math.add"),
    ],
)
def test_what_keras_3_cannot_do_is_refused_by_name(found: dict[str, Any], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        as_keras_3({"class_name": "Functional", "config": {"layers": [found]}}, "x.h5")


@pytest.mark.parametrize(
    ("function", "node", "kind", "config"),
    [
        ("math.multiply", ["a", 0, 0, {"y": 2.5}], "Rescaling", {"scale": 2.5, "offset": 0.0}),
        ("math.subtract", ["a", 0, 0, {"y": 2}], "Rescaling", {"scale": 1.0, "offset": -2.0}),
        (
            "math.subtract",
            ["_CONSTANT_VALUE", -1, 1, {"y": ["a", 0, 0]}],
            "Rescaling",
            {"scale": -1.0, "offset": 1.0},
        ),
        ("math.truediv", ["a", 0, 0, {"y": 4}], "Rescaling", {"scale": 0.25, "offset": 0.0}),
        ("nn.relu", ["a", 0, 0, {}], "Activation", {"activation": "relu"}),
        ("transpose", ["a", 0, 0, {"perm": [0, 2, 1]}], "Permute", {"dims": [2, 1]}),
        ("reshape", ["a", 0, 0, {"shape": [-1, 4, 3]}], "Reshape", {"target_shape": [4, 3]}),
        ("math.reduce_max", ["a", 0, 0, {"axis": 1}], "GlobalMaxPooling1D", {"keepdims": False}),
    ],
)
def test_plain_operators_become_layers(
    function: str, node: list[Any], kind: str, config: dict[str, Any]
) -> None:
    given = layer("TFOpLambda", [node], function=function)
    found = as_keras_3({"class_name": "Functional", "config": {"layers": [given]}}, "x.h5")
    (made,) = found["config"]["layers"]
    assert (made["class_name"], made["config"]) == (kind, {"name": "it", **config})
    ((source, *_),) = made["inbound_nodes"][0]
    assert source == "a"


def test_a_sequential_of_an_old_kind_gets_its_input() -> None:
    old = {"name": "conv", "batch_input_shape": [None, 100, 2], "filters": 3}
    given = {"class_name": "Sequential", "config": {"layers": [
        {"class_name": "Conv1D", "config": old}]}}  # fmt: skip
    first, second = as_keras_3(given, "x.h5")["config"]["layers"]
    assert first["config"]["batch_input_shape"] == [None, 100, 2]
    assert second["config"] == {"name": "conv", "filters": 3}


def test_a_sum_of_different_ranks_is_refused(tmp_path: Path) -> None:
    """TensorFlow lines axes up from the last, the layer Add from the first."""
    import h5py

    copy = tmp_path / "k2.h5"
    copy.write_bytes((CASES / "k2_oplambda.h5").read_bytes())
    with h5py.File(copy, "a") as file:
        config = json.loads(file.attrs["model_config"])
        parts = {part["name"]: part for part in config["config"]["layers"]}
        mean, added = parts["tf.math.reduce_mean"], parts["tf.__operators__.add"]
        mean["inbound_nodes"] = [["conv1d_15", 0, 0, {"axis": 1}]]
        added["inbound_nodes"] = [["conv1d_15", 0, 0, {"y": ["tf.math.reduce_mean", 0, 0]}]]
        last = parts["dense_6"]
        last["inbound_nodes"] = [[["tf.__operators__.add", 0, 0, {}]]]
        file.attrs["model_config"] = json.dumps(config)
    describe(copy, classes=list(CODES[:4]), samples=1000, leads=list(STANDARD_LEADS))
    with pytest.raises(ModelError, match="different ranks"):
        load_classifier(copy)


@pytest.mark.parametrize("h5", [True, False])
@pytest.mark.parametrize("version", ["2.2.4", "2.15.0", ""])
@pytest.mark.parametrize("gates", [True, False])
def test_hard_sigmoid_is_another_function_before_keras_3(
    keras: Any, saved: Callable[..., Path], h5: bool, version: str, gates: bool
) -> None:
    """0.2 x + 0.5 there, x / 6 + 0.5 here; the gates of LSTM had it by default up to 2.2."""
    layers, given = keras.layers, keras.Input((SAMPLES, len(LEADS)))
    own = {"recurrent_activation": "hard_sigmoid"} if gates else {}
    hidden = layers.LSTM(3, name="hard_sigmoid", **own)(given)
    path = saved(keras.Model(given, layers.Dense(len(CLASSES), "sigmoid")(hidden)), h5=h5)
    assert read_model_file(path).kind == ("h5" if h5 else "keras")
    _of_version(path, version)
    if not gates:
        read_model_file(path)
        return
    with pytest.raises(ModelError, match="recurrent_activation is hard_sigmoid") as refused:
        read_model_file(path)
    assert "layer 'hard_sigmoid'" in str(refused.value)
    assert "ONNX" in str(refused.value)
    assert version in str(refused.value)


def _of_version(path: Path, version: str) -> None:
    """The file as if another Keras had saved it; empty = it does not say which."""
    import h5py

    if path.read_bytes().startswith(b"PK"):
        parts = members(path.read_bytes())
        metadata = {"keras_version": version} if version else {}
        path.write_bytes(zipped({**parts, "metadata.json": json.dumps(metadata).encode()}))
        return
    with h5py.File(path, "a") as file:
        if version:
            file.attrs["keras_version"] = version
        else:
            del file.attrs["keras_version"]
