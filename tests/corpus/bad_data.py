"""Data files that must be refused, under sound headers, and things that are no files at all."""

from __future__ import annotations

import os
import pickle  # only to plant a file that nobody may ever load
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.corpus.base import (
    RECORD,
    Edit,
    counts,
    data,
    ecg,
    edited,
    good_record,
    mat4,
    mat5_bomb,
    mat5_crash,
    written_by_scipy,
)

__all__ = ["DATA", "FILES"]

Make = Callable[[Path], Path]


def _mat(content: Callable[[], bytes]) -> Make:
    """Another ``.mat``; made only when the case is."""
    return data(lambda _: content())


def _head(*numbers: int, name: bytes = b"val\0") -> Edit:
    return lambda body: struct.pack("<5i", *numbers) + name + body[24:]


def _swap(body: bytes) -> bytes:
    return body[:24] + np.frombuffer(body[24:], "<i2").byteswap().tobytes()


def _zero_start() -> np.ndarray:
    """A record whose first values are their own byte swap."""
    signal = ecg()
    signal[:, 0] = 0
    return signal


def _reinterpreted(kind: str, scale: float) -> Edit:
    """Samples of another type under the head of an int16 matrix, cut to the length it claims."""
    values = (ecg() * scale).astype(kind)
    return lambda body: body[:24] + values.T.tobytes()[: len(body) - 24]


def _hdf5() -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(2000)


