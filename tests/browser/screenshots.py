"""Screenshots of every page, light and dark, at 1280, 1920 and 390 px: ``python -m
tests.browser.screenshots`` from the repository root.

Simulates a small demonstration set, makes a finished run with the shipped model (minutes; kept in
the work folder, so that it is made once), starts the dashboard on it and takes the pictures.
``tests/browser/checklist.md`` says what to look for in them. Beside the pictures stands
``problems.txt``: console errors, exception boxes and pages wider than the screen.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.serving import ARGUMENTS, CHROMIUM, HINT, REPO, complaint, serving, settled

log = logging.getLogger("screenshots")

AF, LBBB = "164889003", "164909002"
RECORDS, SEED = 40, 1
WIDTHS, THEMES = (1280, 1920, 390), ("light", "dark")
TALLEST = 7000
EMPTY, FAILED = "empty", "failed"


@dataclass(frozen=True, slots=True)
class Shot:
    """One view: file name, address, and what is clicked before the picture is taken.

    ``clicks`` are ``role=text``; ``button?=text`` is left out where there is no such button.
    """

    name: str
    page: str
    query: str = ""
    clicks: tuple[str, ...] = ()


def shots(record: str) -> tuple[Shot, ...]:
    """Every page as it is first seen, its other parts, and its empty states."""
    here = f"data=simulated&record={record}&target={AF}"
    run = ("radio=A finished run",)
    usual = tuple(
        Shot(name, name, here)
        for name in ("records", "explain", "fusion_lab", "evaluation", "stability", "what_if",
                     "cohort", "model", "settings", "guide", "tour")
    )  # fmt: skip
    parts = (
        Shot("records_selection", "records", f"{here}&part=examples-of-each-diagnosis"),
        Shot("explain_plain_3x4", "explain", f"{here}&view=layout-3x4*overlay-0"),
        Shot("explain_parameters", "explain", here, ("text=Parameters of the explanation",)),
        Shot("explain_median_beat", "explain", here,
             ("text=Median beat: the map on a typical beat",)),
        Shot("explain_not_yet", "explain", f"data=simulated&record={record}&target={LBBB}"),
        Shot("lab_pinned", "fusion_lab", f"{here}&agg=mean",
             ("button=Pin as A", "button=Reset to the profile")),
        Shot("lab_sweep", "fusion_lab", here, ("radio=Sweep", "button=Run the sweep")),
        Shot("evaluation_trap", "evaluation", here,
             ("tab=How priors mislead", "text=Blend lead priors into the scores")),
        Shot("evaluation_run", "evaluation", here, run),
        Shot("evaluation_run_records", "evaluation", here, (*run, "tab=By record")),
        Shot("evaluation_run_pairs", "evaluation", here, (*run, "tab=Pairwise")),
        Shot("stability_run", "stability", here, run),
        Shot("model_cases_to_review", "model", here, ("radio=Cases to review",)),
        Shot("model_report_card", "model", f"{here}&part=report-card",
             ("button?=Make the report card",)),
        Shot("model_card_baselines", "model", f"{here}&part=report-card", ("tab=Baselines",)),
        Shot("model_card_evidence", "model", f"{here}&part=report-card", ("tab=Evidence",)),
        Shot("model_two_models", "model", f"{here}&part=two-models", ("button?=Explain",)),
        Shot("model_training", "model", here, ("radio=Training runs",)),
        Shot("model_own", "model", here, ("radio=My own model",)),
        Shot("guide_methods", "guide", here, ("radio=Methods",)),
        Shot("guide_metrics", "guide", here, ("radio=Metrics",)),
        Shot("guide_limits", "guide", here, ("radio=Known limits",)),
        Shot("guide_glossary", "guide", f"{here}&part=glossary"),
        Shot("guide_checklist", "guide", here, ("radio=Checklist",)),
        Shot("tour_step", "tour", here, ("button=Show step 1", "button=Next")),
    )  # fmt: skip
    bare = (Shot("start", "", "data=simulated"), Shot("study", "study"))
    missing = (
        ("empty_data", f"data={EMPTY}"),
        ("no_model", f"data=simulated&record={record}&model=nobody"),
    )
    without = tuple(
        Shot(f"{kind}_{name}", name, query)
        for kind, query in missing
        for name in ("records", "explain", "fusion_lab", "evaluation", "stability", "model", "tour")
    )
    broken = (
        Shot("failed_records", "records", f"data={FAILED}"),
        Shot("failed_explain", "explain", f"data={FAILED}&record=broken"),
    )
    return (*usual, *parts, *bare, *without, *broken)


def prepare(work: Path) -> dict[str, str]:
    """Data, run and cache in the work folder; the environment of a server that shows them."""
    work.mkdir(parents=True, exist_ok=True)
    data, run = work / "simulated", work / "runs" / "simulated_run"
    environment = {"ECGXAI_CACHE_DIR": str(work / "cache")}
    if not any(data.glob("*.hea")):
        _command(environment, "simulate", str(data), "--n", str(RECORDS), "--seed", str(SEED))
    (work / EMPTY).mkdir(exist_ok=True)
    failed = work / FAILED
    if not failed.is_dir():
        failed.mkdir()
        for file in sorted(data.glob("*"))[:3]:
            if file.is_file():
                (failed / file.name).write_bytes(file.read_bytes())
        (failed / "broken.hea").write_text("broken 12 zero 100\n", "ascii")
    if not (run / "manifest.json").is_file():
        model = next((REPO / "assets" / "models" / "ptbxl_resnet").glob("*.keras"))
        _command(environment, "run", "--data", str(data), "--model", str(model), "--out", str(run),
                 "--target", AF, "--target", LBBB)  # fmt: skip
    _training_runs(work / "models")
    folders = (data, work / EMPTY, failed)
    return {
        **environment,
        "ECGXAI_DATA": os.pathsep.join(map(str, folders)),
        "ECGXAI_RUNS": str(work / "runs"),
        "ECGXAI_MODELS": str(work / "models"),
    }


def _training_runs(folder: Path) -> None:
    """Two histories as the trainer writes them, to see their table and curves; not of any model."""
    for number, name in enumerate(("first", "second")):
        run = folder / f"example_{name}"
        run.mkdir(parents=True, exist_ok=True)
        params = {"model": {"name": "resnet"}, "seed": number, "schedule": {"learning_rate": 0.001}}
        (run / "config.json").write_text(json.dumps({"params": params}), "utf-8")
        rows = [
            {"epoch": i, "auroc": 0.92 - 0.4 / (i + 2 + number), "loss": 0.2 + 0.5 / (i + 1)}
            for i in range(12)
        ]
        (run / "history.json").write_text(json.dumps(rows), "utf-8")


def _command(environment: dict[str, str], *arguments: str) -> None:
    program = "from ecgxai_core.cli.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=REPO,
        env={**os.environ, **environment},
        check=True,
    )


def example(work: Path) -> str:
    """The first record of atrial fibrillation that the run explained."""
    import pandas as pd

    rows = pd.read_csv(work / "runs" / "simulated_run" / "df_eval_attauc_deletion.csv", dtype=str)
    return str(rows.loc[rows["target"] == AF, "record"].iloc[0])


def pictures(
    address: str,
    wanted: tuple[Shot, ...],
    out: Path,
    themes: tuple[str, ...],
    widths: tuple[int, ...],
) -> Iterator[str]:
    """Take the pictures; yields what was found wrong without looking."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for theme in themes:
            for width in widths:
                for shot in wanted:
                    name = f"{shot.name}_{theme}_{width}"
                    file = out / f"{name}.png"
                    for problem in _taken(chromium, address, shot, file, theme, width):
                        yield f"{name}: {problem}"
        chromium.close()


