"""Measured intervals, the median beat and the report card in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.browser.conftest import LONG, settled
from tests.small import AF

QUICK = f"record=T000&target={AF}&methods=input_x_gradient"
"""One method that takes two passes, so that the test waits for the dashboard and not for games."""


def opened(page: Any, address: str) -> None:
    page.goto(address)
    settled(page)
    page.locator("[data-testid=stProgress]").first.wait_for(state="detached")
    settled(page)


def saved(page: Any, label: str, folder: Path) -> bytes:
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name=label).first.click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file.read_bytes()


def test_intervals_and_the_median_beat_stand_beside_the_map(page: Any, server: str) -> None:
    opened(page, f"{server}/explain?{QUICK}")
    page.get_by_text("Measured:").wait_for()
    page.get_by_text("/min").first.wait_for()
    page.get_by_role("button", name="Explain with Input x gradient").click()
    page.get_by_text("Leads by weight").wait_for()
    settled(page)
    page.locator("[data-testid=ecg-viewer][data-ready=true]").wait_for()
    assert page.locator(".js-plotly-plot").count() == 0
    page.get_by_text("Median beat: the map on a typical beat").click()
    page.get_by_text("aligned at their R peaks").wait_for()
    beat = page.locator("[data-testid=stPlotlyChart]")
    beat.locator(".scatterlayer path").first.wait_for(state="attached")
    assert "pulse 1 mV, 200 ms" in beat.inner_text()
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page)
    spare = "() => { const m = document.querySelector('[data-testid=stMain]');"
    assert page.evaluate(spare + " return m.scrollWidth - m.clientWidth }") <= 0


def test_a_report_card_is_made_and_downloaded(
    page: Any, server: str, browser: Any, tmp_path: Path
) -> None:
    opened(page, f"{server}/model?part=report-card&{QUICK}")
    page.get_by_role("button", name="Make the report card").click()
    page.get_by_text("explained of 6").wait_for(timeout=2 * LONG)
    settled(page)
    page.locator("[data-testid=stPlotlyChart] .heatmaplayer").first.wait_for(state="attached")
    for tab in ("What it can see", "Baselines", "Evidence"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
    page.get_by_text("This shows what the model uses").wait_for()
    card = json.loads(saved(page, "JSON", tmp_path))
    assert card["schema"].startswith("ecgxai-report-card/")
    assert card["n_by_target"] == {AF: 3}
    text = saved(page, "HTML report card", tmp_path)
    assert text.startswith(b"<!DOCTYPE html>")
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto(next(tmp_path.glob("*.html")).as_uri())
    tab.get_by_text("Which explanations pass which tests").wait_for()
    context.close()
