"""What-if in a real browser: another size moves the line of the chart, beside both ECGs."""

from __future__ import annotations

import re
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.browser.conftest import settled

READY = "[data-testid=ecg-viewer][data-ready=true]"
SAID = re.compile(r"probability (\S+) as recorded, (\S+) with the change")
UPRIGHT = """() => {
  const shapes = document.querySelector(".st-key-dose .js-plotly-plot")?.layout?.shapes ?? [];
  return shapes.filter((one) => one.type === "line" && one.x0 === one.x1).map((one) => one.x0);
}"""
MOVED = f"(before) => String(({UPRIGHT})()) !== before && ({UPRIGHT})().length === 2"
DRAWN = """() => {
  const traces = document.querySelector(".st-key-before-after .js-plotly-plot")._fullData;
  return Object.fromEntries(traces.filter((one) => one.y?.length > 100)
    .map((one) => [one.name, Array.from(one.y).filter(Number.isFinite)]));
}"""


def test_a_step_of_the_slider_moves_the_chart_and_draws_both_ecgs(page: Any, server: str) -> None:
    asked: list[BackMsg] = []
    page.on("websocket", lambda socket: socket.on(
        "framesent", lambda sent: asked.append(BackMsg.FromString(sent))))  # fmt: skip
    page.goto(f"{server}/what_if?record=T001&target=164889003")
    answer = page.get_by_text(SAID)
    answer.wait_for()
    settled(page)
    page.locator(".st-key-dose .js-plotly-plot").wait_for()
    slider = page.locator("[data-testid=stSlider]").get_by_role("slider")
    slider.focus()
    for _ in range(6):  # to the record as it was recorded
        slider.press("ArrowLeft")
        settled(page)
    seen = []
    asked.clear()
    for _ in range(2):
        before = ",".join(map(str, page.evaluate(UPRIGHT)))
        slider.press("ArrowRight")
        page.wait_for_function(MOVED, arg=before)
        settled(page)
        drawn = page.evaluate(DRAWN)
        assert len(drawn["as recorded"]) == len(drawn["changed"])
        assert drawn["as recorded"] != drawn["changed"], "each on a row of its own"
        seen.append(page.evaluate(UPRIGHT))
        assert SAID.search(answer.inner_text())
    assert seen[0] != seen[1], "the chosen size, beside the record as it was recorded"
    assert page.locator(READY).count() == 1
    runs = [one.rerun_script for one in asked if one.HasField("rerun_script")]
    assert len(runs) == 2
    assert all(run.fragment_id for run in runs), "the page around it does not run again"
