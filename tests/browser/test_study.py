"""A whole study in a real browser: blinded, and resumed after the server was started again."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ecgxai_core.study.answers import STAGES, Answers
from ecgxai_core.study.frozen import Study, open_study
from tests.browser.serving import REPO, serving, settled
from tests.study.frozen_study import ARMS, RATERS, copied

CASES = 12
HIDDEN = (*ARMS[1:], "shuffled", "occlusion", "input_x_gradient")
"""Words that would tell the arm; the first arm is "none", which is an English word."""


def sign_in(page: Any, address: str, code: str) -> None:
    page.goto(f"{address}/study?record=patient-000&target=164889003")
    page.get_by_label("Your code").fill(code)
    page.keyboard.press("Enter")


def at_step(page: Any, ecg: int, stage: str) -> None:
    """Wait until a stage of an ECG is shown and may be answered."""
    step = STAGES.index(stage) + 1
    page.get_by_text(f"ECG {ecg} of {CASES} · step {step} of 4", exact=True).wait_for()
    settled(page)


def answer(page: Any, stage: str, ecg: int) -> None:
    """Answer a stage by keyboard: the diagnosis changes with the ECG, so that there is something
    to analyse."""
    if stage == STAGES[-1]:
        for number in range(page.locator("[data-testid=stRadio]").count()):
            choose(page, number, (ecg + number) % 7)
    else:
        choose(page, 0, ecg % 2)
        choose(page, 1, 5 + ecg % 5)
    page.get_by_role("button", name="Answer").focus()
    page.keyboard.press("Enter")


def choose(page: Any, group: int, option: int) -> None:
    page.locator("[data-testid=stRadio]").nth(group).locator("input").nth(option).focus()
    page.keyboard.press("Space")


class Wire:
    """All that a tab asked for and was sent, and what it saved."""

    def __init__(self, page: Any) -> None:
        self.asked: list[str] = []
        self.sent: list[str] = []
        self.saved: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("download", lambda download: self.saved.append(download.suggested_filename))
        page.on("websocket", self._listen)

    def _listen(self, socket: Any) -> None:
        socket.on("framereceived", lambda frame: self.sent.append(str(frame)))


def blind(page: Any, study: Study, wire: Wire, place: int = 0) -> None:
    """Neither the page, with its viewer and attributes, nor the addresses, nor what was sent names
    an arm, a method or a record, and there is nothing to save."""
    assert "?" not in page.url, "what a link brought along is gone"
    parts = [page.content(), page.title(), page.url, *wire.asked[1:], *wire.sent[place:]]
    for host in page.locator("[data-testid=stBidiComponentRegular], [data-record]").all():
        parts.append(host.evaluate("e => (e.shadowRoot || e).innerHTML + e.outerHTML"))
    for word in (*HIDDEN, *(case.record for case in study.cases)):
        assert [part[:80] for part in parts if word in part] == [], word
    for button in ("Download", "Save", "Export"):
        assert page.get_by_role("button", name=button).count() == 0
    assert page.locator("a[download], [data-testid=stDownloadButton]").count() == 0
    assert page.get_by_label("Map shown (M)").count() <= 1, "no map to switch to"
    assert wire.saved == []


def answered(page: Any, study: Study, wire: Wire, steps: list[tuple[int, str]]) -> None:
    """Go through steps of the study, and look at each before it is answered."""
    for ecg, stage in steps:
        place = len(wire.sent)
        at_step(page, ecg, stage)
        blind(page, study, wire, max(0, place - 10))
        answer(page, stage, ecg)


def command(environment: dict[str, str], *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ecgxai_core", *map(str, words)], cwd=REPO, text=True,
        env={**os.environ, **environment}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_study_is_run_through_resumed_exported_and_analysed(page: Any, tmp_path: Path) -> None:
    study = open_study(copied(tmp_path / "studies" / "rhythm", CASES, 0, "patient-"))
    environment = {
        "ECGXAI_STUDIES_DIR": str(tmp_path / "studies"), "ECGXAI_WARM": "0",
        "ECGXAI_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    wire = Wire(page)
    steps = [(ecg, stage) for ecg in range(1, CASES + 1) for stage in STAGES]
    stop = 4 * 2 + 2  # the third ECG, before its map
    with serving(environment, tmp_path / "first.log") as address:
        sign_in(page, address, study.codes["one"])
        page.get_by_role("button", name="Begin").click()
        answered(page, study, wire, steps[:stop])
        at_step(page, *steps[stop])
        page.get_by_role("button", name="Pause").click()
        page.get_by_text(f"2 of {CASES} ECGs").wait_for()
    page.goto("about:blank")
    wire.asked.clear()
    with serving(environment, tmp_path / "second.log") as address:
        sign_in(page, address, study.codes["one"])
        answered(page, study, wire, steps[stop:])
        page.get_by_text(f"All {CASES} ECGs are answered").wait_for()
        wire.asked.clear()
        sign_in(page, address, study.codes["two"])
        page.get_by_role("button", name="Begin").click()
        answered(page, study, wire, steps)
        page.get_by_text(f"All {CASES} ECGs are answered").wait_for()
        settled(page)
        page.goto("about:blank")  # a page whose server has ended complains
    assert len(wire.sent) > 8 * CASES, "what was sent was listened to"
    check_answers(study)
    check_results(environment, tmp_path)


def check_answers(study: Study) -> None:
    """Every case once per rater, every arm as often, and each answer as it was given."""
    rows = Answers(study).frame()
    assert len(rows) == 2 * CASES
    assert rows["complete"].all()
    assert rows["token"].is_unique
    for rater in RATERS:
        own = rows[rows["rater"] == rater].sort_values("position")
        assert sorted(own["case"]) == list(range(CASES))
        assert own["arm"].value_counts().to_dict() == dict.fromkeys(ARMS, CASES // len(ARMS))
        ecg = own["position"] + 1
        names = list(study.diagnoses)
        assert list(own["diagnosis_map"]) == [names[number % 2] for number in ecg]
        assert list(own["confidence_ecg"]) == [10 * (5 + number % 5) for number in ecg]
    twice = rows[(rows["shown_map"] > 1)]
    assert list(zip(twice["rater"], twice["position"], strict=True)) == [("one", 2)]


def check_results(environment: dict[str, str], folder: Path) -> None:
    """The command line exports and analyses what was answered."""
    table, report = folder / "answers.csv", folder / "report.html"
    assert "24 showings" in command(environment, "study", "export", "rhythm", "--out", table)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * CASES
    assert {row["arm"] for row in rows} == set(ARMS)
    command(
        environment, "study", "analyse", "rhythm", "--out", report, "--tables", folder / "tables"
    )
    assert "over-reliance" in report.read_text("utf-8")
    accuracy = next((folder / "tables").glob("accuracy*.csv")).read_text("utf-8")
    assert all(arm in accuracy for arm in ARMS)
