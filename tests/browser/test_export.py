"""Every export in a real browser: it downloads, and what was saved opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import settled

FILES = {
    "Report of this record": b"<!DOCTYPE html>",
    "Page as PDF": b"%PDF-",
    "Page as SVG": b"<?xml",
    "Page as PNG": b"\x89PNG",
}


def open_view(page: Any, server: str, path: str) -> None:
    """Open a page of the dashboard and wait until no job is under way."""
    page.goto(f"{server}/{path}")
    settled(page)
    page.locator("[data-testid=stProgress]").first.wait_for(state="detached")
    settled(page)


def saved(page: Any, label: str, folder: Path) -> Path:
    """Click a download button; the file that came."""
    button = page.get_by_test_id("stDownloadButton").get_by_role("button", name=label).first
    button.scroll_into_view_if_needed()
    with page.expect_download() as download:
        button.click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def offline(browser: Any, file: Path) -> tuple[Any, list[str]]:
    """A saved file in a browser that has no network, and what its console complains of."""
    context = browser.new_context(offline=True)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(file.as_uri())
    tab.wait_for_timeout(500)
    return tab, said


def test_every_file_of_a_record_downloads(
    page: Any, server: str, browser: Any, tmp_path: Path
) -> None:
    open_view(page, server, "explain?record=T000")
    page.get_by_text("Report of this record").wait_for()
    for label, start in FILES.items():
        file = saved(page, label, tmp_path)
        assert file.read_bytes().startswith(start), label
        assert file.name.startswith("T000_")
    file = saved(page, "Viewer (works offline)", tmp_path)
    tab, said = offline(browser, file)
    assert said == []
    tab.locator("[data-testid=ecg-viewer][data-ready=true][data-record=T000]").wait_for()
    tab.context.close()
    file.unlink()
    tab, said = offline(browser, next(tmp_path.glob("*.html")))
    assert said == []
    assert "T000" in tab.locator("h1").inner_text()
    widths = tab.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert widths
    assert all(width > 0 for width in widths)
    tab.context.close()


def test_the_chart_that_is_looked_at_downloads(
    page: Any, server: str, browser: Any, tmp_path: Path
) -> None:
    open_view(page, server, "model")
    page.locator(".js-plotly-plot").first.wait_for()
    settled(page)
    page.locator("[data-testid=stPopover] button", has_text="Download").first.click()
    page.get_by_text("HTML (works offline)").wait_for()
    file = saved(page, "HTML (works offline)", tmp_path)
    tab, said = offline(browser, file)
    tab.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert said == []
    assert "research use only" in tab.locator(".banner").inner_text()
    tab.context.close()
    page.keyboard.press("Escape")
    page.locator(".js-plotly-plot").first.hover()
    with page.expect_download() as download:
        page.locator(".modebar-btn[data-title*=Download]").first.click()
    png = tmp_path / "chart.png"
    download.value.save_as(png)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_table_downloads_as_csv(page: Any, server: str, tmp_path: Path) -> None:
    open_view(page, server, "model")
    page.get_by_text("6 labelled records").wait_for()
    file = saved(page, "CSV", tmp_path)
    assert file.name == "model_per_class.csv"
    assert file.read_text("utf-8").startswith("code,class,")


def test_the_tour_goes_through_five_views(page: Any, server: str) -> None:
    open_view(page, server, "tour")
    page.get_by_role("button", name="Show step 1").click()
    titles = ("Records", "Explain", "Fusion lab", "Evaluation", "Model")
    for number, title in enumerate(titles, start=1):
        page.get_by_text(f"Tour {number} of 5").wait_for()
        page.get_by_role("heading", name=title, exact=True).wait_for()
        settled(page)
        if number < len(titles):
            page.get_by_role("button", name="Next", exact=True).first.click()
    page.get_by_role("button", name="End the tour").click()
    settled(page)
    assert page.get_by_text("Tour 5 of 5").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["model", "settings", "guide", "tour"])
def test_nothing_is_wider_than_the_screen(page: Any, server: str, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_view(page, server, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
