"""A map that is being refined, on the pages: shown as what it is, and used for nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.shell import jobs
from ecgxai_core.settings import settings
from tests.app import held_work
from tests.app.evaluated import opened, settled, texts, viewers
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")

ASKED = {"record": "T001", "target": AF, "explain.level": "owen", "explain.segments": "uniform",
         "explain.window_sec": "0.6", "methods": "lime,timeshap"}  # fmt: skip


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that lets an explanation go on after its first preliminary map."""
    monkeypatch.setattr("app.data.work.explanation", held_work.refined)
    return settings().cache_dir / "go"


def begun(page: str = "explain", **query: str):
    """A page on which the first preliminary map has come in, and the explanation holds."""
    at = opened(page, **ASKED, **query)
    next(b for b in at.button if b.label.startswith("Explain with")).click().run()
    return until(at, lambda: preliminary(at))


def until(at, so):
    for _ in range(1200):
        assert not at.exception, [item.value for item in at.exception]
        if so():
            return at
        time.sleep(0.1)
        at.run()
    raise AssertionError(f"it does not come: {texts(at)}")


def preliminary(at) -> set[str]:
    return {m["id"] for shown in viewers(at) for m in shown["maps"] if m["preliminary"]}


def labels(at) -> list[str]:
    return [button.label for button in at.button]


def test_a_preliminary_map_is_shown_until_the_final_one_is_there(go: Path) -> None:
    at = begun()
    assert preliminary(at) == {"fused", "timeshap"}, "LIME is not refined, and is there"
    said = texts(at).replace("\\", "")
    assert "**Preliminary map**: the error of TimeSHAP is at most" in said
    assert "it is being refined." in said
    assert "Preliminary: Evidence " in viewers(at)[0]["sentence"]
    assert "Cancel" in labels(at)
    assert "Leads by weight" not in said
    assert "Keep feedback" not in labels(at)
    go.touch()
    until(at, lambda: not preliminary(at) and viewers(at)[0]["maps"])
    settled(at)
    said = texts(at).replace("\\", "")
    assert [m["id"] for m in viewers(at)[0]["maps"]] == ["fused", "lime", "timeshap"]
    assert "reliminary" not in said
    assert "Leads by weight" in said
    assert "Keep feedback" in labels(at)


def test_a_cancelled_refinement_keeps_what_it_has_and_goes_on(go: Path) -> None:
    at = begun()
    next(b for b in at.button if b.label == "Cancel").click().run()
    until(at, lambda: "Refine TimeSHAP" in labels(at))
    said = texts(at).replace("\\", "")
    assert preliminary(at) == {"fused", "timeshap"}
    assert "its refinement was stopped." in said
    assert "Try again" not in labels(at)
    again = opened("explain", **ASKED)
    assert preliminary(again) == {"fused", "timeshap"}, "the next visit finds it"
    assert "its refinement was stopped." in texts(again).replace("\\", "")
    go.touch()
    next(b for b in at.button if b.label == "Refine TimeSHAP").click().run()
    until(at, lambda: not preliminary(at) and "Refine TimeSHAP" not in labels(at))


def test_the_page_is_drawn_anew_when_a_map_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that looks every half second asks only while a job runs, and redraws once."""
    asked: list[str] = []
    monkeypatch.setattr(jobs.st, "rerun", lambda: asked.append("redrawn"))
    news = [False]
    job = jobs.Job("k", "title", "m:f", (), asked_by={"one"}, state="running")
    monkeypatch.setattr(jobs.sessions, "here", lambda: "one")
    jobs._watch.__wrapped__(job, lambda: news[0])
    assert not asked
    news[0] = True
    jobs._watch.__wrapped__(job, lambda: news[0])
    assert asked == ["redrawn"]


def test_the_lab_shows_it_and_waits_for_the_final_map(go: Path) -> None:
    at = begun("fusion_lab", method="lime")
    assert preliminary(at) == {"fused", "timeshap"}
    assert "Cancel" in labels(at)
    assert "AttAUC" not in texts(at), "nothing is computed from a preliminary map"
    go.touch()
    until(at, lambda: not preliminary(at) and "AttAUC" in texts(at))
