"""Sample formats and the MATLAB v4 reader against wfdb, scipy and values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import RecordError
from ecgxai_core.records.dat import NAN_COUNTS, RAILS, decode, frame_bytes, read_mat4
from tests.corpus.base import counts, mat4, mat5_bomb
from tests.corpus.odd_files import CASES


@pytest.mark.parametrize(
    ("form", "data", "values"),
    [
        ("16", b"\x01\x00\xff\xff\x00\x80", [1, -1, -32768]),
        ("61", b"\x00\x01\xff\xff\x80\x00", [1, -1, -32768]),
        ("160", b"\x00\x80\xff\xff\x00\x00", [0, 32767, -32768]),
        ("80", b"\x80\xff\x00", [0, 127, -128]),
        ("24", b"\x01\x00\x00\xff\xff\xff\x00\x00\x80", [1, -1, -8388608]),
        ("32", b"\x01\x00\x00\x00\xff\xff\xff\xff", [1, -1]),
        ("212", b"\x01\xf0\xff", [1, -1]),
        ("212", b"\x00\x08\xff\x23\x01", [-2048, 255, 0x123]),
    ],
)
def test_formats_by_hand(form: str, data: bytes, values: list[int]) -> None:
    assert decode(data, form, len(values)).tolist() == values
    assert frame_bytes(form, len(values)) == len(data)


def test_the_sentinel_is_one_below_the_rails() -> None:
    assert all(NAN_COUNTS[form] == low - 1 == -high - 1 for form, (low, high) in RAILS.items())


@pytest.mark.parametrize("name", ["dat_24", "dat_32", "dat_80", "dat_160", "dat_212", "dat_61"])
def test_dat_files_equal_wfdb(tmp_path: Path, name: str) -> None:
    import wfdb

    from ecgxai_core.records import read_record

    path = CASES[name][0](tmp_path)
    theirs = wfdb.rdrecord(str(path.with_suffix("")))
    np.testing.assert_array_equal(read_record(path).signal, theirs.p_signal.T.astype(np.float32))


def test_mat4_equals_scipy(tmp_path: Path) -> None:
    from scipy.io import loadmat, savemat

    path = tmp_path / "a.mat"
    savemat(path, {"val": counts()}, format="4")
    values = read_mat4(path, "16", 12, counts().shape[1])
    np.testing.assert_array_equal(values.T, loadmat(path)["val"])


def test_a_v5_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mat"
    path.write_bytes(mat5_bomb(64))
    with pytest.raises(RecordError) as caught:
        read_mat4(path, "16", 12, 3000)
    assert "v5" in caught.value.problem
    assert "format='4'" in caught.value.fix


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 4), columns=st.integers(1, 9), kind=st.sampled_from([0, 10, 20, 30, 40, 50])
)
def test_only_the_type_shape_and_length_of_the_header_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: int, columns: int, kind: int
) -> None:
    types = {0: "<f8", 10: "<f4", 20: "<i4", 30: "<i2", 40: "<u2", 50: "u1"}
    values = np.arange(rows * columns).reshape(rows, columns).astype(types[kind])
    path = tmp_path_factory.getbasetemp() / "shape.mat"
    path.write_bytes(mat4(values, kind))
    if kind == 30:
        np.testing.assert_array_equal(read_mat4(path, "16", rows, columns), values.T)
    else:
        with pytest.raises(RecordError, match="number type"):
            read_mat4(path, "16", rows, columns)
    with pytest.raises(RecordError):
        read_mat4(path, "16", rows + 1, columns)
    path.write_bytes(mat4(values, kind)[:-1])
    with pytest.raises(RecordError):
        read_mat4(path, "16", rows, columns)
