"""Time and memory of predict, select and the Records page on 100,000 records.

``PYTHONPATH=. python tests/benchmarks/bench_scale.py [--brief]``

Not a test: some eight minutes, with ``--brief`` some six, on two cores. ``--different`` simulated
records of 10 s at 100 Hz are written, and each stands under many names: every name has its own
header and a hard link to the signals. All files are read, but the network sees each different
record once; ``predict`` is measured when nothing is known, and again when everything is. Then the
Records page of a new server, in a browser: until the list is there, and from a click on a filter to
the list that it leaves. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from ecgxai_core.settings import default_model
from tests.benchmarks.measured import children, command, table, watched
from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT, serving, settled

STEP, FILTERS = 5, 12
LIST = "[data-testid=stDataFrame]"
PAGE_GOAL_SEC, FILTER_GOAL_MS = 3.0, 500


def write_names(folder: Path, rows: int, different: int, seed: int = 5) -> None:
    """``rows`` records in a folder, of ``different`` contents."""
    from ecgxai_core.records.write import write_record
    from ecgxai_core.simulation.simulate import simulate_set

    folder.mkdir(parents=True)
    for number, one in enumerate(simulate_set(different, seed)):
        record, name = one.record, f"S{number:06d}"
        header = write_record(
            folder, name, record.signal[:, ::STEP], record.fs / STEP, record.leads,
            labels=record.labels, age=record.age, sex=record.sex, synthetic=True,
        )  # fmt: skip
        text, signals = header.read_text("utf-8"), folder / f"{name}.mat"
        for copy in range(number + different, rows, different):
            other = f"S{copy:06d}"
            os.link(signals, folder / f"{other}.mat")
            (folder / f"{other}.hea").write_text(re.sub(name, other, text), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--different", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--brief", action="store_true", help="nothing is predicted twice, no --all")
    chosen = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit(HINT)
    with tempfile.TemporaryDirectory(prefix="ecgxai-scale-") as name:
        folder = Path(name)
        begun = time.perf_counter()
        write_names(folder / "data", chosen.rows, chosen.different)
        print(f"{chosen.rows} records written in {time.perf_counter() - begun:.0f} s", flush=True)
        time.sleep(3)  # a file that has just changed is not yet kept in the index
        print(table(("what", "time", "memory, MB", "goal"), _rows(folder, chosen)))


def _rows(folder: Path, chosen: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    data, model, rows = folder / "data", default_model(), []
    jobs, tables = chosen.jobs, [("nothing known", "P.csv"), ("everything known", "P.parquet")]
    cache = {"ECGXAI_CACHE_DIR": str(folder / "cache")}

    def said(what: str, time_: str, memory: float | None = None, goal: str = "") -> None:
        rows.append((what, time_, "" if memory is None else f"{memory:.0f}", goal))
        print(*rows[-1], flush=True)

    for what, out in tables[:1] if chosen.brief else tables:
        spent = command("predict", data, "--model", model, "--out", folder / out, "--jobs", jobs,
                        environment=cache)  # fmt: skip
        said(f"`predict --jobs {jobs}`, {what}", f"{spent.seconds:.1f} s", spent.peak_mb)
    common = ("select", "--data", data, "--model", model, "--out")
    spent = command(*common, folder / "few.csv", environment=cache)
    said("`select`", f"{spent.seconds:.1f} s", spent.peak_mb)
    if not chosen.brief:
        spent = command(*common, folder / "all.csv", "--all", environment=cache)
        count = sum(1 for _ in (folder / "all.csv").open("rb")) - 1
        said(f"`select --all` ({count} rows)", f"{spent.seconds:.1f} s", spent.peak_mb)
    _page(folder, cache, said)
    shutil.rmtree(data)
    return rows


def _page(folder: Path, cache: dict[str, str], said: Any) -> None:
    from playwright.sync_api import sync_playwright

    environment = {**cache, "ECGXAI_DATA": str(folder / "data"), "ECGXAI_MODELS": "",
                   "ECGXAI_RUNS": ""}  # fmt: skip
    with serving(environment, folder / "server.log") as address, sync_playwright() as tool:
        server = next(pid for pid in children(os.getpid()) if _is_server(pid))
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with watched(server) as spent:
            first = _opened(browser, f"{address}/records")
            said("Records page of a server that has just started, folder read",
                 f"{first[0]:.1f} s")  # fmt: skip
            shown = [_opened(browser, f"{address}/records") for _ in range(5)]
            times = sorted(seconds for seconds, _ in shown)
            said("Records page, another session: median, longest",
                 f"{times[2]:.2f} s, {times[-1]:.2f} s", None, f"{PAGE_GOAL_SEC:g} s")  # fmt: skip
            filters = sorted(_filters(shown[-1][1]))
            said("a filter to its list: median, 95th percentile",
                 f"{filters[len(filters) // 2]:.0f} ms, {filters[int(0.95 * len(filters))]:.0f} ms",
                 None, f"{FILTER_GOAL_MS} ms")  # fmt: skip
            start = [_opened(browser, address, ".st-key-door-explain button")[0] for _ in range(3)]
            said("Start page, another session: median", f"{sorted(start)[1]:.2f} s")
        said("server and its workers, the most memory", "", spent.peak_mb)
        browser.close()


def _is_server(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"streamlit" in words and b"app/main.py" in words


def _opened(browser: Any, address: str, shown: str = LIST) -> tuple[float, Any]:
    """Seconds until something is shown to a browser that has nothing in its cache; the tab."""
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    tab.set_default_timeout(600_000)
    begun = time.perf_counter()
    tab.goto(address, wait_until="commit")
    tab.locator(shown).first.wait_for()
    spent = time.perf_counter() - begun
    settled(tab)
    return spent, tab


def _filters(tab: Any) -> list[float]:
    """Milliseconds from a click on an outcome to the count of the list that it leaves."""
    spent = []
    count = tab.locator("[data-testid=stCaptionContainer]", has_text="Select a row to open it")
    offered = tab.get_by_role("toolbar", name="Prediction of the diagnosis").get_by_role("button")
    names = [name.strip() for name in offered.all_inner_texts()]
    names = [name for name in names if not name.endswith(" 0")]  # others leave the list as it is
    for number in range(FILTERS):
        name, before = names[number % len(names)], count.inner_text()
        begun = time.perf_counter()
        offered.filter(has_text=name).click()
        tab.wait_for_function(_CHANGED, arg=before, timeout=120_000)
        spent.append(1e3 * (time.perf_counter() - begun))
        settled(tab)
    return spent


_CHANGED = """(before) => {
  const captions = [...document.querySelectorAll("[data-testid=stCaptionContainer]")];
  const texts = captions.map((one) => one.innerText);
  const counts = texts.filter((text) => text.includes(" records. Select a"));
  return counts.length === 1 && counts[0] !== before;
}"""


if __name__ == "__main__":
    main()
