"""Drafts: what a file can say is right, and what it cannot is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.draft import draft_manifest
from ecgxai_core.models.loading import load_classifier
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
    assert draft["output"] == "logit"
    answers = manifest_values()
    for field in ("classes", "fs", "leads", "units", "pad", "crop", "source"):
        draft[field] = answers[field]
    draft |= {"filter": None, "normalisation": {"kind": "none"}}
    path.with_suffix(".json").write_text(json.dumps(draft))
    assert load_classifier(path).predict(np.zeros((1, 100, 2), np.float32)).shape == (1, 3)


def test_models_that_cannot_be_used_are_not_drafted(keras: Any, saved: Save) -> None:
    layers = keras.layers
    ecg, age = keras.Input((100, 2)), keras.Input((1,))
    joined = layers.Concatenate()([layers.GlobalAveragePooling1D()(ecg), age])
    with pytest.raises(ModelError, match="inputs"):
        draft_manifest(saved(keras.Model([ecg, age], layers.Dense(3)(joined))))
    turned = keras.Input((12, 5000))
    pooled = layers.GlobalAveragePooling1D()(turned)
    with pytest.raises(ModelError, match="Permute"):
        draft_manifest(saved(keras.Model(turned, layers.Dense(3)(pooled))))


def test_several_outputs_are_asked_for(keras: Any, saved: Save) -> None:
    given = keras.Input((100, 2))
    pooled = keras.layers.GlobalAveragePooling1D()(given)
    first = keras.layers.Dense(3, name="first")(pooled)
    second = keras.layers.Dense(4, name="second")(pooled)
    draft = draft_manifest(saved(keras.Model(given, [first, second])))
    assert "first, second" in draft["outputs"]["probability"]
    assert draft["output"].startswith("FILL IN")
