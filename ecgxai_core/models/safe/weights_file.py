"""Look into an HDF5 file of weights before Keras does.

HDF5 can point to other files, claim sizes that it does not hold and load filter libraries. None of
that has a place in a model, so it is refused; what remains is counted, checked for finite values
and fingerprinted, so that loading can be verified afterwards.

The HDF5 library is C: a few wrong bytes can end the process that reads them or make it ask for all
the memory there is. So a child process with limits checks an unknown file and writes a new one from
what it found (:func:`rewritten`); this process reads only the new one.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ModelError
from ecgxai_core.records.files import bound_process, child_environment
from ecgxai_core.settings import settings

__all__ = ["Fingerprint", "fingerprint", "open_h5", "read_weights", "rewritten"]

MAX_OBJECTS = 5_000
MAX_DEPTH = 40
MAX_ATTRIBUTES = 200
"""Of one group or array. HDF5 looks each up among all the others, so thousands take minutes."""
MAX_ATTRIBUTE_BYTES = 8_000_000
MAX_ATTRIBUTE_VALUES = 10_000
MAX_CHUNK_BYTES = 256_000_000
SPARE_BYTES = 64_000_000
MAX_RATIO = 50
"""How many times larger than the file all arrays together may be, beyond the spare bytes."""
FILTERS = {"gzip", "shuffle", "fletcher32"}
CHILD_BYTES = 2_000_000_000
CHILD_SECONDS = 60
"""The same again per GB of file."""
RESAVE = "save the model again in float32"

Fingerprint = tuple[tuple[int, ...], str]
"""Shape and SHA-256 of the float32 bytes of one weight array."""


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


def read_weights(data: bytes, name: str, skip: tuple[str, ...]) -> Counter[Fingerprint]:
    """Check all arrays of an HDF5 file; how often each weight array occurs in it.

    Parameters
    ----------
    data
        The file.
    name
        Its name, for errors.
    skip
        Top-level groups that are not weights (optimiser state); they are not read.
    """
    arrays: Counter[Fingerprint] = Counter()
    total = n_bytes = 0
    with open_h5(data, name) as file:
        for path, dataset in _items(file, name, skip):
            if not _is_array(dataset):
                continue
            _check_storage(dataset, path, name)
            total += dataset.size
            n_bytes += dataset.size * dataset.dtype.itemsize
            if total > 2 * settings().max_model_params:  # weights, and states of generators
                problem = f"the file claims more than {total:.3g} values"
                raise ModelError(name, path, problem, "use a smaller model")
            if n_bytes > SPARE_BYTES + MAX_RATIO * len(data):
                problem = f"the file inflates to more than {n_bytes / 1e6:.3g} MB"
                raise ModelError(name, path, problem, RESAVE)
            if dataset.dtype.kind in "iub":
                continue  # integers are states of random generators and optimiser steps
            values = np.asarray(dataset[()])
            if values.dtype != np.float32:
                problem = f"weights are {values.dtype}, not float32"
                raise ModelError(name, path, problem, RESAVE)
            if not np.all(np.isfinite(values)):
                fix = "use a model whose training converged"
                raise ModelError(name, path, "holds weights that are not finite", fix)
            arrays[fingerprint(values)] += 1
    return arrays


def rewrite_weights(data: bytes, name: str, skip: tuple[str, ...]) -> bytes:
    """A new HDF5 file of the same groups, arrays and text attributes, ``skip`` left out.

    Bytes that could confuse the HDF5 library end here; ``data`` has passed :func:`read_weights`.
    """
    import h5py

    stream = io.BytesIO()
    with open_h5(data, name) as old, h5py.File(stream, "w") as new:
        _copy_attributes(old, new)

        for path, item in _items(old, name, skip):
            if _is_array(item):
                made = new.create_dataset(path, data=item[()])
            else:
                made = new.require_group(path)
            _copy_attributes(item, made)
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


def _is_array(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset)


def _items(file: Any, name: str, skip: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """All groups and arrays with their paths, groups before what they hold; refuses links, loops
    and anything that is not plain. What a group holds is counted before it is looked at."""
    import h5py

    _check_attributes(file, "file", name)
    seen: set[Any] = set()
    claimed = 0
    stack = [("", file)]
    while stack:
        path, group = stack.pop()
        claimed += len(group)
        if claimed > MAX_OBJECTS + len(skip):
            problem = f"holds {claimed} groups and arrays; at most {MAX_OBJECTS} are allowed"
            raise ModelError(name, path or "HDF5", problem, RESAVE)
        for key in sorted(group.keys(), reverse=True):
            if not path and key in skip:
                continue
            inner = f"{path}/{key}" if path else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ModelError(name, inner, "is a link, possibly to another file", RESAVE)
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen or inner.count("/") > MAX_DEPTH:
                raise ModelError(name, inner, "loops, or is nested too deep", RESAVE)
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append((inner, item))
            elif not isinstance(item, h5py.Dataset):
                raise ModelError(name, inner, "is neither group nor array", RESAVE)
            _check_attributes(item, inner, name)
            yield inner, item


def _check_attributes(item: Any, path: str, name: str) -> None:
    """No more attributes, and none larger, than Keras writes; none of them is read for that."""
    import h5py

    count = h5py.h5a.get_num_attrs(item.id)
    if count > MAX_ATTRIBUTES:
        problem = f"has {count} attributes; at most {MAX_ATTRIBUTES} are allowed"
        raise ModelError(name, path, problem, RESAVE)
    for number in range(count):
        attribute = h5py.h5a.open(item.id, index=number)
        values = attribute.get_space().get_simple_extent_npoints()
        n_bytes = values * attribute.get_type().get_size()
        if n_bytes > MAX_ATTRIBUTE_BYTES or values > MAX_ATTRIBUTE_VALUES:
            problem = f"has an attribute of {values} values and {n_bytes} bytes"
            raise ModelError(name, path, problem, RESAVE)


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
    if dataset.chunks is not None:
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
        if chunk > MAX_CHUNK_BYTES:
            raise ModelError(name, path, f"is stored in pieces of {chunk} bytes", RESAVE)
    stored = dataset.id.get_storage_size()
    claimed = dataset.size * dataset.dtype.itemsize
    if claimed and stored * (1000 if filters else 1) < claimed:
        problem = f"claims {claimed} bytes and holds {stored}"
        raise ModelError(name, path, problem, "copy the file again")


def rewritten(data: bytes, name: str, skip: tuple[str, ...]) -> bytes:
    """Check an HDF5 file in a child process and return a new file of what it holds.

    Parameters
    ----------
    data
        The file.
    name
        Its name, for errors.
    skip
        Top-level groups to leave out (optimiser state).

    Raises
    ------
    ModelError
        The checks of ``read_weights`` fail, or the child does not survive the file.
    """
    seconds = CHILD_SECONDS * (1 + len(data) / 1e9)
    with tempfile.TemporaryDirectory(prefix="ecgxai-") as folder:
        source, target = Path(folder, "given.h5"), Path(folder, "clean.h5")
        source.write_bytes(data)
        arguments = [str(source), str(target), name, json.dumps(skip), str(int(seconds))]
        try:
            child = subprocess.run(
                [sys.executable, "-m", "ecgxai_core.models.safe.weights_file", *arguments],
                capture_output=True,
                env=child_environment(),
                timeout=4 * seconds,  # its own limit is processor time
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _unreadable(name, "takes too long to read") from None
        if child.returncode == 0 and target.is_file():
            return target.read_bytes()
        try:
            raise ModelError(*json.loads(child.stdout))
        except (ValueError, TypeError):
            raise _unreadable(name, "is damaged (the HDF5 library cannot read it)") from None


def _unreadable(name: str, problem: str) -> ModelError:
    return ModelError(name, "HDF5", problem, "copy the file again")


def main(arguments: Sequence[str]) -> int:
    """The child: 0 and a new file, or 1 and the error as JSON on standard output."""
    source, target, name, skip, seconds = arguments
    data = Path(source).read_bytes()
    bound_process(CHILD_BYTES + 8 * len(data), int(seconds))
    groups = tuple(json.loads(skip))
    try:
        read_weights(data, name, groups)
        Path(target).write_bytes(rewrite_weights(data, name, groups))
    except ModelError as error:
        sys.stdout.write(json.dumps(error.args))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