MAT: dict[str, Make] = {
    "mat_cut_in_half": data(lambda body: body[: len(body) // 2]),
    "mat_cut_to_24": data(lambda body: body[:24]),
    "mat_cut_to_10": data(lambda body: body[:10]),
    "mat_empty": data(lambda body: b""),
    "mat_zeros": data(lambda body: bytes(len(body))),
    "mat_ones": data(lambda body: b"\xff" * len(body)),
    "mat_text": data(lambda body: b"not found\n"),
    "mat_one_byte_short": data(lambda body: body[:-1]),
    "mat_one_byte_long": data(lambda body: body + b"\0"),
    "mat_two_variables": data(lambda body: body + body),
    "mat_transposed": _mat(lambda: mat4(counts().T.copy(), 30)),
    "mat_row": _mat(lambda: mat4(counts().reshape(1, -1), 30)),
    "mat_column": _mat(lambda: mat4(counts().reshape(-1, 1), 30)),
    "mat_11_rows": _mat(lambda: mat4(counts()[:11], 30)),
    "mat_13_rows": _mat(lambda: mat4(np.vstack([counts(), counts()[:1]]), 30)),
    "mat_fewer_samples": _mat(lambda: mat4(counts()[:, :-1], 30)),
    "mat_more_samples": _mat(lambda: mat4(np.hstack([counts(), counts()[:, :50]]), 30)),
    "mat_no_samples": _mat(lambda: mat4(counts()[:, :0], 30)),
    "mat_complex": _mat(lambda: mat4(counts(), 30, imaginary=True)),
    "mat_text_matrix": _mat(lambda: mat4(counts(), 31)),
    "mat_sparse": _mat(lambda: mat4(counts(), 32)),
    "mat_other_name": _mat(lambda: mat4(counts(), 30, name=b"ecg\0")),
    "mat_upper_name": _mat(lambda: mat4(counts(), 30, name=b"VAL\0")),
    "mat_longer_name": _mat(lambda: mat4(counts(), 30, name=b"value\0")),
    "mat_name_without_end": data(_head(30, 12, 3000, 0, 4, name=b"vals")),
    "mat_name_of_2_gb": data(_head(30, 12, 3000, 0, 2**31 - 1)),
    "mat_name_negative": data(_head(30, 12, 3000, 0, -1)),
    "mat_rows_1e9": data(_head(30, 10**9, 3000, 0, 4)),
    "mat_rows_negative": data(_head(30, -12, -3000, 0, 4)),
    "mat_unknown_precision": data(_head(90, 12, 3000, 0, 4)),
    "mat_vax": data(_head(2030, 12, 3000, 0, 4)),
    "mat_big_endian": _mat(lambda: mat4(counts(), 1030)),
    "mat_int32": _mat(lambda: mat4(counts().astype(np.int32), 20)),
    "mat_uint16": _mat(lambda: mat4(counts().view(np.uint16), 40)),
    "mat_uint8": _mat(lambda: mat4(counts().astype(np.uint8), 50)),
    "mat_single": _mat(lambda: mat4(ecg().astype(np.float32), 10)),
    "mat_double": _mat(lambda: mat4(ecg(), 0)),
    "mat_int32_as_int16": data(_reinterpreted("<i4", 1000)),
    "mat_float32_as_int16": data(_reinterpreted("<f4", 1)),
    "mat_float64_as_int16": data(_reinterpreted("<f8", 1)),
    "mat_byte_swapped": data(_swap),
    "mat_byte_swapped_from_zero": data(_swap, signal_mv=_zero_start()),
    "mat_other_recording": data(lambda body: body[:24] + body[3000:] + body[24:3000]),
    "mat_leads_rotated": _mat(lambda: mat4(np.roll(counts(), 1, axis=0), 30)),
    "mat_v5": _mat(lambda: written_by_scipy(counts())),
    "mat_v5_packed": _mat(lambda: written_by_scipy(counts(), compress=True)),
    "mat_v5_3d": _mat(lambda: written_by_scipy(counts().reshape(12, 3, -1))),
    "mat_v5_cell": _mat(lambda: written_by_scipy(np.array([counts(), "x"], dtype=object))),
    "mat_v5_text": _mat(lambda: written_by_scipy("val")),
    "mat_v5_struct": _mat(lambda: written_by_scipy({"val": counts()})),
    "mat_v5_crash_8": _mat(lambda: mat5_crash(8)),
    "mat_v5_crash_200": _mat(lambda: mat5_crash(200)),
    "mat_v5_bomb": _mat(mat5_bomb),
    "mat_v7_hdf5": _mat(_hdf5),
    "mat_pickle": _mat(lambda: pickle.dumps({"val": list(range(10))})),
    "mat_npy_objects": _mat(lambda: b"\x93NUMPY\x01\0v\0{'descr': '|O', 'shape': (12, 3000)}"),
    "mat_zip": _mat(lambda: b"PK\x03\x04" + bytes(200)),
}

DAT: dict[str, Make] = {
    "dat_cut": data(lambda body: body[: len(body) // 2], fmt="dat"),
    "dat_empty": data(lambda body: b"", fmt="dat"),
    "dat_odd_byte": data(lambda body: body[:-1], fmt="dat"),
    "dat_longer": data(lambda body: body + body[:24], fmt="dat"),
    "dat_is_mat": data(lambda body: mat4(counts(), 30), fmt="dat"),
    "dat_zeros": data(lambda body: bytes(len(body)), fmt="dat"),
    "dat_random": data(lambda body: np.random.default_rng(3).bytes(len(body)), fmt="dat"),
    "dat_byte_swapped": data(
        lambda body: np.frombuffer(body, "<i2").byteswap().tobytes(), fmt="dat"
    ),
    "dat_text": data(lambda body: b"0 1 2 3\n" * 100, fmt="dat"),
}


def _dat_format(code: bytes, size: Callable[[int], int]) -> Make:
    """A header of another format over a file of int16 samples, cut to the length it claims."""

    def make(folder: Path) -> Path:
        path = good_record(folder, fmt="dat")
        edited(path, lambda text: text.replace(b".dat 16 ", b".dat " + code + b" "))
        edited(path.with_suffix(".dat"), lambda body: (body * 3)[: size(len(body) // 2)])
        return path

    return make


DAT |= {
    "dat_int16_as_212": _dat_format(b"212", lambda n: n * 3 // 2),
    "dat_int16_as_24": _dat_format(b"24", lambda n: n * 3),
    "dat_int16_as_32": _dat_format(b"32", lambda n: n * 4),
    "dat_int16_as_80": _dat_format(b"80", lambda n: n),
    "dat_int16_as_160": _dat_format(b"160", lambda n: n * 2),
    "dat_int16_as_61": _dat_format(b"61", lambda n: n * 2),
    "dat_212_short": _dat_format(b"212", lambda n: n * 3 // 2 - 3),
    "dat_24_long": _dat_format(b"24", lambda n: n * 3 + 1),
}

DATA = MAT | DAT


def _augmented(folder: Path) -> Path:
    """A header that was copied and renamed, but still names the original's data."""
    text = good_record(folder).read_bytes()
    copy = folder / "rec_aug.hea"
    copy.write_bytes(text.replace(b"rec 12", b"rec_aug 12", 1))
    return copy


def _augmented_all_of_it(folder: Path) -> Path:
    """As above, with the name on line 1 left as it was."""
    original = good_record(folder)
    return original.rename(folder / "rec_aug.hea")


def _sparse(folder: Path) -> Path:
    path = good_record(folder)
    with path.with_suffix(".mat").open("r+b") as file:
        file.truncate(1 << 40)
    return path


def _long_zeros(folder: Path) -> Path:
    """80 MB of zeros, as many as the header claims; they take no room on the disk."""
    path = good_record(folder, fmt="dat")
    edited(path, lambda text: text.replace(b"500 3000", b"500 3333333", 1))
    with path.with_suffix(".dat").open("r+b") as file:
        file.truncate(0)
        file.truncate(3333333 * 24)
    return path


def _no_data(folder: Path) -> Path:
    path = good_record(folder)
    path.with_suffix(".mat").unlink()
    return path


def _data_is(what: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> Path:
        path = _no_data(folder)
        what(path.with_suffix(".mat"))
        return path

    return make


def _header_is(what: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> Path:
        path = folder / f"{RECORD}.hea"
        what(path)
        return path

    return make


def _no_header(suffix: str, give: str) -> Make:
    def make(folder: Path) -> Path:
        good_record(folder, fmt=suffix).unlink()
        return folder / f"{RECORD}{give}"

    return make


def _file(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


FILES: dict[str, Make] = {
    "header_missing": _header_is(lambda path: None),
    "header_is_folder": _header_is(Path.mkdir),
    "header_is_pipe": _header_is(os.mkfifo),
    "header_links_to_itself": _header_is(lambda path: path.symlink_to(path.name)),
    "header_links_to_nothing": _header_is(lambda path: path.symlink_to("gone.hea")),
    "header_links_to_zeros": _header_is(lambda path: path.symlink_to("/dev/zero")),
    "header_links_to_null": _header_is(lambda path: path.symlink_to("/dev/null")),
    "data_missing": _no_data,
    "data_is_folder": _data_is(Path.mkdir),
    "data_is_pipe": _data_is(os.mkfifo),
    "data_links_to_itself": _data_is(lambda path: path.symlink_to(path.name)),
    "data_links_to_zeros": _data_is(lambda path: path.symlink_to("/dev/zero")),
    "data_links_to_passwd": _data_is(lambda path: path.symlink_to("/etc/passwd")),
    "data_sparse_1_tb": _sparse,
    "data_80_mb_of_zeros": _long_zeros,
    "mat_without_header": _no_header("mat", ".mat"),
    "dat_without_header": _no_header("dat", ".dat"),
    "name_without_header": _no_header("dat", ""),
    "augmented_names_original": _augmented,
    "augmented_is_a_copy": _augmented_all_of_it,
    "pdf": _file("ecg.pdf", b"%PDF-1.4\n"),
    "xml": _file("ecg.xml", b"<?xml version='1.0'?><AnnotatedECG/>"),
    "edf": _file("ecg.edf", b"0       " + b" " * 248),
    "csv": _file("ecg.csv", b"I,II\n0,1\n"),
    "long_name": _file("x" * 240 + ".dcm", b""),
}
