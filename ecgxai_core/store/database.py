"""The diskcache database: opened only when sound, bounded in time, replaced when damaged.

A cache folder holds::

    current            name of the generation in use
    generation-<hex>/  the database of that generation (``cache.db``)
    locks/             one lock file for each value being computed right now

A damaged database is never repaired in place, because another process may have it open and SQLite
would then remove the journal of the new file by the name of the old one: a new generation takes
over and the old one is deleted. diskcache itself waits up to 60 s for a locked database and obeys
whatever settings a planted database holds; both are closed off here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from diskcache import Cache, Timeout
from diskcache.core import DBNAME, DEFAULT_SETTINGS, METADATA

from ecgxai_core.errors import CacheError, RunError
from ecgxai_core.store.atomic import write_bytes_atomic
from ecgxai_core.store.disk import EnvelopeDisk
from ecgxai_core.store.envelope import MAX_ENVELOPE_BYTES
from ecgxai_core.store.locks import LockFile

__all__ = [
    "WAIT_SEC",
    "BoundedCache",
    "database_summary",
    "describe_fault",
    "generation_folder",
    "is_damage",
    "is_wait",
    "new_generation",
    "open_database",
]

logger = logging.getLogger(__name__)

WAIT_SEC = 1.0
"""Longest wait for a database that another process has locked, seconds."""

_GENERATION = re.compile(r"generation-[0-9a-f]{16}")
_WORD = re.compile(r"[a-z-]{1,40}")
_SETTINGS = {
    "statistics": 0,
    "tag_index": 0,
    # Reading then writes nothing, so readers never wait for each other.
    "eviction_policy": "least-recently-stored",
    "cull_limit": 10,
    # No memory maps (write-ahead logging needs one): a file that is cut while it is mapped kills
    # the process. No fsync: a cache that a power cut damages is replaced, kill -9 cannot damage it.
    "sqlite_journal_mode": "truncate",
    "sqlite_mmap_size": 0,
    "sqlite_synchronous": 0,
    "sqlite_auto_vacuum": 1,
    "sqlite_cache_size": 2048,
    "disk_min_file_size": 0,
    "disk_pickle_protocol": 0,
}
_OBJECTS = {
    ("table", "Settings"),
    ("table", "Cache"),
    ("index", "sqlite_autoindex_Settings_1"),
    ("index", "Cache_key_raw"),
    ("index", "Cache_expire_time"),
    ("index", "Cache_store_time"),
    ("trigger", "Settings_count_insert"),
    ("trigger", "Settings_count_delete"),
    ("trigger", "Settings_size_insert"),
    ("trigger", "Settings_size_update"),
    ("trigger", "Settings_size_delete"),
}
_DAMAGE_CODES = {
    sqlite3.SQLITE_ERROR,  # tables or columns missing: not the database that was opened
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
}


class StayedLockedError(sqlite3.OperationalError):
    """The database stayed locked; diskcache repeats a statement only where it says otherwise."""


class BoundedCache(Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache's cache, in which no statement waits or works for longer than a second or two."""

    @property
    def _timeout(self) -> float:
        """SQLite's own wait; the base class would set 0 while opening and then retry for 60 s."""
        return WAIT_SEC

    @_timeout.setter
    def _timeout(self, value: float) -> None:
        pass

    @property
    def _con(self) -> sqlite3.Connection:
        con: sqlite3.Connection = super()._con
        if getattr(self._local, "guarded", None) is not con:
            self._local.guarded = con
            self._local.deadline = deadline = [float("inf")]
            con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ENVELOPE_BYTES + 4096)
            con.set_progress_handler(lambda: int(time.monotonic() > deadline[0]), 100_000)
            con.execute("PRAGMA trusted_schema = OFF")
        return con

    @property
    def _sql(self) -> Callable[..., sqlite3.Cursor]:
        con = self._con
        deadline = self._local.deadline

        def execute(statement: str, *args: Any) -> sqlite3.Cursor:
            deadline[0] = time.monotonic() + 2 * WAIT_SEC
            try:
                return con.execute(statement, *args)
            except sqlite3.OperationalError as error:
                if str(error) == "database is locked":
                    raise StayedLockedError(f"locked for {WAIT_SEC} s") from error
                raise

        return execute

    def rolled_back(self) -> bool:
        """End a transaction that an error left open; whether the connection is fit for more."""
        try:
            if self._con.in_transaction:
                self._con.execute("ROLLBACK")
        except sqlite3.Error:
            return False
        return True


def _chain(error: BaseException) -> list[BaseException]:
    """An error and those that led to it, the innermost last."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's primary result code of the innermost error (a failed ROLLBACK only follows it)."""
    codes = [getattr(one, "sqlite_errorcode", None) for one in _chain(error)]
    known = [code & 0xFF for code in codes if isinstance(code, int)]
    return known[-1] if known else None


