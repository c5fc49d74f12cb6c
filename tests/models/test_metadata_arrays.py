"""Metadata arrays: what is written reads back, and nothing is believed beyond the file's size."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core.errors import ModelError
from ecgxai_core.models.metadata_arrays import (
    ARRAY_FILES,
    MetadataArrays,
    read_metadata_arrays,
    read_npy,
    read_npz,
    write_metadata_arrays,
)


def arrays(labels: bool = True) -> MetadataArrays:
    rng = np.random.default_rng(0)
    return MetadataArrays(
        filenames=("A0001", "data/A0002.mat", "C:\\ecg\\A0003.hea"),
        classes=("164889003", "426783006"),
        probabilities=rng.random((3, 2)).astype(np.float32),
        labels=rng.random((3, 2)) > 0.5 if labels else None,
    )


def same(a: MetadataArrays, b: MetadataArrays) -> bool:
    return (
        (a.filenames, a.classes) == (b.filenames, b.classes)
        and np.array_equal(a.probabilities, b.probabilities)
        and (a.labels is None) == (b.labels is None)
        and (a.labels is None or bool(np.array_equal(a.labels, b.labels)))
    )


@pytest.mark.parametrize("labels", [True, False])
def test_what_is_written_reads_back(tmp_path: Path, labels: bool) -> None:
    write_metadata_arrays(arrays(labels), tmp_path / "meta")
    assert same(read_metadata_arrays(tmp_path / "meta"), arrays(labels))
    assert arrays().record_names == ("A0001", "A0002", "A0003")
    for file in (tmp_path / "meta").iterdir():
        np.load(file, allow_pickle=False)


def test_arrays_as_users_have_them(tmp_path: Path) -> None:
    wanted = arrays()
    assert wanted.labels is not None
    contents = {
        "ecg_filenames": np.array(wanted.filenames, dtype="S30"),
        "ecg_model_probs": np.asfortranarray(wanted.probabilities.astype(np.float64)),
        "ecg_y_true": wanted.labels.astype(np.float64),
        "snomed_classes": np.array([int(code) for code in wanted.classes]),
    }
    for stem, array in contents.items():
        np.save(tmp_path / f"{stem}.npy", array)
    assert same(read_metadata_arrays(tmp_path), wanted)
    np.savez(tmp_path / "all.npz", **contents)
    assert same(read_metadata_arrays(tmp_path / "all.npz"), wanted)


def npy(array: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **how)
    return stream.getvalue()


def header(text: str, body: bytes = b"") -> bytes:
    line = text.encode() + b" " * 20 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + body


SHAPE = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"

BAD_NPY = {
    "empty": b"",
    "text": b"hello",
    "objects": npy(np.array([{}], dtype=object), allow_pickle=True),
    "half": npy(np.zeros(1000))[:2000],
    "extra": npy(np.zeros(10)) + b"x",
    "claims_terabytes": header(SHAPE % "(1000000, 1000000)"),
    "claims_more_than_memory_can_name": header(SHAPE % "(10**30,)"),
    "claims_huge": header(SHAPE % f"({10**30},)"),
    "negative": header(SHAPE % "(-1,)", bytes(4)),
    "three_axes": npy(np.zeros((1, 1, 1))),
    "code_in_header": header("__import__('os').system('true')"),
    "long_header": header(" " * 5000 + SHAPE % "(1,)", bytes(4)),
    "complex": npy(np.zeros(3, complex)),
    "dates": npy(np.zeros(3, "M8[s]")),
    "record_type": npy(np.zeros(3, [("a", "f4")])),
    "no_width": npy(np.zeros(3, "S0"), allow_pickle=False)[:128],
    "version_9": b"\x93NUMPY\x09\x00" + bytes(100),
}


@pytest.mark.parametrize("name", sorted(BAD_NPY))
def test_bad_npy_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(BAD_NPY[name])
    with pytest.raises(ModelError) as caught:
        read_npy(tmp_path / "a.npy", "f")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_an_error(data: bytes) -> None:
    from ecgxai_core.models.metadata_arrays import _parse_npy

    sound = npy(np.arange(6, dtype=np.float32))
    for candidate in (data, sound[: len(data)] + data, b"\x93NUMPY\x01\x00" + data):
        try:
            found = _parse_npy(candidate, "a.npy", "f")
        except ModelError:
            continue
        assert found.dtype.kind == "f"


def test_zip_bombs_and_strangers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"

    def write(parts: dict[str, bytes]) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

    for parts in (
        {"x.npy": npy(np.zeros(6_000_000))},
        {"../x.npy": npy(np.zeros(3))},
        {"y.npy": npy(np.zeros(3))},
        {"x.npy": BAD_NPY["objects"]},
        {"x.npy": BAD_NPY["claims_terabytes"]},
    ):
        write(parts)
        with pytest.raises(ModelError):
            read_npz(path, {"x": "f"})
    write({"x.npy": npy(np.zeros(3))})
    assert read_npz(path, {"x": "f"})["x"].shape == (3,)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelError):
        read_npz(path, {"x": "f"})
    with pytest.raises(ModelError):
        read_npz(tmp_path / "absent.npz", {"x": "f"})


@pytest.mark.parametrize(
    ("field", "array"),
    [
        ("probabilities", np.zeros((3, 5), "f4")),
        ("probabilities", np.full((3, 2), 1.5, "f4")),
        ("probabilities", np.full((3, 2), np.nan, "f4")),
        ("probabilities", np.zeros((3, 2), "i4")),
        ("labels", np.zeros((2, 3), "i4")),
        ("labels", np.full((3, 2), 2)),
        ("labels", np.full((3, 2), np.nan)),
        ("filenames", np.array(["a", "a", "b"])),
        ("filenames", np.array(["a", "b", "c\n"])),
        ("filenames", np.array([b"\xff", b"a", b"b"])),
        ("filenames", np.array([["a", "b", "c"]])),
        ("classes", np.array(["1", "2", "3"])),
    ],
)
def test_arrays_that_do_not_fit_are_refused(field: str, array: Any, tmp_path: Path) -> None:
    write_metadata_arrays(arrays(), tmp_path)
    np.save(tmp_path / ARRAY_FILES[field], array)
    with pytest.raises(ModelError):
        read_metadata_arrays(tmp_path)


@pytest.mark.parametrize("field", ["filenames", "probabilities", "classes"])
def test_a_missing_array_is_named(field: str, tmp_path: Path) -> None:
    write_metadata_arrays(arrays(), tmp_path)
    (tmp_path / ARRAY_FILES[field]).unlink()
    with pytest.raises(ModelError, match=ARRAY_FILES[field]):
        read_metadata_arrays(tmp_path)
