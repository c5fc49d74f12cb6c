"""A person's own records: kept for this session only, in a folder that ends with the session.

Each session has its own folder with a random name, for the files and for everything computed from
them; no other session can name it, and nothing of it reaches the shared cache.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import streamlit as st

from ecgxai_core.errors import RecordError
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import settings
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Record

__all__ = ["MOST_BYTES", "OWN", "OwnRecords", "add", "forget_own", "own_records"]

OWN = "Own records (this session)"
"""Name of the data set that holds them."""

MOST_BYTES = 10_000_000
_MOST_RECORDS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENDINGS = {".hea", ".mat", ".dat", ".dcm", ".dicom", ""}
_STATE = "own-records"


class Uploaded(Protocol):
    """What :func:`streamlit.file_uploader` returns."""

    name: str
    size: int

    def getvalue(self) -> bytes: ...


class OwnRecords:
    """The folder of one session; it is deleted when the session ends or forgets it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ecgxai-own-")
        self.folder = Path(self._folder.name) / "records"
        self.folder.mkdir()
        self.store = Store(Path(self._folder.name) / "cache", int(2e8))
        self.version = 0
        self.number = 0

    def close(self) -> None:
        """Delete everything."""
        self.store.close()
        self._folder.cleanup()


def own_records() -> OwnRecords | None:
    """Those of this session, or ``None`` where it has none."""
    own: OwnRecords | None = st.session_state.get(_STATE)
    return own


def forget_own() -> None:
    """Delete this session's own records and all that was computed from them."""
    own = st.session_state.pop(_STATE, None)
    if own is not None:
        own.close()


def add(files: Sequence[Uploaded]) -> list[Record]:
    """Check uploaded files and keep the records in them.

    Files are read in a folder of their own first, so a refused record leaves nothing behind.

    Raises
    ------
    RecordError
        A name, size or content that is refused; nothing of this upload is kept then.
    """
    with tempfile.TemporaryDirectory(prefix="ecgxai-check-") as name:
        folder = Path(name)
        for file in files:
            (folder / _checked_name(file)).write_bytes(file.getvalue())
        paths = find_records([folder])
        if not paths:
            raise RecordError(
                ", ".join(file.name for file in files),
                "files",
                "hold no record",
                "choose a .hea file together with its .mat or .dat, or a DICOM file",
            )
        records = [read_record(path) for path in paths]
        own = own_records()
        if own is None:
            own = st.session_state[_STATE] = OwnRecords()
        if own.number + len(records) > _MOST_RECORDS:
            raise RecordError(
                "own records", "number", f"more than {_MOST_RECORDS}", "forget some first"
            )
        for path in folder.iterdir():
            shutil.copyfile(path, own.folder / path.name)
    own.version += 1
    own.number += len(records)
    return records


def _checked_name(file: Uploaded) -> str:
    name = Path(file.name).name
    limit = min(MOST_BYTES, int(settings().max_file_mb * 1e6))
    if file.size > limit:
        raise RecordError(name, "size", f"is larger than {limit / 1e6:g} MB", "cut the record")
    if not _NAME.fullmatch(name) or Path(name).suffix.lower() not in _ENDINGS:
        raise RecordError(
            name, "name", "is not the name of a record file", "use .hea, .mat, .dat or .dcm files"
        )
    return name
