"""The content-addressed disk cache: it can be lost, it never lies, and it never stops the work."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt
from diskcache.core import DBNAME

from ecgxai_core.errors import CacheError
from ecgxai_core.store.database import (
    WAIT_SEC,
    BoundedCache,
    database_summary,
    describe_fault,
    generation_folder,
    is_damage,
    is_wait,
    new_generation,
    open_database,
)
from ecgxai_core.store.envelope import MAX_ENVELOPE_BYTES, Entry, decode, encode, key_digest
from ecgxai_core.store.locks import held_lock

__all__ = ["Store", "info"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Arrays = Mapping[str, npt.ArrayLike]

_LEAST_LIMIT = 1 << 20
_PAUSE_SEC = 10 * WAIT_SEC
"""How long a cache that made somebody wait, or could not be opened, is left alone."""
_LOCK_WAIT_SEC = 1800.0
"""How long one process lets another compute the same value before it does so itself."""

_STORES: weakref.WeakSet[Store] = weakref.WeakSet()
_INHERITED: list[BoundedCache] = []
"""Connections of the parent process: SQLite forbids using, even closing, them in a child."""


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
        # One operation at a time in a process, and none while it forks (see _before_fork).
        self._lock = threading.RLock()
        _STORES.add(self)

    @classmethod
    def disabled(cls) -> Store:
        """A store that holds nothing; every ``get`` is a miss."""
        return cls(None, 0)

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned process opens the same folder for itself."""
        return Store, (self._folder, self._limit)

    @property
    def enabled(self) -> bool:
        """Whether there is a folder behind this store."""
        return self._folder is not None

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

    def get_or_compute(
        self,
        key: Mapping[str, Any],
        compute: Callable[[], tuple[Arrays, Mapping[str, Any]]],
    ) -> Entry:
        """The value under ``key``, computed where it is not stored; once, whoever else asks.

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
        if entry is None and self._folder is not None:
            with held_lock(self._folder / "locks" / f"{digest}.lock", _LOCK_WAIT_SEC) as outcome:
                if outcome not in {"held", "nested"}:
                    self._warn(f"{outcome}; values may be computed twice")
                entry = self._read(key, digest)
                if entry is None:
                    return self._computed(key, digest, compute)
        if entry is None:
            return self._computed(key, digest, compute)
        self._count("hits")
        return entry

    def _computed(
        self,
        key: Mapping[str, Any],
        digest: str,
        compute: Callable[[], tuple[Arrays, Mapping[str, Any]]],
    ) -> Entry:
        self._count("misses")
        arrays, meta = compute()
        data = encode(key, arrays, meta)
        self._write(digest, data)
        return decode(data, key)

    def stats(self) -> dict[str, int]:
        """Counts of this object (hits, misses, rejected, faults) and size of the whole cache."""
        entries = self._guarded(len, 0)
        size = self._guarded(lambda cache: int(cache.volume()), 0)
        with self._lock:
            counts = {name: self._counts[name] for name in ("hits", "misses", "rejected", "faults")}
        return {**counts, "entries": entries, "bytes": size, "limit_bytes": self._limit}

    def clear(self) -> int:
        """Drop every entry; how many there were. A damaged cache is replaced by an empty one."""
        if self._folder is None:
            return 0
        entries = self._guarded(len, 0)
        with self._lock:
            self._close()
            try:
                new_generation(self._folder, generation_folder(self._folder))
            except Exception as error:
                self._fault(error)
                return 0
        return entries

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            self._close()

    def _read(self, key: Mapping[str, Any], digest: str) -> Entry | None:
        """A sound entry or nothing; an unsound one is counted and removed."""
        try:
            data = self._guarded(lambda cache: cache.get(digest), None)
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
        """Do one thing with the database; ``otherwise`` where the cache has a fault.

        Raises
        ------
        CacheError
            The entry itself is unsound.
        """
        with self._lock:
            cache = self._opened()
            if cache is None:
                return otherwise
            try:
                return action(cache)
            except CacheError:
                raise
            except Exception as error:
                self._fault(error)
                return otherwise

    def _opened(self) -> BoundedCache | None:
        """The open database, or nothing while it cannot be used."""
        if self._folder is None or time.monotonic() < self._paused_until:
            return None
        if self._cache is not None and not self._same_file():
            self._counts["faults"] += 1
            self._warn("it was cleared, deleted or replaced under way; a new one is started")
            self._close()
        if self._cache is None:
            try:
                self._cache, self._file = open_database(self._folder, self._limit)
            except Exception as error:
                self._fault(error)
                self._paused_until = time.monotonic() + _PAUSE_SEC
        return self._cache

    def _same_file(self) -> bool:
        assert self._cache is not None
        assert self._file is not None
        try:
            facts = os.stat(os.path.join(self._cache.directory, DBNAME), follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(facts, self._file)

    def _fault(self, error: Exception) -> None:
        """Note a fault; replace a damaged database; leave one alone that made us wait."""
        self._counts["faults"] += 1
        self._warn(describe_fault(error))
        damaged = self._cache is not None and is_damage(error)
        generation = Path(self._cache.directory) if self._cache is not None else None
        if is_wait(error):
            self._paused_until = time.monotonic() + _PAUSE_SEC
        if self._cache is not None and (damaged or not self._cache.rolled_back()):
            self._close()
        if damaged and self._folder is not None:
            try:
                new_generation(self._folder, generation)
            except Exception as second:
                logger.debug("cache: not replaced (%s)", describe_fault(second))
                self._paused_until = time.monotonic() + _PAUSE_SEC

    def _warn(self, problem: str) -> None:
        """One warning a store; the rest goes to the debug log."""
        level = logging.DEBUG if self._counts["warned"] else logging.WARNING
        self._counts["warned"] = 1
        logger.log(level, "cache: %s; the work goes on without it", problem)

    def _close(self) -> None:
        cache, self._cache, self._file = self._cache, None, None
        if cache is not None:
            with contextlib.suppress(Exception):
                cache.close()

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


_forking = threading.local()


def _before_fork() -> None:
    """No thread may be inside a transaction while the process is copied.

    The child's copy of the connection would take the journal of that transaction for one that a
    crash left behind, and roll it back.
    """
    _forking.stores = sorted(_STORES, key=id)  # one order: two forking threads cannot deadlock
    for store in _forking.stores:
        store._lock.acquire()


def _after_fork_in_parent() -> None:
    for store in _forking.__dict__.pop("stores", []):
        store._lock.release()


def _after_fork_in_child() -> None:
    for store in _forking.__dict__.pop("stores", []):
        if store._cache is not None:
            _INHERITED.append(store._cache)
            store._cache = store._file = None
        store._lock.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def info(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about a cache folder, read without changing it.

    Returns
    -------
    dict
        ``folder``, ``state`` (``"absent"``, ``"ok"`` or ``"unusable"``), ``entries``, ``bytes``,
        ``limit_bytes`` (``None`` where unknown) and ``problem`` (empty where there is none).
    """
    path = Path(folder).absolute()
    facts: dict[str, Any] = {"folder": str(path), "state": "absent", "problem": ""}
    empty = {"entries": 0, "bytes": 0, "limit_bytes": None}
    try:
        summary = database_summary(path)
    except Exception as error:
        return {**facts, **empty, "state": "unusable", "problem": describe_fault(error)}
    if summary is None:
        return {**facts, **empty}
    return {**facts, **summary, "state": "ok"}
