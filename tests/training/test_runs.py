"""Listing, comparing and drawing training runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.training.figures import curves, mean_curve, save_curves
from ecgxai_core.training.runs import (
    RunFilter,
    best_run,
    compare_runs,
    find_runs,
    over_seeds,
    run_table,
)


def make(folder: Path, name: str, aurocs: list[float], **changes: Any) -> None:
    model, seed, rate = (changes.get(k, d) for k, d in (("model", "cnn"), ("seed", 0), ("lr", 0.1)))
    params = {
        "name": name,
        "seed": seed,
        "model": {"name": model},
        "schedule": {"learning_rate": rate},
    }
    run = folder / name
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"params": params}))
    rows = [
        {"epoch": i + 1, "auroc": a, "tune_loss": 1 - a, "loss": 1.0, "f1": None}
        for i, a in enumerate(aurocs)
    ]
    (run / "history.json").write_text(json.dumps(rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, "a", [0.6, 0.8, 0.7], seed=1)
    make(tmp_path, "b", [0.6, 0.9], seed=2)
    make(tmp_path / "deep", "c", [0.85], model="lstm", lr=0.001)
    make(tmp_path, "empty", [], model="lstm", lr=0.01)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"something": "else"}')
    return tmp_path


def test_runs_are_found_in_subfolders_and_other_folders_ignored(folder: Path) -> None:
    table = {row["run"]: row for row in run_table(find_runs(folder))}
    assert set(table) == {"a", "b", "c", "empty"}
    assert table["a"]["auroc"] == 0.8
    assert table["a"]["tune_loss"] == pytest.approx(0.2), "the smallest loss is the best"
    assert math.isnan(table["a"]["f1"])
    assert math.isnan(table["empty"]["auroc"])
    assert not table["a"]["finished"]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (RunFilter(model="lstm"), {"c", "empty"}),
        (RunFilter(lowest_rate=0.005), {"a", "b", "empty"}),
        (RunFilter(highest_rate=0.005), {"c"}),
        (RunFilter(least=0.85), {"b", "c"}),
        (RunFilter(metric="tune_loss", least=0.12), {"b"}),
    ],
)
def test_filters(folder: Path, chosen: RunFilter, names: set[str]) -> None:
    assert {run.name for run in find_runs(folder, chosen)} == names


def test_the_best_run(folder: Path) -> None:
    runs = find_runs(folder)
    assert best_run(runs).name == "b"
    assert best_run(runs, "tune_loss").name == "b"
    with pytest.raises(RunError, match="no run has it"):
        best_run(runs, "f1")
    with pytest.raises(RunError, match="not a metric"):
        best_run(runs, "accuracy")


def test_comparison_lists_only_parameters_that_differ(folder: Path) -> None:
    rows = {row["what"]: row for row in compare_runs(find_runs(folder, RunFilter(model="cnn")))}
    assert "seed" in rows
    assert "model.name" not in rows
    assert (rows["auroc"]["a"], rows["auroc"]["b"]) == (0.8, 0.9)


def test_runs_are_grouped_over_seeds(folder: Path) -> None:
    rows = {row["model"]: row for row in over_seeds(find_runs(folder)) if row["runs"] == 2}
    assert rows["cnn"]["seeds"] == [1, 2]
    assert rows["cnn"]["auroc_mean"] == pytest.approx(0.85)
    assert rows["cnn"]["auroc_sd"] == pytest.approx(0.1 / math.sqrt(2))


def test_curves_and_their_page(folder: Path, tmp_path: Path) -> None:
    runs = find_runs(folder, RunFilter(model="cnn"))
    assert curves(runs, "auroc")[0].values == (0.6, 0.8, 0.7)
    both = mean_curve(runs, "auroc", "cnn")
    assert both.epochs == (1, 2)
    assert both.values == pytest.approx((0.6, 0.85))
    assert both.spread == pytest.approx((0, 0.1 / math.sqrt(2)))
    text = save_curves(runs, tmp_path / "plot" / "curves.html").read_text(encoding="utf-8")
    assert "auroc" in text
    assert "<script src=" not in text.replace("'", '"'), "the page needs no network"


def test_grouped_seeds_are_drawn_as_mean_and_band(folder: Path, tmp_path: Path) -> None:
    runs = find_runs(folder, RunFilter(model="cnn"))
    page = save_curves(runs, tmp_path / "seeds.html", ("auroc",), seeds_together=True)
    text = page.read_text(encoding="utf-8")
    assert "a (2 seeds)" in text
    assert "toself" in text


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        find_runs(tmp_path / "nowhere")
