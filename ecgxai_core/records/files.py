"""Opening files that nobody vouches for: regular files only, never longer than allowed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ecgxai_core.errors import RecordError

__all__ = ["open_regular"]


@contextmanager
def open_regular(path: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file of at most ``limit`` bytes; yields the open file and its size.

    Pipes, devices and folders are refused without waiting for them (``O_NONBLOCK``), and the size
    is that of the file opened, not of a name that may since point elsewhere.

    Raises
    ------
    RecordError
        The file cannot be opened, is no regular file, or is longer than ``limit``.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise RecordError(
                path.name, "file", "is not a regular file (a folder, pipe or device)",
                "give the header or DICOM file of a record",
            )  # fmt: skip
        if info.st_size > limit:
            raise RecordError(
                path.name, "size", f"is {info.st_size} bytes long; at most {limit} are read",
                "check the file, or split the record",
            )  # fmt: skip
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as raw:
            yield raw, info.st_size
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError | ValueError) -> RecordError:
    """What the operating system says, without the machine's path."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "bad file name"
    if isinstance(error, FileNotFoundError):
        return RecordError(
            path.name, "file", "does not exist", "check the name and that all files were copied"
        )
    return RecordError(
        path.name, "file", f"cannot be read ({reason})", "check the name and its permissions"
    )
