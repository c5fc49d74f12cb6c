"""Recipes against their sources, and on nets of the same architecture with random weights."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.cli.main import run_cli
from ecgxai_core.diagnoses import is_free_name
from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import draft_manifest, load_classifier
from ecgxai_core.models.manifest import FILL_IN, Manifest, manifest_from_json
from ecgxai_core.models.recipes import load_recipe, recipe_names
from ecgxai_core.records.catalogues.ptbxl import scp_snomed
from ecgxai_core.types import STANDARD_LEADS
from tests.conftest import REPO

TASKS = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19,
         "rhythm": 12}  # fmt: skip
ANSWERS = {"mean": 0.0, "scale": 0.2, "filter": None, "fs": 500.0, "samples": 5000, "units": "mV",
           "pad": "end_zero", "crop": "start", "output": "logit", "notes": "compared"}  # fmt: skip


def answered(values: Any, key: str = "") -> Any:
    """A draft with every FILL IN answered."""
    if isinstance(values, dict):
        return {name: answered(part, name) for name, part in values.items()}
    if isinstance(values, list):
        return [answered(part, key) for part in values]
    if isinstance(values, str) and values.startswith(FILL_IN):
        return ANSWERS[key]
    return values


def complete(name: str) -> Manifest:
    recipe = load_recipe(name)
    draft = {
        "classes": [f"column {k + 1}" for k in range(len(recipe.labels))], "samples": None,
        "leads": list(STANDARD_LEADS), "sha256": "0" * 64, "filter": None,
        **dict.fromkeys(("fs", "units", "pad", "crop", "output"), FILL_IN),
    }  # fmt: skip
    filled = answered({**recipe.filled(draft, "x.onnx")})
    if filled["samples"] is None:
        filled["samples"] = 5000
    return manifest_from_json(json.dumps(filled).encode())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_a_manifest(name: str) -> None:
    recipe, manifest = load_recipe(name), complete(name)
    assert len(manifest.classes) == len(recipe.labels)
    assert set(recipe.codes) <= set(recipe.labels)
    assert any(not is_free_name(code) for code in manifest.classes)


def test_the_texts_of_ecgfounder_are_those_of_its_authors() -> None:
    labels = load_recipe("ecgfounder").labels
    text = "".join(f"{label}\n" for label in labels)
    assert hashlib.sha256(text.encode()).hexdigest() in (
        REPO / "assets" / "recipes" / "ecgfounder.toml"
    ).read_text("utf-8")
    assert len(labels) == 150


@pytest.mark.data
@pytest.mark.parametrize(("task", "count"), TASKS.items())
def test_the_tasks_of_ptbxl_are_those_of_its_table(task: str, count: int, data_dir: Path) -> None:
    path = data_dir / "ptbxl100" / "scp_statements.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = {
        "all": {row[""] for row in rows},
        "subdiagnostic": {row["diagnostic_subclass"] for row in rows} - {""},
        "superdiagnostic": {row["diagnostic_class"] for row in rows} - {""},
    }.get(task) or {row[""] for row in rows if row[task]}
    recipe = load_recipe(f"ptbxl_{task}")
    assert list(recipe.labels) == sorted(wanted)
    assert len(recipe.labels) == count
    if "diagnostic" in task and task != "diagnostic":
        return
    for label, code in zip(recipe.labels, recipe.classes, strict=True):
        assert is_free_name(code) or code in (label, scp_snomed()[label])


def test_windows_of_the_ptbxl_benchmark() -> None:
    manifest = complete("ptbxl_all")
    assert list(manifest.window_starts) == [0, 125, 250, 375, 500, 625, 750]
    assert manifest.combined_output == "logit"


def test_a_net_of_another_size_is_refused(keras: Any, saved: Callable[..., Path]) -> None:
    given = keras.Input((250, 12))
    pooled = keras.layers.GlobalAveragePooling1D()(given)
    draft = draft_manifest(saved(keras.Model(given, keras.layers.Dense(7)(pooled))))
    with pytest.raises(ModelError, match="classes"):
        load_recipe("ptbxl_superdiagnostic").filled(draft, "x.keras")
    with pytest.raises(ModelError, match="known recipes"):
        load_recipe("../models")


@pytest.mark.parametrize(
    ("recipe", "network", "options"),
    [
        ("ptbxl_superdiagnostic", "wang", {"samples": 250, "activation": None}),
        ("ribeiro2020", "ribeiro", {"samples": 4096}),
        ("ecgfounder", "net1d", {"samples": 5000, "classes": 150}),
    ],
)
def test_a_look_alike_is_explained_from_the_command_line(
    recipe: str,
    network: str,
    options: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnx", reason="needs the optional extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the optional extra onnx")
    from tests.models.onnx import networks

    model, out = tmp_path / f"{network}.onnx", tmp_path / "map.json"
    model.write_bytes(getattr(networks, network)(**options))
    assert run_cli(["model", "draft", str(model), "--recipe", recipe]) == 0
    with pytest.raises(ModelError, match="not filled in"):
        load_classifier(model)
    side = model.with_suffix(".json")
    filled = answered(json.loads(side.read_text("utf-8")))
    side.write_text(json.dumps(filled))
    record = str(REPO / "tests" / "cases" / "wfdb" / "eight.hea")
    asked = ["--model", str(model), "--target", filled["classes"][0], "--set", "window_sec=2"]
    given = ["explain", record, *asked, "--method", "input_x_gradient", "--out", str(out)]
    assert run_cli(given) == 0
    assert "input_x_gradient written to" in capsys.readouterr().out
    assert out.is_file()
