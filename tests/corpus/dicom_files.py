"""DICOM ECGs: a sound one, built element by element, and what can go wrong with it."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.records import read_record
from tests.corpus.base import FS, SAMPLES, ecg

__all__ = ["CASES", "dicom_bytes", "dicom_dataset", "read_bytes"]

Make = Callable[[Path], Path]
Change = Callable[[Any], None]

SCP = ("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8")
MICROVOLTS_PER_COUNT = 2.5


def _item(**fields: object) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return item


def group(samples: int = SAMPLES, label: str = "RHYTHM", scheme: str = "SCPECG") -> Any:
    """One multiplex group with the sound record's leads."""
    prefix = "5.6.3-9-" if scheme == "SCPECG" else "2:"
    channels = [
        _item(
            ChannelSourceSequence=[_item(CodeValue=prefix + number, CodingSchemeDesignator=scheme)],
            ChannelSensitivity=str(MICROVOLTS_PER_COUNT),
            ChannelSensitivityUnitsSequence=[_item(CodeValue="uV", CodingSchemeDesignator="UCUM")],
            ChannelSensitivityCorrectionFactor="1.000",
            ChannelBaseline="0",
            WaveformBitsStored=16,
        )
        for number in SCP
    ]
    counts = np.rint(ecg()[:, :samples] * 1000 / MICROVOLTS_PER_COUNT).astype("<i2")
    item = _item(
        WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=len(SCP),
        NumberOfWaveformSamples=samples, SamplingFrequency=str(FS), MultiplexGroupLabel=label,
        ChannelDefinitionSequence=channels, WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
    )  # fmt: skip
    item.add_new(0x54001010, "OW", counts.T.tobytes())
    return item


def dicom_dataset() -> Any:
    """A sound 12-lead ECG as a pydicom dataset."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "ECG"
    dataset.PatientName = "Nobody"
    dataset.PatientAge = "060Y"
    dataset.PatientSex = "F"
    dataset.WaveformSequence = [group()]
    return dataset


def dicom_bytes(change: Change | None = None, syntax: str | None = None) -> bytes:
    """The sound file, after ``change`` was made to its dataset."""
    dataset = dicom_dataset()
    if change is not None:
        change(dataset)
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_bytes(data: bytes, name: str = "ecg.dcm") -> Any:
    """What the reader makes of the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return read_record(path)


def _file(content: Callable[[], bytes], name: str = "ecg.dcm") -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return make


def _changed(change: Change) -> Make:
    return _file(lambda: dicom_bytes(change))


def _bytes(edit: Callable[[bytes], bytes]) -> Make:
    return _file(lambda: edit(dicom_bytes()))


def _group_field(name: str, value: object) -> Make:
    """One field of the group set to a value, or removed with ``None``."""

    def change(dataset: Any) -> None:
        item = dataset.WaveformSequence[0]
        if value is None:
            delattr(item, name)
        else:
            setattr(item, name, value)

    return _changed(change)


def _channel_field(name: str, value: object, channels: range = range(12)) -> Make:
    def change(dataset: Any) -> None:
        for number in channels:
            channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[number]
            if value is None:
                delattr(channel, name)
            else:
                setattr(channel, name, value)

    return _changed(change)


def _lead_code(channel: int, code: str, scheme: str = "SCPECG") -> Make:
    source = {"CodeValue": code, "CodingSchemeDesignator": scheme}
    return _changed(lambda dataset: _set_code(dataset, channel, source))


def _set_code(dataset: Any, channel: int, source: dict[str, str]) -> None:
    definition = dataset.WaveformSequence[0].ChannelDefinitionSequence[channel]
    definition.ChannelSourceSequence = [_item(**source)]


def _number_text(old: bytes, new: bytes) -> Make:
    """A decimal string replaced in the bytes, where pydicom would not write it."""
    assert len(old) == len(new)
    return _bytes(lambda body: body.replace(old, new))


def _three_channels(dataset: Any) -> None:
    item = dataset.WaveformSequence[0]
    item.NumberOfWaveformChannels = 3
    item.ChannelDefinitionSequence = [item.ChannelDefinitionSequence[0]] * 3
    item.WaveformData = item.WaveformData[: 6 * SAMPLES]


