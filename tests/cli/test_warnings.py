"""A quality warning is seen wherever a record is: on the console and in every table."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from tests.small import write_data

QUICK = ("--set", "n_coalitions=32", "--set", "n_lead_coalitions=16", "--set", "top_events=2")
CODES = "checksum;cropped"


@pytest.fixture
def data(tmp_path):
    """Four records of 7 s for a model of 6 s; one bit of the first two is not as it was written."""
    folder = write_data(tmp_path / "data", 4, scale=2.0)
    for name in ("T000", "T001"):
        header = folder / f"{name}.hea"
        text = header.read_text("ascii")
        line = next(line for line in text.splitlines() if line.endswith(" V6"))
        fields = line.split()
        fields[6] = str(int(fields[6]) ^ 1)
        header.write_text(text.replace(line, " ".join(fields)), "ascii")
    return folder


def said_of(out: str) -> str:
    """The one line about warnings."""
    (line,) = [line for line in out.splitlines() if line.startswith("warnings: ")]
    return line


MANY = "warnings: 4 records cropped (T000, T001, T002, ...), 2 records checksum (T000, T001)"


def test_predict_says_them_by_kind_and_has_a_column(cli, data, tiny_model, tmp_path):
    for _ in range(2):  # computed, then from the cache
        code, out, err = cli("predict", data, "--model", tiny_model, "--out", tmp_path / "p.csv")
        assert (code, err) == (0, "")
        assert said_of(out) == MANY
        table = pd.read_csv(tmp_path / "p.csv").set_index("record")
        assert table["warnings"].to_dict() == {
            "T000": CODES, "T001": CODES, "T002": "cropped", "T003": "cropped",
        }  # fmt: skip


def test_nothing_is_said_where_there_is_nothing(cli, tiny_model, tmp_path):
    from ecgxai_core.records.write import write_record
    from ecgxai_core.types import STANDARD_LEADS
    from tests.small import FS, SECONDS, beats

    write_record(tmp_path, "sound", 2 * beats(70, 1, SECONDS), FS, STANDARD_LEADS)
    code, out, _ = cli(
        "predict", tmp_path / "sound.hea", "--model", tiny_model, "--out", tmp_path / "p.csv"
    )
    assert code == 0
    assert "warnings" not in out
    assert pd.read_csv(tmp_path / "p.csv")["warnings"].isna().all()


def test_run_says_them_and_every_table_has_them(cli, data, tiny_model, tmp_path):
    code, out, err = cli(
        "run", "--data", data, "--model", tiny_model, "--out", tmp_path / "run",
        *QUICK, "--set", "deletion_steps=4",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert said_of(out) == MANY
    wanted = {"T000": CODES, "T001": CODES, "T002": "cropped", "T003": "cropped"}
    for name in ("predictions.csv", "sel_df.csv", "df_eval_attauc_deletion.csv"):
        table = pd.read_csv(tmp_path / "run" / name)
        for record, codes in zip(table["record"], table["warnings"], strict=True):
            assert set(wanted[record].split(";")) <= set(codes.split(";")), name
    summary = pd.read_csv(tmp_path / "run" / "summary_per_class.csv")
    assert (summary["n_warned"] == summary["n"]).all()
    assert summary["warnings"].str.contains("checksum").all()


def test_select_and_evaluation_of_a_model_say_them(cli, data, tiny_model, tmp_path):
    code, out, _ = cli(
        "select", "--data", data, "--model", tiny_model, "--out", tmp_path / "s.csv",
        "--min-prob", "0",
    )  # fmt: skip
    assert code == 0
    assert said_of(out) == MANY
    code, out, _ = cli(
        "evaluate-model", "--data", data, "--model", tiny_model, "--out", tmp_path / "report",
        "--n-bootstrap", "0",
    )  # fmt: skip
    assert code == 0
    assert said_of(out) == MANY
    table = pd.read_csv(tmp_path / "report" / "predictions.csv")
    assert table["warnings"].tolist() == [CODES, CODES, "cropped", "cropped"]


@pytest.mark.parametrize("method", ["saliency", "fused"])
def test_explain_says_each_in_its_own_words(cli, data, tiny_model, tmp_path, method):
    code, out, err = cli(
        "explain", data / "T000.hea", "--model", tiny_model, "--target", "AF",
        "--method", method, "--out", tmp_path / "m.json", *QUICK,
    )  # fmt: skip
    assert (code, err) == (0, "")
    line = said_of(out)
    found = json.loads((tmp_path / "m.json").read_text("utf-8"))["warnings"]
    assert {"checksum", "cropped"} <= {warning["code"] for warning in found}
    for warning in found:
        assert warning["message"] in line
    assert re.search(r"checksum \(V6\): ", line)
