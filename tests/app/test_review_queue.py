"""The Records page in the order of a review queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecgxai_core.study.review_queue import CRITERIA, binary_entropy
from tests.app.conftest import open_page, settle, tables, texts
from tests.small import AF, SINUS, write_model

Folders = Callable[..., Path]


def ordered_by(app: AppTest, by: str) -> AppTest:
    app.selectbox(key="records-order").set_value(by).run()
    return settle(app)


@pytest.fixture
def two_models(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders()
    for name, seed in (("one", 0), ("two", 5)):
        path = write_model(tmp_path / "models" / name, seed)
        for file in (path, path.with_suffix(".json")):
            file.rename(file.with_name(f"{name}{file.suffix}"))
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))


def test_the_least_certain_come_first(folders: Folders) -> None:
    folders()
    app = open_page("records", target=AF)
    assert not app.exception
    listed = tables(app)[0]
    assert "place" not in listed
    rows = tables(ordered_by(app, "entropy"))[0]
    assert sorted(rows["record"]) == list(listed["record"])
    assert list(rows["place"]) == [1, 2, 3, 4]
    assert rows["record"].iloc[0] == listed["record"][
        int(binary_entropy(listed["probability"]).argmax())
    ]  # fmt: skip
    assert rows["why"].str.contains("bit").all()
    back = tables(ordered_by(app, ""))[0]
    assert list(back["record"]) == list(listed["record"])


def test_only_what_passes_the_filters_is_put_in_order(folders: Folders) -> None:
    folders()
    app = open_page("records", target=AF)
    app.multiselect(key="filter-labels").set_value([SINUS]).run()
    rows = tables(ordered_by(app, "margin"))[0]
    assert sorted(rows["record"]) == ["T001", "T003"]
    assert list(rows["place"]) == [1, 2]


def test_records_are_explained_where_the_order_needs_maps(folders: Folders) -> None:
    folders()
    app = ordered_by(open_page("records", target=AF), "methods")
    assert list(tables(app)[0]["record"]) == ["T000", "T001", "T002", "T003"]
    next(one for one in app.button if one.label == "Explain 4 records").click().run()
    app = settle(app)
    assert not app.exception
    rows = tables(app)[0]
    share = rows["why"].str.extract(r"(\d+)%")[0].astype(float)
    assert sorted(rows["place"]) == [1, 2, 3, 4]
    assert share.iloc[0] == share.max()
    rows = tables(ordered_by(app, "evidence"))[0]
    said = rows["why"].str.contains("AttAUC")
    assert (said == (rows["probability"] >= 0.5)).all(), "only where it is called"


@pytest.mark.usefixtures("two_models")
def test_records_on_which_two_models_disagree(folders: Folders) -> None:
    app = ordered_by(open_page("records", target=AF, model="one"), "disagreement")
    assert app.selectbox(key="records-second-model").value == "two"
    assert not app.exception
    rows = tables(app)[0]
    apart = rows["why"].str.extract(r"models ([\d.]+) apart")[0].astype(float)
    assert apart.iloc[0] == apart.max() > 0


def test_one_model_alone_cannot_disagree(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = folders()
    monkeypatch.setattr("app.data.services.assets_dir", lambda: tiny / "empty")
    app = ordered_by(open_page("records", target=AF), "disagreement")
    assert "only one usable model" in texts(app)
    assert list(tables(app)[0]["record"]) == ["T000", "T001", "T002", "T003"]


def test_every_order_is_offered(folders: Folders) -> None:
    folders()
    app = open_page("records", target=AF)
    box = app.selectbox(key="records-order")
    assert len(box.options) == 2 + len(CRITERIA), "as listed, most probable first"
    rows = tables(ordered_by(app, "quality"))[0]
    assert np.issubdtype(rows["place"].dtype, np.number)
    probable = tables(ordered_by(app, "probability"))[0]["probability"]
    assert probable.is_monotonic_decreasing
    assert len(probable) == 4


def test_a_long_list_is_sent_in_part_and_found_by_name(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders()
    monkeypatch.setattr("app.panels.records.MOST_ROWS", 2)
    app = ordered_by(open_page("records", target=AF), "probability")
    assert len(tables(app)[0]) == 2
    assert "The first 2 in this order are listed; the CSV has all 4" in texts(app)
    app.text_input(key="filter-name").input("t003").run()
    assert list(tables(app)[0]["record"]) == ["T003"]
    assert "are listed; the CSV" not in texts(app)
