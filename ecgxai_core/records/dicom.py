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
from ecgxai_core.records.dicom_scan import is_dicom, scan
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.leads import lead_name, standard_order
from ecgxai_core.records.metadata import parse_sex
from ecgxai_core.records.quality import check_signal
from ecgxai_core.records.wfdb_header import FS_RANGE, GAIN_RANGE, MIN_SECONDS
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
_LEAD_NUMBERS = {
    "1": "I", "2": "II", "61": "III", "62": "aVR", "63": "aVL", "64": "aVF",
    "3": "V1", "4": "V2", "5": "V3", "6": "V4", "7": "V5", "8": "V6",
}  # fmt: skip
"""Lead numbers of SCP-ECG (EN 1064, 5.6.3), which ISO/IEEE 11073-10101 (MDC) shares; CID 3001."""
_CODE_PREFIX = {"SCPECG": "5.6.3-9-", "MDC": "2:"}
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
        if not is_dicom(head):
            raise RecordError(
                path.name, "content", "is neither a WFDB header nor a DICOM file",
                "give a .hea, .mat, .dat or .dcm file",
            )  # fmt: skip
        if size > limit:
            raise RecordError(
                path.name, "size", f"is {size} bytes long; at most {limit} are read",
                "export the ECG alone, without other data",
            )  # fmt: skip
        data = head + file.read(size - len(head))
    scan(data, path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of it is checked below
            return _record(path, data)
    except RecordError:
        raise
    except Exception as error:  # a parser that we did not write, on a file that nobody vouches for
        raise RecordError(
            path.name, "content", f"cannot be read as DICOM ({type(error).__name__})",
            "export the ECG again",
        ) from error  # fmt: skip


def _record(path: Path, data: bytes) -> Record:
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data))
    storage = str(dataset.get("SOPClassUID", ""))
    if storage not in _STORAGE:
        raise RecordError(
            path.name, "SOP class", f"{storage!r} is neither 12-lead nor General ECG storage",
            "give the ECG waveform object of the study",
        )  # fmt: skip
    group, several = _rhythm_group(path.name, dataset)
    leads, gains, zeros, signal, skewed = _channels(path.name, group)
    order = standard_order(path.name, leads)
    signal = np.ascontiguousarray(signal[list(order)])
    signal.flags.writeable = False
    leads = [leads[i] for i in order]
    gains = [gains[i] for i in order]
    zeros = [zeros[i] for i in order]
    fs = float(group.SamplingFrequency)
    rails = [
        [(c - z) / g for c in (-(2**15), 2**15 - 1)] for g, z in zip(gains, zeros, strict=True)
    ]
    found = [*several, *skewed, *check_signal(signal, leads, fs, gains, rails)]
    return Record(
        name=re.sub(r"[^\w.+-]", "_", path.stem),
        signal=signal,
        fs=fs,
        leads=tuple(leads),
        adc_gain=tuple(gains),
        adc_zero=tuple(zeros),
        age=_age(dataset),
        sex=parse_sex(str(dataset.get("PatientSex", ""))),
        warnings=tuple(found),
    )


def _rhythm_group(where: str, dataset: Any) -> tuple[Any, list[QualityWarning]]:
    """The longest group that is no median beat; a warning where another is as long."""
    groups = list(dataset.get("WaveformSequence") or ())
    if not groups:
        raise RecordError(
            where, "WaveformSequence", "holds no waveform", "give an ECG waveform file"
        )
    rhythm = [g for g in groups if not _MEDIAN.search(str(g.get("MultiplexGroupLabel", "")))]
    if not rhythm:
        raise RecordError(
            where, "WaveformSequence", "holds only a median beat, no rhythm",
            "export the ECG with its rhythm waveform",
        )  # fmt: skip
    original = [g for g in rhythm if str(g.get("WaveformOriginality", "")) == "ORIGINAL"] or rhythm
    seconds = [_seconds(where, group) for group in original]
    longest = max(seconds)
    if seconds.count(longest) == 1:
        return original[seconds.index(longest)], []
    text = f"{seconds.count(longest)} groups of channels are equally long; the first is read"
    return original[seconds.index(longest)], [QualityWarning("several_groups", text)]


def _seconds(where: str, group: Any) -> float:
    """Length of a group, with its rate, channels and samples checked."""
    fs = _number(where, "sampling frequency", group.get("SamplingFrequency"))
    channels = _number(where, "number of channels", group.get("NumberOfWaveformChannels"))
    samples = _number(where, "number of samples", group.get("NumberOfWaveformSamples"))
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        raise RecordError(
            where, "sampling frequency",
            f"{fs:g} Hz is not from {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz", "export the ECG again",
        )  # fmt: skip
    if not 1 <= channels <= len(STANDARD_LEADS) or samples < MIN_SECONDS * fs:
        raise RecordError(
            where, "channels and samples",
            f"{channels:g} channels x {samples:g} samples are no 12-lead ECG "
            f"of at least {MIN_SECONDS:g} s",
            "export the standard 12 leads only",
        )  # fmt: skip
    return samples / fs


def _number(where: str, field: str, value: object) -> float:
    number = math.nan
    if value is not None:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
    if not math.isfinite(number):
        problem = "is missing" if value is None else f"{str(value)!r} is no number"
        raise RecordError(where, field, problem, "export the ECG again")
    return number