def _thirteen_channels(dataset: Any) -> None:
    item = dataset.WaveformSequence[0]
    item.NumberOfWaveformChannels = 13
    channels = item.ChannelDefinitionSequence
    item.ChannelDefinitionSequence = [*channels, channels[0]]
    item.WaveformData = item.WaveformData + bytes(2 * SAMPLES)


def _median_only(dataset: Any) -> None:
    dataset.WaveformSequence[0].MultiplexGroupLabel = "MEDIAN BEAT"


def _no_sequence(dataset: Any) -> None:
    del dataset.WaveformSequence


def _empty_sequence(dataset: Any) -> None:
    dataset.WaveformSequence = []


def _other_class(dataset: Any) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def _deflated(body: bytes) -> bytes:
    """A file that inflates from 1 MB to 1 GB."""
    meta_end = body.index(b"\x08\0\x16\0")
    meta = body[:meta_end].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    position = meta.index(b"\x02\0\x10\0UI") + 6
    meta = meta[:position] + struct.pack("<H", 22) + meta[position + 2 :]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return meta + block * 1024 + b"\x03\0"


def _element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little-endian element; ``length`` is what it claims."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    long = vr in {b"SQ", b"UN", b"OW", b"OB", b"UT"}
    return head + (b"\0\0" + struct.pack("<I", size) if long else struct.pack("<H", size)) + value


def _nested(body: bytes) -> bytes:
    """5000 sequences, each in the item of another, none of known length."""
    open_one = _element(0x00400555, b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    return body + open_one * 5000


def _many_elements(body: bytes) -> bytes:
    return body + _element(0x60000010, b"US", b"\0\0") * 1_000_000


def _many_in_sequence(body: bytes) -> bytes:
    inside = _element(0x60000010, b"US", b"\0\0") * 500_000
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(inside)) + inside
    return body + _element(0x60000012, b"SQ", item)


def _implicit_claims(body: bytes) -> bytes:
    return dicom_bytes(syntax="1.2.840.10008.1.2")[:-50]


