"""Drafts: what a file can say is right, and what it cannot is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import draft_manifest, load_classifier
from ecgxai_core.models.manifest import load_manifest, manifest_from_json
from tests.models.conftest import manifest_values, residual_network

Save = Callable[..., Path]


def test_a_draft_asks_for_what_the_file_cannot_say(saved: Save) -> None:
    path = saved(residual_network())
    draft = draft_manifest(path)
    assert draft["samples"] == 100
    assert len(draft["leads"]) == 2
    assert len(draft["classes"]) == 3
    assert draft["output"] == "probability"
    assert draft["sha256"] == load_manifest(path.with_suffix(".json")).sha256
    with pytest.raises(ModelError) as caught:
        manifest_from_json(json.dumps(draft).encode())
    open_fields = "classes, crop, filter, fs, leads, normalisation.kind, pad, source, units"
    assert caught.value.field == open_fields


def test_a_draft_that_is_filled_in_works(saved: Save) -> None:
    path = saved(residual_network("linear"), "own.h5", h5=True)
    draft = draft_manifest(path)
    assert draft["output"].startswith("FILL IN"), "logits of which kind, no file can say"
    answers = manifest_values()
    for field in ("classes", "fs", "leads", "units", "pad", "crop", "source"):
        draft[field] = answers[field]
    draft["output"] = "logit"
    draft |= {"filter": None, "normalisation": {"kind": "none"}}
    path.with_suffix(".json").write_text(json.dumps(draft))
    assert load_classifier(path).predict(np.zeros((1, 100, 2), np.float32)).shape == (1, 3)


def test_logits_of_exclusive_classes_go_through_one_softmax(saved: Save) -> None:
    """Not through sigmoids; and the shares are those of a network that ends in its softmax."""
    ended, open_ = residual_network("softmax"), residual_network("linear")
    open_.set_weights(ended.get_weights())
    rows = np.random.default_rng(0).normal(size=(5, 100, 2)).astype(np.float32)
    found = []
    for model, name, output in ((ended, "a.keras", "probability"), (open_, "b.keras", "softmax")):
        path = saved(model, name)
        manifest = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({**manifest, "output": output}))
        classifier = load_classifier(path)
        assert classifier.is_softmax
        found.append(classifier.predict(rows))
    assert np.allclose(found[0], found[1], atol=1e-6)
    assert np.allclose(found[1].sum(axis=1), 1, atol=1e-6)


def test_models_that_cannot_be_used_are_not_drafted(keras: Any, saved: Save) -> None:
    layers = keras.layers
    ecg, age = keras.Input((100, 2)), keras.Input((1,))
    joined = layers.Concatenate()([layers.GlobalAveragePooling1D()(ecg), age])
    with pytest.raises(ModelError, match="inputs"):
        draft_manifest(saved(keras.Model([ecg, age], layers.Dense(3)(joined))))
    wide = keras.Input((5000, 300))
    pooled = layers.GlobalAveragePooling1D()(wide)
    with pytest.raises(ModelError, match="cannot be leads"):
        draft_manifest(saved(keras.Model(wide, layers.Dense(3)(pooled))))


def test_leads_first_are_drafted_with_samples_and_leads(keras: Any, saved: Save) -> None:
    turned = keras.Input((12, 5000))
    pooled = keras.layers.GlobalAveragePooling1D()(turned)
    draft = draft_manifest(saved(keras.Model(turned, keras.layers.Dense(3)(pooled))))
    assert (draft["samples"], len(draft["leads"])) == (5000, 12)


def test_several_outputs_are_asked_for(keras: Any, saved: Save) -> None:
    given = keras.Input((100, 2))
    pooled = keras.layers.GlobalAveragePooling1D()(given)
    first = keras.layers.Dense(3, name="first")(pooled)
    second = keras.layers.Dense(4, name="second")(pooled)
    draft = draft_manifest(saved(keras.Model(given, [first, second])))
    assert "first, second" in draft["outputs"]["probability"]
    assert draft["output"].startswith("FILL IN")


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.ckpt"])
def test_a_pytorch_file_is_named_as_one_and_never_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ModelError, match=r"PyTorch.*torch\.onnx\.export"):
        draft_manifest(path)
