"""Feeds long texts to everything that reads one from a file, and says how long each took.

``python -m tests.records.long_texts`` prints one JSON line per case: its name and the processor
time it took. It runs in a process of its own, since a pattern that backtracks holds the interpreter
and only the death of its process ends it (see ``test_linear.py``).
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator

import ecgxai_core
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.manifest import manifest_from_json
from ecgxai_core.models.metadata_arrays import _parse_npy
from ecgxai_core.models.safe.config_check import check_config
from ecgxai_core.records.catalogues.ptbxl import parse_scp_codes
from ecgxai_core.records.leads import lead_name
from ecgxai_core.records.metadata import parse_comments
from ecgxai_core.records.wfdb_header import parse_header
from tests.corpus.base import joined, lines
from tests.corpus.dicom_files import dicom_dataset, read_bytes
from tests.models.conftest import manifest_values

LONG = 50_000
"""Characters; a quadratic pattern takes minutes for them, a linear one a millisecond."""

TEXTS = {
    "digits": "9" * LONG,
    "zeros": "0" * LONG,
    "unicode digits": "९" * LONG,
    "fraction": "1." + "1" * LONG,
    "points": "." * LONG,
    "points and digits": "1." * (LONG // 2),
    "exponent": "1e" + "9" * LONG,
    "signs": "+-" * (LONG // 2),
    "brackets": "1(" * (LONG // 2),
    "slashes": "1/" * (LONG // 2),
    "letters": "a" * LONG,
    "names": "a." * (LONG // 2),
    "no-break spaces": "\xa0" * LONG,
    "colons": ":" * LONG,
    "dates": "1-" * (LONG // 2),
    "angles": "<" * LONG,
    "commas": "," * LONG,
    "emoji": "\N{BLACK HEART}" * LONG,
}
ENDS = ("", "!", " ", "\n", "x", "1", "/mV", ": ", "·")
PUMPS = ("1", "a", "A", ".", " ", "\t", "-", "_", ":", ",", "<", "0", "1.", "1a", ".a", "a:", " a")
HEADER = (
    b"rec 2 500/100(0) 3000 12:00:00 01/01/2020\n"
    b"rec.mat 16+24 1000(0)/mV 16 0 1 2 0 I\n"
    b"rec.mat 16+24 1000(0)/mV 16 0 1 2 0 II\n"
    b"#Age: 60\n#Sex: F\n#Dx: 426783006\n"
)


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    """Name and call of every case."""
    yield from _patterns()
    yield from _headers()
    yield from _large_manifests()
    for name, text in TEXTS.items():
        for start in ("", "Age: ", "Sex: ", "Dx: ", "Synthetic: ", "Dx: 1,", "a" * 20):
            comment = start + text
            yield f"comment {start!r} {name}", lambda c=comment: parse_comments([c])
        yield f"lead {name}", lambda t=text: lead_name(t)
        for written in (text, "{" + text, "{'NORM': " + text + "}", "[" * 900 + text):
            yield f"scp_codes {name}", lambda t=written: parse_scp_codes(t)
        yield from _manifests(name, text)
        yield from _configurations(name, text)
        yield from _arrays(name, text)
        if name in ("digits", "zeros", "points and digits", "exponent", "letters"):
            yield from _dicoms(name, text)


def _patterns() -> Iterator[tuple[str, Callable[[], object]]]:
    """Every pattern of the package and of the uploads, against texts that make one backtrack."""
    names = [m.name for m in pkgutil.walk_packages(ecgxai_core.__path__, "ecgxai_core.")]
    for name in [*names, "app.data.uploads"]:
        for label, value in vars(importlib.import_module(name)).items():
            if isinstance(value, re.Pattern):
                for unit in PUMPS:
                    case = f"pattern {name}.{label} {unit!r}"
                    yield case, lambda p=value, u=unit: _pump(p, u)


def _pump(pattern: re.Pattern[str], unit: str) -> None:
    for end in ENDS:
        for start in ("", "a", "1", "keras.src.layers"):
            text = start + unit * (5000 // len(unit)) + end
            pattern.fullmatch(text)
            pattern.match(text)
            pattern.search(text)


def _headers() -> Iterator[tuple[str, Callable[[], object]]]:
    rows = lines(HEADER)
    for name, text in TEXTS.items():
        for line, row in enumerate(rows):
            for field in range(len(row)):
                for long in (text, row[field].decode() + text, text + row[field].decode()):
                    changed = [list(r) for r in rows]
                    changed[line][field] = long.encode()
                    body = joined(changed)
                    yield (
                        f"header line {line} field {field} {name}",
                        lambda b=body: parse_header(b, "rec.hea"),
                    )
        whole = text.encode()
        yield f"header {name}", lambda b=whole: parse_header(b, "rec.hea")
        yield f"header name {name}", lambda t=text: parse_header(HEADER, t + ".hea")
    many = {"fields": b"1 " * LONG, "lines": b"1\n" * LONG, "comments": b"#Dx:1\n" * LONG}
    for name, body in many.items():
        yield f"header of {name}", lambda b=body: parse_header(b, "rec.hea")
        yield f"header with {name}", lambda b=body: parse_header(HEADER + b, "rec.hea")


def _manifests(name: str, text: str) -> Iterator[tuple[str, Callable[[], object]]]:
    fields = [*manifest_values(), "temperature", "thresholds", "outputs", "card", "notes", text]
    for field in fields:
        for value in (text, [text], {text: text}):
            body = json.dumps(manifest_values(**{field: value})).encode()
            yield f"manifest {field[:20]} {name}", lambda b=body: manifest_from_json(b)
    if text.isdecimal() and text.isascii():
        number = json.dumps(manifest_values(fs="FS")).replace('"FS"', text).encode()
        yield f"manifest number {name}", lambda b=number: manifest_from_json(b)


def _large_manifests() -> Iterator[tuple[str, Callable[[], object]]]:
    many = [f"class {i}" for i in range(9_999)]
    for name, classes in (("many", many), ("one twice", [*many, many[-1]])):
        values = manifest_values(classes=classes, thresholds=dict.fromkeys(many, 0.5))
        body = json.dumps(values).encode()
        yield f"manifest of classes, {name}", lambda b=body: manifest_from_json(b)
    wide = json.dumps(["FILL IN"] * 20_000).encode()
    for depth in (9, 400, 900):
        for body in (b'{"a":' * depth + wide + b"}" * depth, b"[" * depth + wide + b"]" * depth):
            nested = b'{"classes":' + body + b"}"
            yield f"manifest nested {depth}", lambda b=nested: manifest_from_json(b)


def _configurations(name: str, text: str) -> Iterator[tuple[str, Callable[[], object]]]:
    for field in ("class_name", "module", "registered_name", "name", "dtype", text):
        layer = {"class_name": "Dense", "module": "keras.layers", "config": {"name": "d"}}
        layer["config" if field == "name" else field] = text
        config = {"class_name": "Functional", "module": "keras", "config": {"layers": [layer]}}
        yield (
            f"configuration {field[:20]} {name}",
            lambda c=config: check_config(c, "x.keras", needs_module=True),
        )
    for prefix in ("keras.src.layers.", "keras.src.layers" + ".a" * LONG + " ", "keras"):
        layer = {"class_name": "Dense", "module": prefix + text, "config": {"name": "d"}}
        config = {"class_name": "Functional", "module": "keras", "config": {"layers": [layer]}}
        yield (
            f"module {prefix[:20]} {name}",
            lambda c=config: check_config(c, "x.keras", needs_module=True),
        )


def _arrays(name: str, text: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Headers of ``.npy`` files, which are Python literals."""
    plain = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}"
    in_shape = plain.replace("(1,", f"({text[:4000]},")
    for written in (text, plain.replace("<f8", text), in_shape):
        head = written.encode("utf-8")[:60_000]
        body = b"\x93NUMPY\x02\0" + struct.pack("<I", len(head)) + head + bytes(8)
        yield f"npy header {name}", lambda b=body: _parse_npy(b, "x.npy", "biufUS")


