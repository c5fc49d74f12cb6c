"""Own records: checked on the server, kept for one session, gone with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.errors import RecordError
from tests.app.conftest import open_page, settle, tables, texts
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
    from app import uploads

    state: dict[str, Any] = {}
    monkeypatch.setattr(uploads.st, "session_state", state)
    return state


def test_a_record_is_kept_in_the_session(session: dict[str, Any], mine: list[File]) -> None:
    from app import uploads

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
    from app import uploads

    with pytest.raises(RecordError):
        uploads.add([File.__new__(File).__class__(_path(mine), name)])
    assert uploads.own_records() is None


def _path(files: list[File]) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / "x"
    path.write_bytes(files[0].getvalue())
    return path


def test_a_header_without_its_data_is_refused(session: dict[str, Any], mine: list[File]) -> None:
    from app import uploads

    with pytest.raises(RecordError):
        uploads.add([file for file in mine if file.name.endswith(".hea")])
    assert uploads.own_records() is None


def test_large_files_are_refused(session: dict[str, Any], tmp_path: Path) -> None:
    from app import uploads

    big = tmp_path / "big.dcm"
    big.write_bytes(b"\0" * (uploads.MOST_BYTES + 1))
    with pytest.raises(RecordError, match="larger"):
        uploads.add([File(big)])


def test_two_sessions_never_see_each_other(folders: Folders, mine: list[File]) -> None:
    from app import uploads

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
