"""diskcache without pickle, without files, and without waits or statements that do not end.

``diskcache.Disk`` unpickles rows whose mode says so, and opens and deletes whatever path a row
names. ``diskcache.Cache`` waits 60 s for a lock while it opens, sets an attribute of itself for
every row of ``Settings``, and runs a PRAGMA for every name there that starts with ``sqlite_``.
None of this is left, so a planted database can neither run code nor reach a file nor hang.
"""

from __future__ import annotations

import re
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any, NoReturn

from diskcache import Cache, Disk, Timeout
from diskcache.core import DBNAME, DEFAULT_SETTINGS, ENOVAL, METADATA, MODE_RAW, UNKNOWN

from ecgxai_core.errors import CacheError
from ecgxai_core.store.envelope import MAGIC, MAX_ENVELOPE_BYTES
from ecgxai_core.store.locks import file_facts

__all__ = ["WAIT_SEC", "BoundedCache", "EnvelopeDisk", "connect", "is_damage", "reason"]

WAIT_SEC = 1.0
"""Longest wait for a database that another process has locked, seconds."""

_KEY = re.compile(r"[0-9a-f]{64}")
_PRAGMAS = (
    "trusted_schema = OFF",
    # No memory maps (write-ahead logging needs one): a file that is cut while it is mapped kills
    # the process. No fsync: a cache that a power cut damages is replaced, kill -9 cannot damage it.
    "journal_mode = TRUNCATE",
    "mmap_size = 0",
    "synchronous = OFF",
    "cache_size = 2048",
)
_OBJECTS = re.compile(
    r"Cache(_key_raw|_expire_time|_store_time)?|sqlite_autoindex_Settings_1"
    r"|Settings(_count_(insert|delete)|_size_(insert|update|delete))?"
)
"""What diskcache makes in a database: tables, indices, triggers."""
_DAMAGE = {
    sqlite3.SQLITE_ERROR,  # tables or columns missing: not the database that was opened
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
}


def _refuse(field: str, problem: str) -> NoReturn:
    raise CacheError("cache", field, problem, "none needed: it is computed again")


class EnvelopeDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are SHA-256 in hexadecimal, values are envelope bytes; all else is a ``CacheError``."""

    def put(self, key: object) -> tuple[str, bool]:
        """A key for the database."""
        if type(key) is not str or not _KEY.fullmatch(key):
            _refuse("row", "has a key that is not a SHA-256")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """A key from the database; the base class would unpickle it where ``raw`` is 0."""
        return self.put(key)[0] if raw else _refuse("row", "has a pickled key")

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> tuple[Any, ...]:
        """Size of the file (there is none), mode, file name and content of a row."""
        data = self.fetch(MODE_RAW, None, value, read)
        if len(data) > MAX_ENVELOPE_BYTES:
            _refuse("row", "is too large")
        return 0, MODE_RAW, None, sqlite3.Binary(data)

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        """The envelope in a row."""
        if mode != MODE_RAW or filename is not None or read:
            _refuse("row", "is a pickle, a text or a file, not an envelope")
        if type(value) is not bytes or not value.startswith(MAGIC):
            _refuse("row", "holds something other than an envelope")
        return value

    def remove(self, file_path: object) -> None:
        """Nothing: the base class would delete any path that a planted row names."""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to a database that holds nothing but what diskcache makes.

    Raises
    ------
    CacheError
        No regular file, or foreign tables, views or triggers.
    """
    facts = file_facts(path)
    if facts is not None and not stat.S_ISREG(facts.st_mode):
        _refuse(DBNAME, "is not a file")
    address = f"{path.absolute().as_uri()}?mode={mode}"
    con = sqlite3.connect(
        address, WAIT_SEC, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ENVELOPE_BYTES + 4096)
        if facts is None or not facts.st_size:
            con.execute("PRAGMA auto_vacuum = FULL")  # would write to a database that is there
        for pragma in _PRAGMAS:
            con.execute(f"PRAGMA {pragma}")
        for (name,) in con.execute("SELECT name FROM sqlite_master"):
            if not _OBJECTS.fullmatch(name):
                _refuse(DBNAME, "holds tables, views or triggers that do not belong to a cache")
    except BaseException:
        con.close()
        raise
    return con


class BoundedCache(Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache's cache on one connection for all threads, with its own settings only."""

    _connection: sqlite3.Connection | None = None
    _deadline = 0.0

    @property
    def _con(self) -> sqlite3.Connection:
        self._deadline = time.monotonic() + 2 * WAIT_SEC
        if self._connection is None:
            self._connection = con = connect(Path(self.directory) / DBNAME, "rwc")
            con.set_progress_handler(lambda: int(time.monotonic() > self._deadline), 100_000)
        return self._connection

    @property
    def _sql_retry(self) -> Any:
        return self._sql

    def reset(self, key: str, value: Any = ENOVAL, update: bool = True) -> Any:
        """Take a setting as it is given, or read a count of the database."""
        if key in METADATA:
            ((value,),) = self._sql("SELECT value FROM Settings WHERE key = ?", (key,)).fetchall()
            if type(value) is not int or value < 0 or (key == "size" and value):  # size of files
                _refuse(DBNAME, "holds counts that do not belong to this cache")
        elif key not in DEFAULT_SETTINGS:
            _refuse(DBNAME, "holds settings that do not belong to a cache")
        setattr(self, key, value)
        return value

    def close(self) -> None:
        """Close the connection, which ends an open transaction; the next use opens another."""
        con, self._connection = self._connection, None
        if con is not None:
            con.close()


def _cause(error: BaseException) -> BaseException:
    """The error behind diskcache's ``Timeout``, or behind a ROLLBACK that SQLite did already."""
    while error.__context__ is not None and (
        isinstance(error, Timeout) or str(error).startswith("cannot rollback")
    ):
        error = error.__context__
    return error


def is_damage(error: Exception) -> bool:
    """Whether the database itself is unusable, rather than its disk or the moment."""
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
    # Type and attribute errors inside diskcache come from rows that it did not write.
    return not isinstance(cause, OSError | MemoryError)


def reason(error: Exception) -> str:
    """What is wrong, in words without paths."""
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return str(cause)
    return getattr(cause, "problem", "") or getattr(cause, "strerror", "") or type(cause).__name__
