"""Several people on one server: nobody holds it up, and closed tabs take their uploads along."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.browser.conftest import LONG, settled
from tests.browser.serving import serving
from tests.small import write_data, write_model

PINNING = (
    "&explain.max_lead_coalitions=4096&explain.n_coalitions=100000"
    "&explain.window_sec=0.25&explain.engine=whole&explain.segments=uniform"
    "&explain.level=lead_in_event&methods=lime,timeshap"
)
BAR = "[data-testid=stProgress]"


def patience(seconds: float) -> float:
    """Seconds on a machine with nothing else to do, made longer by what else it does."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard with own records and the shipped model beside a tiny one."""
    folder = tmp_path_factory.mktemp("neighbours")
    write_data(folder / "tiny-set")
    write_model(folder / "models")
    (folder / "tmp").mkdir()
    environment = {
        "ECGXAI_DATA": str(folder / "tiny-set"),
        "ECGXAI_MODELS": str(folder / "models"),
        "ECGXAI_RUNS": "",
        "ECGXAI_CACHE_DIR": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
    }
    with serving(environment, folder / "server.log") as address:
        yield address


@pytest.fixture
def temporary(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps what people upload."""
    del server
    return next(tmp_path_factory.getbasetemp().glob("neighbours*/tmp"))


@pytest.fixture
def tab(browser: Any) -> Iterator[Callable[[str], Any]]:
    """``tab(address)``: a page in a session of its own."""
    contexts = []

    def opened(address: str) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(LONG)
        page.goto(address)
        settled(page)
        return page

    yield opened
    for number, context in enumerate(contexts):  # shown where a test fails
        for page in context.pages:
            print(f"---- session {number + 1} of the browser: {page.url}")
            print(page.locator("body").inner_text())
        context.close()


def explain(page: Any) -> None:
    page.get_by_role("button", name=re.compile("Explain with")).click()


def test_two_pinning_links_hold_nobody_up_and_cancel_acts_at_once(
    tab: Callable[[str], Any], server: str
) -> None:
    big = f"{server}/explain?model=ptbxl_resnet&target=164889003{PINNING}"
    small = tab(f"{server}/explain?model=tiny&target=164889003&record=T004")
    small.get_by_role("button", name=re.compile("Explain with")).wait_for()
    first, second = tab(f"{big}&record=T000"), tab(f"{big}&record=T001")
    explain(first)
    first.get_by_text("forward passes").wait_for()  # else the server may choose the second first
    explain(second)
    second.get_by_text("waiting").wait_for()

    begun = time.monotonic()
    explain(small)
    small.get_by_text("Leads by weight").wait_for()
    print(f"a third session's explanation: {time.monotonic() - begun:.1f} s")
    assert time.monotonic() - begun < patience(10)
    assert first.get_by_role("button", name="Cancel").count() == 1

    # somebody else who opens the same link sees neither name nor button
    stranger = tab(f"{big}&record=T000")
    stranger.get_by_text("for another session already").wait_for()
    assert stranger.get_by_role("button", name="Cancel").count() == 0
    assert stranger.get_by_text("Explaining T000").count() == 0

    begun = time.monotonic()
    second.get_by_role("button", name="Cancel").click()  # it waits
    second.get_by_text("cancelled").wait_for()
    print(f"a waiting job cancelled: {time.monotonic() - begun:.2f} s")
    assert time.monotonic() - begun < patience(1)
    second.get_by_role("button", name="Try again").click()
    second.get_by_text("waiting").wait_for()
    begun = time.monotonic()
    first.get_by_role("button", name="Cancel").click()  # it runs
    first.get_by_text("cancelled").wait_for()
    print(f"a running job cancelled: {time.monotonic() - begun:.2f} s")
    assert time.monotonic() - begun < patience(1)
    second.get_by_text("waiting").wait_for(state="detached")  # its turn: the first has ended
    assert time.monotonic() - begun < patience(4)
    second.get_by_role("button", name="Cancel").click()


def open_own_record(page: Any, files: list[Path]) -> None:
    """Bring the files of one record from the page of records to the page Explain."""
    page.get_by_text("Open your own record").click()
    page.locator("input[type=file]").set_input_files([str(path) for path in files])
    page.locator("[data-testid=stFileChip]").nth(1).wait_for()
    settled(page)
    page.get_by_text("Give neutral names").click()
    settled(page)
    page.get_by_role("button", name="Open these files").click()
    page.get_by_role("heading", name="Explain", exact=True).wait_for()
    page.locator("[data-testid=ecg-viewer][data-ready=true]").wait_for()
    settled(page)


def wait_until_deleted(temporary: Path) -> float:
    """Seconds until the server has deleted all uploaded records; at most 60."""
    begun = time.monotonic()
    while list(temporary.glob("ecgxai-own-*")) and time.monotonic() - begun < 60:
        time.sleep(0.5)
    return time.monotonic() - begun


def test_own_records_are_gone_half_a_minute_after_the_tab_is_closed(
    tab: Callable[[str], Any], server: str, temporary: Path, tmp_path: Path
) -> None:
    page = tab(f"{server}/records")
    open_own_record(page, sorted(write_data(tmp_path / "mine", 1).iterdir()))
    assert "record=" not in page.url
    assert "target=" not in page.url
    assert page.get_by_text("record-1").count() > 0
    kept = list(temporary.glob("ecgxai-own-*/records/*"))
    assert {path.stem for path in kept} == {"record-1"}
    page.context.close()
    assert wait_until_deleted(temporary) < 30
    assert not list(temporary.glob("ecgxai-own-*"))


def memory(server: str) -> int:
    """Bytes that the server at an address and its worker processes hold."""
    port = server.rsplit(":", 1)[1]
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker that is replaced at this moment
            found += [child] if f"--server.port={port}" in child.cmdline() else []
    (process,) = found
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # replaced at this moment
            total += one.memory_info().rss
    return total


def test_memory_stays_where_the_first_explanation_left_it(
    tab: Callable[[str], Any], server: str, temporary: Path, tmp_path: Path
) -> None:
    files = sorted(write_data(tmp_path / "mine", 1).iterdir())
    after: list[int] = []
    for _ in range(4):
        page = tab(f"{server}/records?model=tiny")
        open_own_record(page, files)
        page.get_by_role("button", name=re.compile("Explain with")).click()
        page.get_by_text("Leads by weight").wait_for()
        settled(page)
        after.append(memory(server))
        page.context.close()
    assert wait_until_deleted(temporary) < 30
    after.append(memory(server))
    print("memory, MB:", *(round(size / 1e6) for size in after))
    assert after[-1] < 1.1 * after[0]