def _taken(
    chromium: Any, address: str, shot: Shot, file: Path, theme: str, width: int
) -> Iterator[str]:
    phone = {"is_mobile": True, "has_touch": True, "user_agent": _PHONE} if width < 500 else {}
    high = 844 if width < 500 else 900
    context = chromium.new_context(
        viewport={"width": width, "height": high}, color_scheme=theme, **phone
    )
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    said: list[str] = []
    tab.on("console", lambda line: said.append(line.text) if complaint(line) else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    try:
        tab.goto(f"{address}/{shot.page}?{shot.query}")
        _quiet(tab)
        for click in shot.clicks:
            _clicked(tab, click)
            _quiet(tab)
        spare = tab.evaluate(_SPARE)
        if spare > 1:
            yield f"{spare} px wider than the screen"
        tall = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        tab.set_viewport_size({"width": width, "height": min(TALLEST, max(high, int(tall) + 40))})
        tab.wait_for_timeout(700)
        settled(tab)
        tab.screenshot(path=str(file))
        if tab.locator("[data-testid=stException]").count():
            yield "an exception box"
    except Exception as error:  # the other pictures are still wanted
        tab.screenshot(path=str(file))
        yield f"not taken as planned ({str(error).splitlines()[0][:160]})"
    finally:
        yield from said
        context.close()


_PHONE = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Mobile "
    "Safari/537.36"
)
_SPARE = (
    "() => { const m = document.querySelector('[data-testid=stMain]');"
    " return m.scrollWidth - m.clientWidth }"
)


def _quiet(tab: Any) -> None:
    """Until the script has ended and no job is being shown."""
    settled(tab)
    quiet = 0
    for _ in range(600):
        tab.wait_for_timeout(300)
        shown = tab.get_by_role("button", name="Cancel", exact=True).count()
        quiet = 0 if shown else quiet + 1
        if quiet == 2:
            break
    settled(tab)


def _clicked(tab: Any, click: str) -> None:
    role, _, text = click.partition("=")
    named = re.compile(rf"(^|\s){re.escape(text)}$")  # an icon's name comes before the text
    if role == "button?" and not tab.get_by_role("button", name=named).count():
        return  # done by an earlier picture
    if role == "text":
        found = tab.get_by_text(text, exact=True)
    elif role == "radio":
        found = tab.get_by_role("radiogroup").get_by_text(text, exact=True)
    else:
        found = tab.get_by_role(role.strip("?"), name=named)
    found.locator("visible=true").first.click(timeout=15_000)


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=REPO / "build" / "screenshots")
    parser.add_argument("--work", type=Path, default=REPO / "build" / "screenshots-data")
    parser.add_argument("--only", nargs="*", help="parts of names of views")
    parser.add_argument("--themes", nargs="*", default=THEMES)
    parser.add_argument("--widths", nargs="*", type=int, default=WIDTHS)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if CHROMIUM is None:
        raise SystemExit(HINT)
    environment = prepare(given.work)
    given.out.mkdir(parents=True, exist_ok=True)
    wanted = tuple(
        shot
        for shot in shots(example(given.work))
        if not given.only or any(part in shot.name for part in given.only)
    )
    problems: list[str] = []
    with serving(environment, given.work / "server.log") as address:
        taken = pictures(address, wanted, given.out, tuple(given.themes), tuple(given.widths))
        for problem in taken:
            log.info("%s", problem)
            problems.append(problem)
    (given.out / "problems.txt").write_text("".join(f"{line}\n" for line in problems), "utf-8")
    log.info("%d views in %s", len(wanted) * len(given.themes) * len(given.widths), given.out)


if __name__ == "__main__":
    main()
