"""A network that sees a window, over a record: one model, the same as by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

import ecgxai_core as ecgxai
from ecgxai_core.errors import ExplanationError, ModelError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.locality import NotLocal
from ecgxai_core.models.windows import combined
from tests.models.conftest import LEADS, SAMPLES, residual_network

Save = Callable[..., Path]
WINDOWS = {"samples": SAMPLES, "step": SAMPLES // 2}
LONG = 3 * SAMPLES
AF = "164889003"


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {kind: residual_network(kind) for kind in ("linear", "sigmoid", "softmax")}


def by_hand(network: Any, rows: Any, transform: Callable[[Any], Any], combine: str) -> Any:
    parts = [
        transform(np.asarray(network(rows[:, k : k + SAMPLES]), dtype=np.float64))
        for k in range(0, LONG - SAMPLES + 1, SAMPLES // 2)
    ]
    return np.max(parts, axis=0) if combine == "max" else np.mean(parts, axis=0)


@pytest.mark.parametrize(
    ("ends_in", "output", "combine"),
    [
        ("linear", "logit", "max"),
        ("linear", "logit", "mean"),
        ("linear", "softmax", "mean"),
        ("sigmoid", "probability", "max"),
        ("softmax", "probability", "max"),
    ],
)
def test_the_same_as_window_by_window(
    networks: dict[str, Any], saved: Save, ends_in: str, output: str, combine: str
) -> None:
    network = networks[ends_in]
    given = {"samples": LONG, "windows": {**WINDOWS, "combine": combine}, "output": output}
    classifier = load_classifier(saved(network, **given))
    rows = np.random.default_rng(0).normal(size=(3, LONG, len(LEADS))).astype(np.float32)
    to_probability = {"logit": expit, "softmax": lambda x: softmax(x, axis=1)}
    transform = to_probability.get(output, lambda x: x)
    wanted = by_hand(network, rows, transform, combine)
    found = classifier.predict(rows)
    assert np.allclose(found, wanted, atol=1e-6)
    assert classifier.is_softmax == (output == "softmax")
    raw = np.stack([
        np.asarray(network(rows[:1, k : k + SAMPLES]))[0] for k in classifier.manifest.window_starts
    ])  # fmt: skip
    joined = combined(raw, classifier.manifest)
    inside = expit(joined) if classifier.manifest.combined_output == "logit" else joined
    assert np.allclose(inside, wanted[0], atol=1e-6)


def test_it_is_explained_as_one_model(networks: dict[str, Any], saved: Save) -> None:
    given = {"samples": LONG, "windows": {**WINDOWS, "combine": "max"}, "output": "logit"}
    path = saved(networks["linear"], **given)
    classifier = load_classifier(path)
    assert isinstance(classifier.local_part(), NotLocal)
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=3)
    model = ecgxai.load_model(path)
    maps = ecgxai.explain(
        record, model, AF, ["timeshap", "input_x_gradient", "occlusion"],
        window_sec=0.5, n_coalitions=32, n_lead_coalitions=16, top_events=2,
    )  # fmt: skip
    assert all(item.edges_sec[-1] == 3 for item in maps.values())
    assert all(np.isfinite(item.weights[item.explored]).all() for item in maps.values())
    # the gradient is that of the window with the largest logit
    rows = ecgxai_input(record, classifier)
    logits = np.stack([
        np.asarray(networks["linear"](rows[None, k : k + SAMPLES]))[0, 1]
        for k in classifier.manifest.window_starts
    ])  # fmt: skip
    first = classifier.manifest.window_starts[int(logits.argmax())] / SAMPLES
    weights, edges = maps["input_x_gradient"].weights, maps["input_x_gradient"].edges_sec
    outside = (edges[1:] <= first) | (edges[:-1] >= first + 1)
    assert np.abs(weights[:, outside]).max() == 0
    assert np.abs(weights[:, ~outside]).max() > 0
    with pytest.raises(ExplanationError, match="windows"):
        ecgxai.explain(record, model, AF, "grad_cam", window_sec=0.5)


def ecgxai_input(record: Any, classifier: Any) -> Any:
    from ecgxai_core.models.preprocess import prepare

    return prepare(record, classifier.manifest).values


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("cover", {"windows": {"samples": SAMPLES, "step": 70, "combine": "max"}}),
        ("cover", {"windows": {"samples": SAMPLES, "step": 2 * SAMPLES, "combine": "max"}}),
        ("cover", {"windows": {"samples": LONG + 1, "step": 1, "combine": "max"}}),
        ("at most", {"windows": {"samples": SAMPLES, "step": 1, "combine": "max"}}),
        ("combine", {"windows": {**WINDOWS, "combine": "median"}}),
        ("input", {"windows": {"samples": 60, "step": 30, "combine": "max"}}),
    ],
)
def test_windows_that_do_not_fit_are_refused(
    word: str, changes: dict[str, Any], networks: dict[str, Any], saved: Save
) -> None:
    with pytest.raises(ModelError, match=word):
        load_classifier(saved(networks["sigmoid"], samples=LONG, **changes))
