"""Every verb once, its exit codes, and errors on one line."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.settings import default_model
from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.make_corpus import make_corpus
from tests.small import AF, SINUS, write_data

QUICK = ("--set", "n_coalitions=32", "--set", "n_lead_coalitions=16", "--set", "top_events=2")


def one_error(err: str) -> str:
    """The only line on standard error, which must be an error and no traceback."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_version_is_shown(cli):
    from ecgxai_core import __version__

    assert cli("--version") == (0, f"ecgxai {__version__}\n", "")


def test_predict_writes_a_column_per_class(cli, tiny_data, tiny_model, tmp_path):
    code, out, err = cli("predict", tiny_data, "--model", tiny_model, "--out", tmp_path / "p.csv")
    assert (code, err) == (0, "")
    table = pd.read_csv(tmp_path / "p.csv")
    assert list(table.columns) == ["record", "warnings", AF, SINUS]
    assert table["record"].tolist() == ["T000", "T001", "T002", "T003"]
    assert table[[AF, SINUS]].to_numpy().min() > 0
    assert "4 records predicted" in out


def test_predictions_do_not_depend_on_order_or_neighbours(cli, tiny_data, tiny_model, tmp_path):
    cli("predict", tiny_data, "--model", tiny_model, "--out", tmp_path / "all.csv")
    cli("cache", "clear")
    cli(
        "predict", tiny_data / "T003.hea", tiny_data / "T001", "--model", tiny_model,
        "--out", tmp_path / "two.csv",
    )  # fmt: skip
    everything = (tmp_path / "all.csv").read_text().splitlines()
    two = (tmp_path / "two.csv").read_text().splitlines()
    assert set(two) <= set(everything)
    assert len(two) == 3


def test_one_bad_record_among_many_gives_code_3(cli, tiny_model, tmp_path):
    data = write_data(tmp_path / "data", 3)
    (data / "T001.mat").write_bytes(b"no matrix")
    code, _, err = cli("predict", data, "--model", tiny_model, "--out", tmp_path / "p.csv")
    assert code == 3
    assert "T001" in one_error(err)
    assert pd.read_csv(tmp_path / "p.csv")["record"].tolist() == ["T000", "T002"]


def test_the_whole_corpus_of_bad_files_in_one_call(cli, tiny_data, tiny_model, tmp_path):
    # no shell can hand on a name with a zero byte
    bad = [file for file in make_corpus(tmp_path / "corpus") if "\0" not in str(file.path)]
    code, _, err = cli(
        "predict", tiny_data / "T000.hea", *(file.path for file in bad),
        "--model", tiny_model, "--out", tmp_path / "p.csv",
    )  # fmt: skip
    assert code == 3
    assert pd.read_csv(tmp_path / "p.csv")["record"].tolist() == ["T000"]
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(bad) >= 120
    assert len(lines) == len({file.path for file in bad})
    assert all("Fix: " in line for line in lines)
    assert "Traceback" not in err


@pytest.mark.parametrize("method", ["lime", "timeshap", "fused"])
def test_explain_writes_a_dense_map(cli, tiny_data, tiny_model, tmp_path, method):
    out = tmp_path / f"{method}.json"
    code, _, err = cli(
        "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
        "--method", method, "--out", out, *QUICK,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out.read_text("utf-8"))
    assert found["method"] == method
    assert found["target"] == AF
    assert found["leads"] == list(STANDARD_LEADS)
    shape = (12, len(found["edges_sec"]) - 1)
    explored = np.array(found["explored"])
    weights = np.array(found["weights"], dtype=float)
    assert weights.shape == explored.shape == shape
    assert np.isnan(weights[~explored]).all()
    assert np.isfinite(weights[explored]).all()
    needed = {
        "schema", "record", "target", "method", "profile", "probability", "leads", "edges_sec",
        "event_values", "weights", "explored", "params", "diagnostics", "provenance",
    }  # fmt: skip
    assert needed <= set(found)


def test_explain_can_start_later_in_the_record(cli, tiny_data, tiny_model, tmp_path):
    code, _, _ = cli(
        "explain", tiny_data / "T000.hea", "--model", tiny_model, "--target", AF, "--start", "0.5",
        "--method", "lime", "--out", tmp_path / "l.json", *QUICK,
    )  # fmt: skip
    assert code == 0
    edges = json.loads((tmp_path / "l.json").read_text("utf-8"))["edges_sec"]
    assert edges[0] == pytest.approx(0.5)
    assert edges[-1] == pytest.approx(6.5)


def test_the_same_explanation_has_the_same_bytes(cli, tiny_data, tiny_model, tmp_path):
    texts = []
    for name in ("one", "two"):
        cli("cache", "clear")
        cli(
            "explain", tiny_data / "T002.hea", "--model", tiny_model, "--target", AF,
            "--method", "fused", "--out", tmp_path / name, *QUICK,
        )  # fmt: skip
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]