def _channels(
    where: str, group: Any
) -> tuple[list[str], list[float], list[float], Float32Array, list[QualityWarning]]:
    """Lead names, counts per mV, counts at 0 mV, ``float32[lead, sample]`` mV, and warnings."""
    counts = _counts(where, group)
    definitions = list(group.get("ChannelDefinitionSequence") or ())
    if len(definitions) != counts.shape[1]:
        raise RecordError(
            where, "ChannelDefinitionSequence",
            f"describes {len(definitions)} channels; the data has {counts.shape[1]}",
            "export the ECG again",
        )  # fmt: skip
    padding = group.get("WaveformPaddingValue")
    gap = counts == _padding_count(padding) if padding is not None else None
    leads, gains, zeros = [], [], []
    signal = np.empty(counts.shape[::-1], dtype=np.float32)
    for number, channel in enumerate(definitions):
        at = f"channel {number + 1}"
        leads.append(_lead(where, at, channel))
        per_count, offset = _scale(where, at, channel)
        values = counts[:, number] * per_count + offset
        if gap is not None:
            values[gap[:, number]] = np.nan
        signal[number] = values
        gains.append(1.0 / per_count)
        zeros.append(0.0 - offset / per_count)  # never -0.0, which has another digest
    skewed = tuple(
        lead
        for lead, channel in zip(leads, definitions, strict=True)
        if _number(where, "channel skew", channel.get("ChannelSampleSkew") or 0) != 0
    )
    text = "the channels were not sampled at the same instant"
    return leads, gains, zeros, signal, (
        [QualityWarning("channel_skew", text, skewed)] if skewed else []
    )  # fmt: skip


def _counts(where: str, group: Any) -> npt.NDArray[np.int16]:
    """``int16[sample, channel]``; the length of the data must be exactly that of the claims."""
    bits, kind = group.get("WaveformBitsAllocated"), group.get("WaveformSampleInterpretation")
    if bits != 16 or kind != "SS":
        raise RecordError(
            where, "sample type", f"{bits} bits, {kind}: only 16-bit signed samples are read",
            "export the ECG with 16-bit samples",
        )  # fmt: skip
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


def _lead(where: str, at: str, channel: Any) -> str:
    """Standard name of a channel's lead, by its code; by its words where the code is private."""
    source = (list(channel.get("ChannelSourceSequence") or ()) or [{}])[0]
    scheme, code = str(source.get("CodingSchemeDesignator", "")), str(source.get("CodeValue", ""))
    prefix = _CODE_PREFIX.get(scheme)
    if prefix is not None:
        found = _LEAD_NUMBERS.get(code.removeprefix(prefix)) if code.startswith(prefix) else None
        found = found or lead_name(code.removeprefix("MDC_ECG_LEAD_"))
    else:
        words = str(source.get("CodeMeaning", "")) or str(channel.get("ChannelLabel", ""))
        found = lead_name(words.removesuffix("(Einthoven)"))
    if found is None:
        raise RecordError(
            where, f"{at}, source", f"{scheme} {code!r} is none of the 12 standard leads",
            "export the standard 12 leads only",
        )  # fmt: skip
    return found


def _scale(where: str, at: str, channel: Any) -> tuple[float, float]:
    """mV per count, and mV at count 0 (PS3.3 C.10.9.1.4.2 to C.10.9.1.4.4)."""
    units = (list(channel.get("ChannelSensitivityUnitsSequence") or ()) or [{}])[0]
    unit = str(units.get("CodeValue", ""))
    if unit not in _MV_PER_UNIT:
        raise RecordError(
            where, f"{at}, units", f"{unit!r} is none of {', '.join(_MV_PER_UNIT)}",
            "export the ECG with calibrated channels",
        )  # fmt: skip
    sensitivity = _number(where, f"{at}, sensitivity", channel.get("ChannelSensitivity"))
    given = channel.get("ChannelSensitivityCorrectionFactor")
    correction = _number(where, f"{at}, correction factor", 1 if given is None else given)
    baseline = _number(where, f"{at}, baseline", channel.get("ChannelBaseline") or 0)
    per_count = sensitivity * correction * _MV_PER_UNIT[unit]
    if not 1 / GAIN_RANGE[1] <= per_count <= 1 / GAIN_RANGE[0] or abs(baseline) > 1e9:
        raise RecordError(
            where, f"{at}, sensitivity", f"{per_count:g} mV per count is no sensible scale",
            "export the ECG with calibrated channels",
        )  # fmt: skip
    return per_count, baseline * _MV_PER_UNIT[unit]


def _age(dataset: Any) -> float | None:
    """Years, from the age field (``042Y``, ``018M``), else from the birth and recording dates."""
    match = re.fullmatch(r"(\d{3})([DWMY])", str(dataset.get("PatientAge", "") or ""), re.ASCII)
    if match:
        return int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
    dates = [
        re.match(r"(\d{4})(\d{2})(\d{2})", str(dataset.get(key, "") or ""), re.ASCII)
        for key in ("PatientBirthDate", "AcquisitionDateTime")
    ]
    if not all(dates):
        return None
    birth, taken = (int(d[1]) + (int(d[2]) - 1) / 12 + int(d[3]) / 365.25 for d in dates if d)
    age = math.floor(taken - birth)
    return float(age) if 0 <= age <= 120 else None
