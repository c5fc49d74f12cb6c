"""Locks between processes that the kernel gives back when their holder dies.

Each lock is an ``flock`` on a file of its own, so two keys never share a lock: a computation that
asks for a second key while it holds a first cannot block one that holds the second for a third
(striped locks could). The holder removes the file before it lets go, so lock files do not pile
up; a process that then gets the lock on the removed file sees that and starts again. ``flock``
excludes threads of one process too, because each opens the file for itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LockFile", "file_facts", "held_lock"]

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_HELD: set[int] = set()
"""Descriptors of the locks that this process holds or tries to take."""


def _close(descriptor: int) -> None:
    """Close a lock file. Off the list first: its number may be another file's a moment later."""
    _HELD.discard(descriptor)
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _forget_in_child() -> None:
    """A forked child must not keep its parent's locks alive: close its copies of them.

    Closing a copy does not release the lock (flock(2)); the parent's own copy still holds it.
    """
    for descriptor in list(_HELD):
        _close(descriptor)


os.register_at_fork(after_in_child=_forget_in_child)


def file_facts(path: Path) -> os.stat_result | None:
    """What tells a file from one that takes its place; nothing where there is none."""
    with contextlib.suppress(OSError):
        return os.stat(path, follow_symlinks=False)
    return None


class LockFile:
    """An exclusive lock on a path.

    Parameters
    ----------
    path
        The lock file. Its folder must exist; the file is made, and removed on release.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._pid = 0

    def try_acquire(self) -> bool:
        """Take the lock if it is free.

        Raises
        ------
        OSError
            The lock file cannot be made or locked.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        _HELD.add(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_current(descriptor):
                self._descriptor, self._pid = descriptor, os.getpid()
        except BlockingIOError:
            pass
        finally:
            if self._descriptor != descriptor:
                _close(descriptor)
        return self._descriptor == descriptor

    def _is_current(self, descriptor: int) -> bool:
        """Whether an open lock file is still the one at the path, not one that was removed."""
        there = file_facts(self.path)
        return there is not None and os.path.samestat(there, os.fstat(descriptor))

    def acquire(self, wait_sec: float) -> bool:
        """Take the lock, waiting up to ``wait_sec`` seconds; whether it was taken."""
        deadline = time.monotonic() + wait_sec
        pause = 0.002
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        return True

    def release(self) -> None:
        """Remove the file and let the lock go; nothing happens where it is not held."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0 or self._pid != os.getpid():
            return
        with contextlib.suppress(OSError):
            if self._is_current(descriptor):
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        _close(descriptor)

    def write(self, text: str) -> None:
        """Replace the content of the held file: a note for a process that finds it taken."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def note(self) -> str:
        """The holder's note (at most 100 characters), or nothing."""
        with contextlib.suppress(OSError), open(os.open(self.path, _FLAGS), "rb") as file:
            return file.read(100).decode("ascii", "replace").strip()
        return ""


_mine = threading.local()


@contextlib.contextmanager
def held_lock(path: Path, wait_sec: float) -> Iterator[str]:
    """Hold the lock on ``path`` while the block runs; yields how that went.

    Yields
    ------
    str
        ``"held"``; ``"waited"`` where another holder did not let go within ``wait_sec``;
        ``"nested"`` where this thread already holds it; else what is wrong with the lock file.
        The block runs in every case: a lock saves work, it does not guard truth.
    """
    paths: set[Path] = _mine.__dict__.setdefault("paths", set())
    if path in paths:
        yield "nested"
        return
    lock = LockFile(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        outcome = "held" if lock.acquire(wait_sec) else "waited"
    except OSError as error:
        outcome = f"lock file: {errno.errorcode.get(error.errno or 0, 'OSError')}"
    paths.add(path)
    try:
        yield outcome
    finally:
        paths.discard(path)
        lock.release()