def test_select_marks_what_it_had_to_relax(cli, tiny_data, tiny_model, tmp_path):
    code, _, _ = cli(
        "select", "--data", tiny_data, "--model", tiny_model, "--out", tmp_path / "sel.csv",
        "--min-prob", "0.999",
    )  # fmt: skip
    assert code == 0
    table = pd.read_csv(tmp_path / "sel.csv")
    assert len(table) == 4
    assert table["relaxed"].all()


def test_run_and_summary(cli, tiny_data, tiny_model, tmp_path):
    code, out, err = cli(
        "run", "--data", tiny_data, "--model", tiny_model, "--out", tmp_path / "run",
        "--target", "AF", *QUICK, "--set", "deletion_steps=4",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "2 explained" in out
    code, out, _ = cli("summary", tmp_path / "run")
    assert code == 0
    assert "attauc_strict" in out
    code, out, _ = cli("summary", tmp_path / "run", "--compare")
    assert code == 0
    assert {"p_holm", "undefined", "deletion_gain", "spearman", "fused"} <= set(out.split())
    code, _, err = cli("summary", tmp_path / "run", "--metric", "nonsense")
    assert code == 2
    assert "attauc_strict" in one_error(err)


def test_a_drafted_manifest_must_be_filled_in(cli, tiny_data, tiny_model, tmp_path):
    model = tmp_path / "mine.keras"
    shutil.copy(tiny_model, model)
    code, out, _ = cli("model", "draft", model)
    assert code == 0
    assert "FILL IN" in out
    code, _, err = cli("predict", tiny_data, "--model", model, "--out", tmp_path / "p.csv")
    assert code == 2
    assert "not filled in" in one_error(err)
    code, _, err = cli("model", "draft", model)
    assert code == 2
    assert "exists already" in one_error(err)


def test_model_check_and_doctor(cli, tiny_model):
    code, out, _ = cli("model", "check", tiny_model)
    assert code == 0
    assert "2 classes" in out
    code, out, _ = cli("doctor", tiny_model)
    assert code == 0
    assert "flat line" in out


def test_cache_info_and_clear(cli, tiny_data, tiny_model, tmp_path):
    cli("predict", tiny_data, "--model", tiny_model, "--out", tmp_path / "p.csv")
    code, out, _ = cli("cache", "info")
    assert code == 0
    assert "entries" in out
    code, out, _ = cli("cache", "clear")
    assert (code, out) == (0, "4 entries removed\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predict", "nowhere", "--model", "{model}", "--out", "p.csv"], "nowhere"),
        (["predict", "{data}", "--model", "none.keras", "--out", "p.csv"], "none.keras"),
        (["predict", "{data}", "--model", "{model}"], "--out"),
        (["predict", "{data}", "--model", "{model}", "--out", "p", "--checksum", "maybe"], "maybe"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "XYZ", "--method", "lime",
          "--out", "o.json"], "XYZ"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "LBBB", "--method", "lime",
          "--out", "o.json"], "no output"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "AF", "--method", "magic",
          "--out", "o.json"], "magic"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "AF", "--method", "lime",
          "--profile", "best", "--out", "o.json"], "best"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "AF", "--method", "lime",
          "--start", "60", "--out", "o.json"], "start"),
        (["run", "--data", "{data}", "--model", "{model}", "--out", "r", "--mode", "all"], "all"),
        (["run", "--data", "{data}", "--model", "{model}", "--out", "r", "--set", "agg=1"], "agg"),
        (["summary", "{data}"], "no finished run"),
        (["nonsense"], "nonsense"),
        (["predict", "{data}", "--model", "{model}", "--out", ""], "not a file name"),
        (["explain", "{data}/T000", "--model", "{model}", "--target", "AF", "--method", "lime",
          "--start", "inf", "--out", "o.json"], "--start"),
        (["select", "--data", "nowhere", "--model", "{model}", "--out", "s.csv"], "nowhere"),
        (["run", "--data", "nowhere", "--model", "{model}", "--out", "r"], "nowhere"),
        (["evaluate-model", "--data", "nowhere", "--model", "{model}", "--out", "r"], "nowhere"),
        (["report", "{data}/T000", "--model", "{model}", "--target", "AF", "--out", "r.html",
          "--checklist", "none.json"], "none.json"),
        (["search", "{train}", "--data", "nowhere", "--out", "r", "--n", "2", "--choice",
          "optimiser.learning_rate=a..b"], "no number"),
        (["search", "{train}", "--data", "nowhere", "--out", "r", "--choice",
          "schedule.learning_rate=1e-4..1e-2"], "with --n"),
        (["model", "check", "{data}/T000.mat"], "T000"),
        (["train", "{train}", "--data", "nowhere", "--out", "r", "--labels", "l.csv"], "--init"),
        (["train", "{train}", "--data", "nowhere", "--out", "r", "--init", "{model}", "--labels",
          "l.csv"], "l.csv"),
    ],
)  # fmt: skip
def test_mistakes_give_one_line_and_code_2(
    cli, tiny_data, tiny_model, tmp_path, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    train = default_model().with_name("train.toml")
    filled = [text.format(data=tiny_data, model=tiny_model, train=train) for text in arguments]
    code, _, err = cli(*filled)
    assert code == 2
    assert says in one_error(err)
    assert ". Fix: " in err


@pytest.mark.parametrize("group", ["model", "cache", "runs", "benchmark"])
def test_a_group_without_its_verb_shows_its_verbs(cli, group):
    code, out, err = cli(group)
    assert (code, out) == (2, "")
    assert err.startswith("Usage:")
    assert len(err.splitlines()) > 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_log_on_a_full_disk_prints_no_traceback(cli, capsys, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", True)  # as it is when a command starts
    cli("cache", "info")
    handler = logging.FileHandler("/dev/full", encoding="utf-8")
    handler.emit(logging.makeLogRecord({"msg": "unit done"}))
    assert capsys.readouterr().err == ""


def test_a_folder_without_training_runs_says_so(cli, tmp_path):
    code, out, _ = cli("runs", "list", tmp_path)
    assert (code, out) == (0, f"{tmp_path.name}: no run passes the filter\n")


def test_if_no_record_can_be_used_the_reason_is_given(cli, tiny_model, tmp_path):
    data = write_data(tmp_path / "data", 1)
    (data / "T000.mat").write_bytes(b"no matrix")
    code, _, err = cli("select", "--data", data, "--model", tiny_model, "--out", tmp_path / "s.csv")
    assert code == 2
    assert "T000.mat" in one_error(err)


def test_the_summary_of_a_damaged_run_is_refused(cli, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    for content in (None, "", "a,b\n1,2\n", '"'):
        if content is not None:
            (tmp_path / "summary_per_class.csv").write_text(content)
        code, _, err = cli("summary", tmp_path)
        assert code == 2
        assert "summary_per_class.csv" in one_error(err)


def test_baselines_of_a_model(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "b.csv"
    code, said, err = cli("model", "baselines", tiny_model, tiny_data, "--out", out, "--least", "0")
    assert (code, err) == (0, "")
    table = pd.read_csv(out, dtype={"code": str})
    assert len(table) == 4 * 7 * 2  # records, baselines with the record itself, classes
    cli("predict", tiny_data, "--model", tiny_model, "--out", tmp_path / "p.csv")
    predicted = pd.read_csv(tmp_path / "p.csv").set_index("record")
    intact = table[table["baseline"] == "intact"].pivot(
        index="record", columns="code", values="probability"
    )
    np.testing.assert_allclose(intact[[AF, SINUS]], predicted[[AF, SINUS]], atol=1e-6)
    zero = table[(table["baseline"] == "zero") & (table["code"] == AF)]["probability"]
    assert zero.nunique() == 1  # a flat line is the same for everyone
    assert f"{zero.iloc[0]:.3f}" in said
    assert "median_beat" in said


def test_a_map_of_another_program_is_evaluated(cli, tiny_data, tiny_model, tmp_path):
    """What ``explain`` writes for others comes back with the scores of the same map."""
    record = tiny_data / "T000.hea"
    for form in ("npz", "csv"):
        code, _, err = cli(
            "explain", record, "--model", tiny_model, "--target", AF, "--method", "occlusion",
            "--format", form, "--out", tmp_path / f"{form}_map.{form}",
        )  # fmt: skip
        assert (code, err) == (0, "")
    maps = [("--map", tmp_path / f"{form}_map.{form}") for form in ("npz", "csv")]
    given = ("evaluate-map", record, *sum(maps, ()), "--model", tiny_model, "--target", "AF")
    code, out, err = cli(*given, "--out", tmp_path / "scores.csv")
    assert (code, err) == (0, "")
    assert "evaluated" in out
    table = pd.read_csv(tmp_path / "scores.csv").set_index(["map", "metric"])["value"].unstack()
    assert list(table.index) == ["csv_map", "npz_map"]
    assert table.loc["csv_map"].to_numpy() == pytest.approx(
        table.loc["npz_map"], abs=1e-4, nan_ok=True
    )
    code, _, _ = cli(*given, "--out", tmp_path / "scores.json")
    assert code == 0
    told = json.loads((tmp_path / "scores.json").read_text())
    assert {row["map"] for row in told["scores"]} == {"npz_map", "csv_map"}
    assert told["target"] == AF
    code, out, _ = cli(*given)
    assert code == 0
    assert "deletion_auc" in out
    code, _, err = cli(*given, "--out", tmp_path / "scores.txt")
    assert code == 2
    assert "use one of them" in one_error(err)
