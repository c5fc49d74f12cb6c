"""Foreign formats: right values, the same through every door, and nothing hostile gets through."""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.cli.main import run_cli
from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record
from ecgxai_core.records.foreign import importing
from ecgxai_core.records.foreign.formats import FORMATS, foreign_format, given_from, read_foreign
from ecgxai_core.records.foreign.importing import import_records
from ecgxai_core.records.foreign.waveform import Given
from ecgxai_core.records.guarded import import_guarded
from ecgxai_core.types import STANDARD_LEADS
from tests.conftest import REPO
from tests.corpus.base import FS, ecg
from tests.corpus.foreign_files import BAD, GOOD, edf, muse, scp

CASES = REPO / "tests" / "cases" / "formats"


@pytest.fixture
def aecg(tmp_path: Path) -> Path:
    return _unpacked(tmp_path, "aecg_example.xml")


def _unpacked(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(gzip.decompress((CASES / f"{name}.gz").read_bytes()))
    return folder / name


def test_aecg_and_scp_of_one_recording_agree(aecg: Path) -> None:
    one, two = read_foreign(aecg), read_foreign(CASES / "example.scp")
    assert (one.format, two.format) == ("HL7 aECG file", "SCP-ECG file")
    for found in (one.record, two.record):
        assert found.leads == STANDARD_LEADS
        assert (found.fs, found.duration, found.sex) == (500.0, 10.0, "male")
        assert found.warnings == ()
    np.testing.assert_allclose(one.record.signal, two.record.signal, atol=1e-6)
    assert (one.record.age, two.record.age) == (46.0, 49.0)
    # the first numbers of the file, by hand: -2 -2 -2 -2 -3 -4 counts of 2.5 uV
    np.testing.assert_allclose(one.record.signal[0, :6] * 400, [-2, -2, -2, -2, -3, -4], atol=1e-3)
    assert two.patient["Patient"] == "Clark"


@pytest.mark.parametrize(("name", "samples", "age"), [("1_03", 5264, 50), ("1_04", 5300, 60)])
def test_philips(tmp_path: Path, name: str, samples: int, age: int) -> None:
    path = CASES / f"sierra_{name}.xml"
    path = path if path.exists() else _unpacked(tmp_path, path.name)
    record = read_foreign(path).record
    assert record.leads == STANDARD_LEADS
    assert (record.fs, record.n_samples) == (500.0, samples)
    assert (record.age, record.sex) == (age, "male")
    assert {w.code for w in record.warnings} == {"calibration_left_out"}
    one, two, three, right, left, foot = record.signal[:6]
    # stored one by one in counts of 5 uV: each is right within a count or two
    np.testing.assert_allclose(three, two - one, atol=0.021)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=0.021)
    np.testing.assert_allclose(left, (one - three) / 2, atol=0.021)
    np.testing.assert_allclose(foot, (two + three) / 2, atol=0.021)


def test_sph() -> None:
    import h5py

    record = read_foreign(CASES / "SPH00001.h5", Given(dataset="sph")).record
    with h5py.File(CASES / "SPH00001.h5") as file:
        np.testing.assert_array_equal(record.signal, file["ecg"][()].astype(np.float32))
    assert (record.fs, record.leads) == (500.0, STANDARD_LEADS)
    with pytest.raises(RecordError, match="--fs, --units, --leads"):
        read_foreign(CASES / "SPH00001.h5")


def _given(path: Path) -> Given:
    facts = path.with_name("given.json")
    return given_from(json.loads(facts.read_text("utf-8"))) if facts.exists() else Given()


OWN = [name for name in GOOD if name not in ("aecg", "sierra")]


@pytest.mark.parametrize("name", OWN)
def test_the_sound_record_in_every_format(tmp_path: Path, name: str) -> None:
    path = GOOD[name](tmp_path)
    record = read_foreign(path, _given(path)).record
    assert record.leads == STANDARD_LEADS
    assert record.fs == FS
    expected = ecg()[:, : record.n_samples]
    np.testing.assert_allclose(record.signal, expected, atol=0.006)
    assert {w.code for w in record.warnings} <= {"leads_derived", "short_record"}
    if name.startswith(("scp", "muse")):
        assert (record.age, record.sex) == (60.0, "female")


