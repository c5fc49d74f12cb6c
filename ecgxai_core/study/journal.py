"""An append-only journal in one SQLite file: rows are added, never changed, never deleted.

SQLite, because several processes may write at once and any of them may be killed: a row is either
there or not. Triggers refuse changes and deletions; taking something back is a row of its own. A
row may carry a key of its writer's choice, and a key is taken once: what is sent twice is there
once, and nothing is answered again.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecgxai_core.errors import EcgXaiError, cannot_be_written
from ecgxai_core.types import canonical_json

__all__ = ["Journal", "Row"]

_WAIT_SEC = 30.0
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY, time TEXT NOT NULL, session TEXT NOT NULL, schema INTEGER NOT NULL,
    withdraws TEXT, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'a row is never changed'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'a row is never deleted'); END;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its key, when it was written (UTC, to the millisecond), by whom, and its JSON."""

    key: str
    time: str
    session: str
    withdraws: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal.

    Attributes
    ----------
    path
        The file; it and its folder are made with the first row.
    schema
        Version of the fields of a row; a file with rows of a newer one is refused.
    error
        What is raised where the file cannot be used.
    """

    path: Path
    schema: int
    error: type[EcgXaiError] = EcgXaiError

    def add(
        self,
        body: Mapping[str, Any],
        *,
        session: str = "",
        key: str | None = None,
        withdraws: str | None = None,
    ) -> str | None:
        """Write a row for good before this returns.

        Parameters
        ----------
        body
            Plain JSON values.
        session
            Who writes.
        key
            Taken once and for all; ``None`` = a new one.
        withdraws
            Key of the row that this one takes back.

        Returns
        -------
        The key; ``None`` where the key was taken before, and nothing was written.

        Raises
        ------
        EcgXaiError
            The file cannot be written; of the class ``error``.
        """
        key = key or uuid.uuid4().hex
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = (key, now, session, self.schema, withdraws, canonical_json(body))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as con:
                con.executescript(_TABLE)
                added = con.execute(
                    "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", row
                ).rowcount
        except OSError as error:
            problem = cannot_be_written(self.path, error)
            raise self.error(self.path.name, "", problem, "make room there") from None
        return key if added else None

    def rows(self, session: str | None = None) -> list[Row]:
        """Rows in the order of their times; those of one session, or all.

        Raises
        ------
        EcgXaiError
            The file is no journal, or one of a newer version; of the class ``error``.
        """
        if not self.path.is_file():
            return []
        where, given = ("", ()) if session is None else (" WHERE session = ?", (session,))
        with self._open() as con:
            found = con.execute(
                "SELECT id, time, session, withdraws, body, schema FROM entries"
                f"{where} ORDER BY time, id",
                given,
            ).fetchall()
        newest = max((row[-1] for row in found), default=self.schema)
        if newest > self.schema:
            problem = f"holds answers of version {newest}, newer than {self.schema}"
            raise self.error(self.path.name, "schema", problem, "use a newer ECG-XAI")
        return [Row(*row[:-1]) for row in found]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection and a transaction; what is written is on the disk when the block ends."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SEC)) as con:
                con.execute("PRAGMA trusted_schema = OFF")
                con.execute("PRAGMA synchronous = FULL")
                with con:
                    yield con
        except sqlite3.Error as error:
            fix = "move the file away, or make room"
            raise self.error(self.path.name, "", f"cannot be used ({error})", fix) from None
