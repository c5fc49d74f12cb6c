"""The one form in which a value lies in the cache: key, arrays and metadata under a checksum.

Layout, all numbers little-endian::

    8 bytes   magic, the last of them is the version of this layout
    32 bytes  SHA-256 over the magic and everything after these 32 bytes
    4, 4, 8   lengths of key, metadata and arrays
    ...       canonical JSON of the key, canonical JSON of the metadata, safetensors arrays

A reader compares lengths, checksum and key before it interprets anything, so a flipped bit, the
file of another key, a cut or emptied file, or a planted pickle is refused as plain bytes. The same
key, arrays and metadata give the same bytes.

The safetensors format (https://huggingface.co/docs/safetensors) holds numbers only: reading it can
run no code. The library checks that offsets, shapes and the length of the buffer agree; here the
claims of the header are bounded before the library sees them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import CacheError
from ecgxai_core.types import canonical_json

__all__ = [
    "MAGIC",
    "MAX_ENVELOPE_BYTES",
    "MAX_HEADER_BYTES",
    "Entry",
    "decode",
    "encode",
    "key_digest",
    "pack_arrays",
    "strict_json",
    "unpack_arrays",
    "unpack_header",
]

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


def strict_json(text: bytes, *, allow_nan: bool = False) -> dict[str, Any]:
    """A JSON object (UTF-8) in which no name is given twice, and without NaN unless allowed.

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
        constants = None if allow_nan else no_constant
        value = json.loads(text.decode("utf-8"), parse_constant=constants, object_pairs_hook=unique)
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


MAX_ARRAYS = 4096
"""Most arrays in one file."""
MAX_HEADER_BYTES = 4 << 20
"""Longest safetensors header that is read."""

_LENGTH_BYTES = 8


def _known(array: npt.NDArray[Any]) -> bool:
    """Whether safetensors has the array's type: booleans, integers, floats of up to 64 bits."""
    return array.dtype.kind in "biuf" and array.dtype.itemsize <= 8


def _plain(name: object, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """C-contiguous little-endian array of a type that safetensors knows."""
    if not isinstance(name, str) or not name or name == "__metadata__":
        raise TypeError(f"an array needs a name that is a text, not {name!r}")
    array = np.asarray(values, order="C")
    if not _known(array):
        raise TypeError(f"array {name!r} of type {array.dtype} cannot be stored")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def pack_arrays(arrays: Mapping[str, npt.ArrayLike], note: str | None = None) -> bytes:
    """Safetensors bytes of named arrays; identical for identical arrays.

    Parameters
    ----------
    arrays
        Boolean, integer or floating arrays of any shape.
    note
        One text for the header. One only: the library writes several in no fixed order.

    Raises
    ------
    TypeError
        An array of objects, texts or complex numbers, or a name that is not a text.
    """
    from safetensors.numpy import save

    if len(arrays) > MAX_ARRAYS:
        raise TypeError(f"{len(arrays)} arrays are more than {MAX_ARRAYS}")
    plain = {name: _plain(name, values) for name, values in sorted(arrays.items())}
    return bytes(save(plain, metadata=None if note is None else {"note": note}))


def unpack_header(data: bytes) -> dict[str, Any]:
    """The header of safetensors bytes: array name -> type, shape and offsets.

    Raises
    ------
    ValueError
        A header that is cut, too long, no JSON, or claims too many arrays.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > min(MAX_HEADER_BYTES, len(data) - _LENGTH_BYTES):
        raise ValueError("the header is cut, or claims to be longer than the file")
    try:
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length].decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("the header is not JSON") from None
    if not isinstance(header, dict) or len(header) > MAX_ARRAYS + 1:
        raise ValueError("the header is not a table of arrays")
    return header


def unpack_arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Read-only arrays of safetensors bytes.

    Nothing is allocated beyond the length of ``data``: sizes that the header claims are compared
    with it first.

    Raises
    ------
    ValueError
        Anything other than what :func:`pack_arrays` writes.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    unpack_header(data)
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, OverflowError, MemoryError):
        raise ValueError("the arrays do not fit their header") from None
    for array in arrays.values():
        if not _known(array):
            raise ValueError("an array of a type that is not stored here")
        # A byte other than 0 and 1 in a boolean array would be neither true nor false.
        if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise ValueError("a boolean array holds a value other than 0 and 1")
        array.flags.writeable = False
    return dict(sorted(arrays.items()))
