"""Opening untrusted files and archives, and the limits of child processes that read them."""

from __future__ import annotations

import csv
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from ecgxai_core.errors import EcgXaiError, RecordError

__all__ = [
    "bound_process",
    "child_environment",
    "memory_in_use",
    "open_regular",
    "open_table",
    "read_members",
]

MAX_TABLE_BYTES = 100_000_000
"""Of a data set's table of records; PTB-XL's has 6 MB."""


@contextmanager
def open_regular(
    path: Path,
    limit: int,
    error: type[EcgXaiError] = RecordError,
    shorten: str = "check the file, or split the record",
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file of at most ``limit`` bytes; yields the open file and its size.

    Pipes, devices and folders are refused without waiting for them (``O_NONBLOCK``), and the size
    is that of the file opened, not of a name that may since point elsewhere.

    Raises
    ------
    RecordError, or ``error``
        The file cannot be opened, is not a regular file, or is longer than ``limit``, for which
        ``shorten`` is the remedy.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as reason:
        raise error(path.name, "file", *_unreadable(reason)) from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            problem = "is not a regular file (a folder, pipe or device)"
            raise error(path.name, "file", problem, "give a file")
        if info.st_size > limit:
            problem = f"is larger than it may be ({info.st_size} bytes; at most {limit} are read)"
            raise error(path.name, "size", problem, shorten)
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as raw:
            yield raw, info.st_size
    except OSError as reason:
        raise error(path.name, "file", *_unreadable(reason)) from None
    finally:
        os.close(descriptor)


@contextmanager
def open_table(path: Path) -> Iterator[TextIO]:
    """Open the CSV table of a data set as :func:`open_regular` does, for :mod:`csv` to read.

    Raises
    ------
    RecordError
        As :func:`open_regular`; or the file is not UTF-8, or not CSV.
    """
    with open_regular(path, MAX_TABLE_BYTES) as (file, size):
        try:
            yield io.StringIO(file.read(size).decode("utf-8"), newline="")
        except (UnicodeDecodeError, csv.Error):
            fix = "use the official file of the data set"
            raise RecordError(path.name, "", "cannot be read", fix) from None


def _unreadable(error: OSError | ValueError) -> tuple[str, str]:
    """What the operating system says, without the machine's path; and the remedy."""
    if isinstance(error, FileNotFoundError):
        return "does not exist", "check the name and that all files were copied"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "bad file name"
    return f"cannot be read ({reason})", "check the name and its permissions"


def child_environment() -> dict[str, str]:
    """The environment of this process, with this package importable and one thread."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def memory_in_use() -> int:
    """Bytes of address space of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0


def bound_process(memory: int, seconds: int, *, writes: bool = True) -> None:
    """Bound address space (bytes), processor time and, where nothing should be written, the size of
    files, as far as the system can."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
        **({} if writes else {resource.RLIMIT_FSIZE: 0}),
    }
    for kind, amount in limits.items():
        hard = resource.getrlimit(kind)[1]
        soft = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (soft, hard))


MAX_MEMBERS = 64
_MAX_LIST_BYTES = 64 * 1024
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_LOCATOR_BYTES = 20
_COMMENT_BYTES = 0xFFFF


def _check_member_count(file: BinaryIO) -> None:
    """Look at the end of an archive and go back to its beginning.

    Raises
    ------
    ValueError
        There is no end, or more members than any file of this program has.
    """
    size = file.seek(0, 2)
    start = max(size - _END.size - _COMMENT_BYTES - _LOCATOR_BYTES, 0)
    file.seek(start)
    tail = file.read(size - start)
    file.seek(0)
    at = _end_of(tail)
    if at < 0:
        raise ValueError("it has no end: it is cut")
    _, _, _, _, members, list_bytes, _, _ = _END.unpack_from(tail, at)
    # the larger form of the end, for archives of over 4 GB, stands before the smaller one
    large = tail[max(at - _LOCATOR_BYTES, 0) : at].startswith(_LOCATOR_SIGNATURE)
    if large or members > MAX_MEMBERS or list_bytes > _MAX_LIST_BYTES:
        raise ValueError(f"it claims more than {MAX_MEMBERS} members")


def _end_of(tail: bytes) -> int:
    """Where the end record stands, as :mod:`zipfile` finds it; -1 where there is none."""
    last = len(tail) - _END.size
    if last >= 0 and tail.startswith(_END_SIGNATURE, last) and tail.endswith(b"\0\0"):
        return last
    found = tail.rfind(_END_SIGNATURE)
    return found if 0 <= found <= last else -1


def read_members(
    file: BinaryIO, check: Callable[[list[zipfile.ZipInfo]], None]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the members of an archive, one after the other.

    Parameters
    ----------
    file
        The archive, open for reading.
    check
        Called with the list of members before any is read; raises where it does not like them.

    Raises
    ------
    ValueError
        The archive is damaged, encrypted or compressed in an unknown way, or has too many members.
    """
    try:
        _check_member_count(file)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            check(members)
            for member in members:
                yield member.filename, archive.read(member)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(str(error)) from None
