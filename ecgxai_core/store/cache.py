"""The content-addressed disk cache. Losing it costs time only; no fault of it stops the work.

A cache folder holds ``cache.db``, the database of diskcache, and ``locks/``, a lock file for each
value that is being computed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt
from diskcache.core import DBNAME, DEFAULT_SETTINGS

from ecgxai_core.errors import CacheError
from ecgxai_core.settings import settings
from ecgxai_core.store.database import (
    WAIT_SEC,
    BoundedCache,
    EnvelopeDisk,
    connect,
    is_damage,
    reason,
)
from ecgxai_core.store.envelope import MAX_ENVELOPE_BYTES, Entry, decode, encode, key_digest
from ecgxai_core.store.locks import file_facts, held_lock

__all__ = ["Store", "info", "open_store"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Arrays = Mapping[str, npt.ArrayLike]
Compute = Callable[[], tuple[Arrays, Mapping[str, Any]]]

_LEAST_LIMIT = 1 << 20
_PAUSE_SEC = 10 * WAIT_SEC
"""How long a cache that was slow to fail, or could not be opened, is not used."""
_LOCK_WAIT_SEC = 1800.0
"""How long one process lets another compute the same value before it does so itself."""

_LOCK = threading.RLock()
"""One operation at a time in a process, and none while it forks: the child's copy of a connection
would take the journal of a running transaction for one that a crash left, and roll it back."""
_STORES: weakref.WeakSet[Store] = weakref.WeakSet()
_INHERITED: list[BoundedCache | None] = []
"""Connections of the parent process: SQLite forbids using, even closing, them in a child."""


def _after_fork_in_child() -> None:
    for store in _STORES:
        _INHERITED.append(store._cache)
        store._cache = None
    _LOCK.release()


os.register_at_fork(
    before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_after_fork_in_child
)


class Store:
    """Values by key on disk, shared by threads and processes.

    The key is everything that the value depends on, as JSON. Every fault of the cache (disk full,
    read-only, locked, deleted, damaged) is a miss; the first one is logged as a warning, and the
    work goes on without it. A value that is not exactly what was stored under its key is never
    served: it counts as rejected and as a miss.

    Entries that were stored first are dropped first once ``limit_bytes`` is reached.

    Parameters
    ----------
    folder
        Folder of the cache; made on first use. Nothing is read or written before that.
    limit_bytes
        Size of the database at which old entries are dropped; at least 1 MiB. A value larger than
        a sixteenth of it is not kept.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, limit_bytes: int) -> None:
        self._folder = None if folder is None else Path(folder).absolute()
        self._limit = max(int(limit_bytes), _LEAST_LIMIT)
        self._counts: Counter[str] = Counter()
        self._cache: BoundedCache | None = None
        self._file: os.stat_result | None = None
        self._paused_until = 0.0
        with _LOCK:
            _STORES.add(self)

    @classmethod
    def disabled(cls) -> Store:
        """A store that holds nothing; every ``get`` is a miss."""
        return cls(None, 0)

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned process opens the same folder for itself."""
        return Store, (self._folder, self._limit)

    def get(self, key: Mapping[str, Any]) -> Entry | None:
        """The value stored under ``key``, or nothing."""
        entry = self._read(key, key_digest(key))
        self._count("misses" if entry is None else "hits")
        return entry

    def put(self, key: Mapping[str, Any], arrays: Arrays, meta: Mapping[str, Any]) -> bool:
        """Store a value; whether it is now in the cache.

        Raises
        ------
        TypeError, ValueError
            A key or metadata that is not JSON, or arrays of objects: mistakes of the caller.
        """
        return self._write(key_digest(key), encode(key, arrays, meta))

    def remove(self, key: Mapping[str, Any]) -> None:
        """Drop the value stored under ``key``, if there is one."""
        digest = key_digest(key)
        self._guarded(lambda cache: cache.delete(digest), False)

    def get_or_compute(self, key: Mapping[str, Any], compute: Compute) -> Entry:
        """The value under ``key``, computed where it is not stored, by one process at a time.

        Several processes that ask for the same key at the same time wait for one of them; where
        that one is killed, the next takes over at once. The computed value comes back in the form
        in which it would have come from the disk, so no result depends on the cache.

        Parameters
        ----------
        key
            Everything that the value depends on.
        compute
            Returns arrays and metadata (an :class:`Entry` is such a pair). It may ask the store
            for other keys.
        """
        digest = key_digest(key)
        entry = self._read(key, digest)
        if entry is None:
            turn: contextlib.AbstractContextManager[str] = contextlib.nullcontext("held")
            if self._folder is not None:
                turn = held_lock(self._folder / "locks" / f"{digest}.lock", _LOCK_WAIT_SEC)
            with turn as outcome:  # the lock saves work: the block runs without it too
                if outcome not in {"held", "nested"}:
                    self._warn(f"{outcome}; values may be computed twice")
                entry = self._read(key, digest)
                if entry is None:
                    self._count("misses")
                    data = encode(key, *compute())
                    self._write(digest, data)
                    return decode(data, key)
        self._count("hits")
        return entry

    @property
    def folder(self) -> Path | None:
        """The folder of the cache; ``None`` where nothing is kept."""
        return self._folder

    def stats(self) -> dict[str, int]:
        """Counts of this object (hits, misses, rejected, faults) and size of the whole cache."""
        entries = self._guarded(len, 0)
        size = self._guarded(lambda cache: int(cache.volume()), 0)
        counts = {name: self._counts[name] for name in ("hits", "misses", "rejected", "faults")}
        return {**counts, "entries": entries, "bytes": size, "limit_bytes": self._limit}

    def clear(self) -> int:
        """Drop every entry, and the index of files beside them; how many entries there were."""
        entries = self._guarded(len, 0)
        with _LOCK:
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    (self._folder / INDEX_NAME).unlink(missing_ok=True)
            return entries if self._discard() else 0

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with _LOCK, contextlib.suppress(Exception):
            cache, self._cache = self._cache, None
            if cache is not None:
                cache.close()

    def _read(self, key: Mapping[str, Any], digest: str) -> Entry | None:
        """A sound entry or nothing; an unsound one is counted and removed."""

        def fetch(cache: BoundedCache) -> bytes | None:
            try:
                found: bytes | None = cache.get(digest)
            except CacheError:
                return b""  # no envelope: refused below
            return found

        data = self._guarded(fetch, None)
        try:
            return None if data is None else decode(data, key)
        except CacheError as error:
            self._count("rejected")
            logger.info("cache: %s", error)
            self._guarded(lambda cache: cache.delete(digest), False)
            return None

    def _write(self, digest: str, data: bytes) -> bool:
        # diskcache drops ten entries at a time: with sixteen in the cache the newest always stays.
        if len(data) > min(MAX_ENVELOPE_BYTES, self._limit // 16):
            logger.info("cache: a value of %d bytes is too large to be kept", len(data))
            return False

        def store(cache: BoundedCache) -> bool:
            stored = bool(cache.set(digest, data))
            if cache.volume() > self._limit:  # ten small ones may not make room for a large one
                cache.cull()
            return stored

        return self._guarded(store, False)

    def _guarded(self, action: Callable[[BoundedCache], T], otherwise: T) -> T:
        """Do one thing with the database; ``otherwise`` where the cache has a fault."""
        with _LOCK:
            began = time.monotonic()
            if self._folder is None or began < self._paused_until:
                return otherwise
            try:
                return action(self._opened(self._folder))
            except Exception as error:
                self._fault(error, slow=time.monotonic() - began > WAIT_SEC / 2)
                return otherwise

    def _opened(self, folder: Path) -> BoundedCache:
        if self._cache is None:
            # One process at a time: SQLite does not wait while a new database is set up.
            with held_lock(folder / "open.lock", WAIT_SEC):
                self._file = file_facts(folder / DBNAME)
                chosen = {**DEFAULT_SETTINGS, "size_limit": self._limit}
                self._cache = BoundedCache(str(folder), WAIT_SEC, EnvelopeDisk, **chosen)
                self._file = file_facts(folder / DBNAME)
        elif not self._same_file(folder):
            problem = "was cleared, deleted or replaced meanwhile"
            raise CacheError("cache", DBNAME, problem, "none needed: it is opened again")
        return self._cache

    def _same_file(self, folder: Path) -> bool:
        """Whether the database is still the one that was opened."""
        now = file_facts(folder / DBNAME)
        return now is not None and self._file is not None and os.path.samestat(now, self._file)

    def _fault(self, error: Exception, *, slow: bool) -> None:
        """Note a fault; discard a damaged database; pause where it cannot be used now."""
        self._counts["faults"] += 1
        # the folder's last name, never the path of the machine
        place = "" if self._folder is None else f"folder {self._folder.name!r}: "
        self._warn(place + reason(error))
        damage = is_damage(error)
        if slow or (self._cache is None and not damage):
            self._paused_until = time.monotonic() + _PAUSE_SEC
        if damage:
            self._discard()
        elif self._cache is not None:
            with contextlib.suppress(Exception):
                self._cache.close()  # ends the transaction; the next use connects again

    def _discard(self) -> bool:
        """Delete the database that was opened, unless another has its place; whether that went.

        A process that is writing to it at this moment may still damage the next one, by way of the
        journal's name. That is noticed and costs the cache, not a result.
        """
        self.close()
        if self._folder is None:
            return False
        try:
            with held_lock(self._folder / "open.lock", WAIT_SEC):
                if self._same_file(self._folder):
                    for name in (f"{DBNAME}-journal", DBNAME):
                        (self._folder / name).unlink(missing_ok=True)
                for old in self._folder.glob("generation-*"):  # of version 0.1
                    shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            self._fault(error, slow=True)
            return False
        return True

    def _warn(self, problem: str) -> None:
        """One warning per store; later ones go to the debug log."""
        level = logging.DEBUG if self._counts["warned"] else logging.WARNING
        self._counts["warned"] = 1
        logger.log(level, "cache: %s; the work goes on without it", problem)

    def _count(self, name: str) -> None:
        with _LOCK:
            self._counts[name] += 1


INDEX_NAME = "files.sqlite"
"""Beside the cache: the index of files (:mod:`ecgxai_core.pipeline.file_index`)."""


@contextlib.contextmanager
def open_store() -> Iterator[Store]:
    """The cache that the settings name, closed afterwards."""
    chosen = settings()
    store = Store(chosen.cache_dir, int(chosen.cache_limit_gb * 1e9))
    try:
        yield store
    finally:
        store.close()


def info(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about a cache folder, read without changing it.

    Returns
    -------
    dict
        ``folder``, ``state`` (``"absent"``, ``"ok"`` or ``"unusable"``), ``entries``, ``bytes``,
        ``limit_bytes`` (``None`` where unknown) and ``problem`` (empty where there is none).
    """
    path = Path(folder).absolute() / DBNAME
    facts = {"folder": str(path.parent), "problem": "", "entries": 0, "limit_bytes": None}
    file = file_facts(path)
    if file is None:
        return {**facts, "state": "absent", "bytes": 0}
    try:
        with contextlib.closing(connect(path, "ro")) as con:
            ((facts["entries"],),) = con.execute("SELECT COUNT(*) FROM Cache")
            rows = con.execute("SELECT value FROM Settings WHERE key = 'size_limit'").fetchall()
    except Exception as error:
        return {**facts, "state": "unusable", "bytes": 0, "problem": reason(error)}
    limit = next((value for (value,) in rows if isinstance(value, int)), None)
    return {**facts, "state": "ok", "bytes": file.st_size, "limit_bytes": limit}