def _dicoms(name: str, text: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Text elements of a DICOM file, under the types in which a file may claim to hold them."""
    top = (0x00101010, 0x00100030, 0x0008002A, 0x00100040, 0x00080016)
    in_group = (0x003A001A, 0x003A0005, 0x003A0010, 0x003A0020, 0x003A0004, 0x54001006)
    in_channel = (0x003A0210, 0x003A0212, 0x003A0213, 0x003A0215, 0x003A0203)
    for place, tags in (("top", top), ("group", in_group), ("channel", in_channel)):
        for tag in tags:
            for vr in ("LO", "DS", "IS", "UT"):
                body = _with_element(place, tag, vr, text)
                yield f"dicom {tag:08x} {vr} {name}", lambda b=body: read_bytes(b)


def _with_element(place: str, tag: int, vr: str, text: str) -> bytes:
    """A sound DICOM file with one element replaced by a long text of any type."""
    value = text.encode("ascii", "ignore")[:LONG] or b"9"
    value += b" " * (len(value) % 2)
    dataset = dicom_dataset()
    item = dataset if place == "top" else dataset.WaveformSequence[0]
    item = item.ChannelDefinitionSequence[0] if place == "channel" else item
    item.pop(tag, None)
    item.add_new(tag, "OB", b"MARKMARK" + bytes(len(value) - 8 if len(value) > 8 else 0))
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    body = buffer.getvalue()
    at = body.index(b"MARKMARK")
    size = len(value) if len(value) > 8 else 8
    value = value.ljust(size)
    if vr == "UT":
        return body[: at - 8] + b"UT" + body[at - 6 : at] + value + body[at + size :]
    # a short type has 4 bytes less of head: an unused element makes up for them in the lengths
    head = vr.encode() + struct.pack("<H", size + 4)
    return body[: at - 8] + head + value + b"    " + body[at + size :]


def main() -> None:
    """Run every case."""
    for name, call in cases():
        started = time.process_time()
        try:
            call()
            outcome = "read"
        except EcgXaiError:
            outcome = "refused"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"[:200]
        seconds = time.process_time() - started
        sys.stdout.write(json.dumps([name, seconds, outcome]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
