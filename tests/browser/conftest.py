"""A real browser against a real server: tiny data, a tiny model, and a cache for every module.

``server`` is the address. Each module starts its own, because what one module explains would be
found in the cache by the next, and which modules come before depends on how tests are shared out.
``page`` is a fresh browser tab that fails the test on an exception box, a console error or a failed
request. Skipped, with a hint, where Debian's chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT, complaint, serving, settled
from tests.browser.viewer_page import serving_page, write_host
from tests.small import write_data, write_model

__all__ = ["LONG", "browser", "page", "server", "settled"]

LONG = 300_000
"""The longest wait, ms; only a failing test takes it. On two busy cores the first prediction, which
loads TensorFlow, takes minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser waits for in vain, or finds twice because streamlit was just drawing the page
    anew, it waits for once more; the report counts it as a rerun. Wrong texts, figures and console
    errors are never tried twice."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError", "strict mode"]))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with six records in ``tiny-set`` and one network in ``models``; nobody writes here."""
    if CHROMIUM is None:
        pytest.skip(HINT)
    folder = tmp_path_factory.mktemp("tiny")
    write_data(folder / "tiny-set")
    write_model(folder / "models")
    return folder


@pytest.fixture(scope="module")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard that this module has for itself, with an empty cache."""
    folder = tmp_path_factory.mktemp("dashboard")
    environment = {
        "ECGXAI_DATA": str(tiny / "tiny-set"),
        "ECGXAI_MODELS": str(tiny / "models"),
        "ECGXAI_RUNS": "",
        "ECGXAI_CACHE_DIR": str(folder / "cache"),
    }
    with serving(environment, folder / "server.log") as address:
        yield address


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the page that plays the viewer's host."""
    folder = tmp_path_factory.mktemp("host")
    file = write_host(folder)
    with serving_page(folder) as address:
        yield f"{address}/{file.name}"


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
    tab.set_default_timeout(LONG)
    errors: list[str] = []
    tab.on("console", lambda said: errors.append(said.text) if complaint(said) else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    boxes = tab.locator("[data-testid=stException]").count()
    context.close()
    assert boxes == 0, "an exception box is shown"
    assert errors == []
