"""Named arrays <-> safetensors bytes, the same bytes for the same arrays, read strictly.

The safetensors format (https://huggingface.co/docs/safetensors) holds numbers only: reading it can
run no code. The library checks that offsets, shapes and the length of the buffer agree; here the
claims of the header are bounded before the library sees them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_ARRAYS", "MAX_HEADER_BYTES", "pack_arrays", "unpack_arrays", "unpack_header"]

MAX_ARRAYS = 4096
"""Most arrays in one file."""
MAX_HEADER_BYTES = 4 << 20
"""Longest safetensors header that is read."""

_DTYPES = {
    "BOOL": "bool", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32",
    "U32": "uint32", "I64": "int64", "U64": "uint64", "F16": "float16", "F32": "float32",
    "F64": "float64",
}  # fmt: skip
_LENGTH_BYTES = 8


def _plain(name: object, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """C-contiguous little-endian array of a type that safetensors knows."""
    if not isinstance(name, str) or not name or name == "__metadata__":
        raise TypeError(f"an array needs a name that is a text, not {name!r}")
    array = np.asarray(values, order="C")
    if array.dtype.name not in _DTYPES.values():
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

    for name, claim in unpack_header(data).items():
        if name == "__metadata__":
            continue
        if not isinstance(claim, dict) or claim.get("dtype") not in _DTYPES:
            raise ValueError("an array of a type that is not stored here")
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, OverflowError, MemoryError):
        raise ValueError("the arrays do not fit their header") from None
    for array in arrays.values():
        # A byte other than 0 and 1 in a boolean array would be neither true nor false.
        if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise ValueError("a boolean array holds a value other than 0 and 1")
        array.flags.writeable = False
    return dict(sorted(arrays.items()))
