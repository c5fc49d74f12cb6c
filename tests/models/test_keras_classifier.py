"""Prediction: the same bytes whatever stands beside a record, calibration, and the reference."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core.errors import ModelError
from ecgxai_core.models import keras_runtime
from ecgxai_core.models.keras_classifier import KerasClassifier, calibrated
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from tests.models.conftest import LEADS, SAMPLES, residual_network
from tests.models.test_preprocess import manifest

Save = Callable[..., Path]


def rows(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, SAMPLES, len(LEADS))).astype(np.float32)


@pytest.fixture
def classifier(saved: Save) -> KerasClassifier:
    return load_classifier(saved(residual_network()))


# ---- repeatable ------------------------------------------------------------------------------


def test_a_row_gives_the_same_bytes_in_any_company(classifier: KerasClassifier) -> None:
    values = rows(70)
    whole = classifier.predict(values)
    order = np.random.default_rng(1).permutation(70)
    assert classifier.predict(values[order]).tobytes() == whole[order].tobytes()
    for n in (1, 2, 31, 32, 33, 64):
        assert classifier.predict(values[:n]).tobytes() == whole[:n].tobytes()
    assert classifier.predict(values[50:51]).tobytes() == whole[50:51].tobytes()
    assert classifier.predict(values[:0]).shape == (0, 3)


def test_a_network_whose_sums_depend_on_the_place_gives_the_same_bytes_too(
    keras: Any, saved: Save
) -> None:
    """Wide products and recurrent layers, which some processors compute by blocks of rows."""
    layers = keras.layers
    given_ = keras.Input((SAMPLES, len(LEADS)))
    wide = layers.Dense(40, activation="relu")(layers.Flatten()(given_))
    turning = layers.GRU(8)(layers.Conv1D(4, 5)(given_))
    joined = layers.Concatenate()([wide, turning])
    path = saved(keras.Model(given_, layers.Dense(3, activation="sigmoid")(joined)))
    values = rows(40)
    whole = load_classifier(path).predict(values)
    other = load_classifier(path)
    for part in (slice(0, 1), slice(3, 5), slice(7, 20), slice(0, 17), slice(39, 40)):
        assert other.predict(values[part]).tobytes() == whole[part].tobytes()
    assert np.allclose(whole, other.keras_model.predict(values, verbose=0), atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_a_few_rows_give_the_bytes_of_many(saved: Save, seed: int) -> None:
    """Last digits of single rows differ from those of batches on some processors, if rarely."""
    loaded = load_classifier(saved(residual_network(), source=f"model {seed}"))
    values = rows(48, seed)
    whole = loaded.predict(values)
    alone = np.concatenate([loaded.predict(values[row : row + 1]) for row in range(48)])
    assert alone.tobytes() == whole.tobytes()


CHILD = """
import hashlib, sys
import numpy as np
from ecgxai_core.models.loading import load_classifier
values = np.random.default_rng(0).normal(size=(9, {samples}, {leads})).astype(np.float32)
found = load_classifier(sys.argv[1]).predict(values)
print(hashlib.sha256(found.tobytes()).hexdigest())
"""


def test_another_process_gives_the_same_bytes(classifier: KerasClassifier, tmp_path: Path) -> None:
    wanted = hashlib.sha256(classifier.predict(rows(9)).tobytes()).hexdigest()
    code = CHILD.format(samples=SAMPLES, leads=len(LEADS))
    path = str(tmp_path / "tiny.keras")
    child = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
    )
    assert child.stdout.strip() == wanted
    assert child.stderr == ""


def test_a_model_that_is_random_at_prediction_is_refused(classifier: KerasClassifier) -> None:
    class Dice:
        def __call__(self, batch: Any, training: bool) -> Any:
            import tensorflow as tf

            return tf.random.uniform((batch.shape[0], 3))

    with pytest.raises(ModelError, match="another result each time"):
        KerasClassifier(Dice(), classifier.manifest, classifier.structure, 0, "dice.keras")


def test_a_model_that_looks_at_its_neighbours_goes_singly(classifier: KerasClassifier) -> None:
    class Neighbours:
        def __call__(self, batch: Any, training: bool) -> Any:
            import tensorflow as tf

            place = tf.cast(tf.range(batch.shape[0]), tf.float32)[:, None]
            return tf.sigmoid(batch[:, 0, :1] + 0.01 * place) * tf.ones((1, 3))

    found = KerasClassifier(Neighbours(), classifier.manifest, classifier.structure, 0, "n.keras")
    assert found.batch_size == 1
    same = np.repeat(rows(1), 3, axis=0)
    assert len({row.tobytes() for row in found.predict(same)}) == 1


def test_wrong_inputs_are_refused(classifier: KerasClassifier) -> None:
    for bad in (rows(2)[0], rows(2)[:, :50], rows(2).transpose(0, 2, 1), rows(2).astype(float)):
        with pytest.raises(ModelError, match="prepare"):
            classifier.predict(bad)
    with pytest.raises(ModelError, match="outside"):
        classifier.predict(np.full_like(rows(1), np.nan))


# ---- calibration -----------------------------------------------------------------------------


def test_logits_become_probabilities(saved: Save) -> None:
    network = residual_network("linear")
    values = rows(4)
    logits = np.asarray(network(values, training=False), np.float64)
    plain = load_classifier(saved(network, output="logit"))
    assert np.allclose(plain.predict(values), 1 / (1 + np.exp(-logits)), atol=1e-6)
    soft = load_classifier(saved(network, "t.keras", output="logit", temperature=2.5))
    assert np.allclose(soft.predict(values), 1 / (1 + np.exp(-logits / 2.5)), atol=1e-6)


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5),
    st.sampled_from([0.5, 1.0, 2.0, 10.0]),
)
def test_temperature_of_probabilities(given_: list[float], temperature: float) -> None:
    raw = np.array([given_], np.float32)
    found = calibrated(raw, manifest(temperature=temperature))
    assert np.all((found >= 0) & (found <= 1))
    if temperature == 1:
        assert found.tobytes() == raw.tobytes()
    with np.errstate(divide="ignore"):
        odds = (raw.astype(float) / (1 - raw.astype(float))) ** (1 / temperature)
    wanted = np.where(np.isinf(odds), 1, odds / (1 + np.where(np.isinf(odds), 0, odds)))
    assert np.allclose(found, wanted, atol=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=5), st.sampled_from([0.01, 0.5, 3.0]))
def test_temperature_of_a_softmax_stays_a_distribution(
    logits: list[float], temperature: float
) -> None:
    z = np.array([logits])
    softmax = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    found = calibrated(softmax.astype(np.float32), manifest(temperature=temperature), True)
    assert np.isclose(found.sum(), 1, atol=1e-5)
    scaled = z / temperature
    wanted = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
    assert np.allclose(found, wanted, atol=1e-3)


# ---- runtime ---------------------------------------------------------------------------------


def test_arithmetic_below_float32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    with pytest.raises(ModelError, match="precision"):
        keras_runtime._check_environment()


def test_a_change_of_keras_is_undone_and_refused(keras: Any) -> None:
    def poison(keras: Any) -> None:
        keras.config.set_floatx("float16")
        keras.config.set_dtype_policy("mixed_float16")
        keras.saving.get_custom_objects()["evil"] = object

    with pytest.raises(ModelError, match="whole process"):
        keras_runtime.isolated("bad.keras", "model", "load", poison)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert "evil" not in keras.saving.get_custom_objects()


def test_heavy_libraries_wait_for_the_first_model() -> None:
    code = (
        "import sys, ecgxai_core.models.loading;"
        "print([m for m in ('keras', 'tensorflow', 'h5py', 'scipy.signal') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


# ---- the reference model ---------------------------------------------------------------------


@pytest.mark.data
def test_reference_model_repeats_the_published_probabilities(data_dir: Path) -> None:
    from ecgxai_core.records import read_record

    reference = load_classifier(data_dir / "reference_model" / "cinc_resnet.keras")
    folder = data_dir / "cinc2020_sample"
    with (folder / "reference_probabilities.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == 50
    inputs = [prepare(read_record(folder / row["record"]), reference.manifest) for row in table]
    found = reference.predict(np.stack([one.values for one in inputs]))
    wanted = np.array([[float(row[code]) for code in reference.classes] for row in table])
    assert np.abs(found - wanted).max() < 1e-5
    assert reference.structure.n_params == 516_379
    assert all(not one.zero.any() for one in inputs)
