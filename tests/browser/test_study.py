"""A study in a real browser: blinded, and resumed after the server was started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecgxai_core.study.answers import STAGES, Answers
from ecgxai_core.study.frozen import Study, open_study
from tests.browser.serving import serving, settled
from tests.study.frozen_study import ARMS, copied


def sign_in(page: Any, address: str, code: str) -> None:
    page.goto(f"{address}/study?record=T000&target=164889003")
    page.get_by_label("Your code").fill(code)
    page.keyboard.press("Enter")


def answer(page: Any, stage: str) -> None:
    """Answer a stage by keyboard."""
    if stage == STAGES[-1]:
        for number in range(page.locator("[data-testid=stRadio]").count()):
            choose(page, number, 5)
    else:
        choose(page, 0, 0)
        choose(page, 1, 7)
    page.get_by_role("button", name="Answer").focus()
    page.keyboard.press("Enter")


def choose(page: Any, group: int, option: int) -> None:
    page.locator("[data-testid=stRadio]").nth(group).locator("input").nth(option).focus()
    page.keyboard.press("Space")


def blind(page: Any, study: Study, sent: list[str]) -> None:
    """Neither the page, with its viewer, nor the address, nor what was sent names an arm."""
    assert "?" not in page.url, "what a link brought along is gone"
    parts = [page.content(), page.title(), *sent]
    for host in page.locator("[data-testid=stBidiComponentRegular], [data-record]").all():
        parts.append(host.evaluate("e => (e.shadowRoot || e).innerHTML + e.outerHTML"))
    for word in (*ARMS[1:], "shuffled", "occlusion", *(case.record for case in study.cases)):
        assert [part[:80] for part in parts if word in part] == [], word
    assert page.get_by_role("button", name="Download").count() == 0
    assert page.get_by_label("Map shown (M)").count() <= 1


def test_a_study_is_blinded_and_goes_on_after_a_restart(page: Any, tmp_path: Path) -> None:
    study = open_study(copied(tmp_path / "studies" / "rhythm"))
    environment = {
        "ECGXAI_STUDIES_DIR": str(tmp_path / "studies"), "ECGXAI_WARM": "0",
        "ECGXAI_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    code, own = study.codes["one"], study.of("one")
    sent: list[str] = []

    def listen(socket: Any) -> None:
        socket.on("framereceived", lambda frame: sent.append(str(frame)))

    page.on("websocket", listen)
    page.set_default_timeout(60_000)  # no network is loaded here
    with serving(environment, tmp_path / "first.log") as address:
        sign_in(page, address, code)
        page.get_by_role("button", name="Begin").click()
        for place, stage in enumerate(STAGES[:3], start=1):
            page.get_by_text(f"step {place} of 4").wait_for()
            page.locator(f"[data-record='{own[0].token}']").wait_for()
            settled(page)
            blind(page, study, sent)
            if place < 3:
                answer(page, stage)
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("0 of 8 ECGs").wait_for()
    page.goto("about:blank")
    with serving(environment, tmp_path / "second.log") as address:
        sign_in(page, address, code)
        page.get_by_text("step 3 of 4").wait_for()
        settled(page)
        answer(page, STAGES[2])
        page.get_by_text("step 4 of 4").wait_for()
        settled(page)
        blind(page, study, sent)
        answer(page, STAGES[3])
        page.get_by_text("ECG 2 of 8").wait_for()
        settled(page)
        page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
    assert len(sent) > 10
    (row,) = Answers(study).frame().to_dict("records")
    assert row["complete"]
    assert (row["confidence_ecg"], row["trust"]) == (70, 2)
    assert row["shown_map"] == 2
