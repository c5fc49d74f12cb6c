"""``ecgxai feedback``."""

from __future__ import annotations

import json

import pandas as pd

from ecgxai_core.study.feedback import FeedbackStore
from tests.study.test_feedback import item


def test_answers_are_exported_and_summed_up(cli, tmp_path):
    file = tmp_path / "feedback.sqlite"
    assert "no feedback yet" in cli("feedback", "summary", "--file", file)[1]
    FeedbackStore(file).add(item(answer={"comment": "=1+1"}), "secret")
    code, said, err = cli("feedback", "summary", "--file", file)
    assert (code, err) == (0, "")
    assert "164889003" in said
    for name in ("out.csv", "out.json"):
        code, said, err = cli("feedback", "export", "--file", file, "--out", tmp_path / name)
        assert (code, err) == (0, "")
        assert said.startswith("1 answers")
        assert "secret" not in (tmp_path / name).read_text()
    table = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert table.loc[0, "comment"] == "'=1+1"
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["answer"]["comment"] == "=1+1"
    assert cli("feedback", "export", "--file", file, "--out", tmp_path / "x.txt")[0] == 2
