"""Fusion lab, Evaluation and Stability in a real browser, from an unexplained record on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import LONG, settled
from tests.small import AF

LINK = f"?record=T000&target={AF}"
_PREVIEWS = """() => { window.previews = [];
const look = (root) => root.querySelectorAll("*").forEach(
  (e) => e.shadowRoot && watch(e.shadowRoot));
const watch = (root) => new MutationObserver((all) => all.forEach(({ target }) =>
  window.previews.push(target.dataset.preview || ""))).observe(root, { subtree: true,
  attributeFilter: ["data-preview"] });
look(document); watch(document); }"""
"""Note what the viewer shows by itself, however short the time until the page has answered."""


def visit(tab: Any, address: str) -> None:
    tab.goto(address)
    settled(tab)
    finished(tab)


def finished(tab: Any) -> None:
    """Wait until no job is being shown, and none has been for a second."""
    quiet = 0
    for _ in range(LONG // 500):
        tab.wait_for_timeout(500)
        shown = tab.get_by_role("button", name="Cancel", exact=True).count()
        quiet = 0 if shown else quiet + 1
        if quiet == 3:
            settled(tab)
            return
    raise AssertionError("a job does not end")


def press(tab: Any, name: str) -> None:
    tab.get_by_role("button", name=name).locator("visible=true").first.click()
    tab.wait_for_timeout(300)
    settled(tab)


def explained(tab: Any, server: str) -> None:
    """The lab with the record explained; the first caller of a session waits for the job."""
    visit(tab, f"{server}/fusion_lab{LINK}")
    if tab.get_by_role("button", name="Explain with TimeSHAP").count():
        press(tab, "Explain with TimeSHAP")
        finished(tab)
    tab.locator("[data-testid=ecg-viewer][data-ready=true][data-map=fused]").wait_for()


def test_every_slider_moves_and_a_and_b_are_compared(server, page):
    explained(page, server)
    entries = page.evaluate("history.length")
    page.evaluate(_PREVIEWS)
    for label in ("beta", "tau", "topk", "Weight of Occlusion"):
        slider = page.locator("[data-testid=stSlider]", has_text=label).get_by_role("slider")
        before = page.url
        slider.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_url(lambda address, before=before: address != before)
        settled(page)
    assert "beta=0.95" in page.url
    shown = page.evaluate("window.previews")
    for text in ("beta 0.95", "tau 0.01", "topk 4", "weight 2 0.95"):
        assert any(text in said for said in shown), "the viewer answers before the page does"
    page.locator("[data-testid=ecg-viewer][data-preview='']").wait_for()
    assert page.evaluate("history.length") == entries, (
        "steps of sliders are no places to go back to"
    )
    viewer = page.locator("[data-testid=ecg-viewer][data-ready=true]")
    viewer.wait_for()
    assert viewer.get_attribute("data-map") == "fused"
    assert "topk=" in page.url
    press(page, "Pin as A")
    page.get_by_role("radio", name="ignore sign").or_(
        page.get_by_role("button", name="ignore sign", exact=True)
    ).first.click()
    settled(page)
    assert "sign_policy=abs" in page.url
    page.get_by_text("of the map changed from A to B").wait_for()
    viewer.get_by_label("Map shown (M)").select_option("A, pinned")
    page.locator("[data-testid=ecg-viewer][data-map='A, pinned']").wait_for()
    assert page.locator(".js-plotly-plot").count() == 1, "A, B and what differs"
    press(page, "Reset to the profile")
    assert "beta=" not in page.url


def test_a_sweep_is_run_and_its_best_is_taken(server, page):
    explained(page, server)
    page.get_by_role("radio", name="Sweep").or_(
        page.get_by_role("button", name="Sweep", exact=True)
    ).first.click()
    settled(page)
    press(page, "Run the sweep")
    finished(page)
    page.get_by_text("Best by").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    take = page.get_by_role("button", name="Take the best into the run")
    if take.is_enabled():
        take.click()
        settled(page)
    page.get_by_text("--target").wait_for()


def test_a_record_is_evaluated_and_the_trap_is_shown(server, page):
    visit(page, f"{server}/evaluation{LINK}")
    press(page, "Evaluate this record")
    finished(page)
    names = re.compile("signal's slope|the signal alone")  # one name where its two lines coincide
    page.locator(".js-plotly-plot").get_by_text(names).first.wait_for()
    page.get_by_role("tab", name="How priors mislead").click()
    page.get_by_text("Blend lead priors into the scores").click()
    settled(page)
    page.get_by_text("repeats the answer key").first.wait_for()


def test_the_extra_beat_experiment_is_run(server, page):
    visit(page, f"{server}/stability{LINK}")
    if page.get_by_role("button", name="Run the experiment").count():
        press(page, "Run the experiment")
        finished(page)
    page.get_by_text("rank agreement").first.wait_for()
    page.locator(".js-plotly-plot").get_by_text("With the added beat").first.wait_for()


@pytest.mark.parametrize("name", ["fusion_lab", "evaluation", "stability"])
def test_nothing_is_wider_than_a_phone(server, page, name):
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{server}/{name}{LINK}")
    spare = "() => { const m = document.querySelector('[data-testid=stMain]');"
    assert page.evaluate(spare + " return m.scrollWidth - m.clientWidth }") <= 0
