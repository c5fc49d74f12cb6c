"""Bare arrays: NumPy (``.npy``), CSV, MATLAB version 5 and HDF5.

An array does not say what it is: rate, unit and lead names are given by the caller, or by the name
of a data set whose files are known, and never guessed.
"""

from __future__ import annotations

import csv
import io
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.foreign.waveform import Given, Waveform, checked_size, mv_per, refused
from ecgxai_core.records.leads import signed_lead
from ecgxai_core.settings import settings
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["DATASETS", "read_csv", "read_hdf5", "read_mat5", "read_npy"]

_WAY = "give what is missing: --fs HZ --units mV --leads I,II,..."
_NUMBERS = {"sample", "samples", "index", ""}
_TIME = {"time", "t", "seconds", *_NUMBERS}
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
_SAME_RATE = 0.01
"""Of rates that count as one: times are rounded. 250 and 257 Hz differ by three times as much."""
_MOST_OBJECTS = 200


@dataclass(frozen=True, slots=True)
class KnownSet:
    """Where the arrays of a data set lie, and what they are."""

    array: str
    fs: float
    units: str
    leads: tuple[str, ...]
    licence: str


DATASETS: Mapping[str, KnownSet] = MappingProxyType(
    {"sph": KnownSet("ecg", 500.0, "mV", STANDARD_LEADS, "CC BY 4.0")}
)
"""SPH: Liu et al., Sci Data 2022;9:272 (500 Hz, mV, [lead, sample], one file a record)."""


def read_npy(data: bytes, where: str, given: Given) -> Waveform:
    """Read a NumPy array ``[lead, sample]``, ``[sample, lead]`` or ``[record, ...]``.

    Raises
    ------
    RecordError
        The file holds objects, is cut, or rate, unit and leads are not known.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, kind = read(stream, max_header_size=10_000)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise refused(where, "head", f"is no NumPy head ({type(error).__name__})") from None
    _check_array(where, kind, shape)
    start, size = stream.tell(), math.prod(shape) * kind.itemsize
    if len(data) - start != size:
        raise refused(where, "length", f"holds {len(data) - start} bytes, not {size}: it is cut")
    values = np.frombuffer(data, kind, offset=start).reshape(shape, order="F" if fortran else "C")
    return _waveform(where, values, given)


def read_csv(data: bytes, where: str, given: Given) -> Waveform:
    """Read a table with one column per lead; a first line may name them, with units in brackets.

    Columns of times and sample numbers must go up in equal steps. A time with a unit gives the rate
    where the caller does not; any time must fit the rate that is given.

    Raises
    ------
    RecordError
        A cell is no number, rows differ in length, rate, unit and leads are not known, rows are
        missing, or the times are of another rate.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refused(where, "encoding", "is not UTF-8 text") from None
    first = text[:10_000].splitlines()[:1]
    if not first or "\0" in text[:10_000]:
        raise refused(where, "content", "holds no table")
    mark = max(",;\t", key=first[0].count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark) if row]
    except csv.Error as error:
        raise refused(where, "content", f"is no table ({error})") from None
    names: list[str] | None = None
    if rows and any(rows[0]) and all(_is_name(cell) or not cell.strip() for cell in rows[0]):
        names, rows = [cell.strip() for cell in rows[0]], rows[1:]
    width = len(names or rows[0] if rows else ())
    if not rows or width > 200 or len(rows) * width > settings().max_record_values:
        raise refused(where, "size", f"{len(rows)} rows x {width} columns are no ECG")
    values = np.empty((len(rows), width))
    for number, row in enumerate(rows):
        if len(row) != width:
            raise refused(where, f"row {number + 1}", f"has {len(row)} cells, not {width}")
        try:
            values[number] = [float(cell) if cell.isascii() and "_" not in cell else 1 / 0
                              for cell in row]  # fmt: skip
        except (ValueError, ZeroDivisionError):
            raise refused(where, f"row {number + 1}", "holds a cell that is no number") from None
    if names is None:
        if any(np.array_equal(values[0], np.arange(k, k + width)) for k in (0, 1)):
            raise refused(where, "first line", "numbers the columns", "remove it, or write names")
        return _waveform(where, values.T, given)
    return _named(where, values, names, given)