@pytest.mark.parametrize("name", GOOD)
def test_import_writes_the_same_and_nothing_of_the_person(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    path = GOOD[name](source)
    given = _given(path)
    done = import_records(path, tmp_path / "out", given)
    assert done.failures == []
    direct = read_foreign(path, given)
    again = read_record(done.written[0])
    assert again.leads == direct.record.leads
    gain = min(direct.record.adc_gain or (1000.0,))
    np.testing.assert_allclose(again.signal, direct.record.signal, atol=1.01 / gain)
    assert (again.age, again.sex) == (direct.record.age, direct.record.sex)
    assert {w.code for w in again.warnings} == {w.code for w in direct.record.warnings}
    text = done.written[0].read_text("utf-8")
    assert "#Source: " in text
    for secret in ("Muster", "Erika", "4711", "subject1", "1960", "2020", "2011-12-01"):
        assert secret not in text
    first = done.written[0].read_bytes()
    import_records(path, tmp_path / "out", given)
    assert done.written[0].read_bytes() == first
    kept = import_records(path, tmp_path / "kept", given, keep_patient=True).written[0]
    if direct.patient:
        assert all(text in kept.read_text("utf-8") for text in direct.patient.values())


def test_an_infant_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "e.xml"
    path.write_bytes(muse(age="7", age_units="MONTHS"))
    (written,) = import_records(path, tmp_path / "out").written
    back = read_record(written)
    assert back.age == pytest.approx(7 / 12, abs=1e-6)
    assert "odd_age" not in {w.code for w in back.warnings}


@pytest.mark.parametrize(
    ("person", "age"),
    [
        ({"age": "36", "age_units": "HOURS"}, 36 / 8766),
        ({"age": "", "born": "12-31-2012", "taken": "12-30-2020"}, 7),
        ({"age": "", "born": "12-31-2012", "taken": "12-31-2020"}, 8),
        ({"age": "3", "age_units": "MOONS", "born": "12-31-2012", "taken": "01-02-2013"}, 0),
        ({"age": "60", "born": "12-31-2012", "taken": "12-31-2020"}, 60),
        ({"age": "", "born": "31-12-2012", "taken": "12-31-2020"}, None),
        ({"age": "", "born": "12-31-2012"}, None),
    ],
)
def test_the_age_of_muse(tmp_path: Path, person: dict[str, str], age: float | None) -> None:
    path = tmp_path / "e.xml"
    path.write_bytes(muse(**person))
    assert read_foreign(path).record.age == (age if age is None else pytest.approx(age))


@pytest.mark.parametrize(
    ("old", "new", "age"),
    [
        (b'value="46" unit="a"', b'value="36" unit="h"', 36 / 8766),
        (b'value="46" unit="a"', b'value="46" unit="?"', 49),
        (b'value="46" unit="a"', b'nullFlavor="UNK"', 49),
        (b'code="21612-7"', b'code="0"', 49),
    ],
)
def test_the_age_of_aecg(aecg: Path, old: bytes, new: bytes, age: float) -> None:
    text = aecg.read_bytes()
    assert old in text
    aecg.write_bytes(text.replace(old, new))
    assert read_foreign(aecg).record.age == (age if age is None else pytest.approx(age))


@pytest.mark.parametrize(
    ("changes", "age"),
    [
        ({}, 60),
        ({"person": "X F 04-feb-1960 X"}, 59),
        ({"person": "X F X X"}, None),
        ({"recording": "Startdate X X X X"}, None),
        ({"recording": ""}, None),
        ({"reserved": ""}, None),
    ],
)
def test_the_age_of_edf(tmp_path: Path, changes: dict[str, str], age: float | None) -> None:
    path = tmp_path / "e.edf"
    path.write_bytes(edf(**changes))
    assert read_foreign(path).record.age == (age if age is None else pytest.approx(age))


def _timed(path: Path, head: str, times: np.ndarray, decimals: int = 4) -> Path:
    """A table of the sound record after a column of times."""
    rows = (
        ",".join([f"{time:.{decimals}f}", *(f"{x:.4f}" for x in row)])
        for time, row in zip(times, ecg().T, strict=False)
    )
    leads = ",".join(f"{lead} (mV)" for lead in STANDARD_LEADS)
    path.write_text("\n".join([f"{head},{leads}", *rows]) + "\n", "utf-8")
    return path


N = np.arange(1000)


@pytest.mark.parametrize(
    ("head", "times", "decimals", "fs", "expected"),
    [
        ("time (s)", N / 250, 4, None, 250),
        ("time [ms]", N * 4.0, 1, None, 250),
        ("seconds", N / 257, 4, None, 257),
        ("time (ms)", 1000 * N / 360, 0, None, 360),
        ("t (us)", 5 + 2000.0 * N, 0, None, 500),
        ("time (s)", N / 256.5, 6, None, 256.5),
        ("time", N / 250, 4, 250, 250),
        ("time", N * 4.0, 1, 250, 250),
        ("t (ms)", N * 4.0, 1, 250, 250),
        ("sample", N, 0, 500, 500),
        ("", 7 + 2 * N, 0, 500, 500),
    ],
)
def test_a_column_of_times_gives_the_rate_or_fits_it(
    tmp_path: Path, head: str, times: np.ndarray, decimals: int, fs: float | None, expected: float
) -> None:
    path = _timed(tmp_path / "e.csv", head, times, decimals)
    assert read_foreign(path, Given(fs=fs)).record.fs == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("head", "times", "fs", "words"),
    [
        ("time", N * 4.0, 500, "column time: goes up by 4 a row, which does not fit 500 Hz"),
        ("time (ms)", N * 4.0, 500, "goes up by 4 ms a row, which does not fit 500 Hz"),
        ("seconds", N * 4.0, 250, "does not fit 250 Hz"),
        ("time", N, 500, "call the column sample"),
        ("time (s)", np.delete(N, 400) / 250, 250, "row 401 does not follow in equal steps"),
        ("time (s)", np.delete(N, 400) / 250, None, "rows are missing or repeated"),
        ("sample", np.delete(N, range(400, 900)), 500, "row 401 does not follow"),
        ("index", np.insert(N, 400, 400), 500, "column index: row 402 does not follow"),
        ("", N[::-1], 500, "column without a name"),
        ("time (s)", N * 0.0, 500, "equal steps"),
        ("time (s)", N * np.nan, 500, "equal steps"),
        ("time (s)", N * 1e305, 500, "equal steps"),
        ("time (s)", N * 1.0, None, "sampling rate: 1 Hz"),
        ("time", N * 4.0, None, "--fs: the file does not say it"),
    ],
)
def test_times_that_do_not_fit_are_refused(
    tmp_path: Path, head: str, times: np.ndarray, fs: float | None, words: str
) -> None:
    path = _timed(tmp_path / "e.csv", head, times)
    with pytest.raises(RecordError) as caught:
        read_foreign(path, Given(fs=fs))
    assert words in str(caught.value)


