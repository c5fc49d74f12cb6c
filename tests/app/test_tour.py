"""The tour: five steps, an example, and a bar that leads from view to view."""

from __future__ import annotations

import numpy as np
import pytest

from app.data import services
from app.data.examples import ranked
from app.panels import tour
from app.shell.frame import PAGES
from app.shell.state import View
from ecgxai_core.pipeline.predict import Predictions
from tests.app.conftest import REPO, open_page, settle, texts
from tests.audit.test_model_quality import predictions
from tests.small import AF, SINUS


def test_five_steps_on_pages_that_exist():
    assert len(tour.STEPS) == 5
    assert {step.page for step in tour.STEPS} <= set(PAGES)


def test_the_example_is_right_and_certain():
    p = np.array([[0.9, 0.2], [0.95, 0.1], [0.3, 0.7]], np.float32)
    found = ranked(View(data="d"), predictions(p, [(AF,), (SINUS,), (SINUS,)]))[0]
    assert (found.record, found.target, found.data) == ("r0", AF, "d")
    unlabelled = ranked(View(data="d"), predictions(p, [None] * 3))[0]
    assert (unlabelled.record, unlabelled.target) == ("r1", AF), "the most certain prediction"
    assert ranked(View(), Predictions((), (), (), ())) == []


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.6, 0.9, 0.8], AF),  # sinus rhythm only where nothing else is called
        ([0.6, 0.1, 0.8], AF),  # a superclass has no tabulated evidence
        ([0.3, 0.1, 0.8], "CD"),
        ([0.3, 0.9, 0.4], SINUS),
        ([0.3, 0.1, 0.4], "CD"),  # nothing is called: the most probable
    ],
)
def test_a_record_opens_on_what_the_model_calls(monkeypatch, p, expected):
    found = predictions(np.array([p], np.float32), [None], (AF, SINUS, "CD"))
    monkeypatch.setattr(services.jobs, "result", lambda key: found)
    monkeypatch.setattr(services, "predictions_key", lambda view: "")
    monkeypatch.setattr(services, "threshold", lambda view, code: 0.5)
    assert services.first_target(View(record="r0")) == expected
    assert services.first_target(View()) == ""


def test_a_click_sets_the_view_and_every_page_has_the_bar(folders):
    """AppTest stays on its page after a switch, so the pages are opened here; the browser test
    clicks through."""
    folders()
    app = open_page("tour", navigation=True)
    assert not app.exception
    assert "The example is record" in texts(app)
    app.button(key="tour-go-1").click().run()
    assert app.session_state["view"].record.startswith("T0")
    app = settle(app.switch_page(str(REPO / "pages" / "guide.py")).run())
    assert not app.exception
    assert "##### Guide" in texts(app)
    assert "Tour 2 of 5" in texts(app)
    app.button(key="tour-end").click()
    app = settle(app.run())
    assert "Tour 2 of 5" not in texts(app)


def test_without_a_model_it_says_what_to_do(folders):
    folders(models="empty")
    app = open_page("tour")
    assert not app.exception
    assert "no usable model" in texts(app)


def test_with_an_empty_data_set_too(folders):
    folders(data="empty")
    app = open_page("tour")
    assert not app.exception
