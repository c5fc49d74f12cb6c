"""DICOM waveforms against pydicom's own scaling, and the structure scan against real structure."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record
from ecgxai_core.records.dicom_scan import MAX_ELEMENTS, scan
from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.base import ecg
from tests.corpus.dicom_files import MICROVOLTS_PER_COUNT, dicom_bytes, group


@pytest.fixture
def real_ecg() -> Path:
    """The 12-lead ECG that pydicom ships."""
    import pydicom

    path = Path(pydicom.__file__).parent / "data" / "test_files" / "waveform_ecg.dcm"
    if not path.is_file():
        pytest.skip("this pydicom was installed without its test files")
    return path


def test_a_real_file_reads_as_pydicom_scales_it(real_ecg: Path) -> None:
    import pydicom

    record = read_record(real_ecg)
    microvolts = pydicom.dcmread(real_ecg).waveform_array(0)
    assert record.signal.shape == (12, 10_000)
    np.testing.assert_allclose(record.signal, microvolts.T / 1000, atol=1e-6)
    assert record.leads == STANDARD_LEADS
    assert (record.fs, record.duration) == (1000.0, 10.0)
    assert (record.age, record.sex, record.labels) == (42.0, "female", None)
    assert record.adc_gain == pytest.approx((800.0,) * 12)
    assert record.warnings == ()
    assert record.name == "waveform_ecg"


def _read(folder: Path, change: Any = None, syntax: str | None = None) -> Any:
    (folder / "e.dcm").write_bytes(dicom_bytes(change, syntax))
    return read_record(folder / "e.dcm")


def test_the_rhythm_is_read_whatever_its_place(tmp_path: Path) -> None:
    def with_median(dataset: Any) -> None:
        dataset.WaveformSequence = [group(600, "MEDIAN BEAT"), group()]

    expected = np.rint(ecg() * 1000 / MICROVOLTS_PER_COUNT) * MICROVOLTS_PER_COUNT / 1000
    np.testing.assert_allclose(_read(tmp_path, with_median).signal, expected, atol=1e-6)


def test_implicit_and_explicit_files_are_equal(tmp_path: Path) -> None:
    implicit = _read(tmp_path, syntax="1.2.840.10008.1.2")
    assert implicit.digest == _read(tmp_path).digest


def test_baseline_and_correction_as_pydicom_applies_them(tmp_path: Path) -> None:
    import pydicom

    def change(dataset: Any) -> None:
        for number, channel in enumerate(dataset.WaveformSequence[0].ChannelDefinitionSequence):
            channel.ChannelBaseline = str(-10 * number)
            channel.ChannelSensitivityCorrectionFactor = f"1.0{number:02d}"

    record = _read(tmp_path, change)
    microvolts = pydicom.dcmread(tmp_path / "e.dcm").waveform_array(0)
    np.testing.assert_allclose(record.signal, microvolts.T / 1000, atol=1e-6)
    gain, zero = np.array(record.adc_gain), np.array(record.adc_zero)
    raw = np.rint(ecg() * 1000 / MICROVOLTS_PER_COUNT)
    np.testing.assert_allclose(record.signal * gain[:, None] + zero[:, None], raw, atol=1e-2)


def test_a_padding_value_is_a_gap(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        item = dataset.WaveformSequence[0]
        counts = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12).copy()
        counts[200:230, 2] = -32768
        item.WaveformData = counts.tobytes()
        item.add_new(0x5400100A, "OW", b"\x00\x80")

    record = _read(tmp_path, change)
    assert [(w.code, w.leads) for w in record.warnings] == [("nan_run", ("III",))]
    assert np.isnan(record.signal[2, 200:230]).all()
    assert np.isnan(record.signal).sum() == 30


@pytest.mark.parametrize(
    ("age", "born", "years"),
    [("060Y", "", 60.0), ("018M", "", 1.5), ("", "19600101", 65.0), ("", "", None),
     ("abc", "", None), ("", "21000101", None)],
)  # fmt: skip
def test_age(tmp_path: Path, age: str, born: str, years: float | None) -> None:
    def change(dataset: Any) -> None:
        dataset.add_new(0x00101010, "LO", age)  # another type, so that pydicom writes what we say
        dataset.add_new(0x00100030, "LO", born)
        dataset.add_new(0x0008002A, "LO", "20250301101010")

    assert _read(tmp_path, change).age == years


@pytest.mark.parametrize(
    ("age", "odd"),
    [("999Y", True), ("abc", True), ("121Y", True), ("120Y", False), ("999D", False), ("", False)],
)
def test_an_age_that_nobody_has_is_left_out_with_a_warning(
    tmp_path: Path, age: str, odd: bool
) -> None:
    record = _read(tmp_path, lambda dataset: dataset.add_new(0x00101010, "LO", age))
    assert [w.code for w in record.warnings] == (["odd_age"] if odd else [])
    assert record.age is None or not odd


def _channel(name: str, value: object) -> Any:
    def change(dataset: Any) -> None:
        setattr(dataset.WaveformSequence[0].ChannelDefinitionSequence[4], name, value)

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [("ChannelSampleSkew", "0.5"), ("ChannelTimeSkew", "0.001"), ("ChannelTimeSkew", "-0.002")],
)
def test_a_skew_of_a_sample_or_less_is_noted(tmp_path: Path, name: str, value: str) -> None:
    record = _read(tmp_path, _channel(name, value))
    assert [(w.code, w.leads) for w in record.warnings] == [("channel_skew", ("aVL",))]


@pytest.mark.parametrize(
    ("name", "value"),
    [("ChannelSampleSkew", "2"), ("ChannelTimeSkew", "0.05"), ("ChannelTimeSkew", "-0.0025")],
)
def test_a_larger_skew_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(RecordError, match="channel 5, skew: lead aVL was sampled"):
        _read(tmp_path, _channel(name, value))


@pytest.mark.parametrize(
    "status",
    ["DISABLED", "DISCONNECTED", "INVALID", "TEST DATA", "UNCALIBRATED", ["OK", "INVALID"]],
)
def test_a_channel_that_the_device_disowns_is_refused(tmp_path: Path, status: object) -> None:
    with pytest.raises(RecordError, match="channel 5, status: the device marked lead aVL"):
        _read(tmp_path, _channel("ChannelStatus", status))


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        ("OK", []),
        ("UNSPECIFIED", []),
        ("", []),
        ("QUESTIONABLE", ["channel_status"]),
        (["OK", "QUESTIONABLE"], ["channel_status"]),
    ],
)
def test_what_else_the_device_says_of_a_channel(
    tmp_path: Path, status: object, codes: list[str]
) -> None:
    record = _read(tmp_path, _channel("ChannelStatus", status))
    assert [w.code for w in record.warnings] == codes


def test_the_record_knows_its_file(tmp_path: Path) -> None:
    record = _read(tmp_path)
    assert (record.name, record.file) == ("e", "e.dcm")


def test_the_patient_is_in_no_error(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        dataset.PatientName = "Surname^Given"
        dataset.WaveformSequence[0].SamplingFrequency = "0"

    with pytest.raises(RecordError) as caught:
        _read(tmp_path, change)
    assert "Surname" not in str(caught.value)


def test_scan_accepts_what_pydicom_writes_and_finds_every_cut(real_ecg: Path) -> None:
    data = real_ecg.read_bytes()
    scan(data, "real")
    for stop in [*range(150, 3000, 97), len(data) - 1]:
        try:
            scan(data[:stop], "cut")
        except RecordError:
            continue
        with pytest.raises(RecordError):  # cut between two elements: the waveform is missing
            _read_bytes(real_ecg, data[:stop])


def _read_bytes(real_ecg: Path, data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / real_ecg.name
        path.write_bytes(data)
        read_record(path)


def test_scan_counts_elements() -> None:
    heads = (struct.pack("<HH", 0x6001, number) for number in range(MAX_ELEMENTS + 1))
    elements = b"".join(head + b"US\x02\x00\x00\x00" for head in heads)
    with pytest.raises(RecordError, match="more than"):
        scan(dicom_bytes() + elements, "many")


def test_scan_refuses_an_element_that_stands_there_twice() -> None:
    element = b"\x00\x60\x10\x00US\x02\x00\x00\x00"
    scan(dicom_bytes() + element, "once")
    with pytest.raises(RecordError, match=r"\(6000,0010\) occurs twice"):
        scan(dicom_bytes() + element * 2, "twice")
