"""DICOM files whose elements lie about their type, number or order, and what a device disowns."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

from tests.corpus.dicom_files import (
    Make,
    _bytes,
    _changed,
    _channel_field,
    _element,
    _item,
    dicom_bytes,
    group,
)

__all__ = ["CASES"]

ONE = range(4, 5)
LONG = 60_000


def _retyped(tag: int, vr: str, value: Any, place: str = "group") -> Make:
    """An element under another type than it should have."""

    def change(dataset: Any) -> None:
        item = dataset if place == "top" else dataset.WaveformSequence[0]
        item = item.ChannelDefinitionSequence[4] if place == "channel" else item
        item.pop(tag, None)
        item.add_new(tag, vr, value)

    return _changed(change)


def _as_whole_number(tag: int, text: str) -> Make:
    """A decimal text under the type IS, which pydicom would not write."""
    old = struct.pack("<HH", tag >> 16, tag & 0xFFFF)

    def make(folder: Path) -> Path:
        _retyped(tag, "LO", text)(folder)
        path = folder / "ecg.dcm"
        path.write_bytes(path.read_bytes().replace(old + b"LO", old + b"IS"))
        return path

    return make


def _twice(body: bytes) -> bytes:
    """The waveform sequence of another record behind the first one."""

    def louder(dataset: Any) -> None:
        for channel in dataset.WaveformSequence[0].ChannelDefinitionSequence:
            channel.ChannelSensitivity = "5"

    sequence = struct.pack("<HH", 0x5400, 0x0100) + b"SQ"
    other = dicom_bytes(louder)
    return body + other[other.index(sequence) :]


def _sensitivity_twice(dataset_bytes: bytes) -> bytes:
    """A second sensitivity in one channel, in the place of an element nobody needs."""
    old = struct.pack("<HH", 0x003A, 0x021A) + b"US"
    assert old in dataset_bytes
    again = struct.pack("<HH", 0x003A, 0x0210) + b"DS"
    return dataset_bytes.replace(old, again, 1)


def _arabic_rate(dataset: Any) -> None:
    dataset.SpecificCharacterSet = dataset.WaveformSequence[0].SpecificCharacterSet = "ISO_IR 192"
    item = dataset.WaveformSequence[0]
    item.pop(0x003A001A)
    item.add_new(0x003A001A, "UT", "٥٠٠")


def _source(**fields: str) -> Make:
    return _channel_field("ChannelSourceSequence", [_item(**fields)], ONE)


def _deep_items(body: bytes) -> bytes:
    """Thirteen sequences inside each other, all of known length."""
    inner = b""
    for _ in range(13):
        item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(inner)) + inner
        inner = _element(0x60000012, b"SQ", item)
    return body + inner


def _many_items(body: bytes) -> bytes:
    """A sequence of a hundred thousand empty items."""
    return body + _element(0x60000012, b"SQ", b"\xfe\xff\0\xe0\0\0\0\0" * 100_000)


def _many_groups(dataset: Any) -> None:
    """Three thousand median beats of one channel each."""
    small = _item(MultiplexGroupLabel="MEDIAN BEAT", NumberOfWaveformChannels=1)
    dataset.WaveformSequence = [small] * 12_000


def _no_rhythm(dataset: Any) -> None:
    dataset.WaveformSequence = [group(600, label) for label in ("AVERAGE", "template beat")]


ELEMENTS: dict[str, Make] = {
    "dicom_samples_as_a_giant_number": _as_whole_number(0x003A0010, "1E+9999999"),
    "dicom_samples_as_1e300": _as_whole_number(0x003A0010, "1E+300"),
    "dicom_samples_as_60000_digits": _as_whole_number(0x003A0010, "9" * LONG),
    "dicom_samples_as_a_list": _retyped(0x003A0010, "UL", [3000, 3000]),
    "dicom_samples_as_nan": _retyped(0x003A0010, "FD", float("nan")),
    "dicom_samples_negative": _retyped(0x003A0010, "SL", -3000),
    "dicom_channels_as_text": _retyped(0x003A0005, "LO", "twelve"),
    "dicom_channels_as_12_5": _retyped(0x003A0005, "FD", 12.5),
    "dicom_rate_as_a_list": _retyped(0x003A001A, "DS", ["500", "250"]),
    "dicom_rate_as_infinity": _retyped(0x003A001A, "FD", float("inf")),
    "dicom_rate_of_60000_digits": _retyped(0x003A001A, "UT", "5" * LONG),
    "dicom_rate_as_a_sequence": _retyped(0x003A001A, "SQ", [_item(CodeValue="500")]),
    "dicom_rate_arabic_digits": _changed(_arabic_rate),
    "dicom_rate_underscore": _retyped(0x003A001A, "LO", "5_00"),
    "dicom_sensitivity_as_a_sequence": _retyped(0x003A0210, "SQ", [_item()], "channel"),
    "dicom_sensitivity_of_60000_digits": _retyped(0x003A0210, "UT", "0." + "0" * LONG, "channel"),
    "dicom_correction_0": _channel_field("ChannelSensitivityCorrectionFactor", "0", ONE),
    "dicom_correction_nan": _retyped(0x003A0212, "FD", float("nan"), "channel"),
    "dicom_baseline_nan": _retyped(0x003A0213, "FD", float("nan"), "channel"),
    "dicom_baseline_1e30": _retyped(0x003A0213, "DS", "1e30", "channel"),
    "dicom_bits_as_text": _retyped(0x54001004, "LO", "16"),
    "dicom_data_as_text": _retyped(0x54001010, "UT", "0" * 72_000),
    "dicom_data_as_a_sequence": _retyped(0x54001010, "SQ", [_item(CodeValue="0")]),
    "dicom_padding_as_text": _retyped(0x5400100A, "LO", "none"),
    "dicom_channels_as_a_text": _retyped(0x003A0200, "UT", "I, II, III"),
    "dicom_waveforms_as_bytes": _retyped(0x54000100, "OB", bytes(100), "top"),
    "dicom_class_as_a_list": _retyped(0x00080016, "UI", ["1.2", "1.3"], "top"),
    "dicom_code_of_60000": _source(CodeValue="2" * LONG, CodingSchemeDesignator="MDC"),
    "dicom_code_arabic_digit": _source(CodeValue="5.6.3-9-١", CodingSchemeDesignator="SCPECG"),
    "dicom_source_empty": _channel_field("ChannelSourceSequence", [], ONE),
}

DEVICE: dict[str, Make] = {
    "dicom_time_skew_50_ms": _channel_field("ChannelTimeSkew", "0.05", ONE),
    "dicom_time_skew_nan": _retyped(0x003A0214, "FD", float("nan"), "channel"),
    "dicom_sample_skew_25": _channel_field("ChannelSampleSkew", "25", ONE),
    "dicom_channel_disabled": _channel_field("ChannelStatus", "DISABLED", ONE),
    "dicom_channel_disconnected": _channel_field("ChannelStatus", "DISCONNECTED", ONE),
    "dicom_channel_test_data": _channel_field("ChannelStatus", ["OK", "TEST DATA"]),
    "dicom_average_and_template_only": _changed(_no_rhythm),
}

STRUCTURE: dict[str, Make] = {
    "dicom_gzip": _bytes(gzip.compress),
    "dicom_waveforms_twice": _bytes(_twice),
    "dicom_sensitivity_twice": _bytes(_sensitivity_twice),
    "dicom_items_13_deep": _bytes(_deep_items),
    "dicom_items_100000": _bytes(_many_items),
    "dicom_groups_12000": _changed(_many_groups),
    "dicom_twice_in_one_file": _bytes(lambda body: body + body),
    "dicom_preamble_of_zeros_shifted": _bytes(lambda body: b"\0" + body),
    "dicom_meta_length_4_gb": _bytes(
        lambda body: body.replace(b"\x02\0\0\0UL\x04\0", b"\x02\0\0\0OB\0\0\xff\xff\xff\x7f", 1)
    ),
    "dicom_type_in_lower_case": _bytes(
        lambda body: body.replace(b"\x10\0\x10\0PN", b"\x10\0\x10\0pn")
    ),
    "dicom_type_unknown": _bytes(lambda body: body.replace(b"\x3a\0\x1a\0DS", b"\x3a\0\x1a\0ZZ")),
}

CASES: dict[str, Make] = ELEMENTS | DEVICE | STRUCTURE
