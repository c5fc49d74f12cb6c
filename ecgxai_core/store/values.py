"""Attribution and FusedMap <-> arrays and JSON metadata, without loss, for the cache and the run.

Floats that JSON does not have (NaN, infinities) and tuples are written as one-entry tables whose
name starts with ``$``, so that what comes back equals what went in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from ecgxai_core.errors import CacheError
from ecgxai_core.store.envelope import Entry
from ecgxai_core.types import Attribution, FusedMap, Map, Provenance, QualityWarning, warning_rows

__all__ = ["entry_of", "json_safe", "pack_json", "unpack_json", "value_as", "value_of"]

K = TypeVar("K")

_AGAIN = "clear the cache, or run again"

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
"""Fields that are arrays; all others are metadata."""


def pack_json(value: object) -> Any:
    """JSON form from which :func:`unpack_json` restores the same value.

    Raises
    ------
    TypeError
        Something that has no such form, among it arrays and tables with names that are not texts.
    """
    if isinstance(value, np.generic):
        value = value.item()
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
    if isinstance(value, np.ndarray | np.generic):
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


def entry_of(value: Map) -> Entry:
    """Arrays and metadata of a value, ready for ``Store.put`` or an array file.

    Raises
    ------
    TypeError
        Diagnostics or parameters that are not JSON.
    """
    kind = next((name for name, one in _KINDS.items() if type(value) is one), None)
    if kind is None:
        raise TypeError(f"{type(value).__name__} is not a map of this program")
    table = {one.name: getattr(value, one.name) for one in fields(_KINDS[kind])}
    table["provenance"] = value.provenance.as_dict()
    table["warnings"] = warning_rows(value.warnings)
    arrays = {name: table.pop(name) for name in _DTYPES if name in table}
    present = {name: array for name, array in arrays.items() if array is not None}
    return Entry(present, {"kind": kind, "fields": pack_json(table)})


def value_of(entry: Entry) -> Attribution | FusedMap:
    """The map that :func:`entry_of` was given; equal to the one that went in.

    Raises
    ------
    CacheError
        An entry that does not hold such a value (of another version of this program, for one).
    """
    try:
        return _restored(entry)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        problem = f"is not a value of this version ({type(error).__name__})"
        raise CacheError("stored value", "", problem, _AGAIN) from None


def value_as(entry: Entry, kind: type[K]) -> K:
    """:func:`value_of` for one kind of map; another kind is a ``CacheError`` too."""
    value = value_of(entry)
    if not isinstance(value, kind):
        problem = f"is a {type(value).__name__}, not a {kind.__name__}"
        raise CacheError("stored value", "kind", problem, _AGAIN)
    return value


def _restored(entry: Entry) -> Attribution | FusedMap:
    table = unpack_json(entry.meta["fields"])
    for name, array in entry.arrays.items():
        if array.dtype != _DTYPES[name]:
            raise ValueError(f"{name} is of type {array.dtype}")
    table["provenance"] = Provenance(**table["provenance"])
    table["warnings"] = tuple(
        QualityWarning(one["code"], one["message"], tuple(one["leads"]))
        for one in table["warnings"]
    )
    values: dict[str, Any] = {**table, **entry.arrays}
    return _KINDS[entry.meta["kind"]](**values)
