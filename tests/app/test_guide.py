"""The Guide page: texts, and the checklist that is saved with a record's report."""

from __future__ import annotations

from ecgxai_core.metrics import METRICS
from ecgxai_core.report import guide
from ecgxai_core.report.checklist import CHECKLIST, checklist_from_json
from ecgxai_core.settings import settings
from tests.app.conftest import open_page, settle, tables, texts
from tests.app.evaluated import EXPLAINED, opened, viewers
from tests.app.test_model import pick


def test_every_part_opens(folders):
    folders()
    app = open_page("guide", navigation=True)
    assert not app.exception
    assert guide.READING[0].title in texts(app)
    app = pick(app, "guide-section", "Metrics")
    listed = [name for frame in tables(app) for name in frame["column"]]
    assert sorted(listed) == sorted(METRICS)
    app = pick(app, "guide-section", "Methods")
    assert "What it does not say" in texts(app)
    app = pick(app, "guide-section", "Known limits")
    assert all(note.title in texts(app) for note in guide.LIMITS)
    app = pick(app, "guide-section", "Glossary")
    assert "coalition" in set(tables(app)[0]["word"])
    assert not app.exception


def test_without_a_record_the_questions_can_be_read(folders):
    folders()
    app = pick(open_page("guide"), "guide-section", "Checklist")
    assert not app.exception
    assert CHECKLIST[6].question in texts(app)
    assert "Choose a record" in texts(app)


def test_without_a_model_too(folders):
    folders(models="empty")
    app = pick(open_page("guide", record="T000"), "guide-section", "Checklist")
    assert not app.exception
    assert CHECKLIST[0].question in texts(app)


def test_answers_are_saved_and_come_back(folders):
    folders()
    app = pick(open_page("guide", record="T000", model="tiny"), "guide-section", "Checklist")
    assert not app.exception
    key = next(b.key for b in app.get("button_group") if str(b.key).startswith("answer-explained"))
    next(b for b in app.get("button_group") if b.key == key).set_value("yes")
    next(t for t in app.text_input if str(t.key).startswith("remark-explained")).set_value("<b>II")
    next(b for b in app.button if b.label == "Save with the report").click()
    app = settle(app.run())
    assert not app.exception
    assert app.success
    (file,) = (settings().cache_dir / "checklists").glob("*.json")
    kept = checklist_from_json(file.read_text("utf-8"))
    assert kept.answers["explained"] == "yes"
    assert kept.remarks["explained"] == "<b>II"
    again = pick(open_page("guide", record="T000", model="tiny"), "guide-section", "Checklist")
    shown = next(b for b in again.get("button_group") if b.key == key)
    assert shown.value == "yes"


def test_a_record_that_is_not_there_is_an_error_text(folders):
    folders()
    app = pick(open_page("guide", record="absent"), "guide-section", "Checklist")
    assert not app.exception
    assert "absent" in texts(app)


def test_an_explained_record_shows_what_the_notes_speak_of(evaluated_folders):
    app = opened("guide")
    (shown,) = viewers(app)
    assert shown["record"]["id"] in EXPLAINED
    assert len(shown["maps"]) == 1
    assert "Hatched" in texts(app)
