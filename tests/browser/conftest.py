"""A real browser against a real server, once a session: tiny data, a tiny model, an own cache.

``server`` is the address; ``page`` a fresh browser tab that fails the test on an exception box, a
console error or a failed request. Skipped, with a hint, where Debian's chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT, complaint, serving, settled
from tests.small import write_data, write_model

__all__ = ["browser", "page", "server", "settled"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running dashboard with six records and a tiny model, both usable offline."""
    if CHROMIUM is None:
        pytest.skip(HINT)
    folder = tmp_path_factory.mktemp("dashboard")
    data, models = write_data(folder / "tiny-set"), folder / "models"
    write_model(models)
    environment = {
        "ECGXAI_DATA": str(data),
        "ECGXAI_MODELS": str(models),
        "ECGXAI_CACHE_DIR": str(folder / "cache"),
    }
    with serving(environment, folder / "server.log") as address:
        yield address


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
    tab.on("console", lambda said: errors.append(said.text) if complaint(said) else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    boxes = tab.locator("[data-testid=stException]").count()
    context.close()
    assert boxes == 0, "an exception box is shown"
    assert errors == []
