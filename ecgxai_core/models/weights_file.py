"""Look into an HDF5 file of weights before Keras does.

HDF5 can point to other files, claim sizes that it does not hold and load filter libraries. None of
that has a place in a model, so it is refused; what remains is counted, checked for finite values
and fingerprinted, so that loading can be verified afterwards.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ModelError
from ecgxai_core.settings import settings

__all__ = [
    "Fingerprint",
    "WeightsSummary",
    "fingerprint",
    "open_h5",
    "read_weights",
    "rewrite_weights",
]

MAX_OBJECTS = 50_000
MAX_DEPTH = 40
FILTERS = {"gzip", "shuffle", "fletcher32"}
RESAVE = "save the model again in float32"

Fingerprint = tuple[tuple[int, ...], str]
"""Shape and SHA-256 of the float32 bytes of one weight array."""


@dataclass(frozen=True, slots=True)
class WeightsSummary:
    """What an HDF5 file of weights holds (optimiser state left out).

    Attributes
    ----------
    arrays
        How often each weight array occurs.
    n_values
        Number of weights.
    """

    arrays: Counter[Fingerprint]
    n_values: int


def fingerprint(array: npt.NDArray[Any]) -> Fingerprint:
    """Shape and hash of an array as little-endian float32."""
    little = np.ascontiguousarray(array, dtype="<f4")
    return tuple(array.shape), hashlib.sha256(little.tobytes()).hexdigest()


@contextmanager
def open_h5(data: bytes, name: str) -> Iterator[Any]:
    """Open HDF5 bytes; any fault of the file becomes one :class:`ModelError`."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except ModelError:
        raise
    except Exception as error:  # h5py raises a dozen types for damaged files
        raise ModelError(name, "HDF5", f"is damaged ({error})", "copy the file again") from None


def read_weights(data: bytes, name: str, skip: tuple[str, ...]) -> WeightsSummary:
    """Check and count all arrays of an HDF5 file.

    Parameters
    ----------
    data
        The file.
    name
        Its name, for errors.
    skip
        Top-level groups that are no weights (optimiser state); their structure is checked, their
        values are not.
    """
    arrays: Counter[Fingerprint] = Counter()
    total = n_values = 0
    with open_h5(data, name) as file:
        for path, dataset in _datasets(file, name):
            _check_storage(dataset, path, name)
            total += dataset.size
            if total > 4 * settings().max_model_params:  # weights and up to three optimiser slots
                raise ModelError(
                    name,
                    path,
                    f"the file claims more than {total:.3g} values",
                    "use a smaller model",
                )
            if path.split("/")[0] in skip or dataset.dtype.kind in "iub":
                continue  # integers are states of random generators and optimiser steps
            values = dataset[()]
            _check_values(np.asarray(values), path, name)
            arrays[fingerprint(np.asarray(values))] += 1
            n_values += dataset.size
    return WeightsSummary(arrays, n_values)


def rewrite_weights(data: bytes, name: str, skip: tuple[str, ...]) -> bytes:
    """A new HDF5 file of the same groups, arrays and text attributes, ``skip`` left out.

    Bytes that could confuse the HDF5 library end here; ``data`` has passed :func:`read_weights`.
    """
    import h5py

    stream = io.BytesIO()
    with open_h5(data, name) as old, h5py.File(stream, "w") as new:
        _copy_attributes(old, new)

        def copy(path: str, item: Any) -> None:
            if path.split("/")[0] in skip:
                return
            if isinstance(item, h5py.Dataset):
                made = new.create_dataset(path, data=item[()])
            else:
                made = new.require_group(path)
            _copy_attributes(item, made)

        old.visititems(copy)
    return stream.getvalue()


def _copy_attributes(old: Any, new: Any) -> None:
    """Names and configuration: text and numbers, and lists of them."""
    import h5py

    for key in old.attrs:
        value = old.attrs[key]
        kind = value.dtype.kind if isinstance(value, np.ndarray) else ""
        if kind in ("S", "i", "u", "f") or isinstance(value, (str, bytes, np.number)):
            new.attrs[key] = value
        elif kind == "O":
            texts = [part if isinstance(part, bytes) else str(part).encode() for part in value.flat]
            new.attrs.create(key, texts, dtype=h5py.string_dtype())


def _datasets(file: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All datasets with their paths; refuses links, loops and anything that is not plain."""
    import h5py

    seen: set[Any] = set()
    stack = [("", file)]
    while stack:
        path, group = stack.pop()
        for key in sorted(group.keys(), reverse=True):
            inner = f"{path}/{key}" if path else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ModelError(name, inner, "is a link, possibly to another file", RESAVE)
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen or len(seen) >= MAX_OBJECTS or inner.count("/") > MAX_DEPTH:
                raise ModelError(name, inner, "loops, or holds too many objects", RESAVE)
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append((inner, item))
            elif isinstance(item, h5py.Dataset):
                yield inner, item
            else:
                raise ModelError(name, inner, "is neither group nor array", RESAVE)


def _check_storage(dataset: Any, path: str, name: str) -> None:
    """The array lies in this file, whole, in plain numbers."""
    import h5py

    if dataset.is_virtual or dataset.external:
        raise ModelError(name, path, "lies in another file", RESAVE)
    if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
        raise ModelError(name, path, f"holds {dataset.dtype}, not numbers", RESAVE)
    plist = dataset.id.get_create_plist()
    names = {
        h5py.h5z.FILTER_DEFLATE: "gzip",
        h5py.h5z.FILTER_SHUFFLE: "shuffle",
        h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    }
    filters = {names.get(plist.get_filter(i)[0], "") for i in range(plist.get_nfilters())}
    if not filters <= FILTERS:
        raise ModelError(name, path, "is packed with a filter that is not allowed", RESAVE)
    stored = dataset.id.get_storage_size()
    claimed = dataset.size * dataset.dtype.itemsize
    if claimed and stored * (1000 if filters else 1) < claimed:
        raise ModelError(
            name, path, f"claims {claimed} bytes and holds {stored}", "copy the file again"
        )


def _check_values(values: npt.NDArray[Any], path: str, name: str) -> None:
    if values.dtype != np.float32:
        raise ModelError(name, path, f"weights are {values.dtype}, not float32", RESAVE)
    if not np.all(np.isfinite(values)):
        raise ModelError(
            name, path, "holds weights that are not finite", "use a model whose training converged"
        )
