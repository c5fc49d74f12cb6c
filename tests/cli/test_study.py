"""``ecgxai study`` and ``ecgxai review-queue``."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest

from ecgxai_core.errors import ExplanationError
from ecgxai_core.pipeline import predict
from ecgxai_core.pipeline.predict import Failure
from ecgxai_core.report.study import DECIDE_AI
from ecgxai_core.settings import settings
from ecgxai_core.study import review_queue
from ecgxai_core.study.answers import STAGES, Answers
from ecgxai_core.study.frozen import open_study
from tests.study.frozen_study import copied, folder
from tests.study.test_study import answer


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("ECGXAI_STUDIES_DIR", str(tmp_path / "studies"))
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    (tmp_path / "studies").mkdir()
    yield open_study(copied(tmp_path / "studies" / "rhythm"))
    settings.cache_clear()


def test_answers_are_exported_and_analysed_by_the_name_of_the_study(study, tmp_path, cli):
    answers = Answers(study)
    for rater in study.protocol.raters:
        for _ in range(2 * len(STAGES)):
            step = answers.next(rater)
            answers.add(step, answer(step.stage))
    code, said, err = cli("study", "export", "rhythm", "--out", tmp_path / "a.csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8")))
    assert len(rows) == 4
    assert "4 showings" in said
    assert cli("study", "export", study.folder, "--out", tmp_path / "a.json")[0] == 0
    assert len(json.loads((tmp_path / "a.json").read_text("utf-8"))) == 4
    assert cli("study", "export", "rhythm", "--out", tmp_path / "a.txt")[0] == 2
    assert cli("study", "export", "nothing", "--out", tmp_path / "a.csv")[0] == 2
    out, tables = tmp_path / "report.html", tmp_path / "tables"
    code, said, err = cli("study", "analyse", "rhythm", "--out", out, "--tables", tables)
    assert (code, err) == (0, "")
    page = out.read_text("utf-8")
    for number, theme, _ in DECIDE_AI:
        assert f"<td>{number}</td>" in page
        assert theme in page
    assert "<script" not in page
    assert "over-reliance" in page
    assert page.count('contenteditable="true"') == len(DECIDE_AI)
    assert {int(number.rstrip("abc")) for number, _, _ in DECIDE_AI} == set(range(1, 18))
    assert len(list(tables.glob("*.csv"))) == 9


def test_a_study_is_made_where_the_page_finds_it(study, tmp_path, cli):
    code, said, err = cli("study", "new", folder() / "protocol.toml")
    assert (code, err) == (0, "")
    made = open_study(study.folder.parent / "protocol")
    assert f"code of one: {made.codes['one']}" in said
    assert made.digest == study.digest, "the same protocol and records give the same study"
    assert made.codes != study.codes
    assert cli("study", "new", folder() / "protocol.toml")[0] == 2


def test_the_queue_is_listed(study, tmp_path, cli):
    root = folder()
    model = root / "models" / "tiny.keras"
    out = tmp_path / "queue.csv"
    code, said, err = cli("review-queue", "--data", root / "data", "--model", model, "--out", out)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["place"] for row in rows] == list("123456")
    assert rows[0]["record"] in said
    with_other = ("--by", "disagreement", "--other", model, "--target", "AF")
    code, _, _ = cli(
        "review-queue", "--data", root / "data", "--model", model, "--out", out, *with_other
    )
    assert code == 0
    assert {row["disagreement"] for row in csv.DictReader(out.open(encoding="utf-8"))} <= {
        "0",
        "0.0",
    }
    code, said, _ = cli(
        "review-queue", "--data", root / "data", "--model", model, "--out", out, "--by", "evidence"
    )
    assert code == 0
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    missing = [float(row["missing_evidence"] or 0) for row in rows]
    assert max(missing) > 0
    assert missing[0] == max(missing)
    assert all(0 <= float(row["map_disagreement"]) <= 1 for row in rows)
    assert "missing_evidence" in said


def test_the_queue_names_what_the_other_model_refuses_and_what_is_not_explained(
    study, tmp_path, cli, monkeypatch
):
    """Each once, also what neither model can read, and the command does not end as if all went
    well."""
    root, data = folder(), tmp_path / "data"
    shutil.copytree(root / "data", data)
    (data / "bad.hea").write_text("nonsense\n")
    model, other = root / "models" / "tiny.keras", tmp_path / "other"
    shutil.copytree(root / "models", other)
    real_paths, real_doubts = predict.predict_paths, review_queue.doubts

    def of_some(paths, classifier, *more, **options):
        found = real_paths(paths, classifier, *more, **options)
        if classifier.path.parent != other:
            return found
        return replace(found, failures=(*found.failures, Failure("T001", "T001: too short")))

    def for_some(case, *more):
        if case.record.name == "T002":
            raise ExplanationError("T002", "", "has no beat", "leave it out")
        return real_doubts(case, *more)

    monkeypatch.setattr(predict, "predict_paths", of_some)
    monkeypatch.setattr(review_queue, "doubts", for_some)
    code, said, err = cli(
        "review-queue", "--data", data, "--model", model, "--other", other / "tiny.keras",
        "--by", "methods",
    )  # fmt: skip
    assert code == 3
    lines = err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["bad.hea", "T001", "T002"]
    assert "T000" in said
