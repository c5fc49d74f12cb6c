"""Headers whose numbers are no ASCII digits, or whose fields and lines are far too long."""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from tests.corpus.base import Edit, header, joined, lines, record_field, signal_field

__all__ = ["CASES"]

Make = Callable[[Path], Path]

LONG = 20_000
ONE = range(4, 5)
"""The one signal line that is changed."""


def _utf8(text: str) -> bytes:
    return text.encode("utf-8")


RECORD: dict[str, tuple[int, bytes]] = {
    "fs_arabic_digits": (2, _utf8("٥٠٠")),
    "fs_devanagari_digits": (2, _utf8("५००")),
    "fs_mathematical_digits": (2, _utf8("𝟓𝟎𝟎")),
    "fs_greek_o": (2, _utf8("5ΟΟ")),
    "fs_circled_digits": (2, _utf8("⑤⓪⓪")),
    "fs_zero_width_space": (2, _utf8("500\u200b")),
    "fs_long_digits": (2, b"5" * LONG),
    "fs_long_fraction": (2, b"500." + b"0" * LONG),
    "fs_long_exponent": (2, b"5e" + b"0" * LONG + b"2"),
    "fs_long_counter": (2, b"500/" + b"1" * LONG),
    "fs_long_base_counter": (2, b"500/1(" + b"1" * LONG + b")"),
    "fs_points_and_digits": (2, b"5." * (LONG // 2)),
    "fs_hex_float": (2, b"0x1.F4p8"),
    "fs_exponent_2_to_31": (2, b"5e2147483648"),
    "fs_bracket_open": (2, b"500/1("),
    "n_signals_arabic_digits": (1, _utf8("١٢")),
    "n_signals_long": (1, b"0" * LONG + b"12"),
    "n_signals_5000_digits": (1, b"1" * 5000),
    "samples_fullwidth_digits": (3, _utf8("３０００")),
    "samples_superscript": (3, _utf8("3000²")),
    "samples_leading_zeros": (3, b"0" * LONG + b"3000"),
    "name_of_5000": (0, b"r" * 5000),
    "name_right_to_left": (0, _utf8("\u202erec")),
    "name_no_break_space": (0, _utf8("rec\u00a0")),
    "time_long": (3, b"3000 " + b"1" * LONG + b":00"),
    "time_colons": (3, b"3000 " + b"1:" * LONG),
    "date_long": (3, b"3000 12:00:00 01/01/" + b"2" * LONG),
    "date_dashes": (3, b"3000 12:00:00 " + b"1-" * LONG),
    "record_line_1000_fields": (3, b"3000 " + b"1 " * 1000),
}

SIGNAL: dict[str, tuple[int, bytes]] = {
    "format_long": (1, b"1" * LONG + b"+24"),
    "format_arabic_digits": (1, _utf8("١٦+24")),
    "format_long_offset": (1, b"16+" + b"0" * LONG + b"24"),
    "format_pluses": (1, b"16+24" + b"+24" * LONG),
    "gain_fullwidth_digits": (2, _utf8("１０００/mV")),
    "gain_long_digits": (2, b"1" * LONG + b"/mV"),
    "gain_long_fraction": (2, b"1000." + b"0" * LONG + b"/mV"),
    "gain_long_baseline": (2, b"1000(" + b"0" * LONG + b")/mV"),
    "gain_long_unit": (2, b"1000/" + b"m" * LONG),
    "gain_many_brackets": (2, b"1000" + b"(0)" * LONG),
    "gain_many_slashes": (2, b"1000" + b"/mV" * LONG),
    "gain_subnormal": (2, b"1e-320/mV"),
    "gain_minus_zero": (2, b"-0/mV"),
    "resolution_leading_zeros": (3, b"0" * LONG + b"16"),
    "zero_arabic_digit": (4, _utf8("٠")),
    "first_value_unicode_minus": (5, _utf8("−5")),
    "first_value_long": (5, b"0" * LONG),
    "checksum_superscript": (6, _utf8("²")),
    "checksum_long": (6, b"-" + b"1" * LONG),
    "block_long": (7, b"0" * LONG),
    "lead_of_20000": (8, b"V" * LONG),
    "lead_zero_width_space": (8, _utf8("aVR\u200b")),
    "lead_many_words": (8, b"Lead " * 4000 + b"aVR"),
    "lead_roman_numeral": (8, _utf8("Ⅲ")),
    "lead_cyrillic_v": (8, _utf8("аVR")),
    "file_full_stop_lookalike": (0, _utf8("rec․mat")),
    "file_name_null_device": (0, b"nul"),
}


def _zipped(body: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("rec.hea", body)
    return stream.getvalue()


def _line_separators(body: bytes) -> bytes:
    return _utf8(body.decode().replace("\n", "\u2028"))


def _no_break_spaces(body: bytes) -> bytes:
    return _utf8(body.decode().replace(" ", "\u00a0"))


def _wide_signal_line(body: bytes) -> bytes:
    rows = lines(body)
    rows[4][3] = b" " * 100_000 + rows[4][3]
    return joined(rows)


WHOLE: dict[str, Edit] = {
    "line_separators": _line_separators,
    "next_line_characters": lambda body: body.replace(b"\n", b"\xc2\x85"),
    "vertical_tabs": lambda body: body.replace(b" ", b"\x0b"),
    "no_break_spaces": _no_break_spaces,
    "signal_line_of_spaces": _wide_signal_line,
    "comment_of_200_kb": lambda body: body + b"#" + b"x" * 200_000 + b"\n",
    "dx_of_100_kb": lambda body: body + b"#Dx: " + b"1," * 50_000 + b"\n",
    "signal_lines_10000": lambda body: body + joined([lines(body)[1]] * 3000),
    "two_record_lines": lambda body: joined(lines(body)[:1]) + body,
    "xz": lzma.compress,
    "zip": _zipped,
    "utf_7": lambda body: body.decode().encode("utf-7").replace(b"500", b"+ADU-00"),
    "ebcdic": lambda body: body.decode().encode("cp500"),
}

CASES: dict[str, Make] = (
    {f"text_{name}": header(record_field(*change)) for name, change in RECORD.items()}
    | {f"text_{name}": header(signal_field(*change, ONE)) for name, change in SIGNAL.items()}
    | {f"text_{name}": header(edit) for name, edit in WHOLE.items()}
)
