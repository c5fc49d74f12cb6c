"""Records unlike the training data: the distance, its file, and where the warning appears."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from ecgxai_core.case import Case
from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import LazyClassifier, load_classifier
from ecgxai_core.models.training_range import (
    UNLIKE,
    fit_range,
    load_range,
    range_path,
    save_range,
    unlike_training,
)
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.pipeline.predict import predict_paths
from ecgxai_core.records.catalogues.entry import Catalogue, Entry
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import Store
from ecgxai_core.training.evaluation import range_of_training
from tests.models.conftest import LEADS, SAMPLES, describe, residual_network
from tests.small import AF, write_data, write_model


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of 400 training records and 300 others."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(6, 6))
    every = (rng.normal(size=(700, 6)) @ mixing + 3).astype(np.float32)
    return every[:400], every[400:]


def test_the_distance_is_that_of_mahalanobis(features: Any) -> None:
    training, others = features
    found = fit_range(training, others, "m", "invented")
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(training.astype(np.float64))
    inverse, mean = np.linalg.inv(covariance), training.astype(np.float64).mean(axis=0)
    expected = [mahalanobis(row.astype(np.float64), mean, inverse) for row in others[:20]]
    np.testing.assert_allclose(found.distance(others[:20]), expected, rtol=1e-9)


def test_one_in_a_hundred_of_those_kept_out_is_called_unlike(features: Any) -> None:
    training, others = features
    found = fit_range(training, others, "m", "invented")
    assert np.sum(found.distance(others) > found.limit) == 3
    far = found.mean + 100 * np.ones(6)
    assert found.distance(far[None].astype(np.float32))[0] > found.limit


def test_a_distance_does_not_depend_on_the_records_beside_it(features: Any) -> None:
    found = fit_range(*features, "m", "invented")
    alone = [found.distance(row[None])[0] for row in features[1]]
    assert np.array(alone).tobytes() == found.distance(features[1]).tobytes()


def test_too_few_records_are_refused(features: Any) -> None:
    with pytest.raises(ModelError, match="too few"):
        fit_range(features[0][:11], features[1], "m", "invented")
    with pytest.raises(ModelError, match="too few"):
        fit_range(features[0], features[1][:99], "m", "invented")


def test_the_file_comes_back_and_is_refused_where_it_is_wrong(
    features: Any, tmp_path: Path
) -> None:
    found, model = fit_range(*features, "m", "invented"), tmp_path / "net.keras"
    assert load_range(model, "m") is None
    path = save_range(found, model)
    assert path == range_path(model)
    again = load_range(model, "m")
    assert again is not None
    assert (again.digest, again.source, again.limit) == (found.digest, "invented", found.limit)
    with pytest.raises(ModelError, match="belongs to another model"):
        load_range(model, "n")
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="checksum"):
        load_range(model, "m")
    save_range(replace(found, mean=found.mean[:-1]), model)
    with pytest.raises(ModelError, match="do not fit"):
        load_range(model, "m")


def test_features_are_what_the_last_dense_layer_takes(tmp_path: Path) -> None:
    model = residual_network()
    model.save(tmp_path / "net.keras")
    classifier = load_classifier(describe(tmp_path / "net.keras"))
    values = np.random.default_rng(0).normal(size=(5, SAMPLES, len(LEADS))).astype(np.float32)
    weight, bias = model.layers[-1].get_weights()
    logit = classifier.features(values) @ weight + bias  # type: ignore[union-attr]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), classifier.predict(values), atol=1e-6)


def test_a_model_that_ends_in_no_dense_layer_has_no_features(tmp_path: Path, keras: Any) -> None:
    given = keras.Input((SAMPLES, len(LEADS)))
    hidden = keras.layers.Conv1D(3, 5, padding="same")(given)
    out = keras.layers.Activation("sigmoid")(keras.layers.GlobalAveragePooling1D()(hidden))
    keras.Model(given, out).save(tmp_path / "net.keras")
    classifier = load_classifier(describe(tmp_path / "net.keras"))
    with pytest.raises(ModelError, match="dense layer"):
        classifier.features(np.zeros((1, SAMPLES, len(LEADS)), np.float32))  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the range of 120 records beside it, 20 of them its training records."""
    folder = tmp_path_factory.mktemp("ranged")
    paths = sorted(write_data(folder / "data", 120).glob("*.hea"))
    entries = [
        Entry(path.stem, path, path.stem, (AF,), fold=1 if place < 20 else 2)
        for place, path in enumerate(paths)
    ]
    model = write_model(folder)
    classifier = load_classifier(model)
    catalogue = Catalogue("invented", tuple(entries))
    found = range_of_training(classifier, catalogue, [1], [2])  # type: ignore[arg-type]
    assert (found.model_digest, len(found.distances)) == (classifier.digest, 100)
    assert found.source == "invented: folds 1; kept out: 2"
    save_range(found, model)
    return model


def test_a_record_ten_times_too_large_is_called_unlike(ranged: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "odd", 1, scale=10)
    usual = write_data(tmp_path / "usual", 1)
    classifier = LazyClassifier(ranged)
    store = Store(tmp_path / "cache", limit_bytes=10**8)
    for _ in range(2):  # computed, then from the cache
        (info,) = predict_paths([tmp_path / "odd"], classifier, store).records
        assert UNLIKE.code in info.input_warnings
        (info,) = predict_paths([usual], classifier, store).records
        assert UNLIKE.code not in info.input_warnings
    params = {"occlusion": ExplainParams()}
    for folder, count in ((tmp_path / "odd", 1), (usual, 0)):
        case = Case(read_record(folder / "T000.hea"), classifier, AF)
        found = explain_case(case, params, store)["occlusion"]
        assert found.warnings.count(UNLIKE) == count


def test_a_range_beside_a_model_makes_other_keys(ranged: Path, tmp_path: Path) -> None:
    for path in (ranged, ranged.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    plain = LazyClassifier(tmp_path / ranged.name)
    known = LazyClassifier(ranged)
    record = read_record(write_data(tmp_path / "data", 1) / "T000.hea")
    assert plain.digest == known.digest
    assert Case(record, plain, AF).key() != Case(record, known, AF).key()


def test_the_features_of_a_record_are_computed_once(
    ranged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier: Any = load_classifier(ranged)
    values = np.random.default_rng(0).normal(0, 1, (3, 600, 12)).astype(np.float32)
    values[1] *= 10
    expected = classifier.training_range.distance(classifier.features(values))
    expected = expected > classifier.training_range.limit
    asked: list[int] = []
    features = classifier.features
    monkeypatch.setattr(classifier, "features", lambda v: asked.append(len(v)) or features(v))
    for rows in ([0, 1], [1, 2, 0], [2]):
        assert np.array_equal(classifier.unlike_training(values[rows]), expected[rows])
    assert asked == [2, 1]
    assert expected[1]


def test_a_classifier_without_a_range_calls_nothing_unlike(tmp_path: Path) -> None:
    classifier = LazyClassifier(write_model(tmp_path))
    values = np.full((2, 600, 12), 1e3, np.float32)
    assert not unlike_training(classifier, values).any()
    assert not unlike_training(object(), values).any()
