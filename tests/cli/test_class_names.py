"""Models whose manifest gives names of classes instead of codes."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ecgxai_core.pipeline.run.finished import read_finished_run
from tests.small import AF, SINUS, write_model

FAST = ("--set", "n_coalitions=16", "--set", "n_lead_coalitions=16", "--set", "top_events=2",
        "--set", "deletion_steps=4")  # fmt: skip
FREE = "../my rhythm"


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Names of the table only."""
    return write_model(tmp_path_factory.mktemp("named"), classes=("AF", "NSR"))


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """One class of the table, and two that only the model names; ``NA`` is no missing value."""
    return write_model(tmp_path_factory.mktemp("free"), classes=("AF", FREE, "NA"))


def test_names_of_the_table_are_codes_everywhere(cli, tiny_data, tiny_model, named, tmp_path):
    code, said, _ = cli("model", "check", named)
    assert code == 0
    assert f"class 'AF' is atrial fibrillation ({AF})" in said
    assert f"class 'NSR' is sinus rhythm ({SINUS})" in said
    assert "note:" not in said
    tables = []
    for model in (tiny_model, named):
        out = tmp_path / f"{model.parent.name}.csv"
        assert cli("predict", tiny_data, "--model", model, "--out", out)[0] == 0
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]
    code, said, err = cli(
        "run", "--data", tiny_data, "--model", named, "--out", tmp_path / "run", *FAST
    )
    assert (code, err) == (0, "")
    assert "4 explained" in said


def test_free_names_work_with_a_stated_loss(cli, tiny_data, free, tmp_path):
    code, said, _ = cli("model", "check", free)
    assert code == 0
    assert f"not in the table of diagnoses: '{FREE}', 'NA'" in said
    out = tmp_path / "p.csv"
    assert cli("predict", tiny_data, "--model", free, "--out", out)[0] == 0
    assert list(pd.read_csv(out).columns) == ["record", "warnings", AF, FREE, "NA"]
    out = tmp_path / "s.csv"
    code, said, _ = cli(
        "select", "--data", tiny_data, "--model", free, "--out", out, "--min-prob", 0
    )
    assert code == 0
    assert "note: not in the table" in said
    chosen = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert chosen.groupby("target", sort=False).size().to_dict() == {AF: 2, FREE: 4, "NA": 4}
    assert set(chosen.loc[chosen["target"] == FREE, "label"]) == {"unknown"}


def test_free_names_are_explained_and_run(cli, tiny_data, free, tmp_path):
    out = tmp_path / "e.json"
    code, _, err = cli(
        "explain", tiny_data / "T000.hea", "--model", free, "--target", FREE,
        "--method", "occlusion", "--set", f"contrast={AF}", "--out", out,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert json.loads(out.read_text("utf-8"))["target"] == FREE
    run = tmp_path / "run"
    code, said, err = cli(
        "run", "--data", tiny_data, "--model", free, "--out", run, "--min-prob", 0,
        "--k-per-class", 1, *FAST,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "note: not in the table" in said
    inside = {path.name for path in (run / "attributions").iterdir()}
    assert len(inside) == 3, "one file per unit, all of them inside the run"
    found = read_finished_run(run)
    table = found.tables["df_eval_attauc_deletion.csv"]
    assert set(table["target"]) == {AF, FREE, "NA"}
    own = table[table["target"] == FREE]
    assert own["attauc_strict"].isna().all()
    assert own["deletion_gain"].notna().all()
    assert table.loc[table["target"] == AF, "attauc_strict"].notna().all()
    assert cli("report", run, "--out", tmp_path / "r.html")[0] == 0
    text = (tmp_path / "r.html").read_text("utf-8")
    assert FREE in text


def test_a_report_card_says_what_is_lost(cli, tiny_data, free, tmp_path):
    out = tmp_path / "card.html"
    code, _, err = cli(
        "report-card", "--data", tiny_data, "--model", free, "--out", out, "--n", 1,
        "--target", FREE, "--method", "occlusion", *FAST,
    )  # fmt: skip
    assert code == 2
    assert "min_prob" in err, "the random model is sure of no record"
    code, _, err = cli(
        "report-card", "--data", tiny_data, "--model", free, "--out", out, "--n", 1,
        "--target", "AF", "--method", "occlusion", *FAST,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "not in the table of diagnoses" in out.read_text("utf-8")
