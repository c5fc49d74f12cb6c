"""The sound record that every corpus case is a change of, and tools to change it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS

FS, SAMPLES = 500, 3000
RECORD = "rec"


@dataclass(frozen=True, slots=True)
class BadFile:
    """One case: what to read, its name, its family (header, data, file or dicom)."""

    path: Path
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class OddFile:
    """One legal case, and the codes of exactly those quality warnings that it must bring."""

    path: Path
    name: str
    warnings: frozenset[str]


def ecg(seconds: float = SAMPLES / FS, fs: float = FS) -> npt.NDArray[np.float64]:
    """``float64[12, sample]``, mV: beats with sound limb leads and no flat or clipped part."""
    n = round(seconds * fs)
    time = np.arange(n) / fs
    wave = 0.05 * np.sin(2 * np.pi * 0.31 * time)
    for peak in np.arange(0.4, seconds, 0.83):
        for delay, width, height in ((0, 0.012, 1.0), (0.25, 0.05, 0.3), (-0.16, 0.03, 0.15)):
            wave += height * np.exp(-0.5 * ((time - peak - delay) / width) ** 2)
    noise = np.random.default_rng(7).normal(0, 0.01, (8, n))
    one, two = 0.7 * wave + 0.08 + noise[0], wave - 0.03 + noise[1]
    chest = [(0.3 * k - 0.5) * wave + noise[2 + k] for k in range(6)]
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.stack([*limbs, *chest])


def good_record(folder: Path, **changes: object) -> Path:
    """The sound record, as ``rec.hea`` with ``rec.mat`` (or as ``changes`` say)."""
    settings: dict[str, object] = {
        "signal_mv": ecg(), "fs": FS, "leads": STANDARD_LEADS, "labels": ["426783006"],
        "age": 60, "sex": "female",
    }  # fmt: skip
    return write_record(folder, RECORD, **(settings | changes))  # type: ignore[arg-type]


Edit = Callable[[bytes], bytes]


def edited(path: Path, edit: Edit) -> Path:
    """Rewrite a file through a function of its bytes."""
    path.write_bytes(edit(path.read_bytes()))
    return path


def header(edit: Edit, **changes: object) -> Callable[[Path], Path]:
    """A case: the sound record with another header."""
    return lambda folder: edited(good_record(folder, **changes), edit)


def data(edit: Edit, **changes: object) -> Callable[[Path], Path]:
    """A case: the sound record with another data file."""

    def make(folder: Path) -> Path:
        path = good_record(folder, **changes)
        edited(path.with_suffix(f".{changes.get('fmt', 'mat')}"), edit)
        return path

    return make


def lines(text: bytes) -> list[list[bytes]]:
    """Header as fields by line."""
    return [line.split(b" ") for line in text.rstrip(b"\n").split(b"\n")]


def joined(rows: list[list[bytes]]) -> bytes:
    """The inverse of :func:`lines`."""
    return b"\n".join(b" ".join(row) for row in rows) + b"\n"


def record_field(index: int, value: bytes | None) -> Edit:
    """Replace (or, with ``None``, cut from there) a field of the record line."""

    def edit(text: bytes) -> bytes:
        rows = lines(text)
        rows[0][index : None if value is None else index + 1] = [] if value is None else [value]
        return joined(rows)

    return edit


def signal_field(index: int, value: bytes, signals: range = range(1, 13)) -> Edit:
    """Replace one field of the signal lines (1 = the first)."""

    def edit(text: bytes) -> bytes:
        rows = lines(text)
        for number in signals:
            rows[number][index] = value
        return joined(rows)

    return edit


def without_field(index: int, signal: int = 1) -> Edit:
    """Leave one field of a signal line out."""

    def edit(text: bytes) -> bytes:
        rows = lines(text)
        del rows[signal][index]
        return joined(rows)

    return edit


def mat4(
    values: npt.NDArray[np.generic], kind: int, name: bytes = b"val\0", imaginary: bool = False
) -> bytes:
    """A MATLAB v4 file; ``kind`` is MATLAB's MOPT number."""
    order = ">" if kind >= 1000 else "<"
    rows, columns = values.shape
    head = struct.pack(order + "5i", kind, rows, columns, imaginary, len(name)) + name
    body = values.astype(values.dtype.newbyteorder(order)).T.tobytes()
    return head + body * (2 if imaginary else 1)


def counts() -> npt.NDArray[np.int16]:
    """``int16[12, sample]``: the counts of the sound record."""
    return np.rint(ecg() * 1000).astype(np.int16)


def mat5_head() -> bytes:
    """The first 128 bytes of a MATLAB v5 file."""
    return b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM"


def mat5_crash(type_code: int) -> bytes:
    """192 bytes whose data tag has an unknown type; ``scipy.io.loadmat`` dies of it."""
    flags = struct.pack("<4I", 6, 8, 6, 0)
    shape = struct.pack("<2I2i", 5, 8, 1, 1)
    name = struct.pack("<2I", 1, 3) + b"val\0\0\0\0\0"
    value = struct.pack("<2Id", type_code, 8, 0.0)
    matrix = (flags + shape + name)[:40] + value
    return mat5_head() + struct.pack("<2I", 14, len(matrix)) + matrix


def mat5_bomb(megabytes: int = 2600) -> bytes:
    """A v5 file of about 2.5 MB whose one variable inflates to 2.6 GB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    total = megabytes << 20
    adler = ((total % 65521) << 16) | 1
    packed = b"\x78\xda" + block * megabytes + b"\x03\x00" + struct.pack(">I", adler)
    return mat5_head() + struct.pack("<2I", 15, len(packed)) + packed


def written_by_scipy(value: object, name: str = "val", compress: bool = False) -> bytes:
    """What ``scipy.io.savemat`` makes of a value (version 5)."""
    import io

    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, {name: value}, do_compression=compress)
    return buffer.getvalue()
