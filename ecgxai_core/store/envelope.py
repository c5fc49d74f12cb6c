"""The one form in which a value lies in the cache: key, arrays and metadata under a checksum.

Layout, all numbers little-endian::

    8 bytes   magic, the last of them is the version of this layout
    32 bytes  SHA-256 over the magic and everything after these 32 bytes
    4, 4, 8   lengths of key, metadata and arrays
    ...       canonical JSON of the key, canonical JSON of the metadata, safetensors arrays

A reader compares lengths, checksum and key before it interprets anything, so a flipped bit, the
file of another key, a cut or emptied file, or a planted pickle is refused as plain bytes. The same
key, arrays and metadata give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import numpy.typing as npt

from ecgxai_core.errors import CacheError
from ecgxai_core.store.tensors import pack_arrays, unpack_arrays
from ecgxai_core.types import canonical_json

__all__ = ["MAGIC", "MAX_ENVELOPE_BYTES", "Entry", "decode", "encode", "key_digest", "strict_json"]

MAGIC = b"ECGXAI\x00\x01"
"""First bytes of every envelope; the last byte is the version."""
MAX_ENVELOPE_BYTES = 64 << 20
"""Largest envelope that is written or read."""

_LENGTHS = struct.Struct("<IIQ")
_HEAD = len(MAGIC) + 32 + _LENGTHS.size


class Entry(NamedTuple):
    """What the cache holds under a key: read-only arrays by name, and JSON metadata."""

    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, Any]


def key_digest(key: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of a key."""
    return hashlib.sha256(canonical_json(dict(key)).encode()).hexdigest()


def _refuse(field: str, problem: str) -> NoReturn:
    raise CacheError("cache entry", field, problem, "none needed: it is computed again")


def strict_json(text: bytes) -> dict[str, Any]:
    """A JSON object without NaN and without a name given twice.

    Raises
    ------
    ValueError
        Anything else.
    """

    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name is given twice")
        return table

    try:
        value = json.loads(
            text.decode("utf-8"), parse_constant=no_constant, object_pairs_hook=unique
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  (one error type for bad content)
    return value


def encode(
    key: Mapping[str, Any], arrays: Mapping[str, npt.ArrayLike], meta: Mapping[str, Any]
) -> bytes:
    """Envelope bytes of a value.

    Raises
    ------
    TypeError, ValueError
        A key or metadata that is not JSON (NaN included), or an array of objects: mistakes of the
        caller, never of the disk.
    """
    key_text = canonical_json(dict(key)).encode()
    meta_text = canonical_json(dict(meta)).encode()
    tensors = pack_arrays(arrays)
    lengths = _LENGTHS.pack(len(key_text), len(meta_text), len(tensors))
    body = b"".join((lengths, key_text, meta_text, tensors))
    return MAGIC + hashlib.sha256(MAGIC + body).digest() + body


def decode(data: bytes, key: Mapping[str, Any]) -> Entry:
    """The value in an envelope that was written under ``key``.

    Raises
    ------
    CacheError
        Bytes that are not exactly what :func:`encode` wrote for this key.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        _refuse("size", "is larger than any entry that is written")
    if len(data) < _HEAD or not data.startswith(MAGIC):
        _refuse("magic", "is not an entry of this cache, or of another version")
    key_size, meta_size, tensor_size = _LENGTHS.unpack_from(data, _HEAD - _LENGTHS.size)
    if _HEAD + key_size + meta_size + tensor_size != len(data):
        _refuse("size", "is not as long as it claims")
    body = memoryview(data)[len(MAGIC) + 32 :]
    sha = hashlib.sha256(MAGIC)
    sha.update(body)
    if sha.digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        _refuse("checksum", "does not match its content")
    meta_start = _HEAD + key_size
    if data[_HEAD:meta_start] != canonical_json(dict(key)).encode():
        _refuse("key", "belongs to another key")
    try:
        meta = strict_json(data[meta_start : meta_start + meta_size])
        arrays = unpack_arrays(data[meta_start + meta_size :])
    except ValueError as error:
        _refuse("content", str(error))
    return Entry(arrays, meta)
