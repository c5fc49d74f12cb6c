"""Times of the dashboard in a real server and a real browser: ``python -m
tests.benchmarks.bench_dashboard`` from the repository root (needs chromium and playwright).

Six simulated records of 10 s at 500 Hz, the shipped model, two records explained beforehand.

- First page: from the address to the page, in a new browser; on a server that has only just
  started (the model loads meanwhile, nobody waits for it), and on a warm one with an explained ECG
  (goal 2 s).
- Lab slider: a step of beta in the Fusion lab, with 12 leads, from the key to the frame in which
  the viewer draws the map that it gives (goal 100 ms), by the browser's clock; and to the page's
  own answer, with scores and lead ranking: streamlit waits 200 ms for the next step. Switching to
  another record: a step in the viewer of Explain. Second diagnosis: another target of an explained
  record, from the key that chooses it to its map (goal 300 ms).
- Fresh record: from the click on "Explain" to the first map of a record that nothing is known of,
  with the model loaded and no other job running (goal 2 s).
- Frames of the viewer (goal: 33 ms for the 95th percentile) are measured by
  :mod:`tests.benchmarks.bench_viewer`, which this runs last.

  Server times are of the script, from its first line to its last message to the browser;
  processor time stands beside wall time, for machines that do other work meanwhile. The browser's
  time is from the key or click to the end of the run, drawing included.
- Another size on the What-if page, of a curve that is there: the sentence with the probabilities,
  and the end of the page's run, with chart and both ECGs.
- Size of what the viewer is sent: 12 leads x 5000 samples with a map over it.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import term_of
from tests.benchmarks import bench_viewer
from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT, serving, settled

log = logging.getLogger("bench_dashboard")

AF, LBBB = "164889003", "164909002"
RECORDS, SEED, REPEATS = 6, 1, 40
SHOWN = ".st-key-door-explain button"
READY = "[data-testid=ecg-viewer][data-ready=true]"
MAP = f"{READY}[data-map=fused]"
_DRAWN = """() => {
  window.drawn = [];
  let pressed = 0;
  window.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const roots = [document, ...[...document.querySelectorAll("*")].map((e) => e.shadowRoot)];
  const root = roots.map((e) => e?.querySelector("[data-testid=ecg-viewer]")).find(Boolean);
  new MutationObserver(() => {
    if (!root.dataset.preview || !pressed) return; // the page's own answer
    const begun = pressed;
    pressed = 0;
    requestAnimationFrame(() => requestAnimationFrame(
      () => window.drawn.push(performance.now() - begun)));
  }).observe(root, { attributeFilter: ["data-preview"] });
}"""
"""Note when a map that the viewer has fused by itself is on the screen: in the frame after it."""
_ANSWERED = """() => {
  window.answered = [];
  let pressed = 0;
  window.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const said = () => [...document.querySelectorAll("[data-testid=stMarkdown]")]
    .map((one) => one.innerText).find((text) => text.includes(" with the change")) ?? "";
  let last = said();
  new MutationObserver(() => {
    const now = said();
    if (!pressed || !now || now === last) return;
    last = now;
    const begun = pressed;
    pressed = 0;
    requestAnimationFrame(() => requestAnimationFrame(
      () => window.answered.push(performance.now() - begun)));
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Note when another sentence with the probabilities is on the screen, after a key."""


def main() -> None:
    """Log medians and 95th percentiles in milliseconds, and the size of the chart."""
    from playwright.sync_api import sync_playwright

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if CHROMIUM is None:
        raise SystemExit(HINT)
    with tempfile.TemporaryDirectory(prefix="ecgxai-bench-") as name, sync_playwright() as tool:
        folder = Path(name)
        environment, names = prepared(folder)
        times = folder / "times"
        times.touch()
        program = (str(Path(__file__).with_name("timed_server.py")), str(times))
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with serving(environment, folder / "server.log", program) as address:
            _first_page(browser, address)
            _slider(browser, f"{address}/fusion_lab?record={names[0]}&target={AF}", times)
            _switch(browser, f"{address}/explain?record={names[0]}&target={AF}", times)
            _second_diagnosis(browser, f"{address}/explain?record={names[0]}&target={AF}")
            _fresh_records(browser, f"{address}/explain?target={AF}", names[2:])
            _what_if(browser, f"{address}/what_if?record={names[0]}&target={AF}", times)
        browser.close()
    log.info("ECG of 12 x 5000 samples with a map: %.0f kB, goal 250 kB", payload_kb())
    bench_viewer.main()


def prepared(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Records, of which the first two are explained; the server's environment, and their names."""
    from ecgxai_core.explainers import params_for
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.params import profile
    from ecgxai_core.pipeline.explain import explain_case
    from ecgxai_core.records.read import find_records, read_record
    from ecgxai_core.settings import default_model
    from ecgxai_core.simulation.dataset import write_set
    from ecgxai_core.store.cache import Store

    write_set(folder / "data", RECORDS, SEED)
    records = [read_record(path) for path in find_records([folder / "data"])]
    store, classifier = Store(folder / "cache", int(1e9)), LazyClassifier(default_model())
    usual = profile("default")
    params = params_for(usual, usual.methods)
    for record in records[:2]:
        explain_case(Case(record, classifier, AF), params, store)
    explain_case(Case(records[0], classifier, LBBB), params, store)
    store.close()
    environment = {"ECGXAI_DATA": str(folder / "data"), "ECGXAI_MODELS": "", "ECGXAI_RUNS": "",
                   "ECGXAI_CACHE_DIR": str(folder / "cache")}  # fmt: skip
    return {**os.environ, **environment}, [record.name for record in records]


def _first_page(browser: Any, address: str) -> None:
    """The first page of a server that has just started, then of a warm one."""
    cold = [_until(browser, address, SHOWN)]
    _until(browser, address, MAP)
    _say("first page, server just started", "browser", cold, 3000)
    shown = [_until(browser, address, SHOWN) for _ in range(8)]
    _say("first page, warm server", "browser", shown, 3000)
    explained = [_until(browser, address, MAP) for _ in range(8)]
    _say("first explained ECG, warm", "browser", explained, 2000)


def _until(browser: Any, address: str, selector: str) -> float:
    """Milliseconds until something is shown in a browser that has nothing in its cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(180_000)
    begun = time.perf_counter()
    tab.goto(address, wait_until="commit")
    tab.locator(selector).first.wait_for()
    spent = 1e3 * (time.perf_counter() - begun)
    settled(tab)
    context.close()
    return spent


def _slider(browser: Any, address: str, times: Path) -> None:
    tab = _opened(browser, address, MAP)
    slider = tab.locator("[data-testid=stSlider]", has_text="(beta)").get_by_role("slider")
    slider.focus()
    tab.evaluate(_DRAWN)
    keys = ["ArrowLeft" if number % 20 < 10 else "ArrowRight" for number in range(REPEATS)]
    _measure("lab slider to its scores", 300, tab, times,
             [lambda key=key: slider.press(key) for key in keys])  # fmt: skip
    drawn = tab.evaluate("window.drawn")
    assert len(drawn) == REPEATS, "the viewer answers every step"
    _say("lab slider to its map", "browser", drawn[2:], 100)


def _switch(browser: Any, address: str, times: Path) -> None:
    tab = _opened(browser, address, "text=Leads by weight")
    names = ["next record", "previous record"] * (REPEATS // 2)
    _measure("switch to another record", 500, tab, times,
             [lambda name=name: tab.get_by_role("button", name=name, exact=True).click()
              for name in names])  # fmt: skip


def _second_diagnosis(browser: Any, address: str) -> None:
    """Another target of an explained record, by the keyboard; both have maps already."""
    tab = _opened(browser, address, "text=Leads by weight")
    seen = []
    for number in range(REPEATS // 2):
        code = (LBBB, AF)[number % 2]
        box = tab.get_by_role("combobox", name="Target")
        box.fill(term_of(code).name)
        tab.get_by_role("option").first.wait_for()
        begun = time.perf_counter()
        box.press("Enter")
        tab.locator(f'{MAP}[data-target="{code}"]').wait_for()
        seen.append(1e3 * (time.perf_counter() - begun))
        settled(tab)
    _say("second diagnosis", "browser", seen[2:], 300)


def _fresh_records(browser: Any, address: str, names: Sequence[str]) -> None:
    """The first map of records that were never explained; the first of them loads the model."""
    seen = []
    for name in names:
        tab = _opened(browser, f"{address}&record={name}", "text=Probabilities")
        tab.locator(READY).wait_for()
        begun = time.perf_counter()
        tab.get_by_role("button", name="Explain with").first.click()
        tab.locator(f"{READY}[data-map]:not([data-map=''])").wait_for()
        seen.append(1e3 * (time.perf_counter() - begun))
        # else the next one waits for this one's refinement, and for what is computed beside it
        tab.locator(MAP).wait_for()
        settled(tab)
        tab.get_by_text("Preliminary map", exact=True).wait_for(state="detached")
        tab.get_by_text("still being computed").wait_for(state="detached")
        tab.context.close()
    _say("fresh record, first map", "browser", seen[1:], 2000)


def _what_if(browser: Any, address: str, times: Path) -> None:
    tab = _opened(browser, address, "[data-testid=stSlider]")
    slider = tab.locator("[data-testid=stSlider]").get_by_role("slider").first
    slider.focus()
    tab.evaluate(_ANSWERED)
    keys = ["ArrowLeft" if number % 6 < 3 else "ArrowRight" for number in range(REPEATS)]
    _measure("another size of a what-if", 300, tab, times,
             [lambda key=key: slider.press(key) for key in keys])  # fmt: skip
    answered = tab.evaluate("window.answered")  # sizes that differ in the last digit shown
    _say("what-if, its probabilities", "browser", answered[2:], 300)


def _opened(browser: Any, address: str, shown: str) -> Any:
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    tab.set_default_timeout(180_000)
    tab.goto(address)
    tab.locator(shown).first.wait_for()
    settled(tab)
    return tab


def _measure(
    what: str, goal_ms: float, tab: Any, times: Path, acts: Sequence[Callable[[], Any]]
) -> None:
    """Do each act; the runs of the script that it causes are its time on the server."""
    wall, used, seen = [], [], []
    for act in acts:
        before = len(_lines(times))
        begun = time.perf_counter()
        act()
        while len(_lines(times)) == before:
            tab.wait_for_timeout(5)
        settled_at = _ended(tab)
        seen.append(1e3 * (settled_at - begun))
        runs = _lines(times)[before:]
        wall.append(sum(run[0] for run in runs))
        used.append(sum(run[1] for run in runs))
    for kind, values in (("wall", wall), ("processor", used), ("browser", seen)):
        _say(what, kind, values[2:], goal_ms)


def _ended(tab: Any) -> float:
    """When the browser has shown the end of the run; a run that follows at once counts too."""
    done = "[data-testid=stApp][data-test-script-state=notRunning]"
    tab.wait_for_selector(done)
    at = time.perf_counter()
    tab.wait_for_timeout(120)
    if tab.locator(done).count() == 0:
        tab.wait_for_selector(done)
        at = time.perf_counter()
    return at


def _lines(times: Path) -> list[tuple[float, float]]:
    rows = [line.split() for line in times.read_text("ascii").splitlines()]
    return [(float(row[0]), float(row[1])) for row in rows if len(row) == 2]


def _say(what: str, kind: str, values: Sequence[float], goal_ms: float) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    log.info(
        "%-31s %-9s median %6.0f ms  p95 %6.0f ms  goal %.0f ms",
        what, kind, statistics.median(ordered), p95, goal_ms,
    )  # fmt: skip


def payload_kb() -> float:
    """Size of the viewer's data as JSON, kB."""
    import numpy as np

    from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record
    from ecgxai_core.viewer import payload

    rng = np.random.default_rng(0)
    record = Record("r", rng.normal(0, 0.2, (12, 5000)).astype(np.float32), 500.0, STANDARD_LEADS)
    overlay = Attribution(
        "r", AF, "lime", 0.9, STANDARD_LEADS, np.arange(41) * 0.25,
        rng.normal(size=(12, 40)).astype(np.float32), rng.random((12, 40)) < 0.5,
        Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip
    return len(json.dumps(payload(record, {"lime": overlay}))) / 1e3


if __name__ == "__main__":
    main()
