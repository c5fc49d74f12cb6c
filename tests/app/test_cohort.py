"""The Cohort page: asked for, computed in the background, compared, and records opened."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from app.data import services
from ecgxai_core.cli import datasets
from ecgxai_core.simulation.demonstration import demonstration_folder
from tests.app.evaluated import environment, opened, settled, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def started(at):
    next(b for b in at.button if b.label == "Explain these records").click().run()
    return settled(at)


@pytest.fixture
def page():
    at = opened("cohort", target=AF)
    assert not at.exception
    at.selectbox(key="cohort-method").set_value("input_x_gradient").run()
    return at


def test_before_it_is_asked_for_the_page_says_how_many_and_what_it_costs(page):
    """The data set is read by then: a cohort is told from another by what its records are."""
    at = page
    said = texts(at).replace("\\", "")
    assert "atrial fibrillation (AF): 2 of 4 records are labelled with the target. " in said
    assert re.search(r"Explaining them takes at most about [\d,]+ forward passes", said)
    at.number_input(key="cohort-n").set_value(1).run()
    assert "2 of 4 records are labelled with the target, of which 1 are drawn. " in texts(
        at
    ).replace("\\", "")


def test_a_cohort_is_made_and_found_again(page):
    at = started(page)
    assert not at.exception
    assert "**2** of 2 records" in texts(at)
    cells = next(t.value for t in at.dataframe if "wave" in t.value)
    assert len(cells) == 5 * 12
    rows = next(t.value for t in at.dataframe if "distance" in t.value)
    assert set(rows["record"]) == {"T000", "T002"}
    assert rows["distance"].is_monotonic_decreasing
    assert "Too few records to call one outlying" in texts(at).replace("\\", "")
    assert any(b.label == "HTML report" for b in at.get("download_button"))


def test_another_class_is_compared_and_few_records_are_not_tested(page):
    page.selectbox(key="cohort-against").set_value("another class").run()
    at = started(page)
    assert not at.exception
    said = texts(at).replace("\\", "")
    assert "fewer than 10 records" in said
    assert "sinus rhythm" in said
    cells = next(t.value for t in at.dataframe if "wave" in t.value)
    assert (cells["mean"] - cells["other_mean"] - cells["difference"]).abs().max() < 1e-9


def test_a_group_that_no_record_belongs_to_says_so(page):
    """The network has random weights: it either calls all records or none."""
    found = {}
    for who in ("false-positive", "false-negative"):
        page.selectbox(key="cohort-who").set_value(who).run()
        at = started(page)
        assert not at.exception
        found[who] = texts(at).replace("\\", "")
    assert any("fits none of 4 records" in said for said in found.values())


def test_the_demonstration_has_its_cohort_without_a_click(monkeypatch):
    """But no other one: what costs passes is asked for."""
    with environment(monkeypatch, ECGXAI_DATA="") as root:
        shutil.copytree(root / "data", demonstration_folder())
        (demonstration_folder() / ".complete").touch()
        at = opened("cohort", target=AF)
        said = texts(at).replace("\\", "")
        assert "**2** of 2 records" in said
        assert "Largest parts of the map, labelled atrial fibrillation: " in said
        assert "fewer than 10: means only" in said
        assert not any(b.label == "Explain these records" for b in at.button)
        at.number_input(key="cohort-n").set_value(1).run()
        assert any(b.label == "Explain these records" for b in at.button)


def test_the_demonstration_explains_what_the_page_opens_with(monkeypatch):
    made, asked = [], []
    monkeypatch.setattr(
        "ecgxai_core.audit.cohort.make_cohort", lambda one, *_, **__: made.append(one)
    )
    monkeypatch.setattr(
        "app.panels.cohort._start", lambda view, requests, key: asked.extend(requests)
    )
    with environment(monkeypatch, ECGXAI_DATA="") as root:
        model = root / "models" / "tiny.keras"
        monkeypatch.setattr("ecgxai_core.settings.default_model", lambda: model)
        shutil.copytree(root / "data", demonstration_folder())
        (demonstration_folder() / ".complete").touch()
        datasets._explain_cohorts(demonstration_folder(), [AF])
        opened("cohort", target=AF)
    assert [replace(one, n=None) for one in asked[:1]] == made


def test_the_diagnosis_is_asked_for_on_the_page(page):
    other = next(code for code in services.targets(page.session_state["view"]) if code != AF)
    page.selectbox(key="cohort-target").set_value(other).run()
    assert page.session_state["view"].target == other