CASES: dict[str, Make] = {
    "dicom_empty": _file(lambda: b""),
    "dicom_zeros": _file(lambda: bytes(5000)),
    "dicom_text": _file(lambda: b"this is no DICOM file\n" * 20),
    "dicom_preamble_only": _file(lambda: bytes(128) + b"DICM"),
    "dicom_no_preamble_cut": _bytes(lambda body: body[132:-1]),
    "dicom_no_preamble_no_group_length": _bytes(lambda body: body[144:]),
    "dicom_no_suffix_text": _file(lambda: b"hello" * 100, "ecg"),
    "dicom_cut_in_half": _bytes(lambda body: body[: len(body) // 2]),
    "dicom_cut_by_a_byte": _bytes(lambda body: body[:-1]),
    "dicom_cut_to_200": _bytes(lambda body: body[:200]),
    "dicom_cut_in_head": _bytes(lambda body: body[:140]),
    "dicom_cut_implicit": _bytes(_implicit_claims),
    "dicom_random_tail": _bytes(lambda body: body + np.random.default_rng(2).bytes(999)),
    "dicom_all_random": _bytes(lambda body: body[:132] + np.random.default_rng(2).bytes(9999)),
    "dicom_element_claims_4_gb": _bytes(
        lambda body: body + _element(0x60003000, b"OW", b"\0\0", 0xFFFFFFF0)
    ),
    "dicom_pixels_without_end": _bytes(
        lambda body: body + _element(0x7FE00010, b"OB", b"\0\0", 0xFFFFFFFF)
    ),
    "dicom_sequence_without_end": _bytes(
        lambda body: body + _element(0x60000012, b"SQ", b"", 0xFFFFFFFF)
    ),
    "dicom_sequence_of_no_items": _bytes(
        lambda body: body + _element(0x60000012, b"SQ", b"\x08\0\0\0" * 2)
    ),
    "dicom_nested_5000": _bytes(_nested),
    "dicom_million_elements": _bytes(_many_elements),
    "dicom_many_in_sequence": _bytes(_many_in_sequence),
    "dicom_20_mb": _bytes(lambda body: body + _element(0x60003000, b"OW", bytes(20_000_000))),
    "dicom_deflated_bomb": _bytes(_deflated),
    "dicom_jpeg": _file(
        lambda: dicom_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4\0")
    ),
    "dicom_no_syntax": _bytes(lambda body: body.replace(b"\x02\0\x10\0UI", b"\x02\0\x11\0UI")),
    "dicom_other_class": _changed(_other_class),
    "dicom_no_class": _changed(lambda dataset: delattr(dataset, "SOPClassUID")),
    "dicom_no_waveform": _changed(_no_sequence),
    "dicom_empty_waveform": _changed(_empty_sequence),
    "dicom_median_only": _changed(_median_only),
    "dicom_3_equal_channels": _changed(_three_channels),
    "dicom_13_channels": _changed(_thirteen_channels),
    "dicom_lead_twice": _lead_code(1, "5.6.3-9-1"),
    "dicom_lead_unknown": _lead_code(1, "5.6.3-9-99"),
    "dicom_lead_other_scheme": _lead_code(1, "5.6.3-9-2", "99LOCAL"),
    "dicom_lead_not_coded": _channel_field("ChannelSourceSequence", None, range(3, 4)),
    "dicom_samples_2e9": _group_field("NumberOfWaveformSamples", 2_000_000_000),
    "dicom_samples_0": _group_field("NumberOfWaveformSamples", 0),
    "dicom_samples_one_more": _group_field("NumberOfWaveformSamples", SAMPLES + 1),
    "dicom_samples_one_less": _group_field("NumberOfWaveformSamples", SAMPLES - 1),
    "dicom_samples_missing": _group_field("NumberOfWaveformSamples", None),
    "dicom_channels_0": _group_field("NumberOfWaveformChannels", 0),
    "dicom_channels_60000": _group_field("NumberOfWaveformChannels", 60000),
    "dicom_channels_6": _group_field("NumberOfWaveformChannels", 6),
    "dicom_channels_missing": _group_field("NumberOfWaveformChannels", None),
    "dicom_rate_0": _group_field("SamplingFrequency", "0"),
    "dicom_rate_negative": _group_field("SamplingFrequency", "-500"),
    "dicom_rate_5": _group_field("SamplingFrequency", "5"),
    "dicom_rate_1e12": _group_field("SamplingFrequency", "1e12"),
    "dicom_rate_missing": _group_field("SamplingFrequency", None),
    "dicom_8_bits": _group_field("WaveformBitsAllocated", 8),
    "dicom_32_bits": _group_field("WaveformBitsAllocated", 32),
    "dicom_unsigned": _group_field("WaveformSampleInterpretation", "US"),
    "dicom_mu_law": _group_field("WaveformSampleInterpretation", "MB"),
    "dicom_data_missing": _group_field("WaveformData", None),
    "dicom_data_empty": _group_field("WaveformData", b""),
    "dicom_data_short": _group_field("WaveformData", bytes(1000)),
    "dicom_channel_list_missing": _group_field("ChannelDefinitionSequence", None),
    "dicom_channel_list_short": _changed(
        lambda dataset: dataset.WaveformSequence[0].ChannelDefinitionSequence.pop()
    ),
    "dicom_sensitivity_missing": _channel_field("ChannelSensitivity", None, range(4, 5)),
    "dicom_sensitivity_0": _channel_field("ChannelSensitivity", "0", range(4, 5)),
    "dicom_sensitivity_negative": _channel_field("ChannelSensitivity", "-2.5", range(4, 5)),
    "dicom_sensitivity_1e-300": _channel_field("ChannelSensitivity", "1e-300", range(4, 5)),
    "dicom_sensitivity_nan": _number_text(b"\x04\x002.5 ", b"\x04\x00nan "),
    "dicom_sensitivity_inf": _number_text(b"\x04\x002.5 ", b"\x04\x00inf "),
    "dicom_sensitivity_text": _number_text(b"\x04\x002.5 ", b"\x04\x00abcd"),
    "dicom_correction_text": _number_text(b"1.000 ", b"x.000 "),
    "dicom_units_missing": _channel_field("ChannelSensitivityUnitsSequence", None, range(4, 5)),
    "dicom_units_pressure": _number_text(b"\x02\x00uV", b"\x02\x00Pa"),
    "dicom_named_hea": _file(dicom_bytes, "rec.hea"),
    "wfdb_named_dcm": _file(lambda: b"rec 12 500 3000\n", "rec.dcm"),
}
