"""read_record, find_records and read_records."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import RecordError
from ecgxai_core.records import find_records, read_record, read_records, write_record
from ecgxai_core.records.leads import lead_name
from ecgxai_core.types import STANDARD_LEADS, Record
from tests.corpus.base import FS, ecg, good_record, joined, lines
from tests.corpus.dicom_files import dicom_bytes


def test_a_record_is_what_was_written(tmp_path: Path) -> None:
    record = read_record(good_record(tmp_path))
    counts = np.rint(ecg() * 1000)
    assert record.name == "rec"
    assert record.leads == STANDARD_LEADS
    assert record.fs == FS
    assert record.adc_gain == (1000.0,) * 12
    assert record.adc_zero == (0.0,) * 12
    assert record.labels == ("426783006",)
    assert (record.age, record.sex, record.synthetic) == (60.0, "female", False)
    assert record.warnings == ()
    np.testing.assert_array_equal(record.signal, (counts / 1000).astype(np.float32))
    assert not record.signal.flags.writeable


@pytest.mark.parametrize("suffix", [".hea", ".mat", ""])
def test_header_data_and_bare_name_stand_for_the_same_record(tmp_path: Path, suffix: str) -> None:
    path = good_record(tmp_path)
    assert read_record(str(path.with_suffix(suffix))).digest == read_record(path).digest


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(12)))
def test_leads_are_put_in_standard_order_by_name(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("leads")
    gains = [1000.0 + 10 * i for i in range(12)]
    plain = read_record(write_record(folder, "a", ecg(), FS, STANDARD_LEADS, gain=gains))
    mixed = read_record(
        write_record(
            folder, "b", ecg()[order], FS, [STANDARD_LEADS[i] for i in order],
            gain=[gains[i] for i in order],
        )
    )  # fmt: skip
    assert mixed.leads == STANDARD_LEADS
    assert mixed.adc_gain == tuple(gains)
    np.testing.assert_array_equal(mixed.signal, plain.signal)
    assert mixed.digest == plain.digest


@pytest.mark.parametrize(
    ("scale", "factor"),
    [(b"1000/mV", 1.0), (b"1/uV", 1.0), ("1/µV".encode(), 1.0), (b"1000000/V", 1.0),
     (b"500(0)/mV", 2.0), (b"2000.0/mV", 0.5), (b"1e3/mV", 1.0)],
)  # fmt: skip
def test_every_unit_ends_in_millivolts(tmp_path: Path, scale: bytes, factor: float) -> None:
    path = good_record(tmp_path)
    rows = lines(path.read_bytes())
    for row in rows[1:13]:
        row[2] = scale
    path.write_bytes(joined(rows))
    expected = np.rint(ecg() * 1000) / 1000 * factor
    np.testing.assert_allclose(read_record(path).signal, expected, rtol=1e-6, atol=1e-9)


def test_baseline_counts_as_zero_and_adc_zero_where_there_is_none(tmp_path: Path) -> None:
    zeros = list(range(-60, 60, 10))
    path = good_record(tmp_path, zero=zeros)
    record = read_record(path)
    assert record.adc_zero == tuple(map(float, zeros))
    expected = (np.rint(ecg() * 1000) / 1000).astype(np.float32)
    np.testing.assert_array_equal(record.signal, expected)
    path.write_bytes(b"\n".join(line for line in _without_baseline(path.read_bytes())))
    np.testing.assert_array_equal(read_record(path).signal, expected)


def _without_baseline(text: bytes) -> list[bytes]:
    import re

    return [re.sub(rb"\(-?\d+\)", b"", line) for line in text.splitlines()]


def test_gaps_are_nan_and_named(tmp_path: Path) -> None:
    signal = ecg()
    signal[7, 100:160] = np.nan
    record = read_record(good_record(tmp_path, signal_mv=signal))
    assert np.array_equal(np.isnan(record.signal), np.isnan(signal))
    (warning,) = record.warnings
    assert (warning.code, warning.leads) == ("nan_run", ("V2",))
    assert "0.120 s" in warning.message


def _with_wrong_checksum(path: Path) -> Path:
    rows = lines(path.read_bytes())
    rows[3][6] = str(int(rows[3][6]) + 1).encode()
    path.write_bytes(joined(rows))
    return path


def test_wrong_checksum_is_a_warning_or_an_error(tmp_path: Path) -> None:
    path = _with_wrong_checksum(good_record(tmp_path))
    (warning,) = read_record(path).warnings
    assert (warning.code, warning.leads) == ("checksum", ("III",))
    with pytest.raises(RecordError, match="checksum") as caught:
        read_record(path, checksum="error")
    assert caught.value.where == "rec.mat"


def test_known_codes_decide_which_labels_are_unknown(tmp_path: Path) -> None:
    path = good_record(tmp_path, labels=["426783006", "164867002", "NORM"])
    assert [w.code for w in read_record(path, known_codes={"426783006"}).warnings] == [
        "unknown_code"
    ]
    assert not read_record(path, known_codes={"426783006", "164867002", "NORM"}).warnings
    unscored = good_record(
        tmp_path, labels=["164867002"]
    )  # old infarction: in the Challenge's list
    assert read_record(unscored).warnings == ()


def test_synthetic_records_say_so(tmp_path: Path) -> None:
    assert read_record(good_record(tmp_path, synthetic=True)).synthetic


def test_limits_of_the_settings_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecgxai_core.settings import settings as program_settings

    path = good_record(tmp_path)
    monkeypatch.setenv("ECGXAI_MAX_RECORD_VALUES", "30000")
    program_settings.cache_clear()
    try:
        with pytest.raises(RecordError, match="number of samples"):
            read_record(path)
        monkeypatch.setenv("ECGXAI_MAX_RECORD_VALUES", "40000000")
        monkeypatch.setenv("ECGXAI_MAX_FILE_MB", "0.01")
        program_settings.cache_clear()
        with pytest.raises(RecordError, match="at most 10000"):
            read_record(path)
    finally:
        monkeypatch.undo()
        program_settings.cache_clear()


@pytest.mark.parametrize("text", ["aVR", "AVR", "avr", "Lead aVR", " lead AVR "])
def test_lead_names(text: str) -> None:
    assert lead_name(text) == "aVR"


@pytest.mark.parametrize("text", ["", "Lead", "-aVR", "V7", "MLII", "I II", "Lead Lead I"])
def test_what_is_no_lead_name(text: str) -> None:
    assert lead_name(text) is None


def _folder_of_records(root: Path) -> None:
    (root / "b").mkdir()
    write_record(root / "b", "two", ecg(), FS, STANDARD_LEADS)
    write_record(root, "one", ecg(), FS, STANDARD_LEADS, fmt="dat")
    (root / "three.dcm").write_bytes(dicom_bytes())
    (root / "notes.txt").write_text("no record")
    (root / "b" / "round").symlink_to(root)


def test_find_records_lists_each_once_in_order(tmp_path: Path) -> None:
    _folder_of_records(tmp_path)
    everything = [tmp_path / "b" / "two.hea", tmp_path / "one.hea", tmp_path / "three.dcm"]
    assert find_records([tmp_path]) == everything
    assert find_records([tmp_path / "one.dat", tmp_path, tmp_path / "one.hea"]) == everything
    assert find_records([tmp_path / "one", tmp_path]) == everything


def test_what_the_caller_names_is_never_dropped(tmp_path: Path) -> None:
    (tmp_path / "folder.hea").mkdir()
    given = [tmp_path / "gone.hea", tmp_path / "gone.mat", tmp_path / "folder.hea"]
    assert find_records(given) == sorted(given, key=str)
    assert all(isinstance(result, RecordError) for _, result in read_records(given))


def test_data_without_header_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_record(tmp_path, "one", ecg(), FS, STANDARD_LEADS)
    (tmp_path / "orphan.mat").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert find_records([tmp_path]) == [tmp_path / "one.hea"]
    assert "1 .mat or .dat" in caplog.text


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"holds no \.hea"):
        find_records([tmp_path])


def test_one_bad_record_does_not_stop_the_others(tmp_path: Path) -> None:
    _folder_of_records(tmp_path)
    (tmp_path / "bad.hea").write_text("bad 12 abc 10\n")
    results = dict(read_records([tmp_path]))
    assert isinstance(results[tmp_path / "bad.hea"], RecordError)
    assert sum(isinstance(result, Record) for result in results.values()) == 3


@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["hea", "mat", "dcm"])
def test_damaged_bytes_are_read_or_refused_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    target = good_record(folder).with_suffix(f".{kind}")
    body = bytearray(dicom_bytes() if kind == "dcm" else target.read_bytes())
    reach = 4000 if kind == "dcm" else min(len(body), 700)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    target.write_bytes(body[: data.draw(st.sampled_from([len(body), len(body) - 1, 300]))])
    ((_, result),) = read_records([target])
    if isinstance(result, Record):
        assert result.leads == tuple(lead for lead in STANDARD_LEADS if lead in result.leads)
        assert np.isfinite(result.signal[~np.isnan(result.signal)]).all()
    else:
        assert result.where
        assert result.problem
        assert result.fix
