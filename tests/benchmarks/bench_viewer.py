"""Frames and sizes of the ECG viewer in a real browser: ``python -m tests.benchmarks.bench_viewer``
from the repository root (needs chromium and playwright; nothing else).

Twelve leads of 10 s at 500 Hz and three maps of 100 segments, drawn without a graphics card. All
times are of the browser's own clock.

- View change: while the view is changed at every frame (zoom by the wheel, pan by dragging,
  strength, tau, next map, layout, hovering), the time from one animation frame to the next. A
  browser that keeps up has 17 ms; goal for the 95th percentile: 33 ms. At one and at two device
  pixels a pixel. Beside it stands the processor time of the page's main thread per frame, for
  machines that do other work meanwhile: what it is under, a machine of its own reaches.
- Next record: from the call that gives the data to the frame that shows it. Goal: 150 ms.
- Payload as JSON. Goal: 250 kB for 10 s.
- Heap after 40 records, as a share of the heap after 5: what grows is never given back.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

from ecgxai_core.viewer import Start, payload
from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT
from tests.browser.viewer_page import attribution, record, serving_page, write_host

log = logging.getLogger("bench_viewer")

FRAMES, RECORDS = 120, 45
METHODS = ("occlusion", "timeshap", "integrated_gradients")
GOAL_FRAME, GOAL_RECORD, GOAL_KB = 33, 150, 250

_NEXT = """
async (file) => { const data = await (await fetch(file)).json(); return new Promise((done) => {
  const begun = performance.now();
  window.show(data);
  const root = document.querySelector("[data-testid=ecg-viewer]");
  const look = () => root.dataset.ready === "true" && root.dataset.record === data.record.id
    ? requestAnimationFrame(() => done(performance.now() - begun)) : requestAnimationFrame(look);
  look();
}); }
"""
_HEAP = """
async () => {
  for (let i = 0; i < 4; i++) { await new Promise((done) => setTimeout(done, 50)); gc(); }
  return performance.memory.usedJSHeapSize;
}
"""
_EACH_FRAME = """
([what, frames]) => new Promise((done) => {
  const root = document.querySelector("[data-testid=ecg-viewer]");
  const over = root.querySelector(".over"), box = over.getBoundingClientRect();
  const ranges = [...root.querySelectorAll("input[type=range]")];
  const pointer = (kind, i, buttons) => over.dispatchEvent(new PointerEvent(kind, { bubbles: true,
    pointerId: 1, button: 0, buttons, clientX: box.left + 300 + 2 * i, clientY: box.top + 200 }));
  const key = (name) => window.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
  const acts = {
    zoom: (i) => over.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true,
      deltaY: i < frames / 2 ? -20 : 20, clientX: box.left + 400, clientY: box.top + 250 })),
    pan: (i) => pointer("pointermove", i < frames / 2 ? -i : i - frames, 1),
    hover: (i) => pointer("pointermove", i, 0),
    strength: (i) => { ranges[0].value = 0.1 + 0.9 * (i / frames);
                       ranges[0].dispatchEvent(new Event("input")); },
    tau: (i) => { ranges[1].value = 0.3 * (i / frames);
                  ranges[1].dispatchEvent(new Event("input")); },
    map: () => { const list = root.querySelector("select"); // as the key M does
                 list.selectedIndex = (list.selectedIndex + 1) % list.length;
                 list.dispatchEvent(new Event("change")); },
    layout: () => { const list = root.querySelectorAll("select")[1];
                    list.selectedIndex = (list.selectedIndex + 1) % list.length;
                    list.dispatchEvent(new Event("change")); },
  };
  let i = 0, last = 0;
  const spent = [];
  if (what === "pan") pointer("pointerdown", 0, 1);
  const tick = (now) => {
    if (last) spent.push(now - last);
    last = now;
    if (i === frames) {
      if (what === "pan") pointer("pointerup", 0, 0);
      return done(spent);
    }
    acts[what](i++);
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})
"""


def main() -> None:
    """Log medians and 95th percentiles, sizes and the heap."""
    from playwright.sync_api import sync_playwright

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if CHROMIUM is None:
        raise SystemExit(HINT)
    data = [example(index) for index in range(RECORDS)]
    log.info("payload %.0f kB (goal %d)", len(json.dumps(data[0])) / 1e3, GOAL_KB)
    with tempfile.TemporaryDirectory(prefix="ecgxai-bench-") as name, sync_playwright() as tool:
        write_host(Path(name))
        for number, item in enumerate(data):
            (Path(name) / f"{number}.json").write_text(json.dumps(item), "ascii")
        arguments = [*ARGUMENTS, "--js-flags=--expose-gc", "--enable-precise-memory-info"]
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=arguments)
        with serving_page(Path(name)) as address:
            for density in (1, 2):
                tab = opened(browser, f"{address}/host.html", density)
                tab.evaluate("(data) => window.show(data)", data[0])
                tab.wait_for_selector("[data-testid=ecg-viewer][data-ready=true]")
                frames(tab, density)
                tab.context.close()
            records(opened(browser, f"{address}/host.html", 1))
        browser.close()


def example(index: int) -> dict[str, Any]:
    """Payload number ``index``: a record and three maps of 100 segments."""
    name = f"R{index:02d}"
    maps = {m: attribution(name, m, seed=index, segments=100) for m in METHODS}
    start = Start(position=(index, RECORDS))
    return payload(record(name, seed=index), maps, start=start)


def opened(browser: Any, address: str, density: int) -> Any:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, device_scale_factor=density
    )
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_function("window.show !== undefined")
    return tab


def frames(tab: Any, density: int) -> None:
    """Times between frames while one thing is changed at every frame."""
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy_ms() -> float:
        found = devtools.send("Performance.getMetrics")["metrics"]
        return 1e3 * float(next(row["value"] for row in found if row["name"] == "TaskDuration"))

    for what in ("zoom", "pan", "hover", "strength", "tau", "map", "layout"):
        if what == "pan":
            tab.evaluate(_EACH_FRAME, ["zoom", 20])
        before = busy_ms()
        spent = tab.evaluate(_EACH_FRAME, [what, FRAMES])
        used = (busy_ms() - before) / FRAMES
        tab.wait_for_timeout(300)
        say(f"{what}, {density} device px a px", spent, GOAL_FRAME, f"  processor {used:5.1f} ms")


def records(tab: Any) -> None:
    """Time to the next record, and the heap over many of them, which the page fetches itself:
    what a test hands to a page is kept by the tool that hands it over."""

    def show(number: int) -> float:
        return float(tab.evaluate(_NEXT, f"{number}.json"))

    show(0)
    spent = [show(number) for number in range(1, 6)]
    before = tab.evaluate(_HEAP)
    spent += [show(number) for number in range(6, RECORDS)]
    say("next record", spent, GOAL_RECORD)
    log.info("heap after %d records %.2f of that after 6", RECORDS, tab.evaluate(_HEAP) / before)


def say(what: str, values: list[float], goal: float, more: str = "") -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    median = statistics.median(ordered)
    log.info("%-28s median %5.1f ms  p95 %5.1f ms  (goal %.0f)%s", what, median, p95, goal, more)


if __name__ == "__main__":
    main()
