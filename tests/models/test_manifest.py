"""Manifests: what is read, what is refused, and that every refusal names the field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.manifest import (
    Manifest,
    NormalisationSpec,
    class_names,
    free_names_note,
    load_manifest,
    manifest_from_json,
    manifest_path,
    save_manifest,
)
from tests.models.conftest import manifest_values


def parse(**changes: Any) -> Manifest:
    return manifest_from_json(json.dumps(manifest_values(**changes)).encode())


def test_only_steps_a_model_may_lack_have_defaults() -> None:
    manifest = parse()
    assert manifest.filter is None
    assert manifest.normalisation == NormalisationSpec(kind="none")
    assert manifest.temperature == 1
    for field in manifest_values():
        values = manifest_values()
        del values[field]
        with pytest.raises(ModelError, match=field):
            manifest_from_json(json.dumps(values).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fs", "500"),
        ("fs", 0),
        ("fs", 1e9),
        ("samples", 0),
        ("samples", 12.5),
        ("samples", True),
        ("leads", []),
        ("leads", ["I", "I"]),
        ("leads", ["I", "XX"]),
        ("leads", ["i"]),
        ("classes", []),
        ("classes", ["1", "1"]),
        ("classes", ["1\n"]),
        ("units", "volt"),
        ("pad", "reflect"),
        ("crop", "random"),
        ("output", "class"),
        ("temperature", 0),
        ("temperature", 1e-300),
        ("temperature", 1e300),
        ("samples", 10**9),
        ("receptive_field_samples", 10**30),
        ("sha256", "abc"),
        ("sha256", "G" * 64),
        ("filter", {"kind": "bandpass", "low": 0.5, "order": 3}),
        ("filter", {"kind": "bandpass", "low": 40, "high": 10, "order": 3}),
        ("filter", {"kind": "lowpass", "high": 50, "order": 3}),
        ("filter", {"kind": "highpass", "low": 0.5, "high": 40, "order": 3}),
        ("filter", {"kind": "highpass", "low": 1e-300, "order": 3}),
        ("filter", {"kind": "notch", "low": 50, "order": 3}),
        ("normalisation", {"kind": "given", "mean": 0}),
        ("normalisation", {"kind": "given", "mean": 0, "scale": 0}),
        ("normalisation", {"kind": "given", "mean": 0, "scale": 1e-300}),
        ("normalisation", {"kind": "given", "mean": 1e300, "scale": 1}),
        ("normalisation", {"kind": "given", "mean": [0, 0, 0], "scale": 1}),
        ("normalisation", {"kind": "per_lead", "mean": 0, "scale": 1}),
        ("thresholds", {"999": 0.5}),
        ("thresholds", {"17338001": 1.5}),
        ("adc_gain", 1000),
        ("nonsense", 1),
    ],
)
def test_bad_fields_are_refused_in_one_line(field: str, value: object) -> None:
    with pytest.raises(ModelError) as caught:
        parse(**{field: value})
    text = str(caught.value)
    assert "\n" not in text
    assert "Fix:" in text
    assert field in text or caught.value.field == "manifest"


def test_names_of_the_table_become_codes_and_others_stay() -> None:
    given = ["AF", "sinus rhythm", "59118001", "my rhythm"]
    manifest = parse(classes=given, thresholds={"AF": 0.4, "my rhythm": 0.2})
    codes = ("164889003", "426783006", "59118001", "my rhythm")
    assert manifest.classes == codes
    assert manifest.thresholds == {"164889003": 0.4, "my rhythm": 0.2}
    same = parse(classes=list(codes), thresholds={"164889003": 0.4, "my rhythm": 0.2})
    assert same.canonical() == manifest.canonical()
    note = free_names_note(manifest.classes)
    assert "'my rhythm'" in note
    assert "plausibility is undefined" in note
    assert "AF" not in note
    assert free_names_note(codes[:3]) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": ["AF", "AFIB"]}, "'AF' and 'AFIB' both stand for 164889003"),
        ({"classes": ["NSR", "426783006"]}, "both stand for 426783006"),
        ({"classes": ["AF", "record"]}, "'record' is the first column"),
        ({"classes": ["AF"], "thresholds": {"AF": 0.5, "afib": 0.4}}, "same class"),
        ({"classes": ["AF"], "thresholds": {"NSR": 0.5}}, "names no class"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        parse(**changes)


def test_what_each_class_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest_values(classes=["AF", "my rhythm"])), "utf-8")
    assert class_names(path) == [
        ("AF", "164889003", "atrial fibrillation"),
        ("my rhythm", "my rhythm", "my rhythm"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b"\xff\xfe{}",
        b'{"fs": 1, "fs": 2}',
        b'{"fs": NaN}',
        b"[" * 100_000,
        b'{"fs": ' + b"9" * 6000 + b"}",
        b"x" * 1_000_001,
    ],
)
def test_text_that_is_no_manifest(text: bytes) -> None:
    with pytest.raises(ModelError):
        manifest_from_json(text)


def test_a_draft_is_refused_and_every_open_field_is_named() -> None:
    values = manifest_values(fs="FILL IN: Hz", leads=["I", "FILL IN"])
    values["normalisation"] = {"kind": "FILL IN: which"}
    with pytest.raises(ModelError) as caught:
        manifest_from_json(json.dumps(values).encode())
    assert caught.value.field == "fs, leads, normalisation.kind"


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model draft"):
        load_manifest(tmp_path / "absent.json")
    with pytest.raises(ModelError):
        load_manifest(tmp_path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zeros.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "zeros.json"):
        with pytest.raises(ModelError, match="regular file"):
            load_manifest(tmp_path / name)


def test_saved_manifest_reads_as_the_same(tmp_path: Path) -> None:
    manifest = parse(
        filter={"kind": "bandpass", "low": 0.5, "high": 40, "order": 3},
        normalisation={"kind": "given", "mean": [0, 0.5], "scale": 2},
        thresholds={"17338001": 0.4},
        outputs={"probability": "dense", "attention": ["att"]},
        card="card.md",
    )
    save_manifest(manifest, tmp_path / "m.json")
    again = load_manifest(tmp_path / "m.json")
    assert again == manifest
    assert again.canonical() == manifest.canonical()
    assert [file.name for file in tmp_path.iterdir()] == ["m.json"]


def test_manifest_lies_beside_its_model() -> None:
    assert manifest_path("a/net.v2.keras") == Path("a/net.v2.json")


@pytest.mark.data
def test_reference_manifest_reads_as_it_is(data_dir: Path) -> None:
    manifest = load_manifest(data_dir / "reference_model" / "cinc_resnet.json")
    assert len(manifest.classes) == 27
    assert (manifest.fs, manifest.samples, manifest.units) == (500, 5000, "adc")
