"""Files and labels that change while the dashboard runs: never an old answer beside a new ECG."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import streamlit as st

from app.data import examples, services
from app.panels import explain, feedback
from app.shell import users
from app.shell.state import View
from app.viewer import Reader, Region
from ecgxai_core.diagnoses import aliases
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.records.read import read_record
from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.app.conftest import open_page, settle, texts
from tests.small import AF, FS, beats, write_data

Folders = Callable[..., Path]
RBBB = "59118001"


def shown(app: Any) -> list[tuple[str, str]]:
    """Of every viewer of a page: by what it keeps marks, and the samples that it was sent."""
    sent = [json.loads(item.proto.json or "{}") for item in app.get("bidi_component")]
    return [(one["record"]["key"], one["signal"]["counts"]) for one in sent if "signal" in one]


def read_again() -> None:
    """The button of the Records page."""
    page = open_page("records")
    next(b for b in page.button if b.label == "Read the folder again").click().run()
    settle(page)


def test_a_replaced_file_is_never_shown_with_its_old_probability(
    folders: Folders, tmp_path: Path
) -> None:
    data, other = write_data(tmp_path / "data", 1), write_data(tmp_path / "other", 1, scale=1.5)
    folders(path=data)
    before = open_page("explain", record="T000")
    assert "probability" in texts(before)
    for file in other.iterdir():
        shutil.copyfile(file, data / file.name)
    after = settle(before.run())
    assert "has changed since its folder was read" in texts(after).replace("\\", "")
    assert "Read the folder again" in texts(after).replace("\\", "")
    assert "probability" not in texts(after)
    assert not shown(after)
    read_again()
    assert "called" in texts(open_page("explain", record="T000"))


@pytest.mark.parametrize("fmt", ["dat", "mat"])
def test_a_replaced_data_file_is_drawn_anew(
    folders: Folders, tmp_path: Path, fmt: Literal["dat", "mat"]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    header = write_record(data, "T000", beats(70, seed=0), FS, STANDARD_LEADS, fmt=fmt)
    folders(path=data)
    (before,) = shown(open_page("explain", record="T000"))
    assert before[0] == read_record(header).digest
    file, times = header.with_suffix(f".{fmt}"), header.stat()
    content = bytearray(file.read_bytes())
    content[-400:] = bytes(400)
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    read_again()
    page = open_page("explain", record="T000")
    assert "called" in texts(page)
    (after,) = shown(page)
    assert before[0] != after[0], "marks on the old trace are not drawn on the new one"
    assert before[1] != after[1]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tiny: Path) -> Callable[..., None]:
    """``known(labels)``: the predictions of the open record have these labels, whatever its header
    says."""

    def use(labels: tuple[str, ...] | None) -> None:
        path = tiny / "data" / "T000.hea"
        info = RecordInfo(path, "T000", read_record(path).digest, 7.0, labels, False, ())
        found = Predictions((info,), (), (AF, RBBB), ())
        monkeypatch.setattr(services, "info", lambda _view: info)
        monkeypatch.setattr(services, "predictions", lambda _view: found)
        monkeypatch.setattr(services, "_own", lambda _view: None)

    return use


def test_labels_are_those_of_the_predictions(known: Callable[..., None]) -> None:
    """PTB-XL has them in a table, not in headers."""
    known((RBBB,))
    record = services.unopened_record(View(record="T000"))
    assert record.labels == (RBBB,)
    assert "right bundle branch block" in explain.facts(record)
    known(None)
    assert "no labels" in explain.facts(services.unopened_record(View(record="T000")))


def test_a_label_counts_by_whatever_name(known: Callable[..., None]) -> None:
    other = next(name for name in aliases(RBBB) if name != RBBB)

    def said() -> list[bool | None]:
        info = services.info(View())
        assert info is not None
        return [explain._labelled(View(), info, code) for code in (AF, RBBB)]

    known((other,))
    assert said() == [None, True], "no label of the set names fibrillation"
    known((AF, other))
    assert said() == [True, True]
    known(())
    assert said() == [None, None]
    known(None)
    assert said() == [None, None], "without labels nobody can say"


def test_looking_for_an_example_opens_no_record(
    known: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    known((AF,))
    opened: list[str] = []
    monkeypatch.setattr(users, "record_opened", lambda _data, name, _digest: opened.append(name))
    monkeypatch.setattr(services, "attributions", lambda *_: {})
    assert not examples._explained(View(record="T000"))
    assert not opened
    services.record(View(record="T000"))
    assert opened == ["T000"]


def test_marks_are_those_of_the_record_not_of_its_name(tiny: Path) -> None:
    record = read_record(tiny / "data" / "T000.hea")
    region = Region("V1", 1.0, 2.0)
    st.session_state.clear()
    other = Reader(marked_record="T000", regions=(region,))
    assert feedback._marked(record, other) == ()
    own = Reader(marked_record=record.digest, regions=(region,))
    assert feedback._marked(record, own) == (region,)
    st.session_state.clear()
