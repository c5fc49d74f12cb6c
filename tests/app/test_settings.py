"""The Settings page: folders, cache, own records, runs."""

from __future__ import annotations

import json

import pytest

from app.data import runs, services
from app.shell.server_settings import server_settings
from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.run.tables import EVALUATION, FAILURES, STABILITY, SUMMARY
from ecgxai_core.store.atomic import csv_bytes
from tests.app.conftest import open_page, settle, tables, texts


def finished_run(folder):
    """The smallest directory that says it is a finished run."""
    import hashlib

    import pandas as pd

    folder.mkdir()
    digests = {}
    for name in (EVALUATION, STABILITY, SUMMARY, FAILURES):
        data = csv_bytes(pd.DataFrame({"target": ["164889003"], "metric": ["<b>x</b>"]}))
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    manifest = {
        "schema": "ecgxai-run/1",
        "request": {"data": "d", "model": "<script>alert(1)</script>", "profile": {}},
        "tables": digests,
        "units": [],
        "failures": 0,
        "synthetic": True,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "run.log").write_text("not copied")
    return folder


def test_what_is_there_is_listed(folders):
    folders()
    app = open_page("settings", navigation=True)
    assert not app.exception
    found = tables(app)[0]
    assert "4 records" in set(found["Found"])
    assert "tiny" in set(found["Name"])
    assert "ECGXAI" in texts(app)
    assert all(area.disabled for area in app.text_area)


def test_folders_are_saved_where_the_environment_says_nothing(folders, tiny, monkeypatch):
    folders()
    monkeypatch.delenv("ECGXAI_MODELS")
    app = open_page("settings")
    app.text_area(key="folders-models").set_value(str(tiny / "nowhere"))
    app = settle(app.button[0].click().run())
    assert "No such folder" in texts(app)
    app.text_area(key="folders-models").set_value(str(tiny / "models"))
    app = settle(app.button[0].click().run())
    assert not app.exception
    assert "tiny" in set(tables(app)[0]["Name"])


def test_the_cache_is_cleared_after_a_second_click(folders):
    folders()
    open_page("records")
    app = open_page("settings")
    entries = next(metric for metric in app.metric if metric.label == "Entries")
    assert int(entries.value) >= 4
    app.button(key="cache-clear").click()
    app = settle(app.run())
    assert "entries were removed" in "\n".join(item.value for item in app.success)
    assert int(next(m for m in app.metric if m.label == "Entries").value) == 0


def test_a_finished_run_is_imported_shown_and_deleted(folders, tmp_path):
    folders()
    source = finished_run(tmp_path / "my run")
    app = open_page("settings")
    assert "There is no finished run" in texts(app)
    app.text_input(key="run-path").set_value(str(source))
    next(b for b in app.button if b.label == "Import").click()
    app = settle(app.run())
    assert not app.exception
    assert "my run" in "\n".join(item.value for item in app.success).replace("\\", "")
    assert "<script>" not in texts(app)
    copies = [choice for choice in runs.runs() if choice.imported]
    assert [choice.name for choice in copies] == ["my run"]
    assert not (copies[0].path / "run.log").exists()
    app = open_page("settings")
    app.button(key="forget-run-0").click()
    app = settle(app.run())
    assert runs.runs() == ()
    assert source.is_dir()


def test_a_run_that_was_changed_is_not_imported(folders, tmp_path):
    folders()
    source = finished_run(tmp_path / "run")
    (source / SUMMARY).write_text("target,metric\n1,2\n")
    with pytest.raises(RunError, match="changed after the run ended"):
        runs.import_run(source)
    with pytest.raises(RunError, match="holds no finished run"):
        runs.import_run(tmp_path)
    assert runs.runs() == ()


def test_a_run_is_imported_once(folders, tmp_path):
    folders()
    source = finished_run(tmp_path / "run")
    runs.import_run(source)
    with pytest.raises(RunError, match="is there already"):
        runs.import_run(source)


def test_a_visitor_sees_no_path_and_can_change_nothing(folders, tmp_path, tiny, monkeypatch):
    folders()
    monkeypatch.setenv("ECGXAI_OPERATOR", "0")
    server_settings.cache_clear()
    monkeypatch.delenv("ECGXAI_MODELS")
    cache = tmp_path / "cache"
    (cache / "runs").mkdir(parents=True)
    saved = cache / "folders.json"
    saved.write_text(json.dumps({"models": [str(tiny / "models")]}))
    imported = finished_run(cache / "runs" / "first")
    app = open_page("settings", navigation=True)
    assert not app.exception
    said = texts(app) + "".join(table.to_csv() for table in tables(app))
    assert str(tiny) not in said
    assert str(tmp_path) not in said
    assert "ECGXAI_OPERATOR" in said
    assert not app.text_area
    assert not app.text_input
    labels = {button.label for button in app.button}
    assert not labels & {"Save", "Import", "Clear it now", "Delete this copy"}
    assert "tiny" in set(tables(app)[0]["Name"])
    with pytest.raises(RunError, match="are the operator's"):  # whatever a page offers
        services.save_folders(services.Folders())
    with pytest.raises(RunError, match="are the operator's"):
        runs.import_run(imported)
    with pytest.raises(RunError, match="are the operator's"):
        runs.forget_run(runs.runs()[0])
    assert json.loads(saved.read_text()) == {"models": [str(tiny / "models")]}
    assert imported.is_dir()


def test_without_data_and_model_the_page_works(folders):
    folders(data="empty", models="empty")
    app = open_page("settings")
    assert not app.exception
    assert "You have opened no records of your own" in texts(app)
