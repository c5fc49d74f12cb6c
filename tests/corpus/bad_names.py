"""Odd file names, things that are no files, links to the wrong place, and files of other kinds."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import socket
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.corpus.base import RECORD, counts, data, edited, good_record, mat4
from tests.corpus.dicom_files import dicom_bytes

__all__ = ["CASES"]

Make = Callable[[Path], Path]

NAMES = {
    "formula": "@SUM(1+1)",
    "formula_cmd": "=cmd|' C calc'!A0",
    "html": "<img src=x onerror=alert(1)>",
    "line_break": "rec\nrec",
    "escape": "rec\x1b[2J",
    "option": "-rf",
    "shell": "rec;id;$(id)",
    "right_to_left": "rec\u202eaeh",
    "spaces": "rec  ",
    "percent": "rec%00%2e%2e",
    "not_utf_8": os.fsdecode(b"rec\xff\xfe"),
    "long": "r" * 250,
    "hidden": "..rec",
    "emoji": "rec\N{BLACK HEART}",
}


def _named(name: str) -> Make:
    """A sound record under this name, which its header gives as well."""

    def make(folder: Path) -> Path:
        path = good_record(folder)
        text = path.read_bytes().replace(b"rec", os.fsencode(name))
        path.unlink()
        path.with_suffix(".mat").rename(folder / f"{name}.mat")
        other = folder / f"{name}.hea"
        other.write_bytes(text)
        return other

    return make


def _only(what: Callable[[Path], object], suffix: str) -> Make:
    """No record, but this thing under its name."""

    def make(folder: Path) -> Path:
        path = folder / f"{RECORD}{suffix}"
        what(path)
        return path

    return make


def _data_is(what: Callable[[Path], object]) -> Make:
    """A sound header whose data file is this thing."""

    def make(folder: Path) -> Path:
        path = good_record(folder)
        path.with_suffix(".mat").unlink()
        what(path.with_suffix(".mat"))
        return path

    return make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket must be short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def _link(to: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(to)


def _chain(path: Path) -> None:
    """Forty-one links, one more than Linux follows."""
    for number in range(41):
        (path.parent / f"link{number}").symlink_to(f"link{number + 1}")
    (path.parent / "link41").write_bytes(b"")
    path.symlink_to("link0")


def _wave_file() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(12)
        file.setsampwidth(2)
        file.setframerate(500)
        file.writeframes(counts().T.tobytes())
    return stream.getvalue()


def _head(*numbers: int) -> Callable[[bytes], bytes]:
    return lambda body: struct.pack("<5i", *numbers) + body[20:]


def _half_rate(folder: Path) -> Path:
    """Chest leads in a file of their own, at half the rate, as some monitors store them."""
    path = good_record(folder, fmt="dat")
    body = path.with_suffix(".dat").read_bytes()
    frames = np.frombuffer(body, "<i2").reshape(-1, 12)
    path.with_suffix(".dat").write_bytes(frames[:, :6].tobytes())
    path.with_suffix(".mat").write_bytes(mat4(frames[::2, 6:].T.copy(), 30))
    rows = [line.split(b" ") for line in path.read_bytes().splitlines()]
    for row in rows[7:13]:
        row[0], row[1] = b"rec.mat", b"16+24"
    path.write_bytes(b"\n".join(b" ".join(row) for row in rows) + b"\n")
    return path


def _two_rates(folder: Path) -> Path:
    """One file in which the chest leads have two samples a frame."""
    path = good_record(folder, fmt="dat")

    def twice(text: bytes) -> bytes:
        rows = text.split(b"\n")
        rows[7:13] = [row.replace(b".dat 16 ", b".dat 16x2 ") for row in rows[7:13]]
        return b"\n".join(rows)

    edited(path.with_suffix(".dat"), lambda body: body + body[: len(body) // 2])
    return edited(path, twice)


def _other_folder(folder: Path) -> Path:
    """The data file is a link to that of another record."""
    (folder / "other").mkdir()
    other = good_record(folder / "other").with_suffix(".mat")
    edited(other, lambda body: body[:24] + body[24:][::-1])
    path = good_record(folder)
    path.with_suffix(".mat").unlink()
    path.with_suffix(".mat").symlink_to(other)
    return path


def _long_path(folder: Path) -> Path:
    return folder / ("x" * 300 + ".hea")


CASES: dict[str, Make] = {f"name_{name}": _named(text) for name, text in NAMES.items()} | {
    "name_too_long": _long_path,
    "name_with_nul": lambda folder: folder / "rec\0.hea",
    "dicom_is_pipe": _only(os.mkfifo, ".dcm"),
    "dicom_is_folder": _only(Path.mkdir, ".dcm"),
    "dicom_is_socket": _only(_socket, ".dcm"),
    "dicom_links_to_itself": _only(_link("rec.dcm"), ".dcm"),
    "dicom_links_to_zeros": _only(_link("/dev/zero"), ".dcm"),
    "dicom_links_to_full": _only(_link("/dev/full"), ".dcm"),
    "dicom_links_to_memory": _only(_link("/proc/self/mem"), ".dcm"),
    "dicom_links_to_environment": _only(_link("/proc/self/environ"), ".dcm"),
    "no_suffix_is_pipe": _only(os.mkfifo, ""),
    "no_suffix_links_to_terminal": _only(_link("/dev/tty"), ""),
    "header_is_socket": _only(_socket, ".hea"),
    "header_links_to_random": _only(_link("/dev/urandom"), ".hea"),
    "header_links_to_its_data": _only(_link("rec.mat"), ".hea"),
    "header_chain_of_links": _only(_chain, ".hea"),
    "data_is_socket": _data_is(_socket),
    "data_links_to_header": _data_is(_link("rec.hea")),
    "data_links_to_random": _data_is(_link("/dev/urandom")),
    "data_links_to_memory": _data_is(_link("/proc/self/mem")),
    "data_chain_of_links": _data_is(_chain),
    "data_of_another_record": _other_folder,
    "mat_gzip": data(gzip.compress),
    "mat_xz": data(lzma.compress),
    "mat_wave": data(lambda body: _wave_file()),
    "mat_dicom": data(lambda body: dicom_bytes()),
    "mat_vax_g": data(_head(3030, 12, 3000, 0, 4)),
    "mat_cray": data(_head(4030, 12, 3000, 0, 4)),
    "mat_size_wraps_32_bits": data(_head(30, 65536, 65536, 0, 4)),
    "mat_size_wraps_64_bits": data(_head(30, 2**31 - 1, 2**31 - 1, 0, 4)),
    "mat_imaginary_flag_2": data(_head(30, 12, 3000, 2, 4)),
    "mat_rows_and_columns_exchanged": data(_head(30, 3000, 12, 0, 4)),
    "mat_reversed": data(lambda body: body[:24] + body[24:][::-1]),
    "mat_shifted_by_a_byte": data(lambda body: body[:24] + body[25:] + body[24:25]),
    "mat_shifted_by_a_sample": data(lambda body: body[:24] + body[26:] + body[24:26]),
    "dat_gzip": data(gzip.compress, fmt="dat"),
    "dat_shifted_by_a_byte": data(lambda body: body[1:] + body[:1], fmt="dat"),
    "second_file_at_half_the_rate": _half_rate,
    "leads_of_two_rates": _two_rates,
}
