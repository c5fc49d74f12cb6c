"""Sample files of WFDB records: bytes -> counts, and the check that the header describes them.

Formats as in the WFDB Applications Guide, ``signal(5)``
(https://physionet.org/physiotools/wag/signal-5.htm). A ``.mat`` file is MATLAB version 4 with one
matrix, ``val``: a 20-byte head (type, rows, columns, imaginary flag, length of the name), the name,
and the numbers by columns (MathWorks, *MAT-File Format*, chapter "MAT-File Format, Version 4").
Every size is checked before anything is allocated. Version 5 files are refused unread: they may be
compressed without bound, and a damaged one can crash SciPy's reader.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.wfdb_header import SignalSpec
from ecgxai_core.settings import settings
from ecgxai_core.types import QualityWarning

__all__ = [
    "NAN_COUNTS",
    "RAILS",
    "ChecksumPolicy",
    "Counts",
    "decode",
    "frame_bytes",
    "read_dat",
    "read_mat4",
    "verify",
]

Counts = npt.NDArray[np.signedinteger[Any]]
ChecksumPolicy = Literal["warn", "error"]

_BYTES = {"16": 2.0, "24": 3.0, "32": 4.0, "61": 2.0, "80": 1.0, "160": 2.0, "212": 1.5}
NAN_COUNTS = {
    "16": -(2**15), "24": -(2**23), "32": -(2**31), "61": -(2**15), "80": -128,
    "160": -(2**15), "212": -2048,
}  # fmt: skip
"""The count that means 'no sample here' in each format."""
RAILS = {form: (lowest + 1, -lowest - 1) for form, lowest in NAN_COUNTS.items()}
"""Least and greatest count that a format can hold."""
_SWAPPED = {"16", "61"}
_SMOOTHER = 8.0
"""How much smoother byte-swapped samples must be before they are taken for the real ones. An ECG
moves slowly between samples; with its bytes swapped every step of 1 becomes one of 256."""
_ROUGHNESS_SAMPLES = 50_000


def frame_bytes(form: str, n_values: int) -> int:
    """Bytes that ``n_values`` samples take in a format."""
    return int(np.ceil(_BYTES[form] * n_values))


def decode(data: bytes, form: str, n_values: int) -> Counts:
    """``int[n_values]``: the counts in ``data``, whose length must fit."""
    if form in ("16", "61"):
        return np.frombuffer(data, dtype="<i2" if form == "16" else ">i2", count=n_values)
    if form == "32":
        return np.frombuffer(data, dtype="<i4", count=n_values)
    if form == "160":
        shifted = np.frombuffer(data, dtype="<u2", count=n_values).astype(np.int32)
        return (shifted - 2**15).astype(np.int16)
    raw = np.frombuffer(data, dtype=np.uint8)
    if form == "80":
        return raw[:n_values].astype(np.int16) - np.int16(128)
    if form == "24":
        whole = np.zeros((n_values, 4), dtype=np.uint8)
        whole[:, 1:] = raw[: 3 * n_values].reshape(n_values, 3)
        return whole.view("<i4")[:, 0] >> 8
    return _decode_212(raw, n_values)


def _decode_212(raw: npt.NDArray[np.uint8], n_values: int) -> Counts:
    """Two 12-bit two's-complement samples in three bytes; a last odd one in two."""
    triples = np.zeros(-(-n_values // 2) * 3, dtype=np.uint8)
    triples[: min(len(raw), len(triples))] = raw[: len(triples)]
    low, shared, high = triples.reshape(-1, 3).astype(np.int16).T
    both = np.empty((len(low), 2), dtype=np.int16)
    both[:, 0] = low | ((shared & 0x0F) << 8)
    both[:, 1] = high | ((shared & 0xF0) << 4)
    counts = both.reshape(-1)[:n_values]
    return np.where(counts > 2047, counts - np.int16(4096), counts).astype(np.int16)


def read_dat(path: Path, form: str, n_signals: int, n_samples: int) -> Counts:
    """``int[sample, signal]``: the counts of a ``.dat`` file.

    Raises
    ------
    RecordError
        The file is missing, or its length is not exactly that of the samples claimed.
    """
    n_values = n_signals * n_samples
    expected = frame_bytes(form, n_values)
    with open_regular(path, int(settings().max_file_mb * 1e6)) as (file, size):
        # an odd number of 12-bit samples may be filled up to whole triples
        padded = form == "212" and n_values % 2 == 1 and size == expected + 1
        if size != expected and not padded:
            raise RecordError(
                path.name, "length",
                f"holds {size} bytes; the header claims {n_signals} signals x {n_samples} samples "
                f"in format {form}, which are {expected}",
                "copy the file again, or correct the header",
            )  # fmt: skip
        data = file.read(expected)
    return decode(data, form, n_values).reshape(n_samples, n_signals)


def verify(
    counts: Counts, specs: Sequence[SignalSpec], policy: ChecksumPolicy
) -> tuple[QualityWarning, ...]:
    """Compare one data file with the first values and checksums that its header gives.

    Parameters
    ----------
    counts
        ``int[sample, signal]`` as stored.
    specs
        The signal lines of this file.
    policy
        What a wrong checksum is where the first value is right: a warning or an error.

    Returns
    -------
    tuple
        The warning ``checksum`` with the leads concerned, or nothing.

    Raises
    ------
    RecordError
        The samples are byte-swapped, or a signal does not begin with its first value.
    """
    wrong_first = [int(c) != spec.first for c, spec in zip(counts[0], specs, strict=True)]
    if any(wrong_first):
        _refuse_swapped(counts, specs)
        raise _other_samples(specs[wrong_first.index(True)], "first value", "")
    wrong_sum = _wrong_sums(counts, specs)
    if not any(wrong_sum):
        return ()
    _refuse_swapped(counts, specs)
    if policy == "error":
        way_out = ", or accept it with --checksum=warn"
        raise _other_samples(specs[wrong_sum.index(True)], "checksum", way_out)
    leads = tuple(spec.lead for spec, bad in zip(specs, wrong_sum, strict=True) if bad)
    text = "the header's checksum is wrong: samples may have been changed"
    return (QualityWarning("checksum", text, leads),)


def _wrong_sums(counts: Counts, specs: Sequence[SignalSpec]) -> list[bool]:
    """Which signals do not add up to their checksum (16 bits)."""
    sums = counts.sum(axis=0, dtype=np.int64)
    return [(int(s) - spec.checksum) % 65536 != 0 for s, spec in zip(sums, specs, strict=True)]


def _other_samples(spec: SignalSpec, what: str, way_out: str) -> RecordError:
    problem = "the samples are not those of the header"
    fix = f"copy the record again from its source{way_out}"
    return RecordError(spec.file, f"lead {spec.lead}, {what}", problem, fix)


def _refuse_swapped(counts: Counts, specs: Sequence[SignalSpec]) -> None:
    """Refuse 16-bit samples that make sense only with their bytes swapped."""
    if specs[0].format not in _SWAPPED:
        return
    swapped = counts.view(counts.dtype.newbyteorder())  # the same bytes, not a copy of them
    if _roughness(swapped) * _SMOOTHER < _roughness(counts) or not any(_wrong_sums(swapped, specs)):
        form = specs[0].format
        problem = f"the samples are byte-swapped: format {form} has the other byte order"
        fix = f"write the samples in format {form}, or correct the format in the header"
        raise RecordError(specs[0].file, "byte order", problem, fix)


def _roughness(counts: Counts) -> float:
    """Sum of the steps between neighbouring samples at the beginning of a file."""
    start = counts[:_ROUGHNESS_SAMPLES].astype(np.int32)
    return float(np.abs(np.diff(start, axis=0)).sum(dtype=np.float64))


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
        problem = f"is {size} bytes long, too short for a MATLAB v4 file"
        raise RecordError(where, "length", problem, "copy the file again")


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
        problem = f"is {_PRECISIONS[precision]}{order}, but the header says format {form}"
        fix = "store the counts as int16 (16+24), or correct the header"
        raise RecordError(where, "val, number type", problem, fix)
    if (rows, columns) != (n_signals, n_samples):
        raise RecordError(
            where, "val, shape",
            f"is {rows} x {columns}; the header claims {n_signals} signals x {n_samples} samples",
            "store one lead a row, and correct the header",
        )  # fmt: skip
