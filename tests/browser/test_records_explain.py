"""From the list to the fused map, in a real browser: what a reader does on the first day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import LONG, settled
from tests.small import write_data

MAP = ".heatmaplayer image, .heatmaplayer .hm"
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
    _open(page, server)
    _wait_for_data(page)
    assert page.get_by_text("6 of 6 records").count() == 1
    page.get_by_role("button", name="Random record").click()
    page.get_by_role("heading", name="Explain", exact=True).wait_for()
    page.get_by_role("button", name="Explain with LIME and TimeSHAP").click()
    page.get_by_text("Leads by weight").wait_for()
    settled(page)
    chart = page.locator("[data-testid=stPlotlyChart]").first
    chart.locator(MAP).first.wait_for(state="attached")
    assert "mm/s, 10 mm/mV" in chart.inner_text()
    address = page.url
    assert "record=T0" in address
    assert "target=" in address

    fresh = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    fresh.set_default_timeout(LONG)
    fresh.goto(address)
    settled(fresh)
    fresh.get_by_text("Leads by weight").wait_for()
    fresh.locator(MAP).first.wait_for(state="attached")
    assert fresh.url.split("?")[1] == address.split("?")[1]
    fresh.context.close()


def test_overlay_off_layout_and_downloads(page: Any, server: str) -> None:
    _open(page, f"{server}/explain?record=T001")
    page.locator("[data-testid=stPlotlyChart] .scatterlayer").first.wait_for()
    page.get_by_role("radiogroup", name="Layout", exact=True).get_by_text("3x4+II").click()
    settled(page)
    page.get_by_text("Explanation", exact=True).click()
    settled(page)
    assert page.locator(MAP).count() == 0
    page.get_by_test_id("stPopover").filter(has_text="Download").first.click()
    with page.expect_download() as got:
        page.get_by_role("button", name="HTML (works offline)").click()
    text = Path(got.value.path()).read_text("utf-8")
    assert "25 mm" in text
    assert "plotly" in text
    assert "T001" in text


def test_box_measures(page: Any, server: str) -> None:
    _open(page, f"{server}/explain?record=T001")
    layer = page.locator("[data-testid=stPlotlyChart] .nsewdrag").first
    layer.wait_for()
    settled(page)
    layer.evaluate("one => one.scrollIntoView()")
    page.wait_for_timeout(300)
    place = layer.bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=5)
    page.mouse.up()
    page.locator("p", has_text="/min").filter(has_text="mV in lead").wait_for()
    page.get_by_test_id("stBaseButton-secondary").filter(has_text="Zoom in").click()
    page.get_by_role("button", name="Whole record").wait_for()
    settled(page)


@pytest.fixture
def mine(tmp_path: Path) -> list[Path]:
    return sorted(write_data(tmp_path / "mine", 1).iterdir())


def test_upload_of_a_good_and_a_bad_record(page: Any, server: str, mine: list[Path]) -> None:
    _open(page, server)
    page.get_by_text("Open an own record").click()
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
    page.locator("[data-testid=stPlotlyChart] .scatterlayer").first.wait_for()
    settled(page)
    assert "Own+records" in page.url
