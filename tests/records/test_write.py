"""write_record against our reader, wfdb and the definition of the checksum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record, write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.base import FS, ecg


@pytest.mark.parametrize("fmt", ["mat", "dat"])
def test_wfdb_reads_what_we_write(tmp_path: Path, fmt: str) -> None:
    import wfdb

    signal = ecg()
    signal[3, 40:50] = np.nan
    gains = [200.0 + 13.5 * i for i in range(12)]
    path = write_record(
        tmp_path, "r1", signal, 257.5, STANDARD_LEADS, gain=gains, zero=7, fmt=fmt,  # type: ignore[arg-type]
        labels=["164889003"], age=51.5, sex="male", synthetic=True, comments=["made for a test"],
    )  # fmt: skip
    theirs = wfdb.rdrecord(str(path.with_suffix("")))
    ours = read_record(path)
    np.testing.assert_array_equal(ours.signal, theirs.p_signal.T.astype(np.float32))
    assert theirs.sig_name == list(STANDARD_LEADS)
    assert theirs.fs == 257.5
    assert theirs.adc_gain == gains
    assert theirs.baseline == [7] * 12
    digital = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
    sums = digital.d_signal.sum(axis=0)
    assert all((int(s) - c) % 65536 == 0 for s, c in zip(sums, theirs.checksum, strict=True))
    assert theirs.init_value == digital.d_signal[0].tolist()
    assert "made for a test" in theirs.comments
    assert (ours.age, ours.sex, ours.synthetic, ours.labels) == (51.5, "male", True, ("164889003",))


def test_scipy_reads_the_matrix(tmp_path: Path) -> None:
    from scipy.io import loadmat

    path = write_record(tmp_path, "r1", ecg(), FS, STANDARD_LEADS)
    values = loadmat(path.with_suffix(".mat"))["val"]
    assert values.dtype == np.int16
    np.testing.assert_array_equal(values, np.rint(ecg() * 1000))


@settings(max_examples=30, deadline=None)
@given(
    counts=hnp.arrays(np.int16, (3, 400), elements=st.integers(-32767, 32767)),
    gain=st.sampled_from([1.0, 200.0, 1000.0, 1716.0, 0.1 * 3]),
    fmt=st.sampled_from(["mat", "dat"]),
)
def test_counts_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, counts: np.ndarray, gain: float, fmt: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    leads = ["V6", "I", "aVL"]
    once = read_record(write_record(folder, "p", counts / gain, 500, leads, gain=gain, fmt=fmt))  # type: ignore[arg-type]
    assert once.leads == ("I", "aVL", "V6")
    again = read_record(
        write_record(folder, "p", once.signal, 500, once.leads, gain=once.adc_gain or 1.0)
    )
    assert again.digest == once.digest
    back = np.rint(once.signal.astype(np.float64) * gain).astype(int)
    np.testing.assert_array_equal(back, counts[[1, 2, 0]])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_record(tmp_path, "r1", ecg(), FS, STANDARD_LEADS, labels=[])
    before = [first.read_bytes(), first.with_suffix(".mat").read_bytes()]
    write_record(tmp_path, "r1", ecg(), FS, STANDARD_LEADS, labels=[])
    assert [first.read_bytes(), first.with_suffix(".mat").read_bytes()] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r1.hea", "r1.mat"]
    assert read_record(first).labels == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"signal_mv": np.full((12, 400), 33.0)}, "lead I"),
        ({"signal_mv": np.full((12, 400), np.inf)}, "lead I"),
        ({"signal_mv": np.zeros((11, 400))}, "signal"),
        ({"signal_mv": np.zeros((12, 0))}, "signal"),
        ({"gain": 0.0}, "gain"),
        ({"gain": float("nan")}, "gain"),
        ({"fs": 0.0}, "fs"),
        ({"fs": float("nan")}, "fs"),
        ({"leads": ["I"] * 12}, "leads"),
        ({"leads": [*STANDARD_LEADS[:11], "X"]}, "leads"),
        ({"name": "../up"}, "record name"),
        ({"name": ""}, "record name"),
        ({"comments": ["two\nlines"]}, "comments"),
        ({"labels": ["a\n#Synthetic: false"]}, "comments"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, change: dict[str, object], field: str
) -> None:
    sound = {"name": "r1", "signal_mv": ecg(), "fs": FS, "leads": STANDARD_LEADS}
    with pytest.raises(RecordError) as caught:
        write_record(tmp_path, **(sound | change))  # type: ignore[arg-type]
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("age", [7 / 12, 3 / 365.25, 5 / 8766, 0.00001, 0.0, 44.0, 51.5])
def test_every_age_reads_back(tmp_path: Path, age: float) -> None:
    back = read_record(write_record(tmp_path, "r1", ecg(), FS, STANDARD_LEADS, age=age))
    assert back.age == pytest.approx(age, abs=1e-6)
    assert "odd_age" not in {w.code for w in back.warnings}


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be written"):
        write_record(tmp_path / "gone", "r1", ecg(), FS, STANDARD_LEADS)
