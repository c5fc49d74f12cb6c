"""``ecgxai report``: a record, a run, and what is refused."""

from __future__ import annotations

import json
import re

from ecgxai_core.report.checklist import CHECKLIST, Checklist

QUICK = ["--set", "n_coalitions=16", "--set", "n_lead_coalitions=16", "--set", "top_events=2"]


def test_a_record(cli, tiny_data, tiny_model, tmp_path):
    out, pdf, answers = tmp_path / "r.html", tmp_path / "r.pdf", tmp_path / "checklist.json"
    answers.write_text(json.dumps(Checklist({CHECKLIST[0].name: "yes"}).as_json()))
    code, said, _ = cli(
        "report", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
        "--out", out, "--pdf", pdf, "--checklist", answers, *QUICK,
    )  # fmt: skip
    assert code == 0, said
    text = out.read_text("utf-8")
    assert "atrial fibrillation (164889003)" in text
    assert "AttAUC (strict)" in text
    assert CHECKLIST[0].question in text
    assert "--set n_coalitions=16" in re.sub(r"&#x27;", "'", text)
    assert str(tiny_data) not in text
    assert pdf.read_bytes().startswith(b"%PDF")


def test_a_run(cli, tiny_data, tiny_model, tmp_path):
    run, out = tmp_path / "run", tmp_path / "run.html"
    assert cli("run", "--data", tiny_data, "--model", tiny_model, "--out", run, *QUICK)[0] == 0
    assert cli("report", run, "--out", out)[0] == 0
    text = out.read_text("utf-8")
    assert "ecgxai run --data data" in text
    assert "banner" in text
    assert "Changed since the run ended" not in text
    assert "None: every record was read" in text
    assert cli("report", run, "--out", tmp_path / "again.html")[0] == 0
    assert (tmp_path / "again.html").read_text("utf-8") == text
    summary = run / "summary_per_class.csv"
    summary.write_text(summary.read_text("utf-8").replace("0.", "1.", 1), "utf-8")
    assert cli("report", run, "--out", out)[0] == 0
    assert "Changed since the run ended" in out.read_text("utf-8")
    for option in ("--pdf", "--checklist"):  # of a record; ignored, they would be missed
        code, _, err = cli("report", run, "--out", tmp_path / "x.html", option, tmp_path / "y")
        assert code == 2
        assert f"{option}: y: is for the report of a record. Fix: " in err
        assert not (tmp_path / "x.html").exists()


def test_what_cannot_be_reported_is_refused_in_one_line(cli, tiny_data, tmp_path):
    for arguments, word in (
        ((tmp_path,), "holds no finished run"),
        ((tiny_data / "T000.hea",), "--model"),
        ((tmp_path / "absent.hea", "--model", tmp_path / "m.keras", "--target", "AF"), "m.keras"),
    ):
        code, _, err = cli("report", *arguments, "--out", tmp_path / "x.html")
        assert code == 2
        assert word in err
        assert err.count("\n") == 1
    assert not (tmp_path / "x.html").exists()
