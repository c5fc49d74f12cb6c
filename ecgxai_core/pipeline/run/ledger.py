"""The finished units of a run, one per line: a killed run loses at most the current unit.

Each line is one JSON object with its own checksum, flushed to the disk before the next unit starts.
An incomplete last line, or a line that does not match its checksum, does not count: that unit is
computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ecgxai_core.errors import RunError, cannot_be_written
from ecgxai_core.store.envelope import strict_json
from ecgxai_core.store.locks import LockFile
from ecgxai_core.types import canonical_json

__all__ = ["Ledger", "RunLock"]

logger = logging.getLogger(__name__)

MAX_LEDGER_BYTES = 1 << 30
"""Largest ledger that is read."""


def _line(key: str, payload: Mapping[str, Any]) -> bytes:
    """One line of the ledger: key, payload and the SHA-256 over both."""
    body = {"key": key, "payload": dict(payload)}
    sha = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    return (canonical_json({**body, "sha256": sha}) + "\n").encode()


def _parsed(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Key and payload of a line without its newline; nothing where it is not sound."""
    try:
        value = strict_json(line)
        key, payload = value["key"], value["payload"]
        sound = (
            isinstance(key, str)
            and isinstance(payload, dict)
            and _line(key, payload) == line + b"\n"
        )
    except (ValueError, KeyError, TypeError):
        return None
    return (key, payload) if sound else None


class Ledger:
    """The append-only list of finished and failed units of a run.

    Only one process may append (see :class:`RunLock`); any may read.

    Parameters
    ----------
    path
        The file; made by the first :meth:`append`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.damaged = 0
        """Lines that the last :meth:`done` dropped."""

    def done(self) -> dict[str, dict[str, Any]]:
        """Payload by key, in the order of writing; of a key written twice, the last.

        Raises
        ------
        RunError
            The file exists and cannot be read.
        """
        data = self._content()
        lines = data.split(b"\n")
        torn = lines.pop()
        self.damaged = int(bool(torn))
        units: dict[str, dict[str, Any]] = {}
        for line in lines:
            unit = _parsed(line)
            if unit is None:
                self.damaged += 1
            else:
                units[unit[0]] = unit[1]
        if self.damaged:
            logger.warning("ledger: %d damaged lines; their work is done again", self.damaged)
        return units

    def append(self, key: str, payload: Mapping[str, Any]) -> None:
        """Add a unit; when this returns, it is on the disk.

        Raises
        ------
        RunError
            The line cannot be written; the ledger is as it was before.
        ValueError, TypeError
            A payload that is not JSON.
        """
        line = _line(key, payload)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _append_line(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            fix = "free space there, check permissions, then run again: finished work is kept"
            problem = cannot_be_written(self.path, error)
            raise RunError(self.path.name, "", problem, fix) from error

    def _content(self) -> bytes:
        try:
            if self.path.stat().st_size > MAX_LEDGER_BYTES:
                raise RunError(self.path.name, "", "is too large", "choose another run folder")
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise RunError(self.path.name, "", problem, "choose another run folder") from error


def _append_line(descriptor: int, line: bytes) -> None:
    """Write a line after the last whole one, all of it or nothing, and flush it."""
    end = _end_of_lines(descriptor)
    os.ftruncate(descriptor, end)
    try:
        written = 0
        while written < len(line):
            written += os.pwrite(descriptor, line[written:], end + written)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def _end_of_lines(descriptor: int) -> int:
    """Where the last newline ends: what follows it was cut short by a kill."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - (1 << 16))
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class RunLock:
    """One writer for a run directory; a context manager.

    The kernel gives the lock back when its holder dies, so a killed run can be resumed at once.

    Parameters
    ----------
    folder
        The run directory; it is made where it is missing.

    Raises
    ------
    RunError
        On entering: another process works in the folder (its number is named), or the folder
        cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._lock = LockFile(self.folder / ".run.lock")

    def __enter__(self) -> Self:
        name = self.folder.name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A holder that just lets go, or is just dying, gets a moment.
            taken = self._lock.acquire(0.2)
            if taken:
                self._lock.write(f"{os.getpid()}\n")
        except OSError as error:
            self._lock.release()
            problem = f"cannot be written ({error.strerror})"
            raise RunError(name, "", problem, "choose another --out") from error
        if not taken:
            holder = self._lock.note()
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise RunError(
                name, "", f"{who} is working in this folder", "wait for it, or choose another --out"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
