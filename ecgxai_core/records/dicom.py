"""12-lead ECGs in DICOM waveform files (DICOM PS3.3 A.34.3, A.34.4 and C.10.9).

Of the groups of channels in a file the rhythm is read, never the median beat.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError
from ecgxai_core.records.assembly import Scale, assemble
from ecgxai_core.records.dicom_scan import is_dicom, scan, with_preamble
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.leads import (
    LEAD_NUMBERS,
    MAX_CHANNELS,
    Arrangement,
    arrange,
    extra_channel,
    signed_lead,
)
from ecgxai_core.records.metadata import MAX_AGE, odd_age, parse_sex
from ecgxai_core.records.wfdb_header import FS_RANGE, GAIN_RANGE, MIN_SECONDS, NUMBER
from ecgxai_core.settings import settings
from ecgxai_core.types import STANDARD_LEADS, Float32Array, QualityWarning, Record

__all__ = ["MAX_DICOM_BYTES", "read_dicom"]

MAX_DICOM_BYTES = 16_000_000
"""Twelve leads at 1000 Hz for eleven minutes."""

_STORAGE = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "General ECG",
}
_MV_PER_UNIT = {"mV": 1.0, "uV": 1e-3, "µV": 1e-3, "V": 1e3}
_CODE_PREFIX = {"SCPECG": "5.6.3-9-", "MDC": "2:"}
_AGE = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_DECIMAL = re.compile(NUMBER, re.ASCII)
_UNNAMEABLE = re.compile(r"[^\w.+-]")
_MOST_TEXT = 200
"""Characters of a text element that are looked at; DICOM allows 64 in most of those read here."""
_MOST_STATES = 10
_MOST_SKEW = 1.0
"""Samples that channels may be apart."""
_SOUND = {"OK", "UNSPECIFIED", ""}
PADDING_SEC = 1.0
"""How long an ordinary count must last to be padding where the file says that it is."""
_UNUSABLE = {"TEST DATA", "DISCONNECTED", "INVALID", "UNCALIBRATED", "DISABLED"}
_MEDIAN = re.compile(r"MEDIAN|AVERAGE|TEMPLATE|REPRESENTATIVE|MEAN BEAT", re.IGNORECASE)


def read_dicom(path: Path) -> Record:
    """Read one DICOM ECG.

    Raises
    ------
    RecordError
        The file is no sound, uncompressed 12-lead or general ECG with 16-bit channels.
    """
    limit = min(MAX_DICOM_BYTES, int(settings().max_file_mb * 1e6))
    with open_regular(path, 10 * limit) as (file, size):
        head = file.read(132)
        head = with_preamble(head)
        if not is_dicom(head):
            problem = "is neither a WFDB header nor a DICOM file"
            raise RecordError(path.name, "content", problem, "give a .hea, .mat, .dat or .dcm file")
        if size > limit:
            problem = f"is {size} bytes long; at most {limit} are read"
            fix = "export the ECG alone, without other data"
            raise RecordError(path.name, "size", problem, fix)
        data = head + file.read(limit)
    scan(data, path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of it is checked below
            return _record(path, data)
    except RecordError:
        raise
    except Exception as error:  # a parser that we did not write, on an untrusted file
        problem = f"cannot be read as DICOM ({type(error).__name__})"
        raise RecordError(path.name, "content", problem, "export the ECG again") from error


def _record(path: Path, data: bytes) -> Record:
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data))
    storage = _text(dataset, "SOPClassUID")
    if storage not in _STORAGE:
        problem = f"{storage!r} is neither 12-lead nor General ECG storage"
        fix = "give the ECG waveform object of the study"
        raise RecordError(path.name, "SOP class", problem, fix)
    groups, several = _rhythm_groups(path.name, dataset)
    kept, signal, scales, noted = _channels(path.name, groups)
    age = _age(dataset)
    odd = [odd_age()] if age is not None and not 0 <= age <= MAX_AGE else []
    return assemble(
        signal,
        kept.leads,
        scales,
        name=_UNNAMEABLE.sub("_", path.stem),
        fs=float(groups[0].SamplingFrequency),
        age=None if odd else age,
        sex=parse_sex(_text(dataset, "PatientSex")),
        before=[*several, *noted],
        after=odd,
        file=path.name,
    )


def _rhythm_groups(where: str, dataset: Any) -> tuple[list[Any], list[QualityWarning]]:
    """The longest group that is no median beat, with those that go with it: same time, same rate,
    other leads. A warning where a group as long says something about the same leads."""
    groups = list(dataset.get("WaveformSequence") or ())
    if not groups:
        problem = "holds no waveform"
        raise RecordError(where, "WaveformSequence", problem, "give an ECG waveform file")
    rhythm = [g for g in groups if not _MEDIAN.search(_text(g, "MultiplexGroupLabel"))]
    if not rhythm:
        fix = "export the ECG with its rhythm waveform"
        raise RecordError(where, "WaveformSequence", "holds only a median beat, no rhythm", fix)
    original = [g for g in rhythm if _text(g, "WaveformOriginality") == "ORIGINAL"] or rhythm
    seconds = [_seconds(where, group) for group in original]
    longest = max(seconds)
    first = original[seconds.index(longest)]
    chosen, leads, again = [first], _standard_leads(where, first), 0
    for group, length in zip(original, seconds, strict=True):
        theirs = _standard_leads(where, group)
        if group is first or length < longest:
            continue
        if leads & theirs:
            again += 1
        elif theirs and _clock(where, group) == _clock(where, first) is not None:
            chosen.append(group)
            leads |= theirs
    elsewhere = set[str]().union(*(_standard_leads(where, group) for group in original)) - leads
    if elsewhere:
        raise RecordError(
            where, "WaveformSequence",
            f"the leads are spread over {len(original)} groups of channels of different times, "
            f"rates or lengths ({', '.join(x for x in STANDARD_LEADS if x in leads)} here; "
            f"{', '.join(x for x in STANDARD_LEADS if x in elsewhere)} elsewhere)",
            "export the ECG with all leads recorded at the same time",
        )  # fmt: skip
    text = f"{again + 1} groups of channels are equally long; the first is read"
    return chosen, [QualityWarning("several_groups", text)] if again else []


def _clock(where: str, group: Any) -> tuple[float, int, float] | None:
    """Rate, samples and time offset of a group; ``None`` where it does not say its time."""
    offset = group.get("MultiplexGroupTimeOffset")
    if offset is None:
        return None
    fs = float(group.SamplingFrequency)
    return fs, int(group.NumberOfWaveformSamples), _number(where, "time offset", offset)


def _standard_leads(where: str, group: Any) -> set[str]:
    channels = list(group.get("ChannelDefinitionSequence") or ())[:MAX_CHANNELS]
    found = (signed_lead(_lead(channel)) for channel in channels)
    return {lead[0] for lead in found if lead}


def _seconds(where: str, group: Any) -> float:
    """Length of a group, with its rate, channels and samples checked."""
    fs = _number(where, "sampling frequency", group.get("SamplingFrequency"))
    channels = _number(where, "number of channels", group.get("NumberOfWaveformChannels"))
    samples = _number(where, "number of samples", group.get("NumberOfWaveformSamples"))
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        problem = f"{fs:g} Hz is not from {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz"
        raise RecordError(where, "sampling frequency", problem, "export the ECG again")
    if channels % 1 or not 1 <= channels <= MAX_CHANNELS or samples < MIN_SECONDS * fs:
        raise RecordError(
            where, "channels and samples",
            f"{channels:g} channels x {samples:g} samples are no ECG of at least "
            f"{MIN_SECONDS:g} s with 1 to {MAX_CHANNELS} channels",
            "export the standard 12 leads",
        )  # fmt: skip
    return samples / fs


def _text(dataset: Any, name: str) -> str:
    """The beginning of a text element; empty where it is absent or empty."""
    return str(dataset.get(name) or "")[:_MOST_TEXT]


def _number(where: str, field: str, value: object) -> float:
    text = str(value).strip()
    # float() alone would take underscores and the digits of every script
    number = float(text) if len(text) <= _MOST_TEXT and _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(number):
        problem = "is missing" if value is None else f"{str(value)!r} is not a number"
        raise RecordError(where, field, problem, "export the ECG again")
    return number


def _channels(
    where: str, groups: list[Any]
) -> tuple[Arrangement, Float32Array, list[Scale], list[QualityWarning]]:
    """Which channels are read, ``float32[lead, sample]`` mV, the scales, and warnings."""
    channels: list[tuple[Any, npt.NDArray[np.int16], npt.NDArray[np.bool_] | None]] = []
    for group in groups:
        counts = _counts(where, group)
        definitions = list(group.get("ChannelDefinitionSequence") or ())
        if len(definitions) != counts.shape[1]:
            problem = f"describes {len(definitions)} channels; the data has {counts.shape[1]}"
            raise RecordError(where, "ChannelDefinitionSequence", problem, "export the ECG again")
        gap = _gaps(counts, group.get("WaveformPaddingValue"), float(group.SamplingFrequency))
        for number, channel in enumerate(definitions):
            column = None if gap is None else gap[:, number]
            channels.append((channel, counts[:, number], column))
    kept = arrange(where, [_lead(channel) for channel, _, _ in channels], "channel")
    signal = np.empty((len(kept.leads), len(channels[0][1])), dtype=np.float32)
    scales = []
    for row, (position, sign) in enumerate(zip(kept.positions, kept.signs, strict=True)):
        channel, counts, column = channels[position]
        per_count, offset = _scale(where, f"channel {position + 1}", channel)
        values = sign * (counts * per_count + offset)
        if column is not None:
            values[column] = np.nan
        signal[row] = values
        # never -0.0, which has another digest
        gain, zero = 1.0 / per_count, 0.0 - sign * offset / per_count
        rails = sorted(sign * (count * per_count + offset) for count in (-(2**15), 2**15 - 1))
        scales.append(Scale(gain, zero, (rails[0], rails[1])))
    read = [(p, lead, channels[p][0]) for p, lead in zip(kept.positions, kept.leads, strict=True)]
    noted = list(kept.warnings)
    noted += _skews(where, read, float(groups[0].SamplingFrequency))
    noted += _states(where, read)
    return kept, signal, scales, noted


def _gaps(counts: npt.NDArray[np.int16], padding: Any, fs: float) -> npt.NDArray[np.bool_] | None:
    """``bool[sample, channel]``: where the padding value says that no sample is.

    Some devices write a padding value that is an ordinary count, such as 0. Where it lies among the
    other counts of a channel, only a second or more of it means that nothing was recorded.
    """
    if padding is None:
        return None
    value = _padding_count(padding)
    gap: npt.NDArray[np.bool_] = counts == value
    for channel in np.flatnonzero(gap.any(axis=0)):
        others = counts[~gap[:, channel], channel]
        if len(others) and others.min() < value < others.max():
            steps = np.flatnonzero(np.diff(gap[:, channel].astype(np.int8), prepend=0, append=0))
            for start, stop in zip(steps[::2], steps[1::2], strict=True):
                if stop - start < PADDING_SEC * fs:
                    gap[start:stop, channel] = False
    return gap


def _skews(where: str, read: list[tuple[int, str, Any]], fs: float) -> list[QualityWarning]:
    """Channels of a cart that samples one after the other are apart by less than a sample, which is
    kept with a warning; what is further apart would have to be put right, and is refused."""
    late = []
    for position, lead, channel in read:
        at = f"channel {position + 1}, skew"
        samples = _number(where, at, channel.get("ChannelSampleSkew") or 0)
        samples += fs * _number(where, at, channel.get("ChannelTimeSkew") or 0)
        if abs(samples) > _MOST_SKEW:
            problem = f"lead {lead} was sampled {1000 * samples / fs:g} ms from the others"
            fix = "export the ECG with all channels on one time base"
            raise RecordError(where, at, problem, fix)
        if samples:
            late.append(lead)
    text = "the channels were not sampled at the same instant (they are within one sample)"
    return [QualityWarning("channel_skew", text, tuple(late))] if late else []


def _states(where: str, read: list[tuple[int, str, Any]]) -> list[QualityWarning]:
    """What the device says of its channels (PS3.3 C.10.9, Channel Status)."""
    doubtful = []
    for position, lead, channel in read:
        given = channel.get("ChannelStatus") or ()
        states = [given] if isinstance(given, str) else list(given)[:_MOST_STATES]
        words = {str(state)[:_MOST_TEXT].strip().upper() for state in states} - _SOUND
        if words & _UNUSABLE:
            problem = f"the device marked lead {lead} as {', '.join(sorted(words & _UNUSABLE))}"
            fix = "export an ECG in which all twelve leads were recorded"
            raise RecordError(where, f"channel {position + 1}, status", problem, fix)
        if words:
            doubtful.append(lead)
    text = "the device marked the channel as questionable"
    return [QualityWarning("channel_status", text, tuple(doubtful))] if doubtful else []


def _counts(where: str, group: Any) -> npt.NDArray[np.int16]:
    """``int16[sample, channel]``; the length of the data must be exactly that of the claims."""
    bits, kind = group.get("WaveformBitsAllocated"), group.get("WaveformSampleInterpretation")
    if bits != 16 or kind != "SS":
        problem = f"{bits} bits, {kind}: only 16-bit signed samples are read"
        raise RecordError(where, "sample type", problem, "export the ECG with 16-bit samples")
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    data = group.get("WaveformData")
    n_bytes = len(data) if isinstance(data, bytes) else 0
    if n_bytes != 2 * channels * samples:
        raise RecordError(
            where, "WaveformData",
            f"holds {n_bytes} bytes; {channels} channels x {samples} samples are "
            f"{2 * channels * samples}",
            "export or copy the file again",
        )  # fmt: skip
    return np.frombuffer(data, dtype="<i2").reshape(samples, channels)


def _padding_count(value: Any) -> int:
    """The count that marks a missing sample: bytes or a number, as the parser gives it."""
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little", signed=True)
    return int(value)


def _lead(channel: Any) -> str:
    """Name of a channel's lead by its code; by its words where the code is private."""
    source = (list(channel.get("ChannelSourceSequence") or ()) or [{}])[0]
    scheme, code = _text(source, "CodingSchemeDesignator"), _text(source, "CodeValue")
    words = _text(source, "CodeMeaning") or _text(channel, "ChannelLabel")
    prefix = _CODE_PREFIX.get(scheme)
    if prefix is None:
        return words or f"{scheme} {code!r}"
    number = code.removeprefix(prefix)
    if code.startswith(prefix) and number.isdecimal() and len(number) < 4:
        found = LEAD_NUMBERS.get(int(number))
        return found or f"{scheme} {code!r}"
    return code if signed_lead(code) or extra_channel(code) else f"{scheme} {code!r}"


