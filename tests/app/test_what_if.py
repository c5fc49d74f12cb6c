"""The What-if page: a curve, a size that is looked at, and what is refused."""

from __future__ import annotations

import pytest

from tests.app.evaluated import EXPLAINED, opened, settled, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


@pytest.fixture
def page():
    return settled(opened("what_if", record="T000", target=AF))


def test_the_curve_is_drawn_and_a_size_chosen(page):
    assert not page.exception
    assert "as recorded" in texts(page)
    assert "flips the call" in texts(page) or "The call flips at" in texts(page)
    sizes = page.select_slider(key="what-if-size-st_level")
    assert "as it is" in sizes.options
    sizes.set_value(-0.1).run()
    assert not page.exception
    assert "Measured anew: ST" in texts(page)
    rows = next(table.value for table in page.dataframe if "size" in table.value)
    assert rows["size"].is_monotonic_increasing
    assert 0.0 in rows["size"].to_list()


def test_every_edit_can_be_chosen(page):
    from app.panels.what_if import SIZES
    from ecgxai_core.simulation.edits import EDITS

    assert SIZES.keys() == EDITS.keys()
    for name, sizes in SIZES.items():
        assert EDITS[name].neutral not in sizes
        assert EDITS[name].low <= min(sizes) <= max(sizes) <= EDITS[name].high
    for name in ("swap", "rate", "mask"):
        page.selectbox(key="what-if-edit").set_value(name).run()
        settled(page)
        assert not page.exception, name
        assert "p = " in texts(page), name


def test_without_a_record_an_explained_example_is_changed():
    assert opened("what_if").session_state["view"].record in EXPLAINED
