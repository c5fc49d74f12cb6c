"""``ecgxai run`` with limits of its own, and with a selection that was made before."""

from __future__ import annotations

import json
import shlex

import pandas as pd
import pytest

from ecgxai_core.pipeline.run.finished import read_finished_run
from ecgxai_core.report.commands import run_command
from tests.small import AF, SINUS, write_data

FAST = (
    "--method", "occlusion", "--set", "occlusion_level=lead", "--set", "deletion_steps=4",
)  # fmt: skip


@pytest.fixture
def selected(cli, tiny_data, tiny_model, tmp_path):
    """The selection of the small data set, as a file."""
    out = tmp_path / "sel.csv"
    assert cli("select", "--data", tiny_data, "--model", tiny_model, "--out", out)[0] == 0
    return out


def run(cli, data, model, out, *more):
    return cli("run", "--data", data, "--model", model, "--out", out, *FAST, *more)


def test_limits_decide_which_records_are_explained(cli, tiny_data, tiny_model, tmp_path):
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "one", "--k-per-class", 1)
    assert (code, err) == (0, "")
    table = pd.read_csv(tmp_path / "one" / "sel_df.csv", dtype={"target": str})
    assert table.groupby("target").size().tolist() == [1, 1]
    words = shlex.split(run_command(read_finished_run(tmp_path / "one").request))
    assert words[words.index("--k-per-class") + 1] == "1"
    assert "--min-prob" not in words
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "two", "--max-duration", 5)
    assert code == 2
    assert "at most 5 s" in err
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "two", "--min-prob", 2)
    assert code == 2
    assert "min_prob" in err


def test_a_selection_gives_the_run_that_selects_the_same(
    cli, tiny_data, tiny_model, tmp_path, selected
):
    assert run(cli, tiny_data, tiny_model, tmp_path / "drawn", "--mode", "eval")[0] == 0
    code, said, err = run(cli, tiny_data, tiny_model, tmp_path / "given", "--selection", selected)
    assert (code, err) == (0, "")
    assert "4 explained" in said
    drawn, given = tmp_path / "drawn", tmp_path / "given"
    names = {p.name for p in drawn.iterdir()} - {"request.json", "manifest.json", "run.log"}
    for name in names - {"attributions", "ledger.jsonl"}:
        assert (drawn / name).read_bytes() == (given / name).read_bytes(), name
    words = shlex.split(run_command(read_finished_run(given).request))
    assert "--selection" in words
    assert not {"--mode", "--target", "--k-per-class"} & set(words)
    code, said, _ = run(cli, tiny_data, tiny_model, given, "--selection", selected)
    assert code == 0
    assert "(4 from an earlier run)" in said


def test_rows_may_be_taken_out_and_make_another_run(cli, tiny_data, tiny_model, tmp_path, selected):
    table = pd.read_csv(selected, dtype=str)
    table.iloc[[2, 1]].to_csv(selected, index=False)
    out = tmp_path / "run"
    (tiny := write_data(tmp_path / "data", 4)).joinpath("T999.hea").write_text("no record")
    code, _, err = run(cli, tiny, tiny_model, out, "--selection", selected)
    assert (code, err) == (0, ""), "a bad record that was not selected is no part of the run"
    made = pd.read_csv(out / "sel_df.csv", dtype=str)
    assert made["record"].tolist() == table["record"].iloc[[2, 1]].tolist()
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["request"]["selection"]["rows"] == 2
    table.iloc[[1, 2]].to_csv(selected, index=False)
    code, _, err = run(cli, tiny, tiny_model, out, "--selection", selected)
    assert code == 2
    assert "holds another run" in err