def _scale(where: str, at: str, channel: Any) -> tuple[float, float]:
    """mV per count, and mV at count 0 (PS3.3 C.10.9.1.4.2 to C.10.9.1.4.4)."""
    units = (list(channel.get("ChannelSensitivityUnitsSequence") or ()) or [{}])[0]
    unit = _text(units, "CodeValue")
    if unit not in _MV_PER_UNIT:
        problem = f"{unit!r} is none of {', '.join(_MV_PER_UNIT)}"
        raise RecordError(where, f"{at}, units", problem, "export the ECG with calibrated channels")
    sensitivity = _number(where, f"{at}, sensitivity", channel.get("ChannelSensitivity"))
    given = channel.get("ChannelSensitivityCorrectionFactor")
    correction = _number(where, f"{at}, correction factor", 1 if given is None else given)
    baseline = _number(where, f"{at}, baseline", channel.get("ChannelBaseline") or 0)
    per_count = sensitivity * correction * _MV_PER_UNIT[unit]
    if not 1 / GAIN_RANGE[1] <= per_count <= 1 / GAIN_RANGE[0] or abs(baseline) > 1e9:
        problem = f"{per_count:g} mV per count is not a plausible scale"
        fix = "export the ECG with calibrated channels"
        raise RecordError(where, f"{at}, sensitivity", problem, fix)
    return per_count, baseline * _MV_PER_UNIT[unit]


def _age(dataset: Any) -> float | None:
    """Years, from the age field (``042Y``, ``018M``), else from the birth and recording dates; not
    checked, and NaN where the age field holds something else."""
    given = _text(dataset, "PatientAge").strip()
    match = _AGE.fullmatch(given)
    if given and not match:
        return math.nan
    if match:
        return int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
    dates = [
        _DATE.match(_text(dataset, key)) for key in ("PatientBirthDate", "AcquisitionDateTime")
    ]
    if not all(dates):
        return None
    birth, taken = (int(d[1]) + (int(d[2]) - 1) / 12 + int(d[3]) / 365.25 for d in dates if d)
    return float(math.floor(taken - birth))
