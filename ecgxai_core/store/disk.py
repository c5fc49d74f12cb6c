"""diskcache's serialisation point, reduced to our envelope: no pickle, no files, no other types.

``diskcache.Disk`` pickles what it does not know, unpickles rows whose mode says so, and opens and
deletes whatever path a row names. None of that is left here: a value is an envelope in the
database row itself, so a planted row can neither run code nor reach a file.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any, NoReturn

from diskcache import Disk
from diskcache.core import MODE_RAW, UNKNOWN

from ecgxai_core.errors import CacheError
from ecgxai_core.store.envelope import MAGIC, MAX_ENVELOPE_BYTES

__all__ = ["EnvelopeDisk"]

_KEY = re.compile(r"[0-9a-f]{64}")


def _refuse(problem: str) -> NoReturn:
    raise CacheError("cache entry", "row", problem, "none needed: it is computed again")


class EnvelopeDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are SHA-256 in hexadecimal, values are envelope bytes; everything else is refused."""

    def put(self, key: object) -> tuple[str, bool]:
        """A key for the database.

        Raises
        ------
        CacheError
            A key that is not a SHA-256 in hexadecimal.
        """
        if type(key) is not str or not _KEY.fullmatch(key):
            _refuse("has a key that is not a SHA-256")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """A key from the database (the base class would unpickle it where ``raw`` is 0)."""
        if not raw:
            _refuse("has a pickled key")
        return self.put(key)[0]

    def store(
        self, value: object, read: bool, key: object = UNKNOWN
    ) -> tuple[int, int, None, sqlite3.Binary]:
        """An envelope for the database: in the row, never in a file of its own.

        Raises
        ------
        CacheError
            Anything other than envelope bytes.
        """
        if read or type(value) is not bytes or not value.startswith(MAGIC):
            _refuse("holds something other than an envelope")
        if len(value) > MAX_ENVELOPE_BYTES:
            _refuse("is too large")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        """Envelope bytes from the database; mode pickle, text or file is refused unread.

        Raises
        ------
        CacheError
            Anything other than envelope bytes.
        """
        if mode != MODE_RAW or filename is not None or read:
            _refuse("is a pickle, a text or a file, not an envelope")
        if type(value) is not bytes or not value.startswith(MAGIC):
            _refuse("holds something other than an envelope")
        return value

    def filename(self, key: object = UNKNOWN, value: object = UNKNOWN) -> Any:
        """Never: there are no value files."""
        _refuse("asks for a file")

    def remove(self, file_path: object) -> None:
        """Nothing: the base class would delete any path that a planted row names."""
