"""The four arrays that ECG-XAI users already have of their data and model.

``ecg_filenames.npy`` (string ``[n]``), ``ecg_model_probs.npy`` (float ``[n, class]``),
``ecg_y_true.npy`` (0/1 ``[n, class]``) and ``snomed_classes.npy`` (string ``[class]``), or the same
four in one ``.npz``. They are read without pickle: a header is believed only as far as the file is
long, and before anything is allocated.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import code_of
from ecgxai_core.errors import ModelError
from ecgxai_core.records.files import open_regular, read_members
from ecgxai_core.store.atomic import write_bytes_atomic
from ecgxai_core.types import BoolArray, Float32Array, frozen_array

__all__ = [
    "ARRAY_FILES",
    "MetadataArrays",
    "read_metadata_arrays",
    "read_npy",
    "read_npz",
    "write_metadata_arrays",
]

ARRAY_FILES = {
    "filenames": "ecg_filenames.npy",
    "probabilities": "ecg_model_probs.npy",
    "labels": "ecg_y_true.npy",
    "classes": "snomed_classes.npy",
}

MAX_BYTES = 2_000_000_000
MAX_HEADER = 4096
MAX_ITEM_BYTES = 16_384
"""Of one text; a file name in NumPy's four bytes a character."""
KINDS = {
    "filenames": "US",
    "probabilities": "f",
    "labels": "biuf",
    "classes": "USiu",
}
RESAVE = "save it again with numpy.save(..., allow_pickle=False)"


@dataclass(frozen=True, slots=True)
class MetadataArrays:
    """Predictions and labels of a set of records.

    Attributes
    ----------
    filenames
        Record names, one per row.
    classes
        SNOMED-CT codes, one per column; a file may also give names (:func:`code_of`).
    probabilities
        ``float32[n, class]`` in [0, 1].
    labels
        ``bool[n, class]``, or ``None`` where the data has no labels.
    """

    filenames: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: Float32Array
    labels: BoolArray | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", frozen_array(self.probabilities, np.float32))
        shape = (len(self.filenames), len(self.classes))
        if self.probabilities.shape != shape:
            problem = f"has shape {self.probabilities.shape}; names and classes make {shape}"
            fix = "give arrays of the same records and the same model"
            raise _refused("probabilities", problem, fix)
        if not np.all((self.probabilities >= 0) & (self.probabilities <= 1)):
            problem = "has values outside [0, 1] or not finite"
            raise _refused("probabilities", problem, "give probabilities")
        for field, names in (("filenames", self.filenames), ("classes", self.classes)):
            if len(set(names)) != len(names) or not all(names):
                raise _refused(field, "has empty or repeated entries", "name each one once")
        if self.labels is not None:
            object.__setattr__(self, "labels", frozen_array(self.labels, np.bool_))
            if self.labels.shape != shape:
                problem = f"has shape {self.labels.shape}, not {shape}"
                raise _refused("labels", problem, "give labels per class")

    @property
    def record_names(self) -> tuple[str, ...]:
        """The file names without folder (of any system) and ending."""
        return tuple(PureWindowsPath(name).stem for name in self.filenames)


def read_metadata_arrays(path: str | os.PathLike[str]) -> MetadataArrays:
    """Read the four arrays from a folder of ``.npy`` files or from one ``.npz``.

    Raises
    ------
    ModelError
        A file is missing (labels may be), holds objects, claims more than it has, or the shapes
        disagree.
    """
    source = Path(path)
    if source.is_dir():
        found = {
            field: read_npy(source / name, KINDS[field])
            for field, name in ARRAY_FILES.items()
            if field != "labels" or (source / name).exists()
        }
    else:
        stems = {Path(name).stem: field for field, name in ARRAY_FILES.items()}
        kinds = {stem: KINDS[field] for stem, field in stems.items()}
        found = {stems[stem]: array for stem, array in read_npz(source, kinds).items()}
    missing = [ARRAY_FILES[field] for field in ARRAY_FILES if field not in found]
    if set(missing) - {ARRAY_FILES["labels"]}:
        fix = "give filenames, probabilities and classes"
        raise ModelError(source.name, missing[0], "is missing", fix)
    labels = found.get("labels")
    return MetadataArrays(
        filenames=_texts(found["filenames"], "filenames"),
        classes=tuple(code_of(name) for name in _texts(found["classes"], "classes")),
        probabilities=found["probabilities"].astype(np.float32),
        labels=None if labels is None else _binary(labels),
    )


