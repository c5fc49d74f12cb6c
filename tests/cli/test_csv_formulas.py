"""Hostile names of classes and files in every CSV of the command line."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

from ecgxai_core.pipeline.run.finished import read_finished_run
from tests.small import AF, SINUS, write_data

QUICK = ("--set", "n_coalitions=32", "--set", "n_lead_coalitions=16", "--set", "top_events=2")
FORMULA = "=cmd|' /C calc'!A0"


def _hostile_model(tiny_model: Path, folder: Path) -> Path:
    """The tiny model with a class that is a formula."""
    path = Path(shutil.copy(tiny_model, folder / "hostile.keras"))
    manifest = json.loads(tiny_model.with_suffix(".json").read_text("utf-8"))
    manifest["classes"] = [FORMULA, SINUS]
    manifest["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(manifest), "utf-8")
    return path


def _formulas(path: Path) -> list[str]:
    """Cells that a spreadsheet would run."""
    with path.open(newline="", encoding="utf-8") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    return [cell for cell in cells if cell[:1] in set("=+-@\t\r") and not _is_number(cell)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_no_csv_of_the_command_line_holds_a_formula(cli, tiny_model, tmp_path):
    data = write_data(tmp_path / "data", 4)
    shutil.copy(data / "T000.hea", data / "@SUM(1+1).hea")
    for header in sorted(data.glob("T*.hea")):
        text = header.read_text("utf-8").replace(AF, f"{AF},{FORMULA}")
        header.write_text(text, "utf-8")
    model = _hostile_model(tiny_model, tmp_path)
    predictions, selected = tmp_path / "p.csv", tmp_path / "s.csv"
    assert cli("predict", data, "--model", model, "--out", predictions)[0] == 3
    shared = ("--data", data, "--model", model)
    assert cli("select", *shared, "--target", SINUS, "--out", selected)[0] in (0, 3)
    code, _, err = cli(
        "run", *shared, "--out", tmp_path / "run", "--target", SINUS, *QUICK,
        "--set", "deletion_steps=4",
    )  # fmt: skip
    assert code in (0, 3), err
    files = [predictions, selected, *(tmp_path / "run").rglob("*.csv")]
    assert len(files) >= 7
    assert {path.name: _formulas(path) for path in files if _formulas(path)} == {}
    assert f"'{FORMULA}" in predictions.read_text("utf-8").splitlines()[0]
    failures = read_finished_run(tmp_path / "run").tables["failures.csv"]
    assert any(name.startswith("@SUM") for name in failures["record"])
