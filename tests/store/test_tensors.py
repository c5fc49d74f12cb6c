"""Named arrays as safetensors bytes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ecgxai_core.store.envelope import MAX_HEADER_BYTES, pack_arrays, unpack_arrays

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32",
          "float64", ">f8", ">i4"]  # fmt: skip

some_array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0))
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=8), some_array, max_size=4))
def test_arrays_come_back_bit_for_bit_whatever_their_order(arrays):
    arrays.pop("__metadata__", None)
    data = pack_arrays(arrays)
    back = unpack_arrays(data)
    assert list(back) == sorted(arrays)
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype.newbyteorder("<")
        assert back[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
        assert not back[name].flags.writeable
    assert pack_arrays(dict(reversed(list(arrays.items())))) == data


def test_transposed_arrays_are_stored_as_they_look():
    array = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(unpack_arrays(pack_arrays({"a": array}))["a"], array)


@pytest.mark.parametrize(
    "bad",
    [
        np.array([object()]),
        np.array(["text"]),
        np.array([1j]),
        np.array([1], "M8[s]"),
        [[1], [2, 3]],
    ],
    ids=["object", "text", "complex", "time", "ragged"],
)
def test_other_arrays_are_refused(bad):
    with pytest.raises((TypeError, ValueError)):
        pack_arrays({"a": bad})


@pytest.mark.parametrize("name", ["", "__metadata__", 3])
def test_bad_names_are_refused(name):
    with pytest.raises(TypeError):
        pack_arrays({name: np.zeros(1)})


def crafted(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


HUGE = {"a": {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8]}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * (MAX_HEADER_BYTES + 1),
        crafted(b"\xff\xfe{}"),
        crafted([1]),
        crafted(b"[" * 100_000),
        crafted(HUGE, b"\0" * 8),
        crafted({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 2**62]}}, b"\0" * 8),
        crafted({"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}}, b"\0" * 8),
        crafted({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        crafted({"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}, b"\0" * 8),
        crafted({"a": 3}, b"\0" * 8),
        crafted({"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\x01\x02"),
        pack_arrays({"a": np.zeros(3)}) + b"x",
        pack_arrays({"a": np.zeros(3)})[:-1],
    ],
)
def test_bytes_that_claim_what_is_not_there_are_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011  (the text differs a case)
        unpack_arrays(data)