def test_missing_and_changed_records_are_named_together(cli, tiny_model, tmp_path, selected):
    data = write_data(tmp_path / "data", 4)
    (data / "T000.mat").write_bytes(b"no matrix")
    other = write_data(tmp_path / "other", 6)
    (data / "T003.mat").write_bytes((other / "T005.mat").read_bytes())
    header = (other / "T005.hea").read_text("utf-8").replace("T005", "T003")
    (data / "T003.hea").write_text(header, "utf-8")
    code, _, err = run(cli, data, tiny_model, tmp_path / "run", "--selection", selected)
    assert code == 2
    assert err.count("\n") == 1
    assert "T000 (1 missing or unreadable)" in err
    assert "T003 (1 changed since)" in err
    assert not (tmp_path / "run" / "request.json").exists()


def test_all_takes_every_record_that_is_labelled_or_called(cli, tiny_data, tiny_model, tmp_path):
    manifest = tiny_model.with_suffix(".json")
    before = json.loads(manifest.read_text("utf-8"))
    table = tmp_path / "p.csv"
    assert cli("predict", tiny_data, "--model", tiny_model, "--out", table)[0] == 0
    p = pd.read_csv(table).set_index("record")
    least = float(p[AF].sort_values().iloc[2])  # two records are called
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tiny.keras").write_bytes(tiny_model.read_bytes())
    thresholds = {AF: least, SINUS: 1.0}
    (folder / "tiny.json").write_text(json.dumps({**before, "thresholds": thresholds}), "utf-8")
    args = ("--data", tiny_data, "--model", folder / "tiny.keras", "--all")
    code, _, err = cli("select", *args, "--out", tmp_path / "sel.csv")
    assert (code, err) == (0, "")
    table = pd.read_csv(tmp_path / "sel.csv", dtype={"target": str})
    labelled = {AF: {"T000", "T002"}, SINUS: {"T001", "T003"}}
    called = {AF: set(p.index[p[AF] >= least]), SINUS: set()}
    for target, rows in table.groupby("target"):
        assert set(rows["record"]) == labelled[target] | called[target]
        only_called = set(rows.loc[rows["status"] == "called", "record"])
        assert only_called == called[target] - labelled[target]
        assert (rows["label"] == "negative").tolist() == (rows["status"] == "called").tolist()
    assert (table["status"] == "called").any() or called[AF] <= labelled[AF]
    code, said, err = cli("run", *args, *FAST, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert f"{len(table)} explained" in said
    made = (tmp_path / "run" / "sel_df.csv").read_bytes()
    assert made == (tmp_path / "sel.csv").read_bytes()
    words = shlex.split(run_command(read_finished_run(tmp_path / "run").request))
    assert "--all" in words
    assert not {"--mode", "--k-per-class"} & set(words)


@pytest.mark.parametrize(
    "more", [("--mode", "eval"), ("--k-per-class", 3), ("--selection", "sel.csv")]
)
def test_all_leaves_no_choice(cli, tiny_data, tiny_model, tmp_path, more):
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "run", "--all", *more)
    assert code == 2
    assert f"that {more[0]} would choose" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("", "has no row"),
        ("target,record\n1,2\n", "has no column record_digest"),
        ("target,record,record_digest,rank,status\nAF,a,d,one,full\n", "line 2"),
        ("target,record,record_digest,rank,status\nAF,a,d,1,full\nAF,b,d,2,full\n", "repeats b"),
        ("target,record,record_digest,rank,status\nAF,a\n", "line 2"),
        ('"', "no CSV"),
        (b"\xff\xfe", "no CSV"),
    ],
)
def test_what_is_no_selection_is_refused(cli, tiny_data, tiny_model, tmp_path, text, says):
    file = tmp_path / "s.csv"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "run", "--selection", file)
    assert code == 2
    assert says in err
    assert "s.csv" in err


@pytest.mark.parametrize(
    "more", [("--target", "AF"), ("--mode", "eval"), ("--k-per-class", 3), ("--min-prob", 0)]
)
def test_a_selection_stands_alone(cli, tiny_data, tiny_model, tmp_path, selected, more):
    code, _, err = run(cli, tiny_data, tiny_model, tmp_path / "run", "--selection", selected, *more)
    assert code == 2
    assert f"that {more[0]} would choose" in err
