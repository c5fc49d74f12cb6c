"""The checksummed envelope: what was written under a key comes back, nothing else does."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import CacheError
from ecgxai_core.store.envelope import (
    MAGIC,
    MAX_ENVELOPE_BYTES,
    decode,
    encode,
    key_digest,
    strict_json,
)

KEY = {"record": "ab" * 32, "method": "lime", "params": {"seed": 0, "link": "logit"}}
META = {"probability": 0.1, "warnings": ["flat_lead"], "none": None}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False).filter(
        lambda x: abs(x) != float("inf")
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
tables = st.dictionaries(st.text(), json_values, max_size=4)


@settings(deadline=None, max_examples=60)
@given(tables, tables)
def test_key_and_metadata_come_back(key, meta):
    entry = decode(encode(key, {"a": np.arange(3)}, meta), key)
    assert entry.meta == meta
    assert np.array_equal(entry.arrays["a"], np.arange(3))


def test_the_same_value_gives_the_same_bytes(arrays):
    other_order = dict(reversed(list(arrays.items())))
    assert encode(KEY, arrays, META) == encode(dict(reversed(KEY.items())), other_order, META)


def test_every_flipped_byte_and_every_length_is_noticed(arrays):
    data = encode(KEY, arrays, META)
    places = sorted({*range(0, len(data), 97), *range(200), len(data) - 1})
    for place in places:
        for bit in (0x01, 0x80):
            bad = bytearray(data)
            bad[place] ^= bit
            with pytest.raises(CacheError):
                decode(bytes(bad), KEY)
    for size in (0, 1, 7, 8, 39, 40, 55, 56, 57, len(data) // 2, len(data) - 1):
        with pytest.raises(CacheError):
            decode(data[:size], KEY)
    with pytest.raises(CacheError):
        decode(data + b"\0", KEY)


def test_the_envelope_of_another_key_is_refused(arrays):
    with pytest.raises(CacheError, match="another key"):
        decode(encode(KEY, arrays, META), {**KEY, "method": "timeshap"})


def test_a_planted_pickle_is_not_opened(bomb):
    data, went_off = bomb
    for planted in (data, MAGIC + data, MAGIC + hashlib.sha256(MAGIC + data).digest() + data):
        with pytest.raises(CacheError):
            decode(planted, KEY)
    assert not went_off()


def sealed(lengths: tuple[int, int, int], content: bytes) -> bytes:
    body = struct.pack("<IIQ", *lengths) + content
    return MAGIC + hashlib.sha256(MAGIC + body).digest() + body


def test_huge_claims_are_refused_before_anything_is_read():
    for lengths in ((2**32 - 1, 0, 0), (0, 2**32 - 1, 0), (0, 0, 2**64 - 1), (0, 0, 2**40)):
        with pytest.raises(CacheError, match="claims"):
            decode(sealed(lengths, b""), KEY)
    with pytest.raises(CacheError, match="size"):
        decode(b"\0" * (MAX_ENVELOPE_BYTES + 1), KEY)


@pytest.mark.parametrize(
    "meta",
    [b"[]", b"NaN", b'{"a":NaN}', b'{"a":1,"a":2}', b"\xff", b"{" * 50_000, b'{"a":' * 50_000],
)
def test_a_rightly_sealed_envelope_with_bad_metadata_is_refused(meta):
    from ecgxai_core.types import canonical_json

    key = canonical_json(KEY).encode()
    with pytest.raises(CacheError, match="content"):
        decode(sealed((len(key), len(meta), 0), key + meta), KEY)


def test_mistakes_of_the_caller_are_not_faults_of_the_cache():
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(KEY, {}, {"a": float("nan")})
    with pytest.raises(TypeError):
        encode({"a": object()}, {}, {})
    with pytest.raises(TypeError):
        encode(KEY, {"a": np.array([None])}, {})


def test_the_digest_of_a_key_does_not_depend_on_the_order_of_names():
    assert key_digest({"a": 1, "b": 2}) == key_digest({"b": 2, "a": 1})
    assert key_digest({"a": 1}) != key_digest({"a": 1.0})
    assert key_digest({}) == hashlib.sha256(b"{}").hexdigest()


def test_strict_json_refuses_infinity():
    with pytest.raises(ValueError, match="not JSON"):
        strict_json(b'{"a":-Infinity}')
