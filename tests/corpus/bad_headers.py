"""Headers that must be refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.corpus.base import (
    Edit,
    header,
    joined,
    lines,
    record_field,
    signal_field,
    without_field,
)

__all__ = ["CASES"]

Make = Callable[[Path], Path]


def _replace_all(content: bytes) -> Edit:
    return lambda _: content


def _append(content: bytes) -> Edit:
    return lambda text: text + content


def _drop_signal(text: bytes) -> bytes:
    rows = lines(text)
    return joined(rows[:12] + rows[13:])


def _signal_lines_first(text: bytes) -> bytes:
    rows = lines(text)
    return joined(rows[1:13] + rows[:1])


def _wrong_first(text: bytes) -> bytes:
    rows = lines(text)
    rows[3][5] = str(int(rows[3][5]) + 7).encode()
    return joined(rows)


def _noise(size: int) -> bytes:
    return np.random.default_rng(1).bytes(size)


CONTENT: dict[str, Edit] = {
    "header_empty": _replace_all(b""),
    "header_blank": _replace_all(b" \n\n\t\n"),
    "header_only_comments": _replace_all(b"#Age: 60\n#Dx: 426783006\n"),
    "header_one_line": _replace_all(b"rec 12 500 3000\n"),
    "header_binary": _replace_all(_noise(4096)),
    "header_elf": _replace_all(b"\x7fELF\x02\x01\x01" + bytes(64)),
    "header_png": _replace_all(b"\x89PNG\r\n\x1a\n" + _noise(200)),
    "header_gzip": gzip.compress,
    "header_html_page": _replace_all(b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"),
    "header_json": _replace_all(b'{"fs": 500, "leads": 12}\n'),
    "header_utf16_bom": lambda text: text.decode().encode("utf-16"),
    "header_utf16_le": lambda text: text.decode().encode("utf-16-le"),
    "header_utf16_be": lambda text: text.decode().encode("utf-16-be"),
    "header_utf32": lambda text: text.decode().encode("utf-32"),
    "header_nul_in_lead": signal_field(8, b"I\0I", range(1, 2)),
    "header_nul_at_end": _append(b"\0"),
    "header_control_characters": _append(b"# \x1b[2J\x07\n"),
    "header_comment_10_mb": _append(b"#" + b"x" * 10_000_000 + b"\n"),
    "header_comments_10_mb": _append(b"#Dx: 426783006\n" * 700_000),
    "header_line_1_mb": lambda text: b"rec " + b"9" * 1_000_000 + b"\n" + text,
    "header_signals_before_record": _signal_lines_first,
    "header_signal_line_missing": _drop_signal,
    "header_signal_line_extra": lambda text: text.replace(b"#Age", b"rec.mat 16+24 1\n#Age"),
    "first_value_wrong": _wrong_first,
    "header_cut": lambda text: text[: len(text) // 2],
    "header_cut_in_a_number": lambda text: text[:40],
}

RECORD_LINE: dict[str, tuple[int, bytes | None]] = {
    "name_other_record": (0, b"other"),
    "name_path": (0, b"../rec"),
    "name_absolute": (0, b"/etc/rec"),
    "name_html": (0, b"<script>alert(1)</script>"),
    "multi_segment": (0, b"rec/2"),
    "multi_segment_huge": (0, b"rec/1000000000"),
    "n_signals_13": (1, b"13"),
    "n_signals_11": (1, b"11"),
    "n_signals_8": (1, b"8"),
    "n_signals_6": (1, b"6"),
    "n_signals_0": (1, b"0"),
    "n_signals_negative": (1, b"-12"),
    "n_signals_1e9": (1, b"1000000000"),
    "n_signals_float": (1, b"12.0"),
    "n_signals_text": (1, b"twelve"),
    "fs_missing": (2, None),
    "fs_0": (2, b"0"),
    "fs_negative": (2, b"-500"),
    "fs_nan": (2, b"nan"),
    "fs_inf": (2, b"inf"),
    "fs_infinity_by_exponent": (2, b"1e999"),
    "fs_text": (2, b"abc"),
    "fs_hex": (2, b"0x1F4"),
    "fs_1e12": (2, b"1e12"),
    "fs_5": (2, b"5"),
    "fs_underscore": (2, b"5_00"),
    "fs_unit": (2, b"500Hz"),
    "fs_comma": (2, b"500,0"),
    "fs_fullwidth_digits": (2, "５００".encode()),
    "fs_counter_only": (2, b"/500"),
    "samples_missing": (3, None),
    "samples_0": (3, b"0"),
    "samples_1": (3, b"1"),
    "samples_negative": (3, b"-3000"),
    "samples_1e9": (3, b"1000000000"),
    "samples_1e15": (3, b"1000000000000000"),
    "samples_40_digits": (3, b"9" * 40),
    "samples_5000_digits": (3, b"9" * 5000),
    "samples_float": (3, b"3000.5"),
    "samples_exponent": (3, b"3e3"),
    "samples_text": (3, b"many"),
    "samples_one_more": (3, b"3001"),
    "samples_one_less": (3, b"2999"),
    "samples_double": (3, b"6000"),
    "date_garbage": (3, b"3000 yesterday"),
    "date_three_fields": (3, b"3000 12:00:00 01/01/2020 more"),
    "date_shell": (3, b"3000 $(id)"),
}

FILE_NAMES: dict[str, bytes] = {
    "file_parent": b"../../etc/passwd",
    "file_parent_mat": b"../rec.mat",
    "file_absolute": b"/etc/passwd",
    "file_absolute_mat": b"/tmp/rec.mat",
    "file_url": b"https://example.org/rec.mat",
    "file_url_file": b"file:///etc/rec.mat",
    "file_windows_drive": b"C:\\rec.mat",
    "file_windows_parent": b"..\\rec.mat",
    "file_unc": b"\\\\server\\share\\rec.mat",
    "file_subfolder": b"sub/rec.mat",
    "file_dot": b".",
    "file_null_device": b"/dev/null",
    "file_zero_device": b"/dev/zero",
    "file_no_samples": b"~",
    "file_is_header": b"rec.hea",
    "file_other_record": b"other.mat",
    "file_long_name": b"r" * 5000 + b".mat",
    "file_npy": b"rec.npy",
    "file_pickle": b"rec.pkl",
    "file_no_suffix": b"rec",
    "file_option": b"-rf.mat",
    "file_missing": b"rec.dat",
}

FORMATS: dict[str, bytes] = {
    "format_8": b"8+24", "format_310": b"310+24", "format_311": b"311+24",
    "format_flac": b"516+24", "format_0": b"0", "format_text": b"int16",
    "format_negative": b"-16+24", "format_no_offset": b"16", "format_offset_0": b"16+0",
    "format_offset_25": b"16+25", "format_offset_negative": b"16+-24",
    "format_two_offsets": b"16+24+24", "format_two_samples_a_frame": b"16x2+24",
    "format_1e9_samples_a_frame": b"16x999999999+24", "format_skew": b"16:5+24",
    "format_212_for_int16": b"212+24", "format_32_for_int16": b"32+24",
    "format_61_for_little_endian": b"61+24", "format_80_for_int16": b"80+24",
}  # fmt: skip

GAINS: dict[str, bytes] = {
    "gain_0": b"0/mV", "gain_nan": b"nan/mV", "gain_inf": b"inf/mV", "gain_negative": b"-1000/mV",
    "gain_1e-300": b"1e-300/mV", "gain_1e300": b"1e300/mV", "gain_1e999": b"1e999/mV",
    "gain_text": b"high/mV", "gain_hex": b"0x3e8/mV", "gain_comma": b"1000,0/mV",
    "gain_no_number": b"/mV", "gain_no_unit_after_slash": b"1000/",
    "gain_unit_pressure": b"1000/mmHg", "gain_unit_megavolt": b"1000/MV",
    "gain_unit_html": b"1000/<b>mV", "gain_baseline_text": b"1000(x)/mV",
    "gain_baseline_open": b"1000(0/mV", "gain_baseline_huge": b"1000(9999999999)/mV",
}  # fmt: skip

OTHER_FIELDS: dict[str, tuple[int, bytes, range]] = {
    "resolution_text": (3, b"x", range(3, 4)),
    "resolution_99": (3, b"99", range(3, 4)),
    "zero_text": (4, b"none", range(4, 5)),
    "zero_huge": (4, b"99999999999999999999", range(4, 5)),
    "first_value_text": (5, b"abc", range(1, 2)),
    "first_value_nan": (5, b"nan", range(1, 2)),
    "checksum_text": (6, b"crc", range(2, 3)),
    "block_negative": (7, b"-1", range(2, 3)),
    "lead_twice": (8, b"I", range(2, 3)),
    "lead_twice_other_case": (8, b"avr", range(2, 3)),
    "lead_all_the_same": (8, b"II", range(1, 13)),
    "lead_unknown": (8, b"X1", range(5, 6)),
    "lead_holter": (8, b"MLII", range(5, 6)),
    "lead_empty": (8, b"", range(5, 6)),
    "lead_html": (8, b"<img src=x onerror=alert(1)>", range(5, 6)),
    "lead_lookalike": (8, "Ⅱ".encode(), range(2, 3)),
}

CASES: dict[str, Make] = (
    {name: header(edit) for name, edit in CONTENT.items()}
    | {name: header(record_field(*change)) for name, change in RECORD_LINE.items()}
    | {name: header(signal_field(0, value)) for name, value in FILE_NAMES.items()}
    | {name: header(signal_field(1, value)) for name, value in FORMATS.items()}
    | {name: header(signal_field(2, value, range(4, 5))) for name, value in GAINS.items()}
    | {name: header(signal_field(*change)) for name, change in OTHER_FIELDS.items()}
    | {
        "gain_missing": header(without_field(2)),
        "checksum_missing": header(without_field(6)),
        "lead_missing": header(without_field(8)),
        "one_format_differs": header(signal_field(1, b"212+24", range(5, 6))),
        "two_data_files_interleaved": header(signal_field(0, b"rec.dat", range(5, 6))),
    }
)
