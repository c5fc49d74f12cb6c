"""A look at the bare structure of a DICOM file before a parser that trusts it is let loose.

A DICOM file is a list of elements (tag, type, length, value), some of which are sequences of items
that hold elements again (DICOM PS3.5, chapter 7). pydicom reads what a cut file still holds without
a word, unpacks compressed files without bound, and takes seconds for millions of tiny elements.
Here every length is compared with the bytes that are there, and elements and depth are counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ecgxai_core.errors import RecordError

__all__ = ["MAX_ELEMENTS", "is_dicom", "scan", "with_preamble"]

MAX_ELEMENTS = 20_000
"""Ten times the number of elements of a detailed ECG."""
MAX_DEPTH = 12

_START = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX = 0x00020010
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_WAVEFORM_SEQUENCES = {0x54000100, 0x003A0200, 0x003A0208, 0x003A0211}
"""Sequences that the reader opens; without explicit types nothing else tells that they are some."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins like this says that it is DICOM."""
    return head[128:_START] == b"DICM"


def with_preamble(head: bytes) -> bytes:
    """The beginning of a file, with the preamble and "DICM" that some exports leave out."""
    # group 2, element 0, type UL, 4 bytes: the length of the group, which comes first in each file
    return bytes(128) + b"DICM" + head if head.startswith(b"\x02\0\0\0UL\x04\0") else head


def scan(data: bytes, where: str) -> None:
    """Check the structure of a whole file.

    Raises
    ------
    RecordError
        No DICOM file, a compressed or big-endian one, a cut one, or one of endless parts.
    """
    if not is_dicom(data[:_START]):
        fix = "give a DICOM file, or the header (.hea) of a WFDB record"
        raise RecordError(where, "preamble", "is not a DICOM file", fix)
    walk = _Walk(data, where)
    position, syntax = _START, ""
    while data[position : position + 2] == b"\x02\0":  # group 2 is always explicit, little-endian
        tag, start, position = walk.leaf(position, explicit=True)
        if tag == _TRANSFER_SYNTAX:
            syntax = data[start:position].rstrip(b"\0 ").decode("ascii", "replace")
    if syntax not in (_IMPLICIT, _EXPLICIT):
        problem = f"{syntax!r} is compressed, big-endian or missing"
        fix = "export the ECG as uncompressed little-endian DICOM"
        raise RecordError(where, "transfer syntax", problem, fix)
    walk.elements(position, len(data), explicit=syntax == _EXPLICIT, depth=0)


@dataclass
class _Walk:
    """The bytes, and how many elements were met in them."""

    data: bytes
    where: str
    count: int = 0

    def elements(self, position: int, stop: int, *, explicit: bool, depth: int) -> int:
        """Pass the elements up to ``stop``, or to the delimiter of an item of unknown length."""
        seen: set[int] = set()
        while position < stop:
            if self._tag(position) == _ITEM_END:
                return position + 8
            tag, vr, length, start = self._head(position, explicit)
            if tag in seen:  # PS3.5 7.1: once at most; parsers differ in which one they take
                raise self._broken(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) occurs twice")
            seen.add(tag)
            open_ended = length == _UNDEFINED
            if vr == b"SQ" or (not explicit and (tag in _WAVEFORM_SEQUENCES or open_ended)):
                position = self._items(start, stop, length, explicit, depth + 1)
            elif vr == b"UN" and open_ended:  # PS3.5 6.2.2: its content has no explicit types
                position = self._items(start, stop, length, False, depth + 1)
            else:
                position = self._end(start, length, stop)
        return position

    def leaf(self, position: int, *, explicit: bool) -> tuple[int, int, int]:
        """Tag, start and end of the value of a plain element."""
        tag, _, length, start = self._head(position, explicit)
        return tag, start, self._end(start, length, len(self.data))

    def _items(self, position: int, stop: int, length: int, explicit: bool, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise self._broken("sequences are nested too deep")
        end = stop if length == _UNDEFINED else self._end(position, length, stop)
        while position < end:
            tag, size = self._tag(position), self._length(position + 4)
            self._count()
            position += 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return position
            if tag != _ITEM:
                raise self._broken("a sequence holds something else than items")
            inner = end if size == _UNDEFINED else self._end(position, size, end)
            position = self.elements(position, inner, explicit=explicit, depth=depth)
        if length == _UNDEFINED:
            raise self._broken("a sequence has no end: the file is cut")
        return position

    def _head(self, position: int, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, type (empty if implicit), length and start of the value."""
        self._count()
        tag = self._tag(position)
        if not explicit:
            return tag, b"", self._length(position + 4), position + 8
        vr = self.data[position + 4 : position + 6]
        if not vr.isalpha() or not vr.isupper():
            raise self._broken("an element has no valid type")
        if vr in _LONG:
            return tag, vr, self._length(position + 8), position + 12
        return (
            tag,
            vr,
            int.from_bytes(self.data[position + 6 : position + 8], "little"),
            position + 8,
        )

    def _tag(self, position: int) -> int:
        if position + 8 > len(self.data):
            raise self._broken("the file ends inside an element")
        group, element = struct.unpack_from("<HH", self.data, position)
        return int(group) << 16 | int(element)

    def _length(self, position: int) -> int:
        if position + 4 > len(self.data):
            raise self._broken("the file ends inside an element")
        return int.from_bytes(self.data[position : position + 4], "little")

    def _end(self, start: int, length: int, stop: int) -> int:
        if start + length > stop:
            raise self._broken("an element claims more bytes than there are: the file is cut")
        return start + length

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise self._broken(f"holds more than {MAX_ELEMENTS} elements")

    def _broken(self, problem: str) -> RecordError:
        return RecordError(self.where, "structure", problem, "export or copy the file again")
