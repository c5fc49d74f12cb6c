"""Philips resting ECG in XML (Sierra ECG 1.03 and 1.04), whose samples are packed as "XLI".

XLI holds one block per lead: its length, the first difference, and an LZW stream of 10-bit codes
that unpacks to 16-bit second differences, all high bytes before all low bytes. Leads III, aVR, aVL
and aVF are stored as their distance from what I and II give. Philips has not published this; the
layout is as the Sierra ECG Tools found it (github.com/sixlettervariables/sierra-ecg-tools).
"""

from __future__ import annotations

import base64
import binascii
import struct
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.foreign.waveform import (
    Given,
    Waveform,
    age_between,
    checked_gain,
    checked_size,
    number,
    refused,
    texts,
)
from ecgxai_core.records.foreign.xml_tree import parse_xml, text_of
from ecgxai_core.records.leads import MAX_CHANNELS
from ecgxai_core.records.metadata import parse_sex
from ecgxai_core.types import STANDARD_LEADS, QualityWarning

__all__ = ["read_sierra", "unpack_lzw"]

_CODE_BITS, _END, _LAST = 10, 1023, 1022
_BIAS = 64
_CALIBRATION_SEC = 0.1
_FIX = "export the ECG as Philips XML 1.03 or 1.04 with XLI waveforms"


