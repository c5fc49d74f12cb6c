"""Writing records: WFDB header with a MATLAB v4 matrix or a format 16 ``.dat`` file.

What is written reads back through :func:`ecgxai_core.records.read_record` and through ``wfdb``.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError, cannot_be_written
from ecgxai_core.records.leads import lead_name
from ecgxai_core.records.wfdb_header import FS_RANGE
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["write_record"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,95}", re.ASCII)
_NAN_COUNT = -(2**15)
_MOST = 2**15 - 1


def write_record(
    folder: str | os.PathLike[str],
    name: str,
    signal_mv: npt.ArrayLike,
    fs: float,
    leads: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
    age: float | None = None,
    sex: str | None = None,
    synthetic: bool = False,
    gain: float | Sequence[float] = 1000.0,
    zero: int | Sequence[int] = 0,
    fmt: Literal["mat", "dat"] = "mat",
    comments: Sequence[str] = (),
) -> Path:
    """Write one record; the same input gives the same bytes.

    Parameters
    ----------
    folder
        Where to write; it must exist. Files of the same name are replaced.
    name
        Record name: letters, digits, ``_``, ``.``, ``+`` and ``-``.
    signal_mv
        ``float[lead, sample]``, mV; NaN is written as WFDB's "no sample" count.
    fs
        Sampling rate, Hz.
    leads
        Standard names of the rows, in any order.
    labels, age, sex, synthetic
        As in :class:`ecgxai_core.types.Record`; ``labels=None`` writes no ``#Dx`` line. The age is
        written to six decimals.
    gain, zero
        Counts per mV, and counts at 0 mV: one for all leads, or one per lead.
    fmt
        ``"mat"``: MATLAB v4 int16 matrix (format ``16+24``); ``"dat"``: format ``16``.
    comments
        Further comment lines, without ``#``.

    Returns
    -------
    Path
        The header.

    Raises
    ------
    RecordError
        A value does not fit 16 bits, or a name, rate, shape or comment cannot be written.
    """
    signal = np.asarray(signal_mv, dtype=np.float64)
    _check(name, signal, fs, leads)
    n_leads = len(leads)
    gains = np.broadcast_to(np.asarray(gain, np.float64), (n_leads,))
    zeros = np.broadcast_to(np.asarray(zero, np.int64), (n_leads,))
    counts = _to_counts(name, signal, leads, gains, zeros)
    frames = np.ascontiguousarray(counts.T, dtype="<i2").tobytes()
    # MATLAB v4: little-endian int16 (type 30), rows, columns, real, length of "val\0"
    head = struct.pack("<5i", 30, n_leads, signal.shape[1], 0, 4) + b"val\0"
    data_file, form, body = (
        (f"{name}.mat", "16+24", head + frames) if fmt == "mat" else (f"{name}.dat", "16", frames)
    )
    lines = [f"{name} {n_leads} {_number(fs)} {signal.shape[1]}"]
    for row, lead, g, z in zip(counts, leads, gains, zeros, strict=True):
        total = int(row.sum(dtype=np.int64))
        checksum = (total + 2**15) % 2**16 - 2**15
        scale = f"{_number(float(g))}({z})/mV"
        lines.append(f"{data_file} {form} {scale} 16 {z} {int(row[0])} {checksum} 0 {lead}")
    lines += _comment_lines(name, labels, age, sex, synthetic, comments)
    target = Path(folder)
    _replace(target / data_file, body)
    header = target / f"{name}.hea"
    _replace(header, ("\n".join(lines) + "\n").encode("utf-8"))
    return header


def _check(name: str, signal: npt.NDArray[np.float64], fs: float, leads: Sequence[str]) -> None:
    if not _NAME.fullmatch(name):
        raise RecordError(name, "record name", "cannot be written", "use letters, digits and _")
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        problem = f"{fs} Hz is not from {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz"
        raise RecordError(name, "fs", problem, "give the sampling rate in Hz")
    if signal.ndim != 2 or signal.shape[0] != len(leads) or signal.shape[1] == 0 or not leads:
        problem = f"shape {signal.shape} does not fit {len(leads)} leads"
        raise RecordError(name, "signal", problem, "give an array [lead, sample]")
    if len(set(leads)) != len(leads) or any(lead_name(lead) != lead for lead in leads):
        problem = f"{' '.join(leads)!r} are not different standard leads"
        fix = f"use each of {' '.join(STANDARD_LEADS)} once at most"
        raise RecordError(name, "leads", problem, fix)


def _to_counts(
    name: str,
    signal: npt.NDArray[np.float64],
    leads: Sequence[str],
    gains: npt.NDArray[np.float64],
    zeros: npt.NDArray[np.int64],
) -> npt.NDArray[np.int16]:
    """``int16[lead, sample]``; values that do not fit are refused, never clipped."""
    if not np.all(np.isfinite(gains) & (gains > 0)):
        raise RecordError(name, "gain", "must be a positive number", "give counts per mV")
    values = np.rint(signal * gains[:, None]) + zeros[:, None]
    gap = np.isnan(signal)
    too_large = ~gap & ~(np.abs(values) <= _MOST)
    if too_large.any():
        row = int(np.argmax(too_large.any(axis=1)))
        raise RecordError(
            name, f"lead {leads[row]}",
            f"a value of {np.nanmax(np.abs(signal[row])):g} mV does not fit 16 bits at "
            f"{gains[row]:g} counts per mV",
            "write it with a smaller gain",
        )  # fmt: skip
    return np.where(gap, _NAN_COUNT, values).astype(np.int16)


def _comment_lines(
    name: str,
    labels: Sequence[str] | None,
    age: float | None,
    sex: str | None,
    synthetic: bool,
    comments: Sequence[str],
) -> list[str]:
    lines = [] if age is None else [f"#Age: {_years(age)}"]
    lines += [] if sex is None else [f"#Sex: {sex.capitalize()}"]
    lines += [] if labels is None else ["#Dx: " + ",".join(labels)]
    lines += ["#Synthetic: true"] if synthetic else []
    lines += [f"#{comment}" for comment in comments]
    if any(not character.isprintable() for line in lines for character in line):
        problem = "holds line breaks or control characters"
        raise RecordError(name, "comments", problem, "write one line each")
    return lines


def _number(value: float) -> str:
    """Shortest text that reads back as the same number."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _years(age: float) -> str:
    """An age to the six decimals that are read (half a minute), without an exponent."""
    return f"{age:.6f}".rstrip("0").rstrip(".")


def _replace(path: Path, data: bytes) -> None:
    """Write to a temporary name, then rename, so that a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        fix = "check that the folder exists, is writable and has free space"
        raise RecordError(path.name, "file", cannot_be_written(path, error), fix) from None
