"""The tour in a real browser: steps go to the ECG, and full screen lasts from page to page."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import settled


def test_the_tour_goes_to_the_ecg_and_stays_in_full_screen(page: Any, server: str) -> None:
    page.goto(f"{server}/tour")
    page.get_by_role("button", name="Show step 2").click()
    page.get_by_text("Tour 2 of 5").wait_for()
    page.locator("button[data-scrolled=done]").wait_for()
    page.locator("[data-testid=ecg-viewer][data-ready=true]").wait_for()
    settled(page)
    page.get_by_role("button", name="Full screen").click()
    page.get_by_role("button", name="Leave full screen").wait_for()
    page.wait_for_function("() => document.fullscreenElement === document.documentElement")
    page.locator("[data-testid=stHeader]").wait_for(state="hidden")
    page.keyboard.press("PageDown")
    page.get_by_text("Tour 3 of 5").wait_for()
    page.get_by_role("button", name="Leave full screen").wait_for()
    settled(page)
    page.keyboard.press("PageUp")
    page.get_by_text("Tour 2 of 5").wait_for()
    page.get_by_role("button", name="Leave full screen").click()
    page.get_by_role("button", name="Full screen", exact=True).wait_for()
    page.get_by_role("button", name="End the tour").click()
    page.get_by_text("Tour 2 of 5").wait_for(state="detached")
