"""A real browser against a real server, once a session: tiny data, a tiny model, an own cache.

``server`` is the address; ``page`` a fresh browser tab that fails the test on an exception box, a
console error or a failed request. Skipped, with a hint, where Debian's chromium is missing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.small import write_data, write_model

REPO = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
HINT = "needs chromium and playwright: apt-get install chromium; pip install playwright"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running dashboard with six records and a tiny model, both usable offline."""
    if CHROMIUM is None:
        pytest.skip(HINT)
    folder = tmp_path_factory.mktemp("dashboard")
    data, models = write_data(folder / "tiny-set"), folder / "models"
    write_model(models)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "ECGXAI_DATA": str(data),
        "ECGXAI_MODELS": str(models),
        "ECGXAI_CACHE_DIR": str(folder / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.headless=true"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=REPO,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One chromium for the session."""
    sync_api = pytest.importorskip("playwright.sync_api", reason=HINT)
    if CHROMIUM is None:
        pytest.skip(HINT)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab in a session of its own; afterwards: no exception box and no console error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    errors: list[str] = []
    tab.on("console", lambda said: errors.append(said.text) if _counts(said) else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    boxes = tab.locator("[data-testid=stException]").count()
    context.close()
    assert boxes == 0, "an exception box is shown"
    assert errors == []


def _counts(said: Any) -> bool:
    """Errors, but not streamlit's own search for its base path when a link names a page."""
    return said.type == "error" and "_stcore" not in said.location.get("url", "")


def settled(tab: Any) -> None:
    """Wait until the script has run to its end and nothing is loading."""
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    tab.wait_for_timeout(150)
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