def is_wait(error: BaseException) -> bool:
    """Whether an error means that somebody was kept waiting, and would be again."""
    waits = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}
    return _sqlite_code(error) in waits or isinstance(error, StayedLockedError)


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the database itself is unusable, not its disk or its moment."""
    if isinstance(error, CacheError):
        return True
    code = _sqlite_code(error)
    if code is not None:
        return code in _DAMAGE_CODES
    # Type and attribute errors inside diskcache come from rows that it did not write.
    return not isinstance(error, OSError | sqlite3.Error | MemoryError | RunError | Timeout)


def describe_fault(error: BaseException) -> str:
    """What is wrong, in words without paths."""
    if isinstance(error, CacheError | RunError):
        return error.problem
    inner = _chain(error)[-1]
    if isinstance(inner, OSError):
        return inner.strerror or type(inner).__name__
    return str(inner) if isinstance(inner, sqlite3.Error) else type(inner).__name__


def _refuse(problem: str) -> NoReturn:
    raise CacheError("cache", DBNAME, problem, "none needed: a new cache takes its place")


def _regular_file(path: Path) -> os.stat_result | None:
    """Facts about a database file, or nothing where there is none yet."""
    try:
        facts = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        _refuse("is not a file")
    return facts


@contextlib.contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    con = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=WAIT_SEC)
    deadline = time.monotonic() + 2 * WAIT_SEC
    try:
        con.isolation_level = None
        con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 20)
        con.set_progress_handler(lambda: int(time.monotonic() > deadline), 100_000)
        con.execute("PRAGMA trusted_schema = OFF")
        yield con
    finally:
        con.close()


def _check(path: Path) -> None:
    """Refuse a database that diskcache did not write, before diskcache obeys its settings.

    diskcache sets an attribute of itself for every row of ``Settings`` and runs a PRAGMA for every
    name that starts with ``sqlite_``, so unknown names must not reach it.

    Raises
    ------
    CacheError
        Tables, views, triggers or settings that do not belong to a cache of this program.
    sqlite3.Error
        No database, or a locked or unreadable one.
    """
    with _connected(path, "rw") as con:
        objects = set(con.execute("SELECT type, name FROM sqlite_master LIMIT 100").fetchall())
        if objects - _OBJECTS:
            _refuse("holds tables, views or triggers that do not belong to a cache")
        if ("table", "Settings") in objects:
            rows = con.execute("SELECT key, value FROM Settings LIMIT 100").fetchall()
            for key, value in rows:
                if key not in DEFAULT_SETTINGS and key not in METADATA:
                    _refuse("holds settings that do not belong to a cache")
                if type(value) is not int and not _WORD.fullmatch(str(value)):
                    _refuse("holds settings that are no settings")
                if key in METADATA and (type(value) is not int or value < 0):
                    _refuse("holds counts that are no counts")
                if key == "size" and value != 0:
                    _refuse("counts files, which this cache never has")
        # Waits for a writer, and rolls back what a killed one left, before diskcache starts.
        con.execute("BEGIN IMMEDIATE")
        con.execute("ROLLBACK")


def generation_folder(folder: Path) -> Path | None:
    """Folder of the generation in use; nothing where there is none."""
    try:
        descriptor = os.open(folder / "current", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        name = os.read(descriptor, 64).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    path = folder / name
    usable = _GENERATION.fullmatch(name) and path.is_dir() and not path.is_symlink()
    return path if usable else None


def new_generation(folder: Path, instead_of: Path | None) -> Path:
    """Start an empty generation and delete the others, unless another process just did.

    Raises
    ------
    OSError, RunError
        The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    guard = LockFile(folder / "current.lock")
    if not guard.acquire(WAIT_SEC):
        raise StayedLockedError("another process is replacing the cache")
    try:
        present = generation_folder(folder)
        if present is not None and present != instead_of:
            return present
        fresh = folder / f"generation-{secrets.token_hex(8)}"
        fresh.mkdir()
        write_bytes_atomic(folder / "current", f"{fresh.name}\n".encode())
        for old in folder.iterdir():
            if _GENERATION.fullmatch(old.name) and old != fresh and not old.is_symlink():
                shutil.rmtree(old, ignore_errors=True)
        return fresh
    finally:
        guard.release()


def _open_once(generation: Path, limit_bytes: int) -> BoundedCache:
    path = generation / DBNAME
    # One process at a time: SQLite does not wait while the journal mode of a new file is set.
    guard = LockFile(generation / "open.lock")
    if not guard.acquire(WAIT_SEC):
        raise StayedLockedError("another process is opening the cache")
    try:
        if _regular_file(path) is not None:
            _check(path)
        settings = {**_SETTINGS, "size_limit": limit_bytes}
        return BoundedCache(str(generation), disk=EnvelopeDisk, **settings)
    finally:
        guard.release()


def open_database(folder: Path, limit_bytes: int) -> tuple[BoundedCache, os.stat_result]:
    """Open the database of a cache folder; a damaged one is replaced by an empty one.

    Returns
    -------
    tuple
        The cache, and the facts of its file by which a replaced file is noticed.

    Raises
    ------
    Exception
        Whatever makes the folder unusable; callers carry on without it.
    """
    generation = generation_folder(folder) or new_generation(folder, None)
    try:
        cache = _open_once(generation, limit_bytes)
    except Exception as error:
        if not is_damage(error):
            raise
        logger.warning("cache: a damaged database is replaced (%s)", describe_fault(error))
        generation = new_generation(folder, generation)
        cache = _open_once(generation, limit_bytes)
    return cache, os.stat(generation / DBNAME, follow_symlinks=False)


def database_summary(folder: Path) -> dict[str, Any] | None:
    """Entries, bytes and limit of a cache folder, read without changing it; nothing if absent.

    Raises
    ------
    CacheError, sqlite3.Error, OSError
        A database that cannot be read.
    """
    generation = generation_folder(folder)
    path = None if generation is None else generation / DBNAME
    facts = None if path is None else _regular_file(path)
    if path is None or facts is None:
        return None
    with _connected(path, "ro") as con:
        (entries,) = con.execute("SELECT COUNT(*) FROM Cache").fetchone()
        row = con.execute("SELECT value FROM Settings WHERE key = 'size_limit'").fetchone()
    limit = row[0] if row and isinstance(row[0], int) else None
    return {"entries": int(entries), "bytes": int(facts.st_size), "limit_bytes": limit}
