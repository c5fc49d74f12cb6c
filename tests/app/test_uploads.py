"""Own records: checked on the server, kept for one session, gone with it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from tests.app.conftest import open_page, settle, tables, texts
from tests.corpus.dicom_files import dicom_bytes, group
from tests.small import write_data

Folders = Callable[..., Path]


class File:
    """What an uploader returns."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = name or path.name
        self._data = path.read_bytes()
        self.size = len(self._data)

    def getvalue(self) -> bytes:
        return self._data


@pytest.fixture
def mine(tmp_path: Path) -> list[File]:
    folder = write_data(tmp_path / "mine", 1)
    for path in list(folder.iterdir()):
        text = path.read_bytes()
        if path.suffix == ".hea":
            text = text.replace(b"T000", b"SECRET")
        (folder / path.name.replace("T000", "SECRET")).write_bytes(text)
        path.unlink()
    return [File(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A session outside streamlit."""
    from app.data import uploads

    state: dict[str, Any] = {}
    monkeypatch.setattr(uploads.st, "session_state", state)
    return state


def test_a_record_is_kept_in_the_session(session: dict[str, Any], mine: list[File]) -> None:
    from app.data import uploads

    assert [record.name for record in uploads.add(mine)] == ["SECRET"]
    own = uploads.own_records()
    assert own is not None
    folder = own.folder
    assert (folder / "SECRET.hea").is_file()
    assert folder.parent.stat().st_mode & 0o077 == 0
    uploads.forget_own()
    assert not folder.exists()
    assert uploads.own_records() is None


@pytest.mark.parametrize(
    "name", ["../x.hea", "..", "a b.hea", "x.py", ".hidden", "x" * 200 + ".hea", "<b>.hea"]
)
def test_odd_names_are_refused_or_lose_their_folder(
    session: dict[str, Any], mine: list[File], name: str
) -> None:
    from app.data import uploads

    with pytest.raises(RecordError):
        uploads.add([File.__new__(File).__class__(_path(mine), name)])
    assert uploads.own_records() is None


def _path(files: list[File]) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / "x"
    path.write_bytes(files[0].getvalue())
    return path


def test_a_header_without_its_data_is_refused(session: dict[str, Any], mine: list[File]) -> None:
    from app.data import uploads

    with pytest.raises(RecordError):
        uploads.add([file for file in mine if file.name.endswith(".hea")])
    assert uploads.own_records() is None


def test_large_files_are_refused(session: dict[str, Any], tmp_path: Path) -> None:
    from app.data import uploads

    big = tmp_path / "big.dcm"
    big.write_bytes(b"\0" * (uploads.MOST_BYTES + 1))
    with pytest.raises(RecordError, match="larger"):
        uploads.add([File(big)])


def test_sizes_and_numbers_are_checked_before_anything_is_read(
    session: dict[str, Any], mine: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.data import uploads

    monkeypatch.setattr(uploads, "read_guarded", lambda _path: pytest.fail("was read"))
    monkeypatch.setattr(uploads, "find_records", lambda _path: pytest.fail("was read"))
    monkeypatch.setattr(uploads, "MOST_FILES", 1)
    with pytest.raises(RecordError, match="files: are more than 1"):
        uploads.add(mine)
    monkeypatch.setattr(uploads, "MOST_FILES", 20)
    monkeypatch.setattr(uploads, "MOST_SESSION_BYTES", 1000)
    with pytest.raises(RecordError, match="size: is more than"):
        uploads.add(mine)
    assert uploads.own_records() is None


def test_what_is_kept_counts(
    session: dict[str, Any], mine: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.data import uploads

    uploads.add(mine)
    size = sum(file.size for file in mine)
    assert uploads.held("") == (2, size)
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    with pytest.raises(RecordError, match="files: are more than 3"):
        uploads.add(mine)
    monkeypatch.setattr(uploads, "MOST_FILES", 20)
    monkeypatch.setattr(uploads, "MOST_SESSION_BYTES", 2 * size - 1)
    with pytest.raises(RecordError, match="size: is more than"):
        uploads.add(mine)
    uploads.forget_own()
    assert uploads.held("") == (0, 0)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_neutral_names_leave_nothing_of_the_name(
    session: dict[str, Any], mine: list[File], ending: bytes
) -> None:
    from app.data import uploads

    plain = uploads.add(mine)[0]
    uploads.forget_own()
    header = next(file for file in mine if file.name.endswith(".hea"))
    header._data = header._data.replace(b"\r\n", b"\n").replace(b"\n", ending)
    (first,) = uploads.add(mine, neutral=True)
    assert first.name == "record-1"
    assert first.signal.tobytes() == plain.signal.tobytes()
    assert (first.age, first.sex, first.labels) == (plain.age, plain.sex, plain.labels)
    assert "record-2" in {record.name for record in uploads.add(mine, neutral=True)}
    own = uploads.own_records()
    assert own is not None
    assert len(own.files) == 4
    assert all(b"SECRET" not in path.read_bytes() for path in own.files)
    uploads.forget_own()


def _dicom(path: Path, samples: int) -> File:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(dicom_bytes(lambda data: setattr(data, "WaveformSequence", [group(samples)])))
    return File(path)


def test_a_file_never_takes_the_place_of_another(session: dict[str, Any], tmp_path: Path) -> None:
    from app.data import uploads

    one, two = _dicom(tmp_path / "1" / "ecg.dcm", 3000), _dicom(tmp_path / "2" / "ecg.dcm", 2500)
    for neutral in (False, True):
        with pytest.raises(RecordError, match=r"ecg.dcm: name: is that of two files of this upl"):
            uploads.add([one, two], neutral=neutral)
    assert uploads.own_records() is None
    (first,) = uploads.add([one])
    with pytest.raises(RecordError, match=r"ecg.dcm: name: another file of this name is among"):
        uploads.add([two])
    own = uploads.own_records()
    assert own is not None
    assert [path.read_bytes() for path in own.files] == [one.getvalue()]
    assert [record.digest for record in uploads.add([one])] == [first.digest], "the same again"
    (other,) = uploads.add([two], neutral=True)
    assert (other.name, other.digest != first.digest) == ("record-1", True)
    assert len(own.files) == 2
    uploads.forget_own()


def test_a_record_never_has_the_name_of_another(
    session: dict[str, Any], mine: list[File], tmp_path: Path
) -> None:
    from app.data import uploads

    other = _dicom(tmp_path / "1" / "SECRET.dcm", 3000)
    with pytest.raises(RecordError, match="'SECRET' is the name of another record too"):
        uploads.add([*mine, other])
    assert uploads.own_records() is None
    uploads.add(mine)
    with pytest.raises(RecordError, match=r"SECRET.dcm: name: .* \(SECRET.hea\)"):
        uploads.add([other])
    uploads.forget_own()


def test_a_session_that_ends_takes_its_records_along(
    session: dict[str, Any], mine: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.data import uploads
    from app.shell import sessions

    monkeypatch.setattr(sessions, "here", lambda: "one")
    uploads.add(mine)
    own = uploads.own_records()
    assert own is not None
    clock, active = [1000.0], {"one", "two"}
    monkeypatch.setattr(sessions.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(sessions, "_seen", {"one": 1000.0, "two": 1000.0})
    monkeypatch.setattr(sessions, "_forget_in_streamlit", lambda _session: None)

    def look() -> None:
        for name in sessions._ended(active.__contains__):
            sessions._end(name)

    clock[0] += 100
    look()  # connected all the time
    assert own.folder.is_dir()
    active.clear()
    clock[0] += sessions.GONE_SEC - 1
    look()  # a lost connection comes back
    active.add("one")
    look()
    active.clear()
    clock[0] += sessions.GONE_SEC - 1
    look()
    assert own.folder.is_dir()
    clock[0] += 2
    look()
    assert not own.folder.parent.exists()
    assert uploads.held("one") == (0, 0)
    assert sessions.GONE_SEC + sessions.LOOK_SEC < 30


def test_streamlit_still_has_what_ends_a_session() -> None:
    from streamlit.runtime import Runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    assert callable(Runtime._close_inactive_session_on_event_loop)
    assert callable(Runtime.is_active_session)
    assert callable(MemoryUploadedFileManager.remove_session_files)


def test_leftovers_of_a_dead_server_go_and_those_of_another_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    from app.data import uploads

    monkeypatch.setattr(uploads.tempfile, "gettempdir", lambda: str(tmp_path))
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    names = {
        f"ecgxai-own-{other.pid}-a": True,
        "ecgxai-own-4194300-b": False,
        f"ecgxai-own-{other.pid}-check-c": True,
        "ecgxai-own-x": True,
        "else": True,
    }
    try:
        for name in names:
            (tmp_path / name / "records").mkdir(parents=True)
            (tmp_path / name / "records" / "r.hea").write_text("x")
        uploads.remove_leftovers()
        assert {name: (tmp_path / name).exists() for name in names} == names
    finally:
        other.kill()
        other.wait()
    uploads.remove_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ecgxai-own-x", "else"]


def test_own_records_and_their_target_stay_out_of_the_url(
    folders: Folders, mine: list[File]
) -> None:
    from app.data import uploads

    folders()
    app = open_page("explain")
    own = uploads.OwnRecords()
    for file in mine:
        (own.folder / file.name).write_bytes(file.getvalue())
    app.session_state["own-records"] = own
    app.query_params["data"] = uploads.OWN
    app.query_params["record"] = "SECRET"  # a link that somebody wrote by hand
    app.query_params["target"] = "164889003"
    settle(app.run())
    assert not app.exception
    assert "SECRET" in texts(app)
    assert set(app.query_params) == {"data", "model"}
    settle(app.run())
    assert "SECRET" in texts(app)  # the session knows
    own.close()


def test_two_sessions_never_see_each_other(folders: Folders, mine: list[File]) -> None:
    from app.data import uploads

    folders()
    one = open_page("records")
    own = uploads.OwnRecords()
    for file in mine:
        (own.folder / file.name).write_bytes(file.getvalue())
    one.session_state["own-records"] = own
    one.query_params["data"] = uploads.OWN
    one.run()
    settle(one)
    assert list(tables(one)[0]["record"]) == ["SECRET"]
    other = open_page("records", data=uploads.OWN, record="SECRET")
    assert not other.exception
    assert all("SECRET" not in frame.to_csv() for frame in tables(other))
    assert "is not here" in texts(other).replace("\\", "")
    shared = Path(own.folder).parents[1]
    assert own.store is not None
    assert shared.exists()
    assert not list((Path(folders()) / "cache").glob("**/*SECRET*"))


@pytest.mark.parametrize("name", ["example.scp", "sierra_1_03.xml"])
def test_a_foreign_file_becomes_a_record_of_ours(session: dict[str, Any], name: str) -> None:
    from app.data import uploads

    case = Path(__file__).resolve().parents[1] / "cases" / "formats" / name
    (record,) = uploads.add([File(case)])
    own = uploads.own_records()
    assert own is not None
    assert {path.suffix for path in own.files} == {".hea", ".dat"}
    assert len(record.leads) == 12
    header = (own.folder / f"{record.name}.hea").read_text("utf-8")
    assert "Clark" not in header
    uploads.forget_own()


def test_an_array_without_rate_is_refused(session: dict[str, Any]) -> None:
    from app.data import uploads

    case = Path(__file__).resolve().parents[1] / "cases" / "formats" / "SPH00001.h5"
    with pytest.raises(RecordError, match="--fs"):
        uploads.add([File(case)])
    assert uploads.own_records() is None


def test_a_list_is_put_together_once_and_goes_with_its_predictions() -> None:
    from app.panels import records

    info = RecordInfo(Path("a.hea"), "a", "d", 10.0, (), False, ())
    found = Predictions((info,), (), (), ())
    made = records._without_target(found)
    assert list(made["record"]) == ["a"]
    assert records._without_target(found) is made
    other = Predictions((info,), (), (), ())
    assert records._without_target(other) is not made, "equal, but another session's"
    del found, other
    gc.collect()
    assert not [item for _, item in records._LISTS if item is made]
