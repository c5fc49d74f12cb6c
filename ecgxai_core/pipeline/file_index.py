"""What is known of record files that were read before, so that a large folder is listed again
without reading its signals.

One SQLite file beside the cache. A row counts only while the record's files have the size and times
of change that they had (``ctime`` changes with every write, whatever a program sets), and for the
version of the program that wrote it. The file can be lost: then everything is read again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecgxai_core.errors import RecordError
from ecgxai_core.records.files import open_regular
from ecgxai_core.store.cache import INDEX_NAME
from ecgxai_core.types import canonical_json
from ecgxai_core.version import code_version

__all__ = ["NO_INDEX", "FileIndex", "file_facts", "open_index"]

log = logging.getLogger(__name__)

SETTLED_SEC = 2.0
"""A file that changed so shortly ago may change again within the same tick of the clock."""
_WAIT_SEC = 5.0
_AT_ONCE = 500
_TABLE = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB NOT NULL, version TEXT NOT NULL, facts TEXT NOT NULL, body TEXT NOT NULL,
    sha256 TEXT NOT NULL, PRIMARY KEY (path, version)
) WITHOUT ROWID;
"""

Facts = list[list[Any]]


def file_facts(header: Path, names: Sequence[str] | None = None) -> Facts:
    """Name, size and times of change of a record's files; files that are not there are left out.

    ``names`` are those of its files, where they are known; else a WFDB header is read for them.
    """
    found: Facts = []
    for name in _names_in(header) if names is None else names:
        try:
            facts = os.stat(header.with_name(name))
        except (OSError, ValueError):  # not there, or a name that no file can have
            continue
        found.append([name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns])
    return found


def _names_in(header: Path) -> list[str]:
    """The record's own file, and those beside it whose names begin the lines of a WFDB header."""
    own = [header.name]
    if header.suffix.lower() != ".hea":
        return own
    try:
        with open_regular(header, 1 << 20) as (file, size):  # a pipe would be waited for
            text = file.read(size).decode("utf-8", "replace")
    except RecordError:
        return own
    words = {line.split()[0] for line in text.splitlines() if line.strip()} - {".", "..", own[0]}
    return own + sorted(word for word in words if not {"/", "\0"} & set(word))


class FileIndex:
    """Bodies (JSON) by file; see :func:`open_index`.

    Parameters
    ----------
    path
        The SQLite file; ``None`` = nothing is known and nothing is kept.
    version
        What the bodies depend on beside the files.
    """

    def __init__(self, path: Path | None, version: str) -> None:
        self._version = version if path is None else f"{code_version()} {version}"
        self._waiting: list[tuple[str | bytes, ...]] = []
        self._path = path
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            self._guarded(lambda: self._opened())

    def known(self, files: Sequence[Path]) -> dict[Path, Mapping[str, Any]]:
        """Bodies of those files that are as they were when they were added."""
        found: dict[Path, Mapping[str, Any]] = {}
        for at in range(0, len(files), _AT_ONCE):
            some = {_key(path): path for path in files[at : at + _AT_ONCE]}
            for name, *row in self._rows(list(some)):
                body = _sound(some[name], *row)
                if body is not None:
                    found[some[name]] = body
        return found

    def facts(self, file: Path) -> Facts:
        """What :meth:`add` is given; nothing where nothing is kept."""
        return [] if self._connection is None else file_facts(file)

    def add(self, file: Path, facts: Facts, body: Mapping[str, Any]) -> None:
        """Keep a body; ``facts`` are those from before the file was read."""
        youngest = max((row[3] for row in facts), default=0)
        if self._connection is None or time.time_ns() - youngest < SETTLED_SEC * 1e9:
            return
        texts = canonical_json(facts), canonical_json(dict(body))
        self._waiting.append((_key(file), self._version, *texts, _sha(*texts)))
        if len(self._waiting) >= _AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        con = sqlite3.connect(self._path, _WAIT_SEC)
        self._connection = con
        for pragma in ("trusted_schema = OFF", "journal_mode = TRUNCATE", "synchronous = OFF"):
            con.execute(f"PRAGMA {pragma}")
        con.executescript(_TABLE)

    def _rows(self, names: Sequence[bytes]) -> list[tuple[bytes, str, str, str]]:
        if self._connection is None:
            return []
        marks = ",".join("?" * len(names))
        question = (
            f"SELECT path, facts, body, sha256 FROM files WHERE version = ? AND path IN ({marks})"
        )
        rows: list[tuple[bytes, str, str, str]] = []
        con = self._connection
        self._guarded(lambda: rows.extend(con.execute(question, (self._version, *names))))
        return rows

    def _flush(self) -> None:
        rows, self._waiting = self._waiting, []
        con = self._connection
        if con is None or not rows:
            return

        def write() -> None:
            with con:
                con.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

        self._guarded(write)

    def _guarded(self, action: Any) -> None:
        """Do one thing with the file; where that fails, go on without it."""
        try:
            action()
        except (sqlite3.Error, OSError) as error:
            log.debug("index of files: %s", error)
            con, self._connection = self._connection, None
            if con is not None:
                con.close()
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
                error, sqlite3.OperationalError
            )
            if damaged and self._path is not None:
                self._path.unlink(missing_ok=True)


def _key(file: Path) -> bytes:
    return os.fsencode(file.absolute())


def _sha(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _sound(file: Path, facts: str, body: str, sha: str) -> Mapping[str, Any] | None:
    """The body of a row that is whole and whose files have not changed."""
    try:
        if _sha(facts, body) != sha:
            return None
        then = json.loads(facts)
        names = [row[0] for row in then]
        value = json.loads(body)
    except (ValueError, TypeError, IndexError, RecursionError):
        return None
    return value if then and file_facts(file, names) == then and isinstance(value, dict) else None


NO_INDEX = FileIndex(None, "")
"""Knows nothing and keeps nothing."""


@contextmanager
def open_index(folder: Path | None, version: str) -> Iterator[FileIndex]:
    """The index in a cache folder, closed afterwards; see :class:`FileIndex`."""
    index = FileIndex(None if folder is None else folder / INDEX_NAME, version)
    try:
        yield index
    finally:
        index.close()
