"""Files that are either the old or the new one, even if the program is killed in between.

Each is written under a temporary name in the folder of its final one, flushed to the disk and
renamed over it (rename(2) replaces in one step); then the folder is flushed, so that the name
survives too. The same value gives the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError, cannot_be_written
from ecgxai_core.store.csv_cells import harmless
from ecgxai_core.store.envelope import Entry, pack_arrays, strict_json, unpack_arrays, unpack_header
from ecgxai_core.types import array_digest, canonical_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MAX_ARRAY_FILE_BYTES",
    "csv_bytes",
    "open_atomic",
    "read_arrays",
    "remove_temporaries",
    "write_arrays_atomic",
    "write_bytes_atomic",
    "write_csv_atomic",
    "write_json_atomic",
]

MAX_ARRAY_FILE_BYTES = 256 << 20
"""Largest array file that is read."""

_TEMPORARY = re.compile(r"\.writing-[0-9a-f]{16}")
_QUOTED = re.compile(r'[,;"\t\r\n]|^\s|\s$')


def write_bytes_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new one.

    Raises
    ------
    RunError
        The file cannot be written (disk full, no permission, no such folder). The old content is
        still there.
    """
    with open_atomic(path) as file:
        file.write(data)


@contextlib.contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write piece by piece that takes its name when the block ends without an error.

    Raises
    ------
    RunError
        As :func:`write_bytes_atomic`.
    """
    path = Path(path)
    if not path.name:
        raise RunError(str(path), "", "is not a file name", "name the file to write")
    temporary = path.with_name(f".writing-{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        fix = "free space there, check permissions, or choose another folder"
        raise RunError(path.name, "", cannot_be_written(path, error), fix) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot flush a folder; the file itself is flushed all the same.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: str | os.PathLike[str]) -> int:
    """Delete what killed writers left below a folder; how many files that were.

    For the one writer of a run directory, when it starts.
    """
    removed = 0
    for base, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(base, name))
                    removed += 1
    return removed


def _plain_number(value: object) -> Any:
    """JSON form of NumPy's scalars; everything else is a mistake of the caller."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def write_json_atomic(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON with sorted names and shortest round-trip floats, indented, ending in a newline.

    Raises
    ------
    RunError
        The file cannot be written.
    ValueError, TypeError
        NaN, infinity, or something that is not JSON.
    """
    text = json.dumps(
        value, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False, default=_plain_number
    )
    write_bytes_atomic(path, (text + "\n").encode())


def _cell(value: object) -> str:
    """CSV text of one value: shortest text that reads back the same number; missing = empty."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, np.float32 | np.float16):
        return "" if np.isnan(value) else str(value)
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else repr(float(value))
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str):
        text = harmless(value)
    elif isinstance(value, list | tuple | dict):
        text = canonical_json(value)
    else:
        raise TypeError(f"{type(value).__name__} cannot stand in a table")
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def csv_bytes(frame: pd.DataFrame, *, header: bool = True) -> bytes:
    """CSV of a table without its index: UTF-8, ``\\n`` line ends, floats that round-trip.

    Missing values are empty; lists and tables inside a cell are canonical JSON. No text is a
    formula to a spreadsheet (see :mod:`ecgxai_core.store.csv_cells`).
    """
    rows = [",".join(_cell(str(name)) for name in frame.columns)] if header else []
    # Column by column: a row-wise view would turn integers beside floats into floats.
    columns = [[_cell(value) for value in frame.iloc[:, i].array] for i in range(frame.shape[1])]
    rows.extend(",".join(cells) for cells in zip(*columns, strict=True))
    return "".join(f"{row}\n" for row in rows).encode("utf-8")


def write_csv_atomic(path: str | os.PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table as CSV (see :func:`csv_bytes`).

    Raises
    ------
    RunError
        The file cannot be written.
    """
    write_bytes_atomic(path, csv_bytes(frame))


def _note(arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> str:
    """Header text of an array file: metadata and the checksum over it and the arrays."""
    names = sorted(arrays)
    sha = array_digest(*(arrays[name] for name in names), extra=[names, dict(meta)])
    return canonical_json({"meta": dict(meta), "sha256": sha})


def write_arrays_atomic(
    path: str | os.PathLike[str],
    arrays: Mapping[str, npt.ArrayLike],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write named arrays and JSON metadata as one safetensors file with a checksum.

    Raises
    ------
    RunError
        The file cannot be written.
    ValueError, TypeError
        Arrays of objects, or metadata that is not JSON.
    """
    plain = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    write_bytes_atomic(path, pack_arrays(plain, note=_note(plain, meta or {})))


def _read_bounded(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("is not a file")
        if facts.st_size > MAX_ARRAY_FILE_BYTES:
            raise ValueError(f"is larger than {MAX_ARRAY_FILE_BYTES >> 20} MB")
        return file.read(facts.st_size)


def _decoded(data: bytes) -> Entry:
    note_text = unpack_header(data).get("__metadata__", {})
    note = strict_json(str(note_text["note"]).encode()) if "note" in note_text else {}
    arrays = unpack_arrays(data)
    meta = note.get("meta")
    # Byte for byte: also what the checksum inside cannot cover (padding, order of names).
    if not isinstance(meta, dict) or pack_arrays(arrays, note=_note(arrays, meta)) != data:
        raise ValueError("was changed after it was written (checksum)")
    return Entry(arrays, meta)


def read_arrays(path: str | os.PathLike[str]) -> Entry:
    """Read what :func:`write_arrays_atomic` wrote; one changed bit is enough to refuse.

    Raises
    ------
    RunError
        A file that is missing, too large, cut, changed, or written by something else.
    """
    path = Path(path)
    try:
        return _decoded(_read_bounded(path))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise RunError(path.name, "", problem, "run again to write it anew") from error
    except (ValueError, TypeError) as error:
        raise RunError(path.name, "", error, "delete it and run again") from None
