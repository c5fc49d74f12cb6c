"""Keys of jobs about many records: what was computed for one is never shown for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.data import services, uploads
from app.panels import cohort, exports, model, records, report_card, sweep
from app.shell import frame, jobs
from app.shell.state import View
from ecgxai_core.audit.cohort import CohortRequest
from ecgxai_core.audit.report_card import CardRequest
from ecgxai_core.params import SelectionParams, profile
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from tests.app.conftest import open_page
from tests.small import AF, SINUS

DATA, MODEL = Path("/a/records"), Path("/m/one.keras")
INFO = RecordInfo(DATA / "R.hea", "R", "d" * 64, 10.0, (AF,), False, ())
FOUND = Predictions((INFO,), (), (AF,), ())
CHANGED = {
    "name": replace(INFO, name="Jane"),
    "content": replace(INFO, digest="e" * 64),
    "label": replace(INFO, labels=(SINUS,)),
    "no label": replace(INFO, labels=None),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the pages find; the keys that they ask for are kept."""
    here = SimpleNamespace(data=DATA, own=False, digest="m1", found=FOUND, keys=[])
    monkeypatch.setattr(
        services, "data_set", lambda _view: services.DataSet("data", here.data, own=here.own)
    )
    monkeypatch.setattr(services, "data_sets", lambda: (services.DataSet("data", here.data),))
    one = services.ModelChoice("one", MODEL)
    monkeypatch.setattr(services, "models", lambda: (one,))
    monkeypatch.setattr(services, "model", lambda _view: one)
    monkeypatch.setattr(services, "classifier", lambda _view: SimpleNamespace(digest=here.digest))
    monkeypatch.setattr(services, "target", lambda _view: AF)
    monkeypatch.setattr(services, "predictions", lambda _view: here.found)
    monkeypatch.setattr(frame, "wait_for_predictions", lambda _view: here.found)
    monkeypatch.setattr(services, "record", lambda _view: SimpleNamespace(digest="d" * 64))
    own = SimpleNamespace(folder=None)

    def owned(_view: View) -> Any:
        own.folder = here.data
        return own if here.own else None

    monkeypatch.setattr(services, "_own", owned)

    def start(key: str, *_args: Any, **_more: Any) -> Any:
        here.keys.append(key)
        return SimpleNamespace(state="done", result=None)

    monkeypatch.setattr(jobs, "start", start)
    monkeypatch.setattr(jobs, "get", lambda key: here.keys.append(key))
    return here


def _found(view: View) -> Predictions:
    found = services.predictions(view)
    assert found is not None
    return found


def _card(view: View) -> str:
    return report_card._key(view, CardRequest(DATA, MODEL, profile("default"), SelectionParams()))


def _cohort(view: View) -> str:
    data = services.data_sets()[0].path
    return cohort._key(view, (CohortRequest(data, MODEL, AF, profile("default")),))


ASKED: dict[str, Callable[[View], Any]] = {
    "quality": lambda view: model.quality(view, _found(view)),
    "thumbnails": lambda view: records.thumbnails(view, _found(view)),
    "card": _card,
    "cohort": _cohort,
    "sweep of all": lambda view: sweep._job(
        view, {"x": "beta", "y": "tau", "whole": True, "deletion": False}, begin=False
    ),
}


@pytest.mark.parametrize("kind", ASKED)
def test_a_key_names_folder_records_labels_and_model(server: SimpleNamespace, kind: str) -> None:
    def key() -> str:
        server.keys.clear()
        made = ASKED[kind](View())
        return made if isinstance(made, str) else str(server.keys[-1])

    first = key()
    assert key() == first
    seen = {first}
    for info in CHANGED.values():
        server.found = replace(FOUND, records=(info,))
        seen.add(key())
    server.found = FOUND
    if kind != "thumbnails":  # they are the same whatever the model
        server.digest = "m2"
        seen.add(key())
        server.digest = "m1"
    server.data = Path("/tmp/ecgxai-own-1-x/records")
    assert str(server.data) in key(), "so that it goes with the session's folder"
    seen.add(key())
    assert len(seen) == len(CHANGED) + (2 if kind == "thumbnails" else 3)


def test_a_sweep_of_one_uploaded_record_is_its_sessions(server: SimpleNamespace) -> None:
    form = {"x": "beta", "y": "tau", "whole": False, "deletion": False}
    server.own, server.data = True, Path("/tmp/ecgxai-own-1-x/records")
    sweep._job(View(), form, begin=False)
    server.data = Path("/tmp/ecgxai-own-1-y/records")
    sweep._job(View(), form, begin=False)
    one, other = server.keys
    assert one != other
    assert "ecgxai-own-1-x" in one


def test_the_digest_of_the_records_is_made_once() -> None:
    found = Predictions((INFO,) * 1000, (), (AF,), ())
    assert found.records_digest is found.records_digest


def test_a_selection_is_of_a_folder(
    folders: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, asked, start = folders(), [], jobs.start

    def watched(key: str, *args: Any, **more: Any) -> jobs.Job:
        asked.append(key)
        return start(key, *args, **more)

    monkeypatch.setattr(jobs, "start", watched)
    assert not open_page("records", part="examples-of-each-diagnosis").exception
    keys = {key for key in asked if key.startswith("selection:")}
    assert keys
    assert all(key.startswith(f"selection:{tiny / 'data'}:") for key in keys)


def test_jobs_of_own_records_go_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(jobs, "end_about", ended.append)
    own = uploads.OwnRecords()
    own.close()
    assert ended == [str(own.folder)]


def test_a_file_has_the_map_that_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three methods has finished, so that there is no fused map."""
    drawn = {}

    def page(_record: Any, _style: Any, words: str, **what: Any) -> list[str]:
        drawn.update(words=words, **what)
        return [""]

    item = SimpleNamespace(edges_sec=[0.0, 1.0])
    facts: Any = SimpleNamespace(maps={"occlusion": item}, record=None, style=None)
    monkeypatch.setattr(exports, "ecg_svg", page)
    monkeypatch.setattr(exports, "caption_of", lambda _facts, shown, title: (shown, title))
    exports._page(View(), facts, "svg")
    assert drawn["overlay"] is item
    assert drawn["words"] == (item, "Occlusion map")
