"""The one kind of MATLAB file that a WFDB record may have: version 4, with the matrix ``val``.

A version 4 file is a 20-byte head (type, rows, columns, imaginary flag, length of the name), the
name, and the numbers by columns (MathWorks, *MAT-File Format*, chapter "MAT-File Format, Version
4"). Every size is checked before anything is allocated. Version 5 files are refused unread:
they may be compressed without bound, and a damaged one can crash SciPy's reader.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ecgxai_core.errors import RecordError
from ecgxai_core.records.dat import Counts, decode, frame_bytes
from ecgxai_core.records.files import open_regular
from ecgxai_core.settings import settings

__all__ = ["read_mat4"]

_HEAD = 24
_PRECISIONS = ("double", "single", "int32", "int16", "uint16", "uint8")
_WANTED = {"16": 3, "61": 3, "32": 2, "160": 4, "80": 5}
"""MATLAB's number type that holds each WFDB format."""
_CONVERT = "write it in MATLAB with save(file, 'val', '-v4'), in Python with savemat(format='4')"


def read_mat4(path: Path, form: str, n_signals: int, n_samples: int) -> Counts:
    """``int[sample, signal]``: the counts of a MATLAB v4 file.

    Parameters
    ----------
    path
        The ``.mat`` file.
    form
        WFDB format that the header gives for it; the file must store exactly that number type.
    n_signals, n_samples
        Rows and columns that ``val`` must have.

    Raises
    ------
    RecordError
        The file is anything but a v4 file with exactly that matrix.
    """
    with open_regular(path, int(settings().max_file_mb * 1e6)) as (file, size):
        head = file.read(_HEAD)
        _refuse_other_versions(path.name, head, size)
        _check_head(path.name, head, form, n_signals, n_samples)
        n_values = n_signals * n_samples
        n_bytes = frame_bytes(form, n_values)
        if size != _HEAD + n_bytes:
            raise RecordError(
                path.name, "length",
                f"holds {size} bytes; {n_signals} x {n_samples} {_PRECISIONS[_WANTED[form]]} "
                f"values and the head are {_HEAD + n_bytes}",
                "copy the file again: it is cut, or holds more than the matrix val",
            )  # fmt: skip
        data = file.read(n_bytes)
    # columns of a (signal, sample) matrix follow each other: these are WFDB's frames
    return decode(data, form, n_values).reshape(n_samples, n_signals)


def _refuse_other_versions(where: str, head: bytes, size: int) -> None:
    if head.startswith(b"MATLAB"):
        raise RecordError(where, "version", "is a MATLAB v5 or v7 file; only v4 is read", _CONVERT)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        raise RecordError(where, "version", "is an HDF5 file (MATLAB v7.3)", _CONVERT)
    if size < _HEAD:
        raise RecordError(
            where, "length", f"is {size} bytes long, too short for a MATLAB v4 file",
            "copy the file again",
        )  # fmt: skip


def _check_head(where: str, head: bytes, form: str, n_signals: int, n_samples: int) -> None:
    """Type, name, realness and shape, in that order."""
    kind, rows, columns, imaginary, name_length = struct.unpack("<5i", head[:20])
    if not 0 <= kind <= 4999:  # the other byte order, or no v4 file at all
        kind, rows, columns, imaginary, name_length = struct.unpack(">5i", head[:20])
    machine, zero, precision, form_of_matrix = (
        kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10,
    )  # fmt: skip
    if not 0 <= kind <= 4999 or zero or precision >= len(_PRECISIONS) or machine > 1:
        raise RecordError(where, "head", "does not begin like a MATLAB v4 file", _CONVERT)
    if name_length != 4 or head[20:24] != b"val\0":
        raise RecordError(where, "variable", "the first variable is not called 'val'", _CONVERT)
    if form_of_matrix or imaginary:
        what = "complex" if imaginary else ("text" if form_of_matrix == 1 else "a sparse matrix")
        raise RecordError(where, "val", f"is {what}", "store real counts in a full matrix")
    if precision != _WANTED.get(form) or machine != (form == "61"):
        order = " in big-endian order" if machine else ""
        raise RecordError(
            where, "val, number type",
            f"is {_PRECISIONS[precision]}{order}, but the header says format {form}",
            "store the counts as int16 (16+24), or correct the header",
        )  # fmt: skip
    if (rows, columns) != (n_signals, n_samples):
        raise RecordError(
            where, "val, shape",
            f"is {rows} x {columns}; the header claims {n_signals} signals x {n_samples} samples",
            "store one lead a row, and correct the header",
        )  # fmt: skip