@pytest.mark.parametrize("lost", [{"age": None}, {"age": 6.0}, {"sex": "male"}])
def test_a_person_who_does_not_read_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: dict[str, Any]
) -> None:
    path = tmp_path / "e.xml"
    path.write_bytes(muse())
    monkeypatch.setattr(
        importing, "read_record", lambda header: dataclasses.replace(read_record(header), **lost)
    )
    done = import_records(path, tmp_path / "out")
    assert "age and sex: do not read back" in str(done.failures[0])


def test_a_guarded_import_is_the_same(aecg: Path) -> None:
    here, there = read_foreign(aecg), import_guarded(aecg, Given())
    assert there.record.digest == here.record.digest
    assert (there.format, there.patient, there.n_records) == (
        here.format, here.patient, here.n_records,
    )  # fmt: skip


def test_a_file_of_several_records_gives_all_of_them(tmp_path: Path) -> None:
    path = GOOD["npy_records"](tmp_path)
    done = import_records(path, tmp_path / "out", _given(path))
    assert [p.name for p in done.written] == ["e_000000.hea", "e_000001.hea"]


def test_a_record_from_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "e.scp").write_bytes(scp(nanovolts=4880 + number))
    done = import_records(tmp_path, tmp_path / "out")
    assert len(done.written) == 1
    assert "there already" in str(done.failures[0])


@pytest.mark.parametrize("name", GOOD)
def test_reading_it_directly_names_the_format_and_the_way(tmp_path: Path, name: str) -> None:
    path = GOOD[name](tmp_path)
    key = foreign_format(path)
    assert key is not None
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert FORMATS[key].title in str(caught.value)
    assert "ecgxai import SRC DEST" in str(caught.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sierra_1_03.xml", "example.scp"):
        (tmp_path / name).write_bytes((CASES / name).read_bytes())
    assert run_cli(["import", str(tmp_path), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "2 records written" in said
    assert "calibration_left_out 1" in said
    (tmp_path / "bad.scp").write_bytes(b"nothing")
    assert run_cli(["import", str(tmp_path), str(tmp_path / "out")]) == 3
    assert "bad.scp" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_cli(["import", str(empty), str(tmp_path / "out")]) == 2


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each bad file, within one second of processor time and 200 MB."""
    if not Path("/proc/self/statm").is_file():
        pytest.skip("the limits of the child processes need Linux")
    folder = tmp_path_factory.mktemp("foreign")
    paths = {}
    for name, make in BAD.items():
        (folder / name).mkdir()
        paths[name] = make(folder / name)
    reader = subprocess.run(
        [sys.executable, "-m", "tests.corpus.reader", "foreign"],
        input=json.dumps([str(path) for path in paths.values()]),
        capture_output=True, text=True, cwd=REPO, timeout=600, check=True,
    )  # fmt: skip
    lines = reader.stdout.splitlines()
    return {n: json.loads(line) | {"path": str(p)} for (n, p), line in
            zip(paths.items(), lines, strict=True)}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    assert answer["kind"] == "refused", answer
    assert all(answer[part].strip() for part in ("where", "field", "problem", "fix")), answer
    assert "\n" not in answer["text"]
    assert str(Path(answer["path"]).parent) not in answer["text"]


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(BAD) >= 60
