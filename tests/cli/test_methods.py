"""Choosing methods on the command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.cli.options import METHODS_MARK
from ecgxai_core.explainers import METHODS
from ecgxai_core.pipeline.run.finished import read_finished_run
from ecgxai_core.report.commands import run_command
from tests.small import AF, SINUS

FAST = ("--set", "n_coalitions=32", "--set", "n_lead_coalitions=16", "--set", "deletion_steps=4")


@pytest.mark.parametrize("method", ["integrated_gradients", "lrp", "occlusion", "grad_cam"])
def test_explain_takes_every_method(cli, tiny_data, tiny_model, tmp_path, method):
    out = tmp_path / "e.json"
    code, _, err = cli(
        "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
        "--method", method, "--out", out,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out.read_text("utf-8"))
    weights = np.array(found["weights"], dtype=np.float64)
    assert weights.shape[0] == 12
    assert np.isfinite(weights).all()


def test_every_target_at_once(cli, tiny_data, tiny_model, tmp_path):
    """One file per output, the same as that of the target alone; the contrast has none."""
    given = ("explain", tiny_data / "T000.hea", "--model", tiny_model, "--method", "timeshap")
    fast = (*FAST, "--set", "segments=auto", "--set", "level=owen", "--set", "target_error=0.5")
    folder, alone = tmp_path / "all", tmp_path / "one.json"
    code, said, err = cli(*given, *fast, "--target", "all", "--out", folder)
    assert (code, err) == (0, "")
    assert said.count("p = ") == 2
    assert said.count("segments: ") == 1
    assert {path.name for path in folder.iterdir()} == {f"{AF}.json", f"{SINUS}.json"}
    assert cli(*given, *fast, "--target", "NSR", "--out", alone)[0] == 0
    assert (folder / f"{SINUS}.json").read_text("utf-8") == alone.read_text("utf-8")
    folder = tmp_path / "against"
    given = (*given, *fast, "--format", "csv", "--set", "contrast=NSR", "--target", "all")
    assert cli(*given, "--out", folder)[0] == 0
    assert [path.name for path in folder.iterdir()] == [f"{AF}.csv"]


@pytest.mark.parametrize(
    "verb", ["explain", "run", "report-card", "benchmark planted", "benchmark ludb"]
)
def test_help_names_every_method(cli, verb):
    code, said, _ = cli(*verb.split(), "--help")
    assert code == 0
    words = set(said.replace(",", " ").split())
    assert set(METHODS) <= words
    assert METHODS_MARK not in said


def test_a_contrast_may_be_an_abbreviation(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "e.json"
    maps = {}
    for contrast in ("none", "NSR"):
        code, _, err = cli(
            "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
            "--method", "input_x_gradient", "--set", f"contrast={contrast}", "--out", out,
        )  # fmt: skip
        assert (code, err) == (0, "")
        maps[contrast] = json.loads(out.read_text("utf-8"))
    assert maps["NSR"]["diagnostics"]["contrast"] == SINUS
    assert maps["NSR"]["weights"] != maps["none"]["weights"]


def test_any_methods_are_fused_with_a_note_on_families(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "f.json"
    call = (
        "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF", *FAST,
        "--out", out, "--method",
    )  # fmt: skip
    code, said, _ = cli(*call, "fused", "--fuse", "occlusion", "--fuse", "integrated_gradients")
    assert code == 0
    assert "note:" not in said
    found = json.loads(out.read_text("utf-8"))
    assert found["methods"] == ["integrated_gradients", "occlusion"]
    assert found["diagnostics"]["same_family"] == []
    assert set(found["parts"]) == {"integrated_gradients", "occlusion"}
    for diagnostics in found["parts"].values():
        assert {"engine", "engine_reason", "receptive_field"} <= set(diagnostics)
    code, said, _ = cli(*call, "fused", "--fuse", "lime", "--fuse", "timeshap")
    assert "note: lime and timeshap (perturbation)" in said
    code, _, err = cli(*call, "lime", "--fuse", "occlusion")
    assert code == 2
    assert "needs --method fused" in err


def test_run_explains_fuses_and_evaluates_the_given_methods(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "run"
    code, said, err = cli(
        "run", "--data", tiny_data, "--model", tiny_model, "--out", out, "--target", AF,
        "--method", "occlusion", "--method", "input_x_gradient", *FAST,
    )  # fmt: skip
    assert code == 0, err
    assert "note:" not in said
    table = pd.read_csv(out / "df_eval_attauc_deletion.csv")
    assert {"occlusion", "input_x_gradient", "fused"} <= set(table["method"])
    assert not {"lime", "timeshap"} & set(table["method"])
    words = run_command(read_finished_run(out).request)
    assert "--method occlusion --method input_x_gradient" in words
    code, _, err = cli(
        "run", "--data", tiny_data, "--model", tiny_model, "--out", out, "--method", "magic"
    )
    assert code == 2
    assert "magic" in err
