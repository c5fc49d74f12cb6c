"""Records and Explain: alone, through the navigation, and when something is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.data import services
from app.panels import records
from app.shell import jobs
from app.shell.frame import PAGES
from app.shell.state import View
from ecgxai_core.records.read import read_record
from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS, Prediction
from tests.app.conftest import open_page, settle, tables, texts
from tests.app.evaluated import viewers
from tests.small import AF, FS, SINUS, beats, write_data, write_model

Folders = Callable[..., Path]


@pytest.mark.parametrize("navigation", [False, True])
@pytest.mark.parametrize("name", ["records", "explain"])
def test_page_opens(folders: Folders, name: str, navigation: bool) -> None:
    folders()
    app = open_page(name, navigation=navigation)
    assert not app.exception
    assert not app.error
    assert "research use only" in texts(app)
    assert "model **tiny**" in texts(app)


def test_records_lists_every_record_with_outcome(folders: Folders) -> None:
    folders()
    app = open_page("records")
    rows = tables(app)[0]
    assert list(rows["record"]) == ["T000", "T001", "T002", "T003"]
    assert set(rows["outcome"]) <= {"TP", "FP", "FN", "TN"}
    assert rows["probability"].between(0, 1).all()
    positive = rows["probability"] >= 0.5
    labelled = rows["codes"].map(lambda codes: AF in codes)
    said = [
        ("T" if a == b else "F") + ("P" if b else "N")
        for a, b in zip(labelled, positive, strict=True)
    ]
    assert list(rows["outcome"]) == said


def test_a_class_that_only_the_model_names_works_on_every_page(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders()
    write_model(tmp_path / "models", classes=("AF", "my rhythm"))
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))
    app = open_page("records", target="my rhythm")
    rows = tables(app)[0]
    assert set(rows["outcome"]) == {"no label"}, "codes say nothing about this class"
    assert rows["probability"].between(0, 1).all()
    app = open_page("records", target="AF")
    assert set(tables(app)[0]["outcome"]) <= {"TP", "FP", "FN", "TN"}
    for name in PAGES:
        app = open_page(name, record="T000", target="my rhythm")
        assert not app.exception, name
    assert "not in the table of diagnoses" in texts(open_page("model", record="T000"))


def test_a_superclass_that_no_label_names_is_neither_right_nor_wrong(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders()
    write_model(tmp_path / "models", classes=("NORM", "MI"))
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))
    rows = tables(open_page("records", target="MI"))[0]
    assert set(rows["outcome"]) == {"no label"}, "the data has codes, not superclasses"
    assert all(text.endswith("not a model class") for text in rows["mismatch"]), set(
        rows["mismatch"]
    )
    said = texts(open_page("explain", record="T000", target="MI"))
    assert "the labels of this data cannot say" in said
    assert "not labelled" not in said


@pytest.mark.parametrize("name", ["records", "explain"])
def test_empty_data_set_says_what_to_do(folders: Folders, name: str) -> None:
    folders(data="empty")
    app = open_page(name)
    assert not app.exception
    assert "holds no .hea" in texts(app).replace("\\", "")


@pytest.mark.parametrize("name", ["records", "explain"])
def test_data_set_that_is_not_here(folders: Folders, name: str) -> None:
    folders()
    app = open_page(name, data="elsewhere")
    assert not app.exception
    assert "elsewhere is not here" in texts(app).replace("\\", "")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("state", ["no record", "empty data", "no model", "no such record"])
def test_every_page_opens_in_every_state(folders: Folders, name: str, state: str) -> None:
    folders(data="empty" if state == "empty data" else "data",
            models="empty" if state == "no model" else "models")  # fmt: skip
    query = {"no model": "T000", "no such record": "nobody"}.get(state)
    app = open_page(name, navigation=state == "no record", **({"record": query} if query else {}))
    assert not app.exception
    assert "research use only" in texts(app)


def test_no_model_still_shows_records(folders: Folders) -> None:
    folders(models="empty")
    app = open_page("records")
    assert not app.exception
    assert "There is no model" in texts(app)
    assert list(tables(app)[0]["record"]) == ["T000", "T001", "T002", "T003"]
    app = open_page("explain", record="T001")
    assert not app.exception
    assert [data["record"]["id"] for data in viewers(app)] == ["T001"]


def test_examples_are_selected_only_where_that_part_is_open(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders()
    asked: list[str] = []
    start = jobs.start

    def watched(key: str, *args: Any, **more: Any) -> jobs.Job:
        asked.append(key.split(":")[0])
        return start(key, *args, **more)

    monkeypatch.setattr(jobs, "start", watched)
    open_page("records")
    assert "selection" not in asked, "a job for every reader who looks at the list"
    app = open_page("records", part="examples-of-each-diagnosis")
    assert "selection" in asked
    assert not app.exception
    assert "as `ecgxai select` writes them" in texts(app)
    assert "not an order of probability" in texts(app)
    (rows,) = tables(app)
    assert not rows["warnings"].str.contains("_|;|resampled").any(), "words, and nothing routine"
    assert set(rows["record"]) <= {"T000", "T001", "T002", "T003"}
    folders(models="empty")
    app = open_page("records", part="examples-of-each-diagnosis")
    assert not app.exception
    assert "A selection needs predictions" in texts(app)


def test_failed_record_is_named_with_its_reason(
    folders: Folders, tmp_path: Path, tiny: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (tiny / "data").glob("T00[01].*"):
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "bad.hea").write_text("bad 12 zero 100\n", "ascii")
    folders(path=broken)
    app = open_page("records")
    assert not app.exception
    failures = tables(app)[-1]
    assert list(failures["record"]) == ["bad"]
    assert failures["reason"].str.len().gt(20).all()
    app = open_page("explain", record="bad")
    assert not app.exception
    assert "bad" in app.error[0].value


def test_records_of_one_name_are_each_opened_as_themselves(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    for number, name in enumerate(("p1", "p2"), start=1):
        write_data(data / name, 1, scale=number)
    own = {name: read_record(data / name).digest for name in ("p1/T000.hea", "p2/T000.hea")}
    assert len(set(own.values())) == 2
    folders(path=data)
    app = open_page("records")
    assert list(tables(app)[0]["record"]) == list(own)
    opened: list[str] = []
    predicted: list[str] = []
    ask = services.prediction

    def asked(view: View) -> Prediction | None:
        found = ask(view)
        predicted.extend([found.record_digest] if found is not None else [])
        return found

    monkeypatch.setattr(services, "prediction", asked)
    monkeypatch.setattr(
        "app.data.services.users.record_opened", lambda _data, _name, digest: opened.append(digest)
    )
    for name, digest in own.items():
        app = open_page("explain", record=name)
        assert not app.exception
        assert set(opened) == set(predicted) == {digest}
        opened.clear()
        predicted.clear()
    app = open_page("explain", record="T000")
    assert not app.exception
    assert not opened
    assert not predicted
    assert "T000" in app.error[0].value


def test_html_in_a_header_is_shown_as_text(folders: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "html"
    folder.mkdir()
    write_record(
        folder, "H000", beats(70, 1), FS, STANDARD_LEADS, labels=(AF,), age=50, sex="female"
    )
    header = folder / "H000.hea"
    header.write_text(
        header.read_text("utf-8").replace(f"Dx: {AF}", "Dx: <img src=x onerror=alert(1)>,**bold**"),
        "utf-8",
    )
    folders(path=folder)
    app = open_page("explain", record="H000")
    assert not app.exception
    shown = texts(app)
    assert "<img" not in shown.replace("\\<", "")
    assert "**bold**" not in shown


def test_explaining_survives_a_page_change_and_lands_in_the_cache(folders: Folders) -> None:
    folders()
    app = open_page("explain", record="T001", target=AF)
    assert not app.exception
    next(b for b in app.button if b.label.startswith("Explain with")).click()
    settle(app.run(), 200)
    assert not app.exception
    assert not [b for b in app.button if b.label.startswith("Explain with")]
    again = open_page("explain", record="T001", target=AF)  # another session
    assert "Leads by weight" in texts(again)
    ranking = tables(again)
    assert any("for_share" in frame.columns and len(frame) == 12 for frame in ranking)


def test_link_restores_the_view_and_names_what_it_refuses(folders: Folders) -> None:
    folders()
    app = open_page("explain", record="T002", agg="mean", beta="7", profile="reference")
    assert not app.exception
    kept = app.session_state["view"]
    assert (kept.record, kept.fusion.agg, kept.profile) == ("T002", "mean", "reference")
    assert kept.fusion.beta == 1.0
    assert "beta" in texts(app)
    assert app.query_params["agg"] in ("mean", ["mean"])


def test_target_that_the_model_lacks(folders: Folders) -> None:
    folders()
    app = open_page("explain", record="T002", target="270492004")
    assert not app.exception
    assert "no output" in texts(app)


def test_view_is_frozen() -> None:
    from app.shell.state import View

    with pytest.raises(dataclasses.FrozenInstanceError):
        View().record = "x"  # type: ignore[misc]


def test_a_longer_record_says_what_the_model_sees_and_may_be_moved(folders: Folders) -> None:
    folders()
    app = open_page("explain", record="T001", target=AF)
    assert "The model sees 0.0 to 6.0 s of 7.0 s" in texts(app).replace("\\", "")
    start = next(item for item in app.slider if item.label.startswith("Start of the model window"))
    start.set_value(1.0).run()
    assert not app.exception
    assert app.session_state["view"].start == 1.0
    assert "The model sees 1.0 to 7.0 s of 7.0 s" in texts(app).replace("\\", "")


def test_filters_narrow_the_list(folders: Folders) -> None:
    folders()
    app = open_page("records")
    app.multiselect[0].select(AF).run()
    assert not app.exception
    assert list(tables(app)[0]["record"]) == ["T000", "T002"]
    app.slider[0].set_range(0.0, 0.0).run()
    assert not app.exception
    assert "No record passes the filters" in texts(app)


def test_what_the_model_says_stands_beside_the_labels(folders: Folders) -> None:
    folders()
    app = open_page("records", target=AF)
    rows = tables(app)[0].set_index("record")
    classes = (AF, SINUS)
    names = {AF: "AF", SINUS: "NSR"}
    for code in classes:
        p = tables(open_page("records", target=code))[0].set_index("record")["probability"]
        for name, row in rows.iterrows():
            called, labelled = p[name] >= 0.5, code in row["codes"]
            assert (names[code] in row["says"]) == called, name
            told = [part for part in row["mismatch"].split("; ") if names[code] in part]
            wanted = {(True, False): "not labelled", (False, True): "not called"}
            assert [part.split(" ", 1)[1] for part in told] == [
                word for word in [wanted.get((bool(called), labelled))] if word
            ], name


def test_a_label_that_the_model_has_no_output_for_says_so(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders()
    write_model(tmp_path / "models", classes=(AF,))
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))
    rows = tables(open_page("records", target=AF))[0]
    strange = rows["codes"].map(lambda codes: SINUS in codes)
    assert (rows["mismatch"].str.contains("NSR not a model class") == strange).all()


def test_quality_is_said_in_words() -> None:
    rows = pd.DataFrame({"warnings": ["", "implausible_rate;resampled", "resampled", "a_b;c"]})
    said = list(records.quality_in_words(rows)["warnings"])
    assert said == ["ok", "implausible rate", "ok", "a b, c"]


def test_only_columns_that_say_something_are_shown(folders: Folders) -> None:
    folders()
    order = list(open_page("records", target=AF).dataframe[0].proto.column_order)
    assert order[:4] == ["record", "says", "labels", "mismatch"]
    assert "source" not in order, "all are simulated"
    assert "warnings" in order, "the tiny records are weaker than hearts are"
    silent = pd.DataFrame({"record": ["a", "b"], "warnings": "", "source": "x", "duration_sec": 7})
    assert records.order(silent) == ["record"]
    assert "warnings" in records.order(silent.assign(warnings=["", "clipped"]))


@pytest.mark.parametrize(
    ("page", "names_it"), [("explain", True), ("what_if", True), ("guide", False), ("model", False)]
)
def test_the_head_names_the_record_where_the_page_shows_it(
    folders: Folders, page: str, names_it: bool
) -> None:
    folders()
    at = open_page(page, record="T001")
    head = next(item.value for item in at.markdown if "For research use only" in item.value)
    assert ("record **T001**" in head) == names_it
    assert ("data **data**" in head) != names_it
