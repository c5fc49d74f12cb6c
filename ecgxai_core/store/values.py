"""Attribution and FusedMap <-> arrays and JSON metadata, without loss, for the cache and the run.

Floats that JSON does not have (NaN, infinities) and tuples are written as one-entry tables whose
name starts with ``$``, so that what comes back equals what went in. The form for other people's
eyes (:func:`as_json`) has ``null`` there instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from ecgxai_core.errors import CacheError
from ecgxai_core.store.atomic import read_arrays, write_arrays_atomic
from ecgxai_core.store.envelope import Entry
from ecgxai_core.types import Attribution, FusedMap, Provenance, QualityWarning

__all__ = [
    "as_json",
    "attribution_from_entry",
    "entry_of",
    "fused_from_entry",
    "json_safe",
    "pack_json",
    "read_value",
    "unpack_json",
    "value_of",
    "write_value_atomic",
]

_ARRAYS: dict[type, tuple[str, ...]] = {
    Attribution: (
        "edges_sec", "weights", "explored", "event_values", "event_errors", "standard_errors",
    ),
    FusedMap: ("edges_sec", "weights", "explored", "agreement"),
}  # fmt: skip
_KINDS: dict[str, type[Attribution] | type[FusedMap]] = {
    "attribution": Attribution,
    "fused_map": FusedMap,
}
_DTYPES = {
    "edges_sec": np.float64,
    "weights": np.float32,
    "explored": np.bool_,
    "event_values": np.float64,
    "event_errors": np.float64,
    "standard_errors": np.float32,
    "agreement": np.int8,
}


def _scalar(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def pack_json(value: object) -> Any:
    """JSON form from which :func:`unpack_json` restores the same value.

    Raises
    ------
    TypeError
        Something that has no such form, among it arrays and tables with names that are not texts.
    """
    value = _scalar(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, tuple):
        return {"$tuple": [pack_json(part) for part in value]}
    if isinstance(value, list):
        return [pack_json(part) for part in value]
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or name.startswith("$"):
                raise TypeError(f"{name!r} cannot be a name in metadata")
        return {name: pack_json(part) for name, part in value.items()}
    raise TypeError(f"{type(value).__name__} cannot be kept in metadata")


def unpack_json(value: Any) -> Any:
    """The value that :func:`pack_json` was given.

    Raises
    ------
    ValueError
        A form that :func:`pack_json` does not write.
    """
    if isinstance(value, list):
        return [unpack_json(part) for part in value]
    if not isinstance(value, dict):
        return value
    special = [name for name in value if name.startswith("$")]
    if not special:
        return {name: unpack_json(part) for name, part in value.items()}
    form = value.get("$tuple")
    if list(value) == ["$tuple"] and isinstance(form, list):
        return tuple(unpack_json(part) for part in form)
    if list(value) == ["$float"] and value["$float"] in ("nan", "inf", "-inf"):
        return float(value["$float"])
    raise ValueError("is not metadata of this program")


def json_safe(value: object) -> Any:
    """Plain JSON with ``null`` for NaN and infinities; arrays and tuples become lists.

    Raises
    ------
    TypeError
        Something that is not JSON.
    """
    value = _scalar(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [json_safe(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): json_safe(part) for name, part in value.items()}
    raise TypeError(f"{type(value).__name__} is not JSON")


def _warning_table(warning: QualityWarning) -> dict[str, Any]:
    return {"code": warning.code, "message": warning.message, "leads": list(warning.leads)}


def _table(value: Attribution | FusedMap) -> dict[str, Any]:
    """Every field that is not an array, by name."""
    table = {
        one.name: getattr(value, one.name)
        for one in fields(value)
        if one.name not in _ARRAYS[type(value)]
    }
    table["provenance"] = value.provenance.as_dict()
    table["warnings"] = [_warning_table(warning) for warning in value.warnings]
    return table


def entry_of(value: Attribution | FusedMap) -> Entry:
    """Arrays and metadata of a value, ready for ``Store.put`` or an array file.

    Raises
    ------
    TypeError
        Diagnostics or parameters that are not JSON.
    """
    kind = next(name for name, one in _KINDS.items() if type(value) is one)
    names = [name for name in _ARRAYS[type(value)] if getattr(value, name) is not None]
    return Entry(
        {name: getattr(value, name) for name in names},
        {"kind": kind, "fields": pack_json(_table(value))},
    )


def _restored(entry: Entry) -> Attribution | FusedMap:
    kind = _KINDS[entry.meta["kind"]]
    table = unpack_json(entry.meta["fields"])
    arrays = {name: entry.arrays.get(name) for name in _ARRAYS[kind]}
    if set(entry.arrays) - set(arrays):
        raise ValueError("holds arrays that do not belong to it")
    for name, array in arrays.items():
        if array is not None and array.dtype != _DTYPES[name]:
            raise ValueError(f"{name} is of type {array.dtype}")
    table["provenance"] = Provenance(**table["provenance"])
    table["warnings"] = tuple(
        QualityWarning(one["code"], one["message"], tuple(one["leads"]))
        for one in table["warnings"]
    )
    values: dict[str, Any] = {**table, **arrays}
    return kind(**values)


def value_of(entry: Entry) -> Attribution | FusedMap:
    """The value of an entry that :func:`entry_of` made; equal to the one that went in.

    Raises
    ------
    CacheError
        An entry that does not hold such a value (of another version of this program, for one).
    """
    try:
        return _restored(entry)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CacheError(
            "stored value", "", f"is not a value of this version ({type(error).__name__})",
            "clear the cache, or run again",
        ) from None  # fmt: skip


V = TypeVar("V", Attribution, FusedMap)


def _as_kind(value: Attribution | FusedMap, kind: type[V]) -> V:
    if not isinstance(value, kind):
        problem = f"is a {type(value).__name__}, not a {kind.__name__}"
        raise CacheError("stored value", "kind", problem, "clear the cache, or run again")
    return value


def attribution_from_entry(entry: Entry) -> Attribution:
    """The attribution of an entry (see :func:`value_of`)."""
    return _as_kind(value_of(entry), Attribution)


def fused_from_entry(entry: Entry) -> FusedMap:
    """The fused map of an entry (see :func:`value_of`)."""
    return _as_kind(value_of(entry), FusedMap)


def write_value_atomic(path: str | os.PathLike[str], value: Attribution | FusedMap) -> None:
    """Write a value as one safetensors file; the same bytes for the same value.

    Raises
    ------
    RunError
        The file cannot be written.
    """
    entry = entry_of(value)
    write_arrays_atomic(path, entry.arrays, entry.meta)


def read_value(path: str | os.PathLike[str]) -> Attribution | FusedMap:
    """Read what :func:`write_value_atomic` wrote.

    Raises
    ------
    RunError
        A file that is missing, changed or not an array file of this program.
    CacheError
        A sound file that holds something else.
    """
    return value_of(read_arrays(path))


def as_json(value: Attribution | FusedMap) -> dict[str, Any]:
    """The whole value as plain JSON: field names as in the type, ``null`` for NaN."""
    arrays = {name: getattr(value, name) for name in _ARRAYS[type(value)]}
    table: dict[str, Any] = json_safe({**_table(value), **arrays})
    return table
