"""Masked records: made on the device they give the bytes that they give when made before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.protocol import Masking
from tests.models.conftest import LEADS, SAMPLES, residual_network

Save = Callable[..., Path]
EDGES = np.array([5, 20, 50, SAMPLES - 10])


@pytest.fixture
def classifier(saved: Save) -> KerasClassifier:
    return load_classifier(saved(residual_network()))


def masking(edges: Any = EDGES) -> Masking:
    rng = np.random.default_rng(0)
    values, baseline = rng.normal(size=(2, SAMPLES, len(LEADS))).astype(np.float32)
    return Masking(values, baseline, edges)


def coalitions(n: int, n_segments: int = 3, seed: int = 1) -> Any:
    return np.random.default_rng(seed).random((n, len(LEADS), n_segments)) < 0.5


def test_every_sample_belongs_to_its_segment_or_to_none() -> None:
    column = masking().column
    assert column[[0, 4, 5, 19, 20, 49, 50]].tolist() == [3, 3, 0, 0, 1, 1, 2]
    assert column[[SAMPLES - 11, SAMPLES - 10, SAMPLES - 1]].tolist() == [2, 3, 3]


def test_cells_come_from_the_baseline_and_padding_stays() -> None:
    given, keep = masking(), coalitions(6)
    for made, row in zip(given.signals(keep), keep, strict=True):
        assert np.array_equal(made[:5], given.values[:5])
        assert np.array_equal(made[-10:], given.values[-10:])
        for lead in range(len(LEADS)):
            source = given.values if row[lead, 1] else given.baseline
            assert np.array_equal(made[20:50, lead], source[20:50, lead])


@pytest.mark.parametrize("n", [1, 3, 16, 17, 40, 61])
def test_the_same_bytes_on_the_device(classifier: KerasClassifier, n: int) -> None:
    given, keep = masking(), coalitions(n)
    expected = classifier.predict(given.signals(keep))
    assert classifier.predict_masked(given, keep).tobytes() == expected.tobytes()
    graphs = [graph for graph in classifier._masked.values() if graph is not None]
    assert len(graphs) == 1, "the device was really used"


@pytest.mark.parametrize("n_segments", [1, 3, 4, 7, 8, 31, 32])
def test_any_number_of_segments(classifier: KerasClassifier, n_segments: int) -> None:
    given = masking(np.linspace(0, SAMPLES, n_segments + 1).astype(int))
    keep = coalitions(20, n_segments)
    found = classifier.predict_masked(given, keep)
    assert found.tobytes() == classifier.predict(given.signals(keep)).tobytes()


def test_a_device_that_gives_other_bytes_is_not_used(
    classifier: KerasClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = classifier._run_masked
    monkeypatch.setattr(classifier, "_run_masked", lambda *given: run(*given) + np.float32(1e-7))
    given, keep = masking(), coalitions(40)
    found = classifier.predict_masked(given, keep)
    assert found.tobytes() == classifier.predict(given.signals(keep)).tobytes()
