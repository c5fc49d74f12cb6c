"""The tour: five steps, an example, and a bar that leads from view to view."""

from __future__ import annotations

from app import tour
from app.frame import PAGES
from app.state import View
from ecgxai_core.pipeline.prediction import Predictions
from tests.app.conftest import REPO, open_page, settle, texts
from tests.pipeline.test_model_quality import predictions
from tests.small import AF, SINUS


def test_five_steps_on_pages_that_exist():
    assert len(tour.STEPS) == 5
    assert {step.page for step in tour.STEPS} <= set(PAGES)


def test_the_example_is_right_and_certain():
    import numpy as np

    p = np.array([[0.9, 0.2], [0.95, 0.1], [0.3, 0.7]], np.float32)
    found = tour.example(View(data="d"), predictions(p, [(AF,), (SINUS,), (SINUS,)]))
    assert (found.record, found.target, found.data) == ("r0", AF, "d")
    unlabelled = tour.example(View(data="d"), predictions(p, [None] * 3))
    assert unlabelled.record == "r0"
    assert tour.example(View(), Predictions((), (), (), ())) is None


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
    assert app.title[0].value == "Guide"
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
