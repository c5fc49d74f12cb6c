"""Choosing methods on the command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.pipeline.finished import read_finished_run
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


def test_class_to_stand_against_may_be_an_abbreviation(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "e.json"
    maps = {}
    for against in ("none", "NSR"):
        code, _, err = cli(
            "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
            "--method", "input_x_gradient", "--set", f"against={against}", "--out", out,
        )  # fmt: skip
        assert (code, err) == (0, "")
        maps[against] = json.loads(out.read_text("utf-8"))
    assert maps["NSR"]["diagnostics"]["against"] == SINUS
    assert maps["NSR"]["weights"] != maps["none"]["weights"]


def test_any_methods_are_fused_and_kin_are_told(cli, tiny_data, tiny_model, tmp_path):
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
    for said_of_itself in found["parts"].values():
        assert {"engine", "engine_reason", "sight"} <= set(said_of_itself)
    code, said, _ = cli(*call, "fused")
    assert "note: lime and timeshap (perturbation)" in said
    code, _, err = cli(*call, "lime", "--fuse", "occlusion")
    assert code == 2
    assert "goes with --method fused" in err


def test_run_explains_fuses_and_judges_the_methods_asked_for(cli, tiny_data, tiny_model, tmp_path):
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
