"""SCP-ECG (EN 1064): sections 0, 1, 3 and 6, with the default Huffman table of section 2 or none.

A file is a checksum, a length and sections that a table of pointers finds. Rhythm samples stand in
section 6 as counts, or as first or second differences, per lead, as 16-bit words or Huffman-coded.
Files whose rhythm lacks a subtracted reference beat, or is thinned out between the QRS complexes,
are refused: what is left there is no ECG until the beats are put back.
"""

from __future__ import annotations

import binascii
import struct

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.foreign.waveform import (
    Given,
    Waveform,
    age_between,
    checked_gain,
    checked_size,
    refused,
    texts,
)
from ecgxai_core.records.leads import LEAD_NUMBERS, MAX_CHANNELS

__all__ = ["is_scp", "read_scp"]

_HEAD = 16
_MOST_SECTIONS = 100
_MOST_TAGS = 1000
_DEFAULT_TABLE = 19_999
_SEX = {1: "male", 2: "female"}
_YEARS = {1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / 8766}
_FIX = "export the ECG as SCP without compression by beats, or as DICOM"


def is_scp(head: bytes) -> bool:
    """Whether a file that begins like this says that it is SCP-ECG."""
    return head[16:22] == b"SCPECG"


def read_scp(data: bytes, where: str, given: Given) -> Waveform:
    """Read the rhythm of an SCP-ECG file.

    Raises
    ------
    RecordError
        A checksum or length is wrong, or the rhythm is packed in a way that is not read.
    """
    if len(data) < 6 + _HEAD or not is_scp(data):
        raise refused(where, "head", "does not begin like an SCP-ECG file")
    checksum, length = struct.unpack_from("<HI", data)
    if length != len(data):
        raise refused(
            where, "length", f"the file says {length} bytes, but has {len(data)}: it is cut",
            "copy the file again",
        )  # fmt: skip
    if binascii.crc_hqx(data[2:], 0xFFFF) != checksum:
        raise refused(where, "checksum", "the file was changed after it was written")
    sections = _sections(where, data)
    person, patient = _person(where, sections.get(1, b""))
    leads, n_samples, beats_subtracted = _leads(where, sections.get(3, b""))
    if beats_subtracted:
        raise refused(where, "section 3", "a reference beat was subtracted from the rhythm", _FIX)
    huffman = _has_huffman(where, sections.get(2, b""))
    counts, fs, mv_per_count = _rhythm(where, sections.get(6, b""), len(leads), n_samples, huffman)
    gain = checked_gain(where, "section 6, amplitude", mv_per_count)
    return Waveform(
        leads,
        counts / gain,
        fs,
        (gain,) * len(leads),
        age=person[0],
        sex=person[1],
        patient=patient,
    )


def _sections(where: str, data: bytes) -> dict[int, bytes]:
    """Content of each section, without its head, by number."""
    (size,) = struct.unpack_from("<I", data, 6 + 4)
    end = 6 + size
    if not _HEAD < size <= len(data) - 6 or (size - _HEAD) // 10 > _MOST_SECTIONS:
        raise refused(where, "section 0", "has no sensible length")
    found: dict[int, bytes] = {}
    for position in range(6 + _HEAD, end - 9, 10):
        number, length, index = struct.unpack_from("<HII", data, position)
        if length == 0 or number == 0:
            continue
        at = f"section {number}"
        if index < 1 or length < _HEAD or index - 1 + length > len(data):
            raise refused(where, at, "lies outside of the file: it is cut or damaged")
        section = data[index - 1 : index - 1 + length]
        checksum, own, own_length = struct.unpack_from("<HHI", section)
        if own != number or own_length != length or number in found:
            raise refused(where, at, "is not what the table of sections says")
        if checksum != binascii.crc_hqx(section[2:], 0xFFFF):
            raise refused(where, at, "its checksum is wrong: the file was changed")
        found[number] = section[_HEAD:]
    return found


def _person(where: str, section: bytes) -> tuple[tuple[float | None, str | None], dict[str, str]]:
    """Age and sex; and what names the person or the day."""
    tags: dict[int, bytes] = {}
    position = 0
    for _ in range(_MOST_TAGS):
        if position + 3 > len(section):
            break
        tag, length = struct.unpack_from("<BH", section, position)
        if tag == 255:
            break
        value = section[position + 3 : position + 3 + length]
        if len(value) != length:
            raise refused(where, "section 1", "a field is longer than the section")
        tags.setdefault(tag, value)
        position += 3 + length
    birth, taken = _date(tags.get(5, b"")), _date(tags.get(25, b""))
    age = age_between(birth, taken)
    if len(tags.get(4, b"")) == 3:
        value, unit = struct.unpack("<HB", tags[4])
        age = value * _YEARS[unit] if value and unit in _YEARS else age
    sex = _SEX.get(tags[8][0]) if tags.get(8) else None
    patient = texts(
        {
            "Patient": [_text(tags.get(1, b"")), _text(tags.get(0, b""))],
            "Patient id": _text(tags.get(2, b"")),
            "Born": birth,
            "Taken": taken,
        }
    )
    return (age, sex), patient


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("latin-1")


