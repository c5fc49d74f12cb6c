"""The page of a report card: content, escaping, and the command that writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ecgxai_core.audit.baselines import INTACT
from ecgxai_core.audit.card_evidence import Share, evidence_rows
from ecgxai_core.audit.card_rules import LEAST_RECORDS, TESTS, Measured, verdicts_of
from ecgxai_core.audit.report_card import BaselineRow, CardRequest, ModelFacts, ReportCard
from ecgxai_core.cli.main import run_cli
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.params import SelectionParams, profile
from ecgxai_core.pipeline.predict import Failure
from ecgxai_core.report import card_html
from ecgxai_core.settings import settings
from tests.report.conftest import HOSTILE
from tests.small import AF, SINUS, write_data, write_model

GOOD, BAD = "occlusion", "saliency"


@pytest.fixture
def card() -> ReportCard:
    """Two methods, one good and one bad at deletion, for two diagnoses, one with few records."""
    chosen = profile("default").updated(methods=(GOOD, BAD))
    request = CardRequest(
        Path(f"/secret/{HOSTILE.replace('/', '')}"), Path("m.keras"), chosen,
        SelectionParams(k_per_class=8),
    )  # fmt: skip
    maps = (GOOD, BAD, "random", "empty")
    rows = [
        Measured("deletion_gain", method, f"r{i}", AF if i < 11 else SINUS, value, 0.0)
        for i in range(13)
        for method, value in (
            (GOOD, 0.3 + 0.01 * i), (BAD, (-1) ** i * 0.1), ("empty", 0.0),
            ("random", (-1) ** (i // 2) * 0.1),
        )
    ]  # fmt: skip
    params = chosen.evaluation
    verdicts = [v for t in ("", AF, SINUS) for v in verdicts_of(rows, maps, params, t)]
    parts = [Share("lead", "II", 0.8, 0.5), Share("lead", "V1", 0.2, 0.5)]
    parts += [Share("wave", name, 0.2, 0.1) for name in ("P", "QRS", "ST", "T", "between")]
    return ReportCard(
        request=request.describe("d" * 64),
        model=ModelFacts(
            HOSTILE, "d" * 64, (AF, "<b>x</b>"), 100.0, 10.0, ("II", "V1"), "probability",
            "<img src=x onerror=alert(1)>", "", "whole", "it has <i>attention</i>", None, {},
        ),
        n_read=15,
        n_records=13,
        n_simulated=3,
        n_by_target={AF: 11, SINUS: 2},
        maps=maps,
        verdicts=tuple(verdicts),
        baselines=tuple(
            BaselineRow(kind, code, 0.71, 0.7, 0.72, 1.0, 8)
            for kind in (INTACT, *BASELINES)
            for code in (AF, "<b>x</b>")
        ),
        evidence=evidence_rows(
            [(t, m, parts) for t in (AF, SINUS) for m in (GOOD, BAD) for _ in range(2)], params
        ),
        failures=(Failure("<u>r</u>", "file, field: <u>odd</u>. Fix: none"),),
        records_digest="e" * 64,
        warnings={"<u>w</u>": ("checksum", "flat_lead")},
    )  # fmt: skip


def cells(page: str, heading: str) -> list[str]:
    """Classes of the verdict cells in the first row of the table after a heading."""
    after = page[page.index(heading) :]
    row = re.search(r'<tr><td class="test">Deletion.*?</tr>', after, re.S)
    return re.findall(r'<td class="(pass|fail|few|undefined)"', row.group(0))


def test_the_page_shows_verdicts_rules_and_baselines(card):
    page = card_html(card)
    assert cells(page, "Which explanations pass") == ["pass", "fail"]
    assert cells(page, "say nothing of the model") == ["fail", "fail"]
    assert cells(page, "atrial fibrillation (164889003) (n = 11)") == ["pass", "fail"]
    assert cells(page, "sinus rhythm (426783006) (n = 2)") == ["few", "few"]
    assert "3 of the 13 records are simulated" in page
    assert "Simulated records say nothing about performance on patients" in page
    assert f"fewer than {LEAST_RECORDS} records" in page
    for test in TESTS.values():
        assert test.title in page
    assert "the interval lies below 0.01" in page
    assert "forward passes of the whole model" in page
    assert "×2.00" in page
    assert "zero (used)" in page
    assert "baseline itself: atrial fibrillation (164889003) on zero (0.71)" in page


def test_the_same_card_gives_the_same_page_and_digests_differ(card):
    assert card_html(card) == card_html(card)
    assert replace(card, records_digest="f" * 64).digest != card.digest
    assert card.digest in card_html(card)


def test_external_text_is_escaped_and_paths_are_not_shown(card):
    page = card_html(card)
    for evil in ("<script", "<img src", "<i>attention", "<u>", "<b>x"):
        assert evil not in page
    assert "&lt;u&gt;odd" in page
    assert "<td>&lt;u&gt;w&lt;/u&gt;</td><td>checksum, flat_lead</td>" in page
    assert "&lt;img src=x onerror" in page
    assert "/secret" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_the_page_has_the_command_that_reproduces_it(card):
    page = card_html(card)
    command = re.search(r"<pre>(ecgxai report-card .*?)</pre>", page, re.S).group(1)
    for word in ("--method occlusion --method saliency", "--profile default", "--n 8", "--out"):
        assert word in command


def test_undefined_values_are_null_in_json(card):
    said = json.loads(json.dumps(card.as_json(), allow_nan=False))
    undefined = [v for v in said["verdicts"] if v["verdict"] == "not defined"]
    assert undefined
    assert all(v["mean"] is None and v["n"] == 0 for v in undefined)
    assert said["rules"]["deletion_gain"]["rule"] == TESTS["deletion_gain"].rule


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_command_line_writes_page_and_json(own_cache, tmp_path, capsys):
    data, model = write_data(tmp_path / "data", 2), write_model(tmp_path / "model")
    words = ["report-card", "--data", data, "--model", model, "--method", "input_x_gradient"]
    words += ["--n", 1, "--set", "window_sec=1", "--set", "deletion_steps=4"]
    out = tmp_path / "card.html"
    assert run_cli([str(word) for word in (*words, "--out", out)]) == 0
    assert "passed: input_x_gradient 0/0" in capsys.readouterr().out
    page, said = out.read_text("utf-8"), json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert "Report card: tiny.keras on data" in page
    assert said["digest"] in page
    assert str(tmp_path) not in page + json.dumps(said)
    measured = {v["test"] for v in said["verdicts"] if v["n"]}
    assert {"deletion_gain", "spearman_noise", "repeats", "sanity", "attauc_strict"} <= measured
    assert said["n_by_target"] == {AF: 1, SINUS: 1}


def test_a_page_named_like_its_json_file_is_refused(tmp_path, capsys):
    words = ["report-card", "--data", tmp_path, "--model", tmp_path / "m.keras"]
    assert run_cli([str(word) for word in (*words, "--out", tmp_path / "card.json")]) == 2
    assert "is the name of the JSON file" in capsys.readouterr().err
