"""What-if in a real browser: another size answers with another probability, chart and ECG."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.conftest import settled

READY = "[data-testid=ecg-viewer][data-ready=true]"
SAID = re.compile(r"probability (\S+) as recorded, (\S+) with the change")
CHART = ".st-key-dose .js-plotly-plot"
NOW = f"""() => {{
  const shapes = document.querySelector("{CHART}").layout.shapes;
  return shapes.filter((one) => one.type === "line" && one.x0 === one.x1).map((one) => one.x0);
}}"""


def test_a_step_of_the_slider_changes_answer_chart_and_ecg(page: Any, server: str) -> None:
    page.goto(f"{server}/what_if?record=T001&target=164889003")
    page.get_by_text("with the change").wait_for()
    settled(page)
    page.get_by_label("Change", exact=True).click()
    page.get_by_role("option", name="ST level").click()
    page.get_by_text("ST level at J + 60 ms, measured again").wait_for()
    settled(page)
    slider = page.locator("[data-testid=stSlider]").get_by_role("slider")
    slider.focus()
    slider.press("Home")
    settled(page)
    low, first = page.evaluate(NOW), page.locator(READY).inner_text()
    slider.press("End")
    page.get_by_text("0.3 mV").first.wait_for()
    settled(page)
    assert page.evaluate(NOW) != low, "the chart's line stands at the size that is chosen"
    assert len(page.evaluate(NOW)) == 2, "beside that of the record as it was recorded"
    assert page.locator(READY).inner_text() != first, "the ECG says what was changed"
    assert SAID.search(page.get_by_text("with the change").first.inner_text())
    traces = page.evaluate(
        "() => document.querySelector('.st-key-before-after .js-plotly-plot').data"
        ".filter((one) => one.name).map((one) => [one.name, Array.from(one.y ?? []).length])"
    )
    drawn = dict(traces)
    assert drawn["as recorded"] == drawn["changed"] > 100, "both beats of every lead are drawn"