def read_sierra(data: bytes, where: str, given: Given) -> Waveform:
    """Read a Philips resting ECG.

    Raises
    ------
    RecordError
        The samples are not 16-bit signed XLI, or do not fit what the file says of them.
    """
    root = parse_xml(data, where)
    version = text_of(root, "documentinfo/documentversion")
    if not version.startswith(("1.03", "1.04")):
        raise refused(where, "documentversion", f"{version!r} is neither 1.03 nor 1.04", _FIX)
    about, wave = root.find(".//signalcharacteristics"), root.find(".//parsedwaveforms")
    if about is None or wave is None:
        raise refused(where, "parsedwaveforms", "the file holds no waveforms", _FIX)
    _check_packing(where, about, wave)
    fs = number(where, "samplingrate", text_of(about, "samplingrate"))
    resolution = text_of(about, "resolution") or text_of(about, "signalresolution")
    gain = checked_gain(where, "resolution", number(where, "resolution", resolution) / 1000)
    names = (wave.get("leadlabels") or " ".join(STANDARD_LEADS)).split()
    stated = wave.get("numberofleads") or text_of(about, "numberchannelsvalid")
    n_leads = number(where, "number of leads", stated)
    if tuple(names[:12]) != STANDARD_LEADS or len(names) != n_leads or n_leads > MAX_CHANNELS:
        raise refused(where, "leads", "are not the 12 standard leads in their order", _FIX)
    seconds = number(where, "durationperchannel", wave.get("durationperchannel")) / 1000
    n_samples = round(min(max(seconds, 0), 1e6) * min(max(fs, 0), 1e6))
    checked_size(where, len(names), n_samples, fs)
    try:
        packed = base64.b64decode("".join((wave.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused(where, "parsedwaveforms", "is no base64 text") from None
    counts, warnings = _without_calibration(_leads(where, packed, len(names), n_samples), fs)
    checked_size(where, len(names), counts.shape[1], fs)
    person = root.find(".//generalpatientdata")
    return Waveform(
        tuple(names),
        counts / gain,
        fs,
        (gain,) * len(names),
        age=_age(where, root, person),
        sex=parse_sex(text_of(person, "sex")),
        patient=_patient(root, person),
        warnings=warnings,
    )


def _check_packing(where: str, about: Element, wave: Element) -> None:
    method = wave.get("compression") or (
        wave.get("compressmethod") if wave.get("compressflag") == "True" else "none"
    )
    wanted = {
        "compression": (method, "XLI"),
        "data encoding": (wave.get("dataencoding"), "Base64"),
        "bits per sample": (text_of(about, "bitspersample"), "16"),
        "signed": (text_of(about, "signalsigned"), "True"),
        "offset": (text_of(about, "signaloffset"), "0"),
    }
    for at, (found, right) in wanted.items():
        if found != right:
            raise refused(where, at, f"is {found!r}; only {right} is read", _FIX)


def _leads(where: str, packed: bytes, n_leads: int, n_samples: int) -> npt.NDArray[np.float64]:
    """``float64[lead, sample]``: counts."""
    counts = np.empty((n_leads, n_samples), dtype=np.float64)
    position = 0
    for row in range(n_leads):
        at = f"lead {row + 1}"
        if position + 8 > len(packed):
            raise refused(where, at, "the waveforms end before this lead: the file is cut")
        size, _, first = struct.unpack_from("<iHh", packed, position)
        block = packed[position + 8 : position + 8 + size] if size > 0 else b""
        if len(block) != size or size <= 0:
            raise refused(where, at, f"claims {size} bytes, which are not there")
        position += 8 + size
        data = unpack_lzw(block, 2 * n_samples)
        if len(data) != 2 * n_samples:
            raise refused(where, at, f"unpacks to {len(data)} bytes, not to {2 * n_samples}")
        high, low = (np.frombuffer(part, "u1") for part in (data[:n_samples], data[n_samples:]))
        words = (high.astype(np.uint16) << 8 | low).view(np.int16)
        counts[row] = _integrated(words, first)
    if np.abs(counts).max() > 2**31:
        raise refused(where, "samples", "grow beyond every count: the data is damaged")
    one, two = counts[0], counts[1]
    counts[2] = two - one - counts[2]
    counts[3] = 0.0 - counts[3] - (one + two) // 2  # never -0.0
    counts[4] = (one - counts[2]) // 2 - counts[4]
    counts[5] = (two + counts[2]) // 2 - counts[5]
    return counts


def _without_calibration(
    counts: npt.NDArray[np.float64], fs: float
) -> tuple[npt.NDArray[np.float64], tuple[QualityWarning, ...]]:
    """Cut the end where all leads hold the same: a calibration pulse, which is no ECG."""
    differ = np.flatnonzero(np.ptp(counts, axis=0))
    stop = int(differ[-1]) + 1 if len(differ) else counts.shape[1]
    if (counts.shape[1] - stop) / fs < _CALIBRATION_SEC or not counts[0, stop:].any():
        return counts, ()
    seconds = (counts.shape[1] - stop) / fs
    text = f"the last {seconds:.2f} s hold a calibration pulse in all leads; they are left out"
    return counts[:, :stop], (QualityWarning("calibration_left_out", text),)


def _integrated(words: npt.NDArray[np.int16], first: int) -> list[int]:
    """Counts whose second differences are ``words``, each for the sample after its own."""
    values = [int(word) for word in words]
    before, now, step = values[0], values[1], first
    for n in range(2, len(values)):
        before, now = now, 2 * now - before - step
        step, values[n] = values[n] - _BIAS, now
    return values


def unpack_lzw(data: bytes, most: int) -> bytes:
    """Unpack an LZW stream of 10-bit codes, first bit first, and stop beyond ``most`` bytes."""
    table = [bytes([n]) for n in range(256)]
    out, length, previous = [], 0, b""
    buffer = bits = 0
    for byte in data:
        buffer, bits = (buffer << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < _CODE_BITS:
            continue
        bits -= _CODE_BITS
        code = buffer >> bits & 0x3FF
        if code == _END or length > most:
            break
        if code < len(table):
            word = table[code]
        elif code == len(table) and previous:
            word = previous + previous[:1]
        else:
            break
        if previous and len(table) <= _LAST:
            table.append(previous + word[:1])
        out.append(word)
        length += len(word)
        previous = word
    return b"".join(out)


def _age(where: str, root: Element, person: Element | None) -> float | None:
    years = text_of(person, "age/years")
    if years:
        return number(where, "age", years)
    taken = root.find("dataacquisition")
    day = taken.get("date") if taken is not None else None
    return age_between(text_of(person, "age/dateofbirth"), day)


def _patient(root: Element, person: Element | None) -> dict[str, str]:
    taken = root.find("dataacquisition")
    return texts(
        {
            "Patient": [text_of(person, "name/firstname"), text_of(person, "name/lastname")],
            "Patient id": text_of(person, "patientid"),
            "Born": text_of(person, "age/dateofbirth"),
            "Taken": [taken.get("date"), taken.get("time")] if taken is not None else None,
        }
    )
