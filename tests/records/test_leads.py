"""Lead names of other languages, channels that are no lead, and limb leads that others give."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record, write_record
from ecgxai_core.records.leads import arrange, derive_limb_leads, lead_name, signed_lead
from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.base import FS, ecg
from tests.corpus.dicom_files import dicom_bytes, group

CASES = Path(__file__).resolve().parents[1] / "cases"
WFDB, DICOM = CASES / "wfdb", CASES / "dicom"


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("DI", "I"), ("dii", "II"), ("D3", "III"), ("C1", "V1"), ("c6", "V6"), ("Lead I", "I"),
        ("lead avl", "aVL"), ("MDC_ECG_LEAD_II", "II"), ("MDC_ECG_LEAD_AVF", "aVF"),
        ("Ableitung II", "II"), ("derivación V2", "V2"), ("ECG V3", "V3"),
        ("Lead I (Einthoven)", "I"), ("-aVR", None), ("V7", None), ("VR", None), ("MLII", None),
        ("", None), ("I" * 10_000, None), ("Ⅱ", None),
    ],
)  # fmt: skip
def test_names(text: str, lead: str | None) -> None:
    assert lead_name(text) == lead


def test_minus_avr_is_the_one_lead_turned_round() -> None:
    assert signed_lead("-aVR") == ("aVR", -1)
    assert signed_lead("-II") is None


@pytest.mark.parametrize("lead", ["I", "II", "III", "aVR", "aVL", "aVF"])
def test_each_limb_lead_is_derived_from_two_others(lead: str) -> None:
    signal = ecg().astype(np.float32)
    row = STANDARD_LEADS.index(lead)
    empty = signal.copy()
    empty[row] = np.nan
    complete, leads, derived, (warning,) = derive_limb_leads(empty, STANDARD_LEADS)
    assert (warning.code, warning.leads) == ("leads_derived", (lead,))
    assert leads == STANDARD_LEADS
    assert derived[0].lead == lead
    np.testing.assert_allclose(complete[row], signal[row], atol=1e-6)
    rest = [n for n in range(12) if n != row]
    missing, leads, _, _ = derive_limb_leads(signal[rest], [STANDARD_LEADS[n] for n in rest])
    assert leads == STANDARD_LEADS
    np.testing.assert_allclose(missing[row], signal[row], atol=1e-6)


def test_no_lead_is_derived_from_a_flat_one_or_where_the_twelve_stay_incomplete() -> None:
    signal = ecg().astype(np.float32)[[0, 1, 6, 7, 8, 9, 10, 11]]
    names = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    flat = signal.copy()
    flat[0] = 0
    assert derive_limb_leads(flat, names)[2] == ()
    assert derive_limb_leads(signal[:5], names[:5])[2] == ()


def test_unknown_names_are_left_out_only_where_the_twelve_are_there() -> None:
    kept = arrange("x", [*STANDARD_LEADS, "RESP"])
    assert kept.leads == STANDARD_LEADS
    assert "RESP" in kept.warnings[0].message
    with pytest.raises(RecordError, match="none of the 12"):
        arrange("x", [*STANDARD_LEADS[:-1], "RESP"])
    with pytest.raises(RecordError, match="none of the 12"):
        arrange("x", ["V7", "V8"])
    with pytest.raises(RecordError, match="twice"):
        arrange("x", ["V1", "C1"])


def _case(folder: Path, name: str) -> Any:
    """A header of the cases, over the samples of ``nanlead`` with aVR filled in."""
    samples = np.fromfile(WFDB / "nanlead.dat", "<i2").reshape(-1, 12).copy()
    header = (WFDB / f"{name}.hea").read_text("utf-8")
    checksum, first = int(header.split("\n")[4].split()[6]), int(header.split("\n")[4].split()[5])
    samples[:, 3] = first  # its own samples were lost; the sum of 16 bits is made right
    rest = (checksum - int(samples[:, 3].sum(dtype=np.int64))) % 65536
    samples[-4:, 3] += np.array([rest // 4, rest // 4, rest // 4, rest - 3 * (rest // 4)], "<i2")
    shutil.copy(WFDB / f"{name}.hea", folder)
    samples.tofile(folder / f"{name}.dat")
    return read_record(folder / f"{name}.hea")


@pytest.mark.parametrize("name", ["leads_DI", "leads_C", "cabrera", "I01"])
def test_names_of_other_countries_are_read(tmp_path: Path, name: str) -> None:
    record = _case(tmp_path, name)
    assert record.leads == STANDARD_LEADS
    assert record.sex == "female"
    assert record.age == (65 if name == "I01" else 57)
    assert "odd_age" not in {w.code for w in record.warnings}


def test_minus_avr_is_turned_round_with_its_scale(tmp_path: Path) -> None:
    turned, plain = _case(tmp_path, "cabrera"), _case(tmp_path, "leads_C")
    row = STANDARD_LEADS.index("aVR")
    # the samples of these two headers are the same; the third signal is III here and -aVR there
    np.testing.assert_array_equal(turned.signal[row], -plain.signal[2])
    (warning,) = (w for w in turned.warnings if w.code == "lead_turned")
    assert warning.leads == ("aVR",)


def test_eight_leads_become_twelve() -> None:
    for path in (WFDB / "eight.hea", DICOM / "eight.dcm", DICOM / "nopreamble.dcm"):
        record = read_record(path)
        assert record.leads == STANDARD_LEADS
        (warning,) = (w for w in record.warnings if w.code == "leads_derived")
        assert warning.leads == ("III", "aVR", "aVL", "aVF")
        one, two = record.signal[:2].astype(np.float64)
        np.testing.assert_allclose(record.signal[2], two - one, atol=1e-6)
        np.testing.assert_allclose(record.signal[3], -(one + two) / 2, atol=1e-6)
        assert np.isfinite(record.signal).all()


def test_a_lead_without_samples_is_derived() -> None:
    record = read_record(WFDB / "nanlead.hea")
    assert np.isfinite(record.signal).all()
    np.testing.assert_allclose(
        record.signal[3], -(record.signal[0] + record.signal[1]) / 2, atol=1e-6
    )
    assert {w.code for w in record.warnings} == {"leads_derived"}


def test_frank_leads_in_a_second_file_are_left_out(tmp_path: Path) -> None:
    record = read_record(WFDB / "s0010_re.hea")
    assert record.leads == STANDARD_LEADS
    (warning,) = (w for w in record.warnings if w.code == "leads_left_out")
    assert "VX, VY, VZ" in warning.message
    for name in ("s0010_re.hea", "s0010_re.dat"):  # their file is not needed
        shutil.copy(WFDB / name, tmp_path)
    assert read_record(tmp_path / "s0010_re.hea").digest == record.digest


@pytest.mark.parametrize(
    ("name", "left_out"), [("twelve13", "5.6.3-9-0"), ("general15", "V7, V3R")]
)
def test_dicom_with_more_channels(name: str, left_out: str) -> None:
    record = read_record(DICOM / f"{name}.dcm")
    assert record.leads == STANDARD_LEADS
    (warning,) = (w for w in record.warnings if w.code == "leads_left_out")
    assert left_out in warning.message


def test_dicom_groups_of_different_times_are_refused() -> None:
    with pytest.raises(RecordError, match="different times"):
        read_record(DICOM / "groups3x4.dcm")


def test_dicom_padding_that_is_an_ordinary_count() -> None:
    record = read_record(DICOM / "eli250_pad0.dcm")
    assert np.isfinite(record.signal).all()
    assert record.warnings == ()


def _split(dataset: Any, second: dict[str, object]) -> None:
    limb, chest = dataset.WaveformSequence[0], group()
    counts = np.frombuffer(limb.WaveformData, "<i2").reshape(-1, 12)
    for item, part in ((limb, counts[:, :6]), (chest, counts[:, 6:])):
        channels = list(item.ChannelDefinitionSequence)
        item.ChannelDefinitionSequence = channels[:6] if item is limb else channels[6:]
        item.NumberOfWaveformChannels, item.WaveformData = 6, part.tobytes()
        item.MultiplexGroupTimeOffset = "0"
    for name, value in second.items():
        setattr(chest, name, value)
    dataset.WaveformSequence = [limb, chest]


def test_dicom_groups_of_one_time_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "e.dcm"
    path.write_bytes(dicom_bytes())
    whole = read_record(path)
    path.write_bytes(dicom_bytes(lambda dataset: _split(dataset, {})))
    assert read_record(path).digest == whole.digest
    for second in ({"MultiplexGroupTimeOffset": "2500"}, {"MultiplexGroupTimeOffset": None}):
        path.write_bytes(dicom_bytes(lambda dataset, part=second: _split(dataset, part)))
        with pytest.raises(RecordError, match="spread over 2 groups"):
            read_record(path)


def test_dicom_padding_of_a_second_is_a_gap(tmp_path: Path) -> None:
    def padded(dataset: Any) -> None:
        item = dataset.WaveformSequence[0]
        counts = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12).copy()
        counts[:600, 7] = 0
        item.WaveformData = counts.tobytes()
        item.add_new(0x5400100A, "OW", b"\0\0")

    (tmp_path / "e.dcm").write_bytes(dicom_bytes(padded))
    record = read_record(tmp_path / "e.dcm")
    assert np.isnan(record.signal[7, :600]).all()
    assert np.isfinite(np.delete(record.signal, 7, axis=0)).all()


def test_a_written_record_of_eight_leads_reads_as_twelve(tmp_path: Path) -> None:
    signal = ecg()[[0, 1, 6, 7, 8, 9, 10, 11]]
    path = write_record(tmp_path, "a", signal, FS, ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"])
    assert read_record(path).leads == STANDARD_LEADS