def _date(value: bytes) -> str | None:
    if len(value) != 4:
        return None
    year, month, day = struct.unpack("<HBB", value)
    return f"{year:04d}-{month:02d}-{day:02d}" if year and month and day else None


def _leads(where: str, section: bytes) -> tuple[tuple[str, ...], int, bool]:
    """Names of the leads, samples of each, and whether a reference beat was subtracted."""
    n_leads = section[0] if section else 0
    if not 1 <= n_leads <= MAX_CHANNELS or len(section) < 2 + 9 * n_leads:
        raise refused(where, "section 3", "does not list the leads")
    names, spans = [], set()
    for row in range(n_leads):
        start, stop, lead = struct.unpack_from("<IIB", section, 2 + 9 * row)
        names.append(LEAD_NUMBERS.get(lead, f"lead number {lead}"))
        spans.add((start, stop))
    if len(spans) > 1:
        raise refused(
            where, "section 3", "the leads were recorded at different times",
            "export the ECG with all leads recorded at the same time",
        )  # fmt: skip
    ((start, stop),) = spans
    return tuple(names), stop - start + 1, bool(section[1] & 1)


def _has_huffman(where: str, section: bytes) -> bool:
    """Whether samples are Huffman-coded, with the one table that EN 1064 gives."""
    if not section:
        return False
    table = struct.unpack_from("<H", section)[0] if len(section) >= 2 else 0
    if table != _DEFAULT_TABLE:
        raise refused(where, "section 2", "holds a Huffman table of its own", _FIX)
    return True


def _rhythm(
    where: str, section: bytes, n_leads: int, n_samples: int, huffman: bool
) -> tuple[npt.NDArray[np.float64], float, float]:
    """``float64[lead, sample]`` counts, rate (Hz), and mV per count."""
    if len(section) < 6 + 2 * n_leads:
        raise refused(where, "section 6", "holds no rhythm", "export the ECG with its rhythm")
    nanovolts, microseconds, order, thinned = struct.unpack_from("<HHBB", section)
    if thinned:
        raise refused(where, "section 6", "the rhythm was thinned out (bimodal compression)", _FIX)
    if order > 2:
        raise refused(where, "section 6", f"has differences of order {order}; 0 to 2 are known")
    fs = 1e6 / microseconds if microseconds else 0.0
    checked_size(where, n_leads, n_samples, fs)
    lengths = struct.unpack_from(f"<{n_leads}H", section, 6)
    position = 6 + 2 * n_leads
    counts = np.empty((n_leads, n_samples), dtype=np.float64)
    for row, length in enumerate(lengths):
        packed = section[position : position + length]
        at = f"section 6, lead {row + 1}"
        if len(packed) != length:
            raise refused(where, at, "is longer than the section")
        position += length
        values = _huffman(packed, n_samples) if huffman else _words(packed)
        if len(values) != n_samples:
            raise refused(where, at, f"holds {len(values)} samples, not {n_samples}")
        whole = np.array(values, dtype=np.int64)
        counts[row] = _integrated(whole, order)
    if np.abs(counts).max() > 2**31:
        raise refused(where, "section 6", "the samples grow beyond every count: damaged")
    return counts, fs, nanovolts * 1e-6


def _words(packed: bytes) -> list[int]:
    values: list[int] = np.frombuffer(packed[: len(packed) // 2 * 2], "<i2").tolist()
    return values


def _huffman(packed: bytes, most: int) -> list[int]:
    """Numbers of EN 1064's default table, first bit first, ``most`` at most.

    0 is ``0``; n from 1 to 8 is n ones, a zero and the sign; nine ones and a zero stand before 8
    bits, ten ones before 16 bits in two's complement.
    """
    bits = bin(int.from_bytes(b"\1" + packed, "big"))[3:]
    values: list[int] = []
    position, end = 0, len(bits)
    while position < end and len(values) < most:
        zero = bits.find("0", position, position + 10)
        ones = zero - position if zero >= 0 else 10
        if ones == 0:
            values.append(0)
            position += 1
            continue
        position += min(ones + 1, 10)
        width = {9: 8, 10: 16}.get(ones, 1)
        text = bits[position : position + width]
        if len(text) < width:
            break  # the last byte is filled up
        position += width
        if width == 1:
            values.append(-ones if text == "1" else ones)
        else:
            raw = int(text, 2)
            values.append(raw - (1 << width) if text[0] == "1" else raw)
    return values


def _integrated(values: npt.NDArray[np.int64], order: int) -> npt.NDArray[np.float64]:
    """Samples from their differences; the first ``order`` values are samples themselves."""
    if order == 0:
        return values.astype(np.float64)
    if order == 1:
        return np.cumsum(values).astype(np.float64)
    steps = values.copy()
    steps[1] -= steps[0]  # the second value is a sample; its step begins the second differences
    steps[0], start = 0, int(values[0])
    return (start + np.cumsum(np.cumsum(steps))).astype(np.float64)