def _is_name(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return bool(cell.strip())
    return False


def _named(where: str, values: npt.NDArray[np.float64], names: list[str], given: Given) -> Waveform:
    """Columns by the names of the first line, ``I``, ``I (mV)`` or ``I [uV]``."""
    leads, units, kept, fs = [], set(), [], given.fs
    for n, text in enumerate(names):
        name, _, told_unit = (part.strip(" )]") for part in text.replace("[", "(").partition("("))
        if name.lower() in _TIME:
            fs = _timed(where, values[:, n], name.lower(), told_unit.lower(), fs)
            continue
        kept.append(n)
        leads.append(name)
        units.add(told_unit)
    if len(units - {""}) > 1 or (len(units) > 1 and "" in units):
        raise refused(where, "first line", "the columns have different units, or some have none")
    unit = given.units or next(iter(units - {""}), None)
    told = Given(fs, unit, given.leads or tuple(leads), given.dataset, given.index)
    return _waveform(where, values[:, kept].T, told)


def _timed(
    where: str, times: npt.NDArray[np.float64], name: str, unit: str, fs: float | None
) -> float | None:
    """The rate that is given, Hz, else the one of a column of times, or ``None``."""
    at = f"column {name}" if name else "column without a name"
    mean = _step(where, at, times)
    if name in _NUMBERS:
        return fs
    second = _SECONDS.get(unit or name)
    if fs is None:
        return None if second is None else _rate(mean * second)
    possible = [second] if second is not None else [1.0, 1e-3, 1e-6]
    if not any(abs(1 / (mean * s) - fs) <= _SAME_RATE * fs for s in possible):
        step = f"{mean:g} {unit}".strip()
        raise refused(
            where, at, f"goes up by {step} a row, which does not fit {fs:g} Hz",
            "correct --fs, or call the column sample if it counts rows",
        )  # fmt: skip
    return fs


def _step(where: str, at: str, times: npt.NDArray[np.float64]) -> float:
    """The mean step of a column that goes up in equal steps, but for the rounding of its cells."""
    with np.errstate(all="ignore"):
        steps = np.diff(times)
        usual = float(np.median(steps)) if len(steps) else math.nan
        even = np.abs(steps - usual) <= usual / 2
    if not 1e-9 < usual < 1e9 or not even.all():
        row = int(np.argmin(even)) + 2 if len(steps) else 1
        raise refused(
            where, at, f"row {row} does not follow in equal steps: rows are missing or repeated",
            "export every sample, with enough decimals of its time",
        )  # fmt: skip
    return float(times[-1] - times[0]) / len(steps)


def _rate(seconds: float) -> float:
    """Hz of a step; a whole number where the rounding of times can be all that it lacks."""
    fs = 1 / seconds
    return float(round(fs)) if abs(fs - round(fs)) < 1e-3 * fs else fs


def read_mat5(data: bytes, where: str, given: Given) -> Waveform:
    """Read the one numeric matrix of a MATLAB version 5 file, or the one called ``val``.

    The format is that of MathWorks, *MAT-File Format*; SciPy's reader is not used: damaged files
    can end the process in it.

    Raises
    ------
    RecordError
        There is not one real, full, numeric matrix, or rate, unit and leads are not known.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or len(data) < 136:
        raise refused(where, "head", "is no MATLAB version 5 head")
    found: dict[str, npt.NDArray[Any]] = {}
    position = 128
    while position + 8 <= len(data) and len(found) < _MOST_OBJECTS:
        kind, body, position = _element(where, data, position, order)
        if kind == 15:
            kind, body, _ = _element(where, _unpacked(where, body, order), 0, order)
        if kind == 14:
            name, values = _matrix(where, body, order)
            if values is not None:
                found[name] = values
    if "val" in found:
        return _waveform(where, found["val"], given)
    if len(found) != 1:
        names = ", ".join(list(found)[:5]) or "none"
        raise refused(where, "variables", f"not one numeric matrix is there, but: {names}", _WAY)
    return _waveform(where, next(iter(found.values())), given)


_MAT_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_MAT_NUMERIC = range(6, 16)


def _element(where: str, data: bytes, position: int, order: str) -> tuple[int, bytes, int]:
    """Type and body of the element at a position, and where the next one begins."""
    if position + 8 > len(data):
        raise refused(where, "element", "the file ends inside an element: it is cut")
    kind, size = struct.unpack_from(order + "II", data, position)
    if kind >> 16:  # up to four bytes are packed beside their type
        size, kind = kind >> 16, kind & 0xFFFF
        if size > 4:
            raise refused(where, "element", "a small element is not small")
        return kind, data[position + 4 : position + 4 + size], position + 8
    body = data[position + 8 : position + 8 + size]
    if len(body) != size:
        raise refused(where, "element", "claims more bytes than there are: the file is cut")
    padded = size if kind == 15 else -(-size // 8) * 8
    return kind, body, position + 8 + padded


def _unpacked(where: str, body: bytes, order: str) -> bytes:
    """A packed element; its head says how long it is, which is checked before it is unpacked."""
    most = 8 * settings().max_record_values + 1000
    try:
        head = zlib.decompressobj().decompress(body, 8)
        size = struct.unpack(order + "I", head[4:])[0] if len(head) == 8 else most + 1
        if size > most:
            raise refused(where, "variable", f"unpacks to more than {most} bytes")
        return zlib.decompressobj().decompress(body, 8 + size)
    except zlib.error:
        raise refused(where, "variable", "cannot be unpacked: damaged") from None


def _matrix(where: str, body: bytes, order: str) -> tuple[str, npt.NDArray[Any] | None]:
    """Name and values of a matrix; no values where it is not numeric."""
    _, flags, at = _element(where, body, 0, order)
    kind, shape, at = _element(where, body, at, order)
    _, name, at = _element(where, body, at, order)
    if len(flags) != 8 or kind != 5 or len(shape) % 4:
        raise refused(where, "variable", "does not begin like a MATLAB matrix")
    flag = struct.unpack_from(order + "I", flags)[0]
    title = "".join(c for c in name[:60].decode("latin-1") if c.isprintable()) or "variable"
    sizes = [int(n) for n in np.frombuffer(shape, order + "i4")]
    if flag & 0xFF not in _MAT_NUMERIC or len(sizes) != 2:
        return title, None
    if flag & 0x800:
        raise refused(where, title, "is complex")
    kind, values, _ = _element(where, body, at, order)
    if kind not in _MAT_TYPES:
        raise refused(where, title, f"has the unknown number type {kind}")
    found = np.frombuffer(values[: len(values)], order + _MAT_TYPES[kind])
    if min(sizes) < 1 or sizes[0] * sizes[1] != len(found):
        raise refused(where, title, f"is {sizes[0]} x {sizes[1]}, but holds {len(found)} numbers")
    return title, found.reshape(sizes, order="F")


def read_hdf5(path: Path, where: str, given: Given) -> Waveform:
    """Read an array of an HDF5 file: the one that the data set has, else the only one.

    Nothing that an HDF5 file may point to is followed, and no more than one record is read.

    Raises
    ------
    RecordError
        There is not one plain numeric array, or rate, unit and leads are not known.
    """
    import h5py

    known = DATASETS.get(given.dataset or "")
    try:
        with h5py.File(path, "r", locking=False) as file:
            name = _hdf5_array(where, file, known.array if known else None)
            data = file[name]
            _check_array(where, data.dtype, data.shape)
            if data.external or data.is_virtual:
                raise refused(where, name, "keeps its values in another file")
            chunk = math.prod(data.chunks or (1,)) * data.dtype.itemsize
            if chunk > 9 * settings().max_record_values:
                raise refused(where, name, f"is packed in pieces of {chunk} bytes")
            if data.ndim == 3:
                _check_index(where, given.index, data.shape[0])
                return _waveform(where, np.asarray(data[given.index]), given, data.shape[0])
            return _waveform(where, np.asarray(data[()]), given)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise refused(
            where, "content", f"cannot be read as HDF5 ({type(error).__name__})",
            "copy the file again, or export the ECG again",
        ) from error  # fmt: skip


def _hdf5_array(where: str, file: Any, wanted: str | None) -> str:
    """Name of the array to read: numeric, of two or three dimensions, in the file itself."""
    import h5py

    if len(file) > _MOST_OBJECTS:
        raise refused(where, "content", f"holds more than {_MOST_OBJECTS} objects")
    found = []
    for name in list(file):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            continue
        item = file[name]
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3):
            found.append(str(name))
    if wanted is not None and wanted not in found:
        raise refused(where, wanted, "the file holds no such array", "check --dataset")
    if wanted is None and len(found) != 1:
        problem = f"holds {len(found)} arrays of two or three dimensions; one is read"
        raise refused(where, "content", problem, "give --dataset, or a file with one array")
    return wanted or found[0]


def _check_index(where: str, index: int, n_records: int) -> None:
    if not 0 <= index < n_records:
        raise refused(where, "record", f"number {index} is not from 0 to {n_records - 1}")


def _check_array(where: str, kind: np.dtype[Any], shape: Sequence[int]) -> None:
    """Refuse types and sizes before values are read."""
    if kind.kind not in "iuf" or kind.itemsize > 8 or kind.hasobject:
        raise refused(where, "number type", f"{str(kind)[:40]!r} is no plain number")
    if len(shape) not in (2, 3) or min(shape, default=0) < 1:
        raise refused(where, "shape", f"{tuple(shape)} is neither [lead, sample] nor [record, ...]")
    if math.prod(shape[-2:]) > settings().max_record_values:
        raise refused(where, "shape", f"{tuple(shape)} has too many values for one record")


def _waveform(where: str, values: npt.NDArray[Any], given: Given, n_records: int = 1) -> Waveform:
    """The record of an array, with what the caller or the data set says of it."""
    known = DATASETS.get(given.dataset or "")
    if given.dataset and known is None:
        raise refused(
            where, "--dataset", f"{given.dataset!r} is not one of {', '.join(DATASETS)}",
            "give --fs, --units and --leads instead",
        )  # fmt: skip
    fs = given.fs or (known.fs if known else None)
    units = given.units or (known.units if known else None)
    leads = given.leads or (known.leads if known else None)
    missing = {"--fs": fs, "--units": units, "--leads": leads}
    absent = [name for name, value in missing.items() if value is None]
    if fs is None or units is None or leads is None:
        raise refused(where, ", ".join(absent), "the file does not say it, and nobody else", _WAY)
    if values.ndim == 3:
        n_records = values.shape[0]
        _check_index(where, given.index, n_records)
        values = values[given.index]
    rows = _by_lead(where, values, leads)
    checked_size(where, len(leads), rows.shape[1], fs)
    signal = rows.astype(np.float64) * mv_per(where, "--units", units)
    if np.isinf(signal).any() or np.abs(np.nan_to_num(signal)).max() > 1e6:
        raise refused(where, "values", "are infinite or beyond every ECG: the unit is wrong")
    return Waveform(tuple(leads), signal, fs, n_records=n_records)


def _by_lead(where: str, values: npt.NDArray[Any], leads: Sequence[str]) -> npt.NDArray[Any]:
    """``[lead, sample]``, whichever way round the array is."""
    fits = [n for n, size in enumerate(values.shape) if size == len(leads)]
    if len(fits) != 1:
        raise refused(
            where, "shape",
            f"{values.shape} does not have the {len(leads)} leads on exactly one side",
            "name the leads in the order of the file: --leads I,II,...",
        )  # fmt: skip
    if not any(signed_lead(name) for name in leads):
        raise refused(where, "--leads", "none is one of the 12 standard leads", _WAY)
    return values if fits[0] == 0 else values.T
