"""From the list to the fused map, in a real browser: what a reader does on the first day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import LONG, settled
from tests.small import write_data

READY = "[data-testid=ecg-viewer][data-ready=true]"
MAP = f"{READY}[data-map=fused]"
FILES = "[data-testid=stFileChip]"


def _open(page: Any, address: str) -> None:
    page.goto(address)
    settled(page)
    page.get_by_text("research use only").first.wait_for()


def _wait_for_data(page: Any) -> None:
    """The first prediction loads TensorFlow."""
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    settled(page)


def test_list_to_fused_map_to_link(page: Any, server: str, browser: Any) -> None:
    _open(page, f"{server}/records")
    _wait_for_data(page)
    assert page.get_by_text("6 of 6 records").count() == 1
    page.get_by_role("button", name="Random record").click()
    page.get_by_role("heading", name="Explain", exact=True).wait_for()
    page.get_by_role("button", name="Explain with TimeSHAP").click()
    page.get_by_text("Leads by weight").wait_for()
    settled(page)
    page.locator(MAP).wait_for()
    assert "25 mm/s" in page.locator(MAP).inner_text()
    box = page.locator(MAP).locator("canvas.base").bounding_box()
    assert box["y"] + box["height"] <= 900, "all twelve leads stand above the fold"
    address = page.url
    assert "record=T0" in address
    assert "target=" in address

    fresh = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    fresh.set_default_timeout(LONG)
    fresh.goto(address)
    settled(fresh)
    fresh.get_by_text("Leads by weight").wait_for()
    fresh.locator(MAP).wait_for()
    assert fresh.url.split("?")[1] == address.split("?")[1]
    fresh.context.close()


def test_step_layout_and_the_link_of_a_view(page: Any, server: str) -> None:
    _open(page, f"{server}/explain?record=T001")
    viewer = page.locator(READY)
    viewer.wait_for()
    first = viewer.get_attribute("data-target")
    viewer.get_by_label("Layout (L)").select_option("3x4")
    page.wait_for_url("**view=layout-3x4*")
    viewer.get_by_role("button", name="next record").click()
    page.locator(f"{READY}[data-record=T002]").wait_for()
    assert "record=T002" in page.url
    assert viewer.get_by_label("Layout (L)").input_value() == "3x4"
    settled(page)
    page.reload()
    page.locator(f"{READY}[data-record=T002]").wait_for()
    assert viewer.get_by_label("Layout (L)").input_value() == "3x4"
    other = page.get_by_role("combobox", name="Target")
    other.click()
    options = page.get_by_role("option").all_inner_texts()
    assert len(options) == 2
    page.get_by_role("option").nth(0 if "sinus" in other.input_value() else 1).click()
    settled(page)
    page.locator(f"{READY}[data-target]:not([data-target='{first}'])").wait_for()


@pytest.fixture
def mine(tmp_path: Path) -> list[Path]:
    return sorted(write_data(tmp_path / "mine", 1).iterdir())


def test_the_parameters_stay_open_and_hold_their_button(page: Any, server: str) -> None:
    _open(page, f"{server}/explain?record=T003")
    page.locator(READY).wait_for()
    settled(page)
    page.get_by_text("Parameters of the explanation").click()
    field = page.locator(".st-key-explain-seed input")
    field.fill("7")
    field.press("Enter")
    page.wait_for_url("**explain.seed=7*")
    settled(page)
    page.get_by_role("button", name="Explain with these").wait_for(state="visible")
    assert field.is_visible(), "the panel is still open"
    assert field.input_value() == "7"


def test_upload_of_a_good_and_a_bad_record(page: Any, server: str, mine: list[Path]) -> None:
    _open(page, f"{server}/records")
    page.get_by_text("Open your own record").click()
    page.locator("input[type=file]").set_input_files([str(mine[0])])  # a header alone
    page.locator(FILES).first.wait_for()
    settled(page)
    page.get_by_role("button", name="Open these files").click()
    page.locator("[data-testid=stAlert]").first.wait_for()
    page.locator(FILES).first.wait_for(state="detached")
    settled(page)
    page.locator("input[type=file]").set_input_files([str(path) for path in mine])
    page.locator(FILES).nth(1).wait_for()
    settled(page)
    page.get_by_role("button", name="Open these files").click()
    page.get_by_role("heading", name="Explain", exact=True).wait_for()
    page.locator(READY).wait_for()
    settled(page)
    assert "Own+records" in page.url