def write_metadata_arrays(arrays: MetadataArrays, folder: str | os.PathLike[str]) -> None:
    """Write the arrays as ``.npy`` files that :func:`read_metadata_arrays` reads."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    contents: dict[str, npt.NDArray[Any]] = {
        "filenames": np.array(arrays.filenames, dtype=np.str_),
        "probabilities": arrays.probabilities,
        "classes": np.array(arrays.classes, dtype=np.str_),
    }
    if arrays.labels is not None:
        contents["labels"] = arrays.labels.astype(np.int8)
    for field, array in contents.items():
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        write_bytes_atomic(target / ARRAY_FILES[field], stream.getvalue())


def read_npy(path: str | os.PathLike[str], kinds: str = "biufUS") -> npt.NDArray[Any]:
    """Read one ``.npy`` file.

    Parameters
    ----------
    path
        The file.
    kinds
        numpy kind letters that are allowed; objects never are.
    """
    file = Path(path)
    with open_regular(file, MAX_BYTES, ModelError, "split the data") as (stream, size):
        return _parse_npy(stream.read(size), file.name, kinds)


def read_npz(path: str | os.PathLike[str], kinds: dict[str, str]) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of an ``.npz`` file; others are refused.

    Parameters
    ----------
    path
        The file.
    kinds
        Names of the arrays (without ``.npy``) and the numpy kind letters allowed for each.
    """
    file = Path(path)

    def check(members: list[zipfile.ZipInfo]) -> None:
        names = [member.filename for member in members]
        if len(set(names)) != len(names) or not set(names) <= {f"{stem}.npy" for stem in kinds}:
            problem, fix = f"holds {', '.join(names[:6])}", f"give only {', '.join(kinds)}"
            raise ModelError(file.name, "members", problem, fix)
        if sum(member.file_size for member in members) > MAX_BYTES:
            problem = f"inflates to more than {MAX_BYTES / 1e9:g} GB"
            raise ModelError(file.name, "", problem, "split the data")
        for member in members:
            if member.file_size > max(10_000_000, 200 * member.compress_size):
                problem = "is compressed more than 200-fold"
                raise ModelError(file.name, member.filename, problem, RESAVE)

    found = {}
    with open_regular(file, MAX_BYTES, ModelError, "split the data") as (stream, _):
        try:
            for name, data in read_members(stream, check):
                stem = Path(name).stem
                found[stem] = _parse_npy(data, f"{file.name}:{name}", kinds[stem])
        except ValueError as error:
            raise ModelError(file.name, "", f"is not a readable .npz ({error})", RESAVE) from None
    return found


def _parse_npy(data: bytes, name: str, kinds: str) -> npt.NDArray[Any]:
    """Array of ``.npy`` bytes; the header is checked against the bytes that follow it."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0}
        reader = readers.get(version, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = reader(stream, max_header_size=MAX_HEADER)
    except Exception as error:  # numpy raises several types for damaged headers
        raise ModelError(name, "header", f"is no .npy header ({error})", RESAVE) from None
    if dtype.hasobject:
        raise ModelError(name, "dtype", "holds Python objects, which can run code", RESAVE)
    if dtype.kind not in kinds or dtype.itemsize == 0 or dtype.names is not None:
        raise ModelError(name, "dtype", f"is {dtype}, not of kind {kinds!r}", RESAVE)
    if dtype.itemsize > MAX_ITEM_BYTES:
        raise ModelError(name, "dtype", f"holds texts of {dtype.itemsize} bytes", RESAVE)
    claimed = math.prod(shape) * dtype.itemsize
    held = len(data) - stream.tell()
    if len(shape) > 2 or any(size < 0 for size in shape) or claimed != held:
        problem = f"claims {list(shape)} ({claimed} bytes) and holds {held} bytes"
        raise ModelError(name, "shape", problem, RESAVE)
    if claimed == 0:
        return np.empty(shape, dtype)
    flat = np.frombuffer(data, dtype, count=math.prod(shape), offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _texts(array: npt.NDArray[Any], field: str) -> tuple[str, ...]:
    if array.ndim != 1:
        raise _refused(field, f"has shape {array.shape}, not one entry each", "give a flat list")
    try:
        texts = tuple(
            value.decode("utf-8") if isinstance(value, bytes) else str(value)
            for value in array.tolist()
        )
    except UnicodeDecodeError:
        raise _refused(field, "is not UTF-8", "save it as text") from None
    if not all(text.isprintable() for text in texts):
        raise _refused(field, "has unprintable characters", "clean the names")
    return texts


def _binary(array: npt.NDArray[Any]) -> BoolArray:
    if not np.all((array == 0) | (array == 1)):
        raise _refused("labels", "has values other than 0 and 1", "give 0 or 1 per class")
    return array.astype(np.bool_)


def _refused(field: str, problem: str, fix: str) -> ModelError:
    return ModelError(ARRAY_FILES[field], "", problem, fix)
